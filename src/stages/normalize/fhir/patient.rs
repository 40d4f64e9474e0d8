//! Patient: demographics, one line each.

use crate::domain::{FactKind, FactValue, Kind};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{address, best_name, capitalized, concept, date, human_name, joined};
use super::{Page, Resource};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let mut lines = Lines::default();
    let name = best_name(body.list("name")).and_then(human_name);
    demographic(&mut lines, "Name", name.clone());
    demographic(&mut lines, "Also known as", other_names(body, name.as_deref()));
    coded(&mut lines, Some("birthDate"), "Born", body.text("birthDate").map(date));
    coded(&mut lines, Some("gender"), "Sex", body.text("gender").map(tidy::line));
    demographic(&mut lines, "Deceased", deceased(body));
    for extension in body.list("extension") {
        extended(&mut lines, extension);
    }
    demographic(&mut lines, "Language", languages(body));
    demographic(&mut lines, "Marital status", body.get("maritalStatus").and_then(concept));
    for place in body.list("address") {
        demographic(&mut lines, "Address", address(place));
    }
    for contact in body.list("telecom") {
        telecom(&mut lines, contact);
    }
    for identifier in body.list("identifier").iter().filter(|identifier| !is_social_security(identifier)) {
        demographic(&mut lines, &identifier_label(identifier), identifier.text("value").map(tidy::line));
    }
    for contact in body.list("contact") {
        demographic(&mut lines, "Contact person", contact_person(contact));
    }
    demographic(&mut lines, "General practitioner", resource.all_called(body.list("generalPractitioner")));
    demographic(&mut lines, "Cared for by", body.get("managingOrganization").and_then(|place| resource.called(place)));
    if body.flag("active") == Some(false) {
        demographic(&mut lines, "Record", Some("not in use".to_owned()));
    }
    if lines.is_empty() {
        lines.push("Patient without demographics");
    }
    Page {
        kind: Kind::Patient,
        title: name.unwrap_or_else(|| "Patient".to_owned()),
        lines,
        effective: None,
        author: None,
    }
}

/// Social security numbers stay out of every text.
pub(super) fn is_social_security(identifier: &Json) -> bool {
    const REGISTERS: [&str; 2] = ["http://hl7.org/fhir/sid/us-ssn", "urn:oid:2.16.840.1.113883.4.1"];
    let codings = identifier.get("type").map(|sort| sort.list("coding")).unwrap_or_default();
    identifier.text("system").is_some_and(|system| REGISTERS.contains(&system))
        || codings.iter().any(|coding| matches!(coding.text("code"), Some("SS" | "SB")))
}

fn demographic(lines: &mut Lines, label: &str, value: Option<String>) {
    coded(lines, None, label, value);
}

/// `code` is the element's own name, by which the list of patients finds the fact.
fn coded(lines: &mut Lines, code: Option<&str>, label: &str, value: Option<String>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    let statement = Statement {
        kind: FactKind::Demographic,
        system: None,
        code: code.map(str::to_owned),
        display: label.to_owned(),
        value: Some(FactValue::Text(value.clone())),
        status: None,
        effective: None,
    };
    lines.state(&format!("{label}: {value}"), statement);
}

fn other_names(body: &Json, best: Option<&str>) -> Option<String> {
    joined(body.list("name").iter().filter_map(human_name).filter(|name| Some(name.as_str()) != best))
}

fn deceased(body: &Json) -> Option<String> {
    match body.flag("deceasedBoolean") {
        Some(true) => Some("yes".to_owned()),
        Some(false) => None,
        None => body.text("deceasedDateTime").map(date),
    }
}

/// US Core race, ethnicity and birth sex, by their own text.
fn extended(lines: &mut Lines, extension: &Json) {
    let Some(url) = extension.text("url") else { return };
    let label = match url.rsplit('/').next().unwrap_or_default() {
        "us-core-race" => "Race",
        "us-core-ethnicity" => "Ethnicity",
        "us-core-birthsex" => "Sex at birth",
        "us-core-genderIdentity" | "individual-genderIdentity" => "Gender identity",
        _ => return,
    };
    let nested = extension.list("extension");
    let text = nested.iter().find(|part| part.text("url") == Some("text")).and_then(|part| part.text("valueString"));
    let coded =
        || nested.iter().filter_map(|part| part.get("valueCoding").or_else(|| part.get("valueCodeableConcept")));
    let plain =
        || extension.text("valueCode").map(tidy::line).or_else(|| concept(extension.get("valueCodeableConcept")?));
    demographic(lines, label, text.map(tidy::line).or_else(|| joined(coded().filter_map(concept))).or_else(plain));
}

fn languages(body: &Json) -> Option<String> {
    joined(body.list("communication").iter().filter_map(|spoken| {
        let language = concept(spoken.get("language")?)?;
        Some(if spoken.flag("preferred") == Some(true) { format!("{language} (preferred)") } else { language })
    }))
}

fn telecom(lines: &mut Lines, contact: &Json) {
    let label = match contact.text("system") {
        Some("email") => "Email".to_owned(),
        Some("url") => "Web address".to_owned(),
        Some(system) => capitalized(&tidy::line(system)),
        None => "Phone".to_owned(),
    };
    let usage = contact.text("use").map(|usage| format!(" ({})", tidy::line(usage))).unwrap_or_default();
    demographic(lines, &label, contact.text("value").map(|value| format!("{}{usage}", tidy::line(value))));
}

fn identifier_label(identifier: &Json) -> String {
    identifier.get("type").and_then(concept).unwrap_or_else(|| "Identifier".to_owned())
}

fn contact_person(contact: &Json) -> Option<String> {
    let name = contact.get("name").and_then(human_name);
    let relationship = joined(contact.list("relationship").iter().filter_map(concept));
    let reached = joined(contact.list("telecom").iter().filter_map(|way| way.text("value").map(tidy::line)));
    let parts = [name, relationship, reached].into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| parts.join(", "))
}
