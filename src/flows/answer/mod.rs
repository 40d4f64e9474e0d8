//! Answers a question: from typed facts, else in the documents' own words, else not at all.
//!
//! ```text
//! facts    a patient's typed facts           (silent unless they account for every word of the question)
//! text     passages -> sentences             (within what mentions the thing that the question names)
//! writing  a model over the sentences found      (if one is configured; each of its sentences is proved or dropped)
//! gate     every quote held against the store, now; what is too old withheld
//! ```

mod conversation;
mod facts;
mod gate;
mod text;
mod writing;

pub use writing::{Writer, Writing};

use std::sync::Arc;
use std::time::Instant;

use super::embed::{EmbedError, EmbeddingPool};
use super::retrieve::{RetrieveError, RetrieveFlow};
use crate::access::Access;
use crate::adapters::store::{Store, StoreError};
use crate::domain::{Answer, AnswerStatus, DocumentKey, PatientId, Query, Route, Timestamp};
use crate::stages::ground::{Settings, facts_were_silent};
use crate::stages::name::without_name;
use crate::stages::question::analyse;
use conversation::Conversations;
use writing::evidence_of;

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
    writer: Option<Writer>,
    conversations: Arc<Conversations>,
}

/// An answer, whole or still being written.
pub enum Begun {
    Whole(Answer),
    Writing(Box<Writing>),
}

impl AnswerFlow {
    pub fn new(retrieve: RetrieveFlow, embedding: Arc<EmbeddingPool>, store: Store, settings: Settings) -> Self {
        Self { retrieve, embedding, store, settings, writer: None, conversations: Arc::default() }
    }

    /// With a model to write where documents are quoted otherwise.
    pub fn with_writer(self, writer: Option<Writer>) -> Self {
        Self { writer, ..self }
    }

    /// The question as it is meant in a conversation of that name, of this caller about this patient.
    pub fn in_conversation(&self, access: &Access, id: &str, asked: &Query) -> Query {
        self.conversations.resolve(access, id, asked, Instant::now())
    }

    pub async fn run(&self, access: &Access, asked: &Query) -> Result<Answer, AnswerError> {
        match self.begin(access, asked, true).await? {
            Begun::Whole(answer) => Ok(answer),
            Begun::Writing(mut writing) => {
                while writing.next().await.is_some() {}
                Ok(writing.finish())
            }
        }
    }

    /// The answer, or its writing, where a model is configured and `may_write`.
    pub async fn begin(&self, access: &Access, asked: &Query, may_write: bool) -> Result<Begun, AnswerError> {
        let query = self.without_name(access, asked).await?;
        let writes = may_write && self.writer.is_some();
        let wanted = if writes { evidence_of(self.settings) } else { self.settings };
        let found = self.answer(access, &query, wanted).await?;
        let found = self.withhold_stale(access, found).await?;
        if !writes || found.route == Route::Facts {
            return Ok(Begun::Whole(found));
        }
        Ok(match self.begin_writing(access, &query, found).await? {
            Ok(writing) => Begun::Writing(Box::new(writing)),
            Err(quoted) => Begun::Whole(quoted),
        })
    }

    async fn answer(&self, access: &Access, query: &Query, wanted: Settings) -> Result<Answer, AnswerError> {
        let now = Timestamp::now();
        let facts = self.facts(access, query).await?;
        let question = analyse(&query.text, now, &facts.vocabulary());
        if let Some(answer) = self.answer_by_facts(access, &question, &facts, now).await? {
            return self.beside_later_documents(access, query, &question, answer).await;
        }
        let asked_facts = facts.are_asked(&question);
        let mut answer = self.answer_by_text(access, query, &question, wanted).await?;
        if asked_facts && answer.status != AnswerStatus::Abstained {
            answer.route = Route::TextAfterFacts;
            answer.sentences.insert(0, facts_were_silent());
        }
        Ok(answer)
    }

    /// Within one patient's record the patient's own name tells nothing apart.
    async fn without_name(&self, access: &Access, asked: &Query) -> Result<Query, AnswerError> {
        let Some(patient) = patient_of(access, asked) else { return Ok(asked.clone()) };
        let name = self.store.patient_name(access, patient).await?;
        let text = name.map_or_else(|| asked.text.clone(), |name| without_name(&asked.text, &name));
        Ok(Query { text, ..asked.clone() })
    }
}

/// The one patient that a question is about: named with it, or the one the caller was launched for.
fn patient_of<'a>(access: &'a Access, query: &'a Query) -> Option<&'a PatientId> {
    query.filters.patient.as_ref().or_else(|| access.launch_patient())
}

/// The document versions an answer quotes, in order, repeats kept.
pub fn cited(answer: &Answer) -> Vec<DocumentKey> {
    answer.citations().map(|citation| citation.key.clone()).collect()
}
