//! Whole interchanges through split and normalize: every piece ends somewhere, one damaged claim costs no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::{
    Delivery, Document, Feed, Format, Normalized, Outcome, ReceiptId, SourceDescription, SourceId, TenantId, Timestamp,
    Unreadable,
};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};

fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("billing"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 120,
        feed: Feed::default(),
        mapping: None,
    }
}

/// What became of each piece.
fn run(bytes: &[u8]) -> Vec<Result<Normalized, Unreadable>> {
    let source = source();
    let delivery = Delivery {
        receipt: ReceiptId::new("receipt"),
        tenant: TenantId::new("tenant"),
        source: source.name.clone(),
        format: Format::X12,
        name: None,
        bytes: bytes.to_vec(),
        received_at: Timestamp::from_micros(0),
    };
    let origin = Origin { source: &source, format: Format::X12, name: None, received_at: delivery.received_at };
    split(&delivery, None)
        .into_iter()
        .map(|piece| match piece {
            Piece::Record(record) => normalize(&record, &origin),
            Piece::Unreadable { unreadable, .. } => Err(unreadable),
        })
        .collect()
}

fn documents(results: &[Result<Normalized, Unreadable>]) -> Vec<Document> {
    let changes = results.iter().filter_map(|result| match result {
        Ok(Normalized { outcome: Outcome::Changes(changes), .. }) => Some(changes),
        _ => None,
    });
    changes.flat_map(|changes| changes.documents.clone()).collect()
}

fn rules(results: &[Result<Normalized, Unreadable>]) -> BTreeMap<String, usize> {
    let mut rules = BTreeMap::new();
    for finding in results.iter().flatten().flat_map(|normalized| &normalized.findings) {
        *rules.entry(finding.rule.clone()).or_default() += 1;
    }
    rules
}

fn shared() -> Option<PathBuf> {
    let root = std::env::var("ANAMNESIS_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = root.join("x12-imsweb");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no test data at {}", folder.display());
        return None;
    }
    Some(folder)
}

fn files() -> Vec<PathBuf> {
    let Some(folder) = shared() else { return Vec::new() };
    let folders = ["837_5010", "277_5010", "x270_271"].map(|name| folder.join(name));
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    files
}

#[test]
fn dump() {
    let mut all = files();
    all.extend(std::fs::read_dir("/tmp/wt/x12/tests/golden/normalize").unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "x12")));
    for file in all {
        let results = run(&std::fs::read(&file).unwrap());
        let out = std::env::var("X12_DUMP").unwrap_or_default();
        if out.is_empty() {
            return;
        }
        let mut text = String::new();
        for result in &results {
            match result {
                Err(e) => text.push_str(&format!("!! {e:?}\n")),
                Ok(n) => {
                    for f in n.findings.iter().take(40) {
                        text.push_str(&format!("   finding {} {:?} {}\n", f.rule, f.severity, f.path));
                    }
                    match &n.outcome {
                        Outcome::Changes(c) => {
                            for r in &c.removals {
                                text.push_str(&format!("REMOVAL {r:?}\n"));
                            }
                            for d in c.documents.iter().take(20) {
                                text.push_str(&format!("== {} [{} {:?}] patient {:?} eff {:?} src {:?} labels {:?} author {:?}\n  title {}\n{}\n", d.source_key, d.resource_type, d.kind, d.patient.as_ref().map(|p| p.as_str()), d.times.effective.map(|t| t.to_string()), d.times.source.map(|t| t.to_string()), d.labels.sensitivity, d.author, d.title, d.text));
                                for f in &d.facts {
                                    text.push_str(&format!(
                                        "     fact {:?} {:?} {} {:?} {:?}\n",
                                        f.kind, f.code, f.display, f.value, f.status
                                    ));
                                }
                            }
                        }
                        o => text.push_str(&format!("{o:?}\n")),
                    }
                }
            }
        }
        std::fs::write(format!("{out}/{}.out", file.file_name().unwrap().to_str().unwrap()), text).unwrap();
    }
}
