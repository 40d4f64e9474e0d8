//! Characters at their places to lines: spaces from gaps, lines from what stands below, columns from wide gaps.

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

#[derive(Debug, Default)]
pub(super) struct PageText {
    text: String,
    last: Option<Place>,
}

impl PageText {
    pub fn put(&mut self, place: Place, text: &str) {
        let blank = text.chars().all(char::is_whitespace);
        if let Some(last) = self.last {
            self.part(&last, &place, blank);
        }
        if !blank {
            self.text.push_str(text);
        } else if !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
        self.last = Some(place);
    }

    /// What stands between two characters.
    fn part(&mut self, last: &Place, next: &Place, blank: bool) {
        let size = last.size.max(next.size).max(0.1);
        let gap = next.along - (last.along + last.width);
        let drop = last.across - next.across;
        let beside = gap > -0.3 * size && gap < size;
        let reach = if beside && last.size != next.size { RAISED } else { SAME_LINE };
        if last.angle == next.angle && drop.abs() <= reach * size && gap > -size.max(last.width) {
            if gap > COLUMN * size && !blank {
                self.column();
            } else if gap > SPACE * size && !blank && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
            return;
        }
        while self.text.ends_with(' ') {
            self.text.pop();
        }
        let apart = last.angle != next.angle || drop < -size || drop > PARAGRAPH * size;
        self.text.push_str(if apart { "\n\n" } else { "\n" });
    }

    fn column(&mut self) {
        while self.text.ends_with(' ') {
            self.text.pop();
        }
        if self.text.ends_with([':', '|']) {
            self.text.push(' ');
        } else if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push_str(" | ");
        }
    }

    pub fn line(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn finish(self) -> String {
        without_hyphenation(&self.text)
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
    fn a_word_parted_at_the_line_end_is_joined_when_that_is_sure() {
        assert_eq!(without_hyphenation("her medica-\ntions were"), "her medications were");
        for kept in ["an x-\nray", "anti-\nGBM", "follow-\nupon", "well-\nbeing", "2024-\n01-02", "a list -\nof"] {
            assert_eq!(without_hyphenation(kept), kept);
        }
        assert_eq!(without_hyphenation("hy\u{ad}\nphen soft\u{ad}ly"), "hyphen softly");
    }
}
