//! Quality checks on a resource that can be read: findings carry an element's path, never its value.

use crate::domain::{Finding, QuarantineReason, Severity, Timestamp, Unreadable};

use super::codes;
use super::fhir::elements::system_name;
use super::fhir::{Resource, Target};
use super::json::Json;

/// Past this, a record's findings say nothing new.
const MAX_FINDINGS: usize = 100;

/// Elements that R4 requires, where a reader would miss them.
const REQUIRED: [(&str, &[&str]); 23] = [
    ("AllergyIntolerance", &["patient"]),
    ("Appointment", &["status", "participant"]),
    ("CarePlan", &["status", "intent", "subject"]),
    ("Claim", &["status", "patient", "use"]),
    ("Communication", &["status"]),
    ("Composition", &["status", "type", "date", "title"]),
    ("Condition", &["subject"]),
    ("Coverage", &["status", "beneficiary"]),
    ("DiagnosticReport", &["status", "code"]),
    ("DocumentReference", &["status", "content"]),
    ("Encounter", &["status", "class"]),
    ("ExplanationOfBenefit", &["status", "patient", "outcome"]),
    ("FamilyMemberHistory", &["status", "patient", "relationship"]),
    ("Flag", &["status", "code", "subject"]),
    ("Goal", &["lifecycleStatus", "description", "subject"]),
    ("Immunization", &["status", "vaccineCode", "patient", "occurrenceDateTime|occurrenceString"]),
    ("MedicationAdministration", &["status", "subject", "effectiveDateTime|effectivePeriod"]),
    ("MedicationDispense", &["status"]),
    ("MedicationRequest", &["status", "intent", "subject"]),
    ("MedicationStatement", &["status", "subject"]),
    ("Observation", &["status", "code"]),
    ("Procedure", &["status", "subject"]),
    ("ServiceRequest", &["status", "intent", "subject"]),
];

/// Elements of type date, dateTime or instant.
const DATES: [&str; 31] = [
    "abatementDateTime",
    "assertedDate",
    "authored",
    "authoredOn",
    "birthDate",
    "created",
    "dateAsserted",
    "dateTime",
    "deceasedDateTime",
    "effectiveDateTime",
    "effectiveInstant",
    "end",
    "expirationDate",
    "issued",
    "lastOccurrence",
    "lastUpdated",
    "occurrenceDateTime",
    "onsetDateTime",
    "performedDateTime",
    "received",
    "recorded",
    "recordedDate",
    "sent",
    "servicedDate",
    "start",
    "startDate",
    "started",
    "statusDate",
    "valueDate",
    "valueDateTime",
    "whenHandedOver",
];

/// What each essential must be, wherever it is given.
const SHAPES: [(&str, Shape); 12] = [
    ("id", Shape::Text),
    ("status", Shape::Text),
    ("meta", Shape::Object),
    ("code", Shape::Object),
    ("vaccineCode", Shape::Object),
    ("medicationCodeableConcept", Shape::Object),
    ("medicationReference", Shape::Object),
    ("subject", Shape::ObjectOrList),
    ("patient", Shape::Object),
    ("content", Shape::List),
    ("component", Shape::List),
    ("participant", Shape::List),
];

/// Types whose elements are all of the shapes above.
const SHAPED: [&str; 15] = [
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Patient",
    "Procedure",
];

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Object,
    ObjectOrList,
    List,
}

impl Shape {
    fn fits(self, value: &Json) -> bool {
        match self {
            Self::Text => matches!(value, Json::Text(_)),
            Self::Object => value.is_object(),
            Self::ObjectOrList => matches!(value, Json::Object(_) | Json::List(_)),
            Self::List => matches!(value, Json::List(_)),
        }
    }
}

/// Refuses a resource whose essential elements have the wrong JSON type.
pub(super) fn shape(name: &str, body: &Json) -> Result<(), Unreadable> {
    let shapes = SHAPES.iter().filter(|(element, _)| *element == "id" || SHAPED.contains(&name));
    for (element, shape) in shapes {
        if body.get(element).is_some_and(|value| !shape.fits(value)) {
            let detail = format!("{name}.{element} has the wrong type");
            return Err(Unreadable::new(QuarantineReason::InvalidResource, detail));
        }
    }
    Ok(())
}

/// Every check, in the order of the elements.
pub(super) fn check(resource: &Resource<'_>) -> Vec<Finding> {
    let mut checker = Checker { resource, findings: Vec::new() };
    checker.required();
    checker.people_and_medication();
    checker.walk(resource.body, &mut resource.name.to_owned());
    let mut findings = checker.findings;
    findings.truncate(MAX_FINDINGS);
    findings
}

struct Checker<'a, 'b> {
    resource: &'b Resource<'a>,
    findings: Vec<Finding>,
}

impl Checker<'_, '_> {
    fn add(&mut self, rule: &str, severity: Severity, path: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { rule: rule.to_owned(), severity, path });
        }
    }

    fn required(&mut self) {
        let resource = self.resource;
        let Some((_, elements)) = REQUIRED.iter().find(|(name, _)| *name == resource.name) else { return };
        for element in *elements {
            if !element.split('|').any(|choice| is_filled(resource.body.get(choice))) {
                let first = element.split('|').next().unwrap_or(element);
                self.add("required_field", Severity::Error, format!("{}.{first}", resource.name));
            }
        }
    }

    /// About several patients it is kept under none; a medication of another record can't be named here.
    fn people_and_medication(&mut self) {
        let resource = self.resource;
        if resource.patients().len() > 1 {
            self.add("several_patients", Severity::Warning, resource.name.to_owned());
        }
        let medication = resource.body.get("medicationReference");
        if let Some(reference) = medication.and_then(|medication| medication.text("reference"))
            && matches!(resource.target(reference), Target::Record(_))
            && medication.and_then(|medication| resource.called(medication)).is_none()
        {
            let path = format!("{}.medicationReference", resource.name);
            self.add("unresolved_reference", Severity::Warning, path);
        }
    }

    fn walk(&mut self, node: &Json, path: &mut String) {
        self.coding(node, path);
        for (name, value) in node.members() {
            let length = path.len();
            path.push('.');
            path.push_str(if is_element_name(name) { name } else { "?" });
            self.element(name, value, path);
            match value {
                Json::List(items) => self.walk_items(items, path),
                Json::Object(_) => self.walk(value, path),
                _ => {}
            }
            path.truncate(length);
        }
    }

    fn walk_items(&mut self, items: &[Json], path: &mut String) {
        for (position, item) in items.iter().enumerate() {
            let length = path.len();
            path.push_str(&format!("[{position}]"));
            match item {
                Json::List(inner) => self.walk_items(inner, path),
                _ => self.walk(item, path),
            }
            path.truncate(length);
        }
    }

    fn element(&mut self, name: &str, value: &Json, path: &str) {
        let Json::Text(text) = value else { return };
        if DATES.contains(&name) && !is_date(text) {
            self.add("invalid_date", Severity::Error, path.to_owned());
        }
        if name == "reference" && self.resource.target(text.trim()) == Target::Missing {
            self.add("unresolved_reference", Severity::Warning, path.to_owned());
        }
        if name == "code" && path.contains(".meta.tag") && text == "SUBSETTED" {
            self.add("subsetted", Severity::Warning, path.to_owned());
        }
    }

    fn coding(&mut self, node: &Json, path: &str) {
        let (Some(system), Some(code)) = (node.text("system"), node.text("code")) else { return };
        let known = system_name(system).and_then(|system| codes::well_formed(system, code));
        if known == Some(false) {
            self.add("code_format", Severity::Warning, format!("{path}.code"));
        }
    }
}

fn is_filled(value: Option<&Json>) -> bool {
    match value {
        Some(Json::List(items)) => !items.is_empty(),
        Some(Json::Text(text)) => !text.trim().is_empty(),
        Some(_) => true,
        None => false,
    }
}

/// FHIR's own names only, so that no sender's text gets into a path.
fn is_element_name(name: &str) -> bool {
    let bare = name.strip_prefix('_').unwrap_or(name);
    bare == "resourceType"
        || (bare.len() <= 48
            && bare.starts_with(|c: char| c.is_ascii_lowercase())
            && bare.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// FHIR's date, dateTime and instant: a time of day needs an offset, but a missing one can be lived with.
fn is_date(text: &str) -> bool {
    let shaped = text.bytes().take(4).filter(u8::is_ascii_digit).count() == 4
        && text.as_bytes().get(10).is_none_or(|b| *b == b'T');
    shaped && Timestamp::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn findings(name: &str, body: &str) -> Vec<(String, String)> {
        let body = Json::parse(body).unwrap();
        let links = BTreeMap::from([("urn:uuid:known".to_owned(), "Patient/1".to_owned())]);
        let resource = Resource { links: &links, ..crate::stages::normalize::fhir::tests::alone(name, &body) };
        check(&resource).into_iter().map(|finding| (finding.rule, finding.path)).collect()
    }

    #[test]
    fn a_clean_resource_has_no_findings() {
        let body = r#"{"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"4548-4"}]},
            "subject":{"reference":"urn:uuid:known"},"effectiveDateTime":"2020-01-01T10:00:00Z"}"#;
        assert_eq!(findings("Observation", body), []);
    }

    #[test]
    fn each_rule_names_the_element_and_no_value() {
        let body = r##"{"code":{"coding":[{"system":"http://loinc.org","code":"4548-1"}]},
            "subject":{"reference":"urn:uuid:unknown"},"performer":[{"reference":"#gone"}],
            "effectiveDateTime":"someday"}"##;
        let expected = [
            ("required_field", "Observation.status"),
            ("code_format", "Observation.code.coding[0].code"),
            ("unresolved_reference", "Observation.subject.reference"),
            ("unresolved_reference", "Observation.performer[0].reference"),
            ("invalid_date", "Observation.effectiveDateTime"),
        ];
        let found = findings("Observation", body);
        let found = found.iter().map(|(rule, path)| (rule.as_str(), path.as_str())).collect::<Vec<_>>();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_essential_of_the_wrong_type_is_refused() {
        let body = Json::parse(r#"{"id":"1","code":"A1c"}"#).unwrap();
        let refused = shape("Observation", &body).unwrap_err();
        assert_eq!(refused.detail, "Observation.code has the wrong type");
    }

    #[test]
    fn a_senders_own_member_names_stay_out_of_paths() {
        let found = findings("Patient", r#"{"Ada Rivers":{"birthDate":"x"}}"#);
        assert_eq!(found, [("invalid_date".to_owned(), "Patient.?.birthDate".to_owned())]);
    }
}
