//! Typed lines: what a structured resource states, tied to the text line that says it.

use serde::{Deserialize, Serialize};

use super::{DocumentKey, PatientId, SourceId, Span, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    Demographic,
    Encounter,
    Condition,
    Medication,
    Allergy,
    Observation,
    Procedure,
    Immunization,
    CarePlan,
    Appointment,
    Contact,
    Claim,
    Coverage,
}

impl FactKind {
    pub const ALL: [FactKind; 13] = [
        Self::Demographic,
        Self::Encounter,
        Self::Condition,
        Self::Medication,
        Self::Allergy,
        Self::Observation,
        Self::Procedure,
        Self::Immunization,
        Self::CarePlan,
        Self::Appointment,
        Self::Contact,
        Self::Claim,
        Self::Coverage,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Demographic => "demographic",
            Self::Encounter => "encounter",
            Self::Condition => "condition",
            Self::Medication => "medication",
            Self::Allergy => "allergy",
            Self::Observation => "observation",
            Self::Procedure => "procedure",
            Self::Immunization => "immunization",
            Self::CarePlan => "care_plan",
            Self::Appointment => "appointment",
            Self::Contact => "contact",
            Self::Claim => "claim",
            Self::Coverage => "coverage",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A value as the source gave it: a number keeps its unit, anything else is text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FactValue {
    Quantity { value: f64, unit: Option<String> },
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    pub kind: FactKind,
    /// Code system URI, where the source coded it.
    pub system: Option<String>,
    pub code: Option<String>,
    /// What a person calls it: `Hemoglobin A1c`, `Lisinopril 10 mg tablet`.
    pub display: String,
    pub value: Option<FactValue>,
    /// The source's status word: `active`, `final`, `booked`, `resolved`.
    pub status: Option<String>,
    pub effective: Option<Timestamp>,
    /// The line of the document's text that states it.
    pub span: Span,
}

/// A fact within reach of a caller, with what it takes to cite it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFact {
    pub key: DocumentKey,
    pub source: SourceId,
    pub patient: Option<PatientId>,
    pub fact: Fact,
    /// The text at the fact's span.
    pub line: String,
    pub source_time: Option<Timestamp>,
    pub received_at: Timestamp,
}
