//! The keyword index's fields, and what of a chunk is kept in it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tantivy::Index as TantivyIndex;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};

use super::{IndexError, analyzer};
use crate::access::Row;
use crate::domain::{DocumentId, Kind, Labels, PatientId, SourceId, Span, TenantId, Timestamp};

pub const ANALYZER_NAME: &str = "clinical_english";

/// The fields of one generation, looked up once.
#[derive(Clone, Copy)]
pub struct Fields {
    /// `tenant \0 document id`: what a new version or a deletion removes.
    pub document: Field,
    /// The row number, from tantivy's documents back to ours.
    pub row: Field,
    /// Title, section, date and text, as terms; none for a window, whose words are its chunk's.
    pub body: Field,
    /// [`StoredRow`] as JSON.
    pub stored: Field,
    /// The unit vector, little-endian f32.
    pub vector: Field,
    /// [`fingerprint`] of the row, by which a copy of it elsewhere is known to be one.
    pub fingerprint: Field,
}

pub const ROW_FIELD: &str = "row";
pub const FINGERPRINT_FIELD: &str = "fingerprint";

pub fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let body = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(ANALYZER_NAME)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    );
    let fields = Fields {
        document: builder.add_text_field("document", STRING),
        row: builder.add_u64_field(ROW_FIELD, NumericOptions::default().set_fast()),
        body: builder.add_text_field("body", body),
        stored: builder.add_bytes_field("stored", STORED),
        vector: builder.add_bytes_field("vector", STORED),
        fingerprint: builder.add_u64_field(FINGERPRINT_FIELD, NumericOptions::default().set_fast()),
    };
    (builder.build(), fields)
}

pub fn register_analyzer(index: &TantivyIndex) {
    index.tokenizers().register(ANALYZER_NAME, analyzer::analyzer());
}

/// What a document's rows share; the caller's reach and filters are judged on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentEntry {
    pub tenant: TenantId,
    pub id: DocumentId,
    pub version: u32,
    pub patient: Option<PatientId>,
    pub resource_type: String,
    pub labels: Labels,
    pub kind: Kind,
    pub source: SourceId,
    pub encounter: Option<String>,
    pub as_of: Timestamp,
}

impl DocumentEntry {
    /// What access is decided by.
    pub fn row(&self) -> Row<'_> {
        Row {
            patient: self.patient.as_ref(),
            resource_type: &self.resource_type,
            kind: self.kind,
            labels: &self.labels,
            as_of: self.as_of,
        }
    }
}

/// One chunk, or one window of a chunk, as it is kept in the commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRow {
    pub row: u32,
    pub document: DocumentEntry,
    pub ordinal: u32,
    pub section: Option<String>,
    pub span: Span,
    pub tokens: u32,
    /// For a window, the row of its chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<u32>,
}

/// A number that only a row of the same content has, whatever its own number.
pub fn fingerprint(row: &StoredRow, vector: &[f32]) -> u64 {
    let unnumbered = StoredRow { row: 0, part_of: row.part_of.map(|_| 0), ..row.clone() };
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_vec(&unnumbered).expect("plain values always serialize"));
    hasher.update(encode_vector(vector));
    hasher.finalize().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// What a commit says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPayload {
    /// The last change that this commit shows.
    pub watermark: i64,
    pub next_row: u32,
}

pub fn document_term(tenant: &TenantId, id: &DocumentId) -> String {
    format!("{tenant}\0{id}")
}

pub fn encode_vector(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

pub fn decode_vector(bytes: &[u8]) -> Result<Vec<f32>, IndexError> {
    let (components, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(IndexError::Corrupt { what: "vector" });
    }
    Ok(components.iter().map(|component| f32::from_le_bytes(*component)).collect())
}

/// How often the title is said beside the text: a word of it weighs more than one of the text.
const TITLE_TIMES: usize = 2;

/// What is searched as keywords for one chunk. Blank lines keep what stands apart from counting as neighbours.
pub fn keyword_text(title: &str, section: Option<&str>, date: Option<&str>, text: &str) -> String {
    let heading = section.filter(|section| !text.starts_with(section));
    let parts = std::iter::repeat_n(title, TITLE_TIMES).chain(heading).chain(date).chain([text]);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}
