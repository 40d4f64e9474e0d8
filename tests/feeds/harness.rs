//! A service with one source that is fed by the tests' FHIR server, and what its store holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anamnesis::access::Upkeep;
use anamnesis::config::Config;
use anamnesis::domain::{Feed, SourceDescription, SourceId, TenantId};
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use crate::starting::Started;

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

pub const SECRET: &str = "a secret of the tests, long enough";
const SOURCE: &str = "ehr";

pub struct Service {
    started: Option<Started>,
    reader: SqlitePool,
    folder: TempDir,
}

impl Service {
    /// A service whose source `ehr` is fed as `feed` says (TOML).
    pub async fn start(feed: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join("notify"), SECRET).unwrap();
        let keys = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
        for key in ["rsa", "p384"] {
            std::fs::copy(keys.join(format!("{key}.pem")), secrets.join(key)).unwrap();
        }
        let started = Started::new(config(&folder)).await;
        let description = SourceDescription {
            name: SourceId::new(SOURCE),
            patients: "main".to_owned(),
            warn_after_s: 3_600,
            error_after_s: 7_200,
            mapping: None,
            feed: toml::from_str::<Feed>(feed).unwrap(),
        };
        started.app.store.declare_source(&TenantId::new("north"), &description).await.unwrap();
        let options = SqliteConnectOptions::new().filename(config(&folder).store_path()).read_only(true);
        let reader = SqlitePool::connect_with(options).await.unwrap();
        Self { started: Some(started), reader, folder }
    }

    fn started(&self) -> &Started {
        self.started.as_ref().unwrap()
    }

    /// Ends the service wherever it is, and begins another on the same folder.
    pub async fn restart(&mut self) {
        self.started.take().unwrap().stop().await;
        self.started = Some(Started::new(config(&self.folder)).await);
    }

    pub async fn stop(mut self) {
        self.started.take().unwrap().stop().await;
    }

    pub fn endpoint(&self) -> String {
        format!("{}/v1/subscriptions/{SOURCE}", self.started().base)
    }

    /// The records held, with the source's version of each; those that are gone left out.
    pub async fn held(&self) -> BTreeMap<String, String> {
        const HELD: &str = "SELECT source_key, source_version FROM document \
            WHERE source = 'ehr' AND is_latest = 1 AND status <> 'deleted'";
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(HELD).fetch_all(&self.reader).await.unwrap();
        rows.into_iter().map(|(key, version)| (key, version.unwrap_or_default())).collect()
    }

    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.reader).await.unwrap()
    }

    /// Deliveries landed so far.
    pub async fn landed(&self) -> i64 {
        self.count("SELECT COUNT(*) FROM delivery").await
    }

    /// What the feed keeps under that name.
    pub async fn kept<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let (tenant, source) = (TenantId::new("north"), SourceId::new(SOURCE));
        self.started().app.store.feed_state(&Upkeep::begin(), &tenant, &source, name).await.unwrap()
    }

    /// Runs that ended so far without a failure are told apart by when they began.
    pub async fn last_good_run(&self) -> Option<i64> {
        const RUN: &str = "SELECT MAX(started_at) FROM feed_run WHERE error IS NULL AND ended_at IS NOT NULL";
        sqlx::query_scalar(RUN).fetch_one(&self.reader).await.unwrap()
    }

    /// Waits for a run that began after this call and ended well.
    pub async fn another_good_run(&self) {
        let now = jiff::Timestamp::now().as_microsecond();
        self.until("a run ends well", async || self.last_good_run().await.filter(|run| *run > now)).await;
    }

    /// Waits until the store holds exactly this.
    pub async fn until_held(&self, expected: &BTreeMap<String, String>) {
        let begun = Instant::now();
        loop {
            let held = self.held().await;
            if held == *expected {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let missing: Vec<_> =
                    expected.iter().filter(|(key, version)| held.get(*key) != Some(version)).collect();
                let extra: Vec<_> = held.keys().filter(|key| !expected.contains_key(*key)).collect();
                panic!("missing or old: {missing:?}; not at the source: {extra:?}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Nothing was held back as unreadable.
    pub async fn has_an_empty_quarantine(&self) {
        assert_eq!(self.count("SELECT COUNT(*) FROM quarantine").await, 0);
    }
}

fn config(folder: &TempDir) -> Config {
    let config = Config {
        data_dir: folder.path().join("data"),
        listen: "127.0.0.1:0".parse().unwrap(),
        operations_listen: "127.0.0.1:0".parse().unwrap(),
        tenant: "north".to_owned(),
        secrets_dir: Some(folder.path().join("secrets")),
        ..Config::default()
    };
    std::fs::create_dir_all(&config.data_dir).unwrap();
    config
}
