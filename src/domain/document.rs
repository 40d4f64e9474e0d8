//! A document: one record's normalized, readable text with its provenance.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{DocumentId, Fact, PatientId, ReceiptId, Section, SourceId, Timestamp};

/// One state of one record for ever; all that is derived carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentKey {
    pub id: DocumentId,
    /// Counted by us from 1.
    pub version: u32,
}

/// What sort of thing a document is, for people and filters. The FHIR type beside it decides scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Note,
    Report,
    Patient,
    Encounter,
    Problem,
    Medication,
    Allergy,
    Result,
    Procedure,
    Immunization,
    CarePlan,
    Appointment,
    /// CRM mail, call, message.
    Contact,
    /// CRM case or task.
    Task,
    Claim,
    /// Insurance: who covers whom, and what a payer said about it.
    Coverage,
    Other,
}

impl Kind {
    pub const ALL: [Kind; 17] = [
        Kind::Note,
        Kind::Report,
        Kind::Patient,
        Kind::Encounter,
        Kind::Problem,
        Kind::Medication,
        Kind::Allergy,
        Kind::Result,
        Kind::Procedure,
        Kind::Immunization,
        Kind::CarePlan,
        Kind::Appointment,
        Kind::Contact,
        Kind::Task,
        Kind::Claim,
        Kind::Coverage,
        Kind::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Note => "note",
            Kind::Report => "report",
            Kind::Patient => "patient",
            Kind::Encounter => "encounter",
            Kind::Problem => "problem",
            Kind::Medication => "medication",
            Kind::Allergy => "allergy",
            Kind::Result => "result",
            Kind::Procedure => "procedure",
            Kind::Immunization => "immunization",
            Kind::CarePlan => "care_plan",
            Kind::Appointment => "appointment",
            Kind::Contact => "contact",
            Kind::Task => "task",
            Kind::Claim => "claim",
            Kind::Coverage => "coverage",
            Kind::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// HL7 v3 Confidentiality, ordered: the highest of all labels wins, none means `N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub enum Confidentiality {
    U,
    L,
    M,
    #[default]
    N,
    R,
    V,
}

impl Confidentiality {
    pub const ALL: [Self; 6] = [Self::U, Self::L, Self::M, Self::N, Self::R, Self::V];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::U => "U",
            Self::L => "L",
            Self::M => "M",
            Self::N => "N",
            Self::R => "R",
            Self::V => "V",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == code)
    }
}

/// What access is decided by, beside the patient and the type: how confidential, which sensitive subjects
/// (v3-ActCode: `PSY`, `SUD`, `HIV`, ...), and the codes by which a granular scope or a consent may name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct Labels {
    pub confidentiality: Confidentiality,
    /// Sorted, without repeats.
    pub sensitivity: Vec<String>,
    /// Each as [`coded`] writes it; sorted, without repeats. Empty where the source's form has no search parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
}

impl Labels {
    /// What one part of a document calls for holds for the whole of it. Codes say what the whole is, so a part's
    /// don't count: they could only widen.
    pub fn add(&mut self, other: &Self) {
        self.confidentiality = self.confidentiality.max(other.confidentiality);
        self.sensitivity.extend_from_slice(&other.sensitivity);
        self.sensitivity.sort();
        self.sensitivity.dedup();
    }
}

impl Labels {
    /// Without the codes: what a clearance is held against. Few records differ in it, where many differ in their codes.
    pub fn without_codes(&self) -> Self {
        Self { codes: Vec::new(), ..self.clone() }
    }
}

/// `category=http://system|code`: a value that a FHIR search parameter finds the record by.
pub fn coded(parameter: &str, system: &str, code: &str) -> String {
    format!("{parameter}={system}|{code}")
}

/// Parameter, system (empty where there is none) and code of what [`coded`] wrote.
pub fn decoded(text: &str) -> Option<(&str, &str, &str)> {
    let (parameter, token) = text.split_once('=')?;
    let (system, code) = token.split_once('|')?;
    Some((parameter, system, code))
}

/// When it was true, and when the source said it. When we received it stands on the stored version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Times {
    /// When the content was true: effective, onset, period start, date of the note.
    pub effective: Option<Timestamp>,
    /// When the source wrote or last changed it.
    pub source: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentStatus {
    Current,
    EnteredInError,
    Deleted,
}

impl DocumentStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::EnteredInError => "entered_in_error",
            Self::Deleted => "deleted",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Current, Self::EnteredInError, Self::Deleted].into_iter().find(|status| status.as_str() == text)
    }
}

/// SHA-256 over the normalized form: equal content, equal hash, whatever the bytes that came looked like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(pub String);

/// What a stage made of one record, before the store gives it a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// The source's own key: `Observation/123`, `DocumentReference/9#2`, a file's path.
    pub source_key: String,
    /// The source's own version, where it has one.
    pub source_version: Option<String>,
    pub kind: Kind,
    /// The FHIR type that scopes are checked against; for other formats the type its content would have.
    pub resource_type: String,
    /// Already in the source's namespace.
    pub patient: Option<PatientId>,
    /// The source's key of the encounter: `Encounter/5`.
    pub encounter: Option<String>,
    pub title: String,
    pub author: Option<String>,
    pub times: Times,
    pub labels: Labels,
    pub status: DocumentStatus,
    /// Normalized, readable text: UTF-8, `\n` line ends, no trailing white space.
    pub text: String,
    pub sections: Vec<Section>,
    /// Where each page begins in `text`, for documents that have pages; else empty.
    pub pages: Vec<usize>,
    /// Each points at the line of `text` it is cited by.
    pub facts: Vec<Fact>,
}

impl Document {
    pub fn content_hash(&self) -> ContentHash {
        let canonical = serde_json::to_vec(&(
            (&self.kind, &self.resource_type, &self.patient, &self.encounter, &self.title, &self.author),
            (&self.times, &self.labels, &self.status, &self.text, &self.sections, &self.facts),
        ))
        .expect("plain values always serialize");
        ContentHash(hex::encode(Sha256::digest(canonical)))
    }
}

/// A document version as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDocument {
    pub key: DocumentKey,
    pub source: SourceId,
    pub document: Document,
    pub content_hash: ContentHash,
    pub received_at: Timestamp,
    /// Whether no later version stands above it.
    pub is_latest: bool,
    pub receipt: ReceiptId,
    /// Which record of the delivery it came from.
    pub ordinal: u32,
}

impl StoredDocument {
    /// When the content was last known true: effective, else said, else received.
    pub fn as_of(&self) -> Timestamp {
        self.document.times.effective.or(self.document.times.source).unwrap_or(self.received_at)
    }
}
