//! Real messages, where the data sets are at hand, and the golden cases: every record ends somewhere.
//!
//! `ANAMNESIS_DUMP=<folder>` writes what was made of each file, to be read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::domain::{Document, Outcome, QuarantineReason};

use super::tests::{read, well_formed};

fn dump(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("ANAMNESIS_DUMP") {
        std::fs::write(PathBuf::from(folder).join(format!("{name}.txt")), text).unwrap();
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
        dump(&name, &text);
    }
    println!("{set}: {table:#?}");
    Some(table)
}

#[test]
fn every_message_of_the_converter_s_samples_ends_somewhere() {
    let Some(table) = table("hl7v2-ms-converter") else { return };
    let read = (table.files, table.records, table.merges, table.removals, table.documents, table.facts);
    assert_eq!(read, (139, 139, 6, 16, 548, 2442));
    assert_eq!((table.nothing, table.quarantined.len()), (0, 0));
}

#[test]
fn every_message_of_the_second_set_ends_somewhere() {
    let Some(table) = table("hl7v2-lfh-converter") else { return };
    assert_eq!((table.records, table.documents, table.facts), (4, 16, 52));
    assert_eq!((table.nothing, table.quarantined.len()), (0, 0));
}

#[test]
fn every_golden_case_ends_somewhere() {
    let Some(folder) = golden() else { return };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "hl7"));
    cases.sort();
    assert!(cases.len() >= 18, "{}", cases.len());
    for case in cases {
        let mut text = String::new();
        for record in read(&std::fs::read(&case).unwrap()) {
            match record {
                Ok((Outcome::Changes(changes), findings)) => {
                    let _ = writeln!(text, "merges {:?}\nremovals {:?}", changes.merges, changes.removals);
                    changes.documents.iter().for_each(|document| {
                        well_formed(document);
                        text.push_str(&shown(document));
                    });
                    let _ = writeln!(text, "findings {findings:?}");
                }
                other => {
                    let _ = writeln!(text, "{other:?}");
                }
            }
        }
        dump(&case.file_name().unwrap().to_string_lossy(), &text);
    }
}

fn golden() -> Option<PathBuf> {
    let folder = Path::new(file!()).ancestors().nth(5)?.join("tests/golden/normalize");
    folder.is_dir().then_some(folder)
}
