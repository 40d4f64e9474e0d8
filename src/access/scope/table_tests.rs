//! Every combination of context, type, permissions and query, held against a second reading of the specification that
//! shares no code with ours.

use regex::Regex;

use super::super::{Act, Clearance, Reach, Row};
use super::Scopes;
use crate::domain::{Kind, Labels, PatientId, Timestamp};

const CONTEXTS: [&str; 3] = ["patient", "user", "system"];
const TYPES: [&str; 7] =
    ["*", "Condition", "DocumentReference", "Immunization", "MedicationRequest", "Observation", "Patient"];
const QUERIES: [&str; 10] = [
    "",
    "?category=laboratory",
    "?category=http://c.example|laboratory",
    "?category=vital-signs,laboratory",
    "?category=http%3A%2F%2Fc.example%7C",
    "?_security=http://s.example|R",
    "?category=laboratory&_security=R",
    "?category:not=laboratory",
    "?onset-date=2020",
    "?category=",
];
const OUTSIDE: [&str; 6] = ["", "sr", "duc", "rsx", "Read", "rr"];

fn permissions() -> Vec<String> {
    let subsets = (1..32_u32).map(|bits| {
        "cruds".char_indices().filter(|(position, _)| bits >> position & 1 == 1).map(|(_, letter)| letter).collect()
    });
    subsets.chain(["read", "write", "*"].map(str::to_owned)).chain(OUTSIDE.map(str::to_owned)).collect()
}

/// A record as the reference sees it: type, patient, and (parameter, system, code).
struct Sample {
    resource_type: &'static str,
    patient: Option<&'static str>,
    codes: Vec<(&'static str, &'static str, &'static str)>,
}

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for resource_type in ["Condition", "DocumentReference", "Immunization", "MedicationRequest", "Observation", "Task"]
    {
        for patient in [Some("p1"), Some("p2"), None] {
            for codes in [
                vec![],
                vec![("category", "http://c.example", "laboratory")],
                vec![("category", "http://other.example", "laboratory"), ("_security", "http://s.example", "R")],
                vec![("category", "http://c.example", "vital-signs"), ("_security", "", "R")],
            ] {
                samples.push(Sample { resource_type, patient, codes });
            }
        }
    }
    samples
}

/// Which search parameters R4 defines, of those that occur here.
fn is_defined(parameter: &str, resource_type: &str) -> bool {
    match parameter {
        "_security" => true,
        "category" => ["Condition", "DocumentReference", "MedicationRequest", "Observation"].contains(&resource_type),
        _ => false,
    }
}

struct Reference {
    word: Regex,
}

impl Reference {
    fn new() -> Self {
        let word = r"^(patient|user|system)/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?|read|write|\*)(?:\?(.*))?$";
        Self { word: Regex::new(word).unwrap() }
    }

    /// (read, search) of a record whose launch patient is p1 and whose caller's list holds p2.
    fn gives(&self, scope: &str, sample: &Sample) -> (bool, bool) {
        let Some(parts) = self.word.captures(scope) else { return (false, false) };
        let (context, what, letters) = (&parts[1], &parts[2], &parts[3]);
        let letters = match letters {
            "read" => "rs",
            "write" => "cud",
            "*" => "cruds",
            letters => letters,
        };
        let is_v1 = ["read", "write", "*"].contains(&&parts[3]);
        let about = match context {
            "patient" => sample.patient == Some("p1"),
            "user" => sample.patient == Some("p2"),
            _ => true,
        };
        let matches = match parts.get(4) {
            None => true,
            Some(_) if is_v1 => false,
            Some(query) => query.as_str().split('&').all(|part| matches(part, what, sample)),
        };
        let given = about && matches && (what == "*" || what == sample.resource_type);
        let read = given && letters.contains('r');
        (read, read && letters.contains('s'))
    }
}

fn matches(part: &str, what: &str, sample: &Sample) -> bool {
    let (parameter, values) = part.split_once('=').unwrap_or((part, ""));
    if !is_defined(parameter, what) || values.is_empty() {
        return false;
    }
    let values = values.replace("%3A", ":").replace("%2F", "/").replace("%7C", "|");
    values.split(',').any(|value| {
        sample.codes.iter().filter(|(own, ..)| *own == parameter).any(|(_, system, code)| match value.split_once('|') {
            None => value == *code,
            Some((wanted, "")) => wanted == *system,
            Some((wanted, wanted_code)) => wanted == *system && wanted_code == *code,
        })
    })
}

fn covers(reach: &Reach, act: Act, sample: &Sample) -> bool {
    let patient = sample.patient.map(PatientId::new);
    let codes = sample.codes.iter().map(|(name, system, code)| crate::domain::coded(name, system, code)).collect();
    let labels = Labels { codes, ..Labels::default() };
    let as_of = Timestamp::from_micros(0);
    let row = Row {
        patient: patient.as_ref(),
        resource_type: sample.resource_type,
        kind: Kind::Other,
        labels: &labels,
        as_of,
    };
    reach.covers(act, &row)
}

#[test]
fn every_row_of_the_scope_table_gives_what_a_second_reading_of_the_specification_gives() {
    let (reference, samples) = (Reference::new(), samples());
    let (launch, roster) = (PatientId::new("p1"), [PatientId::new("p2")].into());
    let (mut rows, mut opening) = (0, 0);
    for context in CONTEXTS {
        for what in TYPES {
            for letters in permissions() {
                for query in QUERIES {
                    let scope = format!("{context}/{what}.{letters}{query}");
                    let windows = Scopes::parse(&scope).windows(Some(&launch), Some(&roster));
                    let reach = Reach::new(windows, Clearance::default());
                    rows += 1;
                    for sample in &samples {
                        let (read, search) = reference.gives(&scope, sample);
                        assert_eq!(covers(&reach, Act::Read, sample), read, "{scope} reads {}", sample.resource_type);
                        assert_eq!(
                            covers(&reach, Act::Search, sample),
                            search,
                            "{scope} finds {}",
                            sample.resource_type
                        );
                        opening += usize::from(read);
                    }
                }
            }
        }
    }
    assert!(rows >= 5_000, "{rows}");
    assert!(opening > 5_000, "{opening}");
}

#[test]
fn two_scopes_give_what_each_gives_over_the_same_patients_joined() {
    let (reference, samples) = (Reference::new(), samples());
    let (launch, roster) = (PatientId::new("p1"), [PatientId::new("p2")].into());
    let words: Vec<String> = CONTEXTS
        .iter()
        .flat_map(|context| TYPES.map(|what| format!("{context}/{what}")))
        .flat_map(|head| ["r", "rs", "s"].map(|letters| format!("{head}.{letters}")))
        .flat_map(|head| ["", "?_security=R"].map(|query| format!("{head}{query}")))
        .collect();
    for first in words.iter().step_by(3) {
        for second in &words {
            let windows = Scopes::parse(&format!("{first} {second}")).windows(Some(&launch), Some(&roster));
            let reach = Reach::new(windows, Clearance::default());
            for sample in samples.iter().step_by(5) {
                let read = reference.gives(first, sample).0 || reference.gives(second, sample).0;
                assert_eq!(covers(&reach, Act::Read, sample), read, "{first} {second}");
            }
        }
    }
}
