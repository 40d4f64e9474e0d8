//! The extractive route: the best sentences of the passages found, or an abstention.

use super::{AnswerError, AnswerFlow};
use crate::access::Access;
use crate::domain::{Answer, Passage, Query};
use crate::stages::ground::{Candidate, Settings, candidates, promising, select, without_unmentioned};
use crate::stages::question::Question;
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
        let passages = match without_unmentioned(question, retrieved.passages) {
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
