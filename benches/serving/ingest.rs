//! Texts from landing to searchable, beside the peers, who embed the same texts with the same model.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::collection::Collection;
use crate::server::{Outcome, Server, configure};
use crate::{PATIENCE, peers};

/// Without notes among them: whole abstracts.
pub const TEXTS: usize = 5_000;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub async fn measure(work: &Path, collection: &Collection, python: Option<&PathBuf>) -> Outcome<Value> {
    let ours = ours(&work.join("ingest"), collection).await?;
    println!("\n{:>12} {:>9}", "whole ingest", "texts/s");
    println!(
        "{:>12} {:>9.1}  {} texts embedded, the model at work {:.0} % of the time",
        "anamnesis",
        ours["per_s"].as_f64().unwrap_or(f64::NAN),
        ours["embedded"],
        1e2 * ours["model_share"].as_f64().unwrap_or(f64::NAN),
    );
    let mut rows = vec![ours];
    for peer in python.into_iter().flat_map(|python| peers::NAMES.map(|name| (python, name))) {
        if let Some(row) = peers::ingest(peer.0, peer.1, work, &collection.texts[..TEXTS])? {
            println!("{:>12} {:>9.1}", peer.1, row["per_s"].as_f64().unwrap_or(f64::NAN));
            rows.push(row);
        }
    }
    Ok(Value::Array(rows))
}

async fn ours(work: &Path, collection: &Collection) -> Outcome<Value> {
    let _ = std::fs::remove_dir_all(work);
    std::fs::create_dir_all(work.join("drop"))?;
    configure(work)?;
    let server = Server::start(work)?;
    let part = work.join("drop/abstracts.ndjson.part");
    std::fs::write(&part, Collection::resources(&collection.texts[..TEXTS]))?;
    let started = Instant::now();
    std::fs::rename(part, work.join("drop/abstracts.ndjson"))?;
    server.until("anamnesis_index_watermark", TEXTS as u64, LOOK_AGAIN, PATIENCE).await?;
    let seconds = started.elapsed().as_secs_f64();
    // Of all threads together.
    let computing = server.metric("anamnesis_embedding_compute_time_seconds_sum").await?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let embedded = server.metric("anamnesis_passages_embedded_total").await?;
    drop(server);
    let _ = std::fs::remove_dir_all(work);
    Ok(json!({
        "name": "anamnesis", "texts": TEXTS, "per_s": TEXTS as f64 / seconds, "embedded": embedded,
        "model_share": computing / seconds / threads,
    }))
}
