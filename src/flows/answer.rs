//! Answers a question in the record's own words, or abstains.

use std::collections::HashMap;
use std::sync::Arc;

use super::embed::{EmbedError, EmbeddingPool};
use super::retrieve::{RetrieveError, RetrieveFlow};
use crate::access::Access;
use crate::adapters::store::{Store, StoreError};
use crate::domain::{Answer, DocumentKey, Passage, Query, StoredDocument};
use crate::stages::ground::{Candidate, Settings, candidates, select, verify};
use crate::stages::name::without_name;
use crate::stages::sentences::sentences;

/// Passages that sentences are taken from.
pub const PASSAGES: usize = 10;

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Retrieve(#[from] RetrieveError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the selection task was stopped")]
    Stopped,
}

#[derive(Clone)]
pub struct AnswerFlow {
    retrieve: RetrieveFlow,
    embedding: Arc<EmbeddingPool>,
    store: Store,
    settings: Settings,
}

impl AnswerFlow {
    pub fn new(retrieve: RetrieveFlow, embedding: Arc<EmbeddingPool>, store: Store, settings: Settings) -> Self {
        Self { retrieve, embedding, store, settings }
    }

    pub async fn run(&self, access: &Access, asked: &Query) -> Result<Answer, AnswerError> {
        let question = self.without_name(access, asked).await?;
        let retrieved = self.retrieve.run(access, &question).await?;
        let vector = match retrieved.vector {
            Some(vector) => vector,
            None => self.embedding.question(access, &question.text).await?,
        };
        let candidates = candidates(&retrieved.passages, sentences);
        let texts = candidate_texts(&candidates, &retrieved.passages);
        let vectors = self.embedding.sentences(texts).await?;
        let chosen = self.select(question.text.clone(), vector, retrieved.passages, candidates, vectors).await?;
        self.hold_against_store(access, chosen).await
    }

    /// Within one patient's record the patient's own name tells nothing apart.
    async fn without_name(&self, access: &Access, asked: &Query) -> Result<Query, AnswerError> {
        let Some(patient) = &asked.filters.patient else { return Ok(asked.clone()) };
        let name = self.store.patient_name(access, patient).await?;
        let text = name.map_or_else(|| asked.text.clone(), |name| without_name(&asked.text, &name));
        Ok(Query { text, ..asked.clone() })
    }

    async fn select(
        &self,
        question: String,
        vector: Vec<f32>,
        passages: Vec<Passage>,
        candidates: Vec<Candidate>,
        vectors: Vec<Vec<f32>>,
    ) -> Result<Answer, AnswerError> {
        let settings = self.settings;
        let selecting = tokio::task::spawn_blocking(move || {
            select(&question, &vector, &passages, &candidates, &vectors, &settings)
        });
        selecting.await.map_err(|_| AnswerError::Stopped)
    }

    /// The last gate: every quote must stand in the store, now, within the caller's reach.
    async fn hold_against_store(&self, access: &Access, answer: Answer) -> Result<Answer, AnswerError> {
        let mut keys: Vec<DocumentKey> = cited(&answer);
        keys.sort();
        keys.dedup();
        let documents: HashMap<DocumentKey, StoredDocument> = self.store.documents_of_hits(access, &keys).await?;
        Ok(verify(&answer, |key| documents.get(key).map(|stored| stored.document.text.as_str())))
    }
}

/// The document versions an answer quotes, in order, repeats kept.
pub fn cited(answer: &Answer) -> Vec<DocumentKey> {
    let citations = answer.sentences.iter().flat_map(|sentence| &sentence.citations);
    citations.map(|citation| citation.key.clone()).collect()
}

fn candidate_texts(candidates: &[Candidate], passages: &[Passage]) -> Vec<String> {
    candidates.iter().map(|candidate| candidate.text(passages).unwrap_or_default().to_owned()).collect()
}
