//! How well a question and what was found for it fit together.

use std::collections::BTreeMap;

use super::Candidate;
use crate::domain::{DocumentKey, Passage};
use crate::stages::terms::{QuestionTerms, TermSet, term_set};

/// What a threshold on answering is set against; record it to calibrate one's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The best cosine of question and candidate, 0 to 1; `None` when there are no vectors to compare.
    pub cosine: Option<f32>,
    /// The best share of the question's weighted terms in one document, 0 to 1; `None` when the
    /// question has no terms.
    pub coverage: Option<f32>,
    /// How many things the question names that no passage holds.
    pub absent_things: usize,
}

impl Evidence {
    /// The mean of what is known, 0 to 1; 0 when nothing is.
    pub fn strength(&self) -> f32 {
        match (self.cosine, self.coverage) {
            (Some(cosine), Some(coverage)) => f32::midpoint(cosine, coverage),
            (Some(known), None) | (None, Some(known)) => known,
            (None, None) => 0.0,
        }
    }
}

/// The evidence that the answer would be decided on.
///
/// `candidate_vectors` lies beside `candidates`; a vector that is missing or of another length than
/// the question's counts as unknown.
pub fn evidence(
    question: &str,
    question_vector: &[f32],
    passages: &[Passage],
    candidates: &[Candidate],
    candidate_vectors: &[Vec<f32>],
) -> Evidence {
    Reading::of(question, question_vector, passages).evidence(candidates, candidate_vectors)
}

/// A question held against the passages found for it.
pub(super) struct Reading<'a> {
    pub passages: &'a [Passage],
    terms: QuestionTerms,
    question_vector: &'a [f32],
    documents: BTreeMap<&'a DocumentKey, DocumentReading>,
}

/// What the passages of one document amount to together.
struct DocumentReading {
    /// Position of its best passage among the documents, from 0.
    place: usize,
    terms: TermSet,
    /// Of its title and its date, which hold for each of its sentences.
    context: TermSet,
}

impl<'a> Reading<'a> {
    pub fn of(question: &str, question_vector: &'a [f32], passages: &'a [Passage]) -> Self {
        let passage_terms: Vec<TermSet> = passages.iter().map(passage_terms).collect();
        let terms = QuestionTerms::weigh(question, &passage_terms);
        let mut documents = BTreeMap::<&DocumentKey, DocumentReading>::new();
        for (passage, found) in passages.iter().zip(passage_terms) {
            let place = documents.len();
            let document = documents.entry(&passage.document.key).or_insert_with(|| DocumentReading {
                place,
                terms: TermSet::new(),
                context: context_terms(passage),
            });
            document.terms.extend(found);
        }
        Self { passages, terms, question_vector, documents }
    }

    pub fn evidence(&self, candidates: &[Candidate], vectors: &[Vec<f32>]) -> Evidence {
        let quotable = || candidates.iter().filter_map(|candidate| self.passages.get(candidate.passage));
        let coverage = quotable().map(|passage| self.document_coverage(&passage.document.key)).max_by(f32::total_cmp);
        let cosines = candidates.iter().zip(vectors).filter_map(|(_, vector)| self.cosine(vector));
        Evidence {
            cosine: cosines.max_by(f32::total_cmp),
            coverage: coverage.filter(|_| !self.terms.is_empty()),
            absent_things: self.terms.absent_things().len(),
        }
    }

    fn document_coverage(&self, key: &DocumentKey) -> f32 {
        self.documents.get(key).map_or(0.0, |document| self.terms.coverage(&document.terms))
    }

    /// Cosine with the question, nothing below 0; `None` when it can't be told.
    pub fn cosine(&self, vector: &[f32]) -> Option<f32> {
        cosine(self.question_vector, vector).map(|cosine| cosine.max(0.0))
    }

    /// Share of the question's terms in a candidate with the title, date and section it stands under; `None` without
    /// terms. So a report's heading, which names what is asked for, is no nearer to it than what the report says.
    pub fn coverage(&self, passage: &Passage, text: &str) -> Option<f32> {
        let mut terms = term_set(text);
        let context = self.documents.get(&passage.document.key).map(|document| &document.context);
        terms.extend(context.into_iter().flatten().cloned());
        terms.extend(passage.hit.chunk.section.as_deref().map(term_set).unwrap_or_default());
        (!self.terms.is_empty()).then(|| self.terms.coverage(&terms))
    }

    /// 1 for the document found first, falling evenly towards 0.
    pub fn standing(&self, key: &DocumentKey) -> f32 {
        let place = self.documents.get(key).map_or(self.documents.len(), |document| document.place);
        1.0 - place as f32 / self.documents.len().max(1) as f32
    }
}

/// What a passage says with its title, section and date around it.
fn passage_terms(passage: &Passage) -> TermSet {
    let mut terms = term_set(passage.text());
    terms.extend(context_terms(passage));
    terms.extend(passage.hit.chunk.section.as_deref().map(term_set).unwrap_or_default());
    terms
}

/// A document's title and date.
fn context_terms(passage: &Passage) -> TermSet {
    let document = &passage.document.document;
    let mut terms = term_set(&document.title);
    let date = document.times.effective.or(document.times.source);
    terms.extend(date.map(|date| term_set(&date.date())).unwrap_or_default());
    terms
}

/// `None` when the lengths differ, a vector is all zero, or a number isn't finite.
pub(super) fn cosine(one: &[f32], other: &[f32]) -> Option<f32> {
    if one.len() != other.len() {
        return None;
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = dot(one, other) / (dot(one, one).sqrt() * dot(other, other).sqrt());
    cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::super::builders::{dated, in_section, lines, passage};
    use super::super::candidates;
    use super::{Evidence, Reading, cosine, evidence};
    use crate::domain::Passage;

    fn found(question: &str, passages: &[Passage]) -> Evidence {
        let candidates = candidates(passages, lines);
        let vectors: Vec<Vec<f32>> = candidates.iter().map(|_| vec![0.6, 0.8]).collect();
        evidence(question, &[1.0, 0.0], passages, &candidates, &vectors)
    }

    #[test]
    fn cosine_is_told_only_where_there_is_one() {
        assert_eq!(cosine(&[1.0, 0.0], &[2.0, 0.0]), Some(1.0));
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 3.0]), Some(0.0));
        assert_eq!(cosine(&[f32::MAX, f32::MAX], &[-f32::MAX, -f32::MAX]), Some(-1.0));
        for (one, other) in [
            (&[1.0][..], &[1.0, 0.0][..]),
            (&[0.0], &[1.0]),
            (&[f32::NAN], &[1.0]),
            (&[f32::INFINITY], &[1.0]),
            (&[], &[]),
        ] {
            assert_eq!(cosine(one, other), None);
        }
    }

    #[test]
    fn strength_is_the_mean_of_what_is_known() {
        let of = |cosine, coverage| Evidence { cosine, coverage, absent_things: 0 }.strength();
        assert!((of(Some(0.6), Some(1.0)) - 0.8).abs() < 1e-6);
        assert_eq!(of(Some(0.6), None), 0.6);
        assert_eq!(of(None, Some(0.4)), 0.4);
        assert_eq!(of(None, None), 0.0);
    }

    #[test]
    fn one_document_must_hold_the_terms() {
        let together = [passage("a", "Warfarin was stopped after the fall.")];
        let apart = [passage("a", "Warfarin goes on as before."), passage("b", "There was no fall.")];
        let question = "Was warfarin stopped after a fall?";
        assert_eq!(found(question, &together).coverage, Some(1.0));
        assert!(found(question, &apart).coverage.unwrap() < 0.7);
        assert_eq!(found(question, &together).cosine, Some(0.6));
    }

    #[test]
    fn section_and_date_count_as_said() {
        let one = dated(in_section(passage("a", "Reacts to penicillin with rash."), "Allergies"), "2019-03-02");
        assert_eq!(found("Allergies in 2019?", &[one]).coverage, Some(1.0));
    }

    #[test]
    fn passages_without_a_candidate_are_no_evidence() {
        let heading = [passage("a", "WARFARIN:")];
        let nothing = found("Is she on warfarin?", &heading);
        assert_eq!((nothing.cosine, nothing.coverage, nothing.strength()), (None, None, 0.0));
    }

    #[test]
    fn documents_stand_in_the_order_they_were_found() {
        let passages = [passage("b", "One."), passage("a", "Two."), passage("b", "Three.")];
        let reading = Reading::of("", &[], &passages);
        assert_eq!(reading.standing(&passages[2].document.key), 1.0);
        assert_eq!(reading.standing(&passages[1].document.key), 0.5);
    }
}
