//! Does a sentence that a model wrote say only what its quotes say?
//!
//! No model judges another here: a sentence passes when it is an excerpt of one quote, but for words that carry no
//! meaning, and when nothing that could turn its meaning round was left out or put in.
//!
//! ```text
//! words     a text -> tokens: numbers whole, signs and units apart, meaningless words marked
//! guards    words that turn a statement: not, denies, left, if, mother, possible, stopped, before
//! excerpt   the sentence's tokens stand side by side in the quote, in order
//! ```
//!
//! So a changed digit, a swapped unit, a dropped `not`, the other side, another's dose, two quotes spliced into one and
//! a name that isn't there all fail. Free paraphrase fails too: better unsaid than unproved.

mod guards;
mod words;

#[cfg(test)]
mod tests;

use guards::{Tense, guards, tense};
use words::{Token, meaningful, without_frame};

/// Why a sentence may not be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("it says too little to be held against anything")]
    Empty,
    #[error("its words don't stand together in any of its citations")]
    NoExcerpt,
    #[error("a word that turns the meaning round was left out or put in")]
    Turned,
    #[error("it says of now what was, or the other way about")]
    Tense,
    #[error("what it puts in quotation marks isn't there word for word")]
    Quotation,
}

/// Fewest words with a meaning.
const LEAST: usize = 2;

/// Which of the quotes hold the sentence up, each by itself; never none.
///
/// Errors: how far the best of them came.
pub fn supported(sentence: &str, quotes: &[&str]) -> Result<Vec<usize>, Unsupported> {
    let bare = without_frame(sentence);
    let said = meaningful(bare);
    if said.len() < LEAST {
        return Err(Unsupported::Empty);
    }
    let mut holding = Vec::new();
    let mut worst = Unsupported::NoExcerpt;
    for (number, quote) in quotes.iter().enumerate() {
        match holds_up(bare, &said, quote) {
            Ok(()) => holding.push(number),
            Err(Unsupported::NoExcerpt) => {}
            Err(closer) => worst = closer,
        }
    }
    if holding.is_empty() { Err(worst) } else { Ok(holding) }
}

fn holds_up(sentence: &str, said: &[Token], quote: &str) -> Result<(), Unsupported> {
    let there = meaningful(quote);
    if !there.windows(said.len()).any(|run| run == said) {
        return Err(Unsupported::NoExcerpt);
    }
    if guards(sentence) != guards(quote) {
        return Err(Unsupported::Turned);
    }
    if matches!((tense(sentence), tense(quote)), (Tense::Present, Tense::Past) | (Tense::Past, Tense::Present)) {
        return Err(Unsupported::Tense);
    }
    let quoted = quoted_parts(sentence);
    if quoted.iter().any(|part| !quote.contains(part)) {
        return Err(Unsupported::Quotation);
    }
    Ok(())
}

/// What stands between quotation marks.
fn quoted_parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for (open, close) in [('"', '"'), ('“', '”')] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((part, beyond)) = after.split_once(close) else { break };
            parts.push(part.trim_end_matches(['.', ',']));
            rest = beyond;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
