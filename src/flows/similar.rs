//! Finds the documents most like one that the caller may read, within the caller's reach.

use std::collections::HashSet;
use std::sync::Arc;

use super::RetrieveError;
use crate::access::Access;
use crate::adapters::index::{Index, Snapshot};
use crate::adapters::store::Store;
use crate::domain::{Chunk, DocumentId, DocumentKey, Filters, StoredDocument};

/// Chunks looked at for each document wanted, at first: long documents have many that are alike.
const CHUNKS_PER_DOCUMENT: usize = 4;

/// A document, and the chunk of it that is most like the one asked about.
#[derive(Clone, Debug)]
pub struct SimilarDocument {
    pub document: StoredDocument,
    pub chunk: Chunk,
    /// Cosine of the chunk and the mean of the other document's chunks.
    pub score: f32,
}

#[derive(Clone, Debug)]
pub struct Similar {
    pub to: StoredDocument,
    /// Most alike first; empty as well when the document is not in the index yet.
    pub documents: Vec<SimilarDocument>,
}

#[derive(Clone)]
pub struct SimilarFlow {
    store: Store,
    index: Arc<Index>,
}

impl SimilarFlow {
    pub fn new(store: Store, index: Arc<Index>) -> Self {
        Self { store, index }
    }

    /// `None` when there is no such document within reach.
    pub async fn run(
        &self,
        access: &Access,
        id: &DocumentId,
        filters: &Filters,
        limit: usize,
    ) -> Result<Option<Similar>, RetrieveError> {
        let Some(to) = self.store.document(access, id).await? else { return Ok(None) };
        let snapshot = self.index.snapshot();
        let (caller, key, filters) = (access.clone(), to.key.clone(), filters.clone());
        // As many again: some may have been withdrawn or relabelled since the snapshot.
        let searching = tokio::task::spawn_blocking(move || nearest(&snapshot, &caller, &key, &filters, limit * 2));
        let found = searching.await.map_err(|_| RetrieveError::Stopped)?;
        let keys: Vec<DocumentKey> = found.iter().map(|(key, ..)| key.clone()).collect();
        let held = self.store.documents_of_hits(access, &keys).await?;
        let documents = found.into_iter().filter_map(|(key, chunk, score)| {
            Some(SimilarDocument { document: held.get(&key)?.clone(), chunk, score })
        });
        Ok(Some(Similar { to, documents: documents.take(limit).collect() }))
    }
}

/// The nearest documents but for the one asked about, each once, by its best chunk.
fn nearest(
    snapshot: &Snapshot,
    access: &Access,
    key: &DocumentKey,
    filters: &Filters,
    limit: usize,
) -> Vec<(DocumentKey, Chunk, f32)> {
    let Some(vector) = snapshot.mean_vector(access, key) else { return Vec::new() };
    let scope = snapshot.scope(access, filters);
    let mut wanted = limit * CHUNKS_PER_DOCUMENT;
    loop {
        let (ranked, _) = snapshot.dense(&scope, &vector, wanted);
        let is_all = ranked.len() < wanted;
        let mut seen = HashSet::from([key.id.clone()]);
        let located = ranked.into_iter().filter_map(|(row, score)| Some((snapshot.locate(row)?, score)));
        let mut found: Vec<(DocumentKey, Chunk, f32)> = located
            .filter(|((key, _), _)| seen.insert(key.id.clone()))
            .map(|((key, chunk), score)| (key, chunk, score))
            .collect();
        if is_all || found.len() >= limit {
            found.truncate(limit);
            return found;
        }
        wanted *= CHUNKS_PER_DOCUMENT;
    }
}
