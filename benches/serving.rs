//! `make bench-serving`: ingest and hybrid search over HTTP beside txtai and chromadb, and how soon a note is found, as
//! tables and as `bench/results/serving.json`.
//!
//! A server of its own holds the SciFact abstracts among short notes that are made of the sentences of abstracts no
//! judged claim asks for, `ANAMNESIS_BENCH_SERVING_CHUNKS` in all (default 100,000). It embeds, indexes and answers as in
//! production: each search checks a token and writes its audit row. The peers run in one Python process, without HTTP,
//! on the same texts with the same model, their passages' vectors given to them.

#[path = "serving/collection.rs"]
mod collection;
#[path = "support/data.rs"]
mod data;
#[path = "serving/freshness.rs"]
mod freshness;
#[path = "serving/ingest.rs"]
mod ingest;
#[path = "serving/peers.rs"]
mod peers;
#[path = "serving/searches.rs"]
mod searches;
#[path = "support/server.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use collection::Collection;
use data::shared_if_there;
use serde_json::{Value, json};
use server::{Outcome, Server, configure, token};

const LOOK_AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

fn main() -> Outcome<()> {
    let Some(scifact) = shared_if_there("ir-scifact") else { return Ok(()) };
    let chunks =
        std::env::var("ANAMNESIS_BENCH_SERVING_CHUNKS").ok().map_or(Ok(100_000), |text| text.parse::<usize>())?;
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("serving-{chunks}"));
    let collection = Collection::new(&scifact, chunks)?;
    // Asks from one thread: the processors are the server's.
    let asking = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = asking.block_on(measure(&work, &collection))?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("serving.json"), format!("{results:#}\n"))?;
    Ok(())
}

async fn measure(work: &Path, collection: &Collection) -> Outcome<Value> {
    std::fs::create_dir_all(work)?;
    let python = std::env::var_os("ANAMNESIS_BENCH_PYTHON").filter(|path| !path.is_empty()).map(PathBuf::from);
    if python.is_none() {
        println!("NOT MEASURED: txtai and chromadb, as ANAMNESIS_BENCH_PYTHON names no Python");
    }
    let ingest = ingest::measure(work, collection, python.as_ref()).await?;
    fill(work, collection).await?;
    let started = Instant::now();
    let server = Server::start(work)?;
    let start_s = started.elapsed().as_secs_f64();
    // What was filled by an earlier recipe is indexed anew.
    let newest = server.metric("anamnesis_newest_change").await? as u64;
    server.until("anamnesis_index_watermark", newest, LOOK_AGAIN, PATIENCE).await?;
    let chunks = server.metric("anamnesis_index_chunks").await?;
    println!("{} texts, {chunks} chunks; the server started in {start_s:.1} s", collection.texts.len());
    let searcher = searches::Searcher::new(&server.url, token(work, "system/*.rs")?);
    let searches = searches::measure(&searcher, collection).await?;
    let freshness = freshness::measure(&server.url, &token(work, "system/*.crs")?, &searcher, collection).await?;
    let resident = server.resident_kib("VmRSS")? / 1024;
    println!("{resident} MiB resident then");
    drop(server);
    let peers = peers::measure(python.as_ref(), work, collection, &searches)?;
    Ok(json!({
        "texts": collection.texts.len(), "chunks": chunks, "start_s": start_s, "resident_mib": resident,
        "ingest": ingest, "searches": searches, "peers": peers, "freshness": freshness,
    }))
}

/// Has a server take in the collection; what an earlier run left is used again.
async fn fill(work: &Path, collection: &Collection) -> Outcome<()> {
    let done = work.join("filled");
    if done.exists() {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(work.join("data"));
    std::fs::create_dir_all(work.join("drop"))?;
    configure(work)?;
    let server = Server::start(work)?;
    let started = Instant::now();
    let part = work.join("drop/collection.ndjson.part");
    std::fs::write(&part, Collection::resources(&collection.texts))?;
    std::fs::rename(part, work.join("drop/collection.ndjson"))?;
    let wanted = collection.texts.len() as u64;
    server.until("anamnesis_newest_change", wanted, LOOK_AGAIN, PATIENCE).await?;
    let read_s = started.elapsed().as_secs_f64();
    server.until("anamnesis_index_watermark", wanted, LOOK_AGAIN, PATIENCE).await?;
    println!("taken in after {read_s:.0} s, searchable after {:.0} s", started.elapsed().as_secs_f64());
    Ok(std::fs::write(done, b"")?)
}
