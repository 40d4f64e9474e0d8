//! Chunks by their vectors: what a chunk is about as a whole, and what it says in one place, count alike.

use kernels::distance::dot;

use super::Scope;
use super::block::Row;
use super::snapshot::{DensePlan, RowId, Snapshot};
use crate::domain::{Span, Timestamp};

/// Rows of one chunk that may stand among the nearest, so that enough chunks come back: at most, and beside the mean.
const MOST_ROWS_OF_CHUNK: f32 = 3.0;
const ROOM_FOR_MORE: f32 = 1.5;

/// How near a chunk is, and which part of it is nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearness {
    pub cosine: f32,
    pub span: Span,
}

impl Snapshot {
    /// The chunks in scope nearest to `vector` by cosine, best first, ties by row; at most `limit`.
    pub fn dense_chunks(&self, scope: &Scope, vector: &[f32], limit: usize) -> (Vec<(RowId, f32)>, DensePlan) {
        let rows_of_chunk = scope.rows().len() as f32 / self.chunks_in(scope).max(1) as f32;
        let rows_of_chunk = (rows_of_chunk * ROOM_FOR_MORE).min(MOST_ROWS_OF_CHUNK);
        let (rows, plan) = self.dense(scope, vector, (limit as f32 * rows_of_chunk).ceil() as usize);
        let mut found: Vec<RowId> = rows.iter().filter_map(|(row, _)| self.chunk_of(*row)).collect();
        found.sort_unstable();
        found.dedup();
        let near = |chunk: RowId| Some((chunk, self.nearness(chunk, vector)?.cosine));
        let mut chunks: Vec<(RowId, f32)> = found.into_iter().filter_map(near).collect();
        chunks.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        chunks.truncate(limit);
        (chunks, plan)
    }

    /// How near a chunk is to `vector`: the mean of the chunk as a whole and of the nearest of its windows. `None` for a
    /// row that is no chunk.
    pub fn nearness(&self, chunk: RowId, vector: &[f32]) -> Option<Nearness> {
        let (block, index) = self.rows().find(chunk.0)?;
        let whole = block.rows.get(index)?;
        let cosine = |index: usize| dot(vector, block.vector(index));
        let of_whole = Nearness { cosine: cosine(index), span: whole.span };
        let windows = block.rows.get(index + 1..)?.iter().enumerate();
        let nearest = windows
            .take_while(|(_, row)| row.part_of == Some(chunk.0))
            .map(|(after, row)| Nearness { cosine: cosine(index + 1 + after), span: row.span })
            .reduce(|best, next| if next.cosine > best.cosine { next } else { best });
        let Some(window) = nearest else { return Some(of_whole) };
        Some(Nearness { cosine: f32::midpoint(of_whole.cosine, window.cosine), span: window.span })
    }

    /// The vector of a chunk as a whole.
    pub fn vector(&self, chunk: RowId) -> Option<&[f32]> {
        let (block, index) = self.rows().find(chunk.0)?;
        Some(block.vector(index))
    }

    /// From the chunk that lies `neighbours` before, in the same document, to the one that lies as many after.
    pub fn around(&self, chunk: RowId, neighbours: usize) -> Option<Span> {
        let (block, index) = self.rows().find(chunk.0)?;
        let middle = block.rows.get(index)?;
        let rows = block.rows.get(block.rows_of.get(middle.document as usize)?.clone())?;
        let near = |row: &&Row| row.part_of.is_none() && row.ordinal.abs_diff(middle.ordinal) as usize <= neighbours;
        let join = |span: Span, row: &Row| Span::new(span.start.min(row.span.start), span.end.max(row.span.end));
        Some(rows.iter().filter(near).fold(middle.span, join))
    }

    /// When the content of the document that a row belongs to was true.
    pub fn as_of(&self, row: RowId) -> Option<Timestamp> {
        let (block, index) = self.rows().find(row.0)?;
        Some(block.documents.get(block.rows.get(index)?.document as usize)?.as_of)
    }

    fn chunk_of(&self, row: RowId) -> Option<RowId> {
        let (block, index) = self.rows().find(row.0)?;
        let row = block.rows.get(index)?;
        Some(RowId(row.part_of.unwrap_or(row.number)))
    }
}
