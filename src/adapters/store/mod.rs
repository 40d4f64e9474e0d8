//! The record of everything: landed bytes, document versions, facts, changes, jobs, audit.
//!
//! The pools are private to this module. Reads for people take an [`crate::access::Access`], administrative
//! ones a [`crate::access::Permit`], background ones an [`crate::access::Upkeep`].
//! SQL keeps to what SQLite and PostgreSQL share; what differs sits in `sqlite.rs`.

mod audit;
mod changes;
mod deliveries;
mod documents;
mod embeddings;
mod facts;
mod feeds;
mod findings;
mod jobs;
mod outcomes;
mod quarantine;
mod rows;
mod sources;
mod sqlite;
mod webhooks;

use std::path::Path;

use sqlite::{Pool, WriteTransaction};

pub use audit::AuditRow;
pub use changes::Change;
pub use deliveries::{Receipt, ReceiptState};
pub use documents::PatientSummary;
pub use feeds::FeedRun;
pub use findings::StoredFinding;
pub use outcomes::{Disposition, NormalizedDelivery, RecordOutcome};
pub use quarantine::{QuarantineItem, QuarantineState};
pub use webhooks::Landing;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("the database schema could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the database's folder could not be made")]
    Folder(#[source] std::io::Error),
    #[error("a stored {what} can't be read back")]
    Corrupt { what: &'static str },
    #[error("the delivery was read before")]
    AlreadyRead,
}

/// The database, open for reading by many and writing by one.
#[derive(Clone)]
pub struct Store {
    reader: Pool,
    writer: Pool,
}

impl Store {
    /// Opens the database at `path`, creating it and bringing its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let (reader, writer) = sqlite::open(path).await?;
        sqlite::MIGRATOR.run(&writer).await?;
        Ok(Self { reader, writer })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Closes every connection; the last one folds the write-ahead log into the database file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn begin_write(&self) -> Result<WriteTransaction<'_>, StoreError> {
        sqlite::begin_write(&self.writer).await
    }
}

/// The next `count` numbers of a sequence; returns the first. Numbers follow commit order, without gaps.
async fn take_numbers(transaction: &mut WriteTransaction<'_>, name: &str, count: i64) -> Result<i64, StoreError> {
    const TAKE: &str = "INSERT INTO counter (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value";
    let last: i64 = sqlx::query_scalar(TAKE).bind(name).bind(count).fetch_one(&mut **transaction).await?;
    Ok(last - count + 1)
}
