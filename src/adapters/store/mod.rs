//! The record of everything: landed bytes, document versions, facts, changes, jobs, and, in a database of its own, the
//! audit trail.
//!
//! The pools are private to this module. Reads for people take an [`crate::access::Access`], administrative
//! ones a [`crate::access::Permit`], background ones an [`crate::access::Upkeep`].
//! SQL keeps to what SQLite and PostgreSQL share; what differs sits in `sqlite.rs`.

mod anchors;
mod audit;
mod audit_writer;
mod bulk;
mod changes;
mod deliveries;
mod documents;
mod embeddings;
mod erasure;
mod facts;
mod feed_files;
mod feeds;
mod findings;
mod flush;
mod identity;
mod jobs;
mod judge;
mod known;
mod landing;
mod ledger;
mod merges;
mod near;
mod outcomes;
mod policy;
mod quarantine;
mod rehearsal;
mod rows;
mod sources;
mod sqlite;
#[cfg(test)]
mod test_records;
#[cfg(test)]
mod tests;
mod trail;
mod waiting;
mod webhooks;

use std::path::Path;
use std::sync::Arc;

use anchors::Anchors;
use audit_writer::Auditing;
use landing::Landing;
use near::Near;
use sqlite::{Connection, Pool, WriteTransaction};

pub use audit::{AuditRow, Stranger};
pub use changes::Change;
pub use deliveries::{Receipt, ReceiptState};
pub use documents::PatientSummary;
pub use erasure::{ErasureRefused, Searched};
pub use feed_files::{FeedFile, FileState};
pub use feeds::FeedRun;
pub use findings::StoredFinding;
pub use judge::Disposition;
pub use outcomes::{DeliverySlice, NormalizedDelivery, RecordOutcome, Tally};
pub use policy::{GlassReport, PolicyMark, RuleRecord};
pub use quarantine::{QuarantineItem, QuarantineState};
pub use rehearsal::Rehearsal;
pub use waiting::{Backlog, Landed};
pub use webhooks::LandedOnce;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("the database could not be read")]
    Near(#[from] rusqlite::Error),
    #[error("the database schema could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the database's folder could not be made")]
    Folder(#[source] std::io::Error),
    #[error("a stored {what} can't be read back")]
    Corrupt { what: &'static str },
    #[error("the delivery was read before")]
    AlreadyRead,
    #[error("the thread that writes the audit trail could not be started")]
    Thread(#[source] std::io::Error),
    #[error("the task that writes was stopped")]
    Stopped,
    #[error("the log could not be brought to the disk")]
    Log(#[source] std::io::Error),
    #[error("the log stayed in use by readers and could not be cut back")]
    LogInUse,
    #[error("the audit trail could not be written")]
    Audit,
    #[error("the anchors of the audit trail could not be read or written")]
    Anchor(#[source] std::io::Error),
}

impl StoreError {
    /// Whether what was to be written is at fault, so that it would fail again; else the database was.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Database(error) => sqlite::is_refusal(error),
            Self::Corrupt { .. } => true,
            Self::Near(_)
            | Self::Migration(_)
            | Self::Folder(_)
            | Self::AlreadyRead
            | Self::Thread(_)
            | Self::Stopped
            | Self::Audit
            | Self::Log(_)
            | Self::LogInUse
            | Self::Anchor(_) => false,
        }
    }
}

/// How the audit trail is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditSettings<'a> {
    /// A file with the key that signs the anchors; without one, a key is made beside them.
    pub key_file: Option<&'a Path>,
    /// Whether a read, too, waits until its row is on the disk.
    pub reads_wait: bool,
}

/// The database, open for reading by many and writing by one, and that of the audit trail.
#[derive(Clone)]
pub struct Store {
    reader: Pool,
    near: Near,
    writer: Pool,
    landing: Landing,
    trail: Pool,
    auditing: Auditing,
    anchors: Anchors,
    backlog: Arc<Backlog>,
}

impl Store {
    /// Opens the database at `path`, creating it and bringing its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, &AuditSettings::default()).await
    }

    pub async fn open_with(path: &Path, audit: &AuditSettings<'_>) -> Result<Self, StoreError> {
        let (reader, writer) = sqlite::open(path).await?;
        sqlite::MIGRATOR.run(&writer).await?;
        let backlog = Arc::new(Backlog::default());
        let landing = Landing::begin(writer.clone(), backlog.clone());
        let trail = trail::open(path, &reader, &writer).await?;
        let anchors = Anchors::open(&trail::folder_of(path), audit.key_file).map_err(StoreError::Anchor)?;
        let auditing = Auditing::begin(&trail::path_of(path), anchors.clone(), audit.reads_wait)?;
        let store = Self { reader, near: Near::new(path), writer, landing, trail, auditing, anchors, backlog };
        store.measure_backlog().await?;
        store.chain_earlier_rows().await?;
        Ok(store)
    }

    /// Whether the databases answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        for pool in [&self.reader, &self.trail] {
            sqlx::query("SELECT 1").execute(pool).await?;
        }
        Ok(())
    }

    /// Closes every connection; the last one folds the write-ahead log into the database file.
    pub async fn close(&self) {
        self.near.close();
        self.auditing.close().await;
        self.trail.close().await;
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn begin_write(&self) -> Result<WriteTransaction<'_>, StoreError> {
        sqlite::begin_write(&self.writer).await
    }
}

/// The next `count` numbers of a sequence; returns the first. Numbers follow commit order, without gaps.
async fn take_numbers(connection: &mut Connection, name: &str, count: i64) -> Result<i64, StoreError> {
    const TAKE: &str = "INSERT INTO counter (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value";
    let last: i64 = sqlx::query_scalar(TAKE).bind(name).bind(count).fetch_one(connection).await?;
    Ok(last - count + 1)
}
