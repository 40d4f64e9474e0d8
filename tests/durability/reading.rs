//! Two readers on one store: each delivery is read by one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use anamnesis::access::Upkeep;
use anamnesis::adapters::store::{NormalizedDelivery, Store, StoreError};
use anamnesis::domain::{Feed, Format, SourceDescription, SourceId, TenantId};
use anamnesis::flows::IngestFlow;
use anamnesis::telemetry::Metrics;
use tempfile::TempDir;

const DELIVERIES: usize = 24;

async fn reader(folder: &TempDir) -> (Store, IngestFlow) {
    let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
    let flow = IngestFlow::new(store.clone(), Arc::new(Metrics::default()));
    (store, flow)
}

/// Unreadable ones: a second reading would show as a second account of the same record.
async fn land(store: &Store, flow: &IngestFlow, deliveries: usize) {
    let (tenant, source) = (TenantId::new("main"), SourceId::new("ehr"));
    let description = SourceDescription {
        name: source.clone(),
        patients: "main".to_owned(),
        warn_after_s: 60,
        error_after_s: 600,
        feed: Feed::default(),
        mapping: None,
    };
    store.declare_source(&tenant, &description).await.unwrap();
    for number in 0..deliveries {
        let body = format!("{{\"resourceType\":\"Patient\",\"id\":\"p{number}\"}}\n{{ cut off");
        let bytes = body.into_bytes();
        flow.accept_file(&Upkeep::begin(), &tenant, &source, Format::FhirNdjson, None, bytes).await.unwrap();
    }
}

async fn read_all(flow: &IngestFlow) -> Vec<String> {
    let mut read = Vec::new();
    while let Some((receipt, account)) = flow.read_next(&Upkeep::begin()).await.unwrap() {
        assert_eq!((account.records, account.documents, account.lost()), (2, 1, 0));
        read.push(receipt.to_string());
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_at_once_read_each_delivery_once() {
    let folder = TempDir::new().unwrap();
    let (store, first) = reader(&folder).await;
    let (_, second) = reader(&folder).await;
    land(&store, &first, DELIVERIES).await;
    let (one, other) = tokio::join!(
        tokio::spawn(async move { read_all(&first).await }),
        tokio::spawn(async move { read_all(&second).await })
    );
    let read = [one.unwrap(), other.unwrap()].concat();
    assert_eq!(read.len(), DELIVERIES, "a delivery was read twice or not at all");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>().len(), DELIVERIES);
}

#[tokio::test]
async fn the_slower_of_two_readers_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let (store, flow) = reader(&folder).await;
    land(&store, &flow, 1).await;
    let upkeep = Upkeep::begin();
    let delivery = store.next_landed(&upkeep).await.unwrap().unwrap();
    assert_eq!(read_all(&flow).await.len(), 1);
    let late = NormalizedDelivery { delivery: &delivery, records: Vec::new() };
    assert!(matches!(store.record_outcomes(&upkeep, &late).await, Err(StoreError::AlreadyRead)));
}
