//! What one query sees: both indexes at one moment, never half an update.

use std::sync::Arc;

use tantivy::{DocId, Searcher};

use super::dense::{self, Graph};
use super::keyword::{self, Bm25, Found};
use super::question::Question;
use super::rows::{Block, Rows};
use super::schema::Fields;
use super::{IndexError, Scope};
use crate::access::Access;
use crate::domain::{Chunk, DocumentKey, Filters};

/// A chunk's number within one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub(super) u32);

/// How the dense side found its candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DensePlan {
    Nothing,
    /// Every row in scope was compared.
    Exact,
    Graph,
    /// The filter left the graph short of results, so every row in scope was compared.
    ExactAfterGraph,
}

impl DensePlan {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing_in_scope",
            Self::Exact => "exact",
            Self::Graph => "graph",
            Self::ExactAfterGraph => "exact_after_graph",
        }
    }
}

/// tantivy's documents of one segment -> our row numbers.
#[derive(Clone)]
pub struct SegmentRows(pub(super) Arc<[u32]>);

impl SegmentRows {
    pub(super) fn row_of(&self, document: DocId) -> Option<u32> {
        self.0.get(document as usize).copied()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (DocId, u32)> + '_ {
        (0..).zip(self.0.iter().copied())
    }
}

pub struct Snapshot {
    pub(super) searcher: Searcher,
    pub(super) segments: Vec<SegmentRows>,
    pub(super) fields: Fields,
    pub(super) rows: Rows,
    pub(super) graph: Option<Arc<Graph>>,
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
        let of_block = |block: &Block| {
            block.rows.iter().filter(|row| row.part_of.is_none() && self.rows.live.contains(row.number)).count()
        };
        self.rows.blocks.iter().map(|block| of_block(block)).sum()
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub fn scope(&self, access: &Access, filters: &Filters) -> Scope {
        Scope::open(self, access, filters)
    }

    /// The chunks in scope that hold something of `text`, by BM25; with `expand`, or something that says the same.
    pub fn keyword(&self, scope: &Scope, text: &str, expand: bool) -> Result<Found, IndexError> {
        let question = Question::read(text, expand);
        let parameters = Bm25::default();
        keyword::search(&self.searcher, &self.segments, self.fields.body, scope.rows(), &question, parameters)
    }

    /// The rows in scope nearest to `vector` by cosine, best first.
    pub fn dense(&self, scope: &Scope, vector: &[f32], limit: usize) -> (Vec<(RowId, f32)>, DensePlan) {
        dense::search(&self.rows, self.graph.as_deref(), vector, scope.rows(), limit, self.exact_up_to)
    }

    /// Which chunk of which document version a row is.
    pub fn locate(&self, row: RowId) -> Option<(DocumentKey, Chunk)> {
        let (block, index) = self.rows.find(row.0)?;
        let row = block.rows.get(index)?;
        let document = block.documents.get(row.document as usize)?;
        let key = DocumentKey { id: document.id.clone(), version: document.version };
        Some((key, row.chunk()))
    }
}
