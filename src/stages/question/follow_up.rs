//! A question that leans on the one before: `and in 2023?`, `what about her LDL?`, `why was it stopped?`.

use std::collections::BTreeSet;

use super::lexicon::{names_in, tokens};
use super::{analyse, asking};
use crate::domain::{Ask, Timestamp};

/// The question as it is meant after the one before; `None` when it stands by itself.
pub fn resolve(before: &str, text: &str, now: Timestamp) -> Option<String> {
    let known = BTreeSet::new();
    let asked = analyse(text, now, &known);
    let earlier = analyse(before, now, &known);
    if !earlier.has_subject() && earlier.kinds.is_empty() {
        return None;
    }
    let leans = begins_leaning(text);
    let names_something = asked.has_subject() || !asked.kinds.is_empty();
    if names_something && !leans {
        return refers_back(text).then(|| format!("{} {}", bare(text), subject(before)));
    }
    if names_something {
        return Some(with_other_subject(before, text));
    }
    match asked.ask {
        // `and in 2023?`: the same, of another time.
        Ask::Other | Ask::Latest if !asked.window.is_open() => {
            Some(format!("{} {}", timeless(before, now), bare(text)))
        }
        Ask::Other if !leans && !refers_back(text) => None,
        Ask::Other => Some(format!("{} {}", bare(text), subject(before))),
        _ => Some(format!("{} {}", bare(text), subject(before))),
    }
}

fn begins_leaning(text: &str) -> bool {
    let words = tokens(text);
    let starts: [&[&str]; 6] = [&["and"], &["what", "about"], &["how", "about"], &["also"], &["same", "for"], &["or"]];
    starts.iter().any(|start| words.iter().zip(*start).filter(|(word, part)| word == *part).count() == start.len())
}

/// `it`, `that`, `this`: of something said before.
fn refers_back(text: &str) -> bool {
    tokens(text).iter().any(|word| ["it", "that", "this", "those", "them", "these"].contains(&word.as_str()))
}

/// Without the words that lean and the marks at its end.
fn bare(text: &str) -> String {
    let trimmed = text.trim().trim_end_matches(['?', '.', '!', ' ']);
    let lower = trimmed.to_lowercase();
    for start in ["and ", "what about ", "how about ", "also ", "same for ", "or "] {
        if lower.starts_with(start) {
            return trimmed.get(start.len()..).unwrap_or(trimmed).trim().to_owned();
        }
    }
    trimmed.to_owned()
}

/// The words that say what a question is about.
fn subject(text: &str) -> String {
    let words = tokens(text);
    let named = names_in(&words);
    let is_subject = |at: usize, word: &str| {
        named.iter().any(|name| name.words.contains(&at))
            || !asking::is_accounted_for(word)
            || asking::kind_of(word).is_some()
    };
    let kept = words.iter().enumerate().filter(|(at, word)| is_subject(*at, word)).map(|(_, word)| word.as_str());
    kept.collect::<Vec<_>>().join(" ")
}

/// The earlier question, of another thing.
fn with_other_subject(before: &str, text: &str) -> String {
    let words = tokens(before);
    let named = names_in(&words);
    let other = subject(text);
    let mut said: Vec<String> = Vec::new();
    let mut replaced = false;
    for (at, word) in words.iter().enumerate() {
        let in_name = named.iter().any(|name| name.words.contains(&at));
        if in_name || !asking::is_accounted_for(word) {
            if !replaced {
                said.push(other.clone());
                replaced = true;
            }
        } else {
            said.push(word.clone());
        }
    }
    if !replaced {
        said.push(other);
    }
    said.join(" ")
}

/// The question without its time.
fn timeless(text: &str, now: Timestamp) -> String {
    super::times::read(text, now).1.trim().trim_end_matches(['?', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::domain::Timestamp;

    fn after(before: &str, text: &str) -> Option<String> {
        resolve(before, text, Timestamp::parse("2026-11-28").unwrap())
    }

    #[test]
    fn another_time_another_thing_and_a_pronoun_lean_on_the_question_before() {
        let latest = "What was the latest A1c?";
        assert_eq!(after(latest, "And in 2023?").as_deref(), Some("what was the latest a1c in 2023"));
        assert_eq!(after(latest, "What about her LDL?").as_deref(), Some("what was the latest ldl"));
        assert_eq!(
            after("Is she on metformin?", "Why was it stopped?").as_deref(),
            Some("Why was it stopped metformin")
        );
        assert_eq!(after("Is she on metformin?", "And warfarin?").as_deref(), Some("is she on warfarin"));
        assert_eq!(after("List her allergies", "How many?").as_deref(), Some("How many allergies"));
    }

    #[test]
    fn a_question_that_stands_by_itself_is_left_alone() {
        assert_eq!(after("Is she on metformin?", "What is the latest creatinine?"), None);
        assert_eq!(after("How is she?", "And in 2023?"), None);
    }
}
