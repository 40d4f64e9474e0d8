//! The base: the first block of rows and the graph over it.
//!
//! Rows are divided by tenant and labels, and the graph links within a division only. Whoever may ask it sees all of
//! the divisions asked (`Unrestricted` in `scope.rs`), so no row that is hidden from a caller is ever on the way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kernels::graph::{Graph, NONE, Rows as GraphRows};
use serde::{Deserialize, Serialize};

use super::block::Block;
use super::scope::Unrestricted;
use crate::domain::{Labels, TenantId};

/// Divisions of fewer rows than this stay out of the graph and are scanned.
const SMALLEST_DIVISION: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Division {
    pub tenant: TenantId,
    pub labels: Labels,
}

pub struct Base {
    pub block: Arc<Block>,
    pub graph: Graph,
    divisions: Vec<Division>,
    /// By position: the row's division, or `NONE`.
    division_of: Vec<u32>,
    sizes: Vec<usize>,
}

impl Base {
    /// A graph over a block. Continues `before`, whose rows must be the block's first.
    ///
    /// `None` when `stop` was set before it was done.
    pub fn build(
        block: Arc<Block>,
        before: Option<&Self>,
        graph_from: usize,
        threads: usize,
        stop: &AtomicBool,
    ) -> Option<Self> {
        let smallest = SMALLEST_DIVISION.min(graph_from);
        let divisions =
            divisions(&block, before.map(|before| before.divisions.as_slice()).unwrap_or_default(), smallest);
        let division_of = divide(&block, &divisions, before.map(|before| before.division_of.as_slice()));
        let empty = Graph::empty();
        let rows = GraphRows { codes: &block.codes, partitions: &division_of, seeds: &block.fingerprints };
        let graph = before.map_or(&empty, |before| &before.graph).extend(rows, threads, stop)?;
        Some(Self::assemble(block, graph, divisions, division_of))
    }

    fn assemble(block: Arc<Block>, graph: Graph, divisions: Vec<Division>, division_of: Vec<u32>) -> Self {
        let mut sizes = vec![0; divisions.len()];
        for division in &division_of {
            if let Some(size) = sizes.get_mut(*division as usize) {
                *size += 1;
            }
        }
        Self { block, graph, divisions, division_of, sizes }
    }

    /// From a file; `None` when the parts don't agree with the block.
    pub fn from_parts(
        block: Arc<Block>,
        graph: Graph,
        divisions: Vec<Division>,
        division_of: Vec<u32>,
    ) -> Option<Self> {
        let rows = block.rows.len();
        let fits = division_of.len() == rows
            && graph.rows() == rows
            && division_of.iter().all(|division| *division == NONE || (*division as usize) < divisions.len());
        fits.then(|| Self::assemble(block, graph, divisions, division_of))
    }

    pub fn divisions(&self) -> &[Division] {
        &self.divisions
    }

    pub fn division_of(&self) -> &[u32] {
        &self.division_of
    }

    /// How many rows of the division are in the graph, those gone included.
    pub fn size(&self, division: u32) -> usize {
        self.sizes.get(division as usize).copied().unwrap_or_default()
    }

    /// For each division, whether the caller sees all of it.
    pub fn open_to(&self, caller: &Unrestricted) -> Vec<bool> {
        self.divisions.iter().map(|division| caller.covers(&division.tenant, &division.labels)).collect()
    }
}

/// The divisions of before, in their order, and those that are large enough by now.
fn divisions(block: &Block, before: &[Division], smallest: usize) -> Vec<Division> {
    let mut counts: HashMap<Division, usize> = HashMap::new();
    for (document, range) in block.documents.iter().zip(&block.rows_of) {
        let division = Division { tenant: document.tenant.clone(), labels: document.labels.without_codes() };
        *counts.entry(division).or_default() += range.len();
    }
    let mut divisions = before.to_vec();
    let mut new: Vec<(Division, usize)> =
        counts.into_iter().filter(|(division, count)| *count >= smallest && !before.contains(division)).collect();
    new.sort_by(|a, b| {
        b.1.cmp(&a.1).then_with(|| a.0.tenant.cmp(&b.0.tenant)).then_with(|| a.0.labels.cmp(&b.0.labels))
    });
    divisions.extend(new.into_iter().map(|(division, _)| division));
    divisions
}

/// Rows that the graph of before left out stay out, as it can't be told of them any more.
fn divide(block: &Block, divisions: &[Division], before: Option<&[u32]>) -> Vec<u32> {
    let numbers: HashMap<(&TenantId, &Labels), u32> =
        divisions.iter().zip(0..).map(|(division, number)| ((&division.tenant, &division.labels), number)).collect();
    let mut division_of: Vec<u32> = Vec::with_capacity(block.rows.len());
    for (document, range) in block.documents.iter().zip(&block.rows_of) {
        let number = numbers.get(&(&document.tenant, &document.labels.without_codes())).copied().unwrap_or(NONE);
        division_of.extend(range.clone().map(|_| number));
    }
    for (division, before) in division_of.iter_mut().zip(before.unwrap_or_default()) {
        *division = *before;
    }
    division_of
}
