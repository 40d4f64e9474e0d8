//! Declares how rows and objects of any system become documents, so that a new one needs no code.
//!
//! A mapping holds several *objects*; the first whose `when` fits a row reads it. A mapping with one object may
//! write its settings at the top. [`Template`] has the syntax of lines.

mod condition;
mod file;
mod shipped;
mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FactKind, Kind};

pub use condition::{Condition, Conditions, is_like};
pub use file::UnusableMapping;
pub use shipped::{SHIPPED, shipped};
pub use template::{Filter, Part, Placeholder, Template, Value};

use file::MappingFile;

/// How everything that one source sends is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MappingFile", into = "MappingFile")]
pub struct Mapping {
    /// JSON pointers to the array of objects, the first that leads somewhere; an empty one is the body itself.
    pub records: Vec<String>,
    pub csv: CsvForm,
    /// The zone of times that name none; UTC without one. Dates alone are never moved.
    pub time_zone: Option<String>,
    /// Forms of time beside RFC 3339, tried first: strptime, `epoch_s`, `epoch_ms`.
    pub time_formats: Vec<String>,
    pub missing: Missing,
    /// Texts that stand for nothing: `~`, `NULL`.
    pub empty: Vec<String>,
    /// The meanings of codes.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// At least one.
    pub objects: Vec<MappedObject>,
}

/// What a row means that lacks a field which a template names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The mapping doesn't fit the row: it goes to quarantine.
    #[default]
    Refuse,
    /// The field is empty, as with systems that leave empty fields out.
    Empty,
}

/// How the cells of a CSV file are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvForm {
    /// Default: the commonest of comma, semicolon, tab and bar in the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    pub quote: Quote,
    /// Stands before a quote that belongs to the text; default: a quote is doubled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    pub encoding: Encoding,
    pub ragged: Ragged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quote {
    #[default]
    Double,
    Single,
    /// A quote is text like any other, and a cell never holds a line end.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "windows-1252", alias = "iso-8859-1", alias = "latin-1")]
    Windows1252,
}

/// What becomes of rows that are longer or shorter than the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ragged {
    #[default]
    Refuse,
    /// Cells that a short row lacks are empty; empty cells at the end of a long row are left out. A long row with
    /// something in them is refused all the same: its cells may have slipped.
    Pad,
}

/// How one kind of row becomes a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedObject {
    /// Shown where an ignored row is counted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub when: Conditions,
    /// Rows of this kind hold nothing to search or cite.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore: bool,
    /// Fields that the row itself lacks are looked for in this one: `properties`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The row's own key, the same whenever it is sent; needed unless ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The patient's id: the first that holds something.
    #[serde(default, skip_serializing_if = "References::is_empty")]
    pub patient: References,
    /// The patient's namespace, where it isn't the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_namespace: Option<String>,
    /// Other ids of the same patient: what other rows say of those belongs to the patient too.
    #[serde(default, skip_serializing_if = "References::is_empty")]
    pub alias: References,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter: Option<Value>,
    /// The source's own version number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Value>,
    #[serde(default = "other")]
    pub kind: Kind,
    /// FHIR type that scopes are checked against: `Communication`, `Task`, `Appointment`; needed unless ignored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_type: String,
    #[serde(default)]
    pub title: Template,
    #[serde(default)]
    pub lines: Vec<MappedLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Value>,
    /// When the content was true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Value>,
    /// When the source last changed the row; newer rows replace older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_time: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    /// Statuses that say the row was never true; `entered-in-error` always does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entered_in_error: Vec<String>,
    /// Says that the row was deleted, when it reads as one of `deleted_values`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Value>,
    /// Default: `true`, `1`, `yes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted_values: Vec<String>,
    #[serde(default, skip_serializing_if = "MappedLabels::is_empty")]
    pub labels: MappedLabels,
}

fn other() -> Kind {
    Kind::Other
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A patient's id in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    pub value: Value,
    /// Default: the object's `patient_namespace`, else the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// One id, or several in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum References {
    Plain(Value),
    One(Reference),
    Several(Vec<Reference>),
}

impl Default for References {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl References {
    /// The values in order, each with its own namespace, if it has one.
    pub fn each(&self) -> Vec<(&Value, Option<&str>)> {
        let references = match self {
            Self::Plain(value) => return vec![(value, None)],
            Self::One(reference) => std::slice::from_ref(reference),
            Self::Several(references) => references,
        };
        references.iter().map(|reference| (&reference.value, reference.namespace.as_deref())).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.each().is_empty()
    }
}

/// A line of text: a template, or a template with more to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MappedLine {
    Plain(Template),
    Full(Box<FullLine>),
}

/// A line that repeats, depends or states a fact. One whose fields are all empty is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullLine {
    pub text: Template,
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub when: Conditions,
    /// Written once for each number from 1 to this, which `#` stands for: `ICD_DGNS_CD#`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// Written once for each element of this list; its fields are looked for in the element first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Written once for each filled field of the row whose name fits this pattern; the field's own name and value are
    /// `{@name}` and `{@value}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
    /// Patterns of names that `fields` leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<MappedFact>,
}

/// What a line states, cited by that line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedFact {
    pub kind: FactKind,
    /// Code system URI; left out where there is no code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Template>,
    /// Default: the whole line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Template>,
    /// Default: the row's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Template>,
    /// Default: the row's effective time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Value>,
}

/// How confidential a row is. What codes betray is added from facts and `codes`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MappedLabels {
    /// HL7 v3 Confidentiality: a constant `R`, or a field's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidentiality: Option<Template>,
    /// Sensitive subjects (v3-ActCode), constants or of fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensitivity: Vec<Template>,
    /// Codes that may betray a sensitive subject, beside those of facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<MappedCode>,
}

impl MappedLabels {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappedCode {
    pub system: Template,
    pub code: Template,
    /// As with a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
}
