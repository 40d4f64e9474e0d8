//! Which facts a question is about.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{FactKind, StoredFact};
use crate::stages::question::{Question, Sort, Thing, alike, facts_name, names_in, tokens};

use super::standing::{State, is_own, state};

/// Kinds that are looked through for a subject that isn't of a known sort.
const CLINICAL: [FactKind; 6] = [
    FactKind::Condition,
    FactKind::Medication,
    FactKind::Allergy,
    FactKind::Procedure,
    FactKind::Immunization,
    FactKind::Observation,
];

const VITALS: [&str; 8] = [
    "blood pressure",
    "systolic blood pressure",
    "diastolic blood pressure",
    "heart rate",
    "respiratory rate",
    "body temperature",
    "oxygen saturation",
    "body weight",
];

/// Units name nothing by themselves.
const UNITS: [&str; 23] = [
    "mg",
    "dl",
    "mmol",
    "mol",
    "l",
    "g",
    "kg",
    "lb",
    "lbs",
    "pounds",
    "cm",
    "inches",
    "percent",
    "mmhg",
    "mcg",
    "ml",
    "ul",
    "iu",
    "units",
    "unit",
    "celsius",
    "fahrenheit",
    "kilograms",
];

/// Facts that a question is about, in the order they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched<'a> {
    pub facts: Vec<&'a StoredFact>,
    /// All of them are measurements.
    pub measured: bool,
}

/// The facts that a question is about, whatever their time and standing; empty when it names something that no fact
/// does, or has a word that nothing explains.
///
/// Where the kind that it names or implies has no such fact, the word for the kind may be part of a name: `peanut
/// allergy` is a problem too, and so are `hot flashes on tamoxifen`.
pub fn match_facts<'a>(question: &Question, facts: &'a [StoredFact]) -> Matched<'a> {
    let found = match_of_kinds(question, facts);
    let has_more_to_say = !question.kind_words.is_empty() || !question.words.is_empty();
    if !found.facts.is_empty() || !has_more_to_say || !question.has_subject() {
        return found;
    }
    let words = question.words.iter().chain(&question.kind_words).cloned().collect();
    match_of_kinds(&Question { kinds: CLINICAL.to_vec(), words, kind_words: Vec::new(), ..question.clone() }, facts)
}

fn match_of_kinds<'a>(question: &Question, facts: &'a [StoredFact]) -> Matched<'a> {
    let of_kind = |stored: &&'a StoredFact| {
        let kind = stored.fact.kind;
        let fits = if question.kinds.is_empty() {
            implied_kinds(&question.things).contains(&kind)
        } else {
            question.kinds.contains(&kind)
        };
        fits && is_own(stored) && state(stored) != State::Void
    };
    let pool: Vec<&StoredFact> = facts.iter().filter(of_kind).collect();
    let mut names = Names::default();
    let subject: Vec<&String> = question.words.iter().filter(|word| !UNITS.contains(&word.as_str())).collect();
    let fits = |stored: &&StoredFact, names: &mut Names| {
        let things = names.of(stored);
        let named = question.things.is_empty() || question.things.iter().all(|thing| is_about(stored, *thing, &things));
        named && says_all(&stored.fact.display, &subject)
    };
    let mut found: Vec<&StoredFact> = pool.into_iter().filter(|stored| fits(stored, &mut names)).collect();
    if question.vitals {
        found.retain(|stored| names.of(stored).iter().any(|thing| VITALS.contains(&thing.entry().name)));
    }
    keep_headlines(&mut found);
    let measured = !found.is_empty() && found.iter().all(|stored| stored.fact.kind == FactKind::Observation);
    Matched { facts: found, measured }
}

fn implied_kinds(things: &[Thing]) -> Vec<FactKind> {
    if things.is_empty() {
        return CLINICAL.to_vec();
    }
    things.iter().flat_map(|thing| thing.entry().sort.kinds()).copied().collect()
}

/// What each code and display names, worked out once.
#[derive(Default)]
struct Names {
    known: BTreeMap<(Option<String>, String), Vec<Thing>>,
}

impl Names {
    fn of(&mut self, stored: &StoredFact) -> Vec<Thing> {
        let key = (stored.fact.code.clone(), stored.fact.display.clone());
        self.known.entry(key).or_insert_with(|| facts_name(stored)).clone()
    }
}

/// Whether the fact is about this thing. A measurement must be it; a drug or a condition may be part of a longer name.
fn is_about(stored: &StoredFact, thing: Thing, things: &[Thing]) -> bool {
    let entry = thing.entry();
    if things.contains(&thing) {
        return true;
    }
    if entry.name == "blood pressure" {
        return things.iter().any(|thing| thing.entry().name.ends_with("blood pressure"));
    }
    if entry.sort == Sort::Measurement || stored.fact.kind == FactKind::Observation {
        return false;
    }
    let words = tokens(&stored.fact.display);
    entry.names.iter().any(|name| stands_in(name, &words))
}

fn stands_in(name: &str, words: &[String]) -> bool {
    let name: Vec<&str> = name.split(' ').collect();
    words.windows(name.len()).any(|run| run.iter().zip(&name).all(|(word, part)| word == part))
}

/// Whether a display holds every word of the subject, in any order and number.
fn says_all(display: &str, subject: &[&String]) -> bool {
    if subject.is_empty() {
        return true;
    }
    let words = tokens(display);
    subject
        .iter()
        .all(|wanted| words.iter().any(|word| one_word(wanted, word)) || stands_by_another_name(wanted, &words))
}

/// `Na` in a question for `Naproxen sodium`, `BMI` in one for `Body mass index 40+ - severely obese`.
fn stands_by_another_name(wanted: &String, words: &[String]) -> bool {
    let named = names_in(std::slice::from_ref(wanted));
    let things = named.iter().flat_map(|named| &named.things);
    things.flat_map(|thing| &thing.entry().names).any(|name| stands_in(name, words))
}

fn one_word(wanted: &str, word: &str) -> bool {
    let bare = |word: &str| word.strip_suffix("es").or_else(|| word.strip_suffix('s')).unwrap_or(word).to_owned();
    wanted == word || (wanted.len() > 3 && bare(wanted) == bare(word)) || alike(wanted, word)
}

/// A claim, a visit or an appointment is one thing though it has many lines: its first stands for it.
fn keep_headlines(found: &mut Vec<&StoredFact>) {
    let mut first: BTreeMap<_, usize> = BTreeMap::new();
    let is_one = |kind: FactKind| matches!(kind, FactKind::Claim | FactKind::Encounter | FactKind::Appointment);
    for stored in found.iter().filter(|stored| is_one(stored.fact.kind)) {
        let start = first.entry((&stored.key, stored.fact.kind)).or_insert(stored.fact.span.start);
        *start = (*start).min(stored.fact.span.start);
    }
    let first: BTreeSet<(String, usize)> =
        first.into_iter().map(|((key, _), start)| (format!("{}/{}", key.id, key.version), start)).collect();
    found.retain(|stored| {
        !is_one(stored.fact.kind)
            || first.contains(&(format!("{}/{}", stored.key.id, stored.key.version), stored.fact.span.start))
    });
}
