//! The words by which a question is held against a text: lower-case, without stop words, lightly stemmed.

use std::collections::{BTreeMap, BTreeSet};

/// Terms of one text.
pub type TermSet = BTreeSet<String>;

/// Words that say how a question is put, not what it is about; `patient` is among them because
/// every question asks about one.
const STOP: &[&str] = &[
    "a", "about", "all", "am", "an", "and", "any", "anything", "are", "aren", "as", "at", "be", "because", "been",
    "before", "being", "but", "by", "can", "could", "describe", "did", "didn", "do", "does", "doesn", "doing", "don",
    "during", "each", "ever", "find", "for", "from", "get", "give", "given", "had", "hadn", "has", "hasn", "have",
    "haven", "having", "he", "her", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "isn", "it", "its",
    "know", "list", "many", "may", "me", "might", "much", "my", "no", "not", "of", "on", "or", "our", "out", "patient",
    "patients", "please", "seen", "shall", "she", "should", "show", "so", "some", "such", "take", "taken", "takes",
    "taking", "tell", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to",
    "up", "us", "was", "wasn", "we", "were", "weren", "what", "when", "where", "whether", "which", "while", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// Words that ask for the newest; they say when, so no text has to hold them.
const NEWEST: &[&str] =
    &["current", "currently", "last", "latest", "most", "newest", "now", "recent", "recently", "still", "today"];

/// As written before a name; `MS` is a disease.
const HONORIFICS: &[&str] = &["Dr", "Miss", "Mr", "Mrs", "Ms", "Prof"];

const DURATIONS: &[&str] = &["day", "hour", "minute", "month", "time", "week", "year"];

/// How much a person's name weighs that stands in no passage: a chart seldom repeats whose it is.
const ABSENT_PERSON: f32 = 0.25;

/// The words of a text as they stand there: runs of letters and digits, apostrophes between
/// letters and points or commas between digits included.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(word_end(rest));
        rest = after;
        Some(word)
    })
}

fn word_end(text: &str) -> usize {
    let mut before: Option<char> = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let joins = |inside: fn(char) -> bool| before.is_some_and(inside) && next.is_some_and(inside);
        let belongs = match character {
            '\'' | '’' => joins(char::is_alphabetic),
            '.' | ',' => joins(|c| c.is_ascii_digit()),
            other => other.is_alphanumeric(),
        };
        if !belongs {
            return at;
        }
        before = Some(character);
    }
    text.len()
}

/// The terms of `text` in order, repeats included.
pub fn terms(text: &str) -> Vec<String> {
    words(text).filter_map(term).collect()
}

pub fn term_set(text: &str) -> TermSet {
    words(text).filter_map(term).collect()
}

/// Whether the question asks how things stand now: `latest`, `current`, `still`, or `what is`.
pub fn asks_for_newest(question: &str) -> bool {
    let mut asked = words(question).map(str::to_lowercase);
    let (first, second) = (asked.next().unwrap_or_default(), asked.next().unwrap_or_default());
    let is_present = first == "what's" || (first == "what" && ["is", "are"].contains(&second.as_str()));
    is_present || words(question).any(|word| word != "most" && NEWEST.contains(&word.to_lowercase().as_str()))
}

fn term(word: &str) -> Option<String> {
    let word = bare(word);
    let stopped = STOP.contains(&word.as_str()) || NEWEST.contains(&word.as_str());
    (!stopped).then(|| stem(word))
}

/// Lower case, without a possessive ending and without the commas of a long number.
fn bare(word: &str) -> String {
    let lower = word.to_lowercase();
    match lower.split_once(['\'', '’']) {
        Some((name, _)) if name.chars().count() > 1 => name.to_owned(),
        _ => lower.replace([',', '\'', '’'], ""),
    }
}

/// Strips English plural, `-ing` and `-ed` endings so that forms of one word meet; the stem need not be a word.
fn stem(word: String) -> String {
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word;
    }
    let singular = strip_plural(&word);
    let root = strip_tense(&singular).unwrap_or(singular);
    match root.strip_suffix('e') {
        Some(shorter) if shorter.len() >= 3 => shorter.to_owned(),
        _ => root,
    }
}

fn strip_plural(word: &str) -> String {
    for (ending, instead) in [("sses", "ss"), ("ies", "y"), ("ses", "s"), ("sis", "s"), ("xes", "x"), ("ches", "ch")] {
        if let Some(root) = word.strip_suffix(ending).filter(|root| root.len() >= 2) {
            return format!("{root}{instead}");
        }
    }
    match word.strip_suffix('s') {
        Some(root) if !root.ends_with(['s', 'u', 'i']) => root.to_owned(),
        _ => word.to_owned(),
    }
}

fn strip_tense(word: &str) -> Option<String> {
    if let Some(root) = word.strip_suffix("ied").filter(|root| root.len() >= 2) {
        return Some(format!("{root}y"));
    }
    let root = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed").filter(|root| !root.ends_with('e')))?;
    if root.len() < 3 || !root.contains(['a', 'e', 'i', 'o', 'u', 'y']) {
        return None;
    }
    let mut letters = root.chars().rev();
    let doubled = letters.next() == letters.next() && !root.ends_with(['l', 's', 'z']);
    Some(if doubled { root.get(..root.len() - 1).unwrap_or(root).to_owned() } else { root.to_owned() })
}

/// What a word of a question looks like it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Ordinary,
    /// A number, a code, an abbreviation, one capitalised word: `2019`, `A1c`, `INR`, `Metformin`.
    Thing,
    /// Two capitalised words side by side, or one after `Mrs` or before `'s`: `Ada Moss`, `Ada's`.
    Person,
}

/// A question's terms, each weighed by how few of the passages hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuestionTerms {
    weights: BTreeMap<String, f32>,
    absent: BTreeSet<String>,
}

impl QuestionTerms {
    /// Weight of a term: `1 + ln((1 + passages) / (1 + passages that hold it))`.
    ///
    /// Smoothed so that a term all passages share still counts: the passages were found by these very terms.
    pub fn weigh(question: &str, passages: &[TermSet]) -> Self {
        let mut weighed = Self::default();
        for (term, naming) in named_terms(question) {
            let holding = passages.iter().filter(|passage| passage.contains(&term)).count();
            let idf = 1.0 + ((1.0 + passages.len() as f32) / (1.0 + holding as f32)).ln();
            let person = naming == Naming::Person && holding == 0;
            if naming == Naming::Thing && holding == 0 {
                weighed.absent.insert(term.clone());
            }
            weighed.weights.insert(term, if person { idf * ABSENT_PERSON } else { idf });
        }
        weighed
    }

    /// Whether nothing is left to look for: `how is she?`.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The share of the question's weight that `text` holds, 0 to 1; 0 when the question has no terms.
    pub fn coverage(&self, text: &TermSet) -> f32 {
        let all: f32 = self.weights.values().sum();
        if all <= 0.0 {
            return 0.0;
        }
        let held: f32 = self.weights.iter().filter(|(term, _)| text.contains(*term)).map(|(_, weight)| weight).sum();
        (held / all).clamp(0.0, 1.0)
    }

    /// Things the question names that no passage holds.
    pub fn absent_things(&self) -> &BTreeSet<String> {
        &self.absent
    }
}

fn named_terms(question: &str) -> Vec<(String, Naming)> {
    let all: Vec<&str> = words(question).collect();
    let shouted = !question.chars().any(char::is_lowercase);
    let word = |at: Option<usize>| at.and_then(|at| all.get(at)).copied();
    let mut named = Vec::new();
    for (at, surface) in all.iter().enumerate() {
        let Some(term) = term(surface).filter(|_| !HONORIFICS.contains(surface)) else { continue };
        let naming =
            if shouted { Naming::Ordinary } else { naming(surface, word(at.checked_sub(1)), word(Some(at + 1))) };
        named.push((term, naming));
    }
    named
}

fn naming(word: &str, before: Option<&str>, after: Option<&str>) -> Naming {
    if word.chars().any(|c| c.is_ascii_digit()) {
        let counts = after.is_some_and(|after| DURATIONS.contains(&stem_of(after).as_str()));
        let small = word.chars().count() == 1;
        return if counts || small { Naming::Ordinary } else { Naming::Thing };
    }
    if !is_capitalised(word) {
        return Naming::Ordinary;
    }
    let beside = |other: Option<&str>| other.is_some_and(|other| is_name_word(other) && is_name_word(word));
    let titled = before.is_some_and(|before| HONORIFICS.contains(&before));
    if titled || word.contains(['\'', '’']) || beside(before) || beside(after) {
        return Naming::Person;
    }
    // The first word is capitalised whatever it names, unless it is an abbreviation.
    if before.is_none() && is_name_word(word) { Naming::Ordinary } else { Naming::Thing }
}

fn stem_of(word: &str) -> String {
    stem(bare(word))
}

fn is_capitalised(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// `Moss`, but not `MRI`, not `What`.
fn is_name_word(word: &str) -> bool {
    is_capitalised(word) && word.chars().skip(1).any(char::is_lowercase) && term(word).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{QuestionTerms, TermSet, asks_for_newest, term_set, terms, words};

    fn sets(texts: &[&str]) -> Vec<TermSet> {
        texts.iter().map(|text| term_set(text)).collect()
    }

    #[test]
    fn words_keep_decimals_and_possessives_whole() {
        let found: Vec<&str> = words("Ada's A1c: 7.2%, BP 120/80. 1,200 mL; O’Dell—naïve.").collect();
        assert_eq!(found, ["Ada's", "A1c", "7.2", "BP", "120", "80", "1,200", "mL", "O’Dell", "naïve"]);
    }

    #[test]
    fn stop_words_and_endings_go() {
        assert_eq!(terms("What is the latest of her allergies?"), ["allergy"]);
        assert_eq!(terms("Is the patient's 1,200 mL not drained"), ["1200", "ml", "drain"]);
    }

    #[test]
    fn forms_of_one_word_meet() {
        for forms in [
            &["diagnosis", "diagnoses", "diagnosed", "diagnose", "diagnosing"][..],
            &["stop", "stops", "stopped", "stopping"],
            &["prescribe", "prescribed", "prescribes"],
            &["study", "studies", "studied"],
            &["allergy", "allergies"],
            &["fall", "falls", "falling"],
            &["medication", "medications"],
        ] {
            let stems: Vec<_> = forms.iter().flat_map(|form| terms(form)).collect();
            assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{stems:?}");
        }
    }

    #[test]
    fn short_words_and_codes_stay_as_they_are() {
        assert_eq!(
            terms("gas bed red need HbA1c B12 diabetes"),
            ["gas", "bed", "red", "need", "hba1c", "b12", "diabet"]
        );
    }

    #[test]
    fn a_rare_term_outweighs_a_common_one() {
        let passages = sets(&["pain and warfarin", "pain at night", "pain by day"]);
        let question = QuestionTerms::weigh("pain under warfarin", &passages);
        assert!(question.coverage(&term_set("warfarin")) > question.coverage(&term_set("pain")));
    }

    #[test]
    fn coverage_is_whole_when_every_term_is_there() {
        let passages = sets(&["Hemoglobin A1c 7.2 %"]);
        let question = QuestionTerms::weigh("What was the last hemoglobin A1c?", &passages);
        assert!((question.coverage(&passages[0]) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_name_that_no_chart_repeats_costs_little() {
        let passages = sets(&["Lisinopril dose 10 mg daily", "Metformin 500 mg"]);
        let cover = |question: &str| QuestionTerms::weigh(question, &passages).coverage(&passages[0]);
        assert!(cover("What lisinopril dose does Ada Moss take?") > 0.7);
        assert!(cover("What lisinopril dose does Mrs Moss take?") > 0.8);
        assert!(cover("What is Ada's lisinopril dose?") > 0.8);
        assert!(cover("What lisinopril dose did the cardiologist want?") < 0.6);
    }

    #[test]
    fn things_named_but_found_nowhere_are_told() {
        let passages = sets(&["Lisinopril 10 mg daily, seen 2020"]);
        let absent = |question: &str| {
            QuestionTerms::weigh(question, &passages).absent_things().iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(absent("Is she on Warfarin?"), ["warfarin"]);
        assert_eq!(absent("Was an INR taken in 2019?"), ["2019", "inr"]);
        assert_eq!(absent("Is she on Lisinopril since 2020?"), [""; 0]);
        assert_eq!(absent("Does Ada Moss smoke?"), [""; 0]);
        assert_eq!(absent("Falls in the last 12 months?"), [""; 0]);
        assert_eq!(absent("IS SHE ON WARFARIN?"), [""; 0]);
    }

    #[test]
    fn questions_about_now_are_known() {
        assert!(asks_for_newest("What is her current dose?"));
        assert!(asks_for_newest("Still smoking?"));
        assert!(asks_for_newest("What is the code status?"));
        assert!(!asks_for_newest("What was the code status?"));
        assert!(!asks_for_newest("Which drugs help most?"));
        assert!(!asks_for_newest("When did the pain start?"));
    }

    #[test]
    fn a_question_of_stop_words_covers_nothing() {
        let question = QuestionTerms::weigh("How is she now?", &sets(&["well"]));
        assert!(question.is_empty());
        assert_eq!(question.coverage(&term_set("well")), 0.0);
    }

    proptest! {
        #[test]
        fn words_lie_in_the_text_in_order(text in "\\PC{0,60}") {
            let mut rest = text.as_str();
            for word in words(&text) {
                prop_assert!(!word.is_empty());
                let at = rest.find(word);
                prop_assert!(at.is_some());
                rest = &rest[at.unwrap() + word.len()..];
            }
            prop_assert!(!rest.chars().any(char::is_alphanumeric));
        }

        #[test]
        fn more_text_never_covers_less(question in "\\PC{0,40}", one in "[a-z0-9 ]{0,40}", other in "\\PC{0,40}") {
            let passages = sets(&[&one, &other]);
            let weighed = QuestionTerms::weigh(&question, &passages);
            let both: TermSet = passages.iter().flatten().cloned().collect();
            prop_assert!(weighed.coverage(&both) >= weighed.coverage(&passages[0]));
            prop_assert!((0.0..=1.0).contains(&weighed.coverage(&both)));
        }
    }
}
