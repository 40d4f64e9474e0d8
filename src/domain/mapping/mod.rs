//! Declares how rows and objects of any system become documents.

use serde::{Deserialize, Serialize};

use super::Kind;

/// Declares how one row (CSV) or object (JSON) becomes a document, so that a new CRM needs no code.
///
/// Templates name fields in braces: `"{channel} call: {subject}"`. A line whose fields are all empty is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
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
