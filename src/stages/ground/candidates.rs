//! Sentences of passages that could stand in an answer.

use std::collections::BTreeSet;

use super::{fold, says_the_same};
use crate::domain::{DocumentStatus, Passage, Span};
use crate::stages::prompt::talks_to_a_machine;
use crate::stages::terms::words;

/// Most candidates of one question; passages come best first, so the least are left out.
pub const MAX_CANDIDATES: usize = 256;

/// Words below which a line that is neither an item nor `label: value` says too little alone.
const MIN_WORDS: usize = 3;

/// Bytes around a chunk that a sentence may reach beyond it.
const AROUND: usize = 1_500;

/// One sentence of one passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Position in the list of passages.
    pub passage: usize,
    /// Within the document's text, without white space or a list mark around it.
    pub span: Span,
}

impl Candidate {
    /// The words at the candidate's span, or `None` when it doesn't belong to these passages.
    pub fn text<'a>(&self, passages: &'a [Passage]) -> Option<&'a str> {
        self.span.of(&passages.get(self.passage)?.document.document.text).filter(|text| !text.is_empty())
    }
}

/// The sentences worth quoting, in the order of the passages, each place once.
///
/// `sentences_of` splits the part of a text that a span names; what it returns wholly outside of the chunk is left out,
/// what reaches beyond it is taken whole. Also left out: headings, questions (they state nothing), fragments of fewer than
/// three words unless they are `label: value` or a list's item, sentences that command a machine, and documents entered
/// in error.
pub fn candidates(passages: &[Passage], sentences_of: impl Fn(&str, Span) -> Vec<Span>) -> Vec<Candidate> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (number, passage) in passages.iter().enumerate() {
        if passage.document.document.status == DocumentStatus::EnteredInError {
            continue;
        }
        let within = passage.hit.chunk.span;
        for sentence in sentences_of(&passage.document.document.text, widened(passage, within)) {
            let Some(span) = quotable(passage, within, sentence) else { continue };
            if found.len() == MAX_CANDIDATES {
                return found;
            }
            if seen.insert((&passage.document.key, span)) {
                found.push(Candidate { passage: number, span });
            }
        }
    }
    found
}

/// The chunk with what stands around it: a sentence that a chunk's end cuts through is quoted whole, since the other
/// half may hold its `not`.
fn widened(passage: &Passage, within: Span) -> Span {
    let text = &passage.document.document.text;
    let (mut start, mut end) = (within.start.saturating_sub(AROUND), within.end.saturating_add(AROUND).min(text.len()));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    Span::new(start.min(end), end)
}

fn quotable(passage: &Passage, within: Span, sentence: Span) -> Option<Span> {
    let whole = sentence.of(&passage.document.document.text)?;
    let (begins, ends) = (sentence.end - whole.trim_start().len(), sentence.start + whole.trim_end().len());
    if ends <= within.start || begins >= within.end {
        return None;
    }
    let text = strip_item_mark(whole.trim());
    let is_item = text.len() < whole.trim().len();
    let says_nothing = !text.chars().any(char::is_alphabetic) || text.ends_with('?');
    if says_nothing || is_heading(passage, text) || talks_to_a_machine(text) {
        return None;
    }
    if !is_item && !is_labelled(text) && words(text).nth(MIN_WORDS - 1).is_none() {
        return None;
    }
    let start = sentence.start + (whole.trim_end().len() - text.len());
    Some(Span::new(start, start + text.len()))
}

/// Without the mark that makes a line a list's item: `- Penicillin`. The space tells it from a sign: `-2.5`.
fn strip_item_mark(text: &str) -> &str {
    match text.strip_prefix(['-', '*', '•', '–', '·']) {
        Some(item) if item.starts_with(char::is_whitespace) => item.trim_start(),
        _ => text,
    }
}

fn is_heading(passage: &Passage, text: &str) -> bool {
    if text.starts_with('#') || text.ends_with(':') {
        return true;
    }
    let document = &passage.document.document;
    let titles = document.sections.iter().map(|section| section.title.as_str());
    titles.chain(passage.hit.chunk.section.as_deref()).any(|title| says_the_same(title, text))
}

/// `Smoking: never`, with something on both sides.
fn is_labelled(text: &str) -> bool {
    fold(text).split_once(": ").is_some_and(|(label, value)| {
        label.chars().any(char::is_alphabetic) && value.chars().any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::builders::{lines, passage, passage_of};
    use super::{Candidate, MAX_CANDIDATES, candidates};
    use crate::domain::{DocumentStatus, Passage, Section, Span};

    fn texts(passages: &[Passage]) -> Vec<&str> {
        candidates(passages, lines).iter().filter_map(|candidate| candidate.text(passages)).collect()
    }

    #[test]
    fn sentences_come_without_marks_and_space() {
        let passages = [passage("a", "  Takes lisinopril every day.  \n- Penicillin\n• -2.5 D sphere left")];
        assert_eq!(texts(&passages), ["Takes lisinopril every day.", "Penicillin", "-2.5 D sphere left"]);
    }

    #[test]
    fn what_states_nothing_is_left_out() {
        let text = "# Plan\nMEDICATIONS:\nHistory of Present Illness\nDoes she smoke at all?\n----\n12 / 80\nOk then\nSmoking: never";
        let mut one = passage("a", text);
        one.document.document.sections =
            vec![Section { title: "History of present illness".to_owned(), span: Span::new(0, 3) }];
        assert_eq!(texts(&[one]), ["Smoking: never"]);
    }

    #[test]
    fn a_document_entered_in_error_is_never_quoted() {
        let mut one = passage("a", "Takes lisinopril every day.");
        one.document.document.status = DocumentStatus::EnteredInError;
        assert!(texts(&[one]).is_empty());
    }

    #[test]
    fn overlapping_chunks_give_each_place_once() {
        let one = passage("a", "First sentence stands here.\nSecond sentence stands here.");
        assert_eq!(texts(&[one.clone(), one]).len(), 2);
    }

    #[test]
    fn a_sentence_that_a_chunk_cuts_is_quoted_whole() {
        let text = "She does not take warfarin any more.\nSecond sentence stands here.";
        let cut = passage_of("a", text, Span::new(13, 36));
        assert_eq!(texts(std::slice::from_ref(&cut)), ["She does not take warfarin any more."]);
    }

    #[test]
    fn only_the_chunk_is_read() {
        let text = "First sentence stands here.\nSecond sentence stands here.";
        let second = passage_of("a", text, Span::new(28, text.len()));
        assert_eq!(texts(std::slice::from_ref(&second)), ["Second sentence stands here."]);
        let all = |text: &str, _: Span| lines(text, Span::new(0, text.len()));
        assert_eq!(candidates(&[second], all).len(), 1);
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let text: String = (0..MAX_CANDIDATES * 2).map(|n| format!("Weight on day {n} was fine.\n")).collect();
        assert_eq!(candidates(&[passage("a", &text)], lines).len(), MAX_CANDIDATES);
    }

    proptest! {
        #[test]
        fn any_text_gives_spans_that_touch_its_chunk(text in "(\\PC|\n){0,80}", spans in prop::collection::vec((0usize..200, 0usize..200), 0..8), end in 0usize..300) {
            let one = passage_of("a", &text, Span::new(0, end));
            let given = |_: &str, _: Span| spans.iter().map(|(start, end)| Span::new(*start, *end)).collect();
            let passages = [one];
            for Candidate { span, .. } in candidates(&passages, given) {
                prop_assert!(span.start < end && span.of(&text).is_some_and(|text| text.trim() == text && !text.is_empty()));
            }
        }
    }
}
