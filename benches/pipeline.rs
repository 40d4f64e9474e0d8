//! `make bench`: retrieval quality, embedding, ingest, writes and search, as a table and as `bench/results/pipeline.json`.
//!
//! Everything goes through the binary that is served: `anamnesis eval` for quality, `anamnesis ingest` for
//! records, a running server for latency. Speed is told beside a peer that is measured in the same run:
//! the embedder beside candle's own BERT model fed in padded batches of eight, a search beside the same
//! server's cheapest answer. `cargo bench --bench pipeline -- ingest` measures a part: `retrieval`, `embedding`, `ingest`
//! or `search`.

#[path = "support/data.rs"]
mod data;
#[path = "pipeline/writes.rs"]
mod writes;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anamnesis::adapters::inference::{DeviceChoice, Embedder, Manifest, Role};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use data::shared;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BINARY: &str = env!("CARGO_BIN_EXE_anamnesis");
const PASSAGES: usize = 150;
const PEER_BATCH: usize = 8;
const SEARCHES: usize = 300;
/// An answer embeds every candidate sentence: far dearer than a search.
const ANSWERS: usize = 30;
const SERVER_WAIT: Duration = Duration::from_secs(900);

fn main() -> Outcome<()> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    std::fs::create_dir_all(&work)?;
    let mut results = serde_json::Map::new();
    let told: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| told.is_empty() || told.iter().any(|told| told == part);
    let scifact = shared("ir-scifact");
    if !scifact.exists() {
        println!("SKIPPED: {} is not there", scifact.display());
    } else {
        if is_wanted("retrieval") {
            results.insert("retrieval_scifact_test".into(), retrieval(&scifact, &work)?);
        }
        if is_wanted("embedding") {
            results.insert("embedding".into(), embedding(&scifact)?);
        }
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if is_wanted("ingest") {
        results.insert("ingest".into(), ingest(&work)?);
        results.insert("writes".into(), runtime.block_on(writes::writes(&work))?);
    }
    if is_wanted("search") {
        results.insert("search".into(), runtime.block_on(search(&work))?);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    let text = serde_json::to_string_pretty(&Value::Object(results))?;
    std::fs::write(folder.join("pipeline.json"), format!("{text}\n"))?;
    Ok(())
}

fn run(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Quality per mode. Vectors made by an earlier run are found again, so only the first run embeds.
fn retrieval(scifact: &Path, work: &Path) -> Outcome<Value> {
    let printed =
        run(Command::new(BINARY).arg("eval").arg(scifact).arg("--json").arg("--work").arg(work.join("scifact")))?;
    let report: Value = serde_json::from_str(&printed)?;
    println!("\nSciFact test, {} documents, {} queries", report["documents"], report["queries"]);
    println!("{:>14} {:>9} {:>11} {:>9}", "run", "nDCG@10", "Recall@100", "MRR@10");
    for run in report["runs"].as_array().into_iter().flatten() {
        let figure = |name: &str| run[name]["mean"].as_f64().unwrap_or(f64::NAN);
        let (ndcg, recall, mrr) = (figure("ndcg_at_10"), figure("recall_at_100"), figure("mrr_at_10"));
        println!("{:>14} {ndcg:>9.4} {recall:>11.4} {mrr:>9.4}", run["name"].as_str().unwrap_or_default());
    }
    Ok(report)
}

/// Passages per second, ours and the peer's, on the same abstracts.
fn embedding(scifact: &Path) -> Outcome<Value> {
    let manifest = Manifest::default_embedder();
    let cache = std::env::var_os("ANAMNESIS_MODEL_DIR").map(PathBuf::from).ok_or("ANAMNESIS_MODEL_DIR is not set")?;
    let folder = manifest.folder_in(&cache);
    let texts = abstracts(scifact)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedder = Embedder::load(&manifest, &folder, DeviceChoice::Cpu)?;
    embedder.embed(&texts[..PEER_BATCH], Role::Passage)?;
    let started = Instant::now();
    embedder.embed(&texts, Role::Passage)?;
    let ours = texts.len() as f64 / started.elapsed().as_secs_f64();
    let peer = peer_passages_per_second(&folder, manifest.max_tokens, &texts)?;
    println!(
        "\nembedding, {} abstracts: {ours:.1} passages/s; candle as it comes {peer:.1}; ratio {:.2}",
        texts.len(),
        ours / peer
    );
    Ok(json!({ "passages": texts.len(), "passages_per_s": ours, "peer_passages_per_s": peer, "ratio": ours / peer }))
}

fn abstracts(scifact: &Path) -> Outcome<Vec<String>> {
    let corpus = std::fs::read_to_string(scifact.join("corpus.jsonl"))?;
    let text = |line: &str| -> Outcome<String> {
        let document: Value = serde_json::from_str(line)?;
        let part = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        Ok(format!("{}\n{}", part("title"), part("text")))
    };
    corpus.lines().take(PASSAGES).map(text).collect()
}

/// candle-transformers' BERT, batches of eight padded to their longest, mean pooling.
fn peer_passages_per_second(folder: &Path, max_tokens: usize, texts: &[&str]) -> Outcome<f64> {
    let config: Config = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
    let weights = std::fs::read(folder.join("model.safetensors"))?;
    let device = Device::Cpu;
    let model = BertModel::load(VarBuilder::from_buffered_safetensors(weights, DType::F32, &device)?, &config)?;
    let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|error| error.to_string())?;
    let truncation = tokenizers::TruncationParams { max_length: max_tokens, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(|error| error.to_string())?;
    tokenizer.with_padding(Some(tokenizers::PaddingParams::default()));
    let started = Instant::now();
    for batch in texts.chunks(PEER_BATCH) {
        let encodings = tokenizer.encode_batch(batch.to_vec(), true).map_err(|error| error.to_string())?;
        let ids: Vec<Vec<u32>> = encodings.iter().map(|encoding| encoding.get_ids().to_vec()).collect();
        let masks: Vec<Vec<u32>> = encodings.iter().map(|encoding| encoding.get_attention_mask().to_vec()).collect();
        let (ids, mask) = (Tensor::new(ids, &device)?, Tensor::new(masks, &device)?);
        let states = model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let weights = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let means = states.broadcast_mul(&weights)?.sum(1)?.broadcast_div(&weights.sum(1)?)?;
        means.flatten_all()?.to_vec1::<f32>()?;
    }
    Ok(texts.len() as f64 / started.elapsed().as_secs_f64())
}

/// Records per second from file to committed documents and facts, without indexing.
fn ingest(work: &Path) -> Outcome<Value> {
    let synthea = shared("fhir-synthea-r4");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/hospital/fhir");
    let files = if synthea.exists() { synthea } else { demo };
    let data = work.join("ingest");
    let _ = std::fs::remove_dir_all(&data);
    let report = work.join("ingest.json");
    run(Command::new(BINARY)
        .args(["ingest", "--no-index", "--report"])
        .arg(&report)
        .arg(&files)
        .env("ANAMNESIS_DATA_DIR", &data))?;
    let account: Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    let seconds = account["read_seconds"].as_f64().unwrap_or(f64::NAN);
    let rate = account["records"].as_f64().unwrap_or(f64::NAN) / seconds;
    println!("\ningest: {} records in {seconds:.2} s: {rate:.0} records/s, durable", account["records"]);
    Ok(json!({ "records": account["records"], "seconds": seconds, "records_per_s": rate }))
}

/// A demo server that is stopped when it goes out of scope.
struct Server {
    process: Child,
    ready: Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start_demo(work: &Path) -> Outcome<Server> {
    let data = work.join("demo");
    let file = data.join("demo.json");
    let _ = std::fs::remove_file(&file);
    let hospital = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/hospital");
    let mut process = Command::new(BINARY)
        .arg("demo")
        .arg("--data")
        .arg(&data)
        .arg("--hospital")
        .arg(hospital)
        .env("ANAMNESIS_LISTEN", "127.0.0.1:0")
        .env("ANAMNESIS_OPERATIONS_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::null())
        .spawn()?;
    let started = Instant::now();
    loop {
        if let Ok(bytes) = std::fs::read(&file) {
            return Ok(Server { process, ready: serde_json::from_slice(&bytes)? });
        }
        if started.elapsed() > SERVER_WAIT || process.try_wait()?.is_some() {
            let _ = process.kill();
            return Err("the demo server did not become ready".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Latencies over HTTP, one request at a time, audit row included.
async fn search(work: &Path) -> Outcome<Value> {
    let server = start_demo(work)?;
    let field = |name: &str| server.ready[name].as_str().unwrap_or_default().to_owned();
    let (url, token, question, patient) = (field("url"), field("token"), field("question"), field("patient"));
    let client = reqwest::Client::new();
    let floor = latencies(SEARCHES, || client.get(format!("{url}/health/live"))).await?;
    println!(
        "\nover HTTP, {SEARCHES} searches and {ANSWERS} answers, milliseconds (and ratio to the server's cheapest answer)"
    );
    println!("{:>28} {:>8} {:>8} {:>7}", "request", "p50", "p99", "ratio");
    let mut rows = serde_json::Map::new();
    let mut row = |name: &str, (p50, p99): (f64, f64)| {
        println!("{name:>28} {p50:>8.2} {p99:>8.2} {:>7.1}", p50 / floor.0);
        rows.insert(name.replace(' ', "_"), json!({ "p50_ms": p50, "p99_ms": p99, "ratio": p50 / floor.0 }));
    };
    row("health", floor);
    for (scope, patient) in [("patient", Some(&patient)), ("tenant", None)] {
        for mode in ["keyword", "dense", "hybrid"] {
            let body = json!({ "query": question, "patient": patient, "mode": mode });
            let measured =
                latencies(SEARCHES, || client.post(format!("{url}/v1/search")).bearer_auth(&token).json(&body)).await?;
            row(&format!("search {scope} {mode}"), measured);
        }
    }
    let body = json!({ "question": question, "patient": patient });
    let measured =
        latencies(ANSWERS, || client.post(format!("{url}/v1/answer")).bearer_auth(&token).json(&body)).await?;
    row("answer patient", measured);
    Ok(Value::Object(rows))
}

/// p50 and p99 in milliseconds.
async fn latencies(times: usize, request: impl Fn() -> reqwest::RequestBuilder) -> Outcome<(f64, f64)> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let started = Instant::now();
        request().send().await?.error_for_status()?.bytes().await?;
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken[((taken.len() as f64 * share) as usize).min(taken.len() - 1)];
    Ok((at(0.50), at(0.99)))
}
