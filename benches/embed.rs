//! `make bench-embed`: passages per second and a query's latency beside the peers, interleaved, as a table and as
//! `bench/results/embed.json`; and what reduced precision costs in quality (`bench/results/embed-quality.json`).

#[path = "embed/agreement.rs"]
mod agreement;
#[path = "support/data.rs"]
mod data;
#[path = "embed/memory.rs"]
mod memory;
#[path = "embed/peers.rs"]
mod peers;
#[path = "embed/quality.rs"]
mod quality;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anamnesis::adapters::inference::{DeviceChoice, Embedder, Manifest, Precision, PrecisionChoice, Role};
use data::shared;
use peers::{Candle, Python};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Times that every side computes every set; the median counts.
const ROUNDS: usize = 3;
const PASSAGES: usize = 32;
const QUERIES: usize = 25;
/// Texts whose vectors are held against the peer's.
const AGREEMENT: usize = 1_000;
/// Each side at its best batch of these.
const BATCHES: [usize; 2] = [8, 16];
const QUERY: &str = "does aspirin lower the risk of stroke in diabetes";

/// Something that embeds.
trait Side {
    fn seconds(&mut self, set: &str, texts: &[String], batch: usize) -> Outcome<f64>;
}

struct Ours(Embedder);

impl Side for Ours {
    fn seconds(&mut self, _set: &str, texts: &[String], _batch: usize) -> Outcome<f64> {
        let started = Instant::now();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.0.embed(&texts, Role::Passage)?;
        Ok(started.elapsed().as_secs_f64())
    }
}

struct Row {
    name: &'static str,
    precision: &'static str,
    side: Box<dyn Side>,
    /// Batches to choose from; ours makes its own.
    batches: &'static [usize],
    passages: Vec<f64>,
    mixed: Vec<f64>,
    query: Vec<f64>,
}

fn main() -> Outcome<()> {
    let scifact = shared("ir-scifact");
    if !scifact.exists() {
        println!("SKIPPED: {} is not there", scifact.display());
        return Ok(());
    }
    let manifest = Manifest::default_embedder();
    let cache = std::env::var_os("ANAMNESIS_MODEL_DIR").map(PathBuf::from).ok_or("ANAMNESIS_MODEL_DIR is not set")?;
    let folder = manifest.folder_in(&cache);
    let load = |precision| Embedder::load_in(PrecisionChoice::Fixed(precision), &manifest, &folder, DeviceChoice::Cpu);
    let usual = Embedder::load(&manifest, &folder, DeviceChoice::Cpu)?;
    // What this processor has no instructions for can be computed, but isn't worth a measurement.
    let reduced = if usual.precision() == Precision::Int8 { Precision::Int8 } else { Precision::Int7 };
    let is_told = |word: &str| std::env::args().any(|argument| argument == word);
    if is_told("quality") {
        return measure_quality(&[load(Precision::F32)?, load(reduced)?], &scifact);
    }
    if is_told("memory") {
        return write("embed-memory.json", &memory::bulk(&usual, &scifact)?);
    }
    let embedder = load(Precision::F32)?;
    let sets = sets(&embedder, &scifact)?;
    let texts_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embed-texts.json");
    std::fs::write(
        &texts_file,
        serde_json::to_vec(&json!({ "passages": sets[0], "mixed": sets[1], "query": [QUERY], "agreement": sets[2] }))?,
    )?;
    let mut right = serde_json::Map::new();
    right.insert("skew_f32".into(), agreement::skew(&embedder)?);
    right.insert(format!("skew_{reduced}"), agreement::skew(&load(reduced)?)?);
    let least = agreement::alone_and_together(&embedder, &sets[2])?;
    println!("alone and among others, f32: least cosine {least:.7}");
    right.insert("least_cosine_alone".into(), json!(least));
    let mut rows = vec![
        row("anamnesis", "f32", Box::new(Ours(embedder)), &BATCHES[..1]),
        row("anamnesis", reduced.name(), Box::new(Ours(load(reduced)?)), &BATCHES[..1]),
        // Larger batches are slower.
        row("candle BertModel", "f32", Box::new(Candle::load(&folder, manifest.max_tokens)?), &BATCHES[..1]),
    ];
    if let Some(python) = std::env::var_os("ANAMNESIS_BENCH_PYTHON").map(PathBuf::from) {
        for (name, precision, peer) in [
            ("onnxruntime", "int8", "onnx-int8"),
            ("onnxruntime", "f32", "onnx-f32"),
            ("sentence-transformers", "f32", "torch-f32"),
        ] {
            match Python::start(&python, peer, &folder, &texts_file)? {
                Some(mut side) => {
                    if peer == "torch-f32" {
                        let least = agreement::with_peer(&load(Precision::F32)?, &mut side, &sets[2])?;
                        println!("beside {name}, f32, {} texts: least cosine {least:.7}", sets[2].len());
                        right.insert("least_cosine_sentence_transformers".into(), json!(least));
                    }
                    rows.push(row(name, precision, Box::new(side), &BATCHES));
                }
                None => println!("NOT MEASURED: {name} isn't installed"),
            }
        }
    }
    measure(&mut rows, &sets)?;
    write("embed-agreement.json", &Value::Object(right))?;
    report(&rows)
}

fn row(name: &'static str, precision: &'static str, side: Box<dyn Side>, batches: &'static [usize]) -> Row {
    Row { name, precision, side, batches, passages: Vec::new(), mixed: Vec::new(), query: Vec::new() }
}

fn title_and_text(document: &Value) -> String {
    let part = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    format!("{}\n{}", part("title"), part("text"))
}

fn abstracts(scifact: &Path) -> Outcome<Vec<String>> {
    let corpus = std::fs::read_to_string(scifact.join("corpus.jsonl"))?;
    corpus.lines().map(|line| Ok(title_and_text(&serde_json::from_str(line)?))).collect()
}

/// Notes of a sentence or two, about 50 tokens.
fn sentence_notes(scifact: &Path) -> Outcome<Vec<String>> {
    let of_abstract = |text: String| -> Vec<String> {
        let sentences: Vec<&str> = text.split_inclusive(". ").collect();
        sentences.chunks(2).map(|pair| pair.concat().trim().to_owned()).filter(|note| !note.is_empty()).collect()
    };
    Ok(abstracts(scifact)?.into_iter().flat_map(of_abstract).collect())
}

/// Abstracts cut to 200 tokens, to mixed lengths from 20 to 256, evenly spread, and a thousand of mixed length.
fn sets(embedder: &Embedder, scifact: &Path) -> Outcome<[Vec<String>; 3]> {
    let texts = abstracts(scifact)?;
    let long = texts.iter().filter(|text| embedder.count_tokens(text) >= 254).take(PASSAGES);
    let cut = |text: &String, tokens: usize| {
        let mut end = String::new();
        for word in text.split_inclusive(char::is_whitespace) {
            if embedder.count_tokens(&end) + embedder.count_tokens(word) + 2 > tokens {
                break;
            }
            end += word;
        }
        end
    };
    let long: Vec<&String> = long.collect();
    let mixed = long.iter().enumerate().map(|(at, text)| cut(text, 20 + at * 37 % PASSAGES * 236 / (PASSAGES - 1)));
    let agreement = texts.iter().take(AGREEMENT).enumerate().map(|(at, text)| cut(text, 8 + at * 97 % 280));
    Ok([long.iter().map(|text| cut(text, 200)).collect(), mixed.collect(), agreement.collect()])
}

fn measure(rows: &mut [Row], [passages, mixed, _]: &[Vec<String>; 3]) -> Outcome<()> {
    let query = [QUERY.to_owned()];
    for round in 0..=ROUNDS {
        for row in rows.iter_mut() {
            let mut best = |set: &str, texts: &[String]| -> Outcome<f64> {
                let mut least = f64::INFINITY;
                for batch in row.batches {
                    least = least.min(row.side.seconds(set, texts, *batch)?);
                }
                Ok(least)
            };
            let (of_passages, of_mixed) = (best("passages", passages)?, best("mixed", mixed)?);
            let of_query = (0..QUERIES).map(|_| row.side.seconds("query", &query, 1)).collect::<Outcome<Vec<f64>>>()?;
            // The first round only warms up.
            if round > 0 {
                row.passages.push(passages.len() as f64 / of_passages);
                row.mixed.push(mixed.len() as f64 / of_mixed);
                row.query.push(median(&of_query) * 1e3);
            }
        }
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(rows: &[Row]) -> Outcome<()> {
    println!("\nmedians of {ROUNDS} rounds, {PASSAGES} texts a round, {} threads", rayon::current_num_threads());
    println!("{:>22} {:>9} {:>15} {:>15} {:>12}", "how", "precision", "200 tokens/s", "20 to 256/s", "query ms");
    let mut results = Vec::new();
    for row in rows {
        let (passages, mixed, query) = (median(&row.passages), median(&row.mixed), median(&row.query));
        println!("{:>22} {:>9} {passages:>15.1} {mixed:>15.1} {query:>12.2}", row.name, row.precision);
        results.push(json!({
            "name": row.name, "precision": row.precision, "passages_per_s": passages,
            "mixed_passages_per_s": mixed, "query_p50_ms": query,
        }));
    }
    write("embed.json", &Value::Array(results))
}

fn measure_quality(embedders: &[Embedder], scifact: &Path) -> Outcome<()> {
    let mut figures = serde_json::Map::new();
    for embedder in embedders {
        let ndcg = quality::ndcg(embedder, scifact)?;
        println!("SciFact test, dense, {}: nDCG@10 {ndcg:.4}", embedder.precision());
        figures.insert(embedder.precision().to_string(), json!(ndcg));
    }
    write("embed-quality.json", &json!({ "scifact_dense_ndcg_at_10": figures }))
}

fn write(name: &str, value: &Value) -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), format!("{}\n", serde_json::to_string_pretty(value)?))?;
    Ok(())
}
