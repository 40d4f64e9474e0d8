//! `make bench-answers`: what answers are worth and how soon they come, as tables and as `bench/results/answering.json`.
//!
//! `cargo bench --bench answering -- quality` holds answers against known ones (`anamnesis eval-answers`): questions made
//! from the demo hospital's and Synthea's resources, evidence sentences of SciFact, right abstracts of PubMedQA. `-- chart`
//! has four clients ask about one patient's chart of 2,000 chunks, each question new.

#[path = "answering/chart.rs"]
mod chart;
#[path = "support/data.rs"]
mod data;
#[path = "answering/quality.rs"]
mod quality;
#[path = "support/server.rs"]
mod server;

use std::path::Path;

use data::shared_if_there;
use serde_json::Value;
use server::Outcome;

fn main() -> Outcome<()> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-answers");
    std::fs::create_dir_all(&work)?;
    let told: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| told.is_empty() || told.iter().any(|told| told == part);
    let mut results = serde_json::Map::new();
    if is_wanted("quality") {
        results.insert("quality".into(), quality::measure(&work)?);
    }
    if let Some(scifact) = shared_if_there("ir-scifact").filter(|_| is_wanted("chart")) {
        results.insert("chart".into(), tokio::runtime::Runtime::new()?.block_on(chart::measure(&work, &scifact))?);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("answering.json"), format!("{:#}\n", Value::Object(results)))?)
}
