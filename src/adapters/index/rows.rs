//! Rows in memory: one per chunk, in blocks that snapshots share.
//!
//! A row number is never used twice within a generation; numbers of rows that are gone leave holes in the numbering,
//! not in memory. The first block may carry a graph; what comes after it is the tail, which is always scanned.

use std::sync::Arc;

use super::base::Base;
use super::block::Block;
pub use super::row_set::RowSet;
use crate::domain::{DocumentId, TenantId};

/// Every block of a moment, and which of their rows are alive.
#[derive(Clone, Default)]
pub struct Rows {
    pub blocks: Vec<Arc<Block>>,
    pub live: RowSet,
    pub dimension: usize,
    /// The graph over the first block, once there is one.
    pub base: Option<Arc<Base>>,
    /// So many of the first blocks are being merged elsewhere and stay as they are.
    pub pinned: usize,
}

/// More blocks than this are merged: a scan touches each of them.
const MANY_BLOCKS: usize = 24;

impl Rows {
    pub fn find(&self, number: u32) -> Option<(&Block, usize)> {
        let after = self.blocks.partition_point(|block| block.first_row().is_some_and(|first| first <= number));
        let block = self.blocks.get(after.checked_sub(1)?)?;
        Some((block, block.places.place(number)? as usize))
    }

    /// Rows in memory, those that are gone included.
    pub fn held(&self) -> usize {
        self.blocks.iter().map(|block| block.rows.len()).sum()
    }

    /// Masks a document's rows.
    pub fn forget(&mut self, tenant: &TenantId, id: &DocumentId) {
        for block in &self.blocks {
            for document in block.documents_called(tenant, id) {
                let range = block.rows_of.get(document).cloned().unwrap_or_default();
                block.rows.get(range).unwrap_or_default().iter().for_each(|row| self.live.remove(row.number));
            }
        }
    }

    /// All blocks there are now, to be merged elsewhere.
    pub fn pin(&mut self) -> Vec<Arc<Block>> {
        self.pinned = self.blocks.len();
        self.blocks.clone()
    }

    /// Puts `block` in the place of the first blocks, with the graph over it if there is one; false when those are no
    /// longer the ones that were pinned.
    pub fn replace(&mut self, pinned: Vec<Arc<Block>>, block: Arc<Block>, base: Option<Arc<Base>>) -> bool {
        self.pinned = 0;
        let first = self.blocks.get(..pinned.len()).unwrap_or_default();
        if first.len() != pinned.len() || !first.iter().zip(&pinned).all(|(own, pinned)| Arc::ptr_eq(own, pinned)) {
            return false;
        }
        let new = (!block.rows.is_empty()).then_some(block);
        self.blocks.splice(..pinned.len(), new);
        self.base = base;
        true
    }

    /// Lets the blocks that were pinned be merged again.
    pub fn unpin(&mut self) {
        self.pinned = 0;
    }

    /// Adds a block whose rows come after all others.
    pub fn append(&mut self, block: Block) {
        if block.rows.is_empty() {
            return;
        }
        for row in &block.rows {
            self.live.insert(row.number);
        }
        self.blocks.push(Arc::new(block));
        if self.blocks.len() > MANY_BLOCKS {
            self.merge_small();
        }
    }

    /// Drops rows that are gone, and their vectors, from memory, and the graph that they are nodes of.
    pub fn compact(&mut self) {
        let whole = Block::merge(&self.blocks, &self.live, self.dimension);
        self.blocks = if whole.rows.is_empty() { Vec::new() } else { vec![Arc::new(whole)] };
        (self.base, self.pinned) = (None, 0);
    }

    /// Merges the trailing blocks that are small beside the ones before, so that each row is merged few times.
    fn merge_small(&mut self) {
        // The block with the graph stays as it is.
        let first = self.pinned.max(usize::from(self.base.is_some()));
        let mut start = self.blocks.len() - 1;
        if start < first {
            return;
        }
        let mut tail = self.blocks.get(start).map_or(0, |block| block.rows.len());
        while start > first
            && let Some(previous) = start.checked_sub(1).and_then(|index| self.blocks.get(index))
            && (previous.rows.len() <= tail * 2 || start >= MANY_BLOCKS / 2)
        {
            tail += previous.rows.len();
            start -= 1;
        }
        let merged = Block::merge(self.blocks.get(start..).unwrap_or_default(), &self.live, self.dimension);
        self.blocks.truncate(start);
        if !merged.rows.is_empty() {
            self.blocks.push(Arc::new(merged));
        }
    }
}
