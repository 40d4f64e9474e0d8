//! The structured answer: which typed facts a question is about, and what they say to it.
//!
//! ```text
//! standing   a status word -> in force, over, denied
//! matching   question + facts -> the facts it is about      (every word of it accounted for, or none)
//! reading    the matched facts -> what they say             (latest, trend, count, list, yes or no, when)
//! saying     what they say -> an answer, every line cited
//! ```
//!
//! Facts are silent rather than clever: a word that nothing explains sends the question to the text.

mod matching;
mod reading;
mod saying;
mod standing;

#[cfg(test)]
mod tests;

pub use matching::{Matched, match_facts};
pub use reading::{Found, SeriesOf, read_facts};
pub use saying::say;
pub use standing::{State, state};

use crate::domain::{Ask, FactKind};
use crate::stages::question::Question;

/// Whether facts are worth asking.
pub fn is_structured(question: &Question) -> bool {
    !matches!(question.ask, Ask::Why | Ask::Other) && (question.has_subject() || !question.kinds.is_empty())
}

/// The words of facts that a question may misspell.
pub fn vocabulary(facts: &[crate::domain::StoredFact]) -> std::collections::BTreeSet<String> {
    let named = facts.iter().filter(|stored| !matches!(stored.fact.kind, FactKind::Contact | FactKind::Demographic));
    let words = named.flat_map(|stored| crate::stages::question::tokens(&stored.fact.display));
    words.filter(|word| word.len() >= 5 && word.chars().all(char::is_alphabetic)).collect()
}
