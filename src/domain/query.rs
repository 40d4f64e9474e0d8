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
    /// Weighted sum of both scores, each measured in standard deviations from its mean.
    #[default]
    Standardized,
    /// Weighted sum of both scores, each scaled to 0..1.
    Convex,
    /// Reciprocal rank fusion.
    Rrf,
}

/// How hits are ranked and which of them are shown; the defaults are what measured best on judged sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    pub fusion: Fusion,
    /// Share of the dense side where scores are summed, 0 to 1; `None`: by the [length](Query::dense_weight) of the query.
    pub dense_weight: Option<f32>,
    /// Look for synonyms and spelt-out abbreviations of the query's words too.
    pub expand: bool,
    /// From 0, relevance alone, to 1: how much a passage falls for being like those above it.
    pub diversity: f32,
    /// How much newer passages gain where the question asks for the newest, as a share of the range of scores.
    pub recency: f32,
    /// Passages of one document that are shown; `None` for all.
    pub per_document: Option<usize>,
    /// Of one patient's passages with the same text, show only the one that stands best.
    pub distinct: bool,
    /// Let a reranker, where there is one, order the best hits again.
    pub rerank: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            fusion: Fusion::default(),
            dense_weight: None,
            expand: true,
            diversity: 0.0,
            recency: 0.1,
            per_document: None,
            distinct: false,
            rerank: true,
        }
    }
}

impl Tuning {
    fn check(&self) -> Result<(), QueryError> {
        let is_share = |value: f32| (0.0..=1.0).contains(&value);
        let mut shares = [self.diversity, self.recency].into_iter().chain(self.dense_weight);
        match self.per_document {
            _ if !shares.all(is_share) => Err(QueryError::Share),
            Some(0) => Err(QueryError::PerDocument),
            _ => Ok(()),
        }
    }
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

#[derive(Clone, PartialEq)]
pub struct Query {
    pub text: String,
    pub mode: Mode,
    pub tuning: Tuning,
    pub filters: Filters,
    /// How many passages come back, 1 to [`Query::MAX_LIMIT`].
    pub limit: usize,
    /// Chunks before and after each passage that are shown with it, up to [`Query::MAX_NEIGHBOURS`].
    pub neighbours: usize,
    /// Whether its words are marked in what is found.
    pub is_marked: bool,
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
    #[error("a weight or a share must be from 0 to 1")]
    Share,
    #[error("at least one passage of a document must be shown")]
    PerDocument,
    #[error("at most {} neighbours are shown", Query::MAX_NEIGHBOURS)]
    Neighbours,
    #[error("`from` lies after `to`")]
    DateRange,
}

impl Query {
    pub const MAX_CHARACTERS: usize = 4_000;
    pub const MAX_LIMIT: usize = 100;
    pub const MAX_NEIGHBOURS: usize = 5;
    /// From so many words on a query says something about things, which the dense side reads better; fewer name them, and
    /// the names have to stand in the text.
    const SENTENCE: usize = 4;
    const DENSE_WEIGHT_OF_NAMES: f32 = 0.5;
    const DENSE_WEIGHT_OF_A_SENTENCE: f32 = 0.65;

    pub fn new(text: &str, mode: Mode, filters: Filters, limit: usize) -> Result<Self, QueryError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(QueryError::Empty);
        }
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err(QueryError::Limit);
        }
        Self::check(text, &filters)?;
        Ok(Self {
            text: text.to_owned(),
            mode,
            tuning: Tuning::default(),
            filters,
            limit,
            neighbours: 0,
            is_marked: false,
        })
    }

    /// Share of the dense side where scores are summed.
    pub fn dense_weight(&self) -> f32 {
        let is_sentence = self.text.split_whitespace().nth(Self::SENTENCE - 1).is_some();
        let by_length = if is_sentence { Self::DENSE_WEIGHT_OF_A_SENTENCE } else { Self::DENSE_WEIGHT_OF_NAMES };
        self.tuning.dense_weight.unwrap_or(by_length)
    }

    pub fn tuned(self, tuning: Tuning) -> Result<Self, QueryError> {
        tuning.check()?;
        Ok(Self { tuning, ..self })
    }

    pub fn with_neighbours(self, neighbours: usize) -> Result<Self, QueryError> {
        if neighbours > Self::MAX_NEIGHBOURS {
            return Err(QueryError::Neighbours);
        }
        Ok(Self { neighbours, ..self })
    }

    pub fn marked(self) -> Self {
        Self { is_marked: true, ..self }
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

#[cfg(test)]
mod tests {
    use super::{Filters, Mode, Query, QueryError, Tuning};

    fn query(text: &str) -> Query {
        Query::new(text, Mode::Hybrid, Filters::default(), 10).unwrap()
    }

    #[test]
    fn a_sentence_leans_on_the_dense_side_unless_it_is_told_otherwise() {
        let few = query("metformin  renal\ndose");
        let sentence = query("does metformin lower lactate");
        assert!(few.dense_weight() < sentence.dense_weight());
        let told = Tuning { dense_weight: Some(0.2), ..Tuning::default() };
        assert_eq!(sentence.tuned(told).unwrap().dense_weight(), 0.2);
    }

    #[test]
    fn shares_beyond_the_whole_are_refused() {
        for tuning in [
            Tuning { dense_weight: Some(1.1), ..Tuning::default() },
            Tuning { diversity: -0.1, ..Tuning::default() },
            Tuning { recency: f32::NAN, ..Tuning::default() },
        ] {
            assert_eq!(query("cough").tuned(tuning), Err(QueryError::Share));
        }
    }
}
