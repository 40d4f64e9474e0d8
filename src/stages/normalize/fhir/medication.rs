//! MedicationRequest, -Statement, -Dispense and -Administration: what, in what standing, how taken.

use std::borrow::Cow;

use crate::domain::{FactKind, Kind, QuarantineReason, Unreadable};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{When, capitalized, coded, codes, concept, concepts, joined, quantity, range, ratio, when};
use super::{Page, Resource, Target, notes};

pub(super) fn render(resource: &Resource<'_>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let (display, element) = medication(resource).ok_or_else(|| {
        Unreadable::new(
            QuarantineReason::InvalidResource,
            format!("{}.medication[x] names no medication", resource.name),
        )
    })?;
    let (time, verb) = time(resource);
    let details = time.words.as_ref().map(|words| format!(", {verb}{words}")).unwrap_or_default();
    let forbidden = body.flag("doNotPerform") == Some(true);
    let status = body.text("status").map(tidy::line);
    let coded = element.as_deref().map(coded).unwrap_or_default();
    let mut lines = Lines::default();
    lines.state(
        &format!(
            "{}: {display}{details}{}",
            heading(resource, forbidden, status.as_deref()),
            element.as_deref().map(codes).unwrap_or_default()
        ),
        Statement {
            kind: FactKind::Medication,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: if forbidden { Some("do-not-perform".to_owned()) } else { status },
            effective: time.instant,
        },
    );
    for dosage in body.list("dosageInstruction").iter().chain(body.list("dosage")) {
        lines.labelled("Dosage", dosage_words(dosage));
    }
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons);
    let standing = body.list("statusReason").iter().chain(body.list("statusReasonCodeableConcept"));
    lines.labelled("Status reason", joined(standing.filter_map(concept)));
    lines.labelled("Quantity", body.get("quantity").and_then(quantity));
    lines.labelled("Days of supply", body.get("daysSupply").and_then(quantity));
    lines.labelled("Dispense", body.get("dispenseRequest").and_then(dispense_words));
    if body.at("substitution.allowedBoolean") == Some(&Json::Bool(false)) {
        lines.push("Substitution: not allowed");
    }
    notes(&mut lines, body);
    Ok(Page { kind: Kind::Medication, title: display, lines, effective: time.instant, author: author(resource) })
}

/// The medication's name, and the concept that codes it; a Medication contained or sent along is looked into.
fn medication<'a>(resource: &Resource<'a>) -> Option<(String, Option<Cow<'a, Json>>)> {
    let body = resource.body;
    if let Some(element) = body.get("medicationCodeableConcept")
        && let Some(name) = concept(element)
    {
        return Some((name, Some(Cow::Borrowed(element))));
    }
    let reference = body.get("medicationReference").or_else(|| body.at("medication.reference"));
    if let Some(reference) = reference.filter(|reference| reference.is_object()) {
        let found = resource.looked_up(reference);
        let element = found.as_deref().and_then(|medication| medication.get("code")).cloned();
        let ingredients = || {
            let parts = found.as_deref()?.list("ingredient").iter();
            joined(parts.filter_map(|part| concept(part.get("itemCodeableConcept")?)))
        };
        let name = element.as_ref().and_then(concept).or_else(|| resource.called(reference)).or_else(ingredients);
        if let Some(name) = name {
            return Some((name, element.map(Cow::Owned)));
        }
        if let Some(Target::Record(key)) = reference.text("reference").map(|text| resource.target(text)) {
            return Some((format!("{} (named in that record)", tidy::bounded(&key, 100)), None));
        }
    }
    let element = body.get("medication")?;
    Some((concept(element)?, Some(Cow::Borrowed(element))))
}

fn time(resource: &Resource<'_>) -> (When, &'static str) {
    let body = resource.body;
    let candidates: &[(&str, &'static str)] = match resource.name {
        "MedicationRequest" => &[("authoredOn", "ordered ")],
        "MedicationDispense" => &[("whenHandedOver", "handed over "), ("whenPrepared", "prepared ")],
        "MedicationAdministration" => &[("effective", "given ")],
        _ => &[("effective", ""), ("dateAsserted", "stated ")],
    };
    let found = candidates.iter().map(|(stem, verb)| (when(body, stem), *verb)).find(|(time, _)| time.words.is_some());
    let (time, verb) = found.unwrap_or((When::default(), ""));
    let withheld = matches!(body.text("status"), Some("not-done" | "not-taken"));
    (time, if withheld { "" } else { verb })
}

fn heading(resource: &Resource<'_>, forbidden: bool, status: Option<&str>) -> String {
    let noun = match (resource.name, resource.body.text("intent"), status) {
        ("MedicationRequest", Some("plan"), _) => "Medication plan",
        ("MedicationRequest", Some("proposal"), _) => "Medication proposal",
        ("MedicationRequest", _, _) => "Medication order",
        ("MedicationDispense", _, _) => "Medication dispensed",
        ("MedicationAdministration", _, Some("not-done")) => "Medication not given",
        ("MedicationAdministration", _, _) => "Medication given",
        (_, _, Some("not-taken")) => "Medication not taken",
        _ => "Medication use",
    };
    let denied = noun.starts_with("Medication not") && !forbidden;
    let status = super::status_words(status.filter(|_| !denied));
    if forbidden { format!("Do not give{status}") } else { format!("{noun}{status}") }
}

fn dosage_words(dosage: &Json) -> Option<String> {
    if let Some(text) = dosage.text("text") {
        return Some(match dosage.text("patientInstruction").filter(|extra| *extra != text) {
            Some(extra) => format!("{text}; {extra}"),
            None => text.to_owned(),
        });
    }
    let single = dosage.list("doseAndRate").first().unwrap_or(dosage);
    let dose = single
        .get("doseQuantity")
        .or_else(|| single.get("dose"))
        .and_then(quantity)
        .or_else(|| single.get("doseRange").and_then(range))
        .or_else(|| single.get("rateQuantity").and_then(quantity))
        .or_else(|| single.get("rateRatio").and_then(ratio));
    let needed = match dosage.get("asNeededBoolean") {
        Some(Json::Bool(true)) => Some("as needed".to_owned()),
        _ => dosage.get("asNeededCodeableConcept").and_then(concept).map(|reason| format!("as needed for {reason}")),
    };
    let parts = [
        dose,
        dosage.get("route").and_then(concept).map(|route| route.to_lowercase()),
        dosage.get("timing").and_then(timing),
        needed,
        concepts(dosage.list("additionalInstruction")),
        dosage.text("patientInstruction").map(tidy::line),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `2 times every 1 day`, or the code's own words.
fn timing(timing: &Json) -> Option<String> {
    if let Some(words) = timing.get("code").and_then(concept) {
        return Some(words);
    }
    let repeat = timing.get("repeat")?;
    let unit = repeat.text("periodUnit").map(|unit| match unit {
        "s" => "seconds",
        "min" => "minutes",
        "h" => "hours",
        "d" => "days",
        "wk" => "weeks",
        "mo" => "months",
        "a" => "years",
        other => other,
    });
    let times =
        repeat.scalar("frequency").map(|count| if count == "1" { "once".into() } else { format!("{count} times") });
    let every = match (repeat.scalar("period"), unit) {
        (Some("1"), Some(unit)) => Some(format!("every {}", unit.trim_end_matches('s'))),
        (Some(period), Some(unit)) => Some(format!("every {period} {unit}")),
        _ => None,
    };
    let moments =
        repeat.list("when").iter().chain(repeat.list("timeOfDay")).filter_map(Json::as_text).map(str::to_owned);
    let words = [times, every].into_iter().flatten().chain(moments).collect::<Vec<_>>();
    (!words.is_empty()).then(|| words.join(" "))
}

fn dispense_words(request: &Json) -> Option<String> {
    let parts = [
        request.get("quantity").and_then(quantity),
        request.get("expectedSupplyDuration").and_then(quantity).map(|supply| format!("supply for {supply}")),
        request.scalar("numberOfRepeatsAllowed").map(|count| format!("{count} refills")),
        request.get("validityPeriod").and_then(super::elements::period).map(|period| format!("valid {period}")),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| capitalized(&parts.join(", ")))
}

fn author(resource: &Resource<'_>) -> Option<String> {
    let body = resource.body;
    let person = body.get("requester").or_else(|| body.get("informationSource")).or_else(|| body.get("recorder"));
    person.and_then(|person| resource.called(person)).or_else(|| {
        joined(body.list("performer").iter().filter_map(|performer| resource.called(performer.get("actor")?)))
    })
}
