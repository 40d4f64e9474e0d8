//! Answers: from typed facts, from sentences quoted verbatim, from a model's sentences; cited, checked, or an abstention.
//!
//! ```text
//! facts        typed facts -> latest, trend, count, list, yes or no   (silent: the documents are asked)
//! candidates   passages -> sentences worth quoting        (the caller embeds them)
//! mention      what is named must be mentioned         (else it abstains)
//! evidence     how well question and passages fit         (weak evidence abstains)
//! select       the best sentences -> Answer
//! claims       does a model's sentence say only what its quotes say?
//! stale        withholds what silent feeds say            (where the policy says so)
//! verify       drops every quote the documents don't hold (always the last step)
//! ```

mod candidates;
mod claims;
mod evidence;
pub mod facts;
mod mention;
mod outcome;
mod phrases;
mod reason;
mod select;
mod stale;
mod verify;

#[cfg(test)]
mod builders;

pub use candidates::{Candidate, MAX_CANDIDATES, candidates};
pub use claims::{Unsupported, supported};
pub use evidence::{Evidence, evidence};
pub use mention::{later_denials, without_unmentioned};
pub use select::{promising, select};
pub use stale::withhold;
pub use verify::{count_words, facts_were_silent, fold, holds, otherwise, quoted, says_the_same, verify};

/// How answers are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Most sentences in one answer. Default 3.
    pub max_sentences: usize,
    /// Most citations of one sentence. Default 5.
    pub max_citations: usize,
    /// Least [`Evidence::strength`], 0 to 1; below it, it abstains. Default 0.475: the highest in steps of 0.025 that at
    /// least 95 in 100 train questions of SciFact and PubMedQA reach with their document at hand.
    ///
    /// Doesn't carry over between corpora and models: calibrate it on one's own questions. A value
    /// that is no number abstains always.
    pub min_evidence: f32,
    /// Abstain when the question names a thing (number, code, abbreviation, capitalised word) that
    /// no passage holds. Default false: a chart may call it by another name.
    pub require_named: bool,
    /// Least support of a sentence, as a share of the best one's. Default 0.8, as good as any from 0.75 to 0.88 on SciFact's
    /// train claims.
    pub support_floor: f32,
    /// Cosine from which a sentence that adds no word to one already chosen is left out. Default 0.8.
    ///
    /// Likeness alone never leaves one out: two results of one test differ by a digit only.
    pub redundancy: f32,
    /// Whether what comes from a feed silent beyond its `error_after` is withheld. Default false: it is said, with its age.
    pub withhold_stale: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_sentences: 3,
            max_citations: 5,
            min_evidence: 0.475,
            require_named: false,
            support_floor: 0.8,
            redundancy: 0.8,
            withhold_stale: false,
        }
    }
}
