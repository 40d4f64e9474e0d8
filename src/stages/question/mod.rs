//! What a question asks for, as far as words tell: its ask, its subject, its time, its standing.
//!
//! ```text
//! times     `since March 2024`, `in the last 6 months`  -> a window, taken out of the text
//! spelling  a word of no list, near a known one         -> that one
//! lexicon   `a1c`, `Tylenol`, `heart attack`            -> the thing they name
//! asking    `how many`, `latest`, `is she on`           -> what is asked for, of which kind of fact
//! follow_up `and in 2023?`                              -> the question that is meant, after the one before
//! ```
//!
//! What none of them explains stays in [`Question::words`]; an answer from facts must account for each of these.

mod analysis;
mod asking;
mod follow_up;
mod lexicon;
mod spelling;
mod times;

use crate::domain::{Ask, FactKind, Timestamp};

pub use analysis::analyse;
pub use follow_up::resolve;
pub use lexicon::{Entry, Named, Sort, Thing, facts_name, names_in, tokens};
pub use spelling::alike;
pub use times::names_a_time_in;

const MICROS_OF_AN_HOUR: i64 = 3_600_000_000;

/// The time that a question is about; bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Window {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl Window {
    pub fn is_open(self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Whether it has a beginning and an end: `on 2025-03-05`, `in May 2024`, `the last 6 months`.
    pub fn is_closed(self) -> bool {
        self.from.is_some() && self.to.is_some()
    }

    /// With the hours by which a day begins earlier and ends later somewhere than it does in UTC.
    pub fn anywhere(self) -> Self {
        let moved = |time: Timestamp, hours: i64| Timestamp::from_micros(time.as_micros() + hours * MICROS_OF_AN_HOUR);
        Self { from: self.from.map(|from| moved(from, -14)), to: self.to.map(|to| moved(to, 12)) }
    }

    /// What carries no time lies in the open window only.
    pub fn holds(self, time: Option<Timestamp>) -> bool {
        match time {
            None => self.is_open(),
            Some(time) => self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time <= to),
        }
    }
}

/// Which standing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Standing {
    #[default]
    Unsaid,
    /// `active`, `current`, `taking`.
    Active,
    /// `stopped`, `resolved`.
    Over,
    /// `ever`, `history of`.
    Ever,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub ask: Ask,
    /// Kinds of facts that it names or implies; empty when it doesn't say.
    pub kinds: Vec<FactKind>,
    /// The words by which it names kinds.
    pub kind_words: Vec<String>,
    /// Things that it names, known by their names.
    pub things: Vec<Thing>,
    /// Further words that say what it is about, lower-case.
    pub words: Vec<String>,
    pub window: Window,
    pub standing: Standing,
    /// `not`, `never`, `without`.
    pub negated: bool,
    /// Vital signs as a group are asked for.
    pub vitals: bool,
}

impl Question {
    /// Whether it names anything in particular.
    pub fn has_subject(&self) -> bool {
        !self.things.is_empty() || !self.words.is_empty()
    }
}
