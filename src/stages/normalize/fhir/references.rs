//! Follows references: to records by key, to contained resources, to the patient and the encounter.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{PatientId, Timestamp};

use super::super::json::Json;
use super::super::tidy;
use super::{elements, names};

/// One FHIR resource with all that its references need.
#[derive(Clone, Copy)]
pub(in crate::stages) struct Resource<'a> {
    pub name: &'a str,
    pub body: &'a Json,
    pub full_url: Option<&'a str>,
    pub links: &'a BTreeMap<String, String>,
    /// Other entries of the same Bundle, by `Type/id`.
    pub companions: &'a BTreeMap<String, Arc<[u8]>>,
    /// When the Bundle says that it was last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether all that it refers to should be in the same Bundle: a document.
    pub is_closed: bool,
    /// The source's patient namespace.
    pub namespace: &'a str,
}

#[derive(Debug, PartialEq)]
pub(in crate::stages) enum Target<'a> {
    /// `Type/id`; the id of a record without one is its `fullUrl`.
    Record(String),
    Contained(&'a Json),
    /// Another place than this source's records, such as a conditional reference.
    Elsewhere,
    /// Should be in this very Bundle or resource, and isn't.
    Missing,
}

/// Elements that may name whom a resource is about, in order of preference.
const PATIENT_ELEMENTS: [&str; 6] = ["subject", "patient", "beneficiary", "for", "individual", "candidate"];

impl<'a> Resource<'a> {
    pub fn target(&self, reference: &str) -> Target<'a> {
        if let Some(local) = reference.strip_prefix('#') {
            return self.contained(local).map_or(Target::Missing, Target::Contained);
        }
        let bare = reference.split("/_history/").next().unwrap_or(reference);
        if let Some(key) = self.links.get(reference).or_else(|| self.links.get(bare)) {
            return Target::Record(key.clone());
        }
        if reference.starts_with("urn:uuid:") || reference.starts_with("urn:oid:") {
            return Target::Missing;
        }
        record_key(bare).map_or(Target::Elsewhere, Target::Record)
    }

    /// Whether the same Bundle holds that record.
    pub fn is_beside(&self, key: &str) -> bool {
        self.links.contains_key(key)
    }

    fn contained(&self, local: &str) -> Option<&'a Json> {
        if local.is_empty() {
            return Some(self.body);
        }
        self.body
            .list("contained")
            .iter()
            .find(|resource| resource.text("id").is_some_and(|id| id == local || id.strip_prefix('#') == Some(local)))
    }

    /// What a Reference is called: its display, else the own name of what it leads to.
    pub fn called(&self, reference: &Json) -> Option<String> {
        if let Some(display) = reference.text("display") {
            return Some(tidy::line(display));
        }
        let found = self.looked_up(reference)?;
        let person = || self.called_once(found.get("practitioner")?);
        own_name(&found).or_else(person)
    }

    /// As `called`, but a name that itself only refers on is nobody's.
    fn called_once(&self, reference: &Json) -> Option<String> {
        let display = reference.text("display").map(tidy::line);
        display.or_else(|| own_name(self.looked_up(reference)?.as_ref()))
    }

    /// The resource that a Reference leads to, contained or in the same Bundle.
    pub fn looked_up(&self, reference: &Json) -> Option<Cow<'a, Json>> {
        match self.target(reference.text("reference")?) {
            Target::Contained(resource) => Some(Cow::Borrowed(resource)),
            Target::Record(key) => self.companion(&key).map(Cow::Owned),
            Target::Elsewhere | Target::Missing => None,
        }
    }

    pub(super) fn companion(&self, key: &str) -> Option<Json> {
        let bytes = self.companions.get(key)?;
        Json::parse(std::str::from_utf8(bytes).ok()?).ok()
    }

    pub fn all_called(&self, references: &[Json]) -> Option<String> {
        elements::joined(references.iter().filter_map(|reference| self.called(reference)))
    }

    /// A CodeableConcept, or the name of what a Reference points at.
    pub fn concept_or_called(&self, element: &Json) -> Option<String> {
        elements::concept(element).or_else(|| self.called(element))
    }

    /// The contained resource that a Reference points at.
    pub fn contained_at(&self, reference: &Json) -> Option<&'a Json> {
        match self.target(reference.text("reference")?) {
            Target::Contained(resource) => Some(resource),
            _ => None,
        }
    }

    /// Whom the resource is about, in the source's namespace; nobody when it is about several people at once.
    pub fn patient(&self) -> Option<PatientId> {
        let mut patients = self.patients();
        if patients.len() == 1 { patients.pop() } else { None }
    }

    /// Every patient that the first element to name one names.
    pub fn patients(&self) -> Vec<PatientId> {
        if self.name == "Patient" {
            let local = self.body.text("id").or(self.full_url);
            return local.map(|local| PatientId::in_namespace(self.namespace, local)).into_iter().collect();
        }
        let direct = PATIENT_ELEMENTS.iter().map(|name| self.body.list(name).iter().collect::<Vec<_>>());
        let actors = self.body.list("participant").iter().filter_map(|participant| participant.get("actor"));
        let actors = actors.chain(self.body.get("actor")).collect();
        for references in direct.chain([actors]) {
            let objects = references.into_iter().filter(|reference| reference.is_object());
            let mut patients: Vec<PatientId> = objects.filter_map(|reference| self.patient_at(reference)).collect();
            patients.sort_unstable();
            patients.dedup();
            if !patients.is_empty() {
                return patients;
            }
        }
        Vec::new()
    }

    /// The patient that a Reference leads to.
    pub fn patient_at(&self, reference: &Json) -> Option<PatientId> {
        let local = match reference.text("reference").map(|text| self.target(text)) {
            Some(Target::Record(key)) => key.strip_prefix("Patient/")?.to_owned(),
            Some(Target::Contained(patient)) if patient.text("resourceType") == Some("Patient") => {
                logical_id(patient.at("identifier")?)?
            }
            Some(Target::Contained(_) | Target::Missing) => return None,
            Some(Target::Elsewhere) | None => {
                let is_patient = reference.text("type").is_none_or(|name| name == "Patient");
                is_patient.then(|| logical_id(reference.get("identifier")?))??
            }
        };
        Some(PatientId::in_namespace(self.namespace, &local))
    }

    /// The key of the encounter it belongs to, as that encounter's own document has it.
    pub fn encounter(&self) -> Option<String> {
        if self.name == "Encounter" {
            return None;
        }
        let places = ["encounter", "context.encounter", "context", "item.encounter"];
        places.iter().filter_map(|place| self.body.at(place)?.text("reference")).find_map(|reference| {
            match self.target(reference) {
                Target::Record(key) if key.starts_with("Encounter/") => Some(document_key(key)),
                _ => None,
            }
        })
    }
}

/// `Type/id` of a relative or absolute reference; `None` when it names no record.
fn record_key(reference: &str) -> Option<String> {
    if reference.contains(['?', '#']) {
        return None;
    }
    let mut parts = reference.rsplit('/');
    let (id, name) = (parts.next()?, parts.next()?);
    (!id.is_empty() && names::treatment(name).is_some()).then(|| format!("{name}/{id}"))
}

/// Records without an id are keyed by their `fullUrl` alone.
fn document_key(key: String) -> String {
    match key.split_once('/') {
        Some((_, id)) if id.starts_with("urn:") || id.contains("://") => id.to_owned(),
        _ => key,
    }
}

/// `system|value`, which no plain id can equal: an identifier of another register is not an id of this source.
fn logical_id(identifier: &Json) -> Option<String> {
    let value = identifier.text("value")?;
    Some(format!("{}|{value}", identifier.text("system").unwrap_or_default()))
}

/// What a contained resource calls itself.
fn own_name(resource: &Json) -> Option<String> {
    elements::best_name(resource.list("name"))
        .and_then(elements::human_name)
        .or_else(|| resource.get("code").or_else(|| resource.get("type")).and_then(elements::concept))
        .or_else(|| resource.text("title").map(tidy::line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource<'a>(name: &'a str, body: &'a Json, links: &'a BTreeMap<String, String>) -> Resource<'a> {
        Resource { links, ..super::super::tests::alone(name, body) }
    }

    fn patient_of(body: &str, links: &[(&str, &str)]) -> Option<String> {
        let body = Json::parse(body).unwrap();
        let links = links.iter().map(|(url, key)| (url.to_string(), key.to_string())).collect();
        resource("Observation", &body, &links).patient().map(|id| id.to_string())
    }

    #[test]
    fn every_form_of_reference_leads_to_the_patient() {
        for reference in ["Patient/7", "https://ehr.example/fhir/Patient/7", "Patient/7/_history/2", "urn:uuid:a-b"] {
            let body = format!(r#"{{"subject":{{"reference":"{reference}"}}}}"#);
            assert_eq!(patient_of(&body, &[("urn:uuid:a-b", "Patient/7")]).as_deref(), Some("7"), "{reference}");
        }
    }

    #[test]
    fn what_is_no_patient_of_this_source_stays_none() {
        for reference in ["Group/7", "urn:uuid:unknown", "#missing", "Patient?identifier=1", "Patient/"] {
            assert_eq!(
                patient_of(&format!(r#"{{"subject":{{"reference":"{reference}"}}}}"#), &[]),
                None,
                "{reference}"
            );
        }
    }

    #[test]
    fn what_is_about_two_people_is_nobodys() {
        let body = r#"{"participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Patient/2"}}]}"#;
        assert_eq!(patient_of(body, &[]), None);
        assert_eq!(patient_of(&body.replace("Patient/2", "Practitioner/2"), &[]).as_deref(), Some("1"));
    }

    #[test]
    fn a_logical_identifier_is_never_taken_for_an_id() {
        let body = r#"{"subject":{"identifier":{"system":"urn:mrn","value":"7"}}}"#;
        assert_eq!(patient_of(body, &[]).as_deref(), Some("urn:mrn|7"));
    }

    #[test]
    fn a_contained_resource_gives_its_name() {
        let body = Json::parse(
            r##"{"contained":[{"resourceType":"Practitioner","id":"p","name":[{"given":["Ina"],"family":"Holt"}]}],
                "author":{"reference":"#p"}}"##,
        )
        .unwrap();
        let links = BTreeMap::new();
        let resource = resource("Composition", &body, &links);
        assert_eq!(resource.called(body.get("author").unwrap()).as_deref(), Some("Ina Holt"));
    }
}
