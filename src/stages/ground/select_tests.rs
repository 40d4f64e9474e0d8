//! What `select` promises, on small charts with vectors made from words.

use proptest::prelude::*;

use super::super::builders::{dated, in_section, lines, passage};
use super::super::{Settings, candidates, verify};
use super::{promising, select};
use crate::domain::{Abstention, Answer, AnswerStatus, Passage, PatientId, Span};
use crate::stages::terms::terms;

const DIMENSIONS: usize = 64;

/// A bag of words as a vector: texts that share terms lie near each other.
fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for term in terms(text) {
        let bucket = term.bytes().fold(7usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        vector[bucket % DIMENSIONS] += 1.0;
    }
    vector
}

fn ask_with(question: &str, passages: &[Passage], settings: &Settings) -> Answer {
    let candidates = candidates(passages, lines);
    let vectors: Vec<Vec<f32>> = candidates.iter().map(|candidate| embed(candidate.text(passages).unwrap())).collect();
    select(question, &embed(question), passages, &candidates, &vectors, settings)
}

fn ask(question: &str, passages: &[Passage]) -> Answer {
    ask_with(question, passages, &Settings::default())
}

fn said(answer: &Answer) -> Vec<&str> {
    answer.sentences.iter().map(|sentence| sentence.text.as_str()).collect()
}

fn cited(answer: &Answer, sentence: usize) -> Vec<&str> {
    answer.sentences[sentence].citations.iter().map(|citation| citation.key.id.as_str()).collect()
}

#[test]
fn no_passage_is_no_evidence() {
    let answer = ask("Is she on warfarin?", &[]);
    assert_eq!((answer.status, answer.reason), (AnswerStatus::Abstained, Some(Abstention::NoEvidence)));
}

#[test]
fn passages_about_something_else_are_weak_evidence() {
    let answer = ask("Is she on warfarin?", &[passage("a", "Walks the dog every morning.\nSleeps well at night.")]);
    assert_eq!((answer.status, answer.reason), (AnswerStatus::Abstained, Some(Abstention::WeakEvidence)));
    assert!(answer.sentences.is_empty());
}

#[test]
fn the_sentence_that_answers_comes_first() {
    let chart = [
        passage("walk", "Walks the dog every morning.\nWarfarin was stopped after the bleed."),
        passage("sleep", "Sleeps well at night.\nNo bleeding seen since."),
    ];
    let answer = ask("Why was warfarin stopped?", &chart);
    assert_eq!(said(&answer)[0], "Warfarin was stopped after the bleed.");
    assert_eq!(cited(&answer, 0), ["walk"]);
}

#[test]
fn what_promises_most_is_compared_in_the_order_it_came() {
    let chart = [
        passage("first", "Walks the dog every morning.\nWarfarin was stopped after the bleed."),
        passage("second", "Sleeps well at night.\nWarfarin was stopped."),
    ];
    let all = candidates(&chart, lines);
    let kept = promising("Why was warfarin stopped?", &chart, all.clone(), 2);
    let texts: Vec<_> = kept.iter().filter_map(|candidate| candidate.text(&chart)).collect();
    assert_eq!(texts, ["Warfarin was stopped after the bleed.", "Warfarin was stopped."]);
    assert_eq!(promising("Why was warfarin stopped?", &chart, all.clone(), all.len()), all);
}

#[test]
fn evidence_for_a_statement_tells_an_outcome() {
    let chart = [passage("a", "Aspirin and stroke risk in women were studied.\nAspirin reduced stroke risk in women.")];
    assert_eq!(said(&ask("Aspirin lowers stroke risk in women", &chart))[0], "Aspirin reduced stroke risk in women.");
}

#[test]
fn a_denial_is_an_answer() {
    let answer = ask("Any chest pain?", &[passage("a", "Denies chest pain.\nWalks the dog every morning.")]);
    assert_eq!(said(&answer), ["Denies chest pain."]);
}

#[test]
fn a_wrapped_sentence_is_folded_and_its_quote_is_not() {
    let text = "Warfarin was stopped\n  after the bleed.";
    let chart = [passage("a", text)];
    let candidates = candidates(&chart, |text, _| vec![Span::new(0, text.len())]);
    let answer = select(
        "Why was warfarin stopped?",
        &embed("warfarin stopped"),
        &chart,
        &candidates,
        &[embed(text)],
        &Settings::default(),
    );
    assert_eq!(said(&answer), ["Warfarin was stopped after the bleed."]);
    assert_eq!(answer.sentences[0].citations[0].quote, text);
}

#[test]
fn the_same_sentence_is_said_once_and_cited_newest_first() {
    let chart = [
        dated(passage("old", "Allergic to penicillin."), "2019"),
        dated(passage("new", "allergic to  penicillin"), "2024"),
        dated(passage("middle", "Allergic to penicillin."), "2021"),
    ];
    let answer = ask("Is she allergic to penicillin?", &chart);
    assert_eq!(said(&answer), ["allergic to penicillin"]);
    assert_eq!(cited(&answer, 0), ["new", "middle", "old"]);
    let one = ask_with("Is she allergic to penicillin?", &chart, &Settings { max_citations: 1, ..Settings::default() });
    assert_eq!(cited(&one, 0), ["new"]);
}

#[test]
fn two_patients_never_share_a_sentence() {
    let mut chart = [passage("a", "Allergic to penicillin."), passage("b", "Allergic to penicillin.")];
    for (one, patient) in chart.iter_mut().zip(["ada", "ben"]) {
        one.document.document.patient = Some(PatientId::new(patient));
    }
    let answer = ask("Who is allergic to penicillin?", &chart);
    assert_eq!(answer.sentences.iter().map(|sentence| sentence.citations.len()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_digit_or_a_sign_makes_another_statement() {
    let chart = [
        dated(passage("a", "Hemoglobin A1c: 7.2 %\nHemoglobin A1c: > 7.2 %"), "2023"),
        dated(passage("b", "Hemoglobin A1c: 8.1 %"), "2021"),
    ];
    let answer = ask("Hemoglobin A1c?", &chart);
    assert_eq!(answer.sentences.len(), 3, "{:?}", said(&answer));
}

#[test]
fn what_adds_no_word_is_left_out() {
    let chart = [passage("a", "Warfarin stopped after the bleed in May.\nWarfarin stopped after the bleed.")];
    assert_eq!(ask("Was warfarin stopped after the bleed in May?", &chart).sentences.len(), 1);
}

#[test]
fn a_question_about_now_gets_the_newest_first() {
    let chart = [
        dated(passage("first", "Lisinopril dose: 10 mg"), "2019"),
        dated(passage("second", "Lisinopril dose: 40 mg"), "2024"),
        dated(passage("third", "Lisinopril dose: 20 mg"), "2021"),
        dated(passage("other", "Walks the dog every morning."), "2025"),
    ];
    assert_eq!(cited(&ask("What is the current lisinopril dose?", &chart), 0), ["second"]);
    assert_eq!(cited(&ask("What lisinopril dose was begun?", &chart), 0), ["first"]);
}

#[test]
fn the_newest_leads_however_late_it_was_found() {
    let old = (0..20).map(|n| dated(passage(&format!("old{n:02}"), &format!("Lisinopril dose: {n} mg")), "2019"));
    let chart: Vec<Passage> = old.chain([dated(passage("new", "Lisinopril dose raised to 40 mg"), "2024")]).collect();
    assert_eq!(cited(&ask("What is the current lisinopril dose?", &chart), 0), ["new"]);
}

#[test]
fn a_candidate_without_a_vector_gains_nothing_by_it() {
    let chart = [passage("a", "Warfarin was stopped in May.\nWarfarin was stopped by Friday.")];
    let candidates = candidates(&chart, lines);
    let question = "When was warfarin stopped?";
    let vectors = [vec![], embed("Warfarin was stopped")];
    let answer = select(question, &embed(question), &chart, &candidates, &vectors, &Settings::default());
    assert_eq!(said(&answer), ["Warfarin was stopped by Friday."]);
}

#[test]
fn a_named_thing_found_nowhere_abstains_when_asked_to() {
    let chart = [passage("a", "The dose of lisinopril is 10 mg daily.")];
    let strict = Settings { require_named: true, min_evidence: 0.1, ..Settings::default() };
    let lax = Settings { require_named: false, ..strict };
    let question = "What is the dose of Warfarin daily?";
    assert_eq!(ask_with(question, &chart, &strict).reason, Some(Abstention::WeakEvidence));
    assert_eq!(ask_with(question, &chart, &lax).status, AnswerStatus::Answered);
}

#[test]
fn sentences_far_below_the_best_are_dropped() {
    let chart =
        [passage("a", "Warfarin was stopped after the bleed.\nWarfarin came up.\nWalks the dog every morning.")];
    let answer = ask("Why was warfarin stopped after the bleed?", &chart);
    assert_eq!(said(&answer), ["Warfarin was stopped after the bleed."]);
}

#[test]
fn without_vectors_the_words_decide() {
    let chart = [in_section(passage("a", "Walks the dog every morning.\nWarfarin was stopped in May."), "Plan")];
    let candidates = candidates(&chart, lines);
    let answer = select("When was warfarin stopped?", &[], &chart, &candidates, &[], &Settings::default());
    assert_eq!(said(&answer), ["Warfarin was stopped in May."]);
    assert_eq!(answer.sentences[0].citations[0].section.as_deref(), Some("Plan"));
}

#[test]
fn a_threshold_that_is_no_number_abstains() {
    let chart = [passage("a", "Warfarin was stopped in May.")];
    let settings = Settings { min_evidence: f32::NAN, ..Settings::default() };
    assert_eq!(ask_with("When was warfarin stopped?", &chart, &settings).status, AnswerStatus::Abstained);
}

fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![any::<f32>(), Just(f32::NAN), Just(f32::INFINITY), Just(0.0), -1.0f32..1.0]
}

fn any_vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    prop::collection::vec(prop::collection::vec(any_number(), 0..4), 0..12)
}

proptest! {
    #[test]
    fn whatever_comes_in_only_verbatim_quotes_come_out(
        question in "(\\PC|dose|warfarin| ){0,12}",
        texts in prop::collection::vec("((dose |warfarin |é |\u{1F600} |\\PC){3,12}\n){0,4}", 0..4),
        question_vector in prop::collection::vec(any_number(), 0..4),
        vectors in any_vectors(),
        (min_evidence, support_floor, redundancy) in (any_number(), any_number(), any_number()),
        (max_sentences, max_citations) in (0usize..5, 0usize..3),
    ) {
        let chart: Vec<Passage> = texts.iter().enumerate().map(|(n, text)| passage(&n.to_string(), text)).collect();
        let settings = Settings { max_sentences, max_citations, min_evidence, support_floor, redundancy, require_named: false, withhold_stale: false };
        let found = candidates(&chart, lines);
        let answer = select(&question, &question_vector, &chart, &found, &vectors, &settings);
        prop_assert!(answer.sentences.len() <= max_sentences);
        prop_assert_eq!(answer.status == AnswerStatus::Answered, !answer.sentences.is_empty());
        prop_assert_eq!(answer.status == AnswerStatus::Answered, answer.reason.is_none());
        for sentence in &answer.sentences {
            prop_assert!((0.0..=1.0).contains(&sentence.support) && !sentence.citations.is_empty());
        }
        let text_of = |key: &_| chart.iter().find(|one| &one.document.key == key).map(|one| one.document.document.text.as_str());
        prop_assert_eq!(verify(&answer, text_of), answer);
    }

    #[test]
    fn candidates_of_other_passages_are_passed_over(places in prop::collection::vec((0usize..4, 0usize..40, 0usize..40), 0..10)) {
        let chart = [passage("a", "Warfarin wurde im Frühjahr abgesetzt.")];
        let strange: Vec<_> = places
            .iter()
            .map(|(passage, start, end)| super::Candidate { passage: *passage, span: Span::new(*start, *end) })
            .collect();
        let lax = Settings { min_evidence: 0.0, ..Settings::default() };
        let answer = select("Warfarin?", &[], &chart, &strange, &[], &lax);
        for citation in answer.sentences.iter().flat_map(|sentence| &sentence.citations) {
            prop_assert_eq!(citation.span.of(&chart[0].document.document.text), Some(citation.quote.as_str()));
        }
    }
}
