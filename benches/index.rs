//! `make bench-index`: the vector side of the index, as a table and as `bench/results/index.json`.
//!
//! Scan and graph are measured beside faiss and hnsw_rs over the same vectors in the same run; filters and starts go
//! through `Index` as the server does. Vectors are titles of the SciFact corpus embedded by the default model, mixed
//! and perturbed; without corpus or weights they are made from random directions, and the report says so.
//!
//! `ANAMNESIS_BENCH_ROWS` sets how many rows the graph is measured with (default 100,000), `ANAMNESIS_BENCH_FILTER_ROWS`
//! how many the filters are (default 200,000).

#[path = "support/data.rs"]
mod data;
#[path = "index/filters.rs"]
mod filters;
#[path = "index/peers.rs"]
mod peers;
#[path = "index/side.rs"]
mod side;
#[path = "index/vectors.rs"]
mod vectors;

use std::path::Path;

use serde_json::{Value, json};

/// The server's: it lays large pages under what is read at random.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Neighbours that recall is taken over.
pub const NEAREST: usize = 10;
const QUERIES: usize = 500;

fn main() -> Outcome<()> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-index");
    std::fs::create_dir_all(&work)?;
    let vectors = vectors::Maker::new(&work)?;
    let rows = setting("ANAMNESIS_BENCH_ROWS", 100_000);
    let set = vectors.make(rows, QUERIES);
    println!("{rows} vectors of {} components, {}", set.dimension, vectors.origin());
    let mut results = serde_json::Map::new();
    results.insert("vectors".into(), json!({ "rows": rows, "dimension": set.dimension, "origin": vectors.origin() }));
    results.insert("scan".into(), side::scan(&set));
    results.insert("graph".into(), graph(&set, &work)?);
    drop(set);
    let rows = setting("ANAMNESIS_BENCH_FILTER_ROWS", 200_000);
    let set = vectors.make(rows, QUERIES);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    results.insert("index".into(), runtime.block_on(filters::filters(&set, &work))?);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    std::fs::create_dir_all(&folder)?;
    let text = serde_json::to_string_pretty(&Value::Object(results))?;
    std::fs::write(folder.join("index.json"), format!("{text}\n"))?;
    Ok(())
}

/// Building and asking: ours, faiss's and hnsw_rs's with our distance.
fn graph(set: &vectors::Set, work: &Path) -> Outcome<Value> {
    let ours = side::graph(set);
    let faiss = peers::faiss(set, work)?;
    let hnsw_rs = peers::hnsw_rs(set);
    let built = |report: &Value| report["build_s"].as_f64().unwrap_or(f64::NAN);
    println!("\ngraph, two threads to build, one to ask, {NEAREST} nearest of {} queries", QUERIES);
    println!("{:>10} {:>9} {:>7} {:>9} {:>9}", "", "build s", "width", "recall", "ms");
    for (name, report) in [("ours", &ours), ("faiss", &faiss), ("hnsw_rs", &hnsw_rs)] {
        for row in report["searches"].as_array().into_iter().flatten() {
            let figure = |field: &str| row[field].as_f64().unwrap_or(f64::NAN);
            let (width, recall, ms) = (figure("width"), figure("recall"), figure("ms"));
            println!("{name:>10} {:>9.1} {width:>7.0} {recall:>9.4} {ms:>9.3}", built(report));
        }
    }
    let ratio =
        json!({ "build": built(&ours) / built(&faiss), "search_at_recall_0_99": at_0_99(&ours) / at_0_99(&faiss) });
    println!("ours to faiss's: {ratio}");
    Ok(json!({ "ours": ours, "faiss": faiss, "hnsw_rs": hnsw_rs, "ratio": ratio }))
}

/// The time of the narrowest search that reaches a recall of 0.99.
fn at_0_99(report: &Value) -> f64 {
    let rows = report["searches"].as_array().into_iter().flatten();
    let good = rows.filter(|row| row["recall"].as_f64().is_some_and(|recall| recall >= 0.99));
    good.filter_map(|row| row["ms"].as_f64()).fold(f64::NAN, f64::min)
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
