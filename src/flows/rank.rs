//! Ranks what lies in a scope for one query, on one snapshot.

use std::cmp::Ordering;

use crate::access::Access;
use crate::adapters::index::{DensePlan, Found, Highlighter, IndexError, Question, RowId, Scope, Snapshot};
use crate::domain::{Fusion, Hit, Mode, Query, Span, Timestamp};
use crate::stages::diversity::diverse;
use crate::stages::fuse::{Fused, RRF_K, Ranking, convex, rrf, standardized};
use crate::stages::recency::gains;
use crate::stages::terms::asks_for_newest;

/// Candidates that each side brings to the fusion, at least.
const CANDIDATES: usize = 100;
/// Candidates that are ordered for diversity, at least.
const DIVERSE_DEPTH: usize = 30;

/// How a query was answered, for `explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub mode: Mode,
    pub chunks_in_scope: usize,
    pub dense: Option<DensePlan>,
    pub watermark: i64,
    pub generation: String,
    /// Whether a model that reads query and passage together had the last word.
    pub reranked: bool,
}

/// A hit, and what of its document belongs with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub hit: Hit,
    /// The part of the chunk that is nearest to the query, where vectors were compared.
    pub nearest: Option<Span>,
    /// The chunk with the neighbours that were asked for.
    pub around: Span,
}

/// What a query's words find, before its vector is known.
pub struct Begun {
    scope: Scope,
    question: Question,
    keyword: Option<Found>,
    /// The best of `keyword`.
    rows: Vec<RowId>,
}

pub fn begin(snapshot: &Snapshot, access: &Access, query: &Query) -> Result<Begun, IndexError> {
    let scope = snapshot.scope(access, &query.filters);
    let question = Question::read(&query.text, query.tuning.expand);
    let keyword = match query.mode {
        Mode::Dense => None,
        Mode::Keyword | Mode::Hybrid => Some(snapshot.keyword(&scope, &question)?),
    };
    let best = keyword.iter().flat_map(|found| found.best(wanted(query)));
    let rows = best.map(|(row, _)| row).collect();
    Ok(Begun { scope, question, keyword, rows })
}

/// Candidates that each side brings.
fn wanted(query: &Query) -> usize {
    CANDIDATES.max(query.limit * 2)
}

/// Every candidate, best first. What a hit says beyond its place is read for those only that are looked at.
pub struct Candidates<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    question: Question,
    vector: Option<&'a [f32]>,
    fused: Vec<Fused<RowId>>,
}

impl Candidates<'_> {
    /// So many at a time.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Vec<Ranked>> + '_ {
        let ranked = |fused| ranked(self.snapshot, self.query, self.vector, fused);
        self.fused.chunks(size.max(1)).map(move |batch| batch.iter().filter_map(ranked).collect())
    }

    /// Of the query's words.
    pub fn highlighter(self) -> Highlighter {
        Highlighter::new(self.question)
    }
}

pub fn rank<'a>(
    snapshot: &'a Snapshot,
    begun: Begun,
    query: &'a Query,
    vector: Option<&'a [f32]>,
) -> (Candidates<'a>, Plan) {
    let Begun { scope, question, keyword, mut rows } = begun;
    let mut plan = Plan {
        mode: query.mode,
        chunks_in_scope: snapshot.chunks_in(&scope),
        dense: None,
        watermark: snapshot.watermark(),
        generation: snapshot.generation().to_owned(),
        reranked: false,
    };
    if let Some(vector) = vector {
        let (found, how) = snapshot.dense_chunks(&scope, vector, wanted(query));
        plan.dense = Some(how);
        rows.extend(found.into_iter().map(|(row, _)| row));
    }
    rows.sort_unstable();
    rows.dedup();
    // Each candidate has a score from both sides, whichever found it: how deep a side looked decides nothing.
    let by_words = keyword.map(|found| ranking(&rows, |row| Some(found.score_of(row)).filter(|score| *score > 0.0)));
    let near = |vector| ranking(&rows, |row| snapshot.nearness(row, vector).map(|near| near.cosine));
    let fused = fuse(query, &by_words.unwrap_or_default(), &vector.map(near).unwrap_or_default());
    let fused = newest_first(snapshot, query, fused);
    let fused = spread_out(snapshot, query, fused);
    (Candidates { snapshot, query, question, vector, fused }, plan)
}

fn ranking(rows: &[RowId], score: impl Fn(RowId) -> Option<f32>) -> Ranking<RowId> {
    let mut candidates: Vec<(RowId, f32)> = rows.iter().filter_map(|row| Some((*row, score(*row)?))).collect();
    candidates.sort_by(best_first);
    Ranking { candidates }
}

fn best_first(one: &(RowId, f32), other: &(RowId, f32)) -> Ordering {
    other.1.total_cmp(&one.1).then(one.0.cmp(&other.0))
}

fn fuse(query: &Query, keyword: &Ranking<RowId>, dense: &Ranking<RowId>) -> Vec<Fused<RowId>> {
    let weight = query.dense_weight();
    match (query.mode, query.tuning.fusion) {
        (Mode::Keyword, _) => convex(keyword, dense, 0.0),
        (Mode::Dense, _) => convex(keyword, dense, 1.0),
        (Mode::Hybrid, Fusion::Convex) => convex(keyword, dense, weight),
        (Mode::Hybrid, Fusion::Standardized) => standardized(keyword, dense, weight),
        (Mode::Hybrid, Fusion::Rrf) => rrf(&[keyword.clone(), dense.clone()], RRF_K),
    }
}

/// Lifts what is newer when the question asks for that.
fn newest_first(snapshot: &Snapshot, query: &Query, mut fused: Vec<Fused<RowId>>) -> Vec<Fused<RowId>> {
    if query.mode != Mode::Hybrid || query.tuning.recency <= 0.0 || !asks_for_newest(&query.text) {
        return fused;
    }
    let scores: Vec<f32> = fused.iter().map(|fused| fused.score).collect();
    let dates: Vec<Option<Timestamp>> = fused.iter().map(|fused| snapshot.as_of(fused.key)).collect();
    let gained = gains(&scores, &dates, query.tuning.recency);
    fused.iter_mut().zip(gained).for_each(|(fused, gain)| fused.score += gain);
    fused.sort_by(|one, other| best_first(&(one.key, one.score), &(other.key, other.score)));
    fused
}

fn spread_out(snapshot: &Snapshot, query: &Query, fused: Vec<Fused<RowId>>) -> Vec<Fused<RowId>> {
    if query.tuning.diversity <= 0.0 {
        return fused;
    }
    let scores: Vec<f32> = fused.iter().map(|fused| fused.score).collect();
    let vectors: Vec<Option<&[f32]>> = fused.iter().map(|fused| snapshot.vector(fused.key)).collect();
    let likeness = |one: usize, two: usize| match (vectors.get(one), vectors.get(two)) {
        (Some(Some(one)), Some(Some(two))) => one.iter().zip(*two).map(|(one, two)| one * two).sum::<f32>().max(0.0),
        _ => 0.0,
    };
    let depth = DIVERSE_DEPTH.max(query.limit);
    let order = diverse(&scores, query.tuning.diversity, depth, likeness);
    order.into_iter().filter_map(|at| fused.get(at).cloned()).collect()
}

/// In a single mode the score shown is that side's own.
fn ranked(snapshot: &Snapshot, query: &Query, vector: Option<&[f32]>, fused: &Fused<RowId>) -> Option<Ranked> {
    let (key, chunk) = snapshot.locate(fused.key)?;
    let explanation = fused.explanation();
    let own = match query.mode {
        Mode::Hybrid => None,
        Mode::Keyword => explanation.keyword,
        Mode::Dense => explanation.dense,
    };
    let nearest = vector.and_then(|vector| snapshot.nearness(fused.key, vector)).map(|near| near.span);
    let around = snapshot.around(fused.key, query.neighbours).unwrap_or(chunk.span);
    let score = own.map_or(fused.score, |side| side.score);
    Some(Ranked { hit: Hit { key, chunk, score, explanation }, nearest, around })
}
