//! Characters at their places to lines: spaces from gaps, lines from what stands below, columns from wide gaps.

use std::collections::HashMap;

/// Shares of the letter size.
const SPACE: f64 = 0.17;
const COLUMN: f64 = 2.2;
const SAME_LINE: f64 = 0.35;
const RAISED: f64 = 0.6;
const PARAGRAPH: f64 = 1.9;

/// Where a character stands, seen along its own baseline, so that turned text reads like any other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The baseline's direction in degrees, rounded.
    pub angle: i16,
    pub along: f64,
    pub across: f64,
    pub width: f64,
    pub size: f64,
}

/// A page's lines in the order in which they were begun.
#[derive(Debug, Default)]
pub(super) struct PageText {
    lines: Vec<Line>,
    /// The line that is being written.
    current: usize,
    /// Lines by their height, to find those that go on.
    by_height: HashMap<(i16, i32), Vec<usize>>,
    written: usize,
}

#[derive(Debug)]
struct Line {
    text: String,
    last: Place,
    /// Whether a blank line stands before it.
    apart: bool,
}

impl PageText {
    pub fn put(&mut self, place: Place, text: &str) {
        let blank = text.chars().all(char::is_whitespace);
        let goes_on = self.lines.get(self.current).is_some_and(|line| line.goes_on(&place));
        if !goes_on {
            // A blank alone begins no line: what comes next says where it stands.
            if blank {
                return;
            }
            match self.broken_off(&place) {
                Some(line) => self.current = line,
                None => return self.begin(place, text),
            }
        }
        let Some(line) = self.lines.get_mut(self.current) else { return };
        if !goes_on && line.repeats(&place, text) {
            line.last = place;
            return;
        }
        self.written += text.len();
        line.put(place, text, blank);
    }

    fn begin(&mut self, place: Place, text: &str) {
        let apart = self.lines.get(self.current).is_some_and(|line| {
            let (size, drop) = (line.last.size.max(place.size), line.last.across - place.across);
            line.last.angle != place.angle || drop < -size || drop > PARAGRAPH * size
        });
        self.current = self.lines.len();
        self.by_height.entry((place.angle, height(place.across))).or_default().push(self.current);
        self.written += text.len();
        self.lines.push(Line { text: text.to_owned(), last: place, apart });
    }

    /// An earlier line that ends just where this begins: some printer drivers draw a page in upright strips.
    fn broken_off(&self, place: &Place) -> Option<usize> {
        let reach = (SAME_LINE * place.size).min(40.0);
        (height(place.across - reach)..=height(place.across + reach))
            .filter_map(|height| self.by_height.get(&(place.angle, height)))
            .flatten()
            .rev()
            .take(64)
            .copied()
            .find(|line| self.lines.get(*line).is_some_and(|line| line.touches(place)))
    }

    /// Adds a line of its own at the end.
    pub fn line(&mut self, line: &str) {
        let last = Place { angle: i16::MAX, along: 0.0, across: 0.0, width: 0.0, size: 0.0 };
        self.written += line.len();
        self.lines.push(Line { text: line.to_owned(), last, apart: false });
    }

    pub fn len(&self) -> usize {
        self.written
    }

    pub fn finish(self) -> String {
        without_hyphenation(&without_ligatures(&self.joined()))
    }

    fn joined(&self) -> String {
        let mut text = String::with_capacity(self.written + self.lines.len());
        for line in &self.lines {
            if !text.is_empty() {
                text.push_str(if line.apart { "\n\n" } else { "\n" });
            }
            text.push_str(line.text.trim_end());
        }
        text
    }
}

/// Letters that a font draws as one are still two to whoever searches for them.
fn without_ligatures(text: &str) -> String {
    if !text.contains(|c| matches!(c, '\u{fb00}'..='\u{fb06}' | '\u{f000}'..='\u{f0ff}')) {
        return text.to_owned();
    }
    let parts = text.chars().map(|c| match c {
        '\u{fb00}' => "ff".to_owned(),
        '\u{fb01}' => "fi".to_owned(),
        '\u{fb02}' => "fl".to_owned(),
        '\u{fb03}' => "ffi".to_owned(),
        '\u{fb04}' => "ffl".to_owned(),
        '\u{fb05}' | '\u{fb06}' => "st".to_owned(),
        // Symbol fonts keep their bullets there.
        '\u{f000}'..='\u{f0ff}' => "•".to_owned(),
        other => other.to_string(),
    });
    parts.collect()
}

/// Two units high.
fn height(across: f64) -> i32 {
    (across / 2.0).floor().clamp(-1e9, 1e9) as i32
}

impl Line {
    fn gap(&self, next: &Place) -> f64 {
        next.along - (self.last.along + self.last.width)
    }

    fn goes_on(&self, next: &Place) -> bool {
        let (gap, size) = (self.gap(next), self.last.size.max(next.size).max(0.1));
        let beside = gap > -0.3 * size && gap < size;
        let reach = if beside && self.last.size != next.size { RAISED } else { SAME_LINE };
        let level = (self.last.across - next.across).abs() <= reach * size;
        self.last.angle == next.angle && level && gap > -size.max(self.last.width)
    }

    fn touches(&self, next: &Place) -> bool {
        let (gap, size) = (self.gap(next), self.last.size.max(next.size).max(0.1));
        let level = (self.last.across - next.across).abs() <= SAME_LINE * size;
        level && gap > -size && gap < 0.6 * size
    }

    /// A strip's edge runs through a character, which is then drawn in both strips.
    fn repeats(&self, next: &Place, text: &str) -> bool {
        self.gap(next) < -0.2 * next.size && self.text.ends_with(text)
    }

    fn put(&mut self, place: Place, text: &str, blank: bool) {
        let (gap, size) = (self.gap(&place), self.last.size.max(place.size).max(0.1));
        if gap > COLUMN * size && !blank {
            self.column();
        } else if (blank || gap > SPACE * size) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        if !blank {
            self.text.push_str(text);
        }
        self.last = place;
    }

    fn column(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        self.text.push_str(if self.text.ends_with([':', '|']) { " " } else { " | " });
    }
}

/// Joins what a line end parted: `medica-` and `tions` when both parts are lower case letters, three or more each.
///
/// A hyphen that belongs (`anti-` / `GBM`, `x-` / `ray`) keeps its place when that is in doubt.
pub(super) fn without_hyphenation(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied();
        match next.filter(|next| is_parted(last_word(line), next)) {
            Some(_) => joined.push_str(line.strip_suffix(['-', '\u{ad}', '‐']).unwrap_or(line)),
            None => {
                joined.push_str(line);
                if next.is_some() {
                    joined.push('\n');
                }
            }
        }
    }
    joined.replace('\u{ad}', "")
}

fn last_word(line: &str) -> &str {
    line.rsplit([' ', '|']).next().unwrap_or_default()
}

fn is_parted(last_word: &str, next: &str) -> bool {
    let Some(before) = last_word.strip_suffix(['-', '\u{ad}', '‐']) else { return false };
    let soft = last_word.ends_with('\u{ad}');
    let after: String = next.chars().take_while(|c| c.is_alphabetic()).collect();
    let letters = |part: &str, least: usize| part.chars().count() >= least && part.chars().all(char::is_alphabetic);
    let lower_case = after.chars().all(char::is_lowercase) && before.chars().skip(1).all(char::is_lowercase);
    let least = if soft { 1 } else { 3 };
    lower_case
        && letters(before, least)
        && letters(&after, least)
        && (soft || !PREFIXES.contains(&&*before.to_lowercase()))
}

/// Words that often keep their hyphen: joining them would make a word that isn't one.
const PREFIXES: [&str; 22] = [
    "anti", "follow", "half", "high", "ill", "long", "low", "mid", "multi", "near", "non", "one", "over", "post",
    "pre", "self", "semi", "short", "two", "well", "year", "cross",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn page(characters: &[(f64, f64, &str)]) -> String {
        let mut page = PageText::default();
        for (along, across, text) in characters {
            let width = 5.0 * text.chars().count() as f64;
            page.put(Place { angle: 0, along: *along, across: *across, width, size: 10.0 }, text);
        }
        page.finish()
    }

    #[test]
    fn gaps_become_spaces_and_columns() {
        assert_eq!(page(&[(0.0, 0.0, "Na"), (10.5, 0.0, "me"), (24.0, 0.0, "x"), (90.0, 0.0, "y")]), "Name x | y");
        assert_eq!(page(&[(0.0, 0.0, "Name:"), (90.0, 0.0, "Ito")]), "Name: Ito");
    }

    #[test]
    fn what_stands_lower_is_a_new_line_and_far_lower_a_new_paragraph() {
        assert_eq!(
            page(&[(0.0, 100.0, "a"), (0.0, 88.0, "b"), (0.0, 60.0, "c"), (90.0, 100.0, "d")]),
            "a\nb\n\nc\n\nd"
        );
    }

    #[test]
    fn a_page_drawn_in_strips_is_put_together() {
        let strips =
            [(0.0, 100.0, "FHIR is suita"), (0.0, 88.0, "data sharin"), (65.0, 100.0, "ble for"), (55.5, 88.0, "g.")];
        assert_eq!(page(&strips), "FHIR is suitable for\ndata sharing.");
        // The edge runs through the `i`.
        let cut =
            [(0.0, 100.0, "commun"), (30.0, 100.0, "i"), (0.0, 88.0, "x"), (31.0, 100.0, "i"), (36.0, 100.0, "on")];
        assert_eq!(page(&cut), "communion\nx");
    }

    #[test]
    fn ligatures_are_their_letters() {
        assert_eq!(page(&[(0.0, 0.0, "di\u{fb03}cult")]), "difficult");
    }

    #[test]
    fn columns_apart_stay_apart() {
        let columns = [(0.0, 100.0, "one"), (0.0, 88.0, "two"), (200.0, 100.0, "three"), (200.0, 88.0, "four")];
        assert_eq!(page(&columns), "one\ntwo\n\nthree\nfour");
    }

    #[test]
    fn a_word_parted_at_the_line_end_is_joined_when_that_is_sure() {
        assert_eq!(without_hyphenation("her medica-\ntions were"), "her medications were");
        for kept in ["an x-\nray", "anti-\nGBM", "follow-\nupon", "well-\nbeing", "2024-\n01-02", "a list -\nof"] {
            assert_eq!(without_hyphenation(kept), kept);
        }
        assert_eq!(without_hyphenation("hy\u{ad}\nphen soft\u{ad}ly"), "hyphen softly");
    }
}
