//! The word lists in `vocabulary/identity/`, read once: words that are no names, and names.

use std::collections::HashSet;
use std::sync::LazyLock;

type Words = HashSet<&'static str>;

fn read(text: &'static str) -> Words {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

static PLAIN: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/plain.txt")));
static ACRONYMS: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/acronyms.txt")));
static GIVEN: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/given.txt")));
static SURNAMES: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/surnames.txt")));
static CITIES: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/cities.txt")));
static REGIONS: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/regions.txt")));
static EPONYMS: LazyLock<Words> = LazyLock::new(|| read(include_str!("../../../vocabulary/identity/eponyms.txt")));
/// What follows an apostrophe: `I'll`, `we've`.
const SHORTENED: [&str; 4] = ["ll", "ve", "re", "nt"];
const ENDINGS: [&str; 6] = ["s", "es", "ed", "d", "ing", "ly"];
/// Stems of the WHO's international nonproprietary names, and of what medicine calls its own parts.
const MADE: [&str; 74] = [
    "mab",
    "nib",
    "pril",
    "sartan",
    "statin",
    "olol",
    "azole",
    "cillin",
    "mycin",
    "micin",
    "oxacin",
    "parin",
    "xaban",
    "gliflozin",
    "gliptin",
    "glutide",
    "triptan",
    "vir",
    "azepam",
    "azolam",
    "setron",
    "dronate",
    "dronic",
    "terol",
    "asone",
    "olone",
    "caine",
    "dipine",
    "zosin",
    "lukast",
    "tidine",
    "oxetine",
    "traline",
    "barbital",
    "curium",
    "orphine",
    "oxone",
    "prosate",
    "grelor",
    "semide",
    "thiazide",
    "lactone",
    "formin",
    "glitazone",
    "iptyline",
    "azine",
    "apine",
    "idone",
    "peridol",
    "cycline",
    "sulfa",
    "oxazole",
    "imus",
    "trexate",
    "platin",
    "rubicin",
    "taxel",
    "fungin",
    "floxacin",
    "profen",
    "coxib",
    "fenac",
    "tropium",
    "sterone",
    "estrel",
    "indrone",
    "virus",
    "ology",
    "oscopy",
    "ectomy",
    "itis",
    "opathy",
    "emia",
    "osis",
];
/// Shorter words that no list has are taken for abbreviations.
const SHORTEST_UNKNOWN: usize = 5;
const SHORTEST_MADE: usize = 7;
const CALENDAR: [&str; 26] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "easter",
    "christmas",
];
pub(super) const STATES: [&str; 59] = [
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA", "ME",
    "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA",
    "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC", "PR", "GU", "VI", "AS", "MP", "AA",
    "AE", "AP",
];

/// Whether it is an everyday or clinical word, whatever else it may be.
pub(super) fn is_plain(word: &str) -> bool {
    let word = word.to_lowercase();
    let is_part_plain = |part: &str| {
        part.chars().count() < 2
            || SHORTENED.contains(&part)
            || is_known(&PLAIN, part)
            || CALENDAR.contains(&part)
            || EPONYMS.contains(part)
    };
    is_part_plain(&word) || word.contains(['-', '\'', '’', '‑']) && word.split(['-', '\'', '’', '‑']).all(is_part_plain)
}

fn is_known(words: &Words, word: &str) -> bool {
    let stem = |ending: &&str| word.strip_suffix(*ending).filter(|stem| stem.len() > 2);
    words.contains(word) || ENDINGS.iter().filter_map(stem).any(|stem| words.contains(stem)) || is_named_by_rule(word)
}

/// Whether it ends as the names of medicines and specialties are made to end.
fn is_named_by_rule(word: &str) -> bool {
    word.len() >= SHORTEST_MADE && MADE.iter().any(|ending| word.ends_with(ending))
}

/// Months and feasts: `born in May` tells no place.
pub(super) fn is_of_calendar(word: &str) -> bool {
    CALENDAR.contains(&word.to_lowercase().as_str())
}

pub(super) fn is_acronym(word: &str) -> bool {
    ACRONYMS.contains(word)
}

pub(super) fn is_eponym(word: &str) -> bool {
    EPONYMS.contains(word.to_lowercase().as_str())
}

pub(super) fn is_given(word: &str) -> bool {
    let word = word.to_lowercase();
    GIVEN.contains(word.as_str()) || word.split('-').all(|part| GIVEN.contains(part))
}

pub(super) fn is_surname(word: &str) -> bool {
    SURNAMES.contains(word.to_lowercase().as_str())
}

pub(super) fn is_city(name: &str) -> bool {
    CITIES.contains(name.to_lowercase().as_str())
}

/// A state, a country, or a word made from one; several words for some.
pub fn is_region(name: &str) -> bool {
    REGIONS.contains(name.to_lowercase().as_str()) || STATES.contains(&name)
}

/// A name in any list, or a word in none, that no list of plain words has: what a question is never searched by. So
/// nobody learns by trying names which of them are there.
pub(super) fn may_only_name(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
    let is_listed = is_given(bare) || is_surname(bare) || is_city(bare);
    let is_unknown = bare.chars().count() >= SHORTEST_UNKNOWN && bare.chars().all(char::is_lowercase);
    (is_listed || is_unknown) && !is_plain(bare) && !is_region(bare) && !is_acronym(bare)
}

/// A word that is plain and no name.
pub fn is_everyday(word: &str) -> bool {
    is_plain(word) && !is_given(word) && !is_surname(word)
}
