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
    pub fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            version: row.get("version")?,
            is_latest: row.get("is_latest")?,
            source: row.get("source")?,
            source_key: row.get("source_key")?,
            source_version: row.get("source_version")?,
            kind: row.get("kind")?,
            resource_type: row.get("resource_type")?,
            patient: row.get("patient")?,
            encounter: row.get("encounter")?,
            title: row.get("title")?,
            author: row.get("author")?,
            effective_at: row.get("effective_at")?,
            source_time: row.get("source_time")?,
            received_at: row.get("received_at")?,
            confidentiality: row.get("confidentiality")?,
            sensitivity: row.get("sensitivity")?,
            codes: row.get("codes")?,
            status: row.get("status")?,
            text: row.get("text")?,
            sections: row.get("sections")?,
            pages: row.get("pages")?,
            content_hash: row.get("content_hash")?,
            receipt: row.get("receipt")?,
            ordinal: row.get("ordinal")?,
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
