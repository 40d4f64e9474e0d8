//! Holds a delivery to the types of records that its sender may send, before it lands.

use serde::Deserialize;

use super::reading::read_pieces;
use crate::access::{Denied, Permit};
use crate::adapters::store::RecordOutcome;
use crate::domain::{Changes, Delivery, Format, Outcome, SourceDescription};

/// A merge is of patients, whichever record says so.
const MERGES: &str = "Patient";

/// Every record must be of a type that the permit holds. Only FHIR says of each record, also of one that is taken
/// back, which type it is: other forms need every type. One record that may not be sent holds up the whole delivery.
pub(super) fn check_types(permit: &Permit, delivery: &Delivery, source: &SourceDescription) -> Result<(), Denied> {
    if !matches!(delivery.format, Format::FhirJson | Format::FhirNdjson | Format::FhirXml) {
        return permit.check_type(None);
    }
    read_pieces(delivery, source).iter().try_for_each(|record| check_record(permit, record))
}

fn check_record(permit: &Permit, record: &RecordOutcome) -> Result<(), Denied> {
    let normalized = match &record.result {
        Ok(normalized) => normalized,
        // It would wait in quarantine, to be read once that is possible.
        Err(_) => return permit.check_type(stated_type(&record.bytes).as_deref()),
    };
    match &normalized.outcome {
        Outcome::Documents(documents) => {
            documents.iter().try_for_each(|document| permit.check_type(Some(&document.resource_type)))
        }
        Outcome::Removed { source_key } => permit.check_type(type_of_key(source_key)),
        Outcome::Changes(changes) => check_changes(permit, changes),
        Outcome::CarriesNothing { name } => {
            permit.check_type(Some(name).filter(|name| is_type(name)).map(String::as_str))
        }
    }
}

fn check_changes(permit: &Permit, changes: &Changes) -> Result<(), Denied> {
    changes.merges.iter().try_for_each(|_| permit.check_type(Some(MERGES)))?;
    changes.removals.iter().try_for_each(|removal| permit.check_type(type_of_key(&removal.source_key)))?;
    changes.documents.iter().try_for_each(|document| permit.check_type(Some(&document.resource_type)))
}

/// `Observation` of `Observation/7`.
fn type_of_key(key: &str) -> Option<&str> {
    key.split_once('/').map(|(resource_type, _)| resource_type).filter(|resource_type| is_type(resource_type))
}

/// What a record says that it is, though it can't be read as such. A Bundle's records may be of any type.
fn stated_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stated {
        resource_type: String,
    }
    serde_json::from_slice::<Stated>(bytes)
        .ok()
        .map(|stated| stated.resource_type)
        .filter(|name| is_type(name) && name != "Bundle")
}

/// A name as FHIR types have; nothing else is given back as a scope.
fn is_type(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphabetic())
}
