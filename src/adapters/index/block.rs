//! A block: an immutable run of rows in ascending order, with everything that is known of each.
//!
//! Vectors, their codes and the documents lie side by side by *position*, the place of a row in its block.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use kernels::bits::Places;
use kernels::codes::Codes;
use kernels::nearest::Compared;
use kernels::sketches::Sketches;
use kernels::views::floats;
use tantivy::directory::OwnedBytes;

use super::block_scopes::BlockScopes;
use super::row_set::RowSet;
use super::schema::{DocumentEntry, StoredRow};
use crate::domain::{Chunk, DocumentId, Kind, Labels, PatientId, SourceId, Span, TenantId};

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
    /// For a window, the row of its chunk.
    pub part_of: Option<u32>,
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

/// Vectors side by side, in memory or in a file that is mapped into it.
pub enum Vectors {
    Memory(Vec<f32>),
    File(OwnedBytes),
}

impl Vectors {
    pub fn as_slice(&self) -> &[f32] {
        match self {
            Self::Memory(vectors) => vectors,
            Self::File(bytes) => floats(bytes).unwrap_or_default(),
        }
    }
}

/// What documents are told apart by when a scope is opened; there are few, so each is judged once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    pub tenant: TenantId,
    pub resource_type: String,
    pub labels: Labels,
    pub kind: Kind,
    pub source: SourceId,
}

/// A row as a commit holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenRow {
    pub stored: StoredRow,
    pub vector: Vec<f32>,
    pub fingerprint: u64,
}

pub struct Block {
    pub rows: Vec<Row>,
    pub documents: Vec<Arc<DocumentEntry>>,
    /// For each document, its rows as a range of `rows`.
    pub rows_of: Vec<Range<usize>>,
    pub vectors: Vectors,
    pub codes: Codes,
    /// Made from the codes.
    pub sketches: Sketches,
    /// For each row, what the commit calls its content by.
    pub fingerprints: Vec<u64>,
    pub places: Places,
    pub by_patient: HashMap<(TenantId, PatientId), Vec<u32>>,
    pub classes: Vec<Class>,
    /// For each document, which of the classes it is of.
    pub class_of: Vec<u32>,
    /// Hash of tenant and id, and the document: ascending.
    by_id: Vec<(u64, u32)>,
    pub scopes: BlockScopes,
    dimension: usize,
}

impl Block {
    /// Builds a block; rows of one document must follow each other, as an index batch writes them.
    pub fn build(mut rows: Vec<WrittenRow>, dimension: usize) -> Self {
        rows.sort_by_key(|row| row.stored.row);
        let mut builder = BlockBuilder::new(dimension);
        let mut vectors = Vec::with_capacity(rows.len() * dimension);
        let mut codes = Codes::new(dimension);
        let mut fingerprints = Vec::with_capacity(rows.len());
        for row in rows {
            vectors.extend_from_slice(&row.vector);
            codes.push(&row.vector);
            fingerprints.push(row.fingerprint);
            builder.push_stored(row.stored);
        }
        builder.finish(Vectors::Memory(vectors), codes, fingerprints)
    }

    /// Those rows of several blocks that are in `kept`, as one block.
    pub fn merge(blocks: &[Arc<Block>], kept: &RowSet, dimension: usize) -> Self {
        let mut builder = BlockBuilder::new(dimension);
        let mut vectors = Vec::new();
        let mut codes = Codes::new(dimension);
        let mut fingerprints = Vec::new();
        for block in blocks {
            let positions = block.places.of_set(kept.words());
            codes.extend_from(&block.codes, positions.iter().map(|position| *position as usize));
            for position in positions {
                let index = position as usize;
                let (Some(row), Some(fingerprint)) = (block.rows.get(index), block.fingerprints.get(index)) else {
                    continue;
                };
                let Some(document) = block.documents.get(row.document as usize) else { continue };
                vectors.extend_from_slice(block.vector(index));
                fingerprints.push(*fingerprint);
                builder.push(document, row.clone());
            }
        }
        builder.finish(Vectors::Memory(vectors), codes, fingerprints)
    }

    /// The rows that are in `set`.
    pub fn of_set(&self, set: &RowSet) -> impl Iterator<Item = &Row> {
        self.places.of_set(set.words()).into_iter().filter_map(|position| self.rows.get(position as usize))
    }

    pub fn vector(&self, position: usize) -> &[f32] {
        let range = position * self.dimension..(position + 1) * self.dimension;
        self.vectors.as_slice().get(range).unwrap_or_default()
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    pub fn compared(&self) -> Compared<'_> {
        Compared { codes: &self.codes, vectors: self.vectors.as_slice() }
    }

    pub fn first_row(&self) -> Option<u32> {
        self.rows.first().map(|row| row.number)
    }

    /// The documents of this tenant with this id: more than one when one replaced another.
    pub fn documents_called<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: &'a DocumentId,
    ) -> impl Iterator<Item = usize> + 'a {
        let wanted = hash_of(tenant, id);
        let from = self.by_id.partition_point(|(hash, _)| *hash < wanted);
        let alike = self.by_id.get(from..).unwrap_or_default().iter().take_while(move |(hash, _)| *hash == wanted);
        alike.map(|(_, document)| *document as usize).filter(move |document| {
            self.documents.get(*document).is_some_and(|entry| entry.tenant == *tenant && entry.id == *id)
        })
    }
}

fn hash_of(tenant: &TenantId, id: &DocumentId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tenant, id).hash(&mut hasher);
    hasher.finish()
}

/// Gathers rows and documents, and all that is looked up by them.
pub struct BlockBuilder {
    dimension: usize,
    rows: Vec<Row>,
    documents: Vec<Arc<DocumentEntry>>,
    rows_of: Vec<Range<usize>>,
    sections: HashMap<String, Arc<str>>,
}

impl BlockBuilder {
    pub fn new(dimension: usize) -> Self {
        Self { dimension, rows: Vec::new(), documents: Vec::new(), rows_of: Vec::new(), sections: HashMap::new() }
    }

    pub fn push_stored(&mut self, stored: StoredRow) {
        let section = stored.section.map(|title| self.section(title));
        let row = Row {
            number: stored.row,
            document: 0,
            ordinal: stored.ordinal,
            section,
            span: stored.span,
            tokens: stored.tokens,
            part_of: stored.part_of,
        };
        match self.documents.last() {
            Some(last) if **last == stored.document => self.add(row),
            _ => {
                self.begin(Arc::new(stored.document));
                self.add(row);
            }
        }
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    fn push(&mut self, document: &Arc<DocumentEntry>, row: Row) {
        if !self.documents.last().is_some_and(|last| Arc::ptr_eq(last, document)) {
            self.begin(document.clone());
        }
        self.add(row);
    }

    /// Titles recur in every note: each is kept once.
    fn section(&mut self, title: String) -> Arc<str> {
        self.sections.entry(title).or_insert_with_key(|title| Arc::from(title.as_str())).clone()
    }

    fn begin(&mut self, document: Arc<DocumentEntry>) {
        self.documents.push(document);
        self.rows_of.push(self.rows.len()..self.rows.len());
    }

    /// Adds a row of the document that was begun last.
    fn add(&mut self, row: Row) {
        self.rows.push(Row { document: self.documents.len().saturating_sub(1) as u32, ..row });
        if let Some(range) = self.rows_of.last_mut() {
            range.end = self.rows.len();
        }
    }

    pub fn finish(self, vectors: Vectors, codes: Codes, fingerprints: Vec<u64>) -> Block {
        let mut by_patient: HashMap<(TenantId, PatientId), Vec<u32>> = HashMap::new();
        let mut numbers: HashMap<Class, u32> = HashMap::new();
        let mut classes = Vec::new();
        let mut class_of = Vec::with_capacity(self.documents.len());
        let mut by_id = Vec::with_capacity(self.documents.len());
        for (number, document) in (0..).zip(&self.documents) {
            if let Some(patient) = &document.patient {
                by_patient.entry((document.tenant.clone(), patient.clone())).or_default().push(number);
            }
            let class = Class {
                tenant: document.tenant.clone(),
                resource_type: document.resource_type.clone(),
                labels: document.labels.without_codes(),
                kind: document.kind,
                source: document.source.clone(),
            };
            class_of.push(*numbers.entry(class).or_insert_with_key(|class| {
                classes.push(class.clone());
                classes.len() as u32 - 1
            }));
            by_id.push((hash_of(&document.tenant, &document.id), number));
        }
        by_id.sort_unstable();
        Block {
            places: Places::of(self.rows.iter().map(|row| row.number)),
            rows: self.rows,
            documents: self.documents,
            rows_of: self.rows_of,
            vectors,
            sketches: Sketches::of(&codes),
            codes,
            fingerprints,
            by_patient,
            classes,
            class_of,
            by_id,
            scopes: BlockScopes::default(),
            dimension: self.dimension,
        }
    }
}
