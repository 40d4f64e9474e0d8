//! Orders the best passages again by a model that reads query and passage together, where one is configured.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::retrieve::PassageDetail;
use crate::adapters::inference::{CrossEncoder, InferenceError};
use crate::domain::Passage;

/// Passages that are read again, at least.
pub const DEPTH: usize = 50;
/// Queries that are reranked at once: each takes all of the processor.
const TURNS: usize = 1;

#[derive(Debug, thiserror::Error)]
pub enum RerankError {
    #[error("the reranker failed")]
    Inference(#[from] InferenceError),
    #[error("the reranking task was stopped")]
    Stopped,
}

pub struct Reranker {
    model: Arc<CrossEncoder>,
    turns: Semaphore,
}

impl Reranker {
    pub fn new(model: CrossEncoder) -> Self {
        Self { model: Arc::new(model), turns: Semaphore::new(TURNS) }
    }

    /// Best first by the model's score, which each hit then shows; equal ones keep their order.
    ///
    /// A score is made of the query and one passage alone, so nothing else that is held touches it.
    pub async fn rerank(
        &self,
        query: &str,
        passages: Vec<(Passage, PassageDetail)>,
    ) -> Result<Vec<(Passage, PassageDetail)>, RerankError> {
        let _turn = self.turns.acquire().await.map_err(|_| RerankError::Stopped)?;
        let (model, query) = (self.model.clone(), query.to_owned());
        let texts: Vec<String> = passages.iter().map(|(passage, _)| in_context(passage)).collect();
        let scoring = tokio::task::spawn_blocking(move || {
            model.score(&query, &texts.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let scores = scoring.await.map_err(|_| RerankError::Stopped)??;
        Ok(ordered(passages, &scores))
    }
}

/// As it was embedded: the title, then the text.
fn in_context(passage: &Passage) -> String {
    match passage.document.document.title.trim() {
        "" => passage.text().to_owned(),
        title => format!("{title}\n{}", passage.text()),
    }
}

fn ordered(passages: Vec<(Passage, PassageDetail)>, scores: &[f32]) -> Vec<(Passage, PassageDetail)> {
    let mut passages: Vec<(Passage, PassageDetail)> = passages
        .into_iter()
        .zip(scores)
        .map(|((mut passage, detail), score)| {
            passage.hit.score = *score;
            (passage, detail)
        })
        .collect();
    passages.sort_by(|(one, _), (other, _)| other.hit.score.total_cmp(&one.hit.score));
    passages
}
