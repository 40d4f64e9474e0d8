//! Our side: the scan and the graph of `kernels`, as the index uses them.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use kernels::codes::{Codes, Probe};
use kernels::distance::dot_rows;
use kernels::graph::{Graph, Rows};
use kernels::nearest::{Compared, Near, nearest};
use serde_json::{Value, json};

use crate::NEAREST;
use crate::vectors::Set;

/// Rows that a search by the server asks each side for.
const WANTED: usize = 100;
pub const WIDTHS: [usize; 5] = [32, 64, 128, 200, 400];
const BUILD_THREADS: usize = 2;

pub fn exact(set: &Set, codes: &Codes, query: &[f32], limit: usize) -> Vec<Near> {
    let positions: Vec<u32> = (0..codes.len() as u32).collect();
    exact_among(set, codes, &positions, query, limit)
}

/// Of some rows only.
pub fn exact_among(set: &Set, codes: &Codes, positions: &[u32], query: &[f32], limit: usize) -> Vec<Near> {
    let rows = Compared { codes, vectors: &set.rows };
    nearest(rows, query, &Probe::of(query), positions, limit, f32::NEG_INFINITY)
}

/// A scan of ever more rows: codes first, and every vector in f32.
pub fn scan(set: &Set) -> Value {
    let codes = Codes::of(&set.rows, set.dimension);
    let rows = Compared { codes: &codes, vectors: &set.rows };
    println!("\nscan for {WANTED} nearest, one thread, milliseconds (median)");
    println!("{:>9} {:>9} {:>9} {:>7} {:>9}", "rows", "ours", "all f32", "ratio", "recall");
    let mut report = Vec::new();
    for count in [1_000, 10_000, 50_000, 100_000] {
        if count > codes.len() {
            continue;
        }
        // Spread over all, as the rows of a scope are.
        let positions: Vec<u32> = (0..count).map(|at| (at * codes.len() / count) as u32).collect();
        let (mut ours, mut plain, mut same, mut wanted) = (Vec::new(), Vec::new(), 0, 0);
        for query in set.queries().take(100) {
            let started = Instant::now();
            let found = nearest(rows, query, &Probe::of(query), &positions, WANTED, f32::NEG_INFINITY);
            ours.push(started.elapsed().as_secs_f64() * 1e3);
            let started = Instant::now();
            let mut scores = Vec::with_capacity(count);
            dot_rows(query, &set.rows, &positions, &mut scores);
            let mut all: Vec<Near> =
                positions.iter().zip(scores).map(|(position, score)| Near { score, position: *position }).collect();
            all.select_nth_unstable_by(WANTED.min(count - 1), Near::order);
            plain.push(started.elapsed().as_secs_f64() * 1e3);
            let expected: HashSet<u32> = all[..WANTED.min(count)].iter().map(|near| near.position).collect();
            same += found.iter().filter(|near| expected.contains(&near.position)).count();
            wanted += expected.len();
        }
        let (ours, plain, recall) = (median(ours), median(plain), same as f64 / wanted as f64);
        println!("{count:>9} {ours:>9.3} {plain:>9.3} {:>7.2} {recall:>9.5}", ours / plain);
        report.push(json!({ "rows": count, "ms": ours, "f32_ms": plain, "ratio": ours / plain, "recall": recall }));
    }
    Value::Array(report)
}

pub fn graph(set: &Set) -> Value {
    let codes = Codes::of(&set.rows, set.dimension);
    let partitions = vec![0; codes.len()];
    let seeds: Vec<u64> = (0..codes.len() as u64).collect();
    let rows = Rows { codes: &codes, partitions: &partitions, seeds: &seeds };
    let started = Instant::now();
    let never = AtomicBool::new(false);
    let Some(graph) = Graph::empty().extend(rows, BUILD_THREADS, &never) else { return Value::Null };
    let built = started.elapsed().as_secs_f64();
    let expected: Vec<HashSet<u32>> = set
        .queries()
        .map(|query| exact(set, &codes, query, NEAREST).iter().map(|near| near.position).collect())
        .collect();
    let compared = Compared { codes: &codes, vectors: &set.rows };
    let mut searches = Vec::new();
    for width in WIDTHS {
        let (mut taken, mut same) = (Vec::new(), 0);
        for (query, expected) in set.queries().zip(&expected) {
            let started = Instant::now();
            let probe = Probe::of(query);
            let mut positions: Vec<u32> =
                graph.search(&codes, &probe, 0, width).iter().map(|near| near.position).collect();
            positions.sort_unstable();
            let found = nearest(compared, query, &probe, &positions, NEAREST, f32::NEG_INFINITY);
            taken.push(started.elapsed().as_secs_f64() * 1e3);
            same += found.iter().filter(|near| expected.contains(&near.position)).count();
        }
        let recall = same as f64 / (expected.len() * NEAREST) as f64;
        searches.push(json!({ "width": width, "recall": recall, "ms": median(taken) }));
    }
    json!({ "build_s": built, "searches": searches })
}

pub fn median(mut taken: Vec<f64>) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().unwrap_or(f64::NAN)
}
