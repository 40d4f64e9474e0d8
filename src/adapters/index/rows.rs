//! Rows in memory: one per chunk, with its vector and the document it belongs to.
//!
//! Blocks are immutable and shared between snapshots. A row number is never used twice within a generation;
//! numbers of rows that are gone leave holes in the numbering, not in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::schema::{DocumentEntry, StoredRow};
use crate::domain::{Chunk, PatientId, Span, TenantId};

/// A set of row numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    count: usize,
}

impl RowSet {
    pub fn insert(&mut self, row: u32) {
        let (word, bit) = (row as usize / 64, row % 64);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(slot) = self.words.get_mut(word)
            && *slot & (1 << bit) == 0
        {
            *slot |= 1 << bit;
            self.count += 1;
        }
    }

    pub fn remove(&mut self, row: u32) {
        if let Some(slot) = self.words.get_mut(row as usize / 64)
            && *slot & (1 << (row % 64)) != 0
        {
            *slot &= !(1 << (row % 64));
            self.count -= 1;
        }
    }

    pub fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A chunk's place: which document entry of its block, and where in that document.
#[derive(Clone, Debug)]
pub struct Row {
    pub number: u32,
    /// Index into the block's documents.
    pub document: u32,
    pub ordinal: u32,
    pub section: Option<Arc<str>>,
    pub span: Span,
    pub tokens: u32,
}

impl Row {
    pub fn chunk(&self) -> Chunk {
        Chunk {
            ordinal: self.ordinal,
            section: self.section.as_deref().map(str::to_owned),
            span: self.span,
            tokens: self.tokens,
        }
    }
}

/// An immutable run of rows in ascending order, with their vectors side by side.
#[derive(Debug)]
pub struct Block {
    pub rows: Vec<Row>,
    pub documents: Vec<DocumentEntry>,
    /// `rows.len() * dimension` components.
    pub vectors: Vec<f32>,
    pub by_patient: HashMap<(TenantId, PatientId), Vec<u32>>,
    /// For each document, its rows as a range of `rows`.
    pub rows_of: Vec<std::ops::Range<usize>>,
}

impl Block {
    pub fn vector(&self, index: usize, dimension: usize) -> &[f32] {
        self.vectors.get(index * dimension..(index + 1) * dimension).unwrap_or_default()
    }

    /// Builds a block; rows of one document must follow each other, as an index batch writes them.
    pub fn build(mut rows: Vec<(StoredRow, Vec<f32>)>) -> Self {
        rows.sort_by_key(|(row, _)| row.row);
        let mut block = Self {
            rows: Vec::with_capacity(rows.len()),
            documents: Vec::new(),
            vectors: Vec::new(),
            by_patient: HashMap::new(),
            rows_of: Vec::new(),
        };
        for (stored, vector) in rows {
            block.push(stored, &vector);
        }
        block
    }

    fn push(&mut self, stored: StoredRow, vector: &[f32]) {
        let position = self.rows.len();
        if self.documents.last() != Some(&stored.document) {
            let number = self.documents.len() as u32;
            if let Some(patient) = &stored.document.patient {
                let key = (stored.document.tenant.clone(), patient.clone());
                self.by_patient.entry(key).or_default().push(number);
            }
            self.documents.push(stored.document);
            self.rows_of.push(position..position);
        }
        if let Some(range) = self.rows_of.last_mut() {
            range.end = position + 1;
        }
        self.rows.push(Row {
            number: stored.row,
            document: self.documents.len() as u32 - 1,
            ordinal: stored.ordinal,
            section: stored.section.map(Arc::from),
            span: stored.span,
            tokens: stored.tokens,
        });
        self.vectors.extend_from_slice(vector);
    }

    /// The live rows of several blocks as one.
    pub fn merge(blocks: &[Arc<Block>], live: &RowSet, dimension: usize) -> Self {
        let mut rows = Vec::new();
        for block in blocks {
            for (index, row) in block.rows.iter().enumerate() {
                let Some(document) = block.documents.get(row.document as usize) else { continue };
                if live.contains(row.number) {
                    rows.push((row.stored(document), block.vector(index, dimension).to_vec()));
                }
            }
        }
        Self::build(rows)
    }
}

impl Row {
    fn stored(&self, document: &DocumentEntry) -> StoredRow {
        StoredRow {
            row: self.number,
            document: document.clone(),
            ordinal: self.ordinal,
            section: self.section.as_deref().map(str::to_owned),
            span: self.span,
            tokens: self.tokens,
        }
    }
}

/// Every block of a moment, and which of their rows are alive.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub blocks: Vec<Arc<Block>>,
    pub live: RowSet,
    pub dimension: usize,
}

/// More blocks than this are merged: a scan touches each of them.
const MANY_BLOCKS: usize = 24;

impl Rows {
    pub fn find(&self, number: u32) -> Option<(&Block, usize)> {
        let after = self.blocks.partition_point(|block| block.rows.first().is_some_and(|row| row.number <= number));
        let block = self.blocks.get(after.checked_sub(1)?)?;
        let index = block.rows.binary_search_by_key(&number, |row| row.number).ok()?;
        Some((block, index))
    }

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

    /// Drops rows that are gone, and their vectors, from memory.
    pub fn compact(&mut self) {
        let whole = Block::merge(&self.blocks, &self.live, self.dimension);
        self.blocks = if whole.rows.is_empty() { Vec::new() } else { vec![Arc::new(whole)] };
    }

    /// Merges the trailing blocks that are small beside the ones before, so that each row is merged few times.
    fn merge_small(&mut self) {
        let mut start = self.blocks.len() - 1;
        let mut tail = self.blocks.get(start).map_or(0, |block| block.rows.len());
        while let Some(previous) = start.checked_sub(1).and_then(|index| self.blocks.get(index))
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
