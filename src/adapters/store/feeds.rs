//! Feeds that we run ourselves: which there are, what each remembers, how its last run went.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::FromRow;

use super::sources::TenantSourceRow;
use super::sqlite::WriteTransaction;
use super::{Store, StoreError};
use crate::access::{Operation, Permit, Upkeep};
use crate::domain::{Feed, SourceDescription, SourceId, TenantId, Timestamp};

/// How a feed's last run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRun {
    pub source: SourceId,
    pub started_at: Timestamp,
    /// `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// Deliveries landed by that run.
    pub landed: u64,
    /// Why it failed, in words that hold nothing of a record.
    pub error: Option<String>,
    /// Failures in a row, this one included.
    pub failures: u64,
}

#[derive(FromRow)]
struct RunRow {
    source: String,
    started_at: i64,
    ended_at: Option<i64>,
    landed: i64,
    error: Option<String>,
    failures: i64,
}

const STATE: &str = "SELECT state FROM feed_state WHERE tenant = $1 AND source = $2 AND name = $3";

async fn write_state(
    transaction: &mut WriteTransaction<'_>,
    tenant: &TenantId,
    source: &SourceId,
    name: &str,
    state: String,
) -> Result<(), StoreError> {
    const KEEP: &str = "INSERT INTO feed_state (tenant, source, name, state, updated_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, source, name) \
        DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at";
    sqlx::query(KEEP)
        .bind(tenant.as_str())
        .bind(source.as_str())
        .bind(name)
        .bind(state)
        .bind(Timestamp::now().as_micros())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl Store {
    /// Every declared source that doesn't just wait for senders, of every tenant.
    pub async fn running_feeds(&self, _upkeep: &Upkeep) -> Result<Vec<(TenantId, SourceDescription)>, StoreError> {
        const ALL: &str = "SELECT * FROM source WHERE feed IS NOT NULL ORDER BY tenant, name";
        let rows: Vec<TenantSourceRow> = sqlx::query_as(ALL).fetch_all(&self.reader).await?;
        let mut described = rows.into_iter().map(TenantSourceRow::described).collect::<Result<Vec<_>, _>>()?;
        described.retain(|(_, source)| source.feed != Feed::Push);
        Ok(described)
    }

    /// What a feed kept under `name`; `None` before the first time.
    pub async fn feed_state<T: DeserializeOwned>(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = sqlx::query_scalar(STATE)
            .bind(tenant.as_str())
            .bind(source.as_str())
            .bind(name)
            .fetch_optional(&self.reader)
            .await?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| StoreError::Corrupt { what: "feed state" })
    }

    /// Keeps what a feed must remember. Only for what has landed: a state that runs ahead of the records loses them.
    pub async fn keep_feed_state<T: Serialize + Sync>(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        name: &str,
        state: &T,
    ) -> Result<(), StoreError> {
        let state = serde_json::to_string(state).map_err(|_| StoreError::Corrupt { what: "feed state" })?;
        let mut transaction = self.begin_write().await?;
        write_state(&mut transaction, tenant, source, name, state).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Changes what a feed remembers, as one step: whoever else changes it does so before or after.
    pub async fn change_feed_state<T: Default + Serialize + DeserializeOwned, R>(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        name: &str,
        change: impl FnOnce(&mut T) -> R + Send,
    ) -> Result<R, StoreError> {
        self.change_state(tenant, source, name, change).await
    }

    /// The same for a sender who may send to this source. Errors: the permit is for something else.
    pub async fn change_sender_state<T: Default + Serialize + DeserializeOwned, R>(
        &self,
        permit: &Permit,
        name: &str,
        change: impl FnOnce(&mut T) -> R + Send,
    ) -> Result<R, StoreError> {
        match permit.operation() {
            Operation::Ingest(source) => self.change_state(permit.tenant(), source, name, change).await,
            _ => Err(StoreError::Corrupt { what: "permit" }),
        }
    }

    async fn change_state<T: Default + Serialize + DeserializeOwned, R>(
        &self,
        tenant: &TenantId,
        source: &SourceId,
        name: &str,
        change: impl FnOnce(&mut T) -> R + Send,
    ) -> Result<R, StoreError> {
        let corrupt = |_| StoreError::Corrupt { what: "feed state" };
        let mut transaction = self.begin_write().await?;
        let held: Option<String> = sqlx::query_scalar(STATE)
            .bind(tenant.as_str())
            .bind(source.as_str())
            .bind(name)
            .fetch_optional(&mut *transaction)
            .await?;
        let (before, mut state) = match held {
            Some(text) => (Some(text.clone()), serde_json::from_str(&text).map_err(corrupt)?),
            None => (None, T::default()),
        };
        let result = change(&mut state);
        let after = serde_json::to_string(&state).map_err(corrupt)?;
        if before.as_ref() != Some(&after) {
            write_state(&mut transaction, tenant, source, name, after).await?;
            transaction.commit().await?;
        }
        Ok(result)
    }

    /// What the tenant's feeds remember: source, name, state. Names of records may stand in it, so it isn't for showing.
    pub async fn feed_states(&self, permit: &Permit) -> Result<Vec<(SourceId, String, String)>, StoreError> {
        const STATES: &str = "SELECT source, name, state FROM feed_state WHERE tenant = $1 ORDER BY source, name";
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(STATES).bind(permit.tenant().as_str()).fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(|(source, name, state)| (SourceId::new(source), name, state)).collect())
    }

    /// Notes how a run goes; of each feed the last one is kept.
    pub async fn note_feed_run(&self, _upkeep: &Upkeep, tenant: &TenantId, run: &FeedRun) -> Result<(), StoreError> {
        const NOTE: &str = "INSERT INTO feed_run (tenant, source, started_at, ended_at, landed, error, failures) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, source) DO UPDATE SET \
            started_at = excluded.started_at, ended_at = excluded.ended_at, landed = excluded.landed, \
            error = excluded.error, failures = excluded.failures";
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut transaction = self.begin_write().await?;
        sqlx::query(NOTE)
            .bind(tenant.as_str())
            .bind(run.source.as_str())
            .bind(run.started_at.as_micros())
            .bind(run.ended_at.map(Timestamp::as_micros))
            .bind(count(run.landed))
            .bind(run.error.as_deref())
            .bind(count(run.failures))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// How the last run of each feed of the tenant went, by source.
    pub async fn feed_runs(&self, permit: &Permit) -> Result<Vec<FeedRun>, StoreError> {
        self.runs_of(permit.tenant()).await
    }

    /// The same, for the command line.
    pub async fn feed_runs_for_upkeep(&self, _upkeep: &Upkeep, tenant: &TenantId) -> Result<Vec<FeedRun>, StoreError> {
        self.runs_of(tenant).await
    }

    async fn runs_of(&self, tenant: &TenantId) -> Result<Vec<FeedRun>, StoreError> {
        const RUNS: &str = "SELECT source, started_at, ended_at, landed, error, failures FROM feed_run \
            WHERE tenant = $1 ORDER BY source";
        let rows: Vec<RunRow> = sqlx::query_as(RUNS).bind(tenant.as_str()).fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(FeedRun::from).collect())
    }
}

impl From<RunRow> for FeedRun {
    fn from(row: RunRow) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        Self {
            source: SourceId::new(row.source),
            started_at: Timestamp::from_micros(row.started_at),
            ended_at: row.ended_at.map(Timestamp::from_micros),
            landed: count(row.landed),
            error: row.error,
            failures: count(row.failures),
        }
    }
}
