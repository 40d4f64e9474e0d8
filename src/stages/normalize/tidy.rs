//! White space and control characters: what every text goes through before it is kept.

/// One line: runs of white space become one space, control characters go.
pub(in crate::stages) fn line(text: &str) -> String {
    let kept: String = text.chars().filter_map(|c| if c.is_whitespace() { Some(' ') } else { visible(c) }).collect();
    kept.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Lines end in `\n` and hold no trailing white space; at most one blank line in a row, none at the ends.
pub(in crate::stages) fn text(text: &str) -> String {
    let unified = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{c}', '\u{b}', '\u{85}'], "\n");
    let mut tidy = String::with_capacity(unified.len());
    let mut blank_before = false;
    for line in unified.split('\n') {
        let line: String = line.chars().filter_map(|c| if c == '\t' { Some(' ') } else { visible(c) }).collect();
        let line = line.trim_end();
        if line.is_empty() {
            blank_before = true;
            continue;
        }
        if !tidy.is_empty() {
            tidy.push_str(if blank_before { "\n\n" } else { "\n" });
        }
        blank_before = false;
        tidy.push_str(line);
    }
    tidy
}

/// At most `limit` characters, cut at a word where there is one.
pub(in crate::stages) fn bounded(text: &str, limit: usize) -> String {
    let line = line(text);
    if line.chars().count() <= limit {
        return line;
    }
    let cut: String = line.chars().take(limit.saturating_sub(1)).collect();
    let end = cut.rfind(' ').filter(|end| *end > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut.get(..end).unwrap_or(&cut).trim_end())
}

/// Drops what can't be seen and could only mislead: controls, byte-order marks, direction overrides.
fn visible(c: char) -> Option<char> {
    let hidden = c.is_control()
        || matches!(c, '\u{feff}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (!hidden).then_some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_trailing_space_are_unified() {
        assert_eq!(text("\u{feff}a \r\nb\rc\t\n\n\n\nd\u{0}\n\n"), "a\nb\nc\n\nd");
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(line("  two\n\tlines \u{7} here "), "two lines here");
    }

    #[test]
    fn a_bounded_text_ends_at_a_word() {
        assert_eq!(bounded("short", 10), "short");
        assert_eq!(bounded("several words in a row", 15), "several words…");
        assert_eq!(bounded(&"ü".repeat(30), 10).chars().count(), 10);
    }
}
