//! The index is derived: it is resumed where it stopped, and rebuilt from the store when it is lost or damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::fixtures::{Expected, Piece, clinic, expected, pieces};
use crate::home::{Home, SOURCE};
use crate::server::{Api, Server};

pub type Hits = BTreeSet<(String, u64, String)>;

/// Sends the pieces to a server, waits until they are indexed, and stops it.
pub async fn filled(home: &Home, pieces: &[Piece]) {
    let server = Server::start(home);
    let receipts = server.api.send_all(pieces).await;
    server.api.indexed(&receipts).await;
    server.stop().await;
}

/// What a sample of searches finds.
pub async fn answers(api: &Api, wanted: &[Expected]) -> Vec<Hits> {
    let mut answers = Vec::new();
    for expected in wanted.iter().step_by(wanted.len().div_ceil(10)) {
        let patient = expected.patient.as_ref().map(|patient| patient.as_str());
        let hits = api.search(&expected.words, patient).await;
        assert!(!hits.is_empty(), "nothing is found where something was put");
        answers.push(hits);
    }
    answers
}

struct Lifecycle {
    home: Home,
    wanted: Vec<Expected>,
    before: Vec<Hits>,
    watermark: i64,
}

impl Lifecycle {
    async fn begin() -> Self {
        let home = Home::new();
        let pieces = pieces(&clinic(12), 5);
        let wanted: Vec<Expected> = expected(&pieces, SOURCE).into_values().collect();
        filled(&home, &pieces).await;
        let server = Server::start(&home);
        let before = answers(&server.api, &wanted).await;
        let watermark = server.api.metric("index_watermark").await;
        assert_eq!(watermark, 120);
        server.stop().await;
        Self { home, wanted, before, watermark }
    }

    /// Starts once more; all is as before, and nothing went through the model a second time.
    async fn goes_on(&self, after: &str) {
        eprintln!("after {after}");
        let server = Server::start(&self.home);
        server.api.caught_up().await;
        assert_eq!(server.api.metric("index_watermark").await, self.watermark, "after {after}");
        assert_eq!(answers(&server.api, &self.wanted).await, self.before, "after {after}");
        assert_eq!(server.api.metric("passages_embedded_total").await, 0, "embedded again after {after}");
        let log = server.stop().await;
        assert!(!log.contains("panicked"), "after {after}:\n{log}");
        assert!(self.home.generations().len() <= 2, "after {after}: {:?}", self.home.generations());
    }
}

#[tokio::test]
async fn a_restart_goes_on_at_the_watermark_in_the_same_generation() {
    let lifecycle = Lifecycle::begin().await;
    let generation = lifecycle.home.generation();
    lifecycle.goes_on("a restart").await;
    assert_eq!(lifecycle.home.generation(), generation);
}

#[tokio::test]
async fn a_deleted_index_comes_back_from_the_store() {
    let lifecycle = Lifecycle::begin().await;
    fs::remove_dir_all(lifecycle.home.index()).unwrap();
    lifecycle.goes_on("the index was deleted").await;
    fs::remove_file(lifecycle.home.index().join("in-service")).unwrap();
    lifecycle.goes_on("the pointer was deleted").await;
    fs::remove_file(lifecycle.home.generation().join("meta.json")).unwrap();
    lifecycle.goes_on("meta.json was deleted").await;
}

#[tokio::test]
async fn a_damaged_index_comes_back_from_the_store() {
    let lifecycle = Lifecycle::begin().await;
    let home = &lifecycle.home;
    for damage in [cut as fn(&Path), empty, turn_a_bit, delete] {
        for file in files_of(&home.generation()) {
            // Another generation may name its files otherwise: the one of that kind is meant.
            let kind = kind_of(&file);
            let Some(file) = files_of(&home.generation()).into_iter().find(|file| kind_of(file) == kind) else {
                continue;
            };
            damage(&file);
            lifecycle.goes_on(&format!("damage to {kind}")).await;
        }
    }
    fs::write(home.index().join("in-service"), "../../etc").unwrap();
    lifecycle.goes_on("a pointer to elsewhere").await;
}

fn kind_of(file: &Path) -> String {
    let name = file.file_name().unwrap().to_str().unwrap();
    name.rsplit('.').next().unwrap().to_owned()
}

/// One file of each kind that a generation consists of.
fn files_of(generation: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(generation).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| kind_of(file) != "lock");
    files.sort();
    files.dedup_by_key(|file| kind_of(file));
    files.sort_by_key(|file| kind_of(file));
    files.dedup_by_key(|file| kind_of(file));
    files
}

fn cut(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn empty(file: &Path) {
    fs::write(file, "").unwrap();
}

fn turn_a_bit(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn delete(file: &Path) {
    fs::remove_file(file).unwrap();
}

/// Leaves nothing of an earlier store in `to`.
fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() && !name.ends_with("-shm") {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// An older copy of the store put back beside a newer index: what came since must be indexed all the same.
#[tokio::test]
async fn an_index_ahead_of_its_store_is_built_again() {
    let home = Home::new();
    let all = pieces(&clinic(6), 5);
    let (first, rest) = all.split_at(4);
    filled(&home, first).await;
    let copy = home.path().join("copy");
    copy_store(&home.path().join("data"), &copy);
    filled(&home, rest).await;
    copy_store(&copy, &home.path().join("data"));
    let server = Server::start(&home);
    server.api.caught_up().await;
    assert_eq!(server.api.metric("index_watermark").await, 20);
    let receipts = server.api.send_all(rest).await;
    server.api.indexed(&receipts).await;
    let hits = server.api.search("case mark clinic5", Some("clinic-005")).await;
    assert!(!hits.is_empty(), "what came after the restore is not found");
    server.stop().await;
}
