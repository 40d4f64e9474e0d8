//! `make bench-generation`: how fast a language model in this process reads a prompt and writes, beside llama.cpp with
//! the same file and as many threads, as a table and as `bench/results/generation.json`.
//!
//! The model is the small one that a manifest comes for, or that of the manifest which `ANAMNESIS_BENCH_GENERATOR` names;
//! it is fetched when it isn't there. llama.cpp is measured where
//! `ANAMNESIS_BENCH_LLAMA` names a Python that has `xllamacpp`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anamnesis::adapters::inference::{
    DeviceChoice, Generator, GeneratorManifest, LocalGenerator, Places, Silent, obtain,
};
use anamnesis::domain::Prompt;
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MANIFEST: &str = "models/SmolLM2-135M-Instruct.toml";
const SYSTEM: &str = "Answer from the record that is quoted.";
/// Tokens that are written, at most.
const WRITTEN: usize = 96;
const ROUNDS: usize = 5;

/// One round.
#[derive(Clone, Copy)]
struct Round {
    /// Until the first piece.
    first_ms: f64,
    /// Of the pieces after it.
    tokens_per_s: f64,
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let named = std::env::var_os("ANAMNESIS_BENCH_GENERATOR").map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(MANIFEST));
    let manifest = GeneratorManifest::parse(&std::fs::read_to_string(path)?)?;
    let cache = std::env::var_os("ANAMNESIS_MODEL_DIR").map(PathBuf::from).ok_or("ANAMNESIS_MODEL_DIR is not set")?;
    let folder = runtime.block_on(obtain(&manifest.as_files(), &cache, &Places::default(), &Silent))?;
    let files = manifest.as_files().files;
    let weights = files.iter().find(|file| file.name.ends_with(".gguf")).ok_or("the manifest names no weights")?;
    let file = folder.join(&weights.name);
    let generator = LocalGenerator::load(&manifest, &folder, DeviceChoice::Cpu, WRITTEN)?;
    let mut rounds = Vec::new();
    // The first is for warming up.
    for round in 0..=ROUNDS {
        let measured = runtime.block_on(measure(&generator))?;
        rounds.extend((round > 0).then_some(measured));
    }
    let mut rows = vec![row("anamnesis (candle)", &rounds)];
    match std::env::var_os("ANAMNESIS_BENCH_LLAMA").filter(|python| !python.is_empty()) {
        Some(python) => rows.push(row("llama.cpp", &peer(Path::new(&python), &file)?)),
        None => println!("NOT MEASURED: llama.cpp, as ANAMNESIS_BENCH_LLAMA names no Python"),
    }
    println!("\n{:>20} {:>16} {:>12}", manifest.name, "first word, ms", "tokens/s");
    for row in &rows {
        let figure = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let name = row["name"].as_str().unwrap_or_default();
        println!("{name:>20} {:>16.0} {:>12.1}", figure("first_ms"), figure("tokens_per_s"));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("generation.json"), format!("{:#}\n", Value::from(rows)))?)
}

/// About as much as an answer's evidence.
fn user() -> String {
    let visit = "Seen on the ward. Wound dry, no fever, walks with help. Pain 3 of 10 on paracetamol. ";
    format!("{}\nHow is the patient, day by day?", visit.repeat(8))
}

async fn measure(generator: &LocalGenerator) -> Outcome<Round> {
    let started = Instant::now();
    let mut generation = generator.generate(Prompt { system: SYSTEM.to_owned(), user: user() });
    let mut times = Vec::new();
    while let Some(piece) = generation.next().await {
        piece?;
        times.push(started.elapsed().as_secs_f64());
    }
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Err("nothing was written".into()) };
    Ok(Round { first_ms: first * 1e3, tokens_per_s: (times.len() - 1) as f64 / (last - first) })
}

fn peer(python: &Path, file: &Path) -> Outcome<Vec<Round>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/generation/peer.py");
    let threads = std::thread::available_parallelism()?.to_string();
    let output = Command::new(python)
        .arg(script)
        .args([file.as_os_str(), SYSTEM.as_ref(), user().as_ref()])
        .args([WRITTEN.to_string(), ROUNDS.to_string(), threads])
        .stderr(Stdio::null())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let rounds: Vec<Value> = serde_json::from_str(text.lines().last().ok_or("llama.cpp gave no figures")?)?;
    let figure = |round: &Value, name: &str| round[name].as_f64().ok_or("a figure is missing");
    let round = |round: &Value| {
        Ok(Round { first_ms: figure(round, "first_ms")?, tokens_per_s: figure(round, "tokens_per_s")? })
    };
    rounds.iter().map(round).collect()
}

fn row(name: &str, rounds: &[Round]) -> Value {
    let median = |of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    json!({ "name": name, "first_ms": median(|round| round.first_ms), "tokens_per_s": median(|round| round.tokens_per_s) })
}
