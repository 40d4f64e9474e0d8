//! Whole messages, from delivery to documents; real ones where the data sets are at hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::domain::{
    Changes, Delivery, Document, Feed, Finding, Format, Outcome, QuarantineReason, ReceiptId, SourceDescription,
    SourceId, TenantId, Timestamp, Unreadable,
};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};

pub(super) fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("hospital"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 600,
        mapping: None,
        feed: Feed::default(),
    }
}

pub(super) type Read = Result<(Outcome, Vec<Finding>), Unreadable>;

/// Every record of a delivery and what it came to.
pub(super) fn read(bytes: &[u8]) -> Vec<Read> {
    let source = source();
    let delivery = Delivery {
        receipt: ReceiptId::new("r"),
        tenant: TenantId::new("t"),
        source: source.name.clone(),
        format: Format::Hl7v2,
        name: None,
        bytes: bytes.to_vec(),
        received_at: Timestamp::from_micros(0),
    };
    let origin =
        Origin { source: &source, format: Format::Hl7v2, name: None, received_at: delivery.received_at };
    let one = |piece| match piece {
        Piece::Unreadable { unreadable, .. } => Err(unreadable),
        Piece::Record(record) => normalize(&record, &origin).map(|normalized| (normalized.outcome, normalized.findings)),
    };
    split(&delivery, None).into_iter().map(one).collect()
}

/// The effects of one message, its lines given apart.
fn changes(lines: &[&str]) -> Changes {
    match read(lines.join("\r").as_bytes()).remove(0).unwrap().0 {
        Outcome::Changes(changes) => changes,
        other => panic!("{other:?}"),
    }
}

fn shown(document: &Document) -> String {
    let mut text = String::new();
    let labels = (&document.labels.confidentiality, &document.labels.sensitivity);
    let _ = writeln!(text, "== {} ({}, {:?}) {labels:?}", document.source_key, document.resource_type, document.status);
    let effective = document.times.effective.map(|at| at.to_string());
    let source = document.times.source.map(|at| at.to_string());
    let _ = writeln!(text, "   {} | {:?} | effective {effective:?} source {source:?}", document.title, document.author);
    for line in document.text.lines() {
        let facts = document.facts.iter().filter(|fact| fact.span.of(&document.text) == Some(line)).count();
        let _ = writeln!(text, "   {} {line}", if facts > 0 { "*" } else { " " });
    }
    text
}

fn data(set: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ANAMNESIS_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = root.join(set);
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

pub(super) fn messages(set: &str) -> Vec<(String, Vec<u8>)> {
    let Some(folder) = data(set) else { return Vec::new() };
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hl7"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[derive(Debug, Default, PartialEq)]
struct Table {
    files: usize,
    records: usize,
    merges: usize,
    removals: usize,
    documents: usize,
    facts: usize,
    nothing: usize,
    quarantined: BTreeMap<&'static str, usize>,
}

fn table(set: &str) -> Option<Table> {
    let files = messages(set);
    if files.is_empty() {
        return None;
    }
    let dump = std::env::var_os("ANAMNESIS_DUMP").map(PathBuf::from);
    let mut table = Table { files: files.len(), ..Table::default() };
    for (name, bytes) in files {
        let mut text = String::new();
        for record in read(&bytes) {
            table.records += 1;
            match record {
                Err(unreadable) => {
                    assert_ne!(unreadable.reason, QuarantineReason::ReaderFailed);
                    let _ = writeln!(text, "! {unreadable:?}");
                    *table.quarantined.entry(unreadable.reason.as_str()).or_default() += 1;
                }
                Ok((Outcome::Changes(changes), findings)) => {
                    assert!(!changes.is_empty(), "{name}");
                    table.merges += changes.merges.len();
                    table.removals += changes.removals.len();
                    table.documents += changes.documents.len();
                    let _ = writeln!(text, "merges {:?}\nremovals {:?}", changes.merges, changes.removals);
                    for document in &changes.documents {
                        well_formed(document);
                        table.facts += document.facts.len();
                        text.push_str(&shown(document));
                    }
                    findings.iter().for_each(|finding| writeln!(text, "? {} {}", finding.rule, finding.path).unwrap());
                }
                Ok((Outcome::CarriesNothing { name }, _)) => {
                    let _ = writeln!(text, "nothing: {name}");
                    table.nothing += 1;
                }
                Ok((other, _)) => panic!("{other:?}"),
            }
        }
        if let Some(folder) = &dump {
            std::fs::write(folder.join(format!("{name}.txt")), text).unwrap();
        }
    }
    println!("{set}: {table:#?}");
    Some(table)
}

/// What holds of every document, whatever message it came from.
pub(super) fn well_formed(document: &Document) {
    assert!(!document.text.is_empty() && !document.source_key.is_empty());
    assert_eq!(document.text, crate::stages::normalize::tidy::text(&document.text));
    for fact in &document.facts {
        let line = fact.span.of(&document.text).unwrap();
        assert!(document.text.lines().any(|own| own == line), "{}", document.source_key);
    }
}

#[test]
fn every_message_of_the_converter_s_samples_ends_somewhere() {
    let Some(table) = table("hl7v2-ms-converter") else { return };
    assert_eq!(table.records, table.files);
}

#[test]
fn every_message_of_the_second_set_ends_somewhere() {
    let Some(table) = table("hl7v2-lfh-converter") else { return };
    assert_eq!(table.records, 4);
}
