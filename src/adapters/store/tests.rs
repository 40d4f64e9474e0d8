//! What the store makes of records: effects in any order, batches, failures, merges, rehearsals.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{DeliverySlice, NormalizedDelivery, RecordOutcome, Store, StoreError};
use crate::access::{Access, Act, DevelopmentKey, Policy, TokenGrant, Upkeep, Verifier};
use crate::domain::{
    Account, Changes, Delivery, Document, DocumentId, DocumentKey, DocumentStatus, Fact, FactKind, Feed, Format, Kind,
    Labels, Normalized, Outcome, PatientId, PatientMerge, QuarantineReason, ReceiptId, Removal, SourceDescription,
    SourceId, Span, TenantId, Times, Timestamp, Unreadable,
};

const TENANT: &str = "main";
const SOURCE: &str = "adt";

fn tenant() -> TenantId {
    TenantId::new(TENANT)
}

fn source() -> SourceId {
    SourceId::new(SOURCE)
}

fn moment(number: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + number * 1_000_000)
}

fn patient(name: &str) -> PatientId {
    PatientId::new(name)
}

fn document(key: &str, patient: &str, at: i64, text: &str) -> Document {
    let text = format!("{text}\n");
    let fact = Fact {
        kind: FactKind::Condition,
        system: None,
        code: None,
        display: text.trim().to_owned(),
        value: None,
        status: None,
        effective: None,
        span: Span::new(0, text.len() - 1),
    };
    Document {
        source_key: key.to_owned(),
        source_version: None,
        kind: Kind::Note,
        resource_type: "DocumentReference".to_owned(),
        patient: Some(PatientId::new(patient)),
        encounter: None,
        title: String::new(),
        author: None,
        times: Times { effective: None, source: Some(moment(at)) },
        labels: Labels::default(),
        status: DocumentStatus::Current,
        text,
        sections: Vec::new(),
        pages: Vec::new(),
        facts: vec![fact],
    }
}

fn put(key: &str, patient: &str, at: i64, text: &str) -> Outcome {
    Outcome::Changes(Changes { documents: vec![document(key, patient, at, text)], ..Changes::default() })
}

fn remove(key: &str, at: i64) -> Outcome {
    let removal = Removal { source_key: key.to_owned(), at: Some(moment(at)) };
    Outcome::Changes(Changes { removals: vec![removal], ..Changes::default() })
}

fn merge(merged: &str, survivor: &str, at: i64) -> Outcome {
    let merge = PatientMerge { merged: patient(merged), survivor: patient(survivor), at: Some(moment(at)) };
    Outcome::Changes(Changes { merges: vec![merge], ..Changes::default() })
}

struct Opened {
    store: Store,
    received: i64,
    _folder: TempDir,
}

impl Opened {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        let description = SourceDescription {
            name: source(),
            patients: "main".to_owned(),
            warn_after_s: 1,
            error_after_s: 2,
            mapping: None,
            feed: Feed::default(),
        };
        store.declare_source(&tenant(), &description).await.unwrap();
        Self { store, received: 0, _folder: folder }
    }

    fn delivery(&mut self) -> Delivery {
        self.received += 1;
        Delivery {
            receipt: ReceiptId::fresh(),
            tenant: tenant(),
            source: source(),
            format: Format::Hl7v2,
            name: None,
            bytes: b"MSH|".to_vec(),
            received_at: moment(1_000_000 + self.received),
        }
    }

    async fn landed(&mut self) -> Delivery {
        let delivery = self.delivery();
        self.store.land(delivery.clone()).await.unwrap();
        delivery
    }

    /// Each outcome in a delivery of its own.
    async fn take(&mut self, outcomes: Vec<Outcome>) -> Account {
        let mut total = Account::default();
        for outcome in outcomes {
            let delivery = self.landed().await;
            total.add(&self.record(&delivery, records(vec![outcome])).await.unwrap());
        }
        assert_eq!(total.lost(), 0);
        total
    }

    async fn record(&self, delivery: &Delivery, records: Vec<RecordOutcome>) -> Result<Account, StoreError> {
        self.store.record_outcomes(&Upkeep::begin(), &NormalizedDelivery { delivery, records }).await
    }

    /// Key -> (patient, text), of what is current.
    async fn current(&self) -> BTreeMap<String, (String, String)> {
        const CURRENT: &str =
            "SELECT source_key, patient, text FROM document WHERE is_latest = 1 AND status = 'current'";
        let rows: Vec<(String, String, String)> = sqlx::query_as(CURRENT).fetch_all(&self.store.reader).await.unwrap();
        rows.into_iter().map(|(key, patient, text)| (key, (patient, text))).collect()
    }

    /// Key -> (status, patient of what is current, text, facts), of every latest version.
    async fn state(&self) -> Vec<(String, String, String, String, i64)> {
        const STATE: &str = "SELECT source_key, status, \
            CASE WHEN status = 'deleted' THEN '' ELSE patient END, text, (SELECT COUNT(*) FROM fact f \
            WHERE f.document = d.id AND f.version = d.version) FROM document d WHERE is_latest = 1 ORDER BY source_key";
        sqlx::query_as(STATE).fetch_all(&self.store.reader).await.unwrap()
    }

    async fn count(&self, select: &'static str) -> i64 {
        sqlx::query_scalar(select).fetch_one(&self.store.reader).await.unwrap()
    }

    /// Change numbers without gaps, one latest version of each document, the highest.
    async fn is_sound(&self) {
        let (changes, last) = (
            self.count("SELECT COUNT(*) FROM change").await,
            self.count("SELECT COALESCE(MAX(sequence), 0) FROM change").await,
        );
        assert_eq!(changes, last, "change numbers have gaps");
        assert_eq!(changes, self.count("SELECT COUNT(*) FROM document").await, "a version has no number");
        let unsound = "SELECT COUNT(*) FROM document d WHERE is_latest <> \
            (version = (SELECT MAX(version) FROM document n WHERE n.tenant = d.tenant AND n.id = d.id))";
        assert_eq!(self.count(unsound).await, 0, "the latest version isn't the highest");
    }
}

fn records(outcomes: Vec<Outcome>) -> Vec<RecordOutcome> {
    let record = |(ordinal, outcome)| {
        let normalized = Normalized { outcome, findings: Vec::new() };
        RecordOutcome::new(&source(), ordinal, Vec::new(), Ok(normalized))
    };
    (0..).zip(outcomes).map(record).collect()
}

async fn launched_for(patient: &str) -> Access {
    let key = DevelopmentKey::random();
    let grant = TokenGrant { patient: Some(PatientId::new(patient)), ..TokenGrant::new("x", tenant(), "patient/*.rs") };
    Verifier::development(key.clone()).verify(&key.mint(&grant), &Policy::default()).await.unwrap()
}

#[tokio::test]
async fn a_removal_that_comes_first_keeps_what_is_older_out_and_lets_what_is_newer_in() {
    let mut opened = Opened::new().await;
    let account = opened.take(vec![remove("Note/1", 5)]).await;
    assert_eq!(account.removed, 1);
    let account = opened.take(vec![put("Note/1", "a", 4, "late")]).await;
    assert_eq!((account.stale, account.documents), (1, 0));
    assert!(opened.current().await.is_empty());
    let account = opened.take(vec![put("Note/1", "a", 6, "again")]).await;
    assert_eq!((account.stored, account.changed), (1, 1));
    assert_eq!(opened.current().await["Note/1"], ("a".to_owned(), "again\n".to_owned()));
    let account = opened.take(vec![remove("Note/1", 5)]).await;
    assert_eq!(account.unchanged, 1, "a removal from before the last version does nothing");
    opened.is_sound().await;
}

#[tokio::test]
async fn an_older_state_of_a_record_brings_no_part_back() {
    let mut opened = Opened::new().await;
    let state = |at, parts: &[&str]| {
        Outcome::Documents(parts.iter().map(|key| document(key, "a", at, &format!("{key} at {at}"))).collect())
    };
    opened.take(vec![state(2, &["Note/1", "Note/1#2"]), state(1, &["Note/1", "Note/1#2", "Note/1#3"])]).await;
    assert_eq!(opened.current().await.into_keys().collect::<Vec<_>>(), ["Note/1", "Note/1#2"]);
    opened.take(vec![state(3, &["Note/1"])]).await;
    assert_eq!(opened.current().await.into_keys().collect::<Vec<_>>(), ["Note/1"]);
    // A key of its own is no part, whatever it looks like.
    opened.take(vec![state(4, &["Note/1#9"]), remove("Note/1", 8)]).await;
    assert_eq!(opened.current().await.into_keys().collect::<Vec<_>>(), ["Note/1#9"]);
    opened.is_sound().await;
}

#[tokio::test]
async fn a_merge_moves_documents_and_catches_those_that_come_later() {
    let mut opened = Opened::new().await;
    opened.take(vec![put("Note/1", "a", 1, "one"), put("Note/2", "b", 2, "two")]).await;
    let account = opened.take(vec![merge("a", "b", 3)]).await;
    assert_eq!((account.stored, account.documents, account.changed, account.facts), (1, 1, 1, 1));
    let account = opened.take(vec![put("Note/3", "a", 4, "three"), put("Note/1", "a", 1, "one")]).await;
    assert_eq!((account.stored, account.unchanged), (1, 1), "what was sent before is known, under whatever patient");
    let current = opened.current().await;
    assert!(current.values().all(|(patient, _)| patient == "b"), "{current:?}");
    assert_eq!(current.len(), 3);
    let account = opened.take(vec![merge("a", "b", 3), merge("b", "b", 9)]).await;
    assert_eq!((account.unchanged, account.documents), (2, 0));
    opened.is_sound().await;

    let id = DocumentId::derive(&source(), "Note/1");
    let first = DocumentKey { id: id.clone(), version: 1 };
    let (merged, survivor) = (launched_for("a").await, launched_for("b").await);
    assert!(opened.store.document(&merged, &id).await.unwrap().is_none());
    assert!(opened.store.document_version(&merged, &first).await.unwrap().is_none());
    assert!(opened.store.document(&survivor, &id).await.unwrap().is_some());
    assert!(opened.store.document_version(&survivor, &first).await.unwrap().is_some());
    assert_eq!(opened.store.facts(&survivor, Act::Read, &patient("b"), &[FactKind::Condition]).await.unwrap().len(), 3);
    assert!(opened.store.facts(&merged, Act::Read, &patient("a"), &[FactKind::Condition]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_chain_of_merges_is_flattened_and_a_later_word_undoes_an_earlier() {
    let mut opened = Opened::new().await;
    opened.take(vec![put("Note/1", "a", 1, "one"), put("Note/2", "b", 1, "two"), put("Note/3", "c", 1, "three")]).await;
    opened.take(vec![merge("a", "b", 2), merge("b", "c", 3)]).await;
    assert!(opened.current().await.values().all(|(patient, _)| patient == "c"));
    opened.take(vec![merge("a", "d", 4)]).await;
    let current = opened.current().await;
    assert_eq!(current["Note/1"].0, "d");
    assert_eq!(current["Note/2"].0, "c");
    opened.take(vec![merge("c", "b", 5)]).await;
    assert_eq!(opened.current().await["Note/2"].0, "b");
    assert_eq!(opened.current().await["Note/3"].0, "b");
    opened.is_sound().await;
}

#[tokio::test]
async fn one_batch_ends_as_its_deliveries_would_one_by_one() {
    let outcomes = || {
        vec![
            put("Note/1", "a", 1, "one"),
            put("Note/1", "a", 3, "one, mended"),
            put("Note/2", "a", 1, "two"),
            remove("Note/2", 2),
            put("Note/2", "a", 3, "two again"),
            merge("a", "b", 4),
            put("Note/1", "a", 2, "too late"),
            put("Note/4", "a", 5, "four"),
            remove("Note/2", 9),
            put("Note/1", "a", 3, "one, mended"),
        ]
    };
    let mut apart = Opened::new().await;
    let accounts = apart.take(outcomes()).await;
    let mut together = Opened::new().await;
    let mut read = Vec::new();
    for outcome in outcomes() {
        read.push((together.landed().await, records(vec![outcome])));
    }
    let slices: Vec<_> = read.iter().map(|(delivery, records)| DeliverySlice::whole(delivery, records)).collect();
    let tallies = together.store.record_batch(&Upkeep::begin(), &slices).await.unwrap();
    let mut total = Account::default();
    tallies.iter().flatten().for_each(|tally| total.add(&tally.account));
    assert_eq!(total, accounts);
    assert_eq!(together.state().await, apart.state().await);
    let versions = "SELECT COUNT(*) FROM document";
    assert_eq!(together.count(versions).await, apart.count(versions).await);
    together.is_sound().await;
    assert_eq!(together.store.backlog().bytes(), 0);
}

#[tokio::test]
async fn a_rehearsal_counts_what_would_be_and_writes_nothing() {
    let mut opened = Opened::new().await;
    opened.take(vec![put("Note/1", "a", 1, "one"), put("Note/2", "a", 1, "two")]).await;
    let outcomes = || {
        vec![
            put("Note/1", "a", 2, "changed"),
            put("Note/2", "a", 1, "two"),
            put("Note/3", "a", 1, "new"),
            merge("a", "b", 4),
            remove("Note/2", 5),
        ]
    };
    let mut read = records(outcomes());
    let unreadable = Unreadable::new(QuarantineReason::MalformedHl7, "segment 1");
    read.push(RecordOutcome::new(&source(), 5, b"MSH".to_vec(), Err(unreadable.clone())));
    let delivery = opened.delivery();
    let mut rehearsal = opened.store.rehearse().await.unwrap();
    let account = rehearsal.add(&NormalizedDelivery { delivery: &delivery, records: read }).await.unwrap();
    let again = NormalizedDelivery { delivery: &delivery, records: records(outcomes()) };
    let second = rehearsal.add(&again).await.unwrap();
    assert_eq!((second.documents, second.unchanged, second.stale), (0, 4, 1), "{second:?}");
    drop(rehearsal);
    assert_eq!(opened.count("SELECT COUNT(*) FROM change").await, 2);
    assert_eq!(opened.count("SELECT COUNT(*) FROM delivery").await, 2);

    let landed = opened.landed().await;
    let mut read = records(outcomes());
    read.push(RecordOutcome::new(&source(), 5, b"MSH".to_vec(), Err(unreadable)));
    let mut written = opened.record(&landed, read).await.unwrap();
    // Facts of documents that would move are not counted beforehand.
    written.facts = account.facts;
    assert_eq!(account, written);
}

#[tokio::test]
async fn a_long_delivery_is_written_in_parts_and_taken_up_where_it_was_left() {
    let mut opened = Opened::new().await;
    let delivery = opened.landed().await;
    let read = records((0..10).map(|number| put(&format!("Note/{number}"), "a", 1, "words")).collect());
    let part = |from: usize, to: usize| DeliverySlice {
        delivery: &delivery,
        records: read[from..to].iter().collect(),
        already_read: from,
        is_last: to == 10,
    };
    let upkeep = Upkeep::begin();
    let first = opened.store.record_batch(&upkeep, &[part(0, 4)]).await.unwrap();
    assert_eq!(first[0].as_ref().unwrap().account.records, 4);
    assert_eq!(opened.store.record_batch(&upkeep, &[part(0, 4)]).await.unwrap(), [None], "it was read before");
    let waiting = opened.store.landed_after(&upkeep, 0, 10, 1).await.unwrap();
    assert_eq!(waiting[0].already_read, 4);
    let last = opened.store.record_batch(&upkeep, &[part(4, 10)]).await.unwrap();
    let tally = last[0].as_ref().unwrap();
    assert_eq!((tally.account.records, tally.account.stored, tally.last_change), (10, 10, Some(10)));
    assert!(opened.store.next_landed(&upkeep).await.unwrap().is_none());
    assert_eq!(opened.count("SELECT COUNT(*) FROM reading_progress").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_land_at_once_and_each_hears_of_its_own() {
    let mut opened = Opened::new().await;
    let taken = opened.landed().await;
    let mut deliveries: Vec<Delivery> = (0..100).map(|_| opened.delivery()).collect();
    // A receipt that exists already is refused, and nobody else suffers for it.
    deliveries[50].receipt = taken.receipt.clone();
    let landing = deliveries.into_iter().map(|delivery| {
        let store = opened.store.clone();
        tokio::spawn(async move { store.land(delivery).await })
    });
    let mut landed = Vec::new();
    for task in landing.collect::<Vec<_>>() {
        landed.push(task.await.unwrap().is_ok());
    }
    assert_eq!(landed.iter().filter(|landed| !**landed).count(), 1);
    assert!(!landed[50]);
    assert_eq!(opened.count("SELECT COUNT(*) FROM delivery").await, 100);
    assert_eq!((opened.store.backlog().deliveries(), opened.store.backlog().bytes()), (100, 400));
    opened.store.measure_backlog().await.unwrap();
    assert_eq!((opened.store.backlog().deliveries(), opened.store.backlog().bytes()), (100, 400));
}

#[derive(Clone, Debug)]
enum Event {
    Put { key: u8, patient: u8 },
    Remove { key: u8 },
    Merge { merged: u8, survivor: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..3_u8, 0..4_u8).prop_map(|(key, patient)| Event::Put { key, patient }),
        1 => (0..3_u8).prop_map(|key| Event::Remove { key }),
        2 => (0..4_u8, 0..4_u8).prop_map(|(merged, survivor)| Event::Merge { merged, survivor }),
    ]
}

/// Each event at a time of its own, so that every order tells the same story.
fn outcome(event: &Event, at: i64) -> Outcome {
    match event {
        Event::Put { key, patient } => put(&format!("Note/{key}"), &format!("p{patient}"), at, &format!("text {at}")),
        Event::Remove { key } => remove(&format!("Note/{key}"), at),
        Event::Merge { merged, survivor } => merge(&format!("p{merged}"), &format!("p{survivor}"), at),
    }
}

fn orders() -> impl Strategy<Value = (Vec<Event>, Vec<usize>, bool)> {
    prop::collection::vec(event(), 1..9).prop_flat_map(|events| {
        let order = Just((0..events.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(events), order, any::<bool>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_order_of_arrival_ends_alike((events, order, is_one_delivery) in orders()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let in_order: Vec<Outcome> = (1..).zip(&events).map(|(at, event)| outcome(event, at)).collect();
            let shuffled: Vec<Outcome> = order.iter().map(|index| in_order[*index].clone()).collect();
            let mut expected = Opened::new().await;
            expected.take(in_order).await;
            let mut found = Opened::new().await;
            if is_one_delivery {
                let delivery = found.landed().await;
                let account = found.record(&delivery, records(shuffled)).await.unwrap();
                prop_assert_eq!(account.lost(), 0);
            } else {
                found.take(shuffled).await;
            }
            prop_assert_eq!(found.state().await, expected.state().await);
            found.is_sound().await;
            expected.is_sound().await;
            Ok(())
        })?;
    }
}
