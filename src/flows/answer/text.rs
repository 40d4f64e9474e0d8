//! The extractive route: the best sentences of the passages found, or an abstention.

use std::collections::BTreeSet;

use super::{AnswerError, AnswerFlow};
use crate::access::Access;
use crate::domain::{Answer, Filters, Passage, Query};
use crate::stages::ground::{Candidate, Settings, candidates, promising, select, without_unmentioned};
use crate::stages::question::{Question, Window};
use crate::stages::sentences::sentences as sentences_of;

/// Sentences that are compared by vector. On SciFact's train claims all of them choose no better than these.
const COMPARED: usize = 24;

impl AnswerFlow {
    pub(super) async fn answer_by_text(
        &self,
        access: &Access,
        query: &Query,
        question: &Question,
        wanted: Settings,
    ) -> Result<Answer, AnswerError> {
        let retrieved = self.retrieve.run(access, query).await?;
        let found = self.of_its_time_first(access, query, question.window, retrieved.passages).await?;
        let passages = match without_unmentioned(question, found) {
            Ok(passages) => passages,
            Err(reason) => return Ok(Answer::abstained(reason)),
        };
        let vector = match retrieved.vector {
            Some(vector) => vector,
            None => self.embedding.question(access, &query.text).await?,
        };
        let (passages, candidates) = candidates_aside(query.text.clone(), passages).await?;
        let texts = candidate_texts(&candidates, &passages);
        let vectors = self.embedding.sentences(access, texts).await?;
        let chosen = select_aside(wanted, query.text.clone(), vector, passages, candidates, vectors).await?;
        self.hold_against_store(access, chosen).await
    }

    /// Where the question names a time with a beginning and an end, half of the passages are those that fit best of what
    /// was written of that time: they know what was then.
    async fn of_its_time_first(
        &self,
        access: &Access,
        query: &Query,
        window: Window,
        found: Vec<Passage>,
    ) -> Result<Vec<Passage>, AnswerError> {
        let filters = &query.filters;
        let is_narrowed = filters.from.is_some() || filters.to.is_some();
        if is_narrowed || !window.is_closed() {
            return Ok(found);
        }
        let Window { from, to } = window.anywhere();
        let filters = Filters { from, to, ..filters.clone() };
        let then = Query { filters, limit: query.limit.div_ceil(2), ..query.clone() };
        let mut passages = self.retrieve.run(access, &then).await?.passages;
        let place = |passage: &Passage| (passage.document.key.clone(), passage.hit.chunk.ordinal);
        let known: BTreeSet<_> = passages.iter().map(place).collect();
        passages.extend(found.into_iter().filter(|passage| !known.contains(&place(passage))));
        passages.truncate(query.limit);
        Ok(passages)
    }
}

/// The sentences worth comparing, found off the request threads like what follows.
async fn candidates_aside(
    question: String,
    passages: Vec<Passage>,
) -> Result<(Vec<Passage>, Vec<Candidate>), AnswerError> {
    let finding = tokio::task::spawn_blocking(move || {
        let found = promising(&question, &passages, candidates(&passages, sentences_of), COMPARED);
        (passages, found)
    });
    finding.await.map_err(|_| AnswerError::Stopped)
}

/// Selecting computes for longer than a request thread should.
async fn select_aside(
    settings: Settings,
    question: String,
    vector: Vec<f32>,
    passages: Vec<Passage>,
    candidates: Vec<Candidate>,
    vectors: Vec<Vec<f32>>,
) -> Result<Answer, AnswerError> {
    let selecting =
        tokio::task::spawn_blocking(move || select(&question, &vector, &passages, &candidates, &vectors, &settings));
    selecting.await.map_err(|_| AnswerError::Stopped)
}

fn candidate_texts(candidates: &[Candidate], passages: &[Passage]) -> Vec<String> {
    candidates.iter().map(|candidate| candidate.text(passages).unwrap_or_default().to_owned()).collect()
}
