//! Pieces of a document's normalized text, addressed by exact byte ranges.

use serde::{Deserialize, Serialize};

/// A half-open byte range `start..end` of a document's normalized text, on char boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The text at this span, or `None` when it doesn't lie on char boundaries within `text`.
    pub fn of(self, text: &str) -> Option<&str> {
        text.get(self.start..self.end)
    }

    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// A titled part of a document: `HISTORY OF PRESENT ILLNESS`, `Medications`.
///
/// `span` covers the heading and the body. Sections lie in order and don't overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub title: String,
    pub span: Span,
}

/// What is embedded and indexed as one: a run of whole sentences within one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// 0-based position within its document version.
    pub ordinal: u32,
    pub section: Option<String>,
    pub span: Span,
    /// Tokens of the model's own tokenizer, without the special ones.
    pub tokens: u32,
}
