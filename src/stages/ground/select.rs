//! Chooses the sentences of an answer.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use super::evidence::{Reading, cosine};
use super::outcome::{LATE_GAIN, OUTCOME_GAIN, is_statement, tells_outcome};
use super::reason::{SOUGHT_GAIN, asks_for_findings, asks_for_reason, gives_findings, gives_reason};
use super::verify::gist;
use super::{Candidate, Evidence, Settings, fold};
use crate::domain::{Abstention, Answer, Check, Citation, Passage, Route, Sentence, Span, page_of};
use crate::stages::terms::{asks_for_newest, words};

/// Weights of a sentence's support, fitted on SciFact's train claims: what stands in the document found first is the
/// likeliest evidence, and words and vector tell about as much of its sentences.
const COSINE_WEIGHT: f32 = 0.35;
const COVERAGE_WEIGHT: f32 = 0.3;
const STANDING_WEIGHT: f32 = 0.35;

/// Share of the best relevance from which a sentence is as much to the point, so that age may decide.
const AS_RELEVANT: f32 = 0.85;

/// The answer: up to `max_sentences` verbatim sentences, each with its citations, or an abstention.
///
/// `passages` come best first; `candidate_vectors` lies beside `candidates`, in the question
/// vector's space. Without usable vectors the question's words decide alone.
///
/// Sentences come best first; when a reason or findings are asked for, one that gives them gains by it, and when a statement is
/// put up, one that tells an outcome; when the question asks how things stand now, those about as relevant as the best
/// come newest first. The same sentence in several documents of one patient is said
/// once and cited from each, newest first. A negated sentence is quoted like any other: "denies pain" answers too.
pub fn select(
    question: &str,
    question_vector: &[f32],
    passages: &[Passage],
    candidates: &[Candidate],
    candidate_vectors: &[Vec<f32>],
    settings: &Settings,
) -> Answer {
    if passages.is_empty() {
        return Answer::abstained(Abstention::NoEvidence);
    }
    let reading = Reading::of(question, question_vector, passages);
    if !suffices(&reading.evidence(candidates, candidate_vectors), settings) {
        return Answer::abstained(Abstention::WeakEvidence);
    }
    let mut scored = score(&reading, candidates, candidate_vectors);
    prefer(question, &mut scored);
    scored.sort_by(better_first);
    let sentences: Vec<Sentence> =
        pick(scored, settings).into_iter().filter_map(|said| sentence(said, settings)).collect();
    if sentences.is_empty() {
        return Answer::abstained(Abstention::WeakEvidence);
    }
    Answer::answered(Route::Text, sentences)
}

/// Lifts what answers this sort of question.
fn prefer(question: &str, scored: &mut [Scored<'_>]) {
    if asks_for_reason(question) {
        scored.iter_mut().filter(|one| gives_reason(one.text)).for_each(|one| one.gain(SOUGHT_GAIN));
    }
    if asks_for_findings(question) {
        let tells = |one: &&mut Scored<'_>| gives_findings(one.text, one.passage.hit.chunk.section.as_deref());
        scored.iter_mut().filter(tells).for_each(|one| one.gain(SOUGHT_GAIN));
    }
    if is_statement(question) {
        for one in scored.iter_mut() {
            let outcome = if tells_outcome(one.text) { OUTCOME_GAIN } else { 0.0 };
            one.gain(outcome + LATE_GAIN * one.lateness());
        }
    }
    if asks_for_newest(question) {
        let bar = scored.iter().map(|one| one.relevance).fold(0.0, f32::max) * AS_RELEVANT;
        scored.iter_mut().for_each(|one| one.leads = one.relevance >= bar);
    }
}

/// A threshold that is no number is never met.
fn suffices(evidence: &Evidence, settings: &Settings) -> bool {
    let named = !settings.require_named || evidence.absent_things == 0;
    named && evidence.strength() >= settings.min_evidence
}

/// The `most` candidates that words and their document's standing promise most of, in the order they came: comparing
/// vectors is what an answer's time goes into, and the rest would hardly be chosen.
pub fn promising(question: &str, passages: &[Passage], candidates: Vec<Candidate>, most: usize) -> Vec<Candidate> {
    if candidates.len() <= most {
        return candidates;
    }
    let reading = Reading::of(question, &[], passages);
    let mut scored = score(&reading, &candidates, &[]);
    prefer(question, &mut scored);
    scored.sort_by(better_first);
    let kept: BTreeSet<_> = scored.iter().take(most).map(|one| (&one.passage.document.key, one.span)).collect();
    let is_kept = |candidate: &Candidate| {
        passages.get(candidate.passage).is_some_and(|passage| kept.contains(&(&passage.document.key, candidate.span)))
    };
    candidates.into_iter().filter(is_kept).collect()
}

struct Scored<'a> {
    passage: &'a Passage,
    span: Span,
    text: &'a str,
    gist: String,
    vector: &'a [f32],
    /// Of the sentence itself to the question, 0 to 1.
    relevance: f32,
    /// Relevance and the document's standing, 0 to 1, and what it gained.
    support: f32,
    /// Whether its age decides its place: about as relevant as the best, and the newest was asked for.
    leads: bool,
}

impl Scored<'_> {
    /// Beyond 1, if need be: what gains must not stand level with what didn't.
    fn gain(&mut self, by: f32) {
        self.relevance += by;
        self.support += by;
    }

    /// 0 at the beginning of its document, towards 1 at the end.
    fn lateness(&self) -> f32 {
        self.span.start as f32 / self.passage.document.document.text.len().max(1) as f32
    }

    fn same_patient(&self, other: &Self) -> bool {
        self.passage.document.document.patient == other.passage.document.document.patient
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.same_patient(other) && self.gist == other.gist
    }

    /// Whether saying `other` after this one adds nothing.
    fn makes_redundant(&self, other: &Self, redundancy: f32) -> bool {
        if self.passage.document.key == other.passage.document.key && overlap(self.span, other.span) {
            return true;
        }
        let alike = cosine(self.vector, other.vector).is_none_or(|cosine| cosine >= redundancy);
        self.same_patient(other) && alike && marks(other.text).is_subset(&marks(self.text))
    }
}

fn overlap(one: Span, other: Span) -> bool {
    one.start < other.end && other.start < one.end
}

/// Every word, small ones included, and every sign that can turn a statement round.
fn marks(text: &str) -> BTreeSet<String> {
    let signs = text.chars().filter(|c| "<>≤≥=+-−±~↑↓".contains(*c)).map(String::from);
    words(text).map(str::to_lowercase).chain(signs).collect()
}

fn score<'a>(reading: &Reading<'a>, candidates: &[Candidate], vectors: &'a [Vec<f32>]) -> Vec<Scored<'a>> {
    let has_cosines = candidates.iter().zip(vectors).any(|(_, vector)| reading.cosine(vector).is_some());
    let vectors = vectors.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
    let scored = candidates.iter().zip(vectors).filter_map(|(candidate, vector)| {
        let passage = reading.passages.get(candidate.passage)?;
        let text = candidate.text(reading.passages)?;
        // Beside candidates that were compared, one that couldn't be must not gain by it.
        let cosine = has_cosines.then(|| (reading.cosine(vector).unwrap_or(0.0), COSINE_WEIGHT));
        let coverage = reading.coverage(passage, text).map(|coverage| (coverage, COVERAGE_WEIGHT));
        let standing = Some((reading.standing(&passage.document.key), STANDING_WEIGHT));
        Some(Scored {
            passage,
            span: candidate.span,
            text,
            gist: gist(text),
            vector,
            relevance: weighted_mean([cosine, coverage]),
            support: weighted_mean([cosine, coverage, standing]),
            leads: false,
        })
    });
    scored.collect()
}

/// Of the values that are known, each with its weight.
fn weighted_mean<const N: usize>(values: [Option<(f32, f32)>; N]) -> f32 {
    let (sum, weights) = values
        .into_iter()
        .flatten()
        .fold((0.0, 0.0), |(sum, weights), (value, weight)| (sum + value * weight, weights + weight));
    if weights > 0.0 { (sum / weights).clamp(0.0, 1.0) } else { 0.0 }
}

/// Leaders newest first, then the rest by support; ties in the other's order, then by place.
fn better_first(a: &Scored<'_>, b: &Scored<'_>) -> Ordering {
    let by_age = || b.passage.document.as_of().cmp(&a.passage.document.as_of());
    let by_support = || b.support.total_cmp(&a.support);
    let by_place = || (&a.passage.document.key, a.span).cmp(&(&b.passage.document.key, b.span));
    match (a.leads, b.leads) {
        (true, true) => by_age().then_with(by_support).then_with(by_place),
        (false, false) => by_support().then_with(by_age).then_with(by_place),
        (a_leads, b_leads) => b_leads.cmp(&a_leads),
    }
}

/// Groups of scored candidates that say the same, in order.
fn pick<'a>(scored: Vec<Scored<'a>>, settings: &Settings) -> Vec<Vec<Scored<'a>>> {
    let floor = scored.iter().map(|one| one.support).fold(0.0, f32::max) * settings.support_floor;
    let mut picked: Vec<Vec<Scored<'a>>> = Vec::new();
    for one in scored {
        let same = picked.iter_mut().find(|said| said.iter().any(|other| other.says_the_same(&one)));
        if let Some(said) = same {
            if said.iter().all(|other| other.passage.document.key.id != one.passage.document.key.id) {
                said.push(one);
            }
            continue;
        }
        let redundant = || picked.iter().flatten().any(|said| said.makes_redundant(&one, settings.redundancy));
        if picked.len() < settings.max_sentences && (one.leads || one.support >= floor) && !redundant() {
            picked.push(vec![one]);
        }
    }
    picked
}

fn sentence(mut said: Vec<Scored<'_>>, settings: &Settings) -> Option<Sentence> {
    let support = said.iter().map(|one| one.support).fold(0.0, f32::max).min(1.0);
    said.sort_by_key(|one| (Reverse(one.passage.document.as_of()), one.passage.document.key.clone()));
    let text = fold(said.first()?.text);
    let citations = said.iter().take(settings.max_citations.max(1)).map(cite).collect();
    Some(Sentence { text, support, check: Check::Verbatim, citations })
}

fn cite(said: &Scored<'_>) -> Citation {
    let stored = &said.passage.document;
    Citation {
        key: stored.key.clone(),
        span: said.span,
        quote: said.text.to_owned(),
        title: stored.document.title.clone(),
        kind: stored.document.kind,
        section: said.passage.hit.chunk.section.clone(),
        page: page_of(&stored.document.pages, said.span),
        source: stored.source.clone(),
        effective: stored.document.times.effective,
        source_time: stored.document.times.source,
        received_at: stored.received_at,
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
