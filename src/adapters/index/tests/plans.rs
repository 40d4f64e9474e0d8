//! Which way a search takes, and that it finds the same whichever it is.

use super::super::Method;
use super::*;
use crate::domain::Labels;

/// The ids found, best first, with the method.
fn found(index: &Index, access: &Access, filters: &Filters, query: &[f32]) -> (Vec<String>, Method) {
    let snapshot = index.snapshot();
    let scope = snapshot.scope(access, filters);
    let (found, plan) = snapshot.dense(&scope, query, 10);
    (found.into_iter().map(|(row, _)| snapshot.locate(row).unwrap().0.id.to_string()).collect(), plan.method)
}

fn filled(folder: &Path, settings: IndexSettings, changes: &[IndexChange]) -> Index {
    let index = open(folder, settings);
    index.apply(&Upkeep::begin(), changes, 1).unwrap();
    index.settle();
    index
}

/// As `population`, but every third document is a report.
fn of_two_kinds(count: u64) -> Vec<IndexChange> {
    let mut changes = population(count);
    for change in changes.iter_mut().step_by(3) {
        let IndexChange::Put(put) = change else { continue };
        put.document.document.kind = Kind::Report;
    }
    changes
}

#[tokio::test]
async fn all_is_asked_of_the_graph_a_part_of_the_sketches_and_a_patient_is_compared_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), settings(500, 0), &of_two_kinds(3_000));
    let everyone = access("user/*.rs", None).await;
    let reports = Filters { kinds: vec![Kind::Report], ..Filters::default() };
    let query = vector(70_000);
    assert_eq!(found(&index, &everyone, &Filters::default(), &query).1, Method::Graph);
    assert_eq!(found(&index, &everyone, &reports, &query).1, Method::Sketches);
    assert_eq!(found(&index, &everyone, &of_patient("p3"), &query).1, Method::Exact);
    let own = access("patient/*.rs", Some("p3")).await;
    assert_eq!(found(&index, &own, &Filters::default(), &query).1, Method::Exact);
    let nobody = access("patient/*.rs", Some("p99")).await;
    assert_eq!(found(&index, &nobody, &Filters::default(), &query), (Vec::new(), Method::Nothing));
}

/// Of the ten nearest, how many are found, over forty queries, and by which methods.
fn recall(index: &Index, exact: &Index, access: &Access, filters: &Filters) -> (f64, Method) {
    let (mut same, mut wanted, mut by) = (0, 0, Method::Nothing);
    for query in 0..40 {
        let query = vector(80_000 + query);
        let (expected, method) = found(exact, access, filters, &query);
        assert_eq!(method, Method::Exact);
        let (found, method) = found(index, access, filters, &query);
        by = method;
        same += found.iter().filter(|id| expected.contains(id)).count();
        wanted += expected.len();
    }
    (same as f64 / wanted as f64, by)
}

#[tokio::test]
async fn graph_and_sketches_find_nearly_all_that_a_scan_finds_under_a_filter_and_after_deletions() {
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut changes = of_two_kinds(15_000);
    let index = filled(folders.0.path(), settings(100, 0), &changes);
    let exact = filled(folders.1.path(), settings(1_000_000, 1_000_000), &changes);
    let everyone = access("user/*.rs", None).await;
    let reports = Filters { kinds: vec![Kind::Report], ..Filters::default() };
    let (share, method) = recall(&index, &exact, &everyone, &reports);
    assert!(share > 0.97 && method == Method::Sketches, "{share} by {method:?}");
    let notes = Filters { kinds: vec![Kind::Note], ..Filters::default() };
    let (share, method) = recall(&index, &exact, &everyone, &notes);
    assert!(share > 0.97 && method == Method::Sketches, "{share} by {method:?}");
    // A tenth of the documents goes: the graph still holds them, and hands none of them out.
    let gone: Vec<IndexChange> = changes
        .drain(..)
        .step_by(10)
        .filter_map(|change| match change {
            IndexChange::Put(put) => Some(IndexChange::Remove { tenant: put.tenant, id: put.document.key.id }),
            IndexChange::Remove { .. } => None,
        })
        .collect();
    for index in [&index, &exact] {
        index.apply(&Upkeep::begin(), &gone, 2).unwrap();
    }
    let (share, method) = recall(&index, &exact, &everyone, &Filters::default());
    assert!(share > 0.97 && method == Method::Graph, "{share} by {method:?}");
}

#[tokio::test]
async fn a_caller_who_does_not_see_all_kinds_of_resources_is_not_sent_through_a_graph_of_what_is_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), settings(0, 0), &population(2_000));
    let of_one_type = access("user/DocumentReference.rs", None).await;
    let of_all = access("user/*.rs", None).await;
    let query = vector(90_000);
    assert_eq!(found(&index, &of_all, &Filters::default(), &query).1, Method::Graph);
    assert_eq!(found(&index, &of_one_type, &Filters::default(), &query).1, Method::Sketches);
}

#[tokio::test]
async fn rows_with_labels_are_reached_by_those_cleared_for_them_only_and_beside_the_graph() {
    let folder = tempfile::tempdir().unwrap();
    let mut changes = population(2_000);
    let IndexChange::Put(labelled) = &mut changes[7] else { panic!("a put") };
    labelled.document.document.labels = Labels { sensitivity: vec!["PSY".to_owned()], ..Labels::default() };
    let index = filled(folder.path(), settings(0, 100), &changes);
    let key = DevelopmentKey::random();
    let mut grant = TokenGrant::new("reader", TenantId::new(TENANT), "user/*.rs");
    grant.sensitivity = vec!["PSY".to_owned()];
    let token = key.mint(&grant);
    let cleared = Verifier::development(key).verify(&token, &Policy::default()).await.unwrap();
    let others = access("user/*.rs", None).await;
    let (by_cleared, method) = found(&index, &cleared, &Filters::default(), &vector(8));
    assert_eq!((by_cleared[0].as_str(), method), ("d7", Method::Graph));
    let (by_others, method) = found(&index, &others, &Filters::default(), &vector(8));
    assert!(!by_others.contains(&"d7".to_owned()) && method == Method::Graph);
}

#[tokio::test]
async fn filters_that_say_the_same_find_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), settings(0, 0), &of_two_kinds(1_500));
    let everyone = access("user/*.rs", None).await;
    let kinds = |kinds: &[Kind]| Filters { kinds: kinds.to_vec(), ..Filters::default() };
    let sources = Filters { sources: vec![SourceId::new("notes"); 2], ..kinds(&[Kind::Report]) };
    let equal = [
        kinds(&[Kind::Report]),
        kinds(&[Kind::Report, Kind::Report]),
        kinds(&[Kind::Task, Kind::Report]),
        sources,
        Filters { from: Some(Timestamp::from_micros(-1)), ..kinds(&[Kind::Report, Kind::Claim]) },
    ];
    for query in 0..10 {
        let query = vector(95_000 + query);
        let first = found(&index, &everyone, &equal[0], &query);
        assert_eq!(first.0.len(), 10);
        for filters in &equal {
            assert_eq!(found(&index, &everyone, filters, &query), first);
            assert_eq!(index.snapshot().chunks_in(&index.snapshot().scope(&everyone, filters)), 500);
        }
    }
    let own = access("patient/*.rs", Some("p4")).await;
    let of_own = found(&index, &own, &Filters::default(), &vector(1));
    assert_eq!(found(&index, &own, &of_patient("p4"), &vector(1)), of_own);
    assert_eq!(found(&index, &everyone, &of_patient("p4"), &vector(1)), of_own);
}

#[tokio::test]
async fn what_one_caller_asked_is_never_what_another_with_a_lesser_reach_gets() {
    let folder = tempfile::tempdir().unwrap();
    let mut changes = population(600);
    for change in changes.iter_mut().step_by(2) {
        let IndexChange::Put(put) = change else { continue };
        put.document.document.resource_type = "Observation".to_owned();
    }
    let index = filled(folder.path(), settings(0, 0), &changes);
    let size = |access: &Access| index.snapshot().chunks_in(&index.snapshot().scope(access, &Filters::default()));
    let (all, notes) = (access("user/*.rs", None).await, access("user/DocumentReference.rs", None).await);
    let own = access("patient/*.rs user/Observation.rs", Some("p3")).await;
    for _ in 0..3 {
        assert_eq!((size(&all), size(&notes), size(&own)), (600, 300, 360));
    }
}

#[tokio::test]
async fn what_sketches_promise_does_not_depend_on_what_lies_beside_the_rows_in_scope() {
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let own = population(9_000);
    let alone = filled(folders.0.path(), settings(100, 1_000_000), &own);
    let beside = open(folders.1.path(), settings(100, 1_000_000));
    for (batch, own) in (1..).zip(own.chunks(700)) {
        let others = (0..300).map(|number| {
            let seed = batch as u64 * 1_000 + number;
            put("south", &format!("s{seed}"), 1, "p1", "cough", vector(20_000 + seed))
        });
        let changes: Vec<IndexChange> = others.chain(own.iter().cloned()).collect();
        beside.apply(&Upkeep::begin(), &changes, batch).unwrap();
    }
    beside.settle();
    let everyone = access("user/*.rs", None).await;
    let scored = |index: &Index, query: &[f32]| -> Vec<(String, u32)> {
        let snapshot = index.snapshot();
        let (found, plan) = snapshot.dense(&snapshot.scope(&everyone, &Filters::default()), query, 100);
        assert_eq!(plan.method, Method::Sketches);
        let id = |row| snapshot.locate(row).unwrap().0.id.to_string();
        found.into_iter().map(|(row, score)| (id(row), score.to_bits())).collect()
    };
    for query in 0..20 {
        let query = vector(70_000 + query);
        assert_eq!(scored(&alone, &query), scored(&beside, &query));
    }
}
