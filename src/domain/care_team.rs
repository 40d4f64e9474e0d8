//! Who looks after a patient (FHIR CareTeam), in the form that access is judged by.

use super::{PatientId, Timestamp};

/// Somebody's time in a patient's care team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// A reference, as the team has it: `Practitioner/7`.
    pub member: String,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// A patient's care team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CareTeam {
    pub patient: PatientId,
    pub members: Vec<Membership>,
}
