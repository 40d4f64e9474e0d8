//! The generated route: a model writes over numbered evidence, and a sentence is let out once it is proved.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{AnswerError, AnswerFlow, patient_of};
use crate::access::Access;
use crate::adapters::inference::{Generation, Generator};
use crate::domain::{
    Abstention, Answer, AnswerStatus, Check, Citation, Confidentiality, DocumentKey, Leaving, Query, Route, Sentence,
    SourceId, StoredDocument, today,
};
use crate::flows::subjects::Subjects;
use crate::stages::deidentify::{Secret, mask, without_identifiers};
use crate::stages::ground::{Settings, verify};
use crate::stages::prompt::{Draft, Drafted, holds_a_command, prompt, talks_to_a_machine};

/// Sentences that a model gets as evidence, at most.
const EVIDENCE: usize = 8;
/// Least support of such a sentence, as a share of the best one's: a model may look further than an answer quotes.
const EVIDENCE_FLOOR: f32 = 0.4;

/// How evidence for a model is chosen.
pub(super) fn evidence_of(settings: Settings) -> Settings {
    Settings { max_sentences: EVIDENCE, support_floor: settings.support_floor.min(EVIDENCE_FLOOR), ..settings }
}

/// A model, and what it may be shown.
#[derive(Clone)]
pub struct Writer {
    pub generator: Arc<dyn Generator>,
    /// For sources that aren't named.
    pub leaving: Leaving,
    pub leaving_by_source: BTreeMap<SourceId, Leaving>,
    /// Names what is taken out of a text that leaves de-identified.
    pub secret: Secret,
}

impl Writer {
    /// What of a document the model may be shown. What is labelled never leaves, whatever its source.
    fn shows(&self, stored: &StoredDocument) -> Leaving {
        if !self.generator.is_elsewhere() {
            return Leaving::Full;
        }
        let labels = &stored.document.labels;
        if labels.confidentiality > Confidentiality::N || !labels.sensitivity.is_empty() {
            return Leaving::None;
        }
        self.leaving_by_source.get(&stored.source).copied().unwrap_or(self.leaving)
    }
}

/// An answer on its way: sentences come as they are proved.
pub struct Writing {
    generation: Option<Generation>,
    draft: Option<Draft>,
    ready: std::collections::VecDeque<Drafted>,
    evidence: Vec<Citation>,
    documents: HashMap<DocumentKey, StoredDocument>,
    support: f32,
    said: Vec<Sentence>,
    refused: usize,
    /// What is said when the model says nothing that holds.
    quoted: Answer,
}

impl AnswerFlow {
    /// Begins to write over what a text answer would quote. `Err` is the answer as it is: there is no model, nothing
    /// to write about, or nothing that the model may be shown.
    pub(super) async fn begin_writing(
        &self,
        access: &Access,
        query: &Query,
        found: Answer,
    ) -> Result<Result<Writing, Answer>, AnswerError> {
        let quoted = shortened(found.clone(), &self.settings);
        let Some(writer) = self.writer.as_ref().filter(|_| found.status != AnswerStatus::Abstained) else {
            return Ok(Err(quoted));
        };
        let evidence: Vec<Citation> =
            found.sentences.iter().filter_map(|sentence| sentence.citations.first()).cloned().collect();
        let keys: Vec<DocumentKey> = evidence.iter().map(|citation| citation.key.clone()).collect();
        let documents = self.store.documents_of_hits(access, &keys).await?;
        let subjects = Subjects::new(self.store.clone(), writer.secret.clone());
        let mut shown = Vec::new();
        let mut kept = Vec::new();
        for citation in evidence {
            let Some(stored) = documents.get(&citation.key).filter(|stored| !holds_a_command(&stored.document)) else {
                continue;
            };
            match writer.shows(stored) {
                Leaving::None => continue,
                Leaving::Deidentified => {
                    let subject = subjects.of(access, stored.document.patient.as_ref()).await?;
                    shown.push(mask(&citation.quote, &subject, today()).text);
                }
                Leaving::Full => shown.push(citation.quote.clone()),
            }
            kept.push(citation);
        }
        if kept.is_empty() {
            return Ok(Err(quoted));
        }
        let question = if writer.generator.is_elsewhere() {
            without_identifiers(&query.text, &subjects.of(access, patient_of(access, query)).await?, today())
        } else {
            query.text.clone()
        };
        let (prompt, held) = prompt(&question, &shown, &uuid::Uuid::new_v4().simple().to_string());
        kept.truncate(held);
        Ok(Ok(Writing {
            generation: Some(writer.generator.generate(prompt)),
            draft: Some(Draft::default()),
            ready: std::collections::VecDeque::new(),
            evidence: kept,
            documents,
            support: found.sentences.first().map_or(0.0, |sentence| sentence.support),
            said: Vec::new(),
            refused: 0,
            quoted,
        }))
    }
}

/// What would have been quoted without a model.
fn shortened(mut answer: Answer, settings: &Settings) -> Answer {
    let is_quoted = |sentence: &&Sentence| sentence.check != Check::NotNeeded;
    let best = answer.sentences.iter().filter(is_quoted).map(|sentence| sentence.support).fold(0.0, f32::max);
    let connecting = answer.sentences.len() - answer.sentences.iter().filter(is_quoted).count();
    answer.sentences.retain(|one| one.check == Check::NotNeeded || one.support >= best * settings.support_floor);
    answer.sentences.truncate(settings.max_sentences + connecting);
    answer
}

impl Writing {
    /// Every document version that may be quoted: for the audit, before the first sentence leaves.
    pub fn documents(&self) -> Vec<DocumentKey> {
        let quoted = super::cited(&self.quoted);
        let mut keys: Vec<DocumentKey> =
            self.evidence.iter().map(|citation| citation.key.clone()).chain(quoted).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// The next sentence that holds; `None` once the model is done or gone.
    pub async fn next(&mut self) -> Option<Sentence> {
        loop {
            while let Some(drafted) = self.ready.pop_front() {
                match self.proved(&drafted) {
                    Some(sentence) => {
                        self.said.push(sentence.clone());
                        return Some(sentence);
                    }
                    None => self.refused += usize::from(!is_nothing(&drafted)),
                }
            }
            let piece = match &mut self.generation {
                Some(generation) => generation.next().await,
                None => return None,
            };
            match piece {
                Some(Ok(piece)) => {
                    let whole = self.draft.as_mut().map(|draft| draft.push(&piece)).unwrap_or_default();
                    self.ready.extend(whole);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the generator failed; quotes are given instead");
                    self.generation = None;
                    self.draft = None;
                }
                None => {
                    self.generation = None;
                    self.ready.extend(self.draft.take().and_then(Draft::finish));
                }
            }
        }
    }

    /// All that was said; what would have been quoted, when nothing was.
    pub fn finish(self) -> Answer {
        if self.said.is_empty() {
            return self.quoted;
        }
        let is_whole = self.refused == 0;
        Answer {
            status: if is_whole { AnswerStatus::Answered } else { AnswerStatus::Partial },
            reason: (!is_whole).then_some(Abstention::Unsupported),
            ..Answer::answered(Route::Generated, self.said)
        }
    }

    /// The sentence with those of its citations that hold it up, through the same gate as every other answer.
    fn proved(&self, drafted: &Drafted) -> Option<Sentence> {
        let cited = drafted.cited.iter().filter_map(|number| self.evidence.get(number.checked_sub(1)?));
        let sentence = Sentence {
            text: drafted.text.clone(),
            support: self.support,
            check: Check::Supported,
            citations: cited.cloned().collect(),
        };
        let checked = verify(&Answer::answered(Route::Generated, vec![sentence]), |key| {
            self.documents.get(key).map(|stored| stored.document.text.as_str())
        });
        let sentence = checked.sentences.into_iter().next()?;
        let repeats = self.said.iter().any(|said| said.text == sentence.text);
        (!repeats && !talks_to_a_machine(&sentence.text)).then_some(sentence)
    }
}

/// The word by which a model says that the evidence doesn't answer.
fn is_nothing(drafted: &Drafted) -> bool {
    drafted.text.trim_matches(['.', '"']) == "NONE"
}
