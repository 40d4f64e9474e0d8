//! Nearest vectors within a scope: an exact scan where the scope is small, the graph where it is broad.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use hnsw_rs::prelude::{Distance, Hnsw};

use super::rows::{RowSet, Rows};
use super::snapshot::{DensePlan, RowId};

/// Neighbours a node keeps, and candidates looked at while building: the usual middle of what Malkov & Yashunin
/// (2018) recommend for a few hundred dimensions.
const NEIGHBOURS: usize = 24;
const BUILD_CANDIDATES: usize = 200;
const LAYERS: usize = 16;
/// Candidates looked at per query, at least.
const SEARCH_CANDIDATES: usize = 128;

/// 1 - cosine of unit vectors, never below 0 whatever the rounding.
#[derive(Clone, Copy, Default)]
struct UnitCosine;

impl Distance<f32> for UnitCosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

/// The graph over all rows of a generation; it only grows, and searches mask what is gone or out of scope.
pub struct Graph {
    hnsw: Hnsw<'static, f32, UnitCosine>,
}

impl Graph {
    pub fn with_capacity(rows: usize) -> Self {
        Self { hnsw: Hnsw::new(NEIGHBOURS, rows.max(1024), LAYERS, BUILD_CANDIDATES, UnitCosine) }
    }

    /// Adds vectors; readers of earlier snapshots don't see them, as their scopes don't hold the numbers.
    pub fn insert(&self, rows: &[(&[f32], usize)]) {
        let owned: Vec<(&[f32], usize)> = rows.to_vec();
        self.hnsw.parallel_insert_slice(&owned);
    }

    fn search(&self, query: &[f32], within: &RowSet, limit: usize) -> Vec<(RowId, f32)> {
        let filter = |row: &usize| u32::try_from(*row).is_ok_and(|row| within.contains(row));
        let candidates = SEARCH_CANDIDATES.max(limit * 2);
        let found = self.hnsw.search_filter(query, limit, candidates, Some(&filter));
        let mut ranked: Vec<(RowId, f32)> = found
            .into_iter()
            .filter_map(|neighbour| Some((RowId(u32::try_from(neighbour.d_id).ok()?), 1.0 - neighbour.distance)))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked
    }
}

/// The `limit` rows of `within` nearest to `query` by dot product (vectors are unit length), best first.
///
/// Up to `exact_up_to` rows are scanned, which finds every one; beyond, the graph is asked, and when the
/// filter leaves it short of results the scan takes over.
pub fn search(
    rows: &Rows,
    graph: Option<&Graph>,
    query: &[f32],
    within: &RowSet,
    limit: usize,
    exact_up_to: usize,
) -> (Vec<(RowId, f32)>, DensePlan) {
    if within.is_empty() {
        return (Vec::new(), DensePlan::Nothing);
    }
    if let Some(graph) = graph
        && within.len() > exact_up_to
    {
        let found = graph.search(query, within, limit);
        if found.len() >= limit.min(within.len()) {
            return (found, DensePlan::Graph);
        }
        return (scan(rows, query, within, limit), DensePlan::ExactAfterGraph);
    }
    (scan(rows, query, within, limit), DensePlan::Exact)
}

/// A candidate ordered so that the heap's greatest is the one to drop first.
struct Worst {
    score: f32,
    row: u32,
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}

fn scan(rows: &Rows, query: &[f32], within: &RowSet, limit: usize) -> Vec<(RowId, f32)> {
    let mut best = BinaryHeap::with_capacity(limit + 1);
    for block in &rows.blocks {
        for (index, row) in block.rows.iter().enumerate() {
            if within.contains(row.number) {
                best.push(Worst { score: dot(query, block.vector(index, rows.dimension)), row: row.number });
                if best.len() > limit {
                    best.pop();
                }
            }
        }
    }
    best.into_sorted_vec().into_iter().map(|candidate| (RowId(candidate.row), candidate.score)).collect()
}

/// Sixteen running sums, so that the compiler can keep them in vector registers.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
