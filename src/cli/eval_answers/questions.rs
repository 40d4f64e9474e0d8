//! Questions with known answers, made from FHIR resources without any of the code that answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::Failure;

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
    /// Put with a typo, an abbreviation, another unit or other word order.
    pub is_variant: bool,
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

struct Measured {
    number: f64,
    time: String,
}

impl Chart {
    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.resources.iter().filter(move |resource| resource["resourceType"] == kind)
    }

    fn ask(&self, sort: &'static str, question: String, expected: Expected) -> Judged {
        Judged { sort, patient: self.patient.clone(), question, expected, is_variant: false }
    }

    fn questions(&self) -> Vec<Judged> {
        let mut all = self.results();
        all.extend(self.medications());
        all.extend(self.conditions());
        all.extend(self.allergies());
        all.extend(self.immunizations());
        all.extend(self.procedures());
        all.extend(self.absences());
        let varied: Vec<Judged> = all.iter().filter_map(variant).collect();
        all.extend(varied);
        all
    }

    /// Numeric results by what they are called, oldest first.
    fn series(&self) -> BTreeMap<String, (String, Vec<Measured>)> {
        let mut series: BTreeMap<String, (String, Vec<Measured>)> = BTreeMap::new();
        // A test with results that are no plain number (`< 20`, `not detected`) has no numeric answer.
        let is_plain =
            |one: &&Value| one["valueQuantity"]["value"].is_number() && one["valueQuantity"]["comparator"].is_null();
        let mixed: BTreeSet<String> = self
            .of("Observation")
            .filter(|one| !is_plain(one))
            .filter_map(|one| called(&one["code"]).map(|name| spoken(&name)))
            .collect();
        for resource in self.of("Observation") {
            let status = resource["status"].as_str().unwrap_or_default();
            let (Some(name), Some(number), Some(time)) = (
                called(&resource["code"]),
                resource["valueQuantity"]["value"].as_f64(),
                resource["effectiveDateTime"].as_str(),
            ) else {
                continue;
            };
            if !["final", "amended", "corrected"].contains(&status) || mixed.contains(&spoken(&name)) {
                continue;
            }
            let name = spoken(&name);
            let entry = series.entry(name.to_lowercase()).or_insert_with(|| (name, Vec::new()));
            entry.1.push(Measured { number, time: time.to_owned() });
        }
        let at = |result: &Measured| crate::domain::Timestamp::parse(&result.time);
        series.values_mut().for_each(|(_, results)| results.sort_by_key(at));
        series
    }

    fn results(&self) -> Vec<Judged> {
        const LATEST: [&str; 4] = [
            "What is the latest {}?",
            "What was the most recent {} result?",
            "What was the patient's last {}?",
            "current {} value",
        ];
        let mut all = Vec::new();
        for (turn, (_, (name, results))) in self.series().into_iter().enumerate() {
            let Some(newest) = results.last() else { continue };
            let at_once = |day: &str| results.iter().filter(|one| one.time.starts_with(day)).count();
            let count = results.iter().map(|one| &one.time).collect::<BTreeSet<_>>().len();
            if count != results.len() || name == "Total score" {
                // Two values of one moment: neither is the latest. And a name that says nothing names nothing.
                continue;
            }
            let question = LATEST[turn % LATEST.len()].replace("{}", &name);
            let value = |one: &Measured| Expected::Value { number: one.number, days: days(&one.time) };
            all.push(self.ask("latest", question, value(newest)));
            if turn % 2 == 0 {
                all.push(self.ask("count", format!("How many {name} results are on record?"), Expected::Count(count)));
            }
            if results.len() < 2 {
                continue;
            }
            let series = Expected::Series { points: count, newest: newest.number };
            let trend = if turn % 2 == 0 { "How has the {} changed over time?" } else { "Show the trend of the {}" };
            all.push(self.ask("trend", trend.replace("{}", &name), series));
            let middle = &results[results.len() / 2];
            let day = middle.time.get(..10).unwrap_or_default();
            if at_once(day) == 1 && days(&middle.time).len() == 1 {
                all.push(self.ask("dated", format!("What was the {name} on {day}?"), value(middle)));
            }
            let highest = results.iter().max_by(|a, b| a.number.total_cmp(&b.number));
            if let Some(highest) =
                highest.filter(|best| results.iter().filter(|one| one.number == best.number).count() == 1)
            {
                all.push(self.ask("extreme", format!("What was the highest {name}?"), value(highest)));
            }
        }
        all
    }

    fn medications(&self) -> Vec<Judged> {
        let mut by_display: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for resource in self.of("MedicationRequest").chain(self.of("MedicationStatement")) {
            let Some(name) = called(&resource["medicationCodeableConcept"]) else { continue };
            let status = resource["status"].as_str().unwrap_or_default().to_owned();
            by_display.entry(name).or_default().insert(status);
        }
        let mut all = Vec::new();
        let active: Vec<String> =
            by_display.iter().filter(|(_, status)| status.contains("active")).map(|(name, _)| name.clone()).collect();
        let is_on = |drug: &str| {
            let named = by_display.iter().filter(|(name, _)| name.to_lowercase().contains(&drug.to_lowercase()));
            named.map(|(_, status)| status).any(|status| status.contains("active"))
        };
        let unsure = |drug: &str| {
            let named = by_display.iter().filter(|(name, _)| name.to_lowercase().contains(&drug.to_lowercase()));
            named.map(|(_, status)| status).any(|status| status.contains("unknown"))
        };
        let drugs: BTreeSet<String> = by_display.keys().filter_map(|name| drug(name)).collect();
        for (turn, drug) in drugs.iter().filter(|drug| !unsure(drug)).enumerate() {
            let question = match turn % 3 {
                0 => format!("Is the patient on {drug}?"),
                1 => format!("Is the patient still taking {drug}?"),
                _ => format!("Does the patient currently take {drug}?"),
            };
            let expected = if is_on(drug) { Expected::Yes } else { Expected::No };
            all.push(self.ask("medication", question, expected));
        }
        if !active.is_empty() && !by_display.values().any(|status| status.contains("unknown")) {
            let question = "What medications is the patient currently taking?".to_owned();
            all.push(self.ask("list", question, Expected::Lines(active)));
        }
        all
    }

    fn conditions(&self) -> Vec<Judged> {
        let mut by_name: BTreeMap<String, (BTreeSet<String>, Vec<String>, usize)> = BTreeMap::new();
        for resource in self.of("Condition") {
            let (Some(name), Some(clinical)) = (called(&resource["code"]), code(&resource["clinicalStatus"])) else {
                continue;
            };
            let entry = by_name.entry(name).or_default();
            entry.0.insert(clinical.to_owned());
            entry.1.extend(resource["onsetDateTime"].as_str().map(str::to_owned));
            entry.2 += 1;
        }
        let mut all = Vec::new();
        let names: Vec<String> = by_name.keys().map(|name| plain(name).to_lowercase()).collect();
        for (turn, (name, (clinical, onsets, count))) in by_name.iter().enumerate() {
            let name = plain(name);
            // Where one name is within another, a question for the shorter means both.
            if names.iter().filter(|other| other.contains(&name.to_lowercase())).count() > 1 || name.contains(',') {
                continue;
            }
            let so = clinical.iter().any(|status| ["active", "recurrence", "relapse"].contains(&status.as_str()));
            let ever = turn % 3 == 1;
            let question = if ever {
                format!("Has the patient ever had {name}?")
            } else {
                format!("Does the patient have {name}?")
            };
            all.push(self.ask("presence", question, if so || ever { Expected::Yes } else { Expected::No }));
            let first = onsets.iter().min_by_key(|time| crate::domain::Timestamp::parse(time));
            if let Some(first) = first {
                all.push(self.ask("date", format!("When was {name} first diagnosed?"), Expected::Day(days(first))));
            }
            if *count > 1 {
                all.push(self.ask(
                    "count",
                    format!("How many times did the patient have {name}?"),
                    Expected::Count(*count),
                ));
            }
        }
        all
    }

    fn allergies(&self) -> Vec<Judged> {
        let mut all = Vec::new();
        let mut active = Vec::new();
        for resource in self.of("AllergyIntolerance") {
            let (Some(name), Some(clinical)) = (called(&resource["code"]), code(&resource["clinicalStatus"])) else {
                continue;
            };
            let denied = code(&resource["verificationStatus"]) == Some("refuted");
            let so = clinical == "active" && !denied && !name.starts_with("No known");
            if so {
                active.push(name.clone());
            }
            let substance = plain(&name).replace("Allergy to ", "").replace(" allergy", "");
            if !name.starts_with("No known") && !substance.contains(" and ") {
                let question = format!("Is the patient allergic to {}?", substance.to_lowercase());
                all.push(self.ask("presence", question, if so { Expected::Yes } else { Expected::No }));
            }
        }
        if !active.is_empty() {
            all.push(self.ask("list", "What allergies does the patient have?".to_owned(), Expected::Lines(active)));
        }
        all
    }

    fn immunizations(&self) -> Vec<Judged> {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for resource in self.of("Immunization").filter(|one| one["status"] == "completed") {
            let (Some(name), Some(time)) = (called(&resource["vaccineCode"]), resource["occurrenceDateTime"].as_str())
            else {
                continue;
            };
            by_name.entry(spoken(&name)).or_default().push(time.to_owned());
        }
        let total = by_name.values().map(Vec::len).sum();
        let mut all = Vec::new();
        if total > 0 {
            let question = "How many immunizations has the patient received?".to_owned();
            all.push(self.ask("count", question, Expected::Count(total)));
        }
        for (name, mut times) in by_name {
            times.sort_by_key(|time| crate::domain::Timestamp::parse(time));
            let Some(last) = times.last() else { continue };
            let question = format!("When was the last {name} vaccine given?");
            all.push(self.ask("date", question, Expected::Day(days(last))));
            let question = format!("How many {name} vaccinations are on record?");
            all.push(self.ask("count", question, Expected::Count(times.len())));
        }
        all
    }

    fn procedures(&self) -> Vec<Judged> {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for resource in self.of("Procedure").filter(|one| one["status"] == "completed") {
            let time = resource["performedPeriod"]["start"].as_str().or(resource["performedDateTime"].as_str());
            if let (Some(name), Some(time)) = (called(&resource["code"]), time) {
                by_name.entry(plain(&name)).or_default().push(time.to_owned());
            }
        }
        let mut all = Vec::new();
        for (name, mut times) in by_name.into_iter().filter(|(name, _)| !name.contains(',')) {
            times.sort_by_key(|time| crate::domain::Timestamp::parse(time));
            let Some(last) = times.last() else { continue };
            let question = format!("When was the patient's last {}?", name.to_lowercase());
            all.push(self.ask("date", question, Expected::Day(days(last))));
        }
        all
    }

    /// Things that stand nowhere in the record.
    fn absences(&self) -> Vec<Judged> {
        const ABSENT: [(&str, &str); 44] = [
            ("uric acid", "What is the latest uric acid?"),
            ("lithium", "What is the latest lithium level?"),
            ("digoxin", "Is the patient on digoxin?"),
            ("lactate", "What was the most recent lactate?"),
            ("psa", "What is the patient's last PSA?"),
            ("magnesium", "How has the magnesium changed over time?"),
            ("lipase", "What was the highest lipase?"),
            ("phosph", "What is the latest phosphate?"),
            ("prothrombin", "What was the last prothrombin time?"),
            ("d-dimer", "What was the D-dimer?"),
            ("troponin", "What is the latest troponin?"),
            ("ferritin", "What is the current ferritin?"),
            ("inr", "What is the latest INR?"),
            ("bnp", "What is the most recent BNP?"),
            ("vitamin b12", "What is the latest vitamin B12?"),
            ("amiodarone", "Is the patient taking amiodarone?"),
            ("clozapine", "Is the patient on clozapine?"),
            ("infliximab", "When was infliximab started?"),
            ("insulin", "Which insulin does the patient use?"),
            ("warfarin", "What dose of warfarin does the patient take?"),
            ("phenytoin", "Is the patient taking phenytoin?"),
            ("tacrolimus", "Is the patient on tacrolimus?"),
            ("sertraline", "Why was sertraline stopped?"),
            ("lupus", "Does the patient have lupus?"),
            ("crohn", "Does the patient have Crohn's disease?"),
            ("multiple sclerosis", "Does the patient have multiple sclerosis?"),
            ("gout", "When was gout diagnosed?"),
            ("glaucoma", "Does the patient have glaucoma?"),
            ("cystic fibrosis", "Does the patient have cystic fibrosis?"),
            ("sarcoidosis", "When was sarcoidosis diagnosed?"),
            ("tonsillectomy", "When was the tonsillectomy?"),
            ("hip replacement", "Has the patient had a hip replacement?"),
            ("bypass", "When was the coronary bypass surgery?"),
            ("hysterectomy", "When was the hysterectomy performed?"),
            ("yellow fever", "When was the last yellow fever vaccine given?"),
            ("rabies", "How many rabies vaccinations are on record?"),
            ("typhoid", "When was the last typhoid vaccine given?"),
            ("shellfish", "Is the patient allergic to shellfish?"),
            ("vancomycin", "Is the patient allergic to vancomycin?"),
            ("pacemaker", "Which pacemaker model was implanted?"),
            ("colonoscopy", "What did the colonoscopy find?"),
            ("mri", "What did the brain MRI show?"),
            ("bone density", "What is the bone density T-score?"),
            ("blood group", "What is the blood group?"),
        ];
        let absent = ABSENT.iter().filter(|(word, _)| !self.holds(word));
        absent.map(|(_, question)| self.ask("unanswerable", (*question).to_owned(), Expected::Nothing)).collect()
    }

    /// As a word's beginning.
    fn holds(&self, word: &str) -> bool {
        let begins = |at: usize| !self.everything[..at].ends_with(|c: char| c.is_alphanumeric());
        self.everything.match_indices(word).any(|(at, _)| begins(at))
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

/// The first drug of a display, without its dose.
fn drug(display: &str) -> Option<String> {
    let words: Vec<&str> = display.split(' ').collect();
    let start = if words.first() == Some(&"24") { 2 } else { 0 };
    let end =
        words.iter().skip(start).position(|word| word.starts_with(|c: char| c.is_ascii_digit() || "[/(".contains(c)));
    let name = words.get(start..end.map_or(words.len(), |end| start + end))?.join(" ");
    let name = name.split(" capsule").next()?.split(" tablet").next()?.trim().to_owned();
    (!name.is_empty() && name.split(' ').count() <= 3).then_some(name)
}

/// The same question as somebody in a hurry puts it.
fn variant(judged: &Judged) -> Option<Judged> {
    const SHORT: [(&str, &str); 22] = [
        ("hemoglobin a1c", "HbA1c"),
        ("blood pressure", "BP"),
        ("white blood cell count", "WBC"),
        ("platelet count", "plt"),
        ("urea nitrogen", "BUN"),
        ("blood urea nitrogen", "BUN"),
        ("triglycerides", "trigs"),
        ("body weight", "wt"),
        ("body height", "ht"),
        ("body mass index", "BMI"),
        ("oxygen saturation", "O2 sat"),
        ("heart rate", "HR"),
        ("c-reactive protein", "CRP"),
        ("low density lipoprotein cholesterol", "LDL"),
        ("creatinine", "creat"),
        ("high density lipoprotein cholesterol", "HDL"),
        ("potassium", "K"),
        ("sodium", "Na"),
        ("hypertension", "HTN"),
        ("acetaminophen", "Tylenol"),
        ("furosemide", "Lasix"),
        ("hematocrit", "hct"),
    ];
    let lower = judged.question.to_lowercase();
    let mut other = judged.clone();
    other.is_variant = true;
    if judged.expected == Expected::Nothing || judged.sort == "list" {
        return None;
    }
    let is_part = lower.contains("albumin") || lower.contains(", 1 hour");
    if let Some((long, short)) =
        SHORT.iter().filter(|_| !is_part).filter(|(long, _)| lower.contains(long)).max_by_key(|(long, _)| long.len())
    {
        other.question = lower.replacen(long, short, 1);
        return Some(other);
    }
    if judged.sort == "latest" && judged.question.starts_with("What is the latest ") {
        let name = judged.question.trim_start_matches("What is the latest ").trim_end_matches('?');
        other.question = format!("{name} latest?");
        return Some(other);
    }
    other.question = with_a_slip(&judged.question)?;
    Some(other)
}

/// Two letters of the longest word change places.
fn with_a_slip(question: &str) -> Option<String> {
    let words = question.split(' ').filter(|word| word.len() >= 7 && word.chars().all(|c| c.is_ascii_alphabetic()));
    let longest = words.max_by_key(|word| word.len())?;
    let mut letters: Vec<char> = longest.chars().collect();
    let middle = letters.len() / 2;
    if letters[middle] == letters[middle + 1] {
        return None;
    }
    letters.swap(middle, middle + 1);
    Some(question.replacen(longest, &letters.into_iter().collect::<String>(), 1))
}
