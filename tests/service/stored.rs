//! What a running service's database holds, read beside it.

use anamnesis::access::Upkeep;
use anamnesis::adapters::store::FeedRun;
use anamnesis::domain::TenantId;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{FromRow, SqlitePool};

use crate::harness::Server;

/// A document's present state; of one that is deleted only that it is.
#[derive(Debug, PartialEq, Eq, FromRow)]
pub struct StoredNow {
    pub source_key: String,
    pub status: String,
    pub patient: Option<String>,
    pub title: String,
    pub text: String,
    #[sqlx(default)]
    pub version: i64,
}

async fn opened(server: &Server) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(server.app.config.store_path()).read_only(true);
    SqlitePool::connect_with(options).await.unwrap()
}

async fn count(server: &Server, select: &'static str) -> i64 {
    let store = opened(server).await;
    let count = sqlx::query_scalar(select).fetch_one(&store).await.unwrap();
    store.close().await;
    count
}

/// Deliveries on disk.
pub async fn landed(server: &Server) -> i64 {
    count(server, "SELECT COUNT(*) FROM delivery").await
}

pub async fn landed_unread(server: &Server) -> i64 {
    count(server, "SELECT COUNT(*) FROM delivery WHERE state = 'landed'").await
}

/// The present state of every document, by key.
pub async fn latest_documents(server: &Server) -> Vec<StoredNow> {
    let store = opened(server).await;
    let mut documents: Vec<StoredNow> = sqlx::query_as(
        "SELECT source_key, status, patient, title, text, version FROM document WHERE is_latest = 1 ORDER BY source_key",
    )
    .fetch_all(&store)
    .await
    .unwrap();
    store.close().await;
    for document in documents.iter_mut().filter(|document| document.status == "deleted") {
        (document.patient, document.title, document.text) = (None, String::new(), String::new());
    }
    documents
}

pub async fn feed_runs(server: &Server) -> Vec<FeedRun> {
    server.app.store.feed_runs_for_upkeep(&Upkeep::begin(), &TenantId::new("north")).await.unwrap()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
