//! `anamnesis ingest`: files through the same path as HTTP, with an account of every record.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::arguments::IngestOptions;
use super::files::{FoundFiles, find};
use super::{Done, Failure, models, progress};
use crate::access::Upkeep;
use crate::adapters::index::IndexError;
use crate::adapters::sources::slices::slices;
use crate::adapters::store::Store;
use crate::app::{App, StartError, read_mapping};
use crate::config::{Config, one_day, one_week};
use crate::domain::{Account, Delivery, Feed, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp};
use crate::flows::IngestFlow;
use crate::telemetry::Metrics;

/// Files are landed this far ahead of reading.
const LAND_AHEAD_BYTES: usize = 32 * 1024 * 1024;
/// More often than a delivery is tried before it is set aside.
const TRIES: usize = 4;

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
    if options.dry_run {
        return rehearse(&config, &options).await;
    }
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

/// Judges every file against the store, each after those before it. Needs neither the model nor the index.
async fn rehearse(config: &Config, options: &IngestOptions) -> Done {
    let found = find(&options.paths, options.mapping.is_some())?;
    let store = Store::open(&config.store_path()).await?;
    let flow = IngestFlow::new(store.clone(), Arc::new(Metrics::default()));
    let (tenant, upkeep) = (TenantId::new(&*config.tenant), Upkeep::begin());
    let (source, _) = described(&store, &tenant, options).await?;
    let mut rehearsal = store.rehearse().await?;
    let bar = progress::counting("dry run", found.files.len() as u64);
    let mut total = Account::default();
    for file in &found.files {
        for bytes in slices(&file.path, file.format)? {
            let delivery = Delivery {
                receipt: ReceiptId::fresh(),
                tenant: tenant.clone(),
                source: source.name.clone(),
                format: file.format,
                name: Some(file.name.clone()),
                bytes: bytes?,
                received_at: Timestamp::now(),
            };
            total.add(&flow.preview_file(&upkeep, &mut rehearsal, delivery, source.clone()).await?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    drop(rehearsal);
    store.close().await;
    let text = serde_json::to_string_pretty(&serde_json::json!({ "dry_run": true, "account": total }))?;
    println!("{text}");
    if let Some(path) = &options.report {
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// The source that files come from, and whether that must be declared; one that was declared before keeps what was.
async fn described(
    store: &Store,
    tenant: &TenantId,
    options: &IngestOptions,
) -> Result<(SourceDescription, bool), Failure> {
    let name = SourceId::parse(&options.source)
        .ok_or_else(|| Failure::new("a source has lower-case letters, digits and dashes"))?;
    let known = store.source(tenant, &name).await?;
    let is_new = known.is_none() || options.mapping.is_some();
    let mapping = options.mapping.as_deref().map(read_mapping).transpose()?;
    let base = known.unwrap_or_else(|| SourceDescription {
        name,
        patients: options.patients.clone(),
        warn_after_s: one_day(),
        error_after_s: one_week(),
        feed: Feed::default(),
        mapping: None,
    });
    Ok((SourceDescription { mapping: mapping.or(base.mapping.clone()), ..base }, is_new))
}

async fn declare(app: &App, tenant: &TenantId, options: &IngestOptions) -> Result<SourceId, Failure> {
    let (source, is_new) = described(&app.store, tenant, options).await?;
    if is_new {
        app.store.declare_source(tenant, &source).await?;
    }
    Ok(source.name)
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
    let (mut waiting, mut bytes_waiting) = (HashSet::new(), 0);
    for file in &found.files {
        let mut sent = false;
        for bytes in slices(&file.path, file.format)? {
            let (bytes, name) = (bytes?, Some(file.name.clone()));
            sent = true;
            bytes_waiting += bytes.len();
            waiting.insert(app.ingest.accept_file(upkeep, tenant, source, file.format, name, bytes).await?);
            if bytes_waiting >= LAND_AHEAD_BYTES {
                bytes_waiting = 0;
                read_landed(app, upkeep, &mut waiting, &mut total).await?;
            }
        }
        if !sent {
            // An empty file carries no record; it is said, not skipped.
            eprintln!("{}: empty", file.name);
        }
        bar.inc(1);
    }
    read_landed(app, upkeep, &mut waiting, &mut total).await?;
    bar.finish_and_clear();
    Ok(total)
}

/// Reads all that landed, oldest first, and adds up what those in `waiting` came to.
async fn read_landed(
    app: &App,
    upkeep: &Upkeep,
    waiting: &mut HashSet<ReceiptId>,
    total: &mut Account,
) -> Result<(), Failure> {
    // What fails stays landed and is tried again, a few times, before it is set aside.
    for _ in 0..TRIES {
        let mut reading = app.ingest.begin_reading(upkeep);
        while let Some(read) = app.ingest.read_batch(upkeep, &mut reading).await? {
            read.iter().filter(|read| waiting.remove(&read.receipt)).for_each(|read| total.add(&read.account));
        }
        if waiting.is_empty() {
            return Ok(());
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
