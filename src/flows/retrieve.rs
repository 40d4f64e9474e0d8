//! Finds the passages that fit a query, within the caller's reach.

use std::sync::Arc;

use super::embed::{EmbedError, EmbeddingPool};
use crate::access::Access;
use crate::adapters::index::{DensePlan, Index, IndexError, RowId, Snapshot};
use crate::adapters::store::{Store, StoreError};
use crate::domain::{DocumentKey, Fusion, Hit, Mode, Passage, Query};
use crate::stages::fuse::{DENSE_WEIGHT, Fused, RRF_K, Ranking, convex, rrf};

/// Candidates that each side brings to the fusion, at least.
const CANDIDATES: usize = 100;

#[derive(Debug, thiserror::Error)]
pub enum RetrieveError {
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the search task was stopped")]
    Stopped,
}

/// How a query was answered, for `explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub mode: Mode,
    pub chunks_in_scope: usize,
    pub dense: Option<DensePlan>,
    pub watermark: i64,
    pub generation: String,
}

#[derive(Debug)]
pub struct Retrieved {
    /// Best first.
    pub passages: Vec<Passage>,
    /// The query's vector, where the mode needed one.
    pub vector: Option<Vec<f32>>,
    pub plan: Plan,
}

#[derive(Clone)]
pub struct RetrieveFlow {
    store: Store,
    index: Arc<Index>,
    embedding: Arc<EmbeddingPool>,
}

impl RetrieveFlow {
    pub fn new(store: Store, index: Arc<Index>, embedding: Arc<EmbeddingPool>) -> Self {
        Self { store, index, embedding }
    }

    pub async fn run(&self, access: &Access, query: &Query) -> Result<Retrieved, RetrieveError> {
        let vector = match query.mode {
            Mode::Keyword => None,
            Mode::Dense | Mode::Hybrid => Some(self.embedding.question(access, &query.text).await?),
        };
        let (hits, plan) = self.search(access, query, vector.clone()).await?;
        let passages = self.passages(access, hits, query.limit).await?;
        Ok(Retrieved { passages, vector, plan })
    }

    /// Takes one snapshot and ranks what lies in scope, off the request threads.
    async fn search(
        &self,
        access: &Access,
        query: &Query,
        vector: Option<Vec<f32>>,
    ) -> Result<(Vec<Hit>, Plan), RetrieveError> {
        let snapshot = self.index.snapshot();
        let (access, query) = (access.clone(), query.clone());
        let searching = tokio::task::spawn_blocking(move || rank(&snapshot, &access, &query, vector.as_deref()));
        Ok(searching.await.map_err(|_| RetrieveError::Stopped)??)
    }

    /// Reads the documents behind the hits, through the caller's access once more: what was replaced,
    /// withdrawn or relabelled since the snapshot is dropped here.
    async fn passages(&self, access: &Access, hits: Vec<Hit>, limit: usize) -> Result<Vec<Passage>, RetrieveError> {
        let mut passages = Vec::with_capacity(limit);
        for batch in hits.chunks(limit.max(1)) {
            let mut keys: Vec<DocumentKey> = batch.iter().map(|hit| hit.key.clone()).collect();
            keys.sort();
            keys.dedup();
            let documents = self.store.documents_of_hits(access, &keys).await?;
            for hit in batch {
                if let Some(document) = documents.get(&hit.key)
                    && passages.len() < limit
                {
                    passages.push(Passage { hit: hit.clone(), document: document.clone() });
                }
            }
            if passages.len() >= limit {
                break;
            }
        }
        Ok(passages)
    }
}

fn rank(
    snapshot: &Snapshot,
    access: &Access,
    query: &Query,
    vector: Option<&[f32]>,
) -> Result<(Vec<Hit>, Plan), IndexError> {
    let scope = snapshot.scope(access, &query.filters);
    let wanted = CANDIDATES.max(query.limit * 2);
    let mut plan = Plan {
        mode: query.mode,
        chunks_in_scope: scope.len(),
        dense: None,
        watermark: snapshot.watermark(),
        generation: snapshot.generation().to_owned(),
    };
    let keyword = match query.mode {
        Mode::Dense => Vec::new(),
        Mode::Keyword | Mode::Hybrid => snapshot.keyword(&scope, &query.text, wanted)?,
    };
    let dense = match vector {
        None => Vec::new(),
        Some(vector) => {
            let (found, how) = snapshot.dense(&scope, vector, wanted);
            plan.dense = Some(how);
            found
        }
    };
    let (keyword, dense) = (Ranking { candidates: keyword }, Ranking { candidates: dense });
    let fused = match query.fusion {
        Fusion::Rrf => rrf(&[keyword, dense], RRF_K),
        Fusion::Convex => convex(&keyword, &dense, DENSE_WEIGHT),
    };
    Ok((fused.iter().filter_map(|fused| hit(snapshot, query.mode, fused)).collect(), plan))
}

/// In a single mode the score shown is that side's own.
fn hit(snapshot: &Snapshot, mode: Mode, fused: &Fused<RowId>) -> Option<Hit> {
    let (key, chunk) = snapshot.locate(fused.key)?;
    let explanation = fused.explanation();
    let own = match mode {
        Mode::Hybrid => None,
        Mode::Keyword => explanation.keyword,
        Mode::Dense => explanation.dense,
    };
    Some(Hit { key, chunk, score: own.map_or(fused.score, |side| side.score), explanation })
}
