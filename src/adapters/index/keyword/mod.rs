//! BM25 over a scope: every statistic is counted within the rows the caller may see.
//!
//! A document that is hidden, deleted or another tenant's changes neither a score nor an order.
//! Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the
//! inverse document frequency ln(1 + (N - n + 0.5) / (n + 0.5)), which never turns negative. Ways to say the same
//! count as one term, as in its section on synonyms: their frequencies are summed and their rows joined.

mod postings;
mod proximity;

use tantivy::Searcher;
use tantivy::schema::Field;

use super::question::{Concept, Question};
use super::snapshot::{RowId, SegmentRows};
use super::{IndexError, Scope};
use postings::{Posting, Scoped};

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

/// A row that holds something of the query.
#[derive(Clone, Copy, Debug)]
struct Scored {
    row: u32,
    segment: u32,
    document: u32,
    /// In terms, relative to the mean.
    length: f32,
    score: f32,
}

/// Every row of the scope that holds something of the query, with its score.
#[derive(Debug, Default)]
pub struct Found {
    /// By row.
    scored: Vec<Scored>,
}

impl Found {
    /// The best `limit`, best first, ties by row.
    pub fn best(&self, limit: usize) -> Vec<(RowId, f32)> {
        let mut ranked: Vec<(RowId, f32)> = best(&self.scored, limit)
            .into_iter()
            .map(|at| (RowId(self.scored[at].row), self.scored[at].score))
            .collect();
        ranked.truncate(limit);
        ranked
    }

    /// 0 for a row that holds nothing of the query.
    pub fn score_of(&self, row: RowId) -> f32 {
        let found = self.scored.binary_search_by_key(&row.0, |scored| scored.row).ok();
        found.and_then(|at| self.scored.get(at)).map_or(0.0, |scored| scored.score)
    }

    pub fn rows(&self) -> impl Iterator<Item = RowId> + '_ {
        self.scored.iter().map(|scored| RowId(scored.row))
    }
}

/// Positions in `scored` of the best `limit`, best first, ties by row.
fn best(scored: &[Scored], limit: usize) -> Vec<usize> {
    let order =
        |a: &usize, b: &usize| scored[*b].score.total_cmp(&scored[*a].score).then(scored[*a].row.cmp(&scored[*b].row));
    let mut places: Vec<usize> = (0..scored.len()).collect();
    if limit < places.len() && limit > 0 {
        places.select_nth_unstable_by(limit - 1, order);
    }
    places.truncate(limit);
    places.sort_by(order);
    places
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
    let scoped = Scoped::open(searcher, segments, body, scope)?;
    let mut scores = Vec::new();
    for concept in &question.concepts {
        let postings = of_concept(&scoped, concept)?;
        let weight = concept.weight * rarity(scoped.rows, postings.len() as f32);
        scores.extend(postings.into_iter().map(|posting| {
            let length = posting.length as f32 / scoped.average_length;
            let score = weight * parameters.saturated(posting.frequency, length);
            Scored { row: posting.row, segment: posting.segment, document: posting.document, length, score }
        }));
    }
    let mut scored = summed(scores);
    proximity::add(&scoped, question, &mut scored, parameters)?;
    Ok(Found { scored })
}

/// One entry a row. The sum of a row's scores is taken in the order of the concepts, so it is always the same.
fn summed(mut scores: Vec<Scored>) -> Vec<Scored> {
    scores.sort_by_key(|scored| scored.row);
    scores.dedup_by(|next, kept| {
        let is_same = next.row == kept.row;
        if is_same {
            kept.score += next.score;
        }
        is_same
    });
    scores
}

/// The rows that hold the concept in any of its ways, by row.
fn of_concept(scoped: &Scoped<'_>, concept: &Concept) -> Result<Vec<Posting>, IndexError> {
    let mut found: Vec<Posting> = Vec::new();
    for (way, weight) in &concept.ways {
        let held = scoped.phrase(way)?;
        found.extend(held.into_iter().map(|posting| Posting { frequency: posting.frequency * weight, ..posting }));
    }
    found.sort_by_key(|posting| posting.row);
    found.dedup_by(|next, kept| {
        let is_same = next.row == kept.row;
        if is_same {
            kept.frequency += next.frequency;
        }
        is_same
    });
    Ok(found)
}
