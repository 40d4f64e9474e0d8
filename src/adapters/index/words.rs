//! The words of clinical text, as they are indexed and looked up.
//!
//! What people write in several ways comes to the same words: `10mg` and `10 mg`, `7.10` and `7.1`, `1,000` and
//! `1000`, `µg` and `mcg`, `TNF-α` and `TNF alpha`, `anaemia` and `anemia`, `Crohn's` and `Crohn`. A compound gives
//! its parts and itself (`follow-up`, `follow up`, `followup`), a code itself and its category (`E11.9`, `E11`), a
//! date itself, its month and its year, however it is written.

use std::sync::LazyLock;

use regex::Regex;

/// One word; several may stand at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub position: u32,
    pub from: usize,
    pub to: usize,
}

/// Parts of a compound that is also one word.
const MOST_PARTS: usize = 3;
const LONGEST_COMPOUND: usize = 32;

/// Units that are written right after their number.
const UNITS: [&str; 44] = [
    "mg", "mcg", "ug", "g", "kg", "gm", "gr", "ng", "pg", "ml", "l", "dl", "cc", "mmol", "mol", "meq", "iu", "u",
    "units", "unit", "mm", "cm", "m", "mmhg", "bpm", "lb", "lbs", "oz", "ft", "h", "hr", "hrs", "min", "mins", "d",
    "days", "wk", "wks", "mo", "yo", "yrs", "x", "puffs", "tabs",
];

/// British and older spellings, by the part of the word that differs; the longer before what it contains.
const SPELLINGS: [(&str, &str); 29] = [
    ("haem", "hem"),
    ("aemi", "emi"),
    ("oedem", "edem"),
    ("oesoph", "esoph"),
    ("rrhoe", "rrhe"),
    ("paediat", "pediat"),
    ("orthopaed", "orthoped"),
    ("foet", "fet"),
    ("gynaec", "gynec"),
    ("caec", "cec"),
    ("faec", "fec"),
    ("anaesth", "anesth"),
    ("pnoea", "pnea"),
    ("coeliac", "celiac"),
    ("sulph", "sulf"),
    ("tumour", "tumor"),
    ("colour", "color"),
    ("labour", "labor"),
    ("behaviour", "behavior"),
    ("neighbour", "neighbor"),
    ("fibre", "fiber"),
    ("litre", "liter"),
    ("metre", "meter"),
    ("centre", "center"),
    ("leucocyt", "leukocyt"),
    ("oestr", "estr"),
    ("aetiolog", "etiolog"),
    ("isation", "ization"),
    ("amoeb", "ameb"),
];

/// One look at a word instead of one for each of [`SPELLINGS`]: nearly all words hold none of them.
static MAY_BE_SPELT_OTHERWISE: LazyLock<Regex> = LazyLock::new(|| {
    let any = SPELLINGS.map(|(old, _)| old).join("|");
    Regex::new(&any).expect("letters alone are a valid pattern")
});

const MONTHS: [&str; 12] = [
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
];

const GREEK: [(char, &str); 14] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('κ', "kappa"),
    ('λ', "lambda"),
    ('σ', "sigma"),
    ('τ', "tau"),
    ('ω', "omega"),
    ('ψ', "psi"),
];

/// A run of letters and digits, and the character alone between it and the run before.
struct Run<'a> {
    text: &'a str,
    from: usize,
    joined_by: Option<char>,
}

pub fn words(text: &str) -> Vec<Word> {
    words_where(text, |_| true)
}

/// Those of the words that matter, each where it stands among all; asked about a run of letters and digits as it is
/// written. Parts of a compound always matter.
pub fn words_where(text: &str, matters: impl Fn(&str) -> bool) -> Vec<Word> {
    let mut found = Words { words: Vec::new(), next: 0 };
    let runs = runs(text);
    let mut rest = runs.as_slice();
    while let Some(first) = rest.first() {
        let length = 1 + rest.iter().skip(1).take_while(|run| is_hyphen(run.joined_by)).count();
        let (compound, after) = rest.split_at(length);
        if length == 1 && !matters(first.text) {
            // Holds the place between its neighbours.
            found.push(String::new(), first.from, first.from);
        } else {
            found.add_compound(compound, first.from);
        }
        rest = after;
    }
    found.add_written_dates();
    found.words.retain(|word| !word.text.is_empty());
    found.words.sort_by_key(|word| word.position);
    found.words
}

/// Whether a run's word begins with the two letters with which the run does.
pub fn begins_as_written(run: &str) -> bool {
    let is_respelt = |pair: &[u8]| pair.eq_ignore_ascii_case(b"ae") || pair.eq_ignore_ascii_case(b"oe");
    let mut letters = run.bytes().take(2);
    letters.len() == 2
        && letters.all(|letter| letter.is_ascii_alphabetic())
        && !run.as_bytes().windows(2).take(2).any(is_respelt)
}

/// Whether a run is the name of a month, which may be a part of a date.
pub fn is_month(run: &str) -> bool {
    month(&run.to_ascii_lowercase()).is_some()
}

fn is_hyphen(character: Option<char>) -> bool {
    matches!(character, Some('-' | '‐' | '‑' | '–'))
}

/// Letters and digits; a point between digits belongs, a comma between thousands too. What follows an
/// apostrophe (`'s`, `n't`) says nothing.
fn runs(text: &str) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut at = 0;
    while let Some(start) = run_start(text, at) {
        let end = run_end(text, start);
        let gap = runs.last().map_or("", |_| text.get(at..start).unwrap_or_default());
        let mut between = gap.chars();
        let joined_by = between.next().filter(|_| between.next().is_none());
        at = end;
        let run = text.get(start..end).unwrap_or_default();
        let is_ending = matches!(joined_by, Some('\'' | '’')) && run.len() <= 2 && run.chars().all(char::is_alphabetic);
        if !is_ending {
            runs.push(Run { text: run, from: start, joined_by });
        }
    }
    runs
}

/// The first letter or digit from `at` on.
fn run_start(text: &str, mut at: usize) -> Option<usize> {
    loop {
        match character_at(text, at)? {
            (character, _) if character.is_alphanumeric() => return Some(at),
            (_, length) => at += length,
        }
    }
}

fn run_end(text: &str, start: usize) -> usize {
    let digits_from = |at: usize| {
        let after = text.as_bytes().get(at..).unwrap_or_default();
        after.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let (mut before, mut at) = (' ', start);
    while let Some((character, length)) = character_at(text, at) {
        let belongs = match character {
            '.' => before.is_ascii_digit() && digits_from(at + length) > 0,
            ',' => before.is_ascii_digit() && digits_from(at + length) == 3,
            _ => character.is_alphanumeric(),
        };
        if !belongs {
            break;
        }
        (before, at) = (character, at + length);
    }
    at
}

/// The character that begins at a byte, and how many bytes it has.
#[inline]
fn character_at(text: &str, at: usize) -> Option<(char, usize)> {
    match text.as_bytes().get(at)? {
        byte if byte.is_ascii() => Some((char::from(*byte), 1)),
        _ => text.get(at..)?.chars().next().map(|character| (character, character.len_utf8())),
    }
}

struct Words {
    words: Vec<Word>,
    /// The next free position.
    next: u32,
}

impl Words {
    fn add_compound(&mut self, runs: &[Run<'_>], from: usize) {
        let (position, first) = (self.next, self.words.len());
        for run in runs {
            self.add_run(run);
        }
        if runs.len() < 2 {
            return;
        }
        let to = runs.last().map_or(from, |run| run.from + run.text.len());
        let parts: Vec<&str> = runs.iter().map(|run| run.text).collect();
        for whole in wholes(&parts, self.words.get(first..).unwrap_or_default()) {
            self.words.push(Word { text: whole, position, from, to });
        }
    }

    fn add_run(&mut self, run: &Run<'_>) {
        let text = normal(run.text);
        let (from, to) = (run.from, run.from + run.text.len());
        if let Some((number, unit)) = number_and_unit(&text) {
            self.push(plain_number(number), from, to);
            self.push(plain_unit(unit), from, to);
            return;
        }
        let category = text.split_once('.').map(|(category, _)| category).filter(|_| is_code(&text));
        if let Some(category) = category {
            self.words.push(Word { text: category.to_owned(), position: self.next, from, to });
        }
        let text = match text.as_str() {
            unit @ "ug" => plain_unit(unit),
            number if is_number(number) => plain_number(number),
            _ => text,
        };
        self.push(text, from, to);
    }

    fn push(&mut self, text: String, from: usize, to: usize) {
        self.words.push(Word { text, position: self.next, from, to });
        self.next += 1;
    }

    /// `July 8, 2025` and `8 July 2025` are the same words as `2025-07-08`.
    fn add_written_dates(&mut self) {
        let mut dates = Vec::new();
        for (at, word) in self.words.iter().enumerate() {
            let Some(month) = month(&word.text) else { continue };
            let around = |step: isize| at.checked_add_signed(step).and_then(|at| self.words.get(at));
            let after = [around(1), around(2)].map(|word| word.map(|word| word.text.as_str()));
            let (day, year) = match after {
                [Some(one), _] if is_year(one) => (around(-1).and_then(|word| day(&word.text)), one),
                [Some(one), Some(two)] if day(one).is_some() && is_year(two) => (day(one), two),
                _ => continue,
            };
            let month = format!("{year}-{month:02}");
            let whole = day.map(|day| format!("{month}-{day:02}"));
            let place = |text| Word { text, position: word.position, from: word.from, to: word.to };
            dates.extend([Some(month), whole].into_iter().flatten().map(place));
        }
        self.words.extend(dates);
    }
}

/// What a compound is as one word, or a date with its month.
fn wholes(parts: &[&str], words: &[Word]) -> Vec<String> {
    let is_digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    match parts {
        [year, month, day] if is_year(year) && is_digits(month, 2) && is_digits(day, 2) => {
            return vec![format!("{year}-{month}"), format!("{year}-{month}-{day}")];
        }
        [year, month] if is_year(year) && is_digits(month, 2) => return vec![format!("{year}-{month}")],
        _ => {}
    }
    let whole: String = words.iter().map(|word| word.text.as_str()).collect();
    let is_word = (2..=MOST_PARTS).contains(&parts.len())
        && whole.len() <= LONGEST_COMPOUND
        && words.len() == parts.len()
        && whole.chars().any(char::is_alphabetic);
    if is_word { vec![whole] } else { Vec::new() }
}

/// Lower case, letters of other alphabets spelt out, one spelling.
fn normal(text: &str) -> String {
    let mut normal = if text.is_ascii() { text.to_ascii_lowercase() } else { spelt_out(text) };
    if normal.is_ascii() && normal.len() > 4 && MAY_BE_SPELT_OTHERWISE.is_match(&normal) {
        for (old, new) in SPELLINGS {
            if normal.contains(old) {
                normal = normal.replace(old, new);
            }
        }
    }
    normal
}

fn spelt_out(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase) {
        match GREEK.iter().find(|(letter, _)| *letter == character) {
            Some((_, name)) => spelt.push_str(name),
            None if matches!(character, 'µ' | 'μ') => spelt.push('u'),
            None => spelt.push(character),
        }
    }
    spelt
}

fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let letters = text.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = text.split_at_checked(letters)?;
    (is_number(number) && UNITS.contains(&unit)).then_some((number, unit))
}

fn plain_unit(unit: &str) -> String {
    if unit == "ug" { "mcg".to_owned() } else { unit.to_owned() }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b".,".contains(&byte))
}

/// Without commas between thousands and zeros at the end of a fraction.
fn plain_number(text: &str) -> String {
    let text = text.replace(',', "");
    match text.split_once('.') {
        Some((whole, fraction)) if !fraction.contains('.') => match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        },
        _ => text,
    }
}

/// A letter, digits, a point: `E11.9`.
fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

fn month(text: &str) -> Option<usize> {
    let named = |name: &&str| {
        text == *name || (text.len() == 3 && name.starts_with(text)) || text == "sept" && *name == "september"
    };
    MONTHS.iter().position(named).map(|at| at + 1)
}

fn day(text: &str) -> Option<u32> {
    text.parse().ok().filter(|day| (1..=31).contains(day) && text.len() <= 2)
}

fn is_year(text: &str) -> bool {
    text.len() == 4
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.starts_with("19") || text.starts_with("20"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Word, begins_as_written, words, words_where};

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_number_and_its_unit_are_two_words_however_written() {
        assert_eq!(texts("10mg"), ["10", "mg"]);
        assert_eq!(texts("10 mg"), ["10", "mg"]);
        assert_eq!(texts("75µg 75ug 75 mcg"), ["75", "mcg", "75", "mcg", "75", "mcg"]);
        assert_eq!(texts("2.50 1,000 5.0"), ["2.5", "1000", "5"]);
        assert_eq!(texts("A1c B12 H1N1"), ["a1c", "b12", "h1n1"]);
    }

    #[test]
    fn a_compound_is_its_parts_and_itself() {
        assert_eq!(texts("follow-up"), ["follow", "followup", "up"]);
        assert_eq!(texts("COVID-19 x-ray"), ["covid", "covid19", "19", "x", "xray", "ray"]);
        assert_eq!(texts("TNF-α"), ["tnf", "tnfalpha", "alpha"]);
        assert_eq!(texts("a - b"), ["a", "b"]);
    }

    #[test]
    fn a_code_is_found_by_its_category() {
        assert_eq!(texts("E11.9"), ["e11", "e11.9"]);
        assert_eq!(texts("v1.2"), ["v1", "v1.2"]);
        assert_eq!(texts("4548-4"), ["4548", "4"]);
    }

    #[test]
    fn a_date_is_its_day_its_month_and_its_year() {
        for written in ["2025-07-08", "July 8, 2025", "8 July 2025", "Jul 8 2025"] {
            let words = texts(written);
            for wanted in ["2025", "2025-07", "2025-07-08"] {
                assert!(words.iter().any(|word| word == wanted), "{written}: {words:?}");
            }
        }
        assert!(texts("in July 2025").contains(&"2025-07".to_owned()));
        assert!(!texts("may 5 mg").iter().any(|word| word.contains('-')));
    }

    #[test]
    fn spellings_meet() {
        for (one, other) in [
            ("haemoglobin", "hemoglobin"),
            ("Anaemia", "anemia"),
            ("oedema", "edema"),
            ("diarrhoea", "diarrhea"),
            ("dyspnoea", "dyspnea"),
            ("tumours", "tumors"),
            ("ischaemic", "ischemic"),
            ("orthopaedic", "orthopedic"),
            ("oesophagus", "esophagus"),
        ] {
            assert_eq!(texts(one), texts(other));
        }
        assert_eq!(texts("Crohn's disease isn’t"), ["crohn", "disease", "isn"]);
    }

    #[test]
    fn a_range_or_ratio_stays_apart() {
        assert_eq!(texts("120/80 mg/dL"), ["120", "80", "mg", "dl"]);
        assert_eq!(texts("Seen.Then"), ["seen", "then"]);
    }

    proptest! {
        #[test]
        fn words_that_matter_stand_where_they_do_among_all(text in "[a-jA-Jæé0-9'.,/ -]{0,60}", first in "[a-jæ0-9]") {
            let begins = |text: &str| text.to_lowercase().starts_with(&first);
            let all: Vec<Word> = words(&text).into_iter().filter(|word| begins(&word.text)).collect();
            let some = words_where(&text, |run| !begins_as_written(run) || begins(run));
            prop_assert_eq!(some.into_iter().filter(|word| begins(&word.text)).collect::<Vec<_>>(), all);
        }

        #[test]
        fn any_text_is_borne_and_positions_rise(text in "\\PC{0,80}|[a-c0-9'.,/ -]{0,60}") {
            let words = words(&text);
            prop_assert!(words.windows(2).all(|pair| pair[0].position <= pair[1].position));
            for word in &words {
                prop_assert!(!word.text.is_empty());
                prop_assert!(text.get(word.from..word.to).is_some());
            }
        }
    }
}
