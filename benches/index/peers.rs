//! The peers, over the same vectors: faiss through its own Python package, hnsw_rs with our dot product.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use hnsw_rs::prelude::{Distance, Hnsw};
use kernels::codes::Codes;
use kernels::distance::dot;
use serde_json::{Value, json};

use crate::side::{WIDTHS, exact, median};
use crate::vectors::{Set, bytes};
use crate::{NEAREST, Outcome};

/// As faiss and we build: sixteen links, thirty-two at the ground, two hundred candidates.
const LINKS: usize = 16;
const BUILD_WIDTH: usize = 200;
const MOST_LAYERS: usize = 16;

/// `null` where faiss can't be had.
pub fn faiss(set: &Set, work: &Path) -> Outcome<Value> {
    let Some(python) = python_with_faiss(work) else {
        println!("SKIPPED: faiss-cpu could not be installed below {}", work.display());
        return Ok(Value::Null);
    };
    let (rows, queries) = (work.join("rows.f32"), work.join("queries.f32"));
    std::fs::write(&rows, bytes(&set.rows))?;
    std::fs::write(&queries, bytes(&set.queries))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/faiss_peer.py");
    let widths: Vec<String> = WIDTHS.iter().map(usize::to_string).collect();
    let output = Command::new(python)
        .arg(script)
        .args([&rows, &queries])
        .args([set.dimension.to_string(), NEAREST.to_string(), widths.join(",")])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the faiss peer ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn python_with_faiss(work: &Path) -> Option<PathBuf> {
    let folder = work.join("venv");
    let python = folder.join("bin/python");
    let has_faiss = || {
        let mut asking = Command::new(&python);
        asking.args(["-c", "import faiss"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !python.exists() {
        Command::new("python3").args(["-m", "venv"]).arg(&folder).status().ok()?;
    }
    if !has_faiss() {
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "faiss-cpu", "numpy"]).status().ok()?;
    }
    has_faiss().then_some(python)
}

#[derive(Clone, Copy, Default)]
struct OneMinusDot;

impl Distance<f32> for OneMinusDot {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

pub fn hnsw_rs(set: &Set) -> Value {
    let rows: Vec<(&[f32], usize)> = set.rows.chunks_exact(set.dimension).zip(0..).collect();
    let graph = Hnsw::new(LINKS, rows.len(), MOST_LAYERS, BUILD_WIDTH, OneMinusDot);
    let started = Instant::now();
    graph.parallel_insert_slice(&rows);
    let built = started.elapsed().as_secs_f64();
    let codes = Codes::of(&set.rows, set.dimension);
    let mut searches = Vec::new();
    for width in WIDTHS {
        let (mut taken, mut same, mut wanted) = (Vec::new(), 0, 0);
        for query in set.queries() {
            let started = Instant::now();
            let found = graph.search(query, NEAREST, width);
            taken.push(started.elapsed().as_secs_f64() * 1e3);
            let expected: HashSet<usize> =
                exact(set, &codes, query, NEAREST).iter().map(|near| near.position as usize).collect();
            same += found.iter().filter(|near| expected.contains(&near.d_id)).count();
            wanted += expected.len();
        }
        searches.push(json!({ "width": width, "recall": same as f64 / wanted as f64, "ms": median(taken) }));
    }
    json!({ "build_s": built, "searches": searches })
}
