//! Finds the passages that fit a query, within the caller's reach.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::embed::{AskedQuestion, EmbedError, EmbeddingPool};
use super::rank::{Candidates, Plan, Ranked, begin, rank};
use super::rerank::{DEPTH, RerankError, Reranker};
use crate::access::Access;
use crate::adapters::index::{Index, IndexError};
use crate::adapters::inference::CrossEncoder;
use crate::adapters::store::{Store, StoreError};
use crate::domain::{DocumentId, DocumentKey, Mode, Passage, PatientId, Query, Span, StoredDocument};

#[derive(Debug, thiserror::Error)]
pub enum RetrieveError {
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rerank(#[from] RerankError),
    #[error("the search task was stopped")]
    Stopped,
}

/// What of a passage's document belongs with it, as byte ranges of the document's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassageDetail {
    /// The part of the passage nearest to the query, where vectors were compared.
    pub nearest: Option<Span>,
    /// Words of the query, and what says the same, where the query asks for them.
    pub highlights: Vec<Span>,
    /// The passage with the neighbours that were asked for.
    pub around: Option<Span>,
}

#[derive(Debug)]
pub struct Retrieved {
    /// Best first.
    pub passages: Vec<Passage>,
    /// Of each passage.
    pub details: Vec<PassageDetail>,
    /// The query's vector, where the mode needed one.
    pub vector: Option<Vec<f32>>,
    pub plan: Plan,
}

#[derive(Clone)]
pub struct RetrieveFlow {
    store: Store,
    index: Arc<Index>,
    embedding: Arc<EmbeddingPool>,
    reranker: Option<Arc<Reranker>>,
}

impl RetrieveFlow {
    pub fn new(store: Store, index: Arc<Index>, embedding: Arc<EmbeddingPool>) -> Self {
        Self { store, index, embedding, reranker: None }
    }

    /// With a model that orders the best passages of hybrid searches again.
    pub fn with_reranker(self, model: Option<CrossEncoder>) -> Self {
        Self { reranker: model.map(Reranker::new).map(Arc::new), ..self }
    }

    pub async fn run(&self, access: &Access, query: &Query) -> Result<Retrieved, RetrieveError> {
        Ok(self.run_telling(access, query, |_| std::future::ready(())).await?.0)
    }

    /// Besides tells which document versions will be shown, and gives back what came of that. They are told as soon as
    /// they are known: without a reranker, while the words are still being marked.
    pub async fn run_telling<T, Telling: Future<Output = T>>(
        &self,
        access: &Access,
        query: &Query,
        tell: impl FnOnce(Vec<DocumentKey>) -> Telling,
    ) -> Result<(Retrieved, T), RetrieveError> {
        let Some(reranker) = self.reranker.as_ref().filter(|_| query.mode == Mode::Hybrid && query.tuning.rerank)
        else {
            let (say, hear) = oneshot::channel();
            let telling = async { Some(tell(hear.await.ok()?).await) };
            let (found, told) = tokio::join!(self.search(access, query, query.limit, Some(say)), telling);
            return Ok((found?.retrieved(), told.ok_or(RetrieveError::Stopped)?));
        };
        let mut found = self.search(access, query, query.limit.max(DEPTH), None).await?;
        found.shown = reranker.rerank(&query.text, found.shown).await?;
        found.shown.truncate(query.limit);
        found.plan.reranked = true;
        let told = tell(keys(&found.shown)).await;
        Ok((found.retrieved(), told))
    }

    /// Takes one snapshot, ranks what lies in scope, reads it, says what that is and marks the query's words in it, all
    /// on one thread off those of the requests; its words are looked up while the model makes its vector.
    async fn search(
        &self,
        access: &Access,
        query: &Query,
        depth: usize,
        say: Option<oneshot::Sender<Vec<DocumentKey>>>,
    ) -> Result<Found, RetrieveError> {
        let snapshot = self.index.snapshot();
        let (give, take) = oneshot::channel::<Option<AskedQuestion>>();
        let (store, embedding) = (self.store.clone(), self.embedding.clone());
        let (owned_access, owned_query) = (access.clone(), query.clone());
        let searching = tokio::task::spawn_blocking(move || {
            let begun = begin(&snapshot, &owned_access, &owned_query)?;
            let asked = take.blocking_recv().map_err(|_| RetrieveError::Stopped)?;
            let vector = asked.map(|asked| embedding.answer(asked)).transpose()?;
            let (candidates, plan) = rank(&snapshot, begun, &owned_query, vector.as_deref());
            let mut shown = passages(&store, &owned_access, &candidates, &owned_query, depth)?;
            if let Some(say) = say {
                // Who asked may have gone away.
                let _ = say.send(keys(&shown));
            }
            if owned_query.is_marked {
                mark(candidates, &mut shown);
            }
            Ok(Found { shown, plan, vector })
        });
        let (asked, _wanted) = match query.mode {
            Mode::Keyword => (None, None),
            Mode::Dense | Mode::Hybrid => {
                let (asked, wanted) = self.embedding.ask(access, &query.text).await?;
                (Some(asked), Some(wanted))
            }
        };
        // Who failed before it came says so itself.
        let _ = give.send(asked);
        searching.await.map_err(|_| RetrieveError::Stopped)?
    }
}

/// What a search shows, before any reranker saw it.
struct Found {
    shown: Vec<(Passage, PassageDetail)>,
    plan: Plan,
    vector: Option<Vec<f32>>,
}

impl Found {
    fn retrieved(self) -> Retrieved {
        let (passages, details) = self.shown.into_iter().unzip();
        Retrieved { passages, details, vector: self.vector, plan: self.plan }
    }
}

/// The document versions of passages, each once.
fn keys(shown: &[(Passage, PassageDetail)]) -> Vec<DocumentKey> {
    let mut keys: Vec<DocumentKey> = shown.iter().map(|(passage, _)| passage.document.key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Reads the documents behind the hits, through the caller's access once more: what was replaced, withdrawn or
/// relabelled since the snapshot is dropped here.
fn passages(
    store: &Store,
    access: &Access,
    candidates: &Candidates<'_>,
    query: &Query,
    depth: usize,
) -> Result<Vec<(Passage, PassageDetail)>, RetrieveError> {
    let mut shown = Shown::new(query, depth);
    for batch in candidates.batches(depth) {
        let mut keys: Vec<DocumentKey> = batch.iter().map(|ranked| ranked.hit.key.clone()).collect();
        keys.sort();
        keys.dedup();
        let documents = store.read_documents_of_hits(access, &keys)?;
        for ranked in &batch {
            if let Some(document) = documents.get(&ranked.hit.key) {
                shown.offer(ranked, document);
            }
        }
        if shown.is_full() {
            break;
        }
    }
    Ok(shown.passages)
}

fn mark(candidates: Candidates<'_>, shown: &mut [(Passage, PassageDetail)]) {
    let mut highlighter = candidates.highlighter();
    for (passage, detail) in shown {
        detail.highlights = highlighter.spans(&passage.document.document.text, passage.hit.chunk.span);
    }
}

/// The passages that are shown: as many as were asked for, so many of each document, the same text of a patient once.
struct Shown<'a> {
    query: &'a Query,
    depth: usize,
    passages: Vec<(Passage, PassageDetail)>,
    of_document: HashMap<DocumentId, usize>,
    texts: HashSet<(Option<PatientId>, String)>,
}

impl<'a> Shown<'a> {
    fn new(query: &'a Query, depth: usize) -> Self {
        Self { query, depth, passages: Vec::new(), of_document: HashMap::new(), texts: HashSet::new() }
    }

    fn is_full(&self) -> bool {
        self.passages.len() >= self.depth
    }

    fn offer(&mut self, ranked: &Ranked, document: &StoredDocument) {
        let tuning = &self.query.tuning;
        let so_far = self.of_document.get(&document.key.id).copied().unwrap_or_default();
        if self.is_full() || tuning.per_document.is_some_and(|most| so_far >= most) {
            return;
        }
        let passage = Passage { hit: ranked.hit.clone(), document: document.clone() };
        let whose = document.document.patient.clone();
        if tuning.distinct && !self.texts.insert((whose, without_layout(passage.text()))) {
            return;
        }
        *self.of_document.entry(document.key.id.clone()).or_default() += 1;
        let detail = PassageDetail {
            nearest: ranked.nearest,
            highlights: Vec::new(),
            around: (self.query.neighbours > 0).then_some(ranked.around),
        };
        self.passages.push((passage, detail));
    }
}

/// A copy is one whatever its line breaks and capitals.
fn without_layout(text: &str) -> String {
    if !text.is_ascii() {
        return text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    }
    let mut plain = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        plain.push_str(word);
        plain.push(' ');
    }
    plain.make_ascii_lowercase();
    plain
}
