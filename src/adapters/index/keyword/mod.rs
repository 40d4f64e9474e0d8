//! BM25 over a scope: every statistic is counted within the rows the caller may see.
//!
//! A document that is hidden, deleted or another tenant's changes neither a score nor an order.
//! Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the
//! inverse document frequency ln(1 + (N - n + 0.5) / (n + 0.5)), which never turns negative. Ways to say the same
//! count as one term, as in its section on synonyms: their frequencies are summed and their rows joined.

mod postings;
mod proximity;
mod tally;

use tantivy::Searcher;
use tantivy::schema::Field;

use super::question::Question;
use super::segment_rows::SegmentRows;
use super::snapshot::RowId;
use super::{IndexError, Scope};
use postings::Scoped;
use tally::Tally;

/// Term frequency saturation and length normalisation.
#[derive(Clone, Copy, Debug)]
pub struct Bm25 {
    pub k1: f32,
    pub b: f32,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

impl Bm25 {
    /// What a term adds, before its rarity: `frequency` in a row of `length`, where rows are `average` long.
    fn saturated(self, frequency: f32, length: f32) -> f32 {
        frequency * (self.k1 + 1.0) / (frequency + self.k1 * (1.0 - self.b + self.b * length))
    }
}

/// How rare a term is that `holders` of `rows` hold.
fn rarity(rows: f32, holders: f32) -> f32 {
    (1.0 + (rows - holders + 0.5) / (holders + 0.5)).ln()
}

/// Every row of the scope that holds something of the query, with its score.
#[derive(Debug, Default)]
pub struct Found {
    scores: Tally,
}

impl Found {
    /// The best `limit`, best first, ties by row.
    pub fn best(&self, limit: usize) -> Vec<(RowId, f32)> {
        self.scores.best(limit).into_iter().map(|(row, score)| (RowId(row), score)).collect()
    }

    /// 0 for a row that holds nothing of the query.
    pub fn score_of(&self, row: RowId) -> f32 {
        self.scores.of(row.0)
    }

    pub fn rows(&self) -> impl Iterator<Item = RowId> + '_ {
        self.scores.rows().map(RowId)
    }
}

/// Scores every row of the scope that holds something of the question.
pub fn search(
    searcher: &Searcher,
    segments: &[SegmentRows],
    body: Field,
    scope: &Scope,
    question: &Question,
    parameters: Bm25,
) -> Result<Found, IndexError> {
    if scope.is_empty() {
        return Ok(Found::default());
    }
    let mut scoped = Scoped::open(searcher, segments, body, scope)?;
    // Concepts are added in their order, so a row's score is always the same sum.
    let mut scores = Tally::new(scoped.row_numbers());
    for concept in &question.concepts {
        let postings = scoped.of_ways(&concept.ways)?;
        let weight = concept.weight * rarity(scoped.rows, postings.len() as f32);
        for posting in postings {
            let length = posting.length as f32 / scoped.average_length;
            scores.add(posting.row, weight * parameters.saturated(posting.frequency, length));
        }
    }
    proximity::add(&mut scoped, question, &mut scores, parameters)?;
    Ok(Found { scores })
}
