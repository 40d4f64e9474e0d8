//! What arrives, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Document, Kind, ReceiptId, SourceId, TenantId, Timestamp};

/// How the bytes of a delivery are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One FHIR R4 resource or Bundle.
    FhirJson,
    /// One FHIR R4 resource a line.
    FhirNdjson,
    /// A plain-text note, with optional front matter.
    Text,
    /// A markdown note, with optional front matter.
    Markdown,
    /// CRM rows, read by the source's mapping.
    CrmCsv,
    /// A JSON array (or an object that holds one) of CRM objects, read by the source's mapping.
    CrmJson,
}

impl Format {
    pub const ALL: [Format; 6] =
        [Self::FhirJson, Self::FhirNdjson, Self::Text, Self::Markdown, Self::CrmCsv, Self::CrmJson];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FhirJson => "fhir_json",
            Self::FhirNdjson => "fhir_ndjson",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::CrmCsv => "crm_csv",
            Self::CrmJson => "crm_json",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

/// A feed as its owner declared it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceDescription {
    pub name: SourceId,
    /// Whose patient ids these are: sources with one namespace mean the same people by the same id.
    pub patients: String,
    pub warn_after_s: u64,
    pub error_after_s: u64,
    /// How CRM rows become documents; needed for CSV and CRM JSON only.
    pub mapping: Option<CrmMapping>,
}

/// Declares how one row (CSV) or object (JSON) becomes a document, so that a new CRM needs no code.
///
/// Templates name fields in braces: `"{channel} call: {subject}"`. A line whose fields are all empty is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrmMapping {
    /// JSON pointer to the array of objects; empty when the body is the array.
    #[serde(default)]
    pub records: String,
    /// Field with the row's own key; required in every row.
    pub key: String,
    /// Field with the patient's id in the source's patient namespace.
    pub patient: Option<String>,
    pub kind: Kind,
    /// FHIR type that scopes are checked against: `Communication`, `Task`, `Appointment`.
    pub resource_type: String,
    pub title: String,
    /// Templates, one text line each.
    pub lines: Vec<String>,
    pub author: Option<String>,
    /// Field with the time the content was true.
    pub effective: Option<String>,
    /// Field with the time the CRM last changed the row; newer rows replace older ones.
    pub source_time: Option<String>,
    /// Field with the row's status word.
    pub status: Option<String>,
    /// Field that, when it reads `true`, `1` or `yes`, says the row was deleted.
    pub deleted: Option<String>,
}

/// What was sent at once: a body or a file, landed verbatim before it is acknowledged.
#[derive(Clone)]
pub struct Delivery {
    pub receipt: ReceiptId,
    pub tenant: TenantId,
    pub source: SourceId,
    pub format: Format,
    /// The sender's name for it (a note's key, a file's path); a note's key when its front matter has none.
    pub name: Option<String>,
    pub bytes: Vec<u8>,
    pub received_at: Timestamp,
}

impl fmt::Debug for Delivery {
    /// The bytes are patient data: only their count is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("receipt", &self.receipt)
            .field("source", &self.source)
            .field("format", &self.format)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordAction {
    Put,
    /// The source says that this key is gone (a Bundle entry with method DELETE): `Observation/123`.
    Delete(String),
}

/// One record of a delivery: a resource, a note, a row.
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// 0-based position in its delivery, stable however often it is split.
    pub ordinal: u32,
    /// Exactly the record's bytes within the delivery.
    pub bytes: Vec<u8>,
    pub action: RecordAction,
    /// The Bundle entry's own `fullUrl`, if any.
    pub full_url: Option<String>,
    /// `fullUrl` of each entry of the same Bundle -> its `Type/id`, to resolve `urn:uuid:` references.
    pub links: Arc<BTreeMap<String, String>>,
}

/// What a stage made of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized {
    pub outcome: Outcome,
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// At least one.
    Documents(Vec<Document>),
    /// The source took the record back.
    Removed { source_key: String },
    /// Recognised, and holds nothing to search or cite: `Organization`, `empty Bundle`.
    CarriesNothing { name: String },
}

/// A record that can't be read: why, in words that hold nothing of the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub reason: QuarantineReason,
    /// Position or field, never content: `line 3 column 14`, `attachment 2: application/pdf`.
    pub detail: String,
}

impl Unreadable {
    pub fn new(reason: QuarantineReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    MalformedJson,
    MalformedCsv,
    InvalidUtf8,
    /// JSON, but without a `resourceType`.
    NotFhir,
    /// A `resourceType` that FHIR R4 doesn't have.
    UnknownResource,
    /// A field without which the record means nothing is missing or has the wrong type.
    InvalidResource,
    EmptyNote,
    /// No attachment holds text that we can read.
    UnreadableAttachment,
    /// The source has no mapping, or the mapping names a field that the row lacks.
    Unmapped,
    /// A defect of ours: the reader broke off on this record. It can be read again once that is mended.
    ReaderFailed,
}

impl QuarantineReason {
    pub const ALL: [Self; 10] = [
        Self::MalformedJson,
        Self::MalformedCsv,
        Self::InvalidUtf8,
        Self::NotFhir,
        Self::UnknownResource,
        Self::InvalidResource,
        Self::EmptyNote,
        Self::UnreadableAttachment,
        Self::Unmapped,
        Self::ReaderFailed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::MalformedCsv => "malformed_csv",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotFhir => "not_fhir",
            Self::UnknownResource => "unknown_resource",
            Self::InvalidResource => "invalid_resource",
            Self::EmptyNote => "empty_note",
            Self::UnreadableAttachment => "unreadable_attachment",
            Self::Unmapped => "unmapped",
            Self::ReaderFailed => "reader_failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Warning,
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A quality check that a record didn't pass; the record is kept all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable: `required_field`, `invalid_date`, `code_format`, `unresolved_reference`.
    pub rule: String,
    pub severity: Severity,
    /// Element path, never a value: `Observation.effectiveDateTime`.
    pub path: String,
}

/// What became of every record read: the sums must agree.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    pub records: u64,
    pub documents: u64,
    pub facts: u64,
    /// Records whose content we already held, or that were older than what we hold.
    pub unchanged: u64,
    /// Records that took earlier ones back.
    pub removed: u64,
    /// Records recognised but carrying nothing, by name.
    pub carrying_nothing: BTreeMap<String, u64>,
    /// Records that brought or replaced at least one document.
    pub stored: u64,
    pub quarantined: BTreeMap<QuarantineReason, u64>,
    pub findings: u64,
}

impl Account {
    /// Records that ended nowhere; anything but 0 is a defect.
    pub fn lost(&self) -> u64 {
        let ended = self.stored
            + self.unchanged
            + self.removed
            + self.carrying_nothing.values().sum::<u64>()
            + self.quarantined.values().sum::<u64>();
        self.records.saturating_sub(ended)
    }

    pub fn add(&mut self, other: &Account) {
        self.records += other.records;
        self.documents += other.documents;
        self.facts += other.facts;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.stored += other.stored;
        self.findings += other.findings;
        for (name, count) in &other.carrying_nothing {
            *self.carrying_nothing.entry(name.clone()).or_default() += count;
        }
        for (reason, count) in &other.quarantined {
            *self.quarantined.entry(*reason).or_default() += count;
        }
    }
}
