//! Cuts a document's text into chunks: runs of whole sentences within one section, as full as the
//! model's token budget allows.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use super::sentences::{Splitter, trimmed};
use crate::domain::{Chunk, Section, Span};

/// Changes whenever the same text would be cut differently.
pub const REVISION: &str = "3";

/// Chunks in order, trimmed; every character that isn't white space lies in exactly one.
///
/// No chunk holds more than `budget` tokens, save one single grapheme that counts for more. A
/// sentence over the budget is cut between words, a word over it within. Text outside
/// every section is chunked as section `None`; a section that overlaps an earlier one or doesn't
/// lie within the text counts as no section.
pub fn chunk(text: &str, sections: &[Section], budget: usize, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
    let splitter = Splitter::new(text);
    let measure = Measure { text, budget, count_tokens };
    let mut chunks = Vec::new();
    for (title, span) in regions(text, sections) {
        let mut packer = Packer { measure: &measure, section: title, run: VecDeque::new(), tokens: 0 };
        for sentence in splitter.within(span) {
            packer.add_sentence(sentence, &mut chunks);
        }
        packer.finish(&mut chunks);
    }
    chunks
}

/// Sentences of one window.
const WINDOW: usize = 3;

/// The windows of a chunk, each embedded by itself: what a long passage says in passing is found by them.
///
/// They lie side by side, three sentences each; a last one of a single sentence goes with the one before. A chunk
/// that would be one window has none, it is one.
pub fn windows(splitter: &Splitter<'_>, chunk: Span) -> Vec<Span> {
    let sentences = splitter.within(chunk);
    let mut windows: Vec<Span> = sentences
        .chunks(WINDOW)
        .filter_map(|window| Some((window.first()?, window.last()?, window.len())))
        .fold(Vec::new(), |mut windows, (first, last, length)| {
            match windows.last_mut() {
                Some(before) if length == 1 => before.end = last.end,
                _ => windows.push(Span::new(first.start, last.end)),
            }
            windows
        });
    if windows.len() == 1 {
        windows.clear();
    }
    windows
}

/// Sections and the stretches between them, in order.
fn regions<'a>(text: &str, sections: &'a [Section]) -> Vec<(Option<&'a str>, Span)> {
    let mut regions = Vec::new();
    let mut from = 0;
    for section in sections {
        if section.span.start < from || section.span.of(text).is_none() {
            continue;
        }
        regions.push((None, Span::new(from, section.span.start)));
        regions.push((Some(section.title.as_str()), section.span));
        from = section.span.end;
    }
    regions.push((None, Span::new(from, text.len())));
    with_bare_headings_joined(text, regions)
}

/// A heading with nothing under it, as a note's title has, goes with what follows: alone it would match
/// questions about its subject and answer none.
fn with_bare_headings_joined<'a>(text: &str, regions: Vec<(Option<&'a str>, Span)>) -> Vec<(Option<&'a str>, Span)> {
    let mut joined = Vec::with_capacity(regions.len());
    let mut heading: Option<(Option<&'a str>, Span)> = None;
    for (title, span) in regions {
        let content = span.of(text).unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let start = heading.take().map_or(span.start, |(_, span): (_, Span)| span.start);
        let region = (title, Span::new(start, span.end));
        if title.is_some_and(|title| is_bare_heading(content, title)) {
            heading = Some(region);
        } else {
            joined.push(region);
        }
    }
    joined.extend(heading);
    joined
}

fn is_bare_heading(content: &str, title: &str) -> bool {
    let words = content.trim_matches(|c: char| c == '#' || c == ':' || c.is_whitespace());
    words.eq_ignore_ascii_case(title.trim())
}

/// A stretch of text that is kept whole, with its own token count.
#[derive(Clone, Copy)]
struct Unit {
    span: Span,
    tokens: usize,
}

struct Measure<'a> {
    text: &'a str,
    budget: usize,
    count_tokens: &'a dyn Fn(&str) -> usize,
}

impl Measure<'_> {
    fn unit(&self, span: Span) -> Unit {
        Unit { span, tokens: (self.count_tokens)(span.of(self.text).unwrap_or_default()) }
    }

    /// The parts of a sentence that is over the budget: words, and of a word over it still smaller ones.
    fn parts(&self, sentence: Span) -> Vec<Unit> {
        let words = self.pieces(sentence, |text| text.split_inclusive(char::is_whitespace));
        words.into_iter().flat_map(|word| self.word_parts(word)).collect()
    }

    fn word_parts(&self, word: Span) -> Vec<Unit> {
        let whole = self.unit(word);
        if whole.tokens <= self.budget {
            return vec![whole];
        }
        let characters = |piece: Unit| {
            if piece.tokens <= self.budget {
                return vec![piece];
            }
            let spans = self.pieces(piece.span, |text| text.graphemes(true));
            spans.into_iter().map(|span| self.unit(span)).collect()
        };
        let pieces = self.pieces(word, |text| text.split_word_bounds());
        pieces.into_iter().map(|span| self.unit(span)).flat_map(characters).collect()
    }

    /// What `cut` makes of a span, without white space.
    fn pieces<'t, I: Iterator<Item = &'t str>>(&'t self, span: Span, cut: impl Fn(&'t str) -> I) -> Vec<Span> {
        let mut from = span.start;
        let mut pieces = Vec::new();
        for piece in cut(span.of(self.text).unwrap_or_default()) {
            pieces.extend(trimmed(self.text, Span::new(from, from + piece.len())));
            from += piece.len();
        }
        pieces
    }
}

/// Gathers units of one section until the next one would go over the budget.
struct Packer<'a> {
    measure: &'a Measure<'a>,
    section: Option<&'a str>,
    run: VecDeque<Unit>,
    tokens: usize,
}

impl Packer<'_> {
    fn add_sentence(&mut self, sentence: Span, chunks: &mut Vec<Chunk>) {
        let unit = self.measure.unit(sentence);
        if unit.tokens <= self.measure.budget {
            self.add(unit, chunks);
            return;
        }
        self.finish(chunks);
        for part in self.measure.parts(sentence) {
            self.add(part, chunks);
        }
    }

    fn add(&mut self, unit: Unit, chunks: &mut Vec<Chunk>) {
        while !self.run.is_empty() && self.tokens + unit.tokens > self.measure.budget {
            self.close_one(chunks);
        }
        self.tokens += unit.tokens;
        self.run.push_back(unit);
    }

    fn finish(&mut self, chunks: &mut Vec<Chunk>) {
        while !self.run.is_empty() {
            self.close_one(chunks);
        }
    }

    /// Makes a chunk of as many of the first units as truly fit.
    ///
    /// A tokenizer needn't count a whole as the sum of its parts, so the whole is counted once more,
    /// and units that don't fit after all stay in the run.
    fn close_one(&mut self, chunks: &mut Vec<Chunk>) {
        let Some(first) = self.run.front().copied() else { return };
        let mut length = self.run.len();
        let mut chosen = first;
        while length > 1 {
            let last = self.run.get(length - 1).map_or(first.span, |unit| unit.span);
            let whole = self.measure.unit(Span::new(first.span.start, last.end));
            if whole.tokens <= self.measure.budget {
                chosen = whole;
                break;
            }
            length -= 1;
        }
        self.run.drain(..length);
        self.tokens = self.run.iter().map(|unit| unit.tokens).sum();
        chunks.push(Chunk {
            ordinal: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
            section: self.section.map(str::to_owned),
            span: chosen.span,
            tokens: u32::try_from(chosen.tokens).unwrap_or(u32::MAX),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn count_words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    /// Counts a whole for more than its parts, as some tokenizers do.
    fn count_with_joints(text: &str) -> usize {
        text.split_whitespace().count() * 3 / 2
    }

    fn section(title: &str, start: usize, end: usize) -> Section {
        Section { title: title.to_owned(), span: Span::new(start, end) }
    }

    fn texts<'a>(text: &'a str, chunks: &[Chunk]) -> Vec<&'a str> {
        chunks.iter().filter_map(|chunk| chunk.span.of(text)).collect()
    }

    #[test]
    fn a_long_chunk_has_windows_of_three_sentences() {
        let of = |text: &str| -> Vec<String> {
            let found = windows(&Splitter::new(text), Span::new(0, text.len()));
            found.into_iter().filter_map(|span| span.of(text)).map(str::to_owned).collect()
        };
        assert_eq!(
            of("One is. Two is. Three is. Four is. Five is."),
            ["One is. Two is. Three is.", "Four is. Five is."]
        );
        assert_eq!(of("One is. Two is. Three is. Four is."), [""; 0]);
        let seven = of("One is. Two is. Three is. Four is. Five is. Six is. Seven is.");
        assert_eq!(seven, ["One is. Two is. Three is.", "Four is. Five is. Six is. Seven is."]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn chunks_are_filled_with_whole_sentences() {
        let text = "One two three. Four five.\nSix seven eight nine. Ten.";
        let chunks = chunk(text, &[], 5, &count_words);
        assert_eq!(texts(text, &chunks), ["One two three. Four five.", "Six seven eight nine. Ten."]);
        assert_eq!(chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(chunks.iter().map(|chunk| chunk.ordinal).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_heading_with_nothing_under_it_goes_with_what_follows() {
        let text = "# Visit\n\n## Findings\nLungs clear.";
        let sections = [section("Visit", 0, 9), section("Findings", 9, text.len())];
        let chunks = chunk(text, &sections, 50, &count_words);
        assert_eq!(texts(text, &chunks), [text]);
        assert_eq!(chunks[0].section.as_deref(), Some("Findings"));
    }

    #[test]
    fn no_chunk_crosses_a_section() {
        let text = "Before.\nPLAN:\nRest.\nNOTES:\nNone.\nAfter.";
        let chunks = chunk(text, &[section("PLAN", 8, 19), section("NOTES", 20, 32)], 100, &count_words);
        assert_eq!(texts(text, &chunks), ["Before.", "PLAN:\nRest.", "NOTES:\nNone.", "After."]);
        let titles: Vec<_> = chunks.iter().map(|chunk| chunk.section.as_deref()).collect();
        assert_eq!(titles, [None, Some("PLAN"), Some("NOTES"), None]);
    }

    #[test]
    fn a_sentence_over_the_budget_is_cut_between_words() {
        let text = "Short. One two three four five six. End here.";
        assert_eq!(
            texts(text, &chunk(text, &[], 4, &count_words)),
            ["Short.", "One two three four", "five six. End here."]
        );
    }

    #[test]
    fn a_word_over_the_budget_is_cut_within() {
        let text = "ab-cdefg";
        assert_eq!(texts(text, &chunk(text, &[], 3, &|text| text.chars().count())), ["ab-", "cde", "fg"]);
    }

    #[test]
    fn blank_text_has_no_chunks() {
        assert_eq!(chunk(" \n\t", &[section("A", 0, 2)], 5, &count_words), []);
    }

    #[test]
    fn sections_that_overlap_or_lie_off_the_text_are_passed_over() {
        let text = "One. Two. Three.";
        let sections = [section("A", 0, 9), section("B", 5, 16), section("C", 12, 99)];
        let chunks = chunk(text, &sections, 9, &count_words);
        let titles: Vec<_> = chunks.iter().map(|chunk| chunk.section.as_deref()).collect();
        assert_eq!((texts(text, &chunks), titles), (vec!["One. Two.", "Three."], vec![Some("A"), None]));
    }

    #[test]
    fn counting_stays_linear() {
        let text = "Some words stand here for length. ".repeat(500);
        let counted = Cell::new(0);
        let count = |part: &str| {
            counted.set(counted.get() + part.len());
            count_words(part)
        };
        chunk(&text, &[], 100, &count);
        assert!(counted.get() <= 3 * text.len(), "{} bytes counted for {}", counted.get(), text.len());
    }

    fn clinical_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("word "),
            Just("The end. "),
            Just("\n"),
            Just("\n\n"),
            Just("PLAN:\n"),
            Just("é"),
            Just("- item\n"),
            Just("averyveryverylongword"),
            Just("\u{a0}"),
            Just("🩺 "),
            Just("1. "),
            Just("6.8, "),
        ];
        prop_oneof![prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat()), "(?s).{0,120}"]
    }

    /// Sections in order, from arbitrary cuts of the text; none is its title alone, which would go with what follows.
    fn sections_at(text: &str, mut cuts: Vec<usize>) -> Vec<Section> {
        cuts.iter_mut().for_each(|cut| {
            *cut = (0..=*cut % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
        });
        cuts.sort_unstable();
        cuts.chunks_exact(2).map(|pair| section("a title beyond the text", pair[0], pair[1])).collect()
    }

    proptest! {
        #[test]
        fn every_visible_character_lies_in_exactly_one_chunk_of_its_section(
            text in clinical_text(),
            cuts in prop::collection::vec(any::<usize>(), 0..7),
            budget in 1usize..12,
            joints in any::<bool>(),
        ) {
            let sections = sections_at(&text, cuts);
            let count = if joints { count_with_joints } else { count_words };
            let mut from = 0;
            for (position, chunk) in chunk(&text, &sections, budget, &count).iter().enumerate() {
                let inside = chunk.span.of(&text).expect("on char boundaries");
                prop_assert!(chunk.span.start >= from && text[from..chunk.span.start].trim().is_empty());
                prop_assert!(!inside.is_empty() && inside.trim() == inside);
                prop_assert_eq!(chunk.ordinal as usize, position);
                prop_assert_eq!(chunk.tokens as usize, count(inside));
                prop_assert!(chunk.tokens as usize <= budget);
                let holds = |section: &Section| section.span.start <= chunk.span.start && chunk.span.end <= section.span.end;
                let apart = |section: &Section| section.span.end <= chunk.span.start || chunk.span.end <= section.span.start;
                match chunk.section {
                    Some(_) => prop_assert!(sections.iter().any(holds)),
                    None => prop_assert!(sections.iter().all(|section| section.span.is_empty() || apart(section))),
                }
                from = chunk.span.end;
            }
            prop_assert!(text[from..].trim().is_empty());
        }

        #[test]
        fn the_character_counter_is_kept_within_too(text in clinical_text(), budget in 1usize..9) {
            for chunk in chunk(&text, &[], budget, &|part| part.graphemes(true).count()) {
                prop_assert!(chunk.tokens as usize <= budget);
            }
        }
    }
}
