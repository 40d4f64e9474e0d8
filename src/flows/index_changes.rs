//! Keeps the index in step with the store: takes in what changed past the watermark.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::derive::derive;
use super::embed::{EmbedError, EmbeddingPool};
use crate::access::Upkeep;
use crate::adapters::index::{Index, IndexError};
use crate::adapters::store::{Change, Store, StoreError};
use crate::domain::{DocumentId, TenantId, Timestamp};
use crate::telemetry::Metrics;

#[derive(Debug, thiserror::Error)]
pub enum IndexChangesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the indexing task was stopped")]
    Stopped,
}

/// What both indexing and reindexing work with. `turn` is held while the generation in service is written.
pub struct IndexChangesFlow {
    pub(super) store: Store,
    pub(super) embedding: Arc<EmbeddingPool>,
    pub(super) index: Arc<Index>,
    pub(super) turn: Mutex<()>,
    metrics: Arc<Metrics>,
    batch: i64,
    /// What was received before this process began is not timed: it may be indexed again, years later.
    began: Timestamp,
}

impl IndexChangesFlow {
    pub fn new(
        store: Store,
        embedding: Arc<EmbeddingPool>,
        index: Arc<Index>,
        metrics: Arc<Metrics>,
        batch: usize,
    ) -> Self {
        let batch = i64::try_from(batch).unwrap_or(1);
        Self { store, embedding, index, turn: Mutex::new(()), metrics, batch, began: Timestamp::now() }
    }

    /// Takes in one batch; returns how many changes it held, 0 when the index shows all there is.
    pub async fn run_once(&self, upkeep: &Upkeep, progress: &(dyn Fn(u64) + Sync)) -> Result<usize, IndexChangesError> {
        let _turn = self.turn.lock().await;
        self.take_in_batch(upkeep, progress).await
    }

    /// The same for a holder of the turn.
    pub(super) async fn take_in_batch(
        &self,
        upkeep: &Upkeep,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<usize, IndexChangesError> {
        let watermark = self.index.watermark();
        let changes = self.store.changes_after(upkeep, watermark, self.batch).await?;
        let Some(last) = changes.last() else { return Ok(0) };
        let reached = last.sequence;
        let documents = distinct_documents(&changes);
        let index_changes = derive(upkeep, &self.store, &self.embedding, &documents, progress).await?;
        let (index, upkeep) = (self.index.clone(), upkeep.clone());
        tokio::task::spawn_blocking(move || index.apply(&upkeep, &index_changes, reached))
            .await
            .map_err(|_| IndexChangesError::Stopped)??;
        self.count(&changes);
        Ok(changes.len())
    }

    fn count(&self, changes: &[Change]) {
        let now = Timestamp::now();
        for change in changes.iter().filter(|change| change.received_at >= self.began) {
            let micros = (now.as_micros() - change.received_at.as_micros()).max(0);
            self.metrics.event_to_searchable.observe(micros as f64 / 1e6);
        }
        let snapshot = self.index.snapshot();
        self.metrics.index_watermark.set(snapshot.watermark());
        self.metrics.index_chunks.set(snapshot.chunks() as i64);
    }
}

/// Each document once, in the order of its last change.
pub(super) fn distinct_documents(changes: &[Change]) -> Vec<(TenantId, DocumentId)> {
    let mut seen = std::collections::HashSet::new();
    let mut documents: Vec<(TenantId, DocumentId)> = changes
        .iter()
        .rev()
        .map(|change| (change.tenant.clone(), change.document.clone()))
        .filter(|document| seen.insert(document.clone()))
        .collect();
    documents.reverse();
    documents
}
