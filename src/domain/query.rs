//! A question to the index, and what comes back.

use serde::{Deserialize, Serialize};

use super::{Chunk, DocumentKey, Kind, PatientId, SourceId, StoredDocument, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Hybrid,
    Keyword,
    Dense,
}

/// How a hybrid query joins its two rankings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Fusion {
    /// Reciprocal rank fusion.
    #[default]
    Rrf,
    /// Weighted sum of both scores, each scaled to 0..1.
    Convex,
}

/// Narrows a query within the caller's reach; empty lists don't narrow.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Filters {
    pub patient: Option<PatientId>,
    pub kinds: Vec<Kind>,
    /// Section titles, compared without case.
    pub sections: Vec<String>,
    pub sources: Vec<SourceId>,
    pub encounter: Option<String>,
    /// Inclusive bounds on when the content was true.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    pub text: String,
    pub mode: Mode,
    pub fusion: Fusion,
    pub filters: Filters,
    /// How many passages come back, 1 to [`Query::MAX_LIMIT`].
    pub limit: usize,
}

impl std::fmt::Debug for Query {
    /// A query may name a patient: its text never reaches a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("text", &"[redacted]")
            .field("mode", &self.mode)
            .field("limit", &self.limit)
            .finish()
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QueryError {
    #[error("the query is empty")]
    Empty,
    #[error("the query has {characters} characters, more than {}", Query::MAX_CHARACTERS)]
    TooLong { characters: usize },
    #[error("limit must be from 1 to {}", Query::MAX_LIMIT)]
    Limit,
    #[error("`from` lies after `to`")]
    DateRange,
}

impl Query {
    pub const MAX_CHARACTERS: usize = 4_000;
    pub const MAX_LIMIT: usize = 100;

    pub fn new(text: &str, mode: Mode, filters: Filters, limit: usize) -> Result<Self, QueryError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(QueryError::Empty);
        }
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err(QueryError::Limit);
        }
        Self::check(text, &filters)?;
        Ok(Self { text: text.to_owned(), mode, fusion: Fusion::default(), filters, limit })
    }

    /// What any question with such a text and filters must keep to.
    pub(super) fn check(text: &str, filters: &Filters) -> Result<(), QueryError> {
        let characters = text.trim().chars().count();
        if characters > Self::MAX_CHARACTERS {
            return Err(QueryError::TooLong { characters });
        }
        if matches!((filters.from, filters.to), (Some(from), Some(to)) if from > to) {
            return Err(QueryError::DateRange);
        }
        Ok(())
    }
}

/// Where one side of the hybrid placed a hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SideRank {
    /// From 1.
    pub rank: u32,
    /// BM25 or cosine, each on its own scale.
    pub score: f32,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Explanation {
    pub keyword: Option<SideRank>,
    pub dense: Option<SideRank>,
}

/// One chunk that the index found, best first in a list of hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub key: DocumentKey,
    pub chunk: Chunk,
    pub score: f32,
    pub explanation: Explanation,
}

/// A hit with the document version it lies in, read through the caller's access.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    pub hit: Hit,
    pub document: StoredDocument,
}

impl Passage {
    pub fn text(&self) -> &str {
        self.hit.chunk.span.of(&self.document.document.text).unwrap_or_default()
    }
}
