//! Rows of the document and fact tables, and the domain values they stand for.

use sqlx::FromRow;

use super::StoreError;
use crate::domain::{
    Confidentiality, ContentHash, Document, DocumentId, DocumentKey, DocumentStatus, Fact, FactKind, FactValue, Kind,
    Labels, PatientId, ReceiptId, SourceId, Span, StoredDocument, Times, Timestamp,
};

#[derive(FromRow)]
pub struct DocumentRow {
    pub id: String,
    pub version: i64,
    pub is_latest: i64,
    pub source: String,
    pub source_key: String,
    pub source_version: Option<String>,
    pub kind: String,
    pub resource_type: String,
    pub patient: Option<String>,
    pub encounter: Option<String>,
    pub title: String,
    pub author: Option<String>,
    pub effective_at: Option<i64>,
    pub source_time: Option<i64>,
    pub received_at: i64,
    pub confidentiality: String,
    pub sensitivity: String,
    pub codes: String,
    pub status: String,
    pub text: String,
    pub sections: String,
    pub pages: String,
    pub content_hash: String,
    pub receipt: String,
    pub ordinal: i64,
}

impl DocumentRow {
    /// In the order in which [`read`](Self::read) takes them.
    pub const COLUMNS: &str = "id, version, is_latest, source, source_key, source_version, kind, resource_type, \
        patient, encounter, title, author, effective_at, source_time, received_at, confidentiality, sensitivity, codes, status, \
        text, sections, pages, content_hash, receipt, ordinal";

    pub fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            version: row.get(1)?,
            is_latest: row.get(2)?,
            source: row.get(3)?,
            source_key: row.get(4)?,
            source_version: row.get(5)?,
            kind: row.get(6)?,
            resource_type: row.get(7)?,
            patient: row.get(8)?,
            encounter: row.get(9)?,
            title: row.get(10)?,
            author: row.get(11)?,
            effective_at: row.get(12)?,
            source_time: row.get(13)?,
            received_at: row.get(14)?,
            confidentiality: row.get(15)?,
            sensitivity: row.get(16)?,
            codes: row.get(17)?,
            status: row.get(18)?,
            text: row.get(19)?,
            sections: row.get(20)?,
            pages: row.get(21)?,
            content_hash: row.get(22)?,
            receipt: row.get(23)?,
            ordinal: row.get(24)?,
        })
    }
}

/// Sensitivity codes as one sorted, space-separated text.
pub fn sensitivity_text(labels: &Labels) -> String {
    labels.sensitivity.join(" ")
}

pub fn codes_text(labels: &Labels) -> String {
    labels.codes.join("\n")
}

pub fn labels(confidentiality: &str, sensitivity: &str, codes: &str) -> Result<Labels, StoreError> {
    Ok(Labels {
        codes: codes.lines().map(str::to_owned).collect(),
        confidentiality: Confidentiality::parse(confidentiality)
            .ok_or(StoreError::Corrupt { what: "confidentiality" })?,
        sensitivity: sensitivity.split_whitespace().map(str::to_owned).collect(),
    })
}

pub fn kind(text: &str) -> Result<Kind, StoreError> {
    Kind::parse(text).ok_or(StoreError::Corrupt { what: "document kind" })
}

pub fn number<T: TryFrom<i64>>(value: i64, what: &'static str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Corrupt { what })
}

impl TryFrom<DocumentRow> for StoredDocument {
    type Error = StoreError;

    fn try_from(row: DocumentRow) -> Result<Self, StoreError> {
        let document = Document {
            source_key: row.source_key,
            source_version: row.source_version,
            kind: kind(&row.kind)?,
            resource_type: row.resource_type,
            patient: row.patient.map(PatientId::new),
            encounter: row.encounter,
            title: row.title,
            author: row.author,
            times: Times {
                effective: row.effective_at.map(Timestamp::from_micros),
                source: row.source_time.map(Timestamp::from_micros),
            },
            labels: labels(&row.confidentiality, &row.sensitivity, &row.codes)?,
            status: DocumentStatus::parse(&row.status).ok_or(StoreError::Corrupt { what: "document status" })?,
            text: row.text,
            sections: serde_json::from_str(&row.sections).map_err(|_| StoreError::Corrupt { what: "section list" })?,
            pages: serde_json::from_str(&row.pages).map_err(|_| StoreError::Corrupt { what: "page list" })?,
            facts: Vec::new(),
        };
        Ok(StoredDocument {
            key: DocumentKey { id: DocumentId::new(row.id), version: number(row.version, "document version")? },
            source: SourceId::new(row.source),
            document,
            content_hash: ContentHash(row.content_hash),
            received_at: Timestamp::from_micros(row.received_at),
            is_latest: row.is_latest != 0,
            receipt: ReceiptId::new(row.receipt),
            ordinal: number(row.ordinal, "record ordinal")?,
        })
    }
}

#[derive(FromRow)]
pub struct FactRow {
    pub kind: String,
    pub code_system: Option<String>,
    pub code: Option<String>,
    pub display: String,
    pub value_number: Option<f64>,
    pub value_text: Option<String>,
    pub unit: Option<String>,
    pub status: Option<String>,
    pub effective_at: Option<i64>,
    pub span_start: i64,
    pub span_end: i64,
}

impl TryFrom<FactRow> for Fact {
    type Error = StoreError;

    fn try_from(row: FactRow) -> Result<Self, StoreError> {
        let value = match (row.value_number, row.value_text) {
            (Some(value), _) => Some(FactValue::Quantity { value, unit: row.unit }),
            (None, text) => text.map(FactValue::Text),
        };
        Ok(Fact {
            kind: FactKind::parse(&row.kind).ok_or(StoreError::Corrupt { what: "fact kind" })?,
            system: row.code_system,
            code: row.code,
            display: row.display,
            value,
            status: row.status,
            effective: row.effective_at.map(Timestamp::from_micros),
            span: Span::new(number(row.span_start, "fact span")?, number(row.span_end, "fact span")?),
        })
    }
}
