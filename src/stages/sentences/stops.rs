//! Tells the stops that end a sentence from those in abbreviations, numbers, initials and list marks.

use super::trimmed;
use crate::domain::Span;

const CLOSERS: &[char] = &['"', '\'', ')', ']', '}', '”', '’', '»'];
const OPENERS: &[char] = &['"', '\'', '(', '[', '{', '“', '‘', '«'];
/// Stops of scripts that put no space after them.
const WIDE_STOPS: &[char] = &['。', '！', '？'];
/// Words longer than this are no abbreviation; looking no further keeps the work linear.
const LONGEST_WORD: usize = 40;

/// Stand before a name or a word that belongs to them, so they never end a sentence.
const TITLES: &[&str] = &[
    "approx", "ca", "cf", "dr", "drs", "e.g", "eg", "esp", "fig", "figs", "i.e", "ie", "incl", "messrs", "mr", "mrs",
    "ms", "prof", "rev", "st", "viz", "vs",
];

/// Stand before a number or a day; without one they are words like any other.
const BEFORE_NUMBERS: &[&str] = &[
    "ch", "eq", "exp", "gr", "lot", "max", "min", "no", "nos", "p", "pp", "ref", "resp", "sec", "tab", "temp", "vol",
    "wt", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "oct", "nov", "dec", "v",
];

/// Routes and degrees: what follows mostly belongs to them, unless it opens a sentence.
const BEFORE_NAMES: &[&str] =
    &["d.o", "i.m", "i.v", "im", "iv", "m.d", "ph.d", "p.o", "p.r", "r.n", "s.c", "s.l", "s.q", "u.s", "u.k"];

const SENTENCE_OPENERS: &[&str] = &[
    "A", "After", "All", "An", "And", "As", "At", "But", "Denies", "He", "Her", "His", "I", "If", "In", "It", "No",
    "On", "Patient", "Pt", "She", "The", "Then", "There", "These", "They", "This", "Was", "We", "Will", "With",
];

/// Words whose letter is a kind, not somebody's initial: `hepatitis B.`
const LETTERED: &[&str] = &[
    "class",
    "factor",
    "figure",
    "grade",
    "group",
    "hemoglobin",
    "hepatitis",
    "immunoglobulin",
    "influenza",
    "part",
    "phase",
    "plan",
    "protein",
    "stage",
    "troponin",
    "type",
    "vitamin",
];

/// Adds the sentences of one passage.
pub(super) fn split(text: &str, passage: Span, found: &mut Vec<Span>) {
    let Some(inner) = passage.of(text) else { return };
    let mut start = 0;
    let mut marks = inner.char_indices().filter(|(_, c)| is_stop(*c)).peekable();
    while let Some((at, mark)) = marks.next() {
        let after_mark = at + mark.len_utf8();
        if marks.peek().is_some_and(|(next, _)| *next == after_mark) {
            continue;
        }
        let (before, rest) = (part(inner, start, at), part(inner, after_mark, inner.len()));
        let after = rest.trim_start_matches(CLOSERS);
        if ends_sentence(before, mark, after, rest.len() > after.len()) {
            let end = inner.len() - after.len();
            found.extend(trimmed(text, Span::new(passage.start + start, passage.start + end)));
            start = end;
        }
    }
    found.extend(trimmed(text, Span::new(passage.start + start, passage.end)));
}

fn part(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

pub(super) fn ends_with_stop(line: &str) -> bool {
    line.trim_end_matches(CLOSERS).ends_with(is_stop)
}

/// Whether the line ends in `Dr.`, `e.g.`, `vs.`
pub(super) fn ends_with_title(line: &str) -> bool {
    line.strip_suffix('.').is_some_and(|line| TITLES.contains(&last_word(line).to_lowercase().as_str()))
}

/// Whether the line ends in `No.`, `i.v.`, `b.i.d.`, `J.`
pub(super) fn ends_with_abbreviation(line: &str) -> bool {
    let Some(line) = line.strip_suffix('.') else { return false };
    let word = last_word(line).to_lowercase();
    word.contains('.') || word.chars().count() == 1 || BEFORE_NUMBERS.contains(&word.as_str())
}

/// `1.`, `12)`, `(3)`, `a)`.
pub(super) fn is_entry_mark(word: &str) -> bool {
    let (inner, dotted) = match (word.strip_suffix('.'), word.strip_suffix(')')) {
        (Some(inner), _) => (inner, true),
        (_, Some(inner)) => (inner.strip_prefix('(').unwrap_or(inner), false),
        _ => return false,
    };
    let number = (1..=3).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_digit());
    number || (!dotted && inner.len() == 1 && inner.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?') || WIDE_STOPS.contains(&c)
}

/// `before` reaches back to the sentence's start; `after` begins behind the closing quotes and brackets.
fn ends_sentence(before: &str, mark: char, after: &str, closed: bool) -> bool {
    if WIDE_STOPS.contains(&mark) {
        return true;
    }
    if !after.starts_with(char::is_whitespace) {
        return mark == '.' && !closed && is_run_on(before, after);
    }
    let next = after.trim_start().trim_start_matches(OPENERS);
    if next.starts_with([',', ';', ':', ')'])
        || (next.starts_with(char::is_lowercase) && !is_symbol_after_word(before, next))
    {
        return false;
    }
    match mark {
        '.' => !belongs_to_word(before, next),
        '?' => before.ends_with(|c: char| !c.is_whitespace()),
        _ => true,
    }
}

/// `was raised. p53 is`: the name of a gene or a unit begins the next sentence in small letters.
fn is_symbol_after_word(before: &str, next: &str) -> bool {
    let first = next.split_whitespace().next().unwrap_or_default();
    let word = last_word(before);
    let is_plain = word.len() >= 4 && word.chars().all(char::is_lowercase);
    is_plain && first.contains(|c: char| c.is_uppercase() || c.is_ascii_digit())
}

/// `clear.Heart`: somebody left out the space. Not `clinic.Example` in an address.
fn is_run_on(before: &str, after: &str) -> bool {
    let mut following = after.chars();
    let opens = following.next().is_some_and(char::is_uppercase) && following.next().is_some_and(char::is_lowercase);
    let small_letters = before.chars().rev().take_while(|c| c.is_lowercase()).take(3).count();
    opens && small_letters == 3 && last_word(before).chars().all(char::is_alphanumeric)
}

/// Whether the full stop belongs to the word before it rather than to the sentence.
fn belongs_to_word(before: &str, next: &str) -> bool {
    let word = last_word(before);
    if word.is_empty() {
        return true;
    }
    let next_word = next.split_whitespace().next().unwrap_or_default();
    let earlier = before.strip_suffix(word).unwrap_or_default();
    if earlier.trim().is_empty() && word.len() <= 3 && (word.chars().all(|c| c.is_ascii_digit()) || word.len() == 1) {
        return true;
    }
    let lower = word.to_lowercase();
    let digit_follows = next.starts_with(|c: char| c.is_ascii_digit() || c == '#');
    if TITLES.contains(&lower.as_str()) || (digit_follows && BEFORE_NUMBERS.contains(&lower.as_str())) {
        return true;
    }
    if is_entry_mark(next_word) {
        return false;
    }
    if digit_follows {
        return matches!(lower.as_str(), "0" | "al") || (lower.contains('.') && !is_number(&lower));
    }
    if BEFORE_NAMES.contains(&lower.as_str()) {
        return !SENTENCE_OPENERS.contains(&next_word);
    }
    is_initial(word, earlier)
}

/// `J.` in `J. Orr`, but not `B.` in `hepatitis B.`
fn is_initial(word: &str, before: &str) -> bool {
    let mut letters = word.chars();
    let single = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    single && !LETTERED.contains(&last_word(before.trim_end()).to_lowercase().as_str())
}

fn is_number(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// The last word of `text`, from its last white space, bracket, quote or slash; empty after white space.
fn last_word(text: &str) -> &str {
    let length: usize = text
        .chars()
        .rev()
        .take_while(|c| !c.is_whitespace() && !OPENERS.contains(c) && *c != '/')
        .take(LONGEST_WORD)
        .map(char::len_utf8)
        .sum();
    part(text, text.len() - length, text.len())
}
