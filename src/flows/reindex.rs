//! Derives the index again, while serving: all of it as a new generation, or a part in one commit.

use std::sync::Arc;

use super::derive::derive;
use super::embed::EmbedError;
use super::index_changes::{IndexChangesError, IndexChangesFlow, distinct_documents};
use crate::access::Upkeep;
use crate::adapters::index::{Generation, IndexChange, IndexError};
use crate::adapters::store::StoreError;
use crate::domain::{DocumentId, Job, ReindexTarget, TenantId};

/// Documents derived between two looks at whether to stop.
const BATCH: i64 = 128;

#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    CatchUp(#[from] IndexChangesError),
    #[error("the reindexing task was stopped")]
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReindexEnd {
    Done,
    Cancelled,
}

/// Run twice, or begun again after a crash, it ends alike: vectors made before are found again.
pub struct ReindexFlow {
    indexing: Arc<IndexChangesFlow>,
}

impl ReindexFlow {
    pub fn new(indexing: Arc<IndexChangesFlow>) -> Self {
        Self { indexing }
    }

    pub async fn run(&self, upkeep: &Upkeep, job: &Job) -> Result<ReindexEnd, ReindexError> {
        match job.target {
            ReindexTarget::All => self.rebuild(upkeep, job).await,
            _ => self.refresh(upkeep, job).await,
        }
    }

    /// A new generation beside the one in service, of every tenant, swapped in once it has caught up.
    async fn rebuild(&self, upkeep: &Upkeep, job: &Job) -> Result<ReindexEnd, ReindexError> {
        let indexing = &self.indexing;
        let start = indexing.store.newest_change()?;
        let mut progress = Progress::begin(self, upkeep, job, &ReindexTarget::All).await?;
        let mut next = indexing.index.begin_generation(upkeep)?;
        for tenant in indexing.store.tenants(upkeep).await? {
            let mut after = String::new();
            loop {
                let ids = self.page(upkeep, &tenant, &ReindexTarget::All, &after).await?;
                let Some(last) = ids.last() else { break };
                after = last.as_str().to_owned();
                let documents = pairs(&tenant, ids);
                let counted = if tenant == job.tenant { documents.len() as u64 } else { 0 };
                next = self.add(upkeep, next, &documents, start).await?;
                if progress.advance(self, upkeep, counted).await? {
                    indexing.index.discard(upkeep, next)?;
                    return Ok(ReindexEnd::Cancelled);
                }
            }
        }
        let _turn = indexing.turn.lock().await;
        next = self.catch_up(upkeep, next, start).await?;
        let (index, upkeep) = (indexing.index.clone(), upkeep.clone());
        tokio::task::spawn_blocking(move || index.put_in_service(&upkeep, next))
            .await
            .map_err(|_| ReindexError::Stopped)??;
        Ok(ReindexEnd::Done)
    }

    /// Takes in what was written or deleted while the generation was built.
    async fn catch_up(&self, upkeep: &Upkeep, mut next: Generation, start: i64) -> Result<Generation, ReindexError> {
        let mut watermark = start;
        loop {
            let changes = self.indexing.store.changes_after(upkeep, watermark, BATCH).await?;
            let Some(last) = changes.last() else { break };
            watermark = last.sequence;
            next = self.add(upkeep, next, &distinct_documents(&changes), watermark).await?;
        }
        // An empty store still has a watermark to reach.
        self.commit(upkeep, next, Vec::new(), watermark).await
    }

    async fn add(
        &self,
        upkeep: &Upkeep,
        next: Generation,
        documents: &[(TenantId, DocumentId)],
        watermark: i64,
    ) -> Result<Generation, ReindexError> {
        let indexing = &self.indexing;
        let changes = derive(upkeep, &indexing.store, &indexing.embedding, documents, &|_| {}).await?;
        self.commit(upkeep, next, changes, watermark).await
    }

    async fn commit(
        &self,
        upkeep: &Upkeep,
        mut next: Generation,
        changes: Vec<IndexChange>,
        watermark: i64,
    ) -> Result<Generation, ReindexError> {
        let upkeep = upkeep.clone();
        let committing = tokio::task::spawn_blocking(move || {
            next.apply(&upkeep, &changes, watermark)?;
            Ok::<Generation, IndexError>(next)
        });
        Ok(committing.await.map_err(|_| ReindexError::Stopped)??)
    }

    /// A part of the generation in service, replaced in one commit.
    async fn refresh(&self, upkeep: &Upkeep, job: &Job) -> Result<ReindexEnd, ReindexError> {
        let indexing = &self.indexing;
        let mut progress = Progress::begin(self, upkeep, job, &job.target).await?;
        let mut changes = Vec::new();
        let mut after = String::new();
        let _turn = indexing.turn.lock().await;
        loop {
            let ids = self.page(upkeep, &job.tenant, &job.target, &after).await?;
            let Some(last) = ids.last() else { break };
            after = last.as_str().to_owned();
            let documents = pairs(&job.tenant, ids);
            changes.extend(derive(upkeep, &indexing.store, &indexing.embedding, &documents, &|_| {}).await?);
            if progress.advance(self, upkeep, documents.len() as u64).await? {
                return Ok(ReindexEnd::Cancelled);
            }
        }
        let watermark = indexing.index.watermark();
        let (index, upkeep) = (indexing.index.clone(), upkeep.clone());
        tokio::task::spawn_blocking(move || index.apply(&upkeep, &changes, watermark))
            .await
            .map_err(|_| ReindexError::Stopped)??;
        Ok(ReindexEnd::Done)
    }

    async fn page(
        &self,
        upkeep: &Upkeep,
        tenant: &TenantId,
        target: &ReindexTarget,
        after: &str,
    ) -> Result<Vec<DocumentId>, StoreError> {
        self.indexing.store.ids_to_reindex(upkeep, tenant, target, after, BATCH).await
    }
}

fn pairs(tenant: &TenantId, ids: Vec<DocumentId>) -> Vec<(TenantId, DocumentId)> {
    ids.into_iter().map(|id| (tenant.clone(), id)).collect()
}

/// Documents of the job's own tenant, done and to do, kept in the store.
struct Progress<'a> {
    job: &'a Job,
    done: u64,
    total: u64,
}

impl<'a> Progress<'a> {
    async fn begin(
        flow: &ReindexFlow,
        upkeep: &Upkeep,
        job: &'a Job,
        target: &ReindexTarget,
    ) -> Result<Self, StoreError> {
        let total = flow.indexing.store.count_to_reindex(upkeep, &job.tenant, target).await?;
        let progress = Self { job, done: 0, total };
        flow.indexing.store.advance_job(upkeep, &job.id, 0, total).await?;
        Ok(progress)
    }

    /// Returns whether the job was asked to stop.
    async fn advance(&mut self, flow: &ReindexFlow, upkeep: &Upkeep, documents: u64) -> Result<bool, StoreError> {
        self.done += documents;
        self.total = self.total.max(self.done);
        flow.indexing.store.advance_job(upkeep, &self.job.id, self.done, self.total).await
    }
}
