//! The forms that records come in.

use serde::{Deserialize, Serialize};

/// How the bytes of a delivery are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One FHIR R4 resource or Bundle.
    FhirJson,
    /// One FHIR R4 resource a line.
    FhirNdjson,
    /// One FHIR R4 resource or Bundle.
    FhirXml,
    /// One HL7 v2 message, several after each other, or a batch (`FHS`, `BHS`).
    Hl7v2,
    /// One CDA document.
    Cda,
    /// One or more X12 interchanges.
    X12,
    /// A plain-text note, with optional front matter.
    Text,
    /// A markdown note, with optional front matter.
    Markdown,
    Html,
    Pdf,
    Rtf,
    Docx,
    /// Rows with a header, read by the source's mapping.
    MappedCsv,
    /// A JSON array (or an object that holds one) of objects, read by the source's mapping.
    MappedJson,
    /// Of no form that is read: it waits in quarantine, with its bytes.
    Unknown,
}

impl Format {
    pub const ALL: [Format; 15] = [
        Self::FhirJson,
        Self::FhirNdjson,
        Self::FhirXml,
        Self::Hl7v2,
        Self::Cda,
        Self::X12,
        Self::Text,
        Self::Markdown,
        Self::Html,
        Self::Pdf,
        Self::Rtf,
        Self::Docx,
        Self::MappedCsv,
        Self::MappedJson,
        Self::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FhirJson => "fhir_json",
            Self::FhirNdjson => "fhir_ndjson",
            Self::FhirXml => "fhir_xml",
            Self::Hl7v2 => "hl7v2",
            Self::Cda => "cda",
            Self::X12 => "x12",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Rtf => "rtf",
            Self::Docx => "docx",
            Self::MappedCsv => "mapped_csv",
            Self::MappedJson => "mapped_json",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The media type that these bytes are served with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::FhirJson => "application/fhir+json",
            Self::FhirNdjson => "application/fhir+ndjson",
            Self::FhirXml => "application/fhir+xml",
            Self::Hl7v2 => "application/hl7-v2",
            Self::Cda => "application/cda+xml",
            Self::X12 => "application/edi-x12",
            Self::Text => "text/plain; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html",
            Self::Pdf => "application/pdf",
            Self::Rtf => "application/rtf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::MappedCsv => "text/csv; charset=utf-8",
            Self::MappedJson => "application/vnd.anamnesis.mapped+json",
            Self::Unknown => "application/octet-stream",
        }
    }

    /// The form that a media type names; parameters and letter case don't matter.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "application/fhir+json" | "application/json" | "application/json+fhir" => Self::FhirJson,
            "application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson" => Self::FhirNdjson,
            "application/fhir+xml" | "application/xml+fhir" => Self::FhirXml,
            "application/hl7-v2" | "application/hl7-v2+er7" | "x-application/hl7-v2+er7" => Self::Hl7v2,
            "application/cda+xml"
            | "application/hl7-cda+xml"
            | "application/hl7-sda+xml"
            | "text/xml"
            | "application/xml" => Self::Cda,
            "application/edi-x12" | "application/x12" => Self::X12,
            "text/plain" => Self::Text,
            "text/markdown" => Self::Markdown,
            "text/html" | "application/xhtml+xml" => Self::Html,
            "application/pdf" => Self::Pdf,
            "application/rtf" | "text/rtf" => Self::Rtf,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Self::Docx,
            "text/csv" => Self::MappedCsv,
            "application/vnd.anamnesis.mapped+json" | "application/vnd.anamnesis.crm+json" => Self::MappedJson,
            _ => return None,
        })
    }
}
