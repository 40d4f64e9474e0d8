//! Keeps the index in step with the store: takes in what changed past the watermark.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::derive::derive;
use super::embed::{EmbedError, EmbeddingPool};
use crate::access::Upkeep;
use crate::adapters::index::{Index, IndexChange, IndexError};
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

/// Batches that are taken in before who waits for the turn has it.
const BATCHES_IN_A_TURN: usize = 8;

/// Changes in their order, and what the index is to take in for them.
struct Batch {
    changes: Vec<Change>,
    derived: Vec<IndexChange>,
}

impl Batch {
    fn reached(&self) -> i64 {
        self.changes.last().map_or(0, |change| change.sequence)
    }
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

    /// Takes in some batches, each derived while the one before is written; returns how many changes they held, 0
    /// when the index shows all there is.
    pub async fn run_once(&self, upkeep: &Upkeep, progress: &(dyn Fn(u64) + Sync)) -> Result<usize, IndexChangesError> {
        let _turn = self.turn.lock().await;
        let mut taken_in = 0;
        let mut next = self.derive_after(upkeep, self.index.watermark(), progress).await?;
        for number in 1..=BATCHES_IN_A_TURN {
            let Some(batch) = next else { break };
            taken_in += batch.changes.len();
            let reached = batch.reached();
            let ahead = async {
                match number {
                    BATCHES_IN_A_TURN => Ok(None),
                    _ => self.derive_after(upkeep, reached, progress).await,
                }
            };
            (next, _) = tokio::try_join!(ahead, self.apply(upkeep, batch))?;
        }
        Ok(taken_in)
    }

    async fn derive_after(
        &self,
        upkeep: &Upkeep,
        sequence: i64,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<Batch>, IndexChangesError> {
        let changes = self.store.changes_after(upkeep, sequence, self.batch).await?;
        if changes.is_empty() {
            return Ok(None);
        }
        let documents = distinct_documents(&changes);
        let derived = derive(upkeep, &self.store, &self.embedding, &documents, progress).await?;
        Ok(Some(Batch { changes, derived }))
    }

    async fn apply(&self, upkeep: &Upkeep, batch: Batch) -> Result<(), IndexChangesError> {
        let (index, upkeep, reached) = (self.index.clone(), upkeep.clone(), batch.reached());
        tokio::task::spawn_blocking(move || index.apply(&upkeep, &batch.derived, reached))
            .await
            .map_err(|_| IndexChangesError::Stopped)??;
        self.count(&batch.changes);
        Ok(())
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
