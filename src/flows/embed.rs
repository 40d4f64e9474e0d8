//! Texts to vectors on a bounded pool: a question never waits behind more than one batch of bulk work.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::access::Upkeep;
use crate::adapters::inference::{Embedder, InferenceError, Role};
use crate::adapters::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// Texts per bulk batch: large enough to keep the model busy, small enough for questions to pass between.
const BULK_BATCH: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("the model failed")]
    Inference(#[from] InferenceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the embedding task was stopped")]
    Stopped,
}

pub struct EmbeddingPool {
    embedder: Arc<Embedder>,
    questions: Semaphore,
    bulk: Semaphore,
    metrics: Arc<Metrics>,
}

impl EmbeddingPool {
    pub fn new(embedder: Embedder, metrics: Arc<Metrics>) -> Self {
        Self { embedder: Arc::new(embedder), questions: Semaphore::new(2), bulk: Semaphore::new(1), metrics }
    }

    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// The vector of a question.
    pub async fn question(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let _turn = self.questions.acquire().await.map_err(|_| EmbedError::Stopped)?;
        let mut vectors = self.run(vec![text.to_owned()], Role::Query).await?;
        vectors.pop().ok_or(EmbedError::Stopped)
    }

    /// Vectors of an answer's candidate sentences, in order: few and short, so they go with the questions.
    pub async fn sentences(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = self.questions.acquire().await.map_err(|_| EmbedError::Stopped)?;
        self.run(texts, Role::Passage).await
    }

    /// Vectors of passages, in order; what the store knows already isn't embedded again.
    pub async fn passages(
        &self,
        upkeep: &Upkeep,
        store: &Store,
        texts: &[String],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let hashes: Vec<String> = texts.iter().map(|text| hex::encode(Sha256::digest(text))).collect();
        let mut known = store.embeddings(upkeep, self.embedder.revision(), &hashes).await?;
        let mut missing: HashMap<&str, &str> = HashMap::new();
        for (hash, text) in hashes.iter().zip(texts) {
            if !known.contains_key(hash) {
                missing.insert(hash, text);
            }
        }
        progress((texts.len() - missing.len()) as u64);
        let missing: Vec<(&str, &str)> = missing.into_iter().collect();
        for batch in missing.chunks(BULK_BATCH) {
            let fresh = self.bulk_batch(batch).await?;
            store.keep_embeddings(upkeep, self.embedder.revision(), &fresh).await?;
            progress(fresh.len() as u64);
            known.extend(fresh);
        }
        hashes.iter().map(|hash| known.get(hash).cloned().ok_or(EmbedError::Stopped)).collect()
    }

    async fn bulk_batch(&self, batch: &[(&str, &str)]) -> Result<Vec<(String, Vec<f32>)>, EmbedError> {
        let _turn = self.bulk.acquire().await.map_err(|_| EmbedError::Stopped)?;
        let texts = batch.iter().map(|(_, text)| (*text).to_owned()).collect();
        let vectors = self.run(texts, Role::Passage).await?;
        self.metrics.passages_embedded.inc_by(batch.len() as u64);
        Ok(batch.iter().map(|(hash, _)| (*hash).to_owned()).zip(vectors).collect())
    }

    async fn run(&self, texts: Vec<String>, role: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
        let embedder = self.embedder.clone();
        let vectors = tokio::task::spawn_blocking(move || {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            embedder.embed(&texts, role)
        });
        Ok(vectors.await.map_err(|_| EmbedError::Stopped)??)
    }
}
