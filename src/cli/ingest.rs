//! `anamnesis ingest`: files through the same path as HTTP, with an account of every record.

use std::time::Instant;

use serde::Serialize;

use super::arguments::IngestOptions;
use super::files::{FoundFiles, find};
use super::{Done, Failure, models, progress};
use crate::access::Upkeep;
use crate::adapters::index::IndexError;
use crate::adapters::sources::slices::slices;
use crate::app::{App, StartError, read_mapping};
use crate::config::{Config, one_day, one_week};
use crate::domain::{Account, Feed, ReceiptId, SourceDescription, SourceId, TenantId};

/// The account as it is written to `--report`.
#[derive(Debug, Serialize)]
struct Report {
    files: u64,
    #[serde(flatten)]
    account: Account,
    /// Records that ended nowhere: anything but 0 is a defect.
    lost: u64,
    /// Files without a byte: they carry no record.
    empty_files: u64,
    /// Files of a kind that is not read, by extension.
    ignored_files: std::collections::BTreeMap<String, u64>,
    seconds: f64,
    /// Of these, landing and reading: without loading the model and without indexing.
    read_seconds: f64,
}

pub async fn run(config: Config, options: IngestOptions) -> Done {
    let started = Instant::now();
    let found = find(&options.paths, options.mapping.is_some())?;
    let embedder = models::load(&config).await?;
    let tenant = TenantId::new(&*config.tenant);
    let app = match App::start(config, embedder).await {
        Err(StartError::Index(IndexError::InUse)) => {
            return Err(Failure::new("a server has this index open: send the files to it over HTTP"));
        }
        started => started?,
    };
    let upkeep = Upkeep::begin();
    let source = declare(&app, &tenant, &options).await?;
    let reading = Instant::now();
    let account = take_in(&app, &upkeep, &tenant, &source, &found).await?;
    let read_seconds = reading.elapsed().as_secs_f64();
    if !options.no_index {
        index_all(&app, &upkeep).await?;
    }
    let report = Report {
        files: found.files.len() as u64,
        lost: account.lost(),
        account,
        empty_files: found.empty,
        ignored_files: found.ignored,
        seconds: started.elapsed().as_secs_f64(),
        read_seconds,
    };
    let text = serde_json::to_string_pretty(&report)?;
    println!("{text}");
    if let Some(path) = options.report {
        std::fs::write(path, text)?;
    }
    if report.lost == 0 { Ok(()) } else { Err(Failure::new(format!("{} records were lost", report.lost))) }
}

/// The source that files come from; one that was declared before keeps what was declared.
async fn declare(app: &App, tenant: &TenantId, options: &IngestOptions) -> Result<SourceId, Failure> {
    let name = SourceId::parse(&options.source)
        .ok_or_else(|| Failure::new("a source has lower-case letters, digits and dashes"))?;
    let known = app.store.source(tenant, &name).await?;
    if known.is_none() || options.mapping.is_some() {
        let mapping = options.mapping.as_deref().map(read_mapping).transpose()?;
        let base = known.unwrap_or_else(|| SourceDescription {
            name: name.clone(),
            patients: options.patients.clone(),
            warn_after_s: one_day(),
            error_after_s: one_week(),
            feed: Feed::default(),
            mapping: None,
        });
        app.store
            .declare_source(tenant, &SourceDescription { mapping: mapping.or(base.mapping.clone()), ..base })
            .await?;
    }
    Ok(name)
}

/// Lands every file, then reads what landed; returns what became of the records.
pub async fn take_in(
    app: &App,
    upkeep: &Upkeep,
    tenant: &TenantId,
    source: &SourceId,
    found: &FoundFiles,
) -> Result<Account, Failure> {
    let bar = progress::counting("ingest", found.files.len() as u64);
    let mut total = Account::default();
    for file in &found.files {
        let mut sent = false;
        for bytes in slices(&file.path, file.format)? {
            let name = Some(file.name.clone());
            let receipt = app.ingest.accept_file(upkeep, tenant, source, file.format, name, bytes?).await?;
            total.add(&read_until(app, upkeep, &receipt).await?);
            sent = true;
        }
        if !sent {
            // An empty file carries no record; it is said, not skipped.
            eprintln!("{}: empty", file.name);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(total)
}

/// Reads what landed, oldest first, until `receipt` has been read.
async fn read_until(app: &App, upkeep: &Upkeep, receipt: &ReceiptId) -> Result<Account, Failure> {
    while let Some((read, account)) = app.ingest.read_next(upkeep).await? {
        if read == *receipt {
            return Ok(account);
        }
    }
    Err(Failure::new("a delivery was read by another process; its account is with its receipt"))
}

/// Brings the index up to the store.
pub async fn index_all(app: &App, upkeep: &Upkeep) -> Result<(), Failure> {
    let bar = progress::spinning("index");
    let tick = |chunks| bar.inc(chunks);
    while app.indexing.run_once(upkeep, &tick).await? > 0 {}
    bar.finish_and_clear();
    Ok(())
}
