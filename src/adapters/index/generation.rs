//! One generation of the index: a folder, its one writer, and the state in memory that goes with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tantivy::directory::MmapDirectory;
use tantivy::index::{SegmentComponent, SegmentId, SegmentMeta};
use tantivy::indexer::LogMergePolicy;
use tantivy::schema::Value;
use tantivy::{Index as TantivyIndex, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::base_file;
use super::block::{Block, WrittenRow};
use super::rows::Rows;
use super::schema::{self, CommitPayload, DocumentEntry, FINGERPRINT_FIELD, Fields, ROW_FIELD, StoredRow};
use super::scope::SnapshotScopes;
use super::segment_rows::SegmentRows;
use super::snapshot::Snapshot;
use super::tending::{Tended, Tending};
use super::{IndexError, IndexSettings};
use crate::access::Upkeep;
use crate::domain::{Chunk, DocumentId, DocumentStatus, Span, StoredDocument, TenantId};

/// tantivy's own minimum is 15 MB; one thread, as embedding is what takes the time.
const WRITER_MEMORY_BYTES: usize = 50_000_000;
/// Unpacked blocks of stored documents that are kept while reading.
const STORE_BLOCKS: usize = 4;

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
    pub windows: Vec<IndexedWindow>,
}

/// A part of a chunk with a vector of its own, by which the chunk is found too.
#[derive(Clone, Debug)]
pub struct IndexedWindow {
    pub span: Span,
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
    fn document(&self) -> (&TenantId, &DocumentId) {
        match self {
            Self::Put(put) => (&put.tenant, &put.document.key.id),
            Self::Remove { tenant, id } => (tenant, id),
        }
    }

    fn document_term(&self) -> String {
        let (tenant, id) = self.document();
        schema::document_term(tenant, id)
    }
}

/// A segment in which more than this part of the documents is gone is merged, so that their space comes back.
const GONE_BEFORE_MERGE: f32 = 0.25;

pub struct Generation {
    name: Arc<str>,
    folder: PathBuf,
    settings: IndexSettings,
    fields: Fields,
    writer: IndexWriter,
    reader: IndexReader,
    rows: Rows,
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
        let writer: IndexWriter = index.writer_with_num_threads(1, WRITER_MEMORY_BYTES)?;
        let mut merging = LogMergePolicy::default();
        merging.set_del_docs_ratio_before_merge(GONE_BEFORE_MERGE);
        writer.set_merge_policy(Box::new(merging));
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
            segments: HashMap::new(),
            payload,
        };
        generation.rows = generation.read_rows()?;
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
                    let (tenant, id) = change.document();
                    self.rows.forget(tenant, id);
                }
                self.payload = CommitPayload { watermark, next_row };
                self.rows.append(Block::build(written, self.settings.dimension));
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
        /// Merging of its own may be under way just then, and holds the segments that are asked for.
        const ATTEMPTS: u32 = 200;
        const PAUSE: Duration = Duration::from_millis(50);
        for attempt in 0..ATTEMPTS {
            let metas = self.writer.index().searchable_segment_metas()?;
            let mut failed = None;
            for segment in metas.iter().filter(|segment| segment.has_deletes()) {
                failed = self.writer.merge(&[segment.id()]).wait().err().or(failed);
            }
            match failed {
                None => break,
                Some(error) if attempt + 1 == ATTEMPTS => return Err(error.into()),
                Some(_) => std::thread::sleep(PAUSE),
            }
        }
        base_file::remove(&self.folder)?;
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
            scopes: SnapshotScopes::default(),
            exact_up_to: self.settings.exact_up_to,
            watermark: self.payload.watermark,
            generation: self.name.clone(),
        })
    }

    /// Writes and commits; returns the next free row and the rows written, for memory to follow.
    fn commit(&mut self, changes: &[IndexChange], watermark: i64) -> Result<(u32, Vec<WrittenRow>), IndexError> {
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
                for (stored, vector) in with_windows(stored_row(next_row, put, indexed), indexed) {
                    let fingerprint = schema::fingerprint(&stored, &vector);
                    let mut document = self.keyword_document(&term, put, &stored, &vector)?;
                    document.add_u64(self.fields.fingerprint, fingerprint);
                    self.writer.add_document(document)?;
                    written.push(WrittenRow { stored, vector, fingerprint });
                    next_row += 1;
                }
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
        row: &StoredRow,
        vector: &[f32],
    ) -> Result<TantivyDocument, IndexError> {
        let document = &put.document.document;
        let text = row.span.of(&document.text).ok_or(IndexError::Corrupt { what: "chunk span" })?;
        let mut fields = TantivyDocument::new();
        fields.add_text(self.fields.document, term);
        fields.add_u64(self.fields.row, u64::from(row.row));
        if row.part_of.is_none() {
            let date = document.times.effective.or(document.times.source).map(|date| date.date());
            let text = schema::keyword_text(&document.title, row.section.as_deref(), date.as_deref(), text);
            fields.add_text(self.fields.body, text);
        }
        fields.add_bytes(self.fields.stored, &serde_json::to_vec(row).expect("plain values always serialize"));
        fields.add_bytes(self.fields.vector, &schema::encode_vector(vector));
        Ok(fields)
    }

    /// What there is to tidy in memory, if anything; done elsewhere, then brought back by [`Generation::install`].
    pub fn tending(&mut self) -> Option<Tending> {
        Tending::of(&mut self.rows, &self.settings, &self.folder, &self.name)
    }

    /// Nobody tidies what [`Generation::tending`] gave out any more.
    pub fn leave_untended(&mut self) {
        self.rows.unpin();
    }

    /// Takes in what was tidied; false when the rows are no longer those that were.
    pub fn install(&mut self, tended: Tended) -> bool {
        tended.generation == self.name && self.rows.replace(tended.blocks, tended.block, tended.base)
    }

    /// Every live row of the last commit: from the base's file as far as it is a copy of them, else from the commit.
    fn read_rows(&self) -> Result<Rows, IndexError> {
        let base = base_file::open(&self.folder, self.settings.dimension);
        let rows = Rows { dimension: self.settings.dimension, ..Rows::default() };
        let Some(base) = base else { return self.complete(rows) };
        let based = Rows { blocks: vec![base.block.clone()], base: Some(Arc::new(base)), ..rows.clone() };
        match self.complete(based) {
            Err(IndexError::Corrupt { what: "copy of a row" }) => {
                tracing::warn!("the index's copy of its rows is of another commit and is made again");
                self.complete(rows)
            }
            completed => completed,
        }
    }

    /// Marks which rows are alive and reads those that are not there yet.
    fn complete(&self, mut rows: Rows) -> Result<Rows, IndexError> {
        let searcher = self.reader.searcher();
        let last = rows.blocks.first().and_then(|block| block.rows.last()).map(|row| row.number);
        let mut missing = Vec::new();
        for reader in searcher.segment_readers() {
            let numbers = segment_rows(reader)?;
            let fingerprints = reader.fast_fields().u64(FINGERPRINT_FIELD)?;
            let store = reader.get_store_reader(STORE_BLOCKS)?;
            for document in reader.doc_ids_alive() {
                let number = numbers.row_of(document).ok_or(IndexError::Corrupt { what: "row number" })?;
                let fingerprint =
                    fingerprints.first(document).ok_or(IndexError::Corrupt { what: "row fingerprint" })?;
                match rows.find(number) {
                    Some((block, position)) if block.fingerprints.get(position) == Some(&fingerprint) => {
                        rows.live.insert(number);
                    }
                    None if last.is_none_or(|last| number > last) => {
                        missing.push(self.read_row(&store.get::<TantivyDocument>(document)?, fingerprint)?);
                    }
                    _ => return Err(IndexError::Corrupt { what: "copy of a row" }),
                }
            }
        }
        rows.append(Block::build(missing, self.settings.dimension));
        Ok(rows)
    }

    fn read_row(&self, document: &TantivyDocument, fingerprint: u64) -> Result<WrittenRow, IndexError> {
        let bytes = |field| document.get_first(field).and_then(|value| value.as_bytes());
        let stored = bytes(self.fields.stored).ok_or(IndexError::Corrupt { what: "row" })?;
        let vector = bytes(self.fields.vector).ok_or(IndexError::Corrupt { what: "vector" })?;
        let stored = serde_json::from_slice(stored).map_err(|_| IndexError::Corrupt { what: "row" })?;
        Ok(WrittenRow { stored, vector: schema::decode_vector(vector)?, fingerprint })
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

fn segment_rows(reader: &tantivy::SegmentReader) -> Result<SegmentRows, IndexError> {
    let column = reader.fast_fields().u64(ROW_FIELD)?;
    let rows = (0..reader.max_doc())
        .map(|document| {
            let row = column.first(document).ok_or(IndexError::Corrupt { what: "row number" })?;
            u32::try_from(row).map_err(|_| IndexError::Corrupt { what: "row number" })
        })
        .collect::<Result<Vec<u32>, IndexError>>()?;
    Ok(SegmentRows::new(rows))
}

/// The chunk's own row, then one for each of its windows, numbered on.
fn with_windows(whole: StoredRow, indexed: &IndexedChunk) -> Vec<(StoredRow, Vec<f32>)> {
    let windows = (1..).zip(&indexed.windows).map(|(after, window)| {
        let row = StoredRow { row: whole.row + after, span: window.span, part_of: Some(whole.row), ..whole.clone() };
        (row, window.vector.clone())
    });
    let windows: Vec<_> = windows.collect();
    [(whole, indexed.vector.clone())].into_iter().chain(windows).collect()
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
        part_of: None,
    }
}
