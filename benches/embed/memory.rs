//! How much memory a long bulk takes beyond the loaded model.

use anamnesis::adapters::inference::{Embedder, Role};
use serde_json::{Value, json};

use crate::{Outcome, sentence_notes};

const NOTES: usize = 100_000;
/// Texts that are handed over at once; their vectors are thrown away.
const BATCH: usize = 256;

pub fn bulk(embedder: &Embedder, scifact: &std::path::Path) -> Outcome<Value> {
    let notes = sentence_notes(scifact)?;
    embedder.embed(&["fever"], Role::Passage)?;
    let before = resident("VmRSS:")?;
    let started = std::time::Instant::now();
    let mut done = 0;
    while done < NOTES {
        let texts: Vec<&str> = (done..done + BATCH).map(|at| notes[at % notes.len()].as_str()).collect();
        embedder.embed(&texts, Role::Passage)?;
        done += BATCH;
    }
    let (peak, seconds) = (resident("VmHWM:")?, started.elapsed().as_secs_f64());
    println!(
        "{done} notes in {seconds:.0} s, {}: {before} MiB before, {peak} MiB at the peak, {} more",
        embedder.precision(),
        peak.saturating_sub(before)
    );
    Ok(json!({ "notes": done, "seconds": seconds, "before_mib": before, "peak_mib": peak }))
}

/// A line of `/proc/self/status`, in MiB.
fn resident(name: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>()? / 1024)
}
