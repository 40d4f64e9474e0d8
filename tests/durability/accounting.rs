//! Every record of the public sets is accounted for, the first time and the second.

use std::path::Path;

use serde_json::Value;

use crate::fixtures::{clinic, data, pieces, write_files};
use crate::home::{Home, SOURCE};

const KEYS: [&str; 18] = [
    "added",
    "carrying_nothing",
    "changed",
    "documents",
    "empty_files",
    "facts",
    "files",
    "findings",
    "ignored_files",
    "lost",
    "quarantined",
    "read_seconds",
    "records",
    "removed",
    "seconds",
    "stale",
    "stored",
    "unchanged",
];

fn number(account: &Value, name: &str) -> u64 {
    account[name].as_u64().unwrap_or_else(|| panic!("{name} in {account}"))
}

fn sum(account: &Value, name: &str) -> u64 {
    account[name].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

#[track_caller]
fn adds_up(account: &Value) {
    let mut keys: Vec<&String> = account.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, KEYS);
    assert_eq!(number(account, "lost"), 0, "{account}");
    let ended = number(account, "stored")
        + number(account, "unchanged")
        + number(account, "stale")
        + number(account, "removed")
        + sum(account, "carrying_nothing")
        + sum(account, "quarantined");
    assert_eq!(number(account, "records"), ended, "{account}");
    assert!(account["seconds"].as_f64().unwrap() > 0.0);
}

/// Twice over: the second time brings nothing new and ends each record as the first did, or as unchanged.
fn twice(home: &Home, folder: &Path) -> Value {
    let first = home.ingest(folder, &["--source", SOURCE, "--no-index"]);
    adds_up(&first);
    let second = home.ingest(folder, &["--source", SOURCE, "--no-index"]);
    adds_up(&second);
    for same in ["files", "records", "carrying_nothing", "quarantined", "ignored_files", "empty_files"] {
        assert_eq!(second[same], first[same], "{same}");
    }
    first
}

fn brings_nothing_new(home: &Home, folder: &Path, first: &Value) {
    let again = home.ingest(folder, &["--source", SOURCE, "--no-index"]);
    assert_eq!(number(&again, "documents"), 0, "{again}");
    assert_eq!(number(&again, "facts"), 0, "{again}");
    assert_eq!(number(&again, "stored"), 0, "{again}");
    assert_eq!(number(&again, "unchanged"), number(first, "stored") + number(first, "unchanged"), "{again}");
}

#[tokio::test]
async fn a_generated_set_adds_up_and_comes_twice_without_effect() {
    let home = Home::new();
    let folder = home.path().join("files");
    write_files(&pieces(&clinic(5), 7), &folder);
    let first = twice(&home, &folder);
    assert_eq!(number(&first, "records"), 50);
    assert_eq!(number(&first, "documents"), 50);
    assert_eq!(number(&first, "files"), 8);
    brings_nothing_new(&home, &folder, &first);
}

#[tokio::test]
async fn the_synthea_set_adds_up_and_comes_twice_without_effect() {
    let Some(folder) = data("fhir-synthea-r4") else { return };
    let home = Home::new();
    let first = twice(&home, &folder);
    assert_eq!(number(&first, "files"), 8);
    assert_eq!(number(&first, "records"), 1367);
    assert_eq!(sum(&first, "quarantined"), 0, "{first}");
    assert_eq!(number(&first, "documents"), 1343);
    brings_nothing_new(&home, &folder, &first);
    let remains = home.remains().await;
    assert_eq!((remains.documents, remains.versions, remains.unread), (1343, 1343, 0));
}

#[tokio::test]
async fn the_cumulus_set_adds_up_and_comes_twice_without_effect() {
    let Some(folder) = data("fhir-ndjson-cumulus") else { return };
    let home = Home::new();
    let first = twice(&home, &folder);
    assert!(number(&first, "records") > 0);
    assert!(number(&first, "documents") > 0);
}

#[tokio::test]
async fn the_other_sets_add_up() {
    for name in ["fhir-r4-examples", "fhir-malformed/files", "notes-ctakes-examples/synthetic"] {
        let Some(folder) = data(name) else { continue };
        let account = Home::new().ingest(&folder, &["--no-index"]);
        eprintln!("{name}: {account}");
        adds_up(&account);
        assert!(number(&account, "records") > 0, "{name}");
        assert!(number(&account, "documents") > 0, "{name}");
    }
}
