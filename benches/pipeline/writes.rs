//! Records into the store, without a model: landed, read, written; beside a peer that keeps raw rows only.
//!
//! The peer parses the same bytes with serde_json and inserts each entry's text as one row of one table, all in
//! one transaction: the least that a store of these records could do.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anamnesis::access::Upkeep;
use anamnesis::adapters::store::Store;
use anamnesis::domain::{Account, Feed, Format, SourceDescription, SourceId, TenantId};
use anamnesis::flows::{IngestError, IngestFlow};
use anamnesis::telemetry::Metrics;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

use crate::Outcome;
use crate::data::shared;

/// The same files as so many hospitals with patients of their own.
const HOSPITALS: usize = 10;
const NOTES: usize = 10_000;

/// FHIR resources, HL7 v2 messages and small notes per second.
pub async fn writes(work: &Path) -> Outcome<Value> {
    let mut rows = serde_json::Map::new();
    println!("\nwrites, without indexing, each a second");
    let fhir = bodies(&shared("fhir-synthea-r4"), "json")?;
    if !fhir.is_empty() {
        let ours = read(work, &fhir, Format::FhirJson).await?;
        let peer = raw_rows(work, &fhir).await?;
        println!("{:>28} {ours:>9.0}; raw rows {peer:.0}; ratio {:.2}", "FHIR resources", ours / peer);
        rows.insert("fhir_resources_per_s".into(), json!({ "ours": ours, "peer": peer, "ratio": ours / peer }));
    }
    let hl7 = bodies(&shared("hl7v2-ms-converter"), "hl7")?;
    if !hl7.is_empty() {
        let ours = read(work, &hl7, Format::Hl7v2).await?;
        println!("{:>28} {ours:>9.0}", "HL7 v2 messages");
        rows.insert("hl7_messages_per_s".into(), json!({ "ours": ours }));
    }
    let (landed, read) = notes(work).await?;
    println!("{:>28} {landed:>9.0} landed, {read:.0} read", "notes, each by itself");
    rows.insert("notes_per_s".into(), json!({ "landed": landed, "read": read }));
    Ok(Value::Object(rows))
}

/// Every file of this kind below a folder.
fn bodies(folder: &Path, extension: &str) -> Outcome<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    if !folder.exists() {
        println!("SKIPPED: {} is not there", folder.display());
        return Ok(bodies);
    }
    let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            bodies.extend(self::bodies(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            bodies.push(std::fs::read(path)?);
        }
    }
    Ok(bodies)
}

async fn opened(work: &Path) -> Outcome<(tempfile::TempDir, Store, IngestFlow)> {
    let folder = tempfile::TempDir::new_in(work)?;
    let store = Store::open(&folder.path().join("store.sqlite")).await?;
    let flow = IngestFlow::new(store.clone(), Arc::new(Metrics::default()));
    Ok((folder, store, flow))
}

async fn declare(store: &Store, name: &SourceId) -> Outcome<()> {
    let description = SourceDescription {
        name: name.clone(),
        patients: name.to_string(),
        warn_after_s: 60,
        error_after_s: 600,
        mapping: None,
        feed: Feed::default(),
    };
    Ok(store.declare_source(&TenantId::new("main"), &description).await?)
}

/// Records a second, from the first byte landed to the last change committed. The hospitals send at once, each one body
/// after the other.
async fn read(work: &Path, bodies: &[Vec<u8>], format: Format) -> Outcome<f64> {
    let (_folder, store, flow) = opened(work).await?;
    let (tenant, upkeep) = (TenantId::new("main"), Upkeep::begin());
    let names: Vec<SourceId> = (0..HOSPITALS).map(|hospital| SourceId::new(format!("hospital-{hospital}"))).collect();
    for name in &names {
        declare(&store, name).await?;
    }
    let started = Instant::now();
    let sending = names.iter().map(|name| async {
        for body in bodies {
            flow.accept_file(&upkeep, &tenant, name, format, None, body.clone()).await?;
        }
        Ok::<(), IngestError>(())
    });
    futures_util::future::try_join_all(sending).await?;
    let account = read_landed(&flow, &upkeep).await?;
    if account.lost() > 0 {
        return Err("records were lost".into());
    }
    Ok(account.records as f64 / started.elapsed().as_secs_f64())
}

async fn read_landed(flow: &IngestFlow, upkeep: &Upkeep) -> Outcome<Account> {
    let mut total = Account::default();
    let mut reading = flow.begin_reading(upkeep);
    while let Some(read) = flow.read_batch(upkeep, &mut reading).await? {
        read.iter().for_each(|read| total.add(&read.account));
    }
    Ok(total)
}

/// Small notes that all come at once: landed and read, each a second.
async fn notes(work: &Path) -> Outcome<(f64, f64)> {
    let (_folder, store, flow) = opened(work).await?;
    let (tenant, upkeep, name) = (TenantId::new("main"), Upkeep::begin(), SourceId::new("wards"));
    declare(&store, &name).await?;
    let started = Instant::now();
    let posts = (0..NOTES).map(|number| {
        let (flow, tenant, upkeep, name) = (flow.clone(), tenant.clone(), upkeep.clone(), name.clone());
        let body = format!("---\nid: note-{number}\npatient: p{}\n---\nCough for {number} days.\n", number % 100);
        tokio::spawn(
            async move { flow.accept_file(&upkeep, &tenant, &name, Format::Text, None, body.into_bytes()).await },
        )
    });
    for post in posts.collect::<Vec<_>>() {
        post.await??;
    }
    let landed = NOTES as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    let account = read_landed(&flow, &upkeep).await?;
    Ok((landed, account.records as f64 / started.elapsed().as_secs_f64()))
}

/// The peer: rows of raw text a second.
async fn raw_rows(work: &Path, bodies: &[Vec<u8>]) -> Outcome<f64> {
    #[derive(serde::Deserialize)]
    struct Bundle<'a> {
        #[serde(borrow)]
        entry: Vec<&'a RawValue>,
    }
    let folder = tempfile::TempDir::new_in(work)?;
    let options = SqliteConnectOptions::new().filename(folder.path().join("rows.sqlite")).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::query("CREATE TABLE record (id INTEGER PRIMARY KEY, body TEXT NOT NULL)").execute(&pool).await?;
    let started = Instant::now();
    let mut transaction = pool.begin().await?;
    let mut rows = 0_u32;
    for _ in 0..HOSPITALS {
        for body in bodies {
            let bundle: Bundle<'_> = serde_json::from_slice(body)?;
            for entry in bundle.entry {
                sqlx::query("INSERT INTO record (body) VALUES (?)")
                    .bind(entry.get())
                    .execute(&mut *transaction)
                    .await?;
                rows += 1;
            }
        }
    }
    transaction.commit().await?;
    Ok(f64::from(rows) / started.elapsed().as_secs_f64())
}
