//! A feed as its owner declares it.

use serde::{Deserialize, Serialize};

use super::{Feed, Mapping, SourceId};

/// A source as its owner declared it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceDescription {
    pub name: SourceId,
    /// Whose patient ids these are: sources with one namespace mean the same people by the same id.
    pub patients: String,
    pub warn_after_s: u64,
    pub error_after_s: u64,
    /// How rows and objects become documents; needed for mapped CSV and JSON only.
    pub mapping: Option<Mapping>,
    /// How its records come in.
    pub feed: Feed,
}
