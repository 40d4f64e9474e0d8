//! Clinical words that say the same, and kinds of things: `vocabulary/clinical.txt`, read once.
//!
//! A line `one = two = three` names ways to say one thing: each looks for the others. A line `kind > one, two`
//! names kinds: who asks for the first looks for the others too, never the other way round. What follows `#` is a
//! remark.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::analyzer::{self, PlacedTerm};

const TEXT: &str = include_str!("../../../vocabulary/clinical.txt");

/// What another way to say the same counts beside the words of the query.
const SAME: f32 = 0.7;
/// What a kind of the thing asked for counts.
const KIND: f32 = 0.5;

/// Terms at fixed distances from the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phrase {
    pub terms: Vec<(String, u32)>,
}

impl Phrase {
    pub fn of_one(term: &str) -> Self {
        Self { terms: vec![(term.to_owned(), 0)] }
    }

    /// `None` when nothing is left of it.
    fn read(text: &str) -> Option<Self> {
        let mut terms = analyzer::terms(text);
        // Of a compound and its parts at one place, the parts.
        terms.dedup_by_key(|term| term.position);
        let first = terms.first()?.position;
        Some(Self { terms: terms.into_iter().map(|term| (term.text, term.position - first)).collect() })
    }

    pub fn alone(&self) -> Option<&str> {
        match self.terms.as_slice() {
            [(term, _)] => Some(term),
            _ => None,
        }
    }

    fn begins(&self, terms: &[PlacedTerm], at: usize) -> bool {
        let Some(first) = terms.get(at) else { return false };
        self.terms.iter().all(|(text, offset)| {
            let following = terms.get(at..).unwrap_or_default().iter();
            following
                .take_while(|term| term.position <= first.position + offset)
                .any(|term| term.position == first.position + offset && term.text == *text)
        })
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<&str> = self.terms.iter().map(|(term, _)| term.as_str()).collect();
        f.write_str(&terms.join(" "))
    }
}

/// What is said, and what to look for besides, each with its weight.
type Entry = (Phrase, Vec<(Phrase, f32)>);

#[derive(Default)]
pub struct Vocabulary {
    /// By the first term.
    entries: HashMap<String, Vec<Entry>>,
}

impl Vocabulary {
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::read(TEXT));
        &SHARED
    }

    fn read(text: &str) -> Self {
        let mut besides = HashMap::<Phrase, Vec<(Phrase, f32)>>::new();
        let mut order = Vec::new();
        let mut add = |said: &Phrase, other: &Phrase, weight: f32| {
            let others = besides.entry(said.clone()).or_insert_with(|| {
                order.push(said.clone());
                Vec::new()
            });
            if said != other && !others.iter().any(|(known, _)| known == other) {
                others.push((other.clone(), weight));
            }
        };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            match line.split_once('>') {
                Some((kind, members)) => {
                    let names: Vec<Phrase> = kind.split('=').filter_map(Phrase::read).collect();
                    for name in &names {
                        names.iter().for_each(|other| add(name, other, SAME));
                        members.split(',').filter_map(Phrase::read).for_each(|member| add(name, &member, KIND));
                    }
                }
                None => {
                    let ways: Vec<Phrase> = line.split('=').filter_map(Phrase::read).collect();
                    ways.iter().for_each(|way| ways.iter().for_each(|other| add(way, other, SAME)));
                }
            }
        }
        let mut entries = HashMap::<String, Vec<_>>::new();
        for said in order {
            let others = besides.remove(&said).unwrap_or_default();
            if let Some((first, _)) = said.terms.first() {
                entries.entry(first.clone()).or_default().push((said, others));
            }
        }
        Self { entries }
    }

    /// What the terms of a query say that the vocabulary knows, each with what to look for besides.
    ///
    /// Where a longer phrase stands, the shorter ones within it say something else: `heart failure` in `congestive
    /// heart failure` is found once.
    pub fn find(&self, terms: &[PlacedTerm]) -> Vec<(Phrase, Vec<(Phrase, f32)>)> {
        let mut found = Vec::new();
        let mut covered = 0;
        for (at, term) in terms.iter().enumerate() {
            if term.position < covered {
                continue;
            }
            let here = self.entries.get(&term.text).map(Vec::as_slice).unwrap_or_default();
            let fitting = here.iter().filter(|(said, _)| said.begins(terms, at));
            if let Some((said, others)) = fitting.max_by_key(|(said, _)| said.terms.len()) {
                covered = term.position + said.terms.last().map_or(0, |(_, offset)| *offset) + 1;
                found.push((said.clone(), others.clone()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{TEXT, Vocabulary, analyzer};

    fn besides(text: &str, query: &str) -> Vec<String> {
        let found = Vocabulary::read(text).find(&analyzer::terms(query));
        found.into_iter().flat_map(|(_, others)| others).map(|(phrase, _)| phrase.to_string()).collect()
    }

    #[test]
    fn ways_to_say_the_same_look_for_each_other() {
        let text = "heart attack = myocardial infarction = MI # remark";
        assert_eq!(besides(text, "an MI in 2020"), ["heart attack", "myocardi infarct"]);
        assert_eq!(besides(text, "heart attacks"), ["myocardi infarct", "mi"]);
        assert!(besides(text, "heart").is_empty());
    }

    #[test]
    fn a_kind_is_found_from_the_general_word_only() {
        let text = "beta blocker = beta-blocker > metoprolol, carvedilol";
        assert!(besides(text, "which beta blocker").contains(&"metoprolol".to_owned()));
        assert!(besides(text, "metoprolol").is_empty());
    }

    #[test]
    fn the_longest_phrase_is_taken() {
        let text = "heart failure = HF\ncongestive heart failure = CHF";
        assert_eq!(besides(text, "congestive heart failure"), ["chf"]);
        assert_eq!(besides(text, "acute heart failure"), ["hf"]);
    }

    #[test]
    fn words_left_out_keep_their_place_in_a_phrase() {
        let text = "shortness of breath = dyspnea";
        assert_eq!(besides(text, "Shortness of breath?"), ["dyspnea"]);
        assert!(besides(text, "short breath").is_empty());
    }

    #[test]
    fn every_line_that_ships_says_something() {
        for line in TEXT.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            assert!(line.is_empty() || line.contains('=') || line.contains('>'), "{line}");
        }
        assert!(Vocabulary::shared().entries.len() > 300);
    }
}
