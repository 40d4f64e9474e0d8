//! One patient as the secret sees them: what their own record says they are called, and what is said instead.

use std::collections::BTreeSet;

use jiff::civil::Date;
use regex::Regex;

use super::tokens::words;
use super::vocabulary::{is_city, is_given, is_plain, is_region, is_surname};
use super::{Category, Findings, Secret};

/// What a patient's own record says that tells who they are.
#[derive(Clone, Debug, Default)]
pub struct Known {
    own: BTreeSet<String>,
    others: BTreeSet<String>,
    places: BTreeSet<String>,
    numbers: BTreeSet<String>,
    /// Parts of addresses, whole: `Alder Court Assisted Living`.
    phrases: BTreeSet<String>,
}

/// Details of demographics that many people share.
const SHARED: [&str; 12] = [
    "Sex",
    "Born",
    "Birth sex",
    "Language",
    "Marital status",
    "Race",
    "Ethnicity",
    "Religion",
    "Gender identity",
    "Sex at birth",
    "Deceased",
    "Record",
];
const OWN: [&str; 3] = ["Name", "Also known as", "Preferred name"];
const SHORTEST_NUMBER: usize = 4;

impl Known {
    /// Takes in a line of the demographics: `Address`, `88 Tannery Street, Millbrook, IL 60601`.
    pub fn add(&mut self, label: &str, value: &str) {
        if SHARED.contains(&label) {
            return;
        }
        if OWN.contains(&label) {
            return self.add_own_name(value);
        }
        let names = if label.contains("ddress") && !value.contains('@') { &mut self.places } else { &mut self.others };
        if label.contains("ddress") && !value.contains('@') {
            let parts = value.split([',', ';', '\n']).map(str::trim);
            let telling = parts.filter(|part| part.len() >= SHORTEST_NUMBER && !is_region(part));
            self.phrases.extend(telling.map(str::to_lowercase));
        }
        // Of `Luis Hale, brother` the brother isn't a name.
        let names_one = |word: &&str| !is_plain(word) || is_given(word) || is_surname(word) || is_city(word);
        for word in words(value).filter(|word| is_telling(word) && names_one(word)) {
            names.insert(word.to_lowercase());
        }
        for number in value.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '^')) {
            self.add_number(number);
        }
    }

    pub fn add_own_name(&mut self, name: &str) {
        let is_title = |word: &str| TITLES.contains(&word.to_lowercase().as_str());
        self.own.extend(words(name).filter(|word| word.chars().count() > 1 && !is_title(word)).map(str::to_lowercase));
    }

    /// The name of somebody else in the record: a relative, whoever wrote a note.
    pub fn add_name(&mut self, name: &str) {
        self.others.extend(words(name).filter(|word| is_telling(word) && !is_plain(word)).map(str::to_lowercase));
    }

    /// An id that a source gave the patient, with its namespace or without.
    pub fn add_id(&mut self, id: &str) {
        let parts = [id, id.rsplit(':').next().unwrap_or(id)];
        self.numbers.extend(parts.iter().filter(|part| part.len() >= SHORTEST_NUMBER).map(|part| part.to_lowercase()));
    }

    /// An id or a number of the patient's; what is no more than a word or short is left alone.
    pub fn add_number(&mut self, number: &str) {
        let number = number.trim_matches(|c: char| !c.is_alphanumeric());
        if number.len() >= SHORTEST_NUMBER && number.contains(|c: char| c.is_ascii_digit()) {
            self.numbers.insert(number.to_lowercase());
        }
    }
}

const TITLES: [&str; 9] = ["patient", "mr", "mrs", "ms", "miss", "dr", "jr", "sr", "md"];
/// Said of many ways to reach somebody.
const USUAL: [&str; 6] = ["home", "work", "mobile", "street", "avenue", "road"];

/// Titles, initials and states tell nobody apart.
fn is_telling(word: &&str) -> bool {
    let lower = word.to_lowercase();
    word.chars().count() > 1 && !is_region(word) && !TITLES.contains(&&*lower) && !USUAL.contains(&&*lower)
}

/// Whom a text is about: their surrogates, their shift, what is known of them.
#[derive(Clone, Debug)]
pub struct Subject {
    secret: Secret,
    /// Names the subject within the secret.
    tag: String,
    days: i64,
    known: Known,
    phrases: Option<Regex>,
}

impl Subject {
    /// `patient` may be absent: a text about nobody has a shift and surrogates of its tenant's.
    pub fn new(secret: &Secret, tenant: &str, patient: Option<&str>, known: Known) -> Self {
        let tag = format!("{}:{tenant}:{}", tenant.len(), patient.unwrap_or_default());
        let phrases: Vec<String> = known.phrases.iter().map(|phrase| regex::escape(phrase)).collect();
        let phrases = (!phrases.is_empty()).then(|| Regex::new(&format!(r"(?i)\b(?:{})\b", phrases.join("|"))).ok());
        Self { days: secret.days(&tag), secret: secret.clone(), tag, known, phrases: phrases.flatten() }
    }

    /// Days that dates are moved back by.
    pub fn days(&self) -> i64 {
        self.days
    }

    pub(super) fn shifted(&self, date: Date) -> Option<Date> {
        date.checked_sub(jiff::Span::new().days(self.days)).ok()
    }

    /// `[PHONE-91bc]`: the same for the same value, however it is written.
    pub(super) fn mark(&self, category: Category, value: &str) -> String {
        let bare: String = value.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let word = category.word();
        format!("[{word}-{}]", self.secret.surrogate(&self.tag, word, &bare))
    }

    /// What stands for a name that is given by itself: whoever wrote a document.
    pub fn surrogate_name(&self, name: &str) -> String {
        let own: Vec<&str> = words(name).filter(|word| !self.is_own_name(word)).collect();
        match own.last() {
            Some(word) => self.mark(Category::Name, word),
            None => "[PATIENT]".to_owned(),
        }
    }

    pub(super) fn is_own_name(&self, word: &str) -> bool {
        self.known.own.contains(&word.to_lowercase())
    }

    pub(super) fn knows_name(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.known.own.contains(&word) || self.known.others.contains(&word)
    }

    pub(super) fn knows_place(&self, word: &str) -> bool {
        self.known.places.contains(&word.to_lowercase())
    }

    /// Parts of addresses, numbers and ids that the record gives as this patient's, wherever they stand by themselves.
    pub(super) fn find_known(&self, findings: &mut Findings<'_>) {
        let text = findings.text;
        for place in self.phrases.iter().flat_map(|phrases| phrases.find_iter(text)) {
            let mark = self.mark(Category::Place, place.as_str());
            findings.take(place.start(), place.end(), Category::Place, &mark);
        }
        if self.known.numbers.is_empty() {
            return;
        }
        for word in id_words(text) {
            if self.known.numbers.contains(&word.text.to_lowercase()) {
                let mark = self.mark(Category::Number, word.text);
                findings.take(word.start, word.start + word.text.len(), Category::Number, &mark);
            }
        }
    }
}

struct IdWord<'a> {
    start: usize,
    text: &'a str,
}

/// Runs of what ids are written with, without what stands at their ends.
fn id_words(text: &str) -> impl Iterator<Item = IdWord<'_>> {
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '/');
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(char::is_alphanumeric)?;
        let end = text[start..].find(|c| !is_inner(c)).map_or(text.len(), |length| start + length);
        rest = end;
        let word = text[start..end].trim_end_matches(|c: char| !c.is_alphanumeric());
        Some(IdWord { start, text: word })
    })
}
