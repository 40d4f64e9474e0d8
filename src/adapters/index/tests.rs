//! The index as its callers see it: scoped, atomic, the same after a restart.

mod base;
mod paired;
mod plans;

use std::collections::BTreeSet;
use std::path::Path;

use super::{
    Generation, Index, IndexChange, IndexError, IndexSettings, IndexedChunk, IndexedDocument, IndexedWindow, Question,
    Snapshot,
};
use crate::access::{Access, DevelopmentKey, Policy, TokenGrant, Upkeep, Verifier};
use crate::domain::{
    Chunk, ContentHash, Document, DocumentId, DocumentKey, DocumentStatus, Filters, Kind, Labels, PatientId, ReceiptId,
    SourceId, Span, StoredDocument, TenantId, Times, Timestamp,
};

const DIMENSION: usize = 24;
const TENANT: &str = "north";

fn settings(exact_up_to: usize, graph_from: usize) -> IndexSettings {
    IndexSettings { dimension: DIMENSION, exact_up_to, graph_from, recipe: vec!["test".to_owned()] }
}

async fn access(scopes: &str, patient: Option<&str>) -> Access {
    let key = DevelopmentKey::random();
    let mut grant = TokenGrant::new("reader", TenantId::new(TENANT), scopes);
    grant.patient = patient.map(PatientId::new);
    let token = key.mint(&grant);
    Verifier::development(key).verify(&token, &Policy::default()).await.unwrap()
}

/// A repeatable unit vector.
fn vector(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut components: Vec<f32> = (0..DIMENSION)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect();
    let length = components.iter().map(|component| component * component).sum::<f32>().sqrt();
    components.iter_mut().for_each(|component| *component /= length);
    components
}

fn put(tenant: &str, id: &str, version: u32, patient: &str, text: &str, vector: Vec<f32>) -> IndexChange {
    let document = Document {
        source_key: id.to_owned(),
        source_version: None,
        kind: Kind::Note,
        resource_type: "DocumentReference".to_owned(),
        patient: Some(PatientId::new(patient)),
        encounter: None,
        title: String::new(),
        author: None,
        times: Times::default(),
        labels: Labels::default(),
        status: DocumentStatus::Current,
        text: text.to_owned(),
        sections: Vec::new(),
        pages: Vec::new(),
        facts: Vec::new(),
    };
    let stored = StoredDocument {
        key: DocumentKey { id: DocumentId::new(id), version },
        source: SourceId::new("notes"),
        document,
        content_hash: ContentHash(String::new()),
        received_at: Timestamp::from_micros(0),
        is_latest: true,
        receipt: ReceiptId::new("r"),
        ordinal: 0,
    };
    let chunk = Chunk { ordinal: 0, section: None, span: Span::new(0, text.len()), tokens: 4 };
    let chunks = vec![IndexedChunk { chunk, vector, windows: Vec::new() }];
    IndexChange::Put(Box::new(IndexedDocument { tenant: TenantId::new(tenant), document: stored, chunks }))
}

/// Documents `d0`, `d1`, ... of ten patients in turn.
fn population(count: u64) -> Vec<IndexChange> {
    (0..count)
        .map(|number| {
            let patient = format!("p{}", number % 10);
            put(TENANT, &format!("d{number}"), 1, &patient, &format!("cough number {number}"), vector(number + 1))
        })
        .collect()
}

fn open(folder: &Path, settings: IndexSettings) -> Index {
    Index::open(folder, settings, i64::MAX).unwrap()
}

fn dense_ids(snapshot: &Snapshot, access: &Access, filters: &Filters, query: &[f32], limit: usize) -> Vec<String> {
    let scope = snapshot.scope(access, filters);
    let (found, _) = snapshot.dense(&scope, query, limit);
    found.into_iter().map(|(row, _)| snapshot.locate(row).unwrap().0.id.to_string()).collect()
}

fn keyword_scores(snapshot: &Snapshot, access: &Access, text: &str) -> Vec<(String, f32)> {
    let scope = snapshot.scope(access, &Filters::default());
    let found = snapshot.keyword(&scope, &Question::read(text, true)).unwrap().best(100);
    found.into_iter().map(|(row, score)| (snapshot.locate(row).unwrap().0.id.to_string(), score)).collect()
}

fn of_patient(patient: &str) -> Filters {
    Filters { patient: Some(PatientId::new(patient)), ..Filters::default() }
}

#[tokio::test]
async fn a_scan_finds_exactly_what_brute_force_finds() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(1_000_000, 1_000_000));
    index.apply(&Upkeep::begin(), &population(400), 1).unwrap();
    let everyone = access("user/*.rs", None).await;
    let snapshot = index.snapshot();
    for query in 0..40 {
        let wanted = vector(10_000 + query);
        for patient in ["p3", "p7"] {
            let remainder = patient[1..].parse::<u64>().unwrap();
            let mut expected: Vec<(f32, u64)> = (0..400)
                .filter(|number| number % 10 == remainder)
                .map(|number| (vector(number + 1).iter().zip(&wanted).map(|(a, b)| a * b).sum(), number))
                .collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0));
            let expected: Vec<String> = expected.iter().take(10).map(|(_, number)| format!("d{number}")).collect();
            assert_eq!(dense_ids(&snapshot, &everyone, &of_patient(patient), &wanted, 10), expected);
        }
    }
}

#[tokio::test]
async fn the_graph_finds_nearly_all_that_the_scan_finds_and_nothing_out_of_scope() {
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let exact = open(folders.0.path(), settings(1_000_000, 1_000_000));
    let graph = open(folders.1.path(), settings(0, 0));
    for index in [&exact, &graph] {
        index.apply(&Upkeep::begin(), &population(1500), 1).unwrap();
        index.settle();
    }
    let everyone = access("user/*.rs", None).await;
    let one = access("patient/*.rs", Some("p4")).await;
    let (mut found, mut wanted) = (0, 0);
    for query in 0..60 {
        let vector = vector(50_000 + query);
        let by_scan: BTreeSet<String> =
            dense_ids(&exact.snapshot(), &everyone, &Filters::default(), &vector, 10).into_iter().collect();
        let by_graph = dense_ids(&graph.snapshot(), &everyone, &Filters::default(), &vector, 10);
        wanted += by_scan.len();
        found += by_graph.iter().filter(|id| by_scan.contains(*id)).count();
        let scoped = dense_ids(&graph.snapshot(), &one, &Filters::default(), &vector, 10);
        assert_eq!(scoped.len(), 10);
        assert!(scoped.iter().all(|id| id.ends_with('4')), "out of scope: {scoped:?}");
    }
    assert!(found * 100 >= wanted * 90, "the graph found {found} of {wanted}");
}

#[tokio::test]
async fn what_a_caller_may_not_see_changes_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(1_000, 1_000));
    let own = [
        put(TENANT, "a1", 1, "a", "chest pain and cough", vector(1)),
        put(TENANT, "a2", 1, "a", "cough for a week, no fever, no chest pain at all", vector(2)),
    ];
    index.apply(&Upkeep::begin(), &own, 1).unwrap();
    let reader = access("patient/*.rs", Some("a")).await;
    // Words, neighbours, a phrase that says the same, and a kind.
    let queries = ["cough fever pain", "chest pain", "febrile", "no fever, chest pain for a week", "inhaler"];
    let scores = |index: &Index| queries.map(|query| keyword_scores(&index.snapshot(), &reader, query));
    let before = scores(&index);
    let others: Vec<IndexChange> = (0..30)
        .map(|number| {
            let tenant = if number % 2 == 0 { TENANT } else { "south" };
            put(
                tenant,
                &format!("b{number}"),
                1,
                "b",
                "chest pain, cough, fever and an albuterol puffer",
                vector(100 + number),
            )
        })
        .collect();
    index.apply(&Upkeep::begin(), &others, 2).unwrap();
    assert_eq!(before[0].len(), 2);
    assert_eq!(scores(&index), before);
    assert_eq!(index.snapshot().chunks_in(&index.snapshot().scope(&reader, &Filters::default())), 2);
}

#[tokio::test]
async fn a_chunk_is_found_by_its_windows_and_is_one_chunk_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(1_000, 1_000));
    let text = "cough at night. fever by day.";
    let mut with_windows = put(TENANT, "d1", 1, "p", text, vector(1));
    if let IndexChange::Put(document) = &mut with_windows {
        document.chunks[0].windows = vec![
            IndexedWindow { span: Span::new(0, 15), vector: vector(2) },
            IndexedWindow { span: Span::new(16, 29), vector: vector(3) },
        ];
    }
    let plain = put(TENANT, "d2", 1, "p", "cough in the morning", vector(4));
    index.apply(&Upkeep::begin(), &[with_windows, plain.clone()], 1).unwrap();
    let reader = access("user/*.rs", None).await;
    let snapshot = index.snapshot();
    let scope = snapshot.scope(&reader, &Filters::default());
    assert_eq!((snapshot.chunks(), snapshot.chunks_in(&scope)), (2, 2));
    let (found, _) = snapshot.dense_chunks(&scope, &vector(3), 10);
    assert_eq!(found.len(), 2);
    let (key, chunk) = snapshot.locate(found[0].0).unwrap();
    assert_eq!((key.id.as_str(), chunk.span), ("d1", Span::new(0, text.len())));
    assert_eq!(snapshot.nearness(found[0].0, &vector(3)).unwrap().span, Span::new(16, 29));
    // Words are counted as if there were no windows.
    let other = tempfile::tempdir().unwrap();
    let without = open(other.path(), settings(1_000, 1_000));
    without.apply(&Upkeep::begin(), &[put(TENANT, "d1", 1, "p", text, vector(1)), plain], 1).unwrap();
    let scores = |index: &Index| keyword_scores(&index.snapshot(), &reader, "cough fever");
    assert_eq!(scores(&index), scores(&without));
    index
        .apply(&Upkeep::begin(), &[IndexChange::Remove { tenant: TenantId::new(TENANT), id: DocumentId::new("d1") }], 2)
        .unwrap();
    assert_eq!(index.snapshot().chunks(), 1);
}

#[tokio::test]
async fn neighbours_of_the_query_that_stand_together_weigh_more() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(1_000, 1_000));
    let apart = put(TENANT, "apart", 1, "p", "chest clear on both sides today, belly soft, pain none, well", vector(1));
    let together =
        put(TENANT, "together", 1, "p", "belly soft on both sides today, none well, clear chest pain", vector(2));
    index.apply(&Upkeep::begin(), &[apart, together], 1).unwrap();
    let reader = access("user/*.rs", None).await;
    let found = keyword_scores(&index.snapshot(), &reader, "chest pain");
    assert_eq!(found[0].0, "together");
    assert!(found[0].1 > found[1].1);
}

#[tokio::test]
async fn what_says_the_same_is_found_and_weighs_less_than_the_word_itself() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(1_000, 1_000));
    let texts =
        ["history of myocardial infarction", "history of heart attack", "infarction of the spleen, myocardial bridge"];
    let changes: Vec<IndexChange> = (0..)
        .zip(texts)
        .map(|(number, text)| put(TENANT, &format!("d{number}"), 1, "p", text, vector(number + 1)))
        .collect();
    index.apply(&Upkeep::begin(), &changes, 1).unwrap();
    let reader = access("user/*.rs", None).await;
    let ids = |query: &str| -> Vec<String> {
        keyword_scores(&index.snapshot(), &reader, query).into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids("heart attack"), ["d1", "d0"], "words of the phrase apart are another thing");
    assert_eq!(ids("MI").len(), 2);
}

#[tokio::test]
async fn a_new_version_replaces_and_a_removal_removes_while_an_old_snapshot_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), settings(0, 0));
    let reader = access("user/*.rs", None).await;
    index.apply(&Upkeep::begin(), &[put(TENANT, "d", 1, "p", "old wording", vector(1))], 1).unwrap();
    let old = index.snapshot();
    index.apply(&Upkeep::begin(), &[put(TENANT, "d", 2, "p", "new wording", vector(2))], 2).unwrap();
    let new = index.snapshot();
    assert_eq!(keyword_scores(&old, &reader, "old").len(), 1);
    assert_eq!(keyword_scores(&new, &reader, "old").len(), 0);
    assert_eq!(keyword_scores(&new, &reader, "new").len(), 1);
    assert_eq!(dense_ids(&new, &reader, &Filters::default(), &vector(1), 5), ["d"]);
    let gone = IndexChange::Remove { tenant: TenantId::new(TENANT), id: DocumentId::new("d") };
    index.apply(&Upkeep::begin(), &[gone], 3).unwrap();
    assert!(dense_ids(&index.snapshot(), &reader, &Filters::default(), &vector(1), 5).is_empty());
    assert_eq!((old.watermark(), new.watermark(), index.watermark()), (1, 2, 3));
}

#[tokio::test]
async fn many_small_commits_and_a_restart_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let reader = access("user/*.rs", None).await;
    let changes = population(120);
    let expected = {
        let index = open(folder.path(), settings(0, 50));
        for (number, change) in changes.chunks(2).enumerate() {
            index.apply(&Upkeep::begin(), change, number as i64 + 1).unwrap();
        }
        let again = put(TENANT, "d7", 2, "p7", "cough number seven again", vector(8));
        index.apply(&Upkeep::begin(), &[again], 61).unwrap();
        keyword_scores(&index.snapshot(), &reader, "cough seven")
    };
    let index = open(folder.path(), settings(0, 50));
    assert_eq!(index.watermark(), 61);
    assert_eq!(index.snapshot().chunks(), 120);
    let mut reopened = keyword_scores(&index.snapshot(), &reader, "cough seven");
    reopened.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sorted = expected;
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(reopened, sorted);
    let all = dense_ids(&index.snapshot(), &reader, &Filters::default(), &vector(8), 1);
    assert_eq!(all, ["d7"]);
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), settings(0, 0));
    assert!(matches!(Index::open(folder.path(), settings(0, 0), i64::MAX), Err(IndexError::InUse)));
}

#[tokio::test]
async fn a_generation_built_beside_is_served_from_the_swap_on_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let reader = access("user/*.rs", None).await;
    let upkeep = Upkeep::begin();
    let name = {
        let index = open(folder.path(), settings(0, 1_000));
        index.apply(&upkeep, &population(5), 5).unwrap();
        let mut next: Generation = index.begin_generation(&upkeep).unwrap();
        next.apply(&upkeep, &population(7), 7).unwrap();
        assert_eq!(index.snapshot().chunks(), 5, "what serves isn't touched by what is built");
        index.put_in_service(&upkeep, next).unwrap();
        assert_eq!((index.snapshot().chunks(), index.watermark()), (7, 7));
        index.snapshot().generation().to_owned()
    };
    let index = open(folder.path(), settings(0, 1_000));
    assert_eq!(index.snapshot().generation(), name);
    assert_eq!(keyword_scores(&index.snapshot(), &reader, "cough").len(), 7);
}

#[test]
fn another_recipe_begins_an_empty_generation() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = open(folder.path(), settings(0, 0));
        index.apply(&Upkeep::begin(), &population(3), 3).unwrap();
    }
    let other = IndexSettings { recipe: vec!["another".to_owned()], ..settings(0, 0) };
    let index = open(folder.path(), other);
    assert_eq!((index.watermark(), index.snapshot().chunks()), (0, 0));
}

#[test]
fn an_index_that_cannot_be_read_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let name = {
        let index = open(folder.path(), settings(0, 0));
        index.apply(&Upkeep::begin(), &population(3), 3).unwrap();
        index.snapshot().generation().to_owned()
    };
    std::fs::write(folder.path().join(name).join("meta.json"), "{").unwrap();
    let index = open(folder.path(), settings(0, 0));
    assert_eq!((index.watermark(), index.snapshot().chunks()), (0, 0));
}

#[test]
fn an_index_ahead_of_its_store_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = open(folder.path(), settings(0, 0));
        index.apply(&Upkeep::begin(), &population(3), 30).unwrap();
    }
    let index = Index::open(folder.path(), settings(0, 0), 29).unwrap();
    assert_eq!((index.watermark(), index.snapshot().chunks()), (0, 0));
}
