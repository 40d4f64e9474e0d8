//! Landing, reading ahead, setting aside, previews and limits, over a real store.

use std::sync::Arc;

use tempfile::TempDir;

use super::{IngestFlow, IngestLimits, ReadDelivery};
use crate::access::{DevelopmentKey, Operation, Permit, Policy, TokenGrant, Upkeep, Verifier};
use crate::adapters::store::{ReceiptState, Store};
use crate::domain::{Account, Feed, Format, QuarantineReason, ReceiptId, SourceDescription, SourceId, TenantId};
use crate::flows::Busy;
use crate::telemetry::Metrics;

const SCOPES: &str = "system/*.cruds anamnesis/admin.quarantine";

struct Opened {
    store: Store,
    flow: IngestFlow,
    metrics: Arc<Metrics>,
    path: std::path::PathBuf,
    _folder: TempDir,
}

fn source() -> SourceId {
    SourceId::new("ehr")
}

async fn opened(limits: IngestLimits) -> Opened {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Store::open(&path).await.unwrap();
    let description = SourceDescription {
        name: source(),
        patients: "main".to_owned(),
        warn_after_s: 1,
        error_after_s: 2,
        mapping: None,
        feed: Feed::default(),
    };
    store.declare_source(&TenantId::new("main"), &description).await.unwrap();
    let metrics = Arc::new(Metrics::default());
    let flow = IngestFlow::with_limits(store.clone(), metrics.clone(), limits);
    Opened { store, flow, metrics, path, _folder: folder }
}

async fn permit(operation: Operation) -> Permit {
    let key = DevelopmentKey::random();
    let token = key.mint(&TokenGrant::new("sender", TenantId::new("main"), SCOPES));
    let access = Verifier::development(key).verify(&token, &Policy::default()).await.unwrap();
    access.permit(operation).unwrap()
}

fn observation(id: &str, value: usize) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"Weight"}},
            "subject":{{"reference":"Patient/p1"}},"valueQuantity":{{"value":{value},"unit":"kg"}}}}"#
    )
    .replace('\n', " ")
}

impl Opened {
    async fn land(&self, body: String) -> ReceiptId {
        let tenant = TenantId::new("main");
        self.flow
            .accept_file(&Upkeep::begin(), &tenant, &source(), Format::FhirNdjson, None, body.into_bytes())
            .await
            .unwrap()
    }

    async fn read_all(&self) -> Vec<ReadDelivery> {
        let upkeep = Upkeep::begin();
        let mut reading = self.flow.begin_reading(&upkeep);
        let mut read = Vec::new();
        while let Some(some) = self.flow.read_batch(&upkeep, &mut reading).await.unwrap() {
            read.extend(some);
        }
        read
    }

    async fn execute(&self, statement: &'static str) {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", self.path.display())).await.unwrap();
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    }

    async fn state(&self, receipt: &ReceiptId) -> (ReceiptState, Option<Account>) {
        let key = DevelopmentKey::random();
        let token = key.mint(&TokenGrant::new("sender", TenantId::new("main"), SCOPES));
        let access = Verifier::development(key).verify(&token, &Policy::default()).await.unwrap();
        let receipt = self.store.receipt(&access, receipt).await.unwrap().unwrap();
        (receipt.state, receipt.account)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_deliveries_are_read_in_the_order_they_landed_and_long_ones_in_parts() {
    let opened = opened(IngestLimits::default()).await;
    let mut landed = Vec::new();
    for value in 0..20 {
        landed.push(opened.land(observation("same", value)).await);
    }
    let long: Vec<String> = (0..3000).map(|number| observation(&format!("o{number}"), number)).collect();
    landed.push(opened.land(long.join("\n")).await);
    landed.push(opened.land(observation("same", 99)).await);
    let read = opened.read_all().await;
    assert_eq!(read.iter().map(|read| read.receipt.clone()).collect::<Vec<_>>(), landed);
    assert!(read.iter().all(|read| read.account.lost() == 0));
    assert_eq!(read[20].account.records, 3000);
    assert_eq!(read[20].account.added, 3000);
    assert!(read.iter().enumerate().all(|(at, read)| at == 20 || read.account.stored == 1));
    assert!(opened.read_all().await.is_empty());
    assert_eq!((opened.store.backlog().deliveries(), opened.store.backlog().bytes()), (0, 0));
    assert_eq!(opened.store.newest_change().unwrap(), 3021);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_always_refused_is_set_aside_and_can_be_read_once_that_is_mended() {
    let opened = opened(IngestLimits::default()).await;
    opened
        .execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON document WHEN NEW.source_key = 'Observation/poison' \
             BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .await;
    let first = opened.land(observation("o1", 1)).await;
    let poison = opened.land(observation("poison", 2)).await;
    let last = opened.land(observation("o3", 3)).await;
    let read: Vec<ReceiptId> = opened.read_all().await.into_iter().map(|read| read.receipt).collect();
    assert_eq!(read, [first, last], "the others don't wait for it");
    assert_eq!(opened.state(&poison).await.0, ReceiptState::Landed);
    opened.read_all().await;
    let set_aside = opened.read_all().await;
    assert_eq!(set_aside[0].receipt, poison);
    let (state, account) = opened.state(&poison).await;
    assert_eq!(state, ReceiptState::Failed);
    assert_eq!(account.unwrap().quarantined[&QuarantineReason::ReaderFailed], 1);
    assert_eq!(opened.metrics.set_aside.get(), 1);
    assert_eq!(opened.store.deliveries_set_aside(&Upkeep::begin()).await.unwrap(), 1);
    assert!(opened.read_all().await.is_empty());

    let permit = permit(Operation::Quarantine).await;
    let items = opened.store.quarantine(&permit, None, 10).await.unwrap();
    let bytes = opened.store.quarantined_bytes(&permit, &items[0].id).await.unwrap().unwrap();
    assert_eq!(bytes, observation("poison", 2).into_bytes());
    opened.execute("DROP TRIGGER refuse").await;
    let replay = crate::flows::ReplayFlow::new(opened.store.clone());
    assert_eq!(replay.run(&permit, &items[0].id).await.unwrap(), None);
    assert_eq!(opened.state(&poison).await.0, ReceiptState::Normalized);
    assert_eq!(opened.store.newest_change().unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_whose_bytes_are_broken_is_set_aside() {
    let opened = opened(IngestLimits::default()).await;
    let broken = opened.land(observation("o1", 1)).await;
    opened.execute("UPDATE delivery SET bytes = x'00ff00'").await;
    let whole = opened.land(observation("o2", 2)).await;
    let mut read = opened.read_all().await;
    read.extend(opened.read_all().await);
    read.extend(opened.read_all().await);
    assert_eq!(read.into_iter().map(|read| read.receipt).collect::<Vec<_>>(), [whole, broken.clone()]);
    assert_eq!(opened.state(&broken).await.0, ReceiptState::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_tells_the_account_and_leaves_nothing() {
    let opened = opened(IngestLimits::default()).await;
    opened.land([observation("o1", 1), observation("o2", 2)].join("\n")).await;
    opened.read_all().await;
    let body = [observation("o1", 9), observation("o2", 2), observation("o3", 3), "{ cut off".to_owned()].join("\n");
    let permit = permit(Operation::Ingest(source())).await;
    let account = opened.flow.preview(&permit, &source(), Format::FhirNdjson, None, body.into_bytes()).await.unwrap();
    assert_eq!((account.records, account.added, account.changed, account.unchanged), (4, 1, 1, 1));
    assert_eq!(account.quarantined[&QuarantineReason::MalformedJson], 1);
    assert_eq!(opened.store.newest_change().unwrap(), 2);
    assert!(opened.store.next_landed(&Upkeep::begin()).await.unwrap().is_none());
    assert!(opened.store.quarantine(&self::permit(Operation::Quarantine).await, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn room_is_given_until_there_is_none_and_comes_back() {
    let limits = IngestLimits { max_inflight_bytes: 10 * 1024, ..IngestLimits::default() };
    let opened = opened(limits).await;
    let mut first = opened.flow.admit(4 * 1024).await.unwrap();
    let second = opened.flow.admit(5 * 1024).await.unwrap();
    assert_eq!(opened.flow.admit(2 * 1024).await.unwrap_err(), Busy::Bodies);
    first.cover(5 * 1024).unwrap();
    assert_eq!(first.cover(6 * 1024).unwrap_err(), Busy::Bodies);
    drop(second);
    first.cover(6 * 1024).unwrap();
    drop(first);
    let mut alone = opened.flow.admit(99 * 1024).await.expect("what is larger than all room gets in alone");
    alone.cover(100 * 1024).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_more_is_admitted_while_too_much_waits_to_be_read() {
    let limits = IngestLimits { max_backlog_bytes: 300, max_backlog_deliveries: 2, ..IngestLimits::default() };
    let opened = opened(limits).await;
    opened.land(observation("o1", 1)).await;
    assert_eq!(opened.flow.admit(200).await.unwrap_err(), Busy::Backlog);
    assert!(opened.flow.admit(20).await.is_ok());
    opened.land("{}".to_owned()).await;
    assert_eq!(opened.flow.admit(1).await.unwrap_err(), Busy::Backlog);
    opened.read_all().await;
    assert!(opened.flow.admit(200).await.is_ok());
    // A store opened anew knows what waits.
    opened.land(observation("o2", 2)).await;
    let again = Store::open(&opened.path).await.unwrap();
    assert_eq!(again.backlog().deliveries(), 1);
}
