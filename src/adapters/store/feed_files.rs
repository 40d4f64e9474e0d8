//! Files that a feed has met, and how much of each has landed.

use sqlx::FromRow;

use super::{Store, StoreError, rows};
use crate::access::Upkeep;
use crate::domain::{SourceId, TenantId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Some of its slices have landed.
    Begun,
    Landed,
    /// Longer than a record may be; nothing of it has landed.
    TooLarge,
}

impl FileState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Landed => "landed",
            Self::TooLarge => "too_large",
        }
    }
}

/// What is known of one version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedFile {
    pub path: String,
    pub version: String,
    /// Slices that have landed, in order.
    pub slices: u64,
    pub state: FileState,
}

#[derive(FromRow)]
struct FileRow {
    path: String,
    version: String,
    slices: i64,
    state: String,
}

impl Store {
    /// What a feed has met under that path.
    pub async fn feed_file(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        path: &str,
    ) -> Result<Option<FeedFile>, StoreError> {
        const ONE: &str = "SELECT path, version, slices, state FROM feed_file \
            WHERE tenant = $1 AND source = $2 AND path = $3";
        let row: Option<FileRow> = sqlx::query_as(ONE)
            .bind(tenant.as_str())
            .bind(source.as_str())
            .bind(path)
            .fetch_optional(&self.reader)
            .await?;
        row.map(FeedFile::try_from).transpose()
    }

    /// Keeps how far a file has landed; only after it has.
    pub async fn keep_feed_file(
        &self,
        _upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        file: &FeedFile,
    ) -> Result<(), StoreError> {
        const KEEP: &str = "INSERT INTO feed_file (tenant, source, path, version, slices, state, updated_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, source, path) DO UPDATE SET \
            version = excluded.version, slices = excluded.slices, state = excluded.state, \
            updated_at = excluded.updated_at";
        let mut transaction = self.begin_write().await?;
        sqlx::query(KEEP)
            .bind(tenant.as_str())
            .bind(source.as_str())
            .bind(&file.path)
            .bind(&file.version)
            .bind(i64::try_from(file.slices).unwrap_or(i64::MAX))
            .bind(file.state.as_str())
            .bind(Timestamp::now().as_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl TryFrom<FileRow> for FeedFile {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self, StoreError> {
        let states = [FileState::Begun, FileState::Landed, FileState::TooLarge];
        let state = states.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            path: row.path,
            version: row.version,
            slices: rows::number(row.slices, "slices of a file")?,
            state: state.ok_or(StoreError::Corrupt { what: "state of a file" })?,
        })
    }
}
