//! `anamnesis eval`: a judged set in BEIR layout through the server's own path, from landing to search.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::arguments::EvalOptions;
use super::{Done, Failure, ingest, models, progress};
use crate::access::{Access, DevelopmentKey, Policy, TokenGrant, Upkeep, Verifier};
use crate::app::App;
use crate::config::{Config, one_day, one_week};
use crate::domain::{
    Account, DocumentId, Feed, Filters, Format, Fusion, Mapping, Mode, Query, SourceDescription, SourceId, TenantId,
};
use crate::stages::judge::{FigureMeans, Judgements};

pub(super) const SOURCE: &str = "corpus";
const TENANT: &str = "evaluation";
/// Documents landed in one delivery.
const DELIVERY: usize = 500;
/// Passages asked for: several may be of one document, and recall is over 100 documents.
const PASSAGES: usize = 400;
const DEPTH: usize = 100;
const MODES: [(&str, Mode, Fusion); 4] = [
    ("keyword", Mode::Keyword, Fusion::Rrf),
    ("dense", Mode::Dense, Fusion::Rrf),
    ("hybrid", Mode::Hybrid, Fusion::Rrf),
    ("hybrid_convex", Mode::Hybrid, Fusion::Convex),
];

#[derive(Deserialize)]
pub(super) struct JudgedQuery {
    #[serde(rename = "_id")]
    pub id: String,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct ModeReport {
    ndcg_at_10: f64,
    recall_at_100: f64,
    mrr_at_10: f64,
}

#[derive(Debug, Serialize)]
pub struct EvalReport {
    documents: u64,
    queries: u32,
    modes: BTreeMap<&'static str, ModeReport>,
    ingest_seconds: f64,
    index_seconds: f64,
    search_seconds: f64,
}

pub async fn run(config: Config, options: EvalOptions) -> Done {
    let report = evaluate(config, &options).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!("{} documents, {} queries", report.documents, report.queries);
    println!("{:>14}  {:>8}  {:>11}  {:>8}", "mode", "nDCG@10", "Recall@100", "MRR@10");
    for (mode, figures) in &report.modes {
        println!(
            "{mode:>14}  {:>8.4}  {:>11.4}  {:>8.4}",
            figures.ndcg_at_10, figures.recall_at_100, figures.mrr_at_10
        );
    }
    Ok(())
}

pub async fn evaluate(mut config: Config, options: &EvalOptions) -> Result<EvalReport, Failure> {
    let temporary = tempfile::tempdir()?;
    config.data_dir = options.work.clone().unwrap_or_else(|| temporary.path().to_owned());
    config.sources = Vec::new();
    let app = App::start(config.clone(), models::load(&config).await?).await?;
    let started = Instant::now();
    let documents = fill(&app, &options.dir).await?;
    let ingest_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    ingest::index_all(&app, &Upkeep::begin()).await?;
    let index_seconds = started.elapsed().as_secs_f64();
    let judgements = read_judgements(&qrels_path(options)?)?;
    let queries = read_lines::<JudgedQuery>(&options.dir.join("queries.jsonl"))?;
    let started = Instant::now();
    let means = measure(&app, &access().await?, &queries, &judgements).await?;
    let report = |means: &FigureMeans| {
        let figures = means.means();
        ModeReport {
            ndcg_at_10: figures.ndcg_at_10,
            recall_at_100: figures.recall_at_100,
            mrr_at_10: figures.mrr_at_10,
        }
    };
    Ok(EvalReport {
        documents,
        queries: means.values().map(FigureMeans::queries).max().unwrap_or(0),
        modes: means.iter().map(|(mode, means)| (*mode, report(means))).collect(),
        ingest_seconds,
        index_seconds,
        search_seconds: started.elapsed().as_secs_f64(),
    })
}

/// A caller like any other: a token, verified.
pub(super) async fn access() -> Result<Access, Failure> {
    let key = DevelopmentKey::random();
    let token = key.mint(&TokenGrant::new("evaluation", TenantId::new(TENANT), "system/*.rs"));
    Ok(Verifier::development(key).verify(&token, &Policy::default()).await?)
}

/// The corpus landed, read and indexed.
pub(super) async fn take_in(app: &App, dir: &Path) -> Done {
    fill(app, dir).await?;
    ingest::index_all(app, &Upkeep::begin()).await
}

/// Of each query of the usual judgements, the documents that are relevant.
pub(super) fn relevant(dir: &Path) -> Result<BTreeMap<String, HashSet<String>>, Failure> {
    let usual = [dir.join("qrels.tsv"), dir.join("qrels/test.tsv")];
    let path = usual.into_iter().find(|path| path.exists()).ok_or_else(|| Failure::new("no judgements are there"))?;
    let judged = read_judgements(&path)?.into_iter();
    let above = |grades: Judgements| grades.into_iter().filter(|(_, grade)| *grade > 0).map(|(key, _)| key).collect();
    Ok(judged.map(|(query, grades)| (query, above(grades))).collect())
}

/// Lands and reads the corpus; returns how many documents it has.
async fn fill(app: &App, dir: &Path) -> Result<u64, Failure> {
    let upkeep = Upkeep::begin();
    let (tenant, source) = (TenantId::new(TENANT), SourceId::new(SOURCE));
    app.store.declare_source(&tenant, &description(&source)).await?;
    let corpus = fs::read_to_string(dir.join("corpus.jsonl"))?;
    let lines: Vec<&str> = corpus.lines().filter(|line| !line.trim().is_empty()).collect();
    let bar = progress::counting("ingest", lines.len() as u64);
    let mut total = Account::default();
    for batch in lines.chunks(DELIVERY) {
        let body = format!("[{}]", batch.iter().map(|line| with_title(line)).collect::<Result<Vec<_>, _>>()?.join(","));
        app.ingest.accept_file(&upkeep, &tenant, &source, Format::MappedJson, None, body.into_bytes()).await?;
        let mut reading = app.ingest.begin_reading(&upkeep);
        while let Some(read) = app.ingest.read_batch(&upkeep, &mut reading).await? {
            read.iter().for_each(|read| total.add(&read.account));
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let kept = total.stored + total.unchanged + total.stale;
    if kept != lines.len() as u64 {
        return Err(Failure::new(format!(
            "{} of {} documents could not be read",
            lines.len() as u64 - kept,
            lines.len()
        )));
    }
    Ok(kept)
}

/// Some sets leave the title out where there is none.
fn with_title(line: &str) -> Result<String, Failure> {
    let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
    document.entry("title").or_insert_with(|| "".into());
    Ok(serde_json::to_string(&document)?)
}

fn description(name: &SourceId) -> SourceDescription {
    SourceDescription {
        name: name.clone(),
        patients: "main".to_owned(),
        warn_after_s: one_day(),
        error_after_s: one_week(),
        feed: Feed::default(),
        mapping: Some(mapping()),
    }
}

/// A judged collection's documents have a title and a text.
fn mapping() -> Mapping {
    toml::from_str(
        r#"key = "_id"
        resource_type = "DocumentReference"
        title = "{title}"
        lines = ["{text}"]"#,
    )
    .expect("a constant")
}

async fn measure(
    app: &App,
    access: &Access,
    queries: &[JudgedQuery],
    judgements: &BTreeMap<String, Judgements>,
) -> Result<BTreeMap<&'static str, FigureMeans>, Failure> {
    let judged: Vec<&JudgedQuery> = queries.iter().filter(|query| judgements.contains_key(&query.id)).collect();
    let bar = progress::counting("search", (judged.len() * MODES.len()) as u64);
    let mut means = BTreeMap::new();
    for (name, mode, fusion) in MODES {
        let of_mode: &mut FigureMeans = means.entry(name).or_default();
        for query in &judged {
            let Some(relevant) = judgements.get(&query.id) else { continue };
            let by_id = relevant.iter().map(|(key, grade)| (document_id(key), *grade)).collect();
            of_mode.add(&rank(app, access, &query.text, mode, fusion).await?, &by_id);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(means)
}

/// The documents found, best first, each where its best passage stands.
async fn rank(app: &App, access: &Access, text: &str, mode: Mode, fusion: Fusion) -> Result<Vec<String>, Failure> {
    let query = Query { text: text.to_owned(), mode, fusion, filters: Filters::default(), limit: PASSAGES };
    let retrieved = app.retrieve.run(access, &query).await?;
    let mut seen = HashSet::new();
    let documents = retrieved.passages.iter().map(|passage| passage.document.key.id.to_string());
    Ok(documents.filter(|document| seen.insert(document.clone())).take(DEPTH).collect())
}

fn document_id(key: &str) -> String {
    DocumentId::derive(&SourceId::new(SOURCE), key).to_string()
}

fn qrels_path(options: &EvalOptions) -> Result<PathBuf, Failure> {
    let usual = [options.dir.join("qrels.tsv"), options.dir.join("qrels/test.tsv")];
    options
        .qrels
        .clone()
        .or_else(|| usual.into_iter().find(|path| path.exists()))
        .ok_or_else(|| Failure::new("no judgements: neither qrels.tsv nor qrels/test.tsv is there"))
}

/// Lines of `query-id <tab> corpus-id <tab> score`, with or without a header.
fn read_judgements(path: &Path) -> Result<BTreeMap<String, Judgements>, Failure> {
    let mut judgements: BTreeMap<String, Judgements> = BTreeMap::new();
    for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (query, document, grade) = match fields[..] {
            [query, document, grade] => (query, document, grade),
            // The four columns of TREC: query, iteration, document, grade.
            [query, _, document, grade] => (query, document, grade),
            [""] => continue,
            _ => return Err(Failure::new(format!("{}: line {} is no judgement", path.display(), number + 1))),
        };
        match grade.parse::<i64>() {
            Ok(grade) => {
                let grade = u32::try_from(grade).unwrap_or(0);
                judgements.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
            }
            Err(_) if number == 0 => {}
            Err(_) => return Err(Failure::new(format!("{}: line {} has no grade", path.display(), number + 1))),
        }
    }
    Ok(judgements)
}

pub(super) fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let text = fs::read_to_string(path)?;
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
}
