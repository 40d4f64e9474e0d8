//! Any other type: a readable rendering by the shape of its elements, not by its type.

use crate::domain::{FactKind, Kind, Timestamp};

use super::super::html;
use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{When, coded, codes, concept, joined, money, period, quantity, range, value, when};
use super::{Page, Resource, notes, status_words};

/// Elements that may say what a resource is about, best first.
const SUBJECT_MATTER: [&str; 17] = [
    "code",
    "title",
    "description",
    "event",
    "relationship",
    "topic",
    "procedureCode",
    "serviceType",
    "type",
    "category",
    "vaccineCode",
    "modality",
    "deviceName",
    "scope",
    "name",
    "itemCodeableConcept",
    "questionnaire",
];

/// Elements that may say when it was true, best first.
const TIMES: [&str; 18] = [
    "period",
    "effective",
    "performed",
    "occurrence",
    "start",
    "started",
    "servicedPeriod",
    "billablePeriod",
    "collection.collected",
    "sent",
    "date",
    "authoredOn",
    "authored",
    "recordedDate",
    "created",
    "dateTime",
    "issued",
    "statusDate",
];

/// Elements worth a line, and its label.
const LABELLED: [(&str, &str); 44] = [
    ("category", "Category"),
    ("type", "Type"),
    ("subType", "Subtype"),
    ("use", "Use"),
    ("intent", "Intent"),
    ("priority", "Priority"),
    ("achievementStatus", "Achievement"),
    ("description", "Description"),
    ("summary", "Summary"),
    ("topic", "Topic"),
    ("medium", "Medium"),
    ("sender", "From"),
    ("recipient", "To"),
    ("reasonCode", "Reason"),
    ("reasonReference", "Reason"),
    ("reason", "Reason"),
    ("statusReason", "Status reason"),
    ("bodySite", "Body site"),
    ("location", "Location"),
    ("modality", "Modality"),
    ("procedureCode", "Procedure"),
    ("addresses", "Addresses"),
    ("outcomeCode", "Outcome"),
    ("outcome", "Outcome"),
    ("severity", "Severity"),
    ("seriousness", "Seriousness"),
    ("relationship", "Relationship"),
    ("sex", "Sex"),
    ("deceasedBoolean", "Deceased"),
    ("detail", "Detail"),
    ("disposition", "Disposition"),
    ("requester", "Requested by"),
    ("performer", "Performed by"),
    ("interpreter", "Interpreted by"),
    ("owner", "Owner"),
    ("provider", "Provider"),
    ("insurer", "Insurer"),
    ("payor", "Payor"),
    ("managingOrganization", "Managing organization"),
    ("manufacturer", "Manufacturer"),
    ("modelNumber", "Model"),
    ("patientInstruction", "Instructions"),
    ("conclusion", "Conclusion"),
    ("comment", "Comment"),
];

/// Repeating parts worth a line for each, with the elements that make it up.
const REPEATING: [(&str, &str, &[&str]); 16] = [
    ("payload", "Message", &["contentString", "contentReference"]),
    ("condition", "Condition", &["code", "outcome", "onsetAge", "onsetString", "onsetRange"]),
    ("participant", "Participant", &["role", "member", "actor"]),
    ("target", "Target", &["measure", "detailQuantity", "detailRange", "detailString", "dueDate"]),
    ("finding", "Finding", &["itemCodeableConcept", "itemReference", "basis"]),
    ("prediction", "Prediction", &["outcome", "probabilityDecimal", "qualitativeRisk", "rationale"]),
    ("series", "Series", &["modality", "bodySite", "description", "started"]),
    ("diagnosis", "Diagnosis", &["diagnosisCodeableConcept", "diagnosisReference", "condition"]),
    ("procedure", "Procedure", &["procedureCodeableConcept", "procedureReference", "date"]),
    ("insurance", "Insurance", &["coverage"]),
    ("item", "Item", &["productOrService", "servicedDate", "servicedPeriod", "quantity", "net"]),
    ("class", "Class", &["type", "value", "name"]),
    ("lensSpecification", "Lens", &["product", "eye", "sphere", "cylinder"]),
    ("recommendation", "Recommended", &["vaccineCode", "targetDisease", "forecastStatus"]),
    ("entry", "Entry", &["flag", "item", "date"]),
    ("suspectEntity", "Suspected", &["instance"]),
];

const MAX_ANSWER_DEPTH: usize = 8;

pub(super) fn render(resource: &Resource<'_>, kind: Kind, fact: Option<FactKind>) -> Page {
    let body = resource.body;
    let label = super::names::spaced(resource.name);
    let matter = SUBJECT_MATTER.iter().find_map(|name| {
        let element = body.get(name)?;
        Some((words(resource, element)?, element.first()))
    });
    let time = time(body);
    let mut lines = Lines::default();
    let narrative =
        if matter.is_none() { body.at("text.div").and_then(Json::as_text).map(html::to_text) } else { None };
    let (display, element) = match matter {
        Some((words, element)) => (tidy::bounded(&words, 300), element),
        None => (super::narrative(body).unwrap_or_else(|| label.clone()), None),
    };
    let status = ["status", "lifecycleStatus", "state"].iter().find_map(|name| body.text(name)).map(tidy::line);
    main_line(&mut lines, &label, &display, status, element, &time, fact);
    details(&mut lines, resource, &display);
    answers(&mut lines, resource, body, 0);
    amounts(&mut lines, body);
    notes(&mut lines, body);
    if let Some(narrative) = narrative.filter(|narrative| *narrative != display) {
        lines.block(&narrative);
    }
    let author = ["author", "requester", "sender", "recorder", "source"].iter().find_map(|name| called(resource, name));
    Page { kind, title: display, lines, effective: time.instant, author }
}

fn main_line(
    lines: &mut Lines,
    label: &str,
    display: &str,
    status: Option<String>,
    element: Option<&Json>,
    time: &When,
    fact: Option<FactKind>,
) {
    let subject = if display == label { String::new() } else { format!(": {display}") };
    let day = time.words.as_ref().map(|words| format!(", {words}")).unwrap_or_default();
    let line =
        format!("{label}{}{subject}{day}{}", status_words(status.as_deref()), element.map(codes).unwrap_or_default());
    let coded = element.map(coded).unwrap_or_default();
    match fact {
        Some(kind) => lines.state(
            &line,
            Statement {
                kind,
                system: coded.system,
                code: coded.code,
                display: display.to_owned(),
                value: None,
                status,
                effective: time.instant,
            },
        ),
        None => {
            lines.push(&line);
        }
    }
}

fn time(body: &Json) -> When {
    let found = TIMES.iter().map(|name| match name.split_once('.') {
        Some((outer, inner)) => body.get(outer).map(|outer| when(outer, inner)).unwrap_or_default(),
        None => when(body, name),
    });
    found.into_iter().find(|time| time.words.is_some()).unwrap_or_default()
}

fn details(lines: &mut Lines, resource: &Resource<'_>, display: &str) {
    for (name, label) in LABELLED {
        let found = resource.body.get(name).and_then(|element| words(resource, element));
        lines.labelled(label, found.filter(|words| words != display));
    }
    for (name, label, parts) in REPEATING {
        for element in resource.body.list(name).iter().filter(|element| element.is_object()) {
            let found = parts.iter().filter_map(|part| words(resource, element.get(part)?)).collect::<Vec<_>>();
            lines.labelled(label, (!found.is_empty()).then(|| found.join(", ")));
        }
    }
}

/// A questionnaire's answers: `question: answer`.
fn answers(lines: &mut Lines, resource: &Resource<'_>, node: &Json, depth: usize) {
    if resource.name != "QuestionnaireResponse" || depth > MAX_ANSWER_DEPTH {
        return;
    }
    for item in node.list("item") {
        let question = item.text("text").or_else(|| item.text("linkId")).map(tidy::line).unwrap_or_default();
        let given =
            joined(item.list("answer").iter().filter_map(|answer| value(answer, "value").map(|(words, _)| words)));
        match given {
            Some(given) => lines.labelled(&question, Some(given)),
            None if depth == 0 => {
                lines.push(&question);
            }
            None => {}
        }
        answers(lines, resource, item, depth + 1);
        item.list("answer").iter().for_each(|answer| answers(lines, resource, answer, depth + 1));
    }
}

fn amounts(lines: &mut Lines, body: &Json) {
    for total in body.list("total") {
        match total.get("amount").and_then(money) {
            Some(amount) => {
                let category = total.get("category").and_then(concept).map(|category| format!(" ({category})"));
                lines.labelled("Total", Some(format!("{amount}{}", category.unwrap_or_default())));
            }
            None => lines.labelled("Total", money(total)),
        }
    }
    for (name, label) in [("totalNet", "Total net"), ("totalGross", "Total gross"), ("priceOverride", "Price")] {
        lines.labelled(label, body.get(name).and_then(money));
    }
    let paid = body.get("payment").filter(|payment| payment.is_object());
    let day = paid.and_then(|payment| payment.text("date")).filter(|day| Timestamp::parse(day).is_some());
    let paid = paid.and_then(|payment| money(payment.get("amount")?));
    lines.labelled("Paid", paid.map(|paid| day.map(|day| format!("{paid} on {day}")).unwrap_or(paid)));
}

fn called(resource: &Resource<'_>, name: &str) -> Option<String> {
    resource.called(resource.body.get(name)?.first()?)
}

/// Any element by its shape: text, concept, reference, quantity, amount, period, or a list of them.
pub(super) fn words(resource: &Resource<'_>, element: &Json) -> Option<String> {
    match element {
        Json::Null => None,
        Json::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Json::Text(_) | Json::Number(_) => element.as_scalar().map(readable_date).map(|text| tidy::line(&text)),
        Json::List(items) => joined(items.iter().filter_map(|item| words(resource, item))),
        Json::Object(_) => object_words(resource, element),
    }
}

fn object_words(resource: &Resource<'_>, element: &Json) -> Option<String> {
    if element.get("reference").is_some() {
        return resource.called(element);
    }
    if element.get("currency").is_some() {
        return money(element);
    }
    if element.get("value").is_some()
        && element.get("system").is_none_or(|system| system.as_text().is_some_and(is_unit))
    {
        return quantity(element);
    }
    period(element)
        .or_else(|| range(element))
        .or_else(|| concept(element))
        .or_else(|| element.text("display").map(tidy::line))
        .or_else(|| {
            words(resource, element.get("actor").or_else(|| element.get("concept")).or_else(|| element.get("name"))?)
        })
}

fn is_unit(system: &str) -> bool {
    system.contains("unitsofmeasure")
}

/// A time is shortened to its day; other text stays as it is.
fn readable_date(text: &str) -> String {
    let dated = text.len() > 10 && text.as_bytes().get(10) == Some(&b'T') && Timestamp::parse(text).is_some();
    if dated { super::elements::date(text) } else { text.to_owned() }
}
