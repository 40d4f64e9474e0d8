//! `anamnesis eval answers`: what is answered, held against known answers, through the server's own path.
//!
//! Three sets: questions made from FHIR resources (`questions`), evidence sentences of claims, and the right abstract of
//! questions over abstracts (both `evidence`).

mod evidence;
mod questions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::arguments::EvalAnswersOptions;
use super::files::find;
use super::{Done, Failure, ingest, models};
use crate::access::{Access, DevelopmentKey, Policy, TokenGrant, Upkeep, Verifier};
use crate::app::{App, read_mapping};
use crate::config::{Config, SourceConfig, one_day, one_week};
use crate::domain::{
    Answer, AnswerStatus, Check, Feed, Filters, Mode, PatientId, Query, SourceDescription, SourceId, TenantId, Verdict,
};
use crate::flows::PASSAGES;
use questions::{Expected, Judged, Variant};

const TENANT: &str = "evaluation";
/// Every sensitivity code that the records may carry: the evaluation reads all of them.
const CLEARED: [&str; 9] = ["R", "V", "HIV", "PSY", "SUD", "ETH", "MST", "SEX", "STD"];

/// How one sort of question fared.
#[derive(Debug, Default, Serialize)]
struct Tally {
    asked: usize,
    right: usize,
    abstained: usize,
}

/// How questions fared that were put otherwise in one way.
#[derive(Debug, Default, Serialize)]
struct Varied {
    asked: usize,
    right: usize,
    /// Of the questions as they were.
    right_before: usize,
}

/// A question that was asked.
struct Asked {
    judged: Judged,
    right: bool,
    abstained: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    by_sort: BTreeMap<String, Tally>,
    questions: usize,
    /// Of answerable questions to facts, the share that is right.
    structured_accuracy: f64,
    /// Of answerable questions to texts.
    text_accuracy: f64,
    variants: BTreeMap<Variant, Varied>,
    variant_accuracy: f64,
    /// Of the questions that the variants were made from, each as often as it was varied.
    accuracy_of_their_originals: f64,
    refusal_on_unanswerable: f64,
    refusal_on_answerable: f64,
    /// Quotes that equal the bytes at their span, of all quotes.
    verbatim_rate: f64,
    quotes: usize,
    /// Milliseconds, the middle and the 95th of 100.
    latency_p50_ms: f64,
    latency_p95_ms: f64,
}

pub async fn run(config: Config, options: EvalAnswersOptions) -> Done {
    if let Some(folder) = &options.evidence {
        let report = evidence::measure(config, folder, &options).await?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let report = evaluate(config, &options).await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

async fn evaluate(config: Config, options: &EvalAnswersOptions) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut asked: Vec<Asked> = Vec::new();
    let mut latencies = Vec::new();
    let mut quotes = (0, 0);
    let sets = [Some(hospital(&options.hospital)?), options.patients.as_deref().map(patients).transpose()?];
    for set in sets.into_iter().flatten() {
        let temporary = tempfile::tempdir()?;
        let mut config = config.clone();
        config.data_dir = options.work.as_ref().map_or_else(|| temporary.path().to_owned(), |work| work.join(set.name));
        std::fs::create_dir_all(&config.data_dir)?;
        config.sources = Vec::new();
        let app = App::start(config.clone(), models::load(&config).await?).await?;
        set.fill(&app).await?;
        let access = access().await?;
        for judged in set.questions {
            let filters = Filters { patient: Some(PatientId::new(&*judged.patient)), ..Filters::default() };
            let query = Query::new(&judged.question, Mode::Hybrid, filters, PASSAGES)?;
            let started = Instant::now();
            let answer = app.answer.run(&access, &query).await?;
            latencies.push(started.elapsed().as_secs_f64() * 1000.0);
            for citation in answer.citations() {
                let stored = app.store.document_version(&access, &citation.key).await?;
                let text = stored.map(|stored| stored.document.text).unwrap_or_default();
                quotes.0 += usize::from(citation.span.of(&text) == Some(citation.quote.as_str()));
                quotes.1 += 1;
            }
            let right = is_right(&judged.expected, &answer);
            if options.wrong && !right {
                let said: Vec<&str> = answer.sentences.iter().map(|one| one.text.as_str()).take(3).collect();
                eprintln!(
                    "{} {} | {} | {:?} | {:?} {:?} {said:?}",
                    judged.sort, judged.patient, judged.question, judged.expected, answer.status, answer.route
                );
            }
            asked.push(Asked { judged, right, abstained: answer.status == AnswerStatus::Abstained });
        }
        app.store.close().await;
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    (report.latency_p50_ms, report.latency_p95_ms) = (at(0.5), at(0.95));
    report.quotes = quotes.1;
    report.verbatim_rate = share(quotes.0, quotes.1);
    tally(&mut report, &asked);
    Ok(report)
}

fn tally(report: &mut Report, asked: &[Asked]) {
    let of = |wanted: &dyn Fn(&Judged) -> bool| asked.iter().filter(|one| wanted(&one.judged)).collect::<Vec<_>>();
    let right = |some: &[&Asked]| share(some.iter().filter(|one| one.right).count(), some.len());
    let refused = |some: &[&Asked]| share(some.iter().filter(|one| one.abstained).count(), some.len());
    let plain = |judged: &Judged| judged.variant.is_none();
    let answerable = |judged: &Judged| plain(judged) && judged.expected != Expected::Nothing;
    report.questions = asked.len();
    report.structured_accuracy = right(&of(&|judged| answerable(judged) && judged.sort != "text"));
    report.text_accuracy = right(&of(&|judged| answerable(judged) && judged.sort == "text"));
    report.refusal_on_unanswerable = refused(&of(&|judged| judged.expected == Expected::Nothing));
    report.refusal_on_answerable = refused(&of(&answerable));
    for one in asked {
        let way = one.judged.variant.as_ref().map_or(String::new(), |(way, _)| format!(" ({way:?})"));
        let tally = report.by_sort.entry(format!("{}{way}", one.judged.sort)).or_default();
        tally.asked += 1;
        tally.right += usize::from(one.right);
        tally.abstained += usize::from(one.abstained);
    }
    tally_variants(report, asked);
}

fn tally_variants(report: &mut Report, asked: &[Asked]) {
    let before: BTreeMap<(&str, &str), bool> = asked
        .iter()
        .filter(|one| one.judged.variant.is_none())
        .map(|one| ((one.judged.patient.as_str(), one.judged.question.as_str()), one.right))
        .collect();
    for one in asked {
        let Some((way, original)) = &one.judged.variant else { continue };
        let varied = report.variants.entry(*way).or_default();
        varied.asked += 1;
        varied.right += usize::from(one.right);
        varied.right_before += usize::from(before.get(&(&one.judged.patient, original)) == Some(&true));
    }
    let sum = |of: fn(&Varied) -> usize| report.variants.values().map(of).sum::<usize>();
    let all = sum(|varied| varied.asked);
    (report.variant_accuracy, report.accuracy_of_their_originals) =
        (share(sum(|varied| varied.right), all), share(sum(|varied| varied.right_before), all));
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A caller like any other, cleared for all labels.
async fn access() -> Result<Access, Failure> {
    let key = DevelopmentKey::random();
    let mut grant = TokenGrant::new("evaluation", TenantId::new(TENANT), "system/*.rs");
    grant.sensitivity = CLEARED.map(str::to_owned).to_vec();
    Ok(Verifier::development(key.clone()).verify(&key.mint(&grant), &Policy::default()).await?)
}

/// Files for sources, in order, and the questions over them.
struct Set {
    name: &'static str,
    feeds: Vec<(SourceDescription, PathBuf, bool)>,
    questions: Vec<Judged>,
}

impl Set {
    async fn fill(&self, app: &App) -> Done {
        let (upkeep, tenant) = (Upkeep::begin(), TenantId::new(TENANT));
        for (source, path, is_mapped) in &self.feeds {
            app.store.declare_source(&tenant, source).await?;
            let found = find(std::slice::from_ref(path), *is_mapped)?;
            ingest::take_in(app, &upkeep, &tenant, &source.name, &found).await?;
        }
        ingest::index_all(app, &upkeep).await
    }
}

fn source(name: &str, mapping: Option<&Path>) -> Result<SourceDescription, Failure> {
    Ok(SourceDescription {
        name: SourceId::new(name),
        patients: "main".to_owned(),
        warn_after_s: one_day(),
        error_after_s: one_week(),
        mapping: mapping.map(read_mapping).transpose()?,
        feed: Feed::default(),
    })
}

/// The fictional hospital, with questions from its resources and those written by hand.
fn hospital(folder: &Path) -> Result<Set, Failure> {
    let settings = folder.join("anamnesis.toml");
    let declared = SourceConfig::read_all(&settings)?;
    let described = |name: &str| {
        let mapping = declared.iter().find(|one| one.name == name).and_then(|one| one.mapping.as_deref());
        source(name, mapping)
    };
    let mut feeds = Vec::new();
    for (name, path) in [
        ("ehr", "fhir"),
        ("ehr", "late-results.ndjson"),
        ("notes", "notes"),
        ("notes", "corrections"),
        ("crm-contacts", "crm/contacts.csv"),
        ("crm-tasks", "crm/tasks.json"),
        ("scheduling", "appointments.ndjson"),
    ] {
        feeds.push((described(name)?, folder.join(path), name.starts_with("crm")));
    }
    let beside: Vec<PathBuf> = std::fs::read_dir(folder.join("notes"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    let mut questions = questions::judged(&folder.join("fhir"), Some(&folder.join("late-results.ndjson")), &beside)?;
    questions.extend(by_hand(&folder.join("../questions.jsonl"))?);
    Ok(Set { name: "hospital", feeds, questions })
}

fn patients(folder: &Path) -> Result<Set, Failure> {
    let questions = questions::judged(folder, None, &[])?;
    Ok(Set { name: "patients", feeds: vec![(source("ehr", None)?, folder.to_owned(), false)], questions })
}

/// Questions with the words that an answer must hold.
fn by_hand(path: &Path) -> Result<Vec<Judged>, Failure> {
    let mut questions = Vec::new();
    for line in std::fs::read_to_string(path)?.lines().filter(|line| !line.trim().is_empty()) {
        let one: serde_json::Value = serde_json::from_str(line)?;
        let words = one["must_contain"].as_array().cloned().unwrap_or_default();
        let words: Vec<String> = words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
        questions.push(Judged {
            sort: "text",
            patient: one["patient"].as_str().unwrap_or_default().to_owned(),
            question: one["question"].as_str().unwrap_or_default().to_owned(),
            expected: if words.is_empty() { Expected::Nothing } else { Expected::Text(words) },
            unit: None,
            variant: None,
        });
    }
    Ok(questions)
}

fn is_right(expected: &Expected, answer: &Answer) -> bool {
    let said: Vec<&str> =
        answer.sentences.iter().filter(|one| one.check != Check::NotNeeded).map(|one| one.text.as_str()).collect();
    let first = said.first().copied().unwrap_or_default();
    let finding = answer.finding.as_ref();
    let one_of = |text: &str, days: &[String]| days.iter().any(|day| text.contains(day.as_str()));
    match expected {
        Expected::Value { number, days } => states(first, *number) && one_of(first, days),
        Expected::Series { points, newest } => finding.is_some_and(|finding| {
            let held: usize = finding.series.iter().map(|series| series.points.len()).sum();
            let mut all: Vec<_> = finding.series.iter().flat_map(|series| &series.points).collect();
            all.sort_by_key(|point| point.time);
            held == *points
                && all.last().and_then(|point| point.value).is_some_and(|value| (value - newest).abs() < 1e-6)
        }),
        Expected::Count(count) => finding.is_some_and(|finding| finding.count == Some(*count)),
        Expected::Lines(lines) => {
            let held = |line: &String| said.iter().any(|text| text.contains(line.as_str()));
            let distinct: std::collections::BTreeSet<&String> = lines.iter().collect();
            lines.iter().all(held) && said.len() == distinct.len()
        }
        Expected::Yes => finding.is_some_and(|finding| finding.verdict == Some(Verdict::Yes)),
        Expected::No => finding.is_some_and(|finding| finding.verdict == Some(Verdict::No)),
        Expected::Day(days) => one_of(first, days),
        Expected::Text(words) => words.iter().all(|word| said.iter().any(|text| text.contains(word.as_str()))),
        Expected::Nothing => answer.status == AnswerStatus::Abstained,
    }
}

/// Whether the number stands in the text, however it is written.
fn states(text: &str, number: f64) -> bool {
    let numbers = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|word| word.trim_matches('.').parse::<f64>().ok());
    numbers.into_iter().any(|found| (found - number).abs() < 1e-6)
}
