//! BM25 over a scope: every statistic is counted within the rows the caller may see.
//!
//! A document that is hidden, deleted or another tenant's changes neither a score nor an order.
//! Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the
//! inverse document frequency ln(1 + (N - n + 0.5) / (n + 0.5)), which never turns negative. Ways to say the same
//! count as one term, as in its section on synonyms: their frequencies are summed and their rows joined.

mod places;
mod postings;
mod proximity;
mod spare;
mod tally;

use tantivy::Searcher;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::schema::Field;

use super::question::Question;
use super::segment_rows::SegmentRows;
use super::snapshot::RowId;
use super::{IndexError, Scope};
use postings::{Posting, Scoped};
use spare::Spare;
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

/// What a term adds, before its rarity, by how long a row is: lengths are stored as one of 256 sizes.
struct Saturation {
    most: f32,
    half_at: [f32; 256],
}

impl Saturation {
    /// Where rows are `average` terms long.
    fn of(parameters: Bm25, average: f32) -> Self {
        let Bm25 { k1, b } = parameters;
        let length = |size: usize| FieldNormReader::id_to_fieldnorm(size as u8) as f32 / average;
        Self { most: k1 + 1.0, half_at: std::array::from_fn(|size| k1 * (1.0 - b + b * length(size))) }
    }

    #[inline]
    fn saturated(&self, frequency: f32, size: u8) -> f32 {
        frequency * self.most / (frequency + self.half_at[usize::from(size)])
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

static POSTINGS: Spare<Posting> = Spare::new();

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
    let saturation = Saturation::of(parameters, scoped.average_length);
    let mut postings = POSTINGS.take();
    for concept in &question.concepts {
        scoped.of_ways(&concept.ways, &mut postings)?;
        let weight = concept.weight * rarity(scoped.rows, postings.len() as f32);
        for posting in &postings {
            scores.add(posting.row, weight * saturation.saturated(posting.frequency, posting.size));
        }
    }
    POSTINGS.give_back(postings);
    proximity::add(&mut scoped, question, &mut scores, &saturation)?;
    Ok(Found { scores })
}
