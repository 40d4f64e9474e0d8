//! The tokens that two statements are compared by.

/// One token: a word in lower case, a number as it is written, a sign.
pub(super) type Token = String;

/// Words without a meaning of their own. What could turn a statement isn't here: prepositions of time and place,
/// `and`, `or`, modal verbs, pronouns of others.
const MEANINGLESS: &[&str] = &[
    "a", "an", "the", "is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "he", "she", "they",
    "it", "his", "her", "their", "its", "him", "them", "patient", "patients", "pt", "of", "that", "this", "s",
];

/// Words that introduce a statement and add nothing to it.
const FRAMES: &[&str] = &[
    "according to the record,",
    "according to the note,",
    "according to the chart,",
    "according to the documents,",
    "the record says that",
    "the record states that",
    "the record shows that",
    "the note says that",
    "the note states that",
    "the chart says that",
    "the chart shows that",
    "it is documented that",
    "it is noted that",
];

/// The sentence without an introduction.
pub(super) fn without_frame(sentence: &str) -> &str {
    let trimmed = sentence.trim();
    for frame in FRAMES {
        if let Some(start) = trimmed.get(..frame.len())
            && start.eq_ignore_ascii_case(frame)
        {
            return trimmed[frame.len()..].trim_start();
        }
    }
    trimmed
}

/// Tokens that carry a meaning, in order. `on`, `in` and `at` before a date or time carry none.
pub(super) fn meaningful(text: &str) -> Vec<Token> {
    let all = tokens(text);
    let mut kept = Vec::with_capacity(all.len());
    for (at, token) in all.iter().enumerate() {
        let dates = |next: &String| next.starts_with(|c: char| c.is_ascii_digit()) && next.len() > 3;
        let before_a_date = matches!(token.as_str(), "on" | "in" | "at") && all.get(at + 1).is_some_and(dates);
        if !MEANINGLESS.contains(&token.as_str()) && !before_a_date {
            kept.push(token.clone());
        }
    }
    kept
}

/// Words, numbers (`7.1`, `1,200`, `120/80`, `2026-09-15`, `-2.5`), and signs that mean something. A number and a unit
/// that stand together come apart: `10mg`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at];
        let end = if letter.is_ascii_digit() || begins_a_negative(&letters, at) {
            number_end(&letters, at)
        } else if letter.is_alphabetic() {
            word_end(&letters, at)
        } else {
            if "<>≤≥=%±~↑↓+°µ".contains(letter) {
                tokens.push(letter.to_string());
            }
            at += 1;
            continue;
        };
        tokens.extend(folded(&letters[at..end]));
        at = end;
    }
    tokens
}

/// `-2.5` after a space or at the start, where `5-10` and `A-1` are none.
fn begins_a_negative(letters: &[char], at: usize) -> bool {
    matches!(letters[at], '-' | '−')
        && letters.get(at + 1).is_some_and(char::is_ascii_digit)
        && at.checked_sub(1).is_none_or(|before| letters[before].is_whitespace() || letters[before] == '(')
}

fn number_end(letters: &[char], start: usize) -> usize {
    let mut end = start + 1;
    while let Some(letter) = letters.get(end) {
        let joins = ".,/:-–".contains(*letter) && letters.get(end + 1).is_some_and(char::is_ascii_digit);
        if !letter.is_ascii_digit() && !joins {
            break;
        }
        end += 1;
    }
    end
}

/// A word goes on through digits (`A1c`, `B12`) and apostrophes (`doesn't`).
fn word_end(letters: &[char], start: usize) -> usize {
    let mut end = start + 1;
    while let Some(letter) = letters.get(end) {
        let apostrophe = matches!(letter, '\'' | '’') && letters.get(end + 1).is_some_and(|next| next.is_alphabetic());
        if !letter.is_alphanumeric() && !apostrophe {
            break;
        }
        end += 1;
    }
    end
}

/// `doesn't` is `does` and `not`; `patient's` is `patient`.
fn folded(letters: &[char]) -> Vec<Token> {
    let word: String = letters.iter().collect::<String>().to_lowercase().replace('’', "'").replace('−', "-");
    if let Some(verb) = word.strip_suffix("n't") {
        let verb = if verb == "ca" { "can" } else { verb };
        return vec![verb.to_owned(), "not".to_owned()];
    }
    if word == "cannot" {
        return vec!["can".to_owned(), "not".to_owned()];
    }
    match word.split_once('\'') {
        Some((name, "s")) => vec![name.to_owned()],
        Some((one, other)) => vec![one.to_owned(), other.to_owned()],
        None => vec![word],
    }
}

#[cfg(test)]
mod tests {
    use super::{meaningful, tokens, without_frame};

    #[test]
    fn numbers_stay_whole_and_units_stand_apart() {
        assert_eq!(
            tokens("Takes 10mg (−2.5 D), 1,200 mL; BP 120/80 on 2026-09-15."),
            ["takes", "10", "mg", "-2.5", "d", "1,200", "ml", "bp", "120/80", "on", "2026-09-15"]
        );
        assert_eq!(tokens("A1c 7.1 % <8, B12 5-10"), ["a1c", "7.1", "%", "<", "8", "b12", "5-10"]);
    }

    #[test]
    fn contractions_come_apart() {
        assert_eq!(tokens("doesn't, can't, cannot, Ana's"), ["does", "not", "can", "not", "can", "not", "ana"]);
    }

    #[test]
    fn what_carries_no_meaning_goes() {
        assert_eq!(meaningful("The patient was on warfarin on 2024-05-01."), ["on", "warfarin", "2024-05-01"]);
        assert_eq!(without_frame("According to the note, she walks."), "she walks.");
    }
}
