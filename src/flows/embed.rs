//! Texts to vectors: what is known isn't computed again, and what somebody waits for goes first.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::embedding_queue::{Coming, EmbeddingQueue, Lane, Wanted};
use super::vector_cache::{Key, VectorCache};
use crate::access::{Access, Upkeep};
use crate::adapters::inference::{Embedder, InferenceError, Role, Tokens};
use crate::adapters::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// Texts whose vectors are kept in one transaction.
const BULK_BATCH: usize = 64;
/// Bytes of a question that is cut into tokens sooner than another thread is woken for it.
const SHORT: usize = 1_024;
/// Batches under way at once: while one is kept, the model has the next.
const BATCHES_AHEAD: usize = 2;
/// Questions whose vectors are remembered.
const QUESTIONS: usize = 1_024;
/// Sentences of answers whose vectors are remembered: who asks once about a chart asks again.
const SENTENCES: usize = 8_192;

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("the model failed")]
    Inference(#[source] Arc<InferenceError>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the embedding task was stopped")]
    Stopped,
}

pub struct EmbeddingPool {
    embedder: Arc<Embedder>,
    queue: EmbeddingQueue,
    questions: VectorCache,
    sentences: VectorCache,
    metrics: Arc<Metrics>,
}

/// A question that was handed in.
pub(super) enum AskedQuestion {
    Remembered(Vec<f32>),
    Computing(Key, Coming),
}

impl EmbeddingPool {
    /// Starts the threads that compute; they end when the pool is dropped.
    pub fn start(embedder: Embedder, metrics: Arc<Metrics>) -> io::Result<Self> {
        let embedder = Arc::new(embedder);
        metrics.describe_model(&embedder.precision().to_string(), embedder.vector_level());
        tracing::info!(precision = %embedder.precision(), vectors = embedder.vector_level(), "embedding model loaded");
        let queue = EmbeddingQueue::start(embedder.clone(), metrics.clone())?;
        let (questions, sentences) = (VectorCache::of(QUESTIONS), VectorCache::of(SENTENCES));
        Ok(Self { embedder, queue, questions, sentences, metrics })
    }

    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// The vector of a question. Asked again by the same caller, it is remembered.
    pub async fn question(&self, access: &Access, text: &str) -> Result<Vec<f32>, EmbedError> {
        let (asked, _wanted) = self.ask(access, text).await?;
        let (key, coming) = match asked {
            AskedQuestion::Remembered(vector) => return Ok(vector),
            AskedQuestion::Computing(key, coming) => (key, coming),
        };
        let vector = coming.vector().await?;
        self.questions.keep(key, &vector);
        Ok(vector)
    }

    /// Sends a question to the model, for another thread to take the [`answer`](Self::answer). Once the second part
    /// is dropped nobody wants it, and it leaves the queue.
    pub(super) async fn ask(&self, access: &Access, text: &str) -> Result<(AskedQuestion, Wanted), EmbedError> {
        let (key, wanted) = (Key::new(access, text), Wanted::default());
        if let Some(vector) = self.questions.get(key) {
            self.metrics.questions_remembered.inc();
            return Ok((AskedQuestion::Remembered(vector), wanted));
        }
        let tokens = match text.len() {
            0..=SHORT => self.noted(Role::Query, Instant::now(), self.embedder.tokenize(&[text], Role::Query))?,
            _ => self.tokenize(vec![text.to_owned()], Role::Query).await?,
        };
        let tokens = tokens.into_iter().next().ok_or(EmbedError::Stopped)?;
        let coming = self.queue.submit(Lane::Urgent, tokens, &wanted).await?;
        Ok((AskedQuestion::Computing(key, coming), wanted))
    }

    /// Blocks until the vector is there.
    pub(super) fn answer(&self, asked: AskedQuestion) -> Result<Vec<f32>, EmbedError> {
        let (key, coming) = match asked {
            AskedQuestion::Remembered(vector) => return Ok(vector),
            AskedQuestion::Computing(key, coming) => (key, coming),
        };
        let vector = coming.blocking_vector()?;
        self.questions.keep(key, &vector);
        Ok(vector)
    }

    /// Vectors of an answer's candidate sentences, in order: somebody waits for them, so they go with the questions.
    /// Met again by the same caller, they are remembered.
    pub async fn sentences(&self, access: &Access, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let keys: Vec<Key> = texts.iter().map(|text| Key::new(access, text)).collect();
        let mut known: HashMap<Key, Vec<f32>> =
            keys.iter().filter_map(|key| Some((*key, self.sentences.get(*key)?))).collect();
        let missing: HashMap<Key, String> =
            keys.iter().copied().zip(texts).filter(|(key, _)| !known.contains_key(key)).collect();
        if !missing.is_empty() {
            let (missing, texts): (Vec<Key>, Vec<String>) = missing.into_iter().unzip();
            let tokens = self.tokenize(texts, Role::Passage).await?;
            let vectors = self.queue.vectors(Lane::Urgent, tokens).await?;
            missing.iter().zip(&vectors).for_each(|(key, vector)| self.sentences.keep(*key, vector));
            known.extend(missing.into_iter().zip(vectors));
        }
        keys.iter().map(|key| known.get(key).cloned().ok_or(EmbedError::Stopped)).collect()
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
        let mut batches = Vec::new();
        for batch in missing.chunks(BULK_BATCH) {
            batches.push(self.bulk_batch(batch));
        }
        let mut batches = stream::iter(batches).buffered(BATCHES_AHEAD);
        while let Some(fresh) = batches.next().await {
            let fresh = fresh?;
            store.keep_embeddings(upkeep, self.embedder.revision(), &fresh).await?;
            progress(fresh.len() as u64);
            known.extend(fresh);
        }
        hashes.iter().map(|hash| known.get(hash).cloned().ok_or(EmbedError::Stopped)).collect()
    }

    async fn bulk_batch(&self, batch: &[(&str, &str)]) -> Result<Vec<(String, Vec<f32>)>, EmbedError> {
        let tokens = self.tokenize(batch.iter().map(|(_, text)| (*text).to_owned()).collect(), Role::Passage).await?;
        let vectors = self.queue.vectors(Lane::Bulk, tokens).await?;
        self.metrics.passages_embedded.inc_by(batch.len() as u64);
        Ok(batch.iter().map(|(hash, _)| (*hash).to_owned()).zip(vectors).collect())
    }

    /// Off the threads that serve requests, and off those that compute.
    async fn tokenize(&self, texts: Vec<String>, role: Role) -> Result<Vec<Tokens>, EmbedError> {
        let embedder = self.embedder.clone();
        let started = Instant::now();
        let tokenizing = tokio::task::spawn_blocking(move || {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            embedder.tokenize(&texts, role)
        });
        self.noted(role, started, tokenizing.await.map_err(|_| EmbedError::Stopped)?)
    }

    fn noted(
        &self,
        role: Role,
        started: Instant,
        tokens: Result<Vec<Tokens>, InferenceError>,
    ) -> Result<Vec<Tokens>, EmbedError> {
        let tokens = tokens.map_err(|error| EmbedError::Inference(Arc::new(error)))?;
        self.metrics.tokenize_time.observe(started.elapsed().as_secs_f64());
        self.report_cuts(&tokens, role);
        Ok(tokens)
    }

    /// Passages are made to fit, so a cut one is worth a warning; a question may be as long as its asker likes.
    fn report_cuts(&self, tokens: &[Tokens], role: Role) {
        let cut: Vec<usize> = tokens.iter().map(Tokens::cut).filter(|cut| *cut > 0).collect();
        if cut.is_empty() {
            return;
        }
        self.metrics.texts_cut.inc_by(cut.len() as u64);
        if role == Role::Passage {
            let unseen: usize = cut.iter().sum();
            tracing::warn!(
                texts = cut.len(),
                tokens = unseen,
                "texts go beyond the model's window; their ends aren't in the vectors"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{DevelopmentKey, Policy, TokenGrant, Verifier};
    use crate::adapters::inference::{DeviceChoice, Manifest};
    use crate::domain::TenantId;

    fn pool() -> EmbeddingPool {
        let folder = tempfile::tempdir().unwrap();
        let manifest =
            Manifest::parse(&crate::adapters::inference::tiny_model::write_tiny_model(folder.path(), 5)).unwrap();
        let embedder = Embedder::load(&manifest, folder.path(), DeviceChoice::Cpu).unwrap();
        EmbeddingPool::start(embedder, Arc::default()).unwrap()
    }

    async fn caller(name: &str) -> Access {
        let key = DevelopmentKey::random();
        let token = key.mint(&TokenGrant::new(name, TenantId::new("main"), "system/*.rs"));
        Verifier::development(key).verify(&token, &Policy::default()).await.unwrap()
    }

    #[tokio::test]
    async fn vectors_come_in_the_order_of_their_texts_whoever_else_asks() {
        let pool = pool();
        let texts = |of: usize| -> Vec<String> {
            (0..50).map(|n| format!("patient {of} {n} ") + &"has fever ".repeat(n % 7)).collect()
        };
        let ann = caller("ann").await;
        let (one, two) = tokio::join!(pool.sentences(&ann, texts(1)), pool.sentences(&ann, texts(2)));
        for (vectors, texts) in [(one.unwrap(), texts(1)), (two.unwrap(), texts(2))] {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let expected = pool.embedder().embed(&texts, Role::Passage).unwrap();
            assert_eq!(vectors.len(), texts.len());
            for (one, other) in vectors.iter().flatten().zip(expected.iter().flatten()) {
                assert!((one - other).abs() < 1e-5);
            }
        }
        assert!(pool.sentences(&ann, Vec::new()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_question_is_remembered_for_its_caller_alone() {
        let pool = pool();
        let (ann, bob) = (caller("ann").await, caller("bob").await);
        let first = pool.question(&ann, "has the patient fever").await.unwrap();
        assert_eq!(pool.question(&ann, "has the patient fever").await.unwrap(), first);
        assert_eq!(pool.metrics.questions_remembered.get(), 1);
        pool.question(&bob, "has the patient fever").await.unwrap();
        assert_eq!(pool.metrics.questions_remembered.get(), 1);
    }

    #[tokio::test]
    async fn sentences_met_again_are_remembered_and_new_ones_computed() {
        let pool = pool();
        let ann = caller("ann").await;
        let texts = |numbers: &[usize]| numbers.iter().map(|number| format!("patient has fever {number}")).collect();
        let first = pool.sentences(&ann, texts(&[1, 2])).await.unwrap();
        let computed = pool.metrics.embedding_tokens.get();
        assert_eq!(
            pool.sentences(&ann, texts(&[2, 1, 2])).await.unwrap(),
            [&first[1], &first[0], &first[1]].map(Clone::clone)
        );
        assert_eq!(pool.metrics.embedding_tokens.get(), computed, "nothing is computed anew");
        let again = pool.sentences(&ann, texts(&[3, 1])).await.unwrap();
        assert_eq!((again.len(), &again[1]), (2, &first[0]));
        assert!(pool.metrics.embedding_tokens.get() > computed);
        let known = pool.metrics.embedding_tokens.get();
        pool.sentences(&caller("bob").await, texts(&[1])).await.unwrap();
        assert!(pool.metrics.embedding_tokens.get() > known, "another's are not");
    }

    #[tokio::test]
    async fn a_question_longer_than_the_window_is_counted() {
        let pool = pool();
        pool.question(&caller("ann").await, &"pain ".repeat(500)).await.unwrap();
        assert_eq!(pool.metrics.texts_cut.get(), 1);
    }
}
