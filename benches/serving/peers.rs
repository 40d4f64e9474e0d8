//! txtai and chromadb over the same texts, in a Python that has them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anamnesis::adapters::inference::{DeviceChoice, Embedder, Manifest, Role};
use anamnesis::stages::judge::ndcg;
use serde_json::{Value, json};

use crate::collection::{Claim, Collection, Text};
use crate::searches::CLIENTS;
use crate::server::Outcome;

const BATCH: usize = 256;

pub const NAMES: [&str; 2] = ["txtai", "chromadb"];

/// The peers' rows, each beside ours; null without a Python of theirs.
pub fn measure(python: Option<&PathBuf>, work: &Path, collection: &Collection, ours: &Value) -> Outcome<Value> {
    println!(
        "\n{:>12} {:>9} {:>9} {:>10} {:>10} {:>8}",
        "hybrid", "p50 ms", "p99 ms", "1 client/s", "16 clients", "nDCG@10"
    );
    print_row(ours);
    let Some(python) = python else { return Ok(Value::Null) };
    let model = model_folder()?;
    let embedder = Embedder::load(&Manifest::default_embedder(), &model, DeviceChoice::Cpu)?;
    let vectors = vectors(work, collection, &embedder)?;
    let input = work.join("peers.json");
    let words = |claims: &[Claim]| claims.iter().map(|claim| claim.text.clone()).collect::<Vec<_>>();
    let texts: Vec<String> = collection.texts.iter().map(Text::whole).collect();
    let ids: Vec<&String> = collection.texts.iter().map(|text| &text.id).collect();
    let judged = words(&collection.judged);
    let told = json!({ "ids": ids, "texts": texts, "judged": judged, "others": words(&collection.others), "clients": CLIENTS });
    std::fs::write(&input, serde_json::to_vec(&told)?)?;
    let mut rows = Vec::new();
    for peer in NAMES {
        let Some(mut row) = ask(python, peer, &["search".as_ref(), &input, &model, &vectors])? else { continue };
        let found: Vec<Vec<String>> = serde_json::from_value(row["found"].take())?;
        let quality: f64 =
            found.iter().zip(&collection.judged).map(|(found, claim)| ndcg(found, &claim.judgements, 10)).sum();
        row["ndcg_at_10"] = json!(quality / collection.judged.len() as f64);
        print_row(&row);
        rows.push(row);
    }
    Ok(Value::Array(rows))
}

/// Texts a second that a peer embeds and takes in.
pub fn ingest(python: &Path, peer: &str, work: &Path, texts: &[Text]) -> Outcome<Option<Value>> {
    let input = work.join("peers-ingest.json");
    let ids: Vec<&String> = texts.iter().map(|text| &text.id).collect();
    let texts: Vec<String> = texts.iter().map(Text::whole).collect();
    std::fs::write(&input, serde_json::to_vec(&json!({ "ids": ids, "texts": texts }))?)?;
    ask(python, peer, &["ingest".as_ref(), &input, &model_folder()?])
}

/// What the peer's script says; nothing where it fails, in its own words on standard error.
fn ask(python: &Path, peer: &str, arguments: &[&Path]) -> Outcome<Option<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/serving/peer.py");
    let mut asking = Command::new(python);
    let output = asking.arg(script).arg(peer).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        println!("NOT MEASURED: {peer} ended with {}", output.status);
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

fn model_folder() -> Outcome<PathBuf> {
    let cache = std::env::var_os("ANAMNESIS_MODEL_DIR").map(PathBuf::from).ok_or("ANAMNESIS_MODEL_DIR is not set")?;
    Ok(Manifest::default_embedder().folder_in(&cache))
}

fn print_row(row: &Value) {
    let figure = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    println!(
        "{:>12} {:>9.2} {:>9.2} {:>10.1} {:>10.1} {:>8.4}",
        row["name"].as_str().unwrap_or_default(),
        figure("p50_ms"),
        figure("p99_ms"),
        figure("per_s_1"),
        figure("per_s_16"),
        figure("ndcg_at_10")
    );
}

/// One vector of each text, in a file that a later run finds again.
fn vectors(work: &Path, collection: &Collection, embedder: &Embedder) -> Outcome<PathBuf> {
    let path = work.join("vectors.f32");
    if path.exists() {
        return Ok(path);
    }
    let part = work.join("vectors.part");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&part)?);
    for batch in collection.texts.chunks(BATCH) {
        let texts: Vec<String> = batch.iter().map(Text::whole).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for vector in embedder.embed(&texts, Role::Passage)? {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            file.write_all(&bytes)?;
        }
    }
    file.flush()?;
    std::fs::rename(part, &path)?;
    Ok(path)
}
