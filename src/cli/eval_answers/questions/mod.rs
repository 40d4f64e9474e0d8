//! Questions with known answers, made from FHIR resources without any of the code that answers them.

mod absences;
mod allergies;
mod group;
mod history;
mod medications;
mod results;
mod texts;
mod variants;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::super::Failure;
pub use variants::variants;

/// What the answer must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// The first sentence states this number and one of these days.
    Value {
        number: f64,
        days: Vec<String>,
    },
    /// A series of so many points that ends with this value.
    Series {
        points: usize,
        newest: f64,
    },
    Count(usize),
    /// Each of these stands in a sentence, and there are no more sentences.
    Lines(Vec<String>),
    Yes,
    No,
    /// The first sentence names one of these days.
    Day(Vec<String>),
    /// Some sentence holds each of these.
    Text(Vec<String>),
    /// Nothing in the record answers it.
    Nothing,
}

#[derive(Clone, Debug)]
pub struct Judged {
    pub sort: &'static str,
    pub patient: String,
    pub question: String,
    pub expected: Expected,
    /// Of the result that is asked for.
    pub unit: Option<String>,
    /// How it is put otherwise, and the question as it was.
    pub variant: Option<(Variant, String)>,
}

/// A way of putting a question otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    ShortForm,
    Slip,
    Unit,
    Order,
}

impl Judged {
    fn measured_in(self, unit: &str) -> Self {
        Self { unit: Some(unit.to_owned()), ..self }
    }
}

/// One patient's resources, and every text that is known of them.
struct Chart {
    patient: String,
    resources: Vec<Value>,
    /// Lower case, for what is certainly not in it.
    everything: String,
}

/// Bundles of a folder, one patient each; `beside` are further files whose text counts as known.
pub fn judged(bundles: &Path, late: Option<&Path>, beside: &[PathBuf]) -> Result<Vec<Judged>, Failure> {
    let mut charts = Vec::new();
    for path in json_files(bundles)? {
        let bundle: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let resources: Vec<Value> = list(&bundle, "entry").iter().map(|entry| entry["resource"].clone()).collect();
        let Some(patient) = resources.iter().find(|one| one["resourceType"] == "Patient") else { continue };
        let Some(id) = patient["id"].as_str().map(str::to_owned) else { continue };
        charts.push(Chart { patient: id, everything: bundle.to_string().to_lowercase(), resources });
    }
    let known: Vec<String> = beside.iter().map(fs::read_to_string).collect::<Result<_, _>>()?;
    let known = known.join("\n").to_lowercase();
    let late = late.map(fs::read_to_string).transpose()?.unwrap_or_default();
    for chart in &mut charts {
        chart.everything.push_str(&known);
        for line in late.lines() {
            let Ok(resource) = serde_json::from_str::<Value>(line) else { continue };
            let subject = resource["subject"]["reference"].as_str().unwrap_or_default();
            if subject.ends_with(&chart.patient) {
                chart.resources.push(resource);
            }
        }
    }
    Ok(charts.iter().flat_map(Chart::questions).collect())
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What a person would call it: the text, else the first display.
fn called(concept: &Value) -> Option<String> {
    let display = || list(concept, "coding").first().and_then(|coding| coding["display"].as_str());
    concept["text"].as_str().or_else(display).map(str::to_owned)
}

/// `Hemoglobin [Mass/volume] in Blood` is asked for as hemoglobin.
fn spoken(name: &str) -> String {
    let ends: &[char] = if name.contains("Hemoglobin.total") { &['[', '(', '/'] } else { &['[', '('] };
    let end = name.find(ends).unwrap_or(name.len());
    let short = name[..end].trim();
    let short = short.strip_suffix(" by Automated count").unwrap_or(short);
    short.strip_suffix(" Auto").unwrap_or(short).trim().to_owned()
}

fn code(value: &Value) -> Option<&str> {
    list(value, "coding").first().and_then(|coding| coding["code"].as_str())
}

/// The day as it is written, and in UTC.
fn days(time: &str) -> Vec<String> {
    let written = time.get(..10).unwrap_or(time).to_owned();
    let utc = crate::domain::Timestamp::parse(time).map(|time| time.date());
    std::iter::once(written).chain(utc).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Chart {
    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.resources.iter().filter(move |resource| resource["resourceType"] == kind)
    }

    fn ask(&self, sort: &'static str, question: String, expected: Expected) -> Judged {
        Judged { sort, patient: self.patient.clone(), question, expected, unit: None, variant: None }
    }

    fn questions(&self) -> Vec<Judged> {
        let mut all = self.results();
        all.extend(self.medications());
        all.extend(self.conditions());
        all.extend(self.allergies());
        all.extend(self.immunizations());
        all.extend(self.procedures());
        all.extend(self.findings());
        all.extend(self.reasons());
        all.extend(self.absences());
        let varied: Vec<Judged> = all.iter().filter(|one| one.sort != "text").flat_map(variants).collect();
        all.extend(varied);
        all
    }
}

/// Without `(disorder)` and the like.
fn plain(name: &str) -> String {
    let mut plain = name.to_owned();
    while let (Some(open), Some(close)) = (plain.find(" ("), plain.find(')')) {
        if close < open {
            break;
        }
        plain.replace_range(open..=close, "");
    }
    plain.trim().to_owned()
}
