//! The change log: what the index has still to take in.

use std::collections::HashSet;

use rusqlite::OptionalExtension;
use sqlx::FromRow;

use super::{Store, StoreError};
use crate::access::{Access, Upkeep};
use crate::domain::{DocumentId, TenantId, Timestamp};

/// A document version that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub sequence: i64,
    pub tenant: TenantId,
    pub document: DocumentId,
    pub changed_at: Timestamp,
    pub received_at: Timestamp,
}

#[derive(FromRow)]
struct ChangeRow {
    sequence: i64,
    tenant: String,
    document: String,
    changed_at: i64,
    received_at: i64,
}

impl From<ChangeRow> for Change {
    fn from(row: ChangeRow) -> Self {
        Self {
            sequence: row.sequence,
            tenant: TenantId::new(row.tenant),
            document: DocumentId::new(row.document),
            changed_at: Timestamp::from_micros(row.changed_at),
            received_at: Timestamp::from_micros(row.received_at),
        }
    }
}

impl Store {
    /// The number of the last change; 0 when there is none. Holds no patient data.
    pub fn newest_change(&self) -> Result<i64, StoreError> {
        const NEWEST: &str = "SELECT COALESCE(MAX(sequence), 0) FROM change";
        Ok(self.near.read(|connection| connection.prepare_cached(NEWEST)?.query_row([], |row| row.get(0)))?)
    }

    /// When the first change past `watermark` was made; `None` when there is none.
    pub fn oldest_change_after(&self, watermark: i64) -> Result<Option<Timestamp>, StoreError> {
        const OLDEST: &str = "SELECT changed_at FROM change WHERE sequence > $1 ORDER BY sequence LIMIT 1";
        let at: Option<i64> = self.near.read(|connection| {
            connection.prepare_cached(OLDEST)?.query_row([watermark], |row| row.get(0)).optional()
        })?;
        Ok(at.map(Timestamp::from_micros))
    }

    /// The caller's tenant's documents that came or went past `watermark`.
    pub async fn documents_changed_after(
        &self,
        access: &Access,
        watermark: i64,
    ) -> Result<HashSet<DocumentId>, StoreError> {
        const CHANGED: &str = "SELECT DISTINCT document FROM change WHERE sequence > $1 AND tenant = $2";
        let changed = sqlx::query_scalar(CHANGED).bind(watermark).bind(access.tenant().as_str());
        let changed: Vec<String> = changed.fetch_all(&self.reader).await?;
        Ok(changed.into_iter().map(DocumentId::new).collect())
    }

    /// Changes past `watermark`, in order.
    pub async fn changes_after(&self, _upkeep: &Upkeep, watermark: i64, limit: i64) -> Result<Vec<Change>, StoreError> {
        const AFTER: &str = "SELECT sequence, tenant, document, changed_at, received_at FROM change \
            WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let rows: Vec<ChangeRow> = sqlx::query_as(AFTER).bind(watermark).bind(limit).fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(Change::from).collect())
    }
}
