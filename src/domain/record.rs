//! What arrives, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Document, Format, PatientId, ReceiptId, SourceId, TenantId, Timestamp};

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

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum RecordAction {
    #[default]
    Put,
    /// The source says that `key` is gone (a Bundle entry with method DELETE): `Observation/123`.
    Delete { key: String, at: Option<Timestamp> },
}

/// One record of a delivery: a resource, a note, a row.
#[derive(Clone, Debug, Default)]
pub struct RawRecord {
    /// 0-based position in its delivery, stable however often it is split.
    pub ordinal: u32,
    /// Exactly the record's bytes within the delivery.
    pub bytes: Vec<u8>,
    pub action: RecordAction,
    /// The Bundle entry's own `fullUrl`, if any.
    pub full_url: Option<String>,
    /// `fullUrl` of each entry of the same Bundle -> its `Type/id`, to resolve `urn:uuid:` references; in a document
    /// each `Type/id` leads to itself too.
    pub links: Arc<BTreeMap<String, String>>,
    /// `Type/id` -> the exact bytes of those entries of the same Bundle whose content others show: files and names.
    pub companions: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// When the Bundle entry says that its record was last changed.
    pub changed_at: Option<Timestamp>,
    /// Whether all that it refers to should be in the same Bundle: a document.
    pub is_closed: bool,
    /// What is wrong with the Bundle's entry around it.
    pub findings: Vec<Finding>,
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
    /// A message that does several things at once; at least one.
    Changes(Changes),
    /// Recognised, and holds nothing to search or cite: `Organization`, `empty Bundle`.
    CarriesNothing { name: String },
}

/// Several effects of one record, applied in this order: merges, removals, documents.
///
/// The keys of its documents are independent: none is a part of another.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Changes {
    pub merges: Vec<PatientMerge>,
    pub removals: Vec<Removal>,
    pub documents: Vec<Document>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.merges.is_empty() && self.removals.is_empty() && self.documents.is_empty()
    }
}

/// A record that its source took back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    pub source_key: String,
    /// When the source removed it: what it wrote before, and what comes late, stays removed.
    pub at: Option<Timestamp>,
}

/// Two records of one person: all that is known of `merged` belongs to `survivor` from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientMerge {
    pub merged: PatientId,
    pub survivor: PatientId,
    /// When the source merged them; of two that contradict each other the later one holds.
    pub at: Option<Timestamp>,
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
    MalformedXml,
    /// XML, but neither a CDA document nor FHIR.
    NotCda,
    /// No segment `MSH` to begin with, or segments that can't be told apart.
    MalformedHl7,
    /// No envelope, or one whose separators can't be told.
    MalformedX12,
    /// A message or transaction of a kind that is not read.
    UnsupportedMessage,
    /// A PDF, RTF or DOCX that is damaged or locked.
    UnreadableFile,
    /// Pictures of text only: somebody has to transcribe it first.
    NoTextLayer,
    /// Beyond what is read of one record: unpacked size, depth, number of parts.
    TooLarge,
    /// A defect of ours: the reader broke off on this record. It can be read again once that is mended.
    ReaderFailed,
}

impl QuarantineReason {
    pub const ALL: [Self; 18] = [
        Self::MalformedJson,
        Self::MalformedCsv,
        Self::InvalidUtf8,
        Self::NotFhir,
        Self::UnknownResource,
        Self::InvalidResource,
        Self::EmptyNote,
        Self::UnreadableAttachment,
        Self::Unmapped,
        Self::MalformedXml,
        Self::NotCda,
        Self::MalformedHl7,
        Self::MalformedX12,
        Self::UnsupportedMessage,
        Self::UnreadableFile,
        Self::NoTextLayer,
        Self::TooLarge,
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
            Self::MalformedXml => "malformed_xml",
            Self::NotCda => "not_cda",
            Self::MalformedHl7 => "malformed_hl7",
            Self::MalformedX12 => "malformed_x12",
            Self::UnsupportedMessage => "unsupported_message",
            Self::UnreadableFile => "unreadable_file",
            Self::NoTextLayer => "no_text_layer",
            Self::TooLarge => "too_large",
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
    /// Versions stored: `added` and `changed`.
    pub documents: u64,
    /// Documents that were not held before.
    #[serde(default)]
    pub added: u64,
    /// Documents that replaced an earlier version.
    #[serde(default)]
    pub changed: u64,
    pub facts: u64,
    /// Records whose content we already held.
    pub unchanged: u64,
    /// Records that were older than what we hold, by the source's own time or version; nothing of them is kept but
    /// the bytes.
    #[serde(default)]
    pub stale: u64,
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
            + self.stale
            + self.removed
            + self.carrying_nothing.values().sum::<u64>()
            + self.quarantined.values().sum::<u64>();
        self.records.saturating_sub(ended)
    }

    pub fn add(&mut self, other: &Account) {
        self.records += other.records;
        self.documents += other.documents;
        self.added += other.added;
        self.changed += other.changed;
        self.facts += other.facts;
        self.unchanged += other.unchanged;
        self.stale += other.stale;
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
