//! Where a passage says what a query asks for.

use std::collections::BTreeMap;

use tantivy::tokenizer::{TextAnalyzer, TokenStream};

use super::analyzer;
use super::question::Question;
use super::vocabulary::Phrase;
use crate::domain::Span;

/// What one query marks in the passages found for it.
pub struct Highlighter {
    question: Question,
    analyzer: TextAnalyzer,
}

impl Highlighter {
    /// `expand`: whether what says the same as a word of the query is marked too.
    pub fn new(query: &str, expand: bool) -> Self {
        Self { question: Question::read(query, expand), analyzer: analyzer::analyzer() }
    }

    /// Byte ranges of `text` within `passage`, in order and apart, that hold a word of the query.
    pub fn spans(&mut self, text: &str, passage: Span) -> Vec<Span> {
        let Some(inside) = passage.of(text) else { return Vec::new() };
        let mut tokens = BTreeMap::<u32, Vec<(String, Span)>>::new();
        let mut stream = self.analyzer.token_stream(inside);
        stream.process(&mut |token| {
            let span = Span::new(passage.start + token.offset_from, passage.start + token.offset_to);
            tokens.entry(token.position as u32).or_default().push((token.text.clone(), span));
        });
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

fn stands_at(way: &Phrase, at: u32, tokens: &BTreeMap<u32, Vec<(String, Span)>>) -> Option<Span> {
    way.terms.iter().try_fold(None, |span: Option<Span>, (term, offset)| {
        let (_, place) = tokens.get(&(at + offset))?.iter().find(|(text, _)| text == term)?;
        Some(Some(span.map_or(*place, |span| Span::new(span.start, place.end))))
    })?
}

#[cfg(test)]
mod tests {
    use super::Highlighter;
    use crate::domain::Span;

    fn marked(query: &str, text: &str) -> Vec<String> {
        let found = Highlighter::new(query, true).spans(text, Span::new(0, text.len()));
        found.into_iter().filter_map(|span| span.of(text)).map(str::to_owned).collect()
    }

    #[test]
    fn words_of_the_query_are_marked_in_any_of_their_forms() {
        assert_eq!(marked("which infection?", "Two infections, no fever."), ["infections"]);
        assert_eq!(marked("is she on 10 mg?", "Lisinopril 10mg daily"), ["10mg"]);
        assert_eq!(marked("warfarin", "Nothing."), [""; 0]);
    }

    #[test]
    fn what_says_the_same_is_marked_whole() {
        assert_eq!(marked("heart attack", "After his myocardial infarction he rested."), ["myocardial infarction"]);
    }

    #[test]
    fn only_the_passage_is_looked_at() {
        let text = "cough, cough, cough";
        let mut highlighter = Highlighter::new("cough", true);
        assert_eq!(highlighter.spans(text, Span::new(7, 12)), [Span::new(7, 12)]);
        assert!(highlighter.spans(text, Span::new(90, 99)).is_empty());
    }
}
