//! What a patient permits and denies (FHIR Consent), in the form that access is judged by.

use super::{PatientId, Timestamp};

/// One provision: whom and what it is about, what it says, and its exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Provision {
    pub denies: bool,
    /// Who: references or identifiers; empty means everybody.
    pub actors: Vec<String>,
    /// When the rule holds.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Of when the data is.
    pub data_from: Option<Timestamp>,
    pub data_to: Option<Timestamp>,
    /// Security labels; empty means any.
    pub labels: Vec<String>,
    /// FHIR types; empty means any.
    pub types: Vec<String>,
    /// `system|code` of what the record is about; empty means any.
    pub codes: Vec<String>,
    /// Purposes of use; empty means any.
    pub purposes: Vec<String>,
    pub exceptions: Vec<Provision>,
}

/// A patient's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    pub patient: PatientId,
    pub provision: Provision,
}
