//! BM25 over a scope: every statistic is counted within the rows the caller may see.
//!
//! A document that is hidden, deleted or another tenant's changes neither a score nor an order.
//! Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the
//! inverse document frequency ln(1 + (N - n + 0.5) / (n + 0.5)), which never turns negative.

use std::collections::BTreeMap;

use tantivy::postings::Postings;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Searcher, TERMINATED, Term};

use super::rows::RowSet;
use super::snapshot::{RowId, SegmentRows};
use super::{IndexError, Scope};

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

/// One row that holds a term.
struct Posting {
    row: u32,
    term_frequency: u32,
    length: u32,
}

/// Scores every row of `within` that holds a term of the query; the best `limit`, best first, ties by row.
pub fn search(
    searcher: &Searcher,
    segments: &[SegmentRows],
    body: Field,
    scope: &Scope,
    terms: &[String],
    limit: usize,
    parameters: Bm25,
) -> Result<Vec<(RowId, f32)>, IndexError> {
    let mut scores = BTreeMap::<u32, f32>::new();
    let within = scope.rows();
    if within.is_empty() {
        return Ok(Vec::new());
    }
    let average = scope.mean_length(body, || average_length(searcher, segments, body, within))?;
    let rows = within.len() as f32;
    for (term, weight) in counted(terms) {
        let postings = postings(searcher, segments, &Term::from_field_text(body, term), within)?;
        let holders = postings.len() as f32;
        let rarity = (1.0 + (rows - holders + 0.5) / (holders + 0.5)).ln() * weight;
        for posting in postings {
            let frequency = posting.term_frequency as f32;
            let length = 1.0 - parameters.b + parameters.b * posting.length as f32 / average;
            let saturated = frequency * (parameters.k1 + 1.0) / (frequency + parameters.k1 * length);
            *scores.entry(posting.row).or_default() += rarity * saturated;
        }
    }
    let mut ranked: Vec<(RowId, f32)> = scores.into_iter().map(|(row, score)| (RowId(row), score)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(limit);
    Ok(ranked)
}

/// Each distinct term with how often the query says it.
fn counted(terms: &[String]) -> BTreeMap<&str, f32> {
    let mut counted = BTreeMap::new();
    for term in terms {
        *counted.entry(term.as_str()).or_insert(0.0) += 1.0;
    }
    counted
}

fn postings(
    searcher: &Searcher,
    segments: &[SegmentRows],
    term: &Term,
    within: &RowSet,
) -> Result<Vec<Posting>, IndexError> {
    let mut found = Vec::new();
    for (reader, segment) in searcher.segment_readers().iter().zip(segments) {
        let inverted = reader.inverted_index(term.field())?;
        let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::WithFreqs)? else { continue };
        let lengths = reader.get_fieldnorms_reader(term.field())?;
        let mut document = postings.doc();
        while document != TERMINATED {
            if let Some(row) = segment.row_of(document).filter(|row| within.contains(*row)) {
                let length = lengths.fieldnorm(document);
                found.push(Posting { row, term_frequency: postings.term_freq(), length });
            }
            document = postings.advance();
        }
    }
    Ok(found)
}

/// Mean length in terms of the scope's rows, at least 1.
fn average_length(
    searcher: &Searcher,
    segments: &[SegmentRows],
    body: Field,
    within: &RowSet,
) -> Result<f32, IndexError> {
    let mut total = 0_u64;
    for (reader, segment) in searcher.segment_readers().iter().zip(segments) {
        let lengths = reader.get_fieldnorms_reader(body)?;
        for (document, row) in segment.rows() {
            if within.contains(row) {
                total += u64::from(lengths.fieldnorm(document));
            }
        }
    }
    Ok((total as f32 / within.len() as f32).max(1.0))
}
