//! Puts physical lines together that read on: each passage is a list entry, a heading, a result
//! line, or a paragraph of hand-wrapped prose.

use super::stops;
use super::trimmed;
use crate::domain::Span;

/// Lines below this are too short to have been wrapped; they end by themselves.
const SHORT: usize = 40;
/// Widths at which people and programs wrap prose.
const WRAP_WIDTHS: std::ops::RangeInclusive<usize> = 50..=130;
/// So many lines must look wrapped before a text counts as wrapped.
const WRAP_EVIDENCE: usize = 2;

/// Words that a sentence doesn't stop at.
const OPEN_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "been", "between", "but", "by", "for", "from", "had", "has", "have",
    "her", "his", "in", "into", "is", "its", "not", "of", "on", "or", "our", "over", "per", "than", "that", "the",
    "their", "this", "to", "under", "was", "were", "which", "who", "with", "without",
];

/// Words that seldom begin a line of their own in lower case.
const CONTINUING_WORDS: &[&str] = &[
    "and", "are", "as", "at", "but", "by", "for", "from", "had", "has", "have", "in", "is", "of", "on", "or", "that",
    "the", "to", "was", "were", "which", "who", "with",
];

/// The width at which the text's prose was wrapped, in characters, if it was.
///
/// A line that stops in mid-sentence before a small letter shows it; the longest of them is the width.
pub(super) fn wrap_width(text: &str) -> Option<usize> {
    let mut widths = Vec::new();
    let mut previous: Option<&str> = None;
    for line in text.split('\n') {
        if let Some(before) = previous
            && begins_small(line)
            && !stops::ends_with_stop(before.trim_end())
        {
            widths.push(before.trim_end().chars().count());
        }
        previous = Some(line);
    }
    widths.retain(|width| WRAP_WIDTHS.contains(width));
    if widths.len() < WRAP_EVIDENCE { None } else { widths.into_iter().max() }
}

/// The passages within a span, trimmed and in order.
pub(super) fn passages(text: &str, within: Span, wrap: Option<usize>) -> Vec<Span> {
    let Some(part) = within.of(text) else { return Vec::new() };
    let mut passages = Vec::new();
    let mut open: Option<(Span, &str)> = None;
    let mut start = within.start;
    for line in part.split('\n') {
        let span = Span::new(start, start + line.len());
        start = span.end + 1;
        open = match open {
            Some((passage, last)) if reads_on(last, line, wrap) => Some((Span::new(passage.start, span.end), line)),
            Some((passage, _)) => {
                passages.push(passage);
                Some((span, line))
            }
            None => Some((span, line)),
        };
    }
    passages.extend(open.map(|(passage, _)| passage));
    passages.into_iter().filter_map(|passage| trimmed(text, passage)).collect()
}

/// Whether the sentence at the end of `line` may go on in `next`.
fn reads_on(line: &str, next: &str, wrap: Option<usize>) -> bool {
    let (line, next) = (line.trim_end(), next.trim());
    if line.trim_start().is_empty() || next.is_empty() || begins_entry(next) || is_heading(line) || is_heading(next) {
        return false;
    }
    let full = is_full(line, next, wrap);
    if stops::ends_with_stop(line) {
        return stops::ends_with_title(line) || (stops::ends_with_abbreviation(line) && (full || begins_small(next)));
    }
    if full || is_open(line) {
        return true;
    }
    if !begins_small(next) || begins_with_label(next) {
        return false;
    }
    CONTINUING_WORDS.contains(&first_word(next)) || line.chars().count() >= SHORT
}

/// Whether the next line's first word would have gone over the wrap width.
fn is_full(line: &str, next: &str, wrap: Option<usize>) -> bool {
    let Some(wrap) = wrap else { return false };
    let length = line.chars().count();
    length <= wrap && length + 1 + first_word(next).chars().count() > wrap
}

/// Whether the line stops where no sentence does: at a comma, a hyphen, a word like `with`.
fn is_open(line: &str) -> bool {
    let last = line.split_whitespace().next_back().unwrap_or_default();
    let broken_word = last.strip_suffix('-').is_some_and(|rest| rest.ends_with(char::is_alphabetic));
    last.ends_with([',', '(', '[']) || broken_word || OPEN_WORDS.contains(&last)
}

/// `# Plan`, `MEDICATIONS`, `The following were given:`.
fn is_heading(line: &str) -> bool {
    let line = line.trim();
    let letters = || line.chars().filter(|c| c.is_alphabetic());
    let capitals = letters().count() >= 4 && letters().all(char::is_uppercase) && line.len() <= 60;
    line.starts_with('#') || line.ends_with(':') || (capitals && !stops::ends_with_stop(line))
}

/// `- `, `* `, `1. `, `2) `, `(3) `, `a) `.
fn begins_entry(line: &str) -> bool {
    let mark = first_word(line);
    matches!(mark, "-" | "*" | "+" | "•" | "·" | "–" | "—" | "o" | ">" | "|") || stops::is_entry_mark(mark)
}

/// `status: final`: a field's name, a colon and a value.
fn begins_with_label(line: &str) -> bool {
    let Some((label, rest)) = line.split_once(':') else { return false };
    label.len() <= 40 && label.split_whitespace().count() <= 4 && rest.starts_with(char::is_whitespace)
}

fn begins_small(line: &str) -> bool {
    line.trim_start().starts_with(char::is_lowercase)
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}
