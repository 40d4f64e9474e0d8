//! Where a passage says what a query asks for.

use std::collections::BTreeMap;

use super::analyzer::TermOfWord;
use super::question::Question;
use super::vocabulary::Phrase;
use super::words::{begins_as_written, is_month, words_where};
use crate::domain::Span;

/// What one query marks in the passages found for it.
pub struct Highlighter {
    question: Question,
    /// What the terms of the query begin with, sorted: a word that begins otherwise need not be looked at.
    beginnings: Vec<Beginning>,
    terms: TermOfWord,
}

impl Highlighter {
    pub fn new(question: Question) -> Self {
        let ways = question.concepts.iter().flat_map(|concept| &concept.ways);
        let terms = ways.flat_map(|(way, _)| &way.terms);
        let mut beginnings: Vec<Beginning> = terms.filter_map(|(term, _)| beginning(term)).collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        Self { question, beginnings, terms: TermOfWord::new() }
    }

    /// Whether the word may be a form of one that is asked for. One with marks on its first letters always may: as a
    /// term it is without them.
    fn may_begin(&self, word: &str) -> bool {
        beginning(word).is_none_or(|beginning| self.beginnings.binary_search(&beginning).is_ok())
    }

    /// The same of a run of letters and digits as it is written.
    fn may_become_one(&self, run: &str) -> bool {
        let asks_for_numbers = || self.beginnings.first().is_some_and(|(first, _)| first.is_ascii_digit());
        !begins_as_written(run) || self.may_begin(run) || (asks_for_numbers() && is_month(run))
    }

    /// Byte ranges of `text` within `passage`, in order and apart, that hold a word of the query.
    pub fn spans(&mut self, text: &str, passage: Span) -> Vec<Span> {
        let Some(inside) = passage.of(text) else { return Vec::new() };
        let mut tokens = BTreeMap::<u32, Vec<(String, Span)>>::new();
        for word in words_where(inside, |run| self.may_become_one(run)) {
            if self.may_begin(&word.text)
                && let Some(term) = self.terms.get(&word.text)
            {
                let span = Span::new(passage.start + word.from, passage.start + word.to);
                tokens.entry(word.position).or_default().push((term.to_owned(), span));
            }
        }
        let ways = self.question.concepts.iter().flat_map(|concept| &concept.ways);
        let mut found: Vec<Span> =
            ways.flat_map(|(way, _)| tokens.keys().filter_map(|at| stands_at(way, *at, &tokens))).collect();
        found.sort_by_key(|span| (span.start, span.end));
        found.dedup_by(|next, kept| {
            let touches = next.start <= kept.end;
            if touches {
                kept.end = kept.end.max(next.end);
            }
            touches
        });
        found
    }
}

type Beginning = (u8, Option<u8>);

/// Two letters, as stemming keeps them: it may turn a y behind the first into an i. `None` where there are others than
/// those without marks.
fn beginning(word: &str) -> Option<Beginning> {
    let plain = |letter: u8| if letter.eq_ignore_ascii_case(&b'y') { b'i' } else { letter.to_ascii_lowercase() };
    let mut letters = word.bytes().map(plain);
    let (first, second) = (letters.next()?, letters.next());
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric();
    (is_plain(first) && second.is_none_or(is_plain)).then_some((first, second))
}

fn stands_at(way: &Phrase, at: u32, tokens: &BTreeMap<u32, Vec<(String, Span)>>) -> Option<Span> {
    way.terms.iter().try_fold(None, |span: Option<Span>, (term, offset)| {
        let (_, place) = tokens.get(&(at + offset))?.iter().find(|(text, _)| text == term)?;
        Some(Some(span.map_or(*place, |span| Span::new(span.start, place.end))))
    })?
}

#[cfg(test)]
mod tests {
    use super::{Highlighter, Question};
    use crate::domain::Span;

    fn marked(query: &str, text: &str) -> Vec<String> {
        let found = Highlighter::new(Question::read(query, true)).spans(text, Span::new(0, text.len()));
        found.into_iter().filter_map(|span| span.of(text)).map(str::to_owned).collect()
    }

    #[test]
    fn words_of_the_query_are_marked_in_any_of_their_forms() {
        assert_eq!(marked("which infection?", "Two infections, no fever."), ["infections"]);
        assert_eq!(marked("is she on 10 mg?", "Lisinopril 10mg daily"), ["10mg"]);
        assert_eq!(marked("warfarin", "Nothing."), [""; 0]);
    }

    #[test]
    fn a_word_is_marked_though_stemming_or_a_mark_changes_its_beginning() {
        assert_eq!(marked("is he dying", "He dies; a dye was given"), ["dies"]);
        assert_eq!(marked("Meniere", "Ménière's disease"), ["Ménière"]);
        assert_eq!(marked("sky", "The skies"), ["skies"]);
    }

    #[test]
    fn a_date_is_marked_however_it_is_written() {
        assert_eq!(marked("seen 2025-07-08", "Again on July 8, 2025."), ["July", "2025"]);
        assert_eq!(marked("oesophagus", "The esophagus, the oesophagus"), ["esophagus", "oesophagus"]);
    }

    #[test]
    fn what_says_the_same_is_marked_whole() {
        assert_eq!(marked("heart attack", "After his myocardial infarction he rested."), ["myocardial infarction"]);
    }

    #[test]
    fn only_the_passage_is_looked_at() {
        let text = "cough, cough, cough";
        let mut highlighter = Highlighter::new(Question::read("cough", true));
        assert_eq!(highlighter.spans(text, Span::new(7, 12)), [Span::new(7, 12)]);
        assert!(highlighter.spans(text, Span::new(90, 99)).is_empty());
    }
}
