//! Feeds as declared, and when each was last heard from.

use rusqlite::Row;
use sqlx::FromRow;

use super::{Store, StoreError, rows};
use crate::access::{Access, Permit, Upkeep};
use crate::domain::{FeedFreshness, SourceDescription, SourceId, TenantId, Timestamp};

#[derive(FromRow)]
pub(super) struct SourceRow {
    name: String,
    patients: String,
    warn_after_s: i64,
    error_after_s: i64,
    mapping: Option<String>,
    feed: Option<String>,
}

#[derive(FromRow)]
pub(super) struct TenantSourceRow {
    tenant: String,
    #[sqlx(flatten)]
    source: SourceRow,
}

impl TenantSourceRow {
    pub(super) fn described(self) -> Result<(TenantId, SourceDescription), StoreError> {
        Ok((TenantId::new(self.tenant), self.source.description()?))
    }
}

impl SourceRow {
    pub(super) fn description(&self) -> Result<SourceDescription, StoreError> {
        let mapping = self.mapping.as_deref().map(serde_json::from_str).transpose();
        let feed = self.feed.as_deref().map(serde_json::from_str).transpose();
        Ok(SourceDescription {
            name: SourceId::new(self.name.clone()),
            patients: self.patients.clone(),
            warn_after_s: rows::number(self.warn_after_s, "warn_after_s")?,
            error_after_s: rows::number(self.error_after_s, "error_after_s")?,
            mapping: mapping.map_err(|_| StoreError::Corrupt { what: "mapping" })?,
            feed: feed.map_err(|_| StoreError::Corrupt { what: "feed" })?.unwrap_or_default(),
        })
    }
}

/// When a source was last heard from, and what it may leave out.
struct HeardRow {
    name: String,
    warn_after_s: i64,
    error_after_s: i64,
    last_received_at: Option<i64>,
    newest_source_time: Option<i64>,
}

impl HeardRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            warn_after_s: row.get(1)?,
            error_after_s: row.get(2)?,
            last_received_at: row.get(3)?,
            newest_source_time: row.get(4)?,
        })
    }

    fn freshness(self, now: Timestamp) -> Result<FeedFreshness, StoreError> {
        let warn_after_s = rows::number(self.warn_after_s, "warn_after_s")?;
        let error_after_s = rows::number(self.error_after_s, "error_after_s")?;
        let last_received_at = self.last_received_at.map(Timestamp::from_micros);
        let age_s = last_received_at.map(|received| now.seconds_since(received));
        Ok(FeedFreshness {
            source: SourceId::new(self.name),
            last_received_at,
            newest_source_time: self.newest_source_time.map(Timestamp::from_micros),
            warn_after_s,
            error_after_s,
            age_s,
            status: FeedFreshness::judge(age_s, warn_after_s, error_after_s),
        })
    }
}

const ALL: &str = "SELECT name, patients, warn_after_s, error_after_s, mapping, feed FROM source WHERE tenant = $1 \
    ORDER BY name";

impl Store {
    /// Declares a source, or changes what was declared; what was received stays.
    pub async fn declare_source(&self, tenant: &TenantId, description: &SourceDescription) -> Result<(), StoreError> {
        const DECLARE: &str = "INSERT INTO source (tenant, name, patients, warn_after_s, error_after_s, mapping, feed) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, name) DO UPDATE SET patients = excluded.patients, \
            warn_after_s = excluded.warn_after_s, error_after_s = excluded.error_after_s, mapping = excluded.mapping, \
            feed = excluded.feed";
        let mapping = description.mapping.as_ref().map(serde_json::to_string).transpose();
        let mut transaction = self.begin_write().await?;
        sqlx::query(DECLARE)
            .bind(tenant.as_str())
            .bind(description.name.as_str())
            .bind(&description.patients)
            .bind(i64::try_from(description.warn_after_s).unwrap_or(i64::MAX))
            .bind(i64::try_from(description.error_after_s).unwrap_or(i64::MAX))
            .bind(mapping.map_err(|_| StoreError::Corrupt { what: "mapping" })?)
            .bind(serde_json::to_string(&description.feed).map_err(|_| StoreError::Corrupt { what: "feed" })?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    pub async fn sources(&self, permit: &Permit) -> Result<Vec<SourceDescription>, StoreError> {
        self.sources_of(permit.tenant()).await
    }

    /// The same, for the command line.
    pub async fn sources_for_upkeep(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
    ) -> Result<Vec<SourceDescription>, StoreError> {
        self.sources_of(tenant).await
    }

    async fn sources_of(&self, tenant: &TenantId) -> Result<Vec<SourceDescription>, StoreError> {
        let rows: Vec<SourceRow> = sqlx::query_as(ALL).bind(tenant.as_str()).fetch_all(&self.reader).await?;
        rows.iter().map(SourceRow::description).collect()
    }

    /// What is declared for a source that records come in for; holds no patient data.
    pub async fn source(&self, tenant: &TenantId, name: &SourceId) -> Result<Option<SourceDescription>, StoreError> {
        const ONE: &str = "SELECT name, patients, warn_after_s, error_after_s, mapping, feed FROM source \
            WHERE tenant = $1 AND name = $2";
        let row: Option<SourceRow> =
            sqlx::query_as(ONE).bind(tenant.as_str()).bind(name.as_str()).fetch_optional(&self.reader).await?;
        row.map(|row| row.description()).transpose()
    }

    /// What tenants declared under that name, to find out whose secret a sender shows; holds no patient data.
    pub async fn sources_named(&self, name: &SourceId) -> Result<Vec<(TenantId, SourceDescription)>, StoreError> {
        const NAMED: &str = "SELECT * FROM source WHERE name = $1 ORDER BY tenant";
        let rows: Vec<TenantSourceRow> = sqlx::query_as(NAMED).bind(name.as_str()).fetch_all(&self.reader).await?;
        rows.into_iter().map(TenantSourceRow::described).collect()
    }

    /// How fresh each feed of the caller's tenant is.
    pub fn feeds(&self, access: &Access, now: Timestamp) -> Result<Vec<FeedFreshness>, StoreError> {
        self.feeds_of(access.tenant(), now)
    }

    /// The same, for the gauges.
    pub fn feeds_for_metrics(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Vec<FeedFreshness>, StoreError> {
        self.feeds_of(tenant, now)
    }

    fn feeds_of(&self, tenant: &TenantId, now: Timestamp) -> Result<Vec<FeedFreshness>, StoreError> {
        const HEARD: &str = "SELECT name, warn_after_s, error_after_s, last_received_at, newest_source_time \
            FROM source WHERE tenant = $1 ORDER BY name";
        let rows: Vec<HeardRow> = self.near.read(|connection| {
            connection.prepare_cached(HEARD)?.query_map([tenant.as_str()], HeardRow::read)?.collect()
        })?;
        rows.into_iter().map(|row| row.freshness(now)).collect()
    }
}
