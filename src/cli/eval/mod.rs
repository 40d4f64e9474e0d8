//! `anamnesis eval`: a judged set through the server's own path, from landing to search.

mod corpus;
mod gate;
mod report;
mod run;
mod set;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Instant;

use super::arguments::EvalOptions;
use super::{Done, Failure, ingest, models, progress};
use crate::access::{Access, DevelopmentKey, Policy, TokenGrant, Upkeep, Verifier};
use crate::app::App;
use crate::config::Config;
use crate::domain::{Filters, TenantId};
use crate::stages::judge::{Figures, Judgements};
pub(super) use corpus::SOURCE;
use gate::Minimum;
use report::{Judged, Report, Seconds};
use run::Run;
use set::Set;
pub(super) use set::{JudgedQuery, read_lines};

const TENANT: &str = "evaluation";
/// Documents that figures are taken over.
const DEPTH: usize = 100;
/// Of these, how many are named in the file of queries.
const NAMED: usize = 10;

pub async fn run(config: Config, options: EvalOptions) -> Done {
    let minima = options.at_least.iter().map(|text| Minimum::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let earlier = options.against.as_deref().map(report::read_judged).transpose()?;
    let report = evaluate(config, &options, earlier.as_deref()).await?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    gate::check(&report, &minima, options.best)
}

async fn evaluate(config: Config, options: &EvalOptions, earlier: Option<&[Judged]>) -> Result<Report, Failure> {
    let runs = options.runs.iter().map(|text| Run::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let set = Set::read(&options.dir, options.qrels.as_deref())?;
    let temporary = tempfile::tempdir()?;
    let mut config = config;
    config.data_dir = options.work.clone().unwrap_or_else(|| temporary.path().to_owned());
    config.sources = corpus::sources(&set)?;
    TENANT.clone_into(&mut config.tenant);
    let app = App::start(config.clone(), models::load(&config).await?).await?;
    let started = Instant::now();
    let documents = corpus::fill(&app, &set).await?;
    let ingest = started.elapsed().as_secs_f64();
    let started = Instant::now();
    ingest::index_all(&app, &Upkeep::begin()).await?;
    let index = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let judged = measure(&app, &set, &runs).await?;
    let search = started.elapsed().as_secs_f64();
    app.store.close().await;
    if let Some(file) = &options.per_query {
        fs::write(file, report::lines(&judged)?)?;
    }
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    Ok(Report::new(documents, &names, &judged, earlier, Seconds { ingest, index, search }))
}

/// A caller like any other: a token, verified; cleared for every label, as the judges were.
pub(super) async fn access() -> Result<Access, Failure> {
    let key = DevelopmentKey::random();
    let mut grant = TokenGrant::new("evaluation", TenantId::new(TENANT), "system/*.rs");
    grant.sensitivity =
        ["R", "V", "HIV", "PSY", "SUD", "ETH", "STD", "SEX", "MST", "PSYTHPN"].map(str::to_owned).into();
    let token = key.mint(&grant);
    Ok(Verifier::development(key).verify(&token, &Policy::default()).await?)
}

/// The documents of a judged set landed, read and indexed.
pub(super) async fn take_in(app: &App, dir: &Path) -> Done {
    corpus::fill(app, &Set::read(dir, None)?).await?;
    ingest::index_all(app, &Upkeep::begin()).await
}

/// Of each query of the usual judgements, the keys of the documents that are relevant.
pub(super) fn relevant(dir: &Path) -> Result<BTreeMap<String, HashSet<String>>, Failure> {
    let above = |grades: Judgements| grades.into_iter().filter(|(_, grade)| *grade > 0).map(|(key, _)| key).collect();
    Ok(Set::read(dir, None)?.judgements.into_iter().map(|(query, grades)| (query, above(grades))).collect())
}

async fn measure(app: &App, set: &Set, runs: &[Run]) -> Result<Vec<Judged>, Failure> {
    let access = access().await?;
    let judged: Vec<&JudgedQuery> = set.queries.iter().filter(|query| set.judgements.contains_key(&query.id)).collect();
    let bar = progress::counting("search", (judged.len() * runs.len()) as u64);
    let mut figures = Vec::with_capacity(judged.len() * runs.len());
    for run in runs {
        for query in &judged {
            let ranking = rank(app, &access, query, run).await?;
            bar.inc(1);
            let Some(relevant) = set.judgements.get(&query.id) else { continue };
            let Some(found) = Figures::of(&ranking, relevant) else { continue };
            figures.push(Judged {
                run: run.name.clone(),
                query: query.id.clone(),
                class: query.metadata.class.clone(),
                figures: found,
                documents: ranking.into_iter().take(NAMED).collect(),
            });
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}

/// The keys of the documents found, best first, each where its best passage stands.
async fn rank(app: &App, access: &Access, query: &JudgedQuery, run: &Run) -> Result<Vec<String>, Failure> {
    let filters = Filters { patient: query.metadata.patient.clone(), ..Filters::default() };
    let retrieved = app.retrieve.run(access, &run.query(&query.text, filters, DEPTH)?).await?;
    Ok(retrieved.passages.into_iter().map(|passage| passage.document.document.source_key).collect())
}
