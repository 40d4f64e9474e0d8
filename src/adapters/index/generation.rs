//! One generation of the index: a folder, its one writer, and the state in memory that goes with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::index::{SegmentComponent, SegmentId, SegmentMeta};
use tantivy::schema::Value;
use tantivy::{Index as TantivyIndex, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::dense::Graph;
use super::rows::{Block, Rows};
use super::schema::{self, CommitPayload, DocumentEntry, Fields, ROW_FIELD, StoredRow};
use super::snapshot::{SegmentRows, Snapshot};
use super::{IndexError, IndexSettings};
use crate::access::Upkeep;
use crate::domain::{Chunk, DocumentId, DocumentStatus, StoredDocument, TenantId};

/// tantivy's own minimum is 15 MB; one thread, as embedding is what takes the time.
const WRITER_MEMORY_BYTES: usize = 50_000_000;

/// The files of every segment; tantivy itself takes the lack of some for a field without content.
const COMPONENTS: [SegmentComponent; 6] = [
    SegmentComponent::Postings,
    SegmentComponent::Positions,
    SegmentComponent::Terms,
    SegmentComponent::FastFields,
    SegmentComponent::FieldNorms,
    SegmentComponent::Store,
];

#[derive(Clone, Debug)]
pub struct IndexedChunk {
    pub chunk: Chunk,
    /// Unit length.
    pub vector: Vec<f32>,
}

/// A document version with all its chunks; it replaces whatever is held of the same document.
#[derive(Clone, Debug)]
pub struct IndexedDocument {
    pub tenant: TenantId,
    pub document: StoredDocument,
    pub chunks: Vec<IndexedChunk>,
}

#[derive(Clone, Debug)]
pub enum IndexChange {
    Put(Box<IndexedDocument>),
    Remove { tenant: TenantId, id: DocumentId },
}

impl IndexChange {
    fn document_term(&self) -> String {
        match self {
            Self::Put(put) => schema::document_term(&put.tenant, &put.document.key.id),
            Self::Remove { tenant, id } => schema::document_term(tenant, id),
        }
    }
}

/// Rows with their vectors, as one commit wrote them.
type Written = Vec<(StoredRow, Vec<f32>)>;

pub struct Generation {
    name: Arc<str>,
    folder: PathBuf,
    settings: IndexSettings,
    fields: Fields,
    writer: IndexWriter,
    reader: IndexReader,
    rows: Rows,
    graph: Option<Arc<Graph>>,
    rows_of: HashMap<String, Vec<u32>>,
    segments: HashMap<SegmentId, SegmentRows>,
    payload: CommitPayload,
}

impl Generation {
    /// Opens the generation in `folder`, or begins an empty one there.
    ///
    /// Errors: [`IndexError::InUse`] when another process writes it.
    pub fn open(folder: &Path, name: &str, settings: IndexSettings) -> Result<Self, IndexError> {
        std::fs::create_dir_all(folder)?;
        let (schema, fields) = schema::schema();
        let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
        let index = TantivyIndex::open_or_create(directory, schema)?;
        schema::register_analyzer(&index);
        check_files(&index, folder)?;
        let writer = index.writer_with_num_threads(1, WRITER_MEMORY_BYTES)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let payload = match index.load_metas()?.payload {
            Some(text) => serde_json::from_str(&text).map_err(|_| IndexError::Corrupt { what: "commit payload" })?,
            None => CommitPayload { watermark: 0, next_row: 0 },
        };
        let mut generation = Self {
            name: Arc::from(name),
            folder: folder.to_owned(),
            rows: Rows { dimension: settings.dimension, ..Rows::default() },
            settings,
            fields,
            writer,
            reader,
            graph: None,
            rows_of: HashMap::new(),
            segments: HashMap::new(),
            payload,
        };
        let stored = generation.read_rows()?;
        generation.take_in(stored);
        Ok(generation)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn watermark(&self) -> i64 {
        self.payload.watermark
    }

    /// Applies changes in order and commits them together with the watermark they reach.
    ///
    /// On an error nothing of it is kept, on disk or in memory.
    pub fn apply(&mut self, _upkeep: &Upkeep, changes: &[IndexChange], watermark: i64) -> Result<(), IndexError> {
        match self.commit(changes, watermark) {
            Ok((next_row, written)) => {
                for change in changes {
                    self.forget(&change.document_term());
                }
                self.payload = CommitPayload { watermark, next_row };
                self.take_in(written);
                self.reader.reload()?;
                Ok(())
            }
            Err(error) => {
                self.writer.rollback()?;
                Err(error)
            }
        }
    }

    /// Writes every segment with removed rows anew without them.
    pub(super) fn merge_away_removed(&mut self, _upkeep: &Upkeep) -> Result<(), IndexError> {
        for segment in self.writer.index().searchable_segment_metas()? {
            if segment.has_deletes() {
                self.writer.merge(&[segment.id()]).wait()?;
            }
        }
        self.rows.compact();
        Ok(self.reader.reload()?)
    }

    /// Removes files that no segment uses any more.
    pub(super) fn collect_files(&mut self) -> Result<(), IndexError> {
        self.writer.garbage_collect_files().wait()?;
        Ok(())
    }

    /// The state of the last commit.
    pub fn snapshot(&mut self) -> Result<Snapshot, IndexError> {
        let searcher = self.reader.searcher();
        let mut segments = HashMap::with_capacity(searcher.segment_readers().len());
        let mut in_order = Vec::with_capacity(searcher.segment_readers().len());
        for reader in searcher.segment_readers() {
            let id = reader.segment_id();
            let rows = match self.segments.get(&id) {
                Some(rows) => rows.clone(),
                None => segment_rows(reader)?,
            };
            in_order.push(rows.clone());
            segments.insert(id, rows);
        }
        self.segments = segments;
        Ok(Snapshot {
            searcher,
            segments: in_order,
            fields: self.fields,
            rows: self.rows.clone(),
            graph: self.graph.clone(),
            exact_up_to: self.settings.exact_up_to,
            watermark: self.payload.watermark,
            generation: self.name.clone(),
        })
    }

    /// Writes and commits; returns the next free row and the rows written, for memory to follow.
    fn commit(&mut self, changes: &[IndexChange], watermark: i64) -> Result<(u32, Written), IndexError> {
        let mut next_row = self.payload.next_row;
        let mut written = Vec::new();
        // A document that changes twice in one batch keeps its last state only.
        let last_of: HashMap<String, usize> =
            changes.iter().enumerate().map(|(index, change)| (change.document_term(), index)).collect();
        for (index, change) in changes.iter().enumerate() {
            let term = change.document_term();
            self.writer.delete_term(Term::from_field_text(self.fields.document, &term));
            let IndexChange::Put(put) = change else { continue };
            if last_of.get(&term) != Some(&index) {
                continue;
            }
            for indexed in &put.chunks {
                let row = stored_row(next_row, put, indexed);
                self.writer.add_document(self.keyword_document(&term, put, indexed, &row)?)?;
                written.push((row, indexed.vector.clone()));
                next_row += 1;
            }
        }
        let payload = serde_json::to_string(&CommitPayload { watermark, next_row }).expect("numbers always serialize");
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        Ok((next_row, written))
    }

    fn keyword_document(
        &self,
        term: &str,
        put: &IndexedDocument,
        indexed: &IndexedChunk,
        row: &StoredRow,
    ) -> Result<TantivyDocument, IndexError> {
        let document = &put.document.document;
        let text = indexed.chunk.span.of(&document.text).ok_or(IndexError::Corrupt { what: "chunk span" })?;
        let section = indexed.chunk.section.as_deref();
        let mut fields = TantivyDocument::new();
        fields.add_text(self.fields.document, term);
        fields.add_u64(self.fields.row, u64::from(row.row));
        fields.add_text(self.fields.body, schema::keyword_text(&document.title, section, text));
        fields.add_bytes(self.fields.stored, &serde_json::to_vec(row).expect("plain values always serialize"));
        fields.add_bytes(self.fields.vector, &schema::encode_vector(&indexed.vector));
        Ok(fields)
    }

    fn forget(&mut self, term: &str) {
        for row in self.rows_of.remove(term).unwrap_or_default() {
            self.rows.live.remove(row);
        }
    }

    /// Brings committed rows into memory: the block, the lookup by document, the graph.
    fn take_in(&mut self, written: Written) {
        for (row, _) in &written {
            let term = schema::document_term(&row.document.tenant, &row.document.id);
            self.rows_of.entry(term).or_default().push(row.row);
        }
        let block = Block::build(written);
        let dimension = self.rows.dimension;
        if let Some(graph) = &self.graph {
            grow(graph, &block, dimension);
        }
        self.rows.append(block);
        if self.graph.is_none() && self.rows.live.len() > self.settings.graph_from {
            let graph = Graph::with_capacity(self.rows.live.len() * 2);
            for block in &self.rows.blocks {
                grow(&graph, block, dimension);
            }
            self.graph = Some(Arc::new(graph));
        }
    }

    /// Every live row of the last commit, from disk.
    fn read_rows(&self) -> Result<Written, IndexError> {
        let searcher = self.reader.searcher();
        let mut rows = Vec::new();
        for reader in searcher.segment_readers() {
            let store = reader.get_store_reader(1)?;
            for document in store.iter::<TantivyDocument>(reader.alive_bitset()) {
                let document = document?;
                let bytes = |field| document.get_first(field).and_then(|value| value.as_bytes());
                let stored = bytes(self.fields.stored).ok_or(IndexError::Corrupt { what: "row" })?;
                let vector = bytes(self.fields.vector).ok_or(IndexError::Corrupt { what: "vector" })?;
                let row = serde_json::from_slice(stored).map_err(|_| IndexError::Corrupt { what: "row" })?;
                rows.push((row, schema::decode_vector(vector)?));
            }
        }
        Ok(rows)
    }
}

/// A disk that gives back other bytes than were written, or not all of them, must not become a wrong answer.
fn check_files(index: &TantivyIndex, folder: &Path) -> Result<(), IndexError> {
    let is_there = |segment: &SegmentMeta| {
        COMPONENTS.iter().all(|part| folder.join(segment.relative_path(part.clone())).is_file())
    };
    let complete = index.searchable_segment_metas()?.iter().all(is_there);
    if complete && index.validate_checksum()?.is_empty() { Ok(()) } else { Err(IndexError::Corrupt { what: "file" }) }
}

fn grow(graph: &Graph, block: &Block, dimension: usize) {
    let rows: Vec<(&[f32], usize)> = block
        .rows
        .iter()
        .enumerate()
        .map(|(index, row)| (block.vector(index, dimension), row.number as usize))
        .collect();
    graph.insert(&rows);
}

fn segment_rows(reader: &tantivy::SegmentReader) -> Result<SegmentRows, IndexError> {
    let column = reader.fast_fields().u64(ROW_FIELD)?;
    let rows = (0..reader.max_doc())
        .map(|document| {
            let row = column.first(document).ok_or(IndexError::Corrupt { what: "row number" })?;
            u32::try_from(row).map_err(|_| IndexError::Corrupt { what: "row number" })
        })
        .collect::<Result<Vec<u32>, IndexError>>()?;
    Ok(SegmentRows(Arc::from(rows)))
}

fn stored_row(row: u32, put: &IndexedDocument, indexed: &IndexedChunk) -> StoredRow {
    let document = &put.document.document;
    debug_assert_eq!(document.status, DocumentStatus::Current, "only current documents are indexed");
    StoredRow {
        row,
        document: DocumentEntry {
            tenant: put.tenant.clone(),
            id: put.document.key.id.clone(),
            version: put.document.key.version,
            patient: document.patient.clone(),
            resource_type: document.resource_type.clone(),
            labels: document.labels.clone(),
            kind: document.kind,
            source: put.document.source.clone(),
            encounter: document.encounter.clone(),
            as_of: put.document.as_of(),
        },
        ordinal: indexed.chunk.ordinal,
        section: indexed.chunk.section.clone(),
        span: indexed.chunk.span,
        tokens: indexed.chunk.tokens,
    }
}
