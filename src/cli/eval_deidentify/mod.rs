//! Measures what is taken out of texts: on sentences with marked spans, and on FHIR resources before and after a
//! scrubber.
//!
//! Sentences of one template are in one half, by the hash of the template: rules were made on half 0 and are reported
//! on half 1. A span counts as found when each of its words is hidden that isn't a state, a country or a word of the
//! address's grammar. A year by itself is no identifier, nor is a country.

mod pairs;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::arguments::EvalDeidentifyOptions;
use super::{Done, Failure};
use crate::domain::{Span, today};
use crate::stages::deidentify::{Known, Masked, Secret, Subject, is_region, mask};

/// Marked types that are identifiers under Safe Harbor.
const IDENTIFIERS: [&str; 13] = [
    "PERSON",
    "STREET_ADDRESS",
    "GPE",
    "ZIP_CODE",
    "DATE_TIME",
    "PHONE_NUMBER",
    "EMAIL_ADDRESS",
    "US_SSN",
    "CREDIT_CARD",
    "IBAN_CODE",
    "US_DRIVER_LICENSE",
    "DOMAIN_NAME",
    "IP_ADDRESS",
];
/// Names of employers and of others: hiding them is no harm, leaving them none either.
const ORGANIZATION: &str = "ORGANIZATION";
const GRAMMAR: [&str; 5] = ["and", "of", "the", "at", "nan"];

#[derive(Deserialize)]
struct Example {
    full_text: String,
    masked: String,
    spans: Vec<Marked>,
}

/// Positions count characters.
#[derive(Deserialize)]
struct Marked {
    entity_type: String,
    start_position: usize,
    end_position: usize,
}

#[derive(Default)]
struct Share {
    right: usize,
    all: usize,
}

impl Share {
    fn count(&mut self, is_right: bool) {
        self.right += usize::from(is_right);
        self.all += 1;
    }

    fn row(&self, name: &str) -> String {
        let share = self.right as f64 / self.all.max(1) as f64;
        format!("| {name} | {} | {} | {share:.3} |", self.right, self.all)
    }
}

#[derive(Default)]
struct Figures {
    recall: BTreeMap<String, Share>,
    found: Share,
    /// Of what was hidden, what touches an identifier.
    precise: Share,
    /// The same, where organizations count as right.
    precise_with_organizations: Share,
}

pub fn run(options: EvalDeidentifyOptions) -> Done {
    let examples = read(&options.sentences)?;
    for (half, title) in [(0, "half that rules were made on"), (1, "other half")] {
        let mut figures = Figures::default();
        examples.iter().filter(|example| half_of(&example.masked) == half).for_each(|example| figures.add(example));
        figures.print(title);
    }
    options.pairs.as_deref().map_or(Ok(()), pairs::run)
}

fn read(path: &Path) -> Result<Vec<Example>, Failure> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn half_of(template: &str) -> u8 {
    Sha256::digest(template.as_bytes())[0] % 2
}

fn masked(text: &str) -> Masked {
    let subject = Subject::new(&Secret::random(), "main", None, Known::default());
    mask(text, &subject, today())
}

impl Figures {
    fn add(&mut self, example: &Example) {
        let text = &example.full_text;
        let masked = masked(text);
        let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let bytes = |marked: &Marked| Span::new(offsets[marked.start_position], offsets[marked.end_position]);
        for marked in &example.spans {
            let span = bytes(marked);
            if !is_identifier(&marked.entity_type, &text[span.start..span.end]) {
                continue;
            }
            let is_found = is_hidden(text, span, &masked);
            self.recall.entry(marked.entity_type.clone()).or_default().count(is_found);
            self.found.count(is_found);
        }
        for edit in &masked.edits {
            let touches = |marked: &&Marked| bytes(marked).start < edit.from.end && edit.from.start < bytes(marked).end;
            let types: Vec<&str> = example.spans.iter().filter(touches).map(|marked| &*marked.entity_type).collect();
            let is_right = types.iter().any(|kind| IDENTIFIERS.contains(kind) || *kind == "AGE");
            self.precise.count(is_right);
            self.precise_with_organizations.count(is_right || types.contains(&ORGANIZATION));
        }
    }

    fn print(&self, title: &str) {
        println!("{title}\n\n| recall of | found | marked | share |\n|---|---:|---:|---:|");
        self.recall.iter().for_each(|(name, share)| println!("{}", share.row(name)));
        println!("{}", self.found.row("all"));
        println!("{}", self.precise.row("precision"));
        println!("{}\n", self.precise_with_organizations.row("precision, organizations' names counted right"));
    }
}

fn is_identifier(kind: &str, value: &str) -> bool {
    let is_year = |value: &str| value.trim_end_matches('s').bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        "DATE_TIME" => !(is_year(value) && value.len() < 6),
        "GPE" => !is_region(value.trim()) && !words(value).all(|(_, word)| may_stay(word)),
        _ => IDENTIFIERS.contains(&kind),
    }
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

fn may_stay(word: &str) -> bool {
    let is_code = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    is_region(word) || GRAMMAR.contains(&word.to_lowercase().as_str()) || is_code
}

fn is_hidden(text: &str, span: Span, masked: &Masked) -> bool {
    let value = &text[span.start..span.end];
    let hides = |start: usize, end: usize| {
        masked.edits.iter().any(|edit| edit.from.start <= span.start + start && span.start + end <= edit.from.end)
    };
    // The words of `New Zealand` stay together or not at all.
    let of_region = |at: usize, word: &str| {
        let pairs = words(value).zip(words(value).skip(1));
        pairs.into_iter().any(|((first, _), (second, last))| {
            (first == at || second == at && last == word) && is_region(&value[first..second + last.len()])
        })
    };
    words(value).all(|(at, word)| hides(at, at + word.len()) || may_stay(word) || of_region(at, word))
}
