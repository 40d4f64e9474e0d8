//! The base and its file: a copy that speeds things up, and that nothing depends on.

use super::super::Method;
use super::*;

/// Rows from which the tests' indexes have a graph.
const GRAPH_FROM: usize = 500;

fn base_files(folder: &Path, generation: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join(generation)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("base-")).collect()
}

struct State {
    chunks: usize,
    dense: Vec<Vec<String>>,
    method: Method,
    based: usize,
}

fn state(index: &Index, access: &Access) -> State {
    let snapshot = index.snapshot();
    let scope = snapshot.scope(access, &Filters::default());
    let queries = (0..5).map(|query| vector(40_000 + query));
    State {
        chunks: snapshot.chunks(),
        dense: queries.map(|query| dense_ids(&snapshot, access, &Filters::default(), &query, 10)).collect(),
        method: snapshot.dense(&scope, &vector(1), 5).1.method,
        based: snapshot.rows().base.as_ref().map_or(0, |base| base.block.rows.len()),
    }
}

fn remove(numbers: impl Iterator<Item = u64>) -> Vec<IndexChange> {
    let gone =
        |number| IndexChange::Remove { tenant: TenantId::new(TENANT), id: DocumentId::new(format!("d{number}")) };
    numbers.map(gone).collect()
}

#[tokio::test]
async fn a_restart_finds_the_graph_again_and_what_came_and_went_since() {
    let folder = tempfile::tempdir().unwrap();
    let everyone = access("user/*.rs", None).await;
    let before = {
        let index = open(folder.path(), settings(0, GRAPH_FROM));
        index.apply(&Upkeep::begin(), &population(1_200), 1).unwrap();
        index.settle();
        index.apply(&Upkeep::begin(), &remove(0..100), 2).unwrap();
        let more: Vec<IndexChange> = population(1_300).split_off(1_200);
        index.apply(&Upkeep::begin(), &more, 3).unwrap();
        state(&index, &everyone)
    };
    let index = open(folder.path(), settings(0, GRAPH_FROM));
    let after = state(&index, &everyone);
    assert_eq!((before.chunks, before.based, before.method), (1_200, 1_200, Method::Graph));
    assert_eq!((after.chunks, after.based, after.method), (1_200, 1_200, Method::Graph));
    assert_eq!(after.dense, before.dense);
    assert_eq!(dense_ids(&index.snapshot(), &everyone, &Filters::default(), &vector(1_251), 1), ["d1250"]);
    assert!(!dense_ids(&index.snapshot(), &everyone, &Filters::default(), &vector(51), 10).contains(&"d50".to_owned()));
}

#[tokio::test]
async fn a_file_that_is_damaged_or_of_another_commit_is_not_believed() {
    let everyone = access("user/*.rs", None).await;
    let other = {
        let folder = tempfile::tempdir().unwrap();
        let index = open(folder.path(), settings(0, GRAPH_FROM));
        let changes: Vec<IndexChange> = (0..1_200)
            .map(|number| put(TENANT, &format!("d{number}"), 1, "p", "other", vector(number + 9_000)))
            .collect();
        index.apply(&Upkeep::begin(), &changes, 1).unwrap();
        index.settle();
        std::fs::read(&base_files(folder.path(), index.snapshot().generation())[0]).unwrap()
    };
    let mangled = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    type Damage<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let damages: [Damage<'_>; 5] = [
        &|bytes| mangled(bytes, 1_000),
        &|bytes| mangled(bytes, bytes.len() - 200),
        &|bytes| bytes[..bytes.len() / 2].to_vec(),
        &|_| Vec::new(),
        &|_| other.clone(),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (before, generation) = {
            let index = open(folder.path(), settings(0, GRAPH_FROM));
            index.apply(&Upkeep::begin(), &population(1_200), 1).unwrap();
            index.settle();
            (state(&index, &everyone), index.snapshot().generation().to_owned())
        };
        let file = &base_files(folder.path(), &generation)[0];
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, damage(&bytes)).unwrap();
        std::fs::write(folder.path().join(&generation).join("base.next"), b"half").unwrap();
        let index = open(folder.path(), settings(0, GRAPH_FROM));
        index.settle();
        let after = state(&index, &everyone);
        assert_eq!((after.chunks, after.based), (before.chunks, before.based), "damage {number}");
        assert_eq!(after.dense, before.dense, "damage {number}");
        assert_eq!(base_files(folder.path(), &generation).len(), 1, "damage {number}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once_and_its_memory_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(0, GRAPH_FROM));
    let everyone = access("user/*.rs", None).await;
    index.apply(&Upkeep::begin(), &population(4_000), 1).unwrap();
    index.settle();
    index.apply(&Upkeep::begin(), &remove(0..3_000), 2).unwrap();
    let found = dense_ids(&index.snapshot(), &everyone, &Filters::default(), &vector(17), 100);
    assert!(found.iter().all(|id| id[1..].parse::<u64>().unwrap() >= 3_000), "{found:?}");
    index.settle();
    assert_eq!((index.snapshot().chunks(), index.snapshot().rows().held()), (1_000, 1_000));
    assert_eq!(state(&index, &everyone).based, 1_000);
    assert_eq!(dense_ids(&index.snapshot(), &everyone, &Filters::default(), &vector(3_501), 1), ["d3500"]);
}

#[tokio::test]
async fn new_rows_are_found_before_the_graph_has_them_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(0, GRAPH_FROM));
    let everyone = access("user/*.rs", None).await;
    let all = population(4_500);
    let mut based = Vec::new();
    for (batch, changes) in all.chunks(750).enumerate() {
        index.apply(&Upkeep::begin(), changes, batch as i64 + 1).unwrap();
        for number in [0, batch as u64 * 750 + 3, batch as u64 * 750 + 749] {
            let found = dense_ids(&index.snapshot(), &everyone, &Filters::default(), &vector(number + 1), 1);
            assert_eq!(found, [format!("d{number}")]);
        }
        index.settle();
        based.push(state(&index, &everyone).based);
    }
    assert_eq!(based, [750, 750, 750, 3_000, 3_000, 3_000]);
    let last = dense_ids(&index.snapshot(), &everyone, &Filters::default(), &vector(4_401), 1);
    assert_eq!(last, ["d4400"]);
}
