//! Finds the titled parts of a note: `PLAN:`, `## Plan`, `Past Medical History:`.

use crate::domain::{Section, Span};

const MAX_TITLE_CHARACTERS: usize = 60;
const MAX_TITLE_WORDS: usize = 8;

/// Sections in order, none overlapping; text before the first heading belongs to none.
///
/// Headings are upper-case words that a colon ends (text may follow on the line), markdown headings,
/// `Title Case:` alone on its line, and upper-case words alone between blank and filled lines.
pub fn detect(text: &str) -> Vec<Section> {
    let shouting = is_mostly_upper_case(text);
    let mut headings: Vec<(usize, String)> = Vec::new();
    let mut start = 0;
    let mut after_blank = true;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        if let Some(title) = heading(content, after_blank && !shouting) {
            let indent = line.len() - line.trim_start().len();
            headings.push((start + indent, title));
        }
        after_blank = content.is_empty();
        start += line.len();
    }
    let ends = headings.iter().skip(1).map(|(start, _)| *start).chain([text.len()]).collect::<Vec<_>>();
    headings
        .into_iter()
        .zip(ends)
        .map(|((start, title), end)| {
            let body = text.get(start..end).unwrap_or_default().trim_end();
            Section { title, span: Span::new(start, start + body.len()) }
        })
        .collect()
}

fn heading(line: &str, may_stand_alone: bool) -> Option<String> {
    if line.is_empty() {
        return None;
    }
    markdown(line)
        .or_else(|| before_colon(line))
        .or_else(|| if may_stand_alone { upper_case_alone(line) } else { None })
}

fn markdown(line: &str) -> Option<String> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    let title =
        rest.strip_prefix(' ')?.trim().trim_end_matches('#').trim().trim_matches('*').trim_end_matches(':').trim();
    ((1..=6).contains(&level) && !title.is_empty() && title.chars().count() <= 2 * MAX_TITLE_CHARACTERS)
        .then(|| title.to_owned())
}

fn before_colon(line: &str) -> Option<String> {
    let line = line.trim_matches('*');
    let (title, rest) = line.split_once(':')?;
    let (title, rest) = (title.trim().trim_matches('*').trim(), rest.trim_matches('*').trim());
    if !is_title_shaped(title) {
        return None;
    }
    let fits =
        if is_upper_case(title) { !is_measurement(title, rest) } else { rest.is_empty() && is_title_case(title) };
    fits.then(|| title.to_owned())
}

fn upper_case_alone(line: &str) -> Option<String> {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let fits =
        letters >= 4 && is_title_shaped(line) && is_upper_case(line) && !line.chars().any(|c| c.is_ascii_digit());
    fits.then(|| line.to_owned())
}

fn is_title_shaped(title: &str) -> bool {
    title.chars().count() <= MAX_TITLE_CHARACTERS
        && title.split_whitespace().count() <= MAX_TITLE_WORDS
        && title.starts_with(char::is_alphabetic)
        && title.chars().all(|c| c.is_alphanumeric() || " /&,()'’-#".contains(c))
}

/// At least three letters, and no lower-case one outside brackets.
fn is_upper_case(title: &str) -> bool {
    let outside = title.split('(').next().unwrap_or_default();
    outside.chars().filter(|c| c.is_alphabetic()).count() >= 3 && !outside.chars().any(char::is_lowercase)
}

/// `BMI: 31.2` is a value, not a section.
fn is_measurement(title: &str, rest: &str) -> bool {
    title.chars().count() <= 5 && rest.starts_with(|c: char| c.is_ascii_digit())
}

/// Every word of four letters or more begins upper case, as does the first.
fn is_title_case(title: &str) -> bool {
    let starts_upper = |word: &str| word.trim_start_matches(['(', '\'']).starts_with(char::is_uppercase);
    let mut words = title.split([' ', '/', '-']).filter(|word| !word.is_empty());
    words.next().is_some_and(starts_upper) && words.all(|word| word.chars().count() < 4 || starts_upper(word))
}

fn is_mostly_upper_case(text: &str) -> bool {
    let upper = text.chars().filter(|c| c.is_uppercase()).count();
    let lower = text.chars().filter(|c| c.is_lowercase()).count();
    upper > lower
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> Vec<String> {
        detect(text).into_iter().map(|section| section.title).collect()
    }

    #[test]
    fn upper_case_headers_begin_sections_with_or_without_text_on_their_line() {
        let text = "Seen today.\nHISTORY OF PRESENT ILLNESS: Cough for a week.\nNo fever.\n\nPLAN:\nRest.\n";
        let sections = detect(text);
        assert_eq!(titles(text), ["HISTORY OF PRESENT ILLNESS", "PLAN"]);
        assert_eq!(sections[0].span.of(text), Some("HISTORY OF PRESENT ILLNESS: Cough for a week.\nNo fever."));
        assert_eq!(sections[1].span.of(text), Some("PLAN:\nRest."));
    }

    #[test]
    fn markdown_and_title_case_headings_count() {
        let text = "# Visit\n## Plan ##\n- rest\nPast Medical History:\nnone\nShe said the following:\nnothing";
        assert_eq!(titles(text), ["Visit", "Plan", "Past Medical History"]);
    }

    #[test]
    fn values_and_sentences_are_no_headings() {
        assert!(titles("BP: 120/80\nBMI: 31.2\nTemp: 37\nHe said: rest well\n#hashtag\n12:30 seen").is_empty());
    }

    #[test]
    fn an_upper_case_line_alone_counts_unless_all_is_upper_case() {
        assert_eq!(titles("Some words before it.\n\nIMPRESSION\nStable and doing well."), ["IMPRESSION"]);
        assert!(titles("PATIENT SEEN TODAY\n\nFEELS WELL\nGOES HOME").is_empty());
    }

    #[test]
    fn headings_beside_wide_characters_keep_char_boundaries() {
        let text = "ÜBERSICHT: größer\n\u{3000}PLAN:\nжить";
        for section in detect(text) {
            assert!(section.span.of(text).is_some_and(|part| !part.trim().is_empty()));
        }
        assert_eq!(titles(text).len(), 2);
    }
}
