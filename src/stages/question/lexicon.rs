//! Names of measurements, drugs, conditions, procedures and vaccines, with what else they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::domain::{FactKind, StoredFact};

const TABLE: &str = include_str!("lexicon.tsv");

/// Words of the longest name that is looked for.
const LONGEST: usize = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    Measurement,
    Drug,
    /// A group of drugs; its names are those of its members too.
    DrugGroup,
    Condition,
    Procedure,
    Vaccine,
    Demographic,
}

impl Sort {
    fn parse(letter: &str) -> Option<Self> {
        Some(match letter {
            "m" => Self::Measurement,
            "d" => Self::Drug,
            "g" => Self::DrugGroup,
            "c" => Self::Condition,
            "p" => Self::Procedure,
            "v" => Self::Vaccine,
            "s" => Self::Demographic,
            _ => return None,
        })
    }

    /// Where facts about it are, when the question doesn't say.
    pub fn kinds(self) -> &'static [FactKind] {
        match self {
            Self::Measurement => &[FactKind::Observation],
            Self::Drug | Self::DrugGroup => &[FactKind::Medication],
            Self::Condition => &[FactKind::Condition],
            Self::Procedure => &[FactKind::Procedure, FactKind::Condition],
            Self::Vaccine => &[FactKind::Immunization],
            Self::Demographic => &[FactKind::Demographic],
        }
    }
}

#[derive(Debug)]
pub struct Entry {
    pub sort: Sort,
    pub name: &'static str,
    /// LOINC codes.
    pub codes: Vec<&'static str>,
    /// Every name in [`tokens`] joined by one space, its own first.
    pub names: Vec<String>,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing(usize);

impl Thing {
    pub fn entry(self) -> &'static Entry {
        &LEXICON.entries[self.0]
    }
}

struct Lexicon {
    entries: Vec<Entry>,
    by_name: BTreeMap<String, Vec<Thing>>,
    by_code: BTreeMap<&'static str, Thing>,
    words: BTreeSet<String>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read(TABLE));

impl Lexicon {
    fn read(table: &'static str) -> Self {
        let mut lexicon =
            Self { entries: Vec::new(), by_name: BTreeMap::new(), by_code: BTreeMap::new(), words: BTreeSet::new() };
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let (Some(sort), Some(name)) = (fields.next().and_then(Sort::parse), fields.next()) else { continue };
            let codes: Vec<&str> = fields.next().unwrap_or_default().split_whitespace().collect();
            let others = fields.next().unwrap_or_default().split('|').filter(|other| !other.trim().is_empty());
            let names: Vec<String> = std::iter::once(name).chain(others).map(|name| tokens(name).join(" ")).collect();
            lexicon.add(Entry { sort, name, codes, names });
        }
        lexicon
    }

    fn add(&mut self, entry: Entry) {
        let thing = Thing(self.entries.len());
        for name in &entry.names {
            self.words.extend(name.split(' ').map(str::to_owned));
            let things = self.by_name.entry(name.clone()).or_default();
            if !things.contains(&thing) {
                things.push(thing);
            }
        }
        for code in &entry.codes {
            // A panel's own line lists its parts too; each part has a line of its own, which comes later.
            self.by_code.insert(code, thing);
        }
        self.entries.push(entry);
    }

    fn find(&self, words: &[String]) -> Option<&[Thing]> {
        let name = words.join(" ");
        let singular = || name.strip_suffix('s').and_then(|name| self.by_name.get(name));
        self.by_name.get(&name).or_else(singular).map(Vec::as_slice)
    }
}

/// The thing that a LOINC code stands for.
fn by_code(code: &str) -> Option<Thing> {
    LEXICON.by_code.get(code).copied()
}

/// Every word that stands in a name.
pub(super) fn words() -> &'static BTreeSet<String> {
    &LEXICON.words
}

/// A name that stands in a text: which words it takes, and what it may mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub words: std::ops::Range<usize>,
    pub things: Vec<Thing>,
}

/// The names in a text, longest first taken, none overlapping, in their order.
pub fn names_in(words: &[String]) -> Vec<Named> {
    let mut taken = vec![false; words.len()];
    let mut found = Vec::new();
    for length in (1..=LONGEST.min(words.len())).rev() {
        for start in 0..=words.len() - length {
            let range = start..start + length;
            if taken[range.clone()].iter().any(|taken| *taken) {
                continue;
            }
            if let Some(things) = LEXICON.find(&words[range.clone()]) {
                taken[range.clone()].fill(true);
                found.push(Named { words: range, things: things.to_vec() });
            }
        }
    }
    found.sort_by_key(|named| named.words.start);
    found
}

/// Lower-case runs of letters and digits, without the endings of possession.
pub fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace("'s ", " ").replace("’s ", " ");
    let lower = lower.strip_suffix("'s").or_else(|| lower.strip_suffix("’s")).unwrap_or(&lower);
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What a fact is about, by its code and its display.
pub fn facts_name(stored: &StoredFact) -> Vec<Thing> {
    things_of(stored.fact.code.as_deref(), &stored.fact.display)
}

/// What a fact's code or display names: the code decides, else all names that stand in the display.
fn things_of(code: Option<&str>, display: &str) -> Vec<Thing> {
    if let Some(thing) = code.and_then(by_code) {
        return vec![thing];
    }
    names_in(&tokens(display)).into_iter().flat_map(|named| named.things).collect()
}

#[cfg(test)]
mod tests {
    use super::{LEXICON, Sort, TABLE, names_in, things_of, tokens};

    fn named(text: &str) -> Vec<&'static str> {
        names_in(&tokens(text)).iter().flat_map(|named| &named.things).map(|thing| thing.entry().name).collect()
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(LEXICON.entries.len(), lines);
        assert!(LEXICON.entries.iter().all(|entry| entry.codes.is_empty() || entry.sort == Sort::Measurement));
    }

    #[test]
    fn the_longest_name_wins() {
        assert_eq!(named("Hemoglobin A1c/Hemoglobin.total in Blood"), ["hemoglobin a1c"]);
        assert_eq!(named("high blood pressure"), ["hypertension"]);
        assert_eq!(named("Urine albumin-to-creatinine ratio"), ["albumin creatinine ratio"]);
        assert_eq!(named("her last Hgb and WBC?"), ["hemoglobin", "white blood cells"]);
    }

    #[test]
    fn a_plural_is_known_by_its_singular() {
        assert_eq!(named("colonoscopies and echocardiograms"), ["echocardiogram"]);
    }

    #[test]
    fn a_code_says_more_than_a_display() {
        let one = |code, display| things_of(code, display).iter().map(|thing| thing.entry().name).collect::<Vec<_>>();
        assert_eq!(one(Some("8480-6"), "BP"), ["systolic blood pressure"]);
        assert_eq!(one(Some("85354-9"), "Vitals"), ["blood pressure"]);
        assert_eq!(one(None, "Acetaminophen 325 MG / oxyCODONE 5 MG"), ["acetaminophen", "oxycodone", "opioid"]);
    }
}
