//! What one query sees: both indexes at one moment, never half an update.

use std::sync::Arc;

use kernels::distance::dot;
use tantivy::Searcher;

use super::block::Row;
use super::dense;
use super::keyword::{self, Bm25, Found};
use super::question::Question;
use super::rows::Rows;
use super::schema::Fields;
use super::scope::SnapshotScopes;
use super::segment_rows::SegmentRows;
use super::{IndexError, Scope};
use crate::access::{Access, Act};
use crate::domain::{Chunk, DocumentKey, Filters};

/// A chunk's number within one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub(super) u32);

/// How the dense side found its candidates, and what it expected that to cost.
///
/// Costs are in comparisons of a scan, so that the two can be held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DensePlan {
    pub method: Method,
    pub scan_cost: usize,
    /// Absent where the graph was not thought of.
    pub graph_cost: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Nothing,
    /// Every row in scope was compared.
    Exact,
    /// Of the rows in scope those were compared whose sketches promised most.
    Sketches,
    Graph,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing_in_scope",
            Self::Exact => "exact",
            Self::Graph => "graph",
            Self::Sketches => "sketches",
        }
    }
}

pub struct Snapshot {
    pub(super) searcher: Searcher,
    pub(super) segments: Vec<SegmentRows>,
    pub(super) fields: Fields,
    pub(super) rows: Rows,
    pub(super) scopes: SnapshotScopes,
    pub(super) exact_up_to: usize,
    pub(super) watermark: i64,
    pub(super) generation: Arc<str>,
}

impl Snapshot {
    /// The last change that this snapshot shows.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// Chunks of all tenants: for the gauges, never for a caller.
    pub fn chunks(&self) -> usize {
        let is_chunk = |row: &&Row| row.part_of.is_none() && self.rows.live.contains(row.number);
        self.rows.blocks.iter().map(|block| block.rows.iter().filter(is_chunk).count()).sum()
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Chunks within a scope.
    pub fn chunks_in(&self, scope: &Scope) -> usize {
        scope.chunks(&self.rows)
    }

    pub fn scope(&self, access: &Access, filters: &Filters) -> Scope {
        Scope::open(self, access, filters)
    }

    /// The chunks in scope that hold something of the question, by BM25.
    pub fn keyword(&self, scope: &Scope, question: &Question) -> Result<Found, IndexError> {
        let parameters = Bm25::default();
        keyword::search(&self.searcher, &self.segments, self.fields.body, scope, question, parameters)
    }

    /// The rows in scope nearest to `vector` by cosine, best first.
    pub fn dense(&self, scope: &Scope, vector: &[f32], limit: usize) -> (Vec<(RowId, f32)>, DensePlan) {
        dense::search(&self.rows, scope.scoped(), vector, limit, self.exact_up_to)
    }

    /// The mean direction of a document's chunks and windows; `None` when the caller may not read it, or it isn't here.
    pub fn mean_vector(&self, access: &Access, key: &DocumentKey) -> Option<Vec<f32>> {
        let mut sum = vec![0.0_f32; self.rows.dimension];
        for block in &self.rows.blocks {
            for document in block.documents_called(access.tenant(), &key.id) {
                let entry = block.documents.get(document)?;
                let reach = access.reach();
                if entry.version != key.version || !reach.covers(Act::Read, &entry.row()) {
                    continue;
                }
                for position in block.rows_of.get(document).cloned().unwrap_or_default() {
                    if block.rows.get(position).is_some_and(|row| self.rows.live.contains(row.number)) {
                        sum.iter_mut().zip(block.vector(position)).for_each(|(sum, component)| *sum += component);
                    }
                }
            }
        }
        let length = dot(&sum, &sum).sqrt();
        (length > 0.0).then(|| sum.iter().map(|component| component / length).collect())
    }

    /// Which chunk of which document version a row is, or is a window of.
    pub fn locate(&self, row: RowId) -> Option<(DocumentKey, Chunk)> {
        let (block, index) = self.rows.find(row.0)?;
        let row = block.rows.get(index)?;
        let (block, index) = row.part_of.map_or(Some((block, index)), |chunk| self.rows.find(chunk))?;
        let row = block.rows.get(index)?;
        let document = block.documents.get(row.document as usize)?;
        let key = DocumentKey { id: document.id.clone(), version: document.version };
        Some((key, row.chunk()))
    }
}
