//! Takes a judged set's documents in, as a source would send them.

use std::fs;
use std::path::Path;

use super::set::{Documents, Set};
use super::{Failure, TENANT};
use crate::access::Upkeep;
use crate::app::App;
use crate::cli::{hospital, progress};
use crate::config::{SourceConfig, one_day, one_week};
use crate::domain::{Account, Feed, Format, Mapping, SourceDescription, SourceId, TenantId};

/// The source of a judged collection's documents.
pub const SOURCE: &str = "corpus";
/// Documents landed in one delivery.
const DELIVERY: usize = 500;

/// The sources to declare before the server starts.
pub fn sources(set: &Set) -> Result<Vec<SourceConfig>, Failure> {
    match &set.documents {
        Documents::Lines(_) => Ok(Vec::new()),
        Documents::Hospital(folder) => Ok(hospital::configuration(folder)?.sources),
    }
}

/// Lands and reads the documents; returns how many there are.
pub async fn fill(app: &App, set: &Set) -> Result<u64, Failure> {
    let upkeep = Upkeep::begin();
    match &set.documents {
        Documents::Lines(file) => lines(app, &upkeep, file).await,
        Documents::Hospital(folder) => {
            let accounts = hospital::take_in(app, &upkeep, &TenantId::new(TENANT), folder).await?;
            Ok(accounts.iter().map(|(_, account)| account.documents + account.unchanged).sum())
        }
    }
}

async fn lines(app: &App, upkeep: &Upkeep, file: &Path) -> Result<u64, Failure> {
    let (tenant, source) = (TenantId::new(TENANT), SourceId::new(SOURCE));
    app.store.declare_source(&tenant, &description(&source)).await?;
    let corpus = fs::read_to_string(file)?;
    let lines: Vec<&str> = corpus.lines().filter(|line| !line.trim().is_empty()).collect();
    let bar = progress::counting("ingest", lines.len() as u64);
    let mut total = Account::default();
    for batch in lines.chunks(DELIVERY) {
        let body = format!("[{}]", batch.iter().map(|line| with_title(line)).collect::<Result<Vec<_>, _>>()?.join(","));
        app.ingest.accept_file(upkeep, &tenant, &source, Format::MappedJson, None, body.into_bytes()).await?;
        let mut reading = app.ingest.begin_reading(upkeep);
        while let Some(read) = app.ingest.read_batch(upkeep, &mut reading).await? {
            read.iter().for_each(|read| total.add(&read.account));
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let (all, kept) = (lines.len() as u64, total.stored + total.unchanged + total.stale);
    if kept == all {
        Ok(kept)
    } else {
        Err(Failure::new(format!("{} of {all} documents could not be read", all - kept)))
    }
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
