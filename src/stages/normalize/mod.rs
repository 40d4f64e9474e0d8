//! Landed records to documents: readable text, typed facts, labels and times, from any format.
//!
//! Pure: the same record gives the same documents, whenever and however often. What can't be read is an
//! [`Unreadable`], what can but shouldn't be trusted blindly carries a [`crate::domain::Finding`].

#[cfg(test)]
mod agreement;
mod attachments;
mod cda;
mod charset;
pub(super) mod checks;
mod codes;
mod docx;
#[cfg(test)]
mod feeds;
pub(super) mod fhir;
mod file;
pub mod hl7v2;
mod html;
mod html_page;
pub(super) mod json;
mod lines;
pub(super) mod mapped;
mod note;
mod pdf;
mod reading;
mod rtf;
#[cfg(test)]
mod tests;
pub(super) mod tidy;
pub(super) mod x12;
pub(super) mod xml;
mod xml_document;

pub use fhir::care_team_rules::members as care_team_members;
pub use fhir::consent_rules::provision as consent_provision;
use sha2::{Digest, Sha256};

use crate::domain::{
    Changes, Format, Normalized, Outcome, QuarantineReason, RawRecord, RecordAction, Removal, SourceDescription,
    Timestamp, Unreadable,
};

/// Where a record came from, as far as its content depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub source: &'a SourceDescription,
    pub format: Format,
    /// The sender's name for the delivery.
    pub name: Option<&'a str>,
    pub received_at: Timestamp,
}

/// What one record says.
///
/// Errors: the record can't be read, and why, in words that hold nothing of it.
pub fn normalize(record: &RawRecord, origin: &Origin<'_>) -> Result<Normalized, Unreadable> {
    if let RecordAction::Delete { key, at } = &record.action {
        let removal = Removal { source_key: key.clone(), at: *at };
        let changes = Changes { removals: vec![removal], ..Changes::default() };
        return Ok(Normalized { outcome: Outcome::Changes(changes), findings: record.findings.clone() });
    }
    let source = origin.source;
    match origin.format {
        Format::FhirJson | Format::FhirNdjson => fhir::normalize(record, &source.patients),
        Format::Text | Format::Markdown => note::normalize(&record.bytes, origin.name, &source.patients),
        Format::MappedCsv => mapped::normalize_row(&record.bytes, origin),
        Format::MappedJson => mapped::normalize_object(&record.bytes, origin),
        Format::Cda | Format::FhirXml => xml_document::normalize(record, origin.format, &source.patients),
        Format::Html | Format::Pdf | Format::Rtf | Format::Docx => {
            file::normalize(&record.bytes, origin.format, origin.name, &source.patients)
        }
        Format::Hl7v2 => hl7v2::normalize(record, &source.patients),
        Format::X12 => x12::normalize(&record.bytes, &source.patients),
        Format::Unknown => Err(Unreadable::new(QuarantineReason::UnsupportedMessage, "a format that is not read")),
    }
}

/// 16 hex digits that name these bytes.
fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes)).chars().take(16).collect()
}
