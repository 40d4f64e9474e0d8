//! An answer: verbatim sentences, each with the places that support it, or an abstention.

use serde::{Deserialize, Serialize};

use super::{DocumentKey, Kind, SourceId, Span, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    Answered,
    Abstained,
}

/// Why there is no answer; the code is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abstention {
    /// Nothing within reach matched at all.
    NoEvidence,
    /// What matched doesn't support an answer well enough.
    WeakEvidence,
}

/// Where a sentence stands: a byte span of one document version, and the words there.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    pub key: DocumentKey,
    pub span: Span,
    /// Equal to the document's text at `span`, byte for byte.
    pub quote: String,
    pub title: String,
    pub kind: Kind,
    pub section: Option<String>,
    pub source: SourceId,
    pub effective: Option<Timestamp>,
    pub source_time: Option<Timestamp>,
    pub received_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    pub text: String,
    /// How well the evidence fits the question, 0 to 1.
    pub support: f32,
    pub citations: Vec<Citation>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: AnswerStatus,
    pub reason: Option<Abstention>,
    pub sentences: Vec<Sentence>,
}
