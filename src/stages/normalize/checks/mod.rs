//! Quality checks on a resource that can be read: findings carry an element's path, never its value.

pub(in crate::stages) mod bundle;
mod narrative;
mod structure;
mod values;

use std::collections::HashSet;

use crate::domain::{Finding, QuarantineReason, Severity, Unreadable};

use super::codes;
use super::fhir::elements::system_name;
use super::fhir::{Resource, Target};
use super::json::Json;

/// Past this, a record's findings say nothing new.
const MAX_FINDINGS: usize = 100;

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
    let mut checker = Checker::new(resource);
    checker.people_and_medication();
    checker.resource(resource.name, resource.body, &mut resource.name.to_owned(), 0);
    let mut findings = checker.findings;
    findings.truncate(MAX_FINDINGS);
    findings
}

struct Checker<'a, 'b> {
    resource: &'b Resource<'a>,
    findings: Vec<Finding>,
    element_ids: HashSet<String>,
}

impl<'a, 'b> Checker<'a, 'b> {
    fn new(resource: &'b Resource<'a>) -> Self {
        Self { resource, findings: Vec::new(), element_ids: HashSet::new() }
    }

    fn add(&mut self, rule: &str, severity: Severity, path: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { rule: rule.to_owned(), severity, path });
        }
    }

    fn is_full(&self) -> bool {
        self.findings.len() >= MAX_FINDINGS
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

    /// What an element's text says by itself, wherever it stands.
    fn told(&mut self, name: &str, text: &str, path: &str) {
        if name == "reference" {
            match self.resource.target(text.trim()) {
                Target::Missing if text.starts_with('#') => {
                    self.add("unresolved_reference", Severity::Error, path.to_owned());
                }
                Target::Missing => self.add("unresolved_reference", Severity::Warning, path.to_owned()),
                Target::Record(key) if self.resource.is_closed && !self.resource.is_beside(&key) => {
                    self.add("unresolved_reference", Severity::Error, path.to_owned());
                }
                _ => {}
            }
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

/// FHIR's own names only, so that no sender's text gets into a path.
fn is_element_name(name: &str) -> bool {
    let bare = name.strip_prefix('_').unwrap_or(name);
    bare == "resourceType"
        || (bare.len() <= 48
            && bare.starts_with(|c: char| c.is_ascii_lowercase())
            && bare.bytes().all(|b| b.is_ascii_alphanumeric()))
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
        let found = findings("Patient", r##"{"Ada Rivers":{"reference":"#x"}}"##);
        let found = found.iter().map(|(rule, path)| (rule.as_str(), path.as_str())).collect::<Vec<_>>();
        assert_eq!(found, [("unknown_element", "Patient.?"), ("unresolved_reference", "Patient.?.reference")]);
    }
}
