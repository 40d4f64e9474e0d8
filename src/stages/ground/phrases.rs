//! Phrases in a sentence, whatever stands between its words.

use crate::stages::terms::words;

/// Whether any of the phrases stands in the text, in whole words; phrases are lower-case.
pub fn holds_any(text: &str, phrases: &[&str]) -> bool {
    let folded = format!(" {} ", words(text).collect::<Vec<_>>().join(" ").to_lowercase());
    phrases.iter().any(|phrase| folded.contains(&format!(" {phrase} ")))
}

#[cfg(test)]
mod tests {
    use super::holds_any;

    #[test]
    fn a_phrase_is_whole_words_across_lines_and_signs() {
        assert!(holds_any("Bleed, secondary\nto warfarin.", &["secondary to"]));
        assert!(!holds_any("Secondary tooth loss", &["secondary to"]));
        assert!(!holds_any("", &["secondary to"]));
    }
}
