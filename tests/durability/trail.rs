//! Killed while a store hands its audit trail over: every row is there, once.

use std::path::Path;
use std::time::Duration;

use anamnesis::domain::{AuditRecord, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::fixtures::Random;
use crate::home::Home;

const ROWS: i64 = 10_000;
const KILLS: usize = 12;

#[tokio::test]
async fn a_trail_that_is_handed_over_outlives_kills() {
    let (earlier, mut random) = (Home::new(), Random::seeded());
    let store = earlier.path().join("earlier.sqlite");
    write_earlier_store(&store).await;
    let mut broken_off = 0;
    for _ in 0..KILLS {
        let home = Home::new();
        let data = home.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::copy(&store, data.join("store.sqlite")).unwrap();
        let mut child = home.command(&["audit", "verify"]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(random.within(20..250))).await;
        broken_off += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let verified = home.run(&["audit", "verify"]).stdout;
        // The earlier store came without anchors; of its rows each is as it was written, in its place.
        let expected = format!("{ROWS} rows, 1 to {ROWS}, 0 anchors\nthere are rows and no anchors\n");
        assert_eq!(verified, expected);
        assert!(!holds_a_trail(&data.join("store.sqlite")).await);
    }
    eprintln!("{broken_off} of {KILLS} commands were broken off");
    assert!(broken_off > 0, "no kill came in time");
}

/// A store as it was before the trail had a database of its own.
async fn write_earlier_store(path: &Path) {
    const INSERT: &str = "INSERT INTO audit (sequence, tenant, at, caller, action, documents, outcome, request_id, class, \
        hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let pool =
        SqlitePool::connect_with(SqliteConnectOptions::new().filename(path).create_if_missing(true)).await.unwrap();
    sqlx::migrate!("migrations/sqlite").run(&pool).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let mut hash = AuditRecord::genesis();
    for record in (1..=ROWS).map(record) {
        hash = record.hash(&hash);
        sqlx::query(INSERT)
            .bind(record.sequence)
            .bind(record.tenant)
            .bind(record.at.as_micros())
            .bind(record.caller)
            .bind(record.action)
            .bind(record.documents)
            .bind(record.outcome)
            .bind(record.request_id)
            .bind(record.class)
            .bind(&hash)
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    pool.close().await;
}

fn record(sequence: i64) -> AuditRecord {
    AuditRecord {
        sequence,
        tenant: "main".to_owned(),
        at: Timestamp::from_micros(sequence),
        caller: "reader".to_owned(),
        client: None,
        purpose: None,
        class: "read".to_owned(),
        break_glass: None,
        action: "search".to_owned(),
        patient: None,
        documents: "[]".to_owned(),
        outcome: "success".to_owned(),
        request_id: sequence.to_string(),
    }
}

async fn holds_a_trail(store: &Path) -> bool {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(store)).await.unwrap();
    let held = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name LIKE 'audit%')");
    let is_held = held.fetch_one(&pool).await.unwrap();
    pool.close().await;
    is_held
}
