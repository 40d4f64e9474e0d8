//! The database of the audit trail, beside its anchors.
//!
//! Apart from the store, since each row of a read would make the store's connections forget the pages that they hold in
//! memory, and would wait while records are taken in.

use std::path::{Path, PathBuf};

use sqlx::{Connection as _, SqliteExecutor};

use super::StoreError;
use super::sqlite::{self, Pool};

/// Rows that are there already were copied before.
const COPY: [&str; 2] = [
    "INSERT OR IGNORE INTO audit_cut (sequence, hash, cut_at) SELECT sequence, hash, cut_at FROM store.audit_cut",
    "INSERT OR IGNORE INTO audit (sequence, tenant, at, caller, client, purpose, action, patient, documents, outcome, \
        request_id, class, break_glass, hash) SELECT sequence, tenant, at, caller, client, purpose, action, patient, \
        documents, outcome, request_id, class, break_glass, hash FROM store.audit \
        WHERE sequence > (SELECT COALESCE(MAX(sequence), 0) FROM audit_cut)",
];
/// The trigger goes with its table.
const DROP: [&str; 3] = ["DROP TABLE audit", "DROP TABLE audit_cut", "DELETE FROM counter WHERE name = 'audit'"];

/// Where trail and anchors of the store at `store` lie.
pub(super) fn folder_of(store: &Path) -> PathBuf {
    store.parent().unwrap_or(Path::new("")).join("audit")
}

pub(super) fn path_of(store: &Path) -> PathBuf {
    folder_of(store).join("trail.sqlite")
}

/// Opens the trail of the store at `store`; what the store holds of it is moved there first.
pub(super) async fn open(store: &Path, reader: &Pool, writer: &Pool) -> Result<Pool, StoreError> {
    let path = path_of(store);
    let trail = sqlite::open_trail(&path).await?;
    sqlite::TRAIL_MIGRATOR.run(&trail).await?;
    if is_held(reader).await? {
        take_over(&path, store, writer).await?;
    }
    Ok(trail)
}

/// Whether the store still has the table: each did before the trail had a database of its own.
async fn is_held(store: impl SqliteExecutor<'_>) -> Result<bool, StoreError> {
    const HELD: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audit')";
    Ok(sqlx::query_scalar(HELD).fetch_one(store).await?)
}

/// The rows are on the disk in the one place before they go from the other.
async fn take_over(trail: &Path, store: &Path, writer: &Pool) -> Result<(), StoreError> {
    let mut leaving = sqlite::begin_write(writer).await?;
    // Another process may have moved them while this one waited for its turn.
    if is_held(&mut *leaving).await? {
        copy(trail, store).await?;
        for statement in DROP {
            sqlx::query(statement).execute(&mut *leaving).await?;
        }
    }
    leaving.commit().await?;
    Ok(())
}

async fn copy(trail: &Path, store: &Path) -> Result<(), StoreError> {
    let mut connection = sqlite::connect_to_trail(trail).await?;
    sqlx::query("ATTACH DATABASE $1 AS store").bind(store.to_string_lossy()).execute(&mut connection).await?;
    let mut transaction = connection.begin().await?;
    for statement in COPY {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    sync_folder(trail).map_err(StoreError::Log)
}

/// Brings to the disk that the database and its log are there.
pub(super) fn sync_folder(trail: &Path) -> std::io::Result<()> {
    std::fs::File::open(trail.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::access::Upkeep;
    use crate::adapters::store::test_records::record;
    use crate::adapters::store::{AuditRow, Store};
    use crate::domain::{AuditFault, AuditRecord, Timestamp};

    const FIRST: i64 = 3;
    const LAST: i64 = 40;

    /// A store as it was before the trail had a database of its own, with rows of which the first were removed.
    async fn earlier_store(folder: &TempDir) -> PathBuf {
        let path = folder.path().join("store.sqlite");
        let (reader, writer) = sqlite::open(&path).await.unwrap();
        sqlite::MIGRATOR.run(&writer).await.unwrap();
        let mut hash = AuditRecord::genesis();
        for sequence in 1..=LAST {
            let record = record(sequence);
            hash = record.hash(&hash);
            insert_earlier(&writer, &record, &hash).await;
            if sequence == FIRST - 1 {
                cut_earlier(&writer, sequence, &hash).await;
            }
        }
        reader.close().await;
        writer.close().await;
        path
    }

    async fn insert_earlier(writer: &Pool, record: &AuditRecord, hash: &str) {
        const INSERT: &str = "INSERT INTO audit (sequence, tenant, at, caller, client, action, documents, outcome, \
            request_id, class, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        sqlx::query(INSERT)
            .bind(record.sequence)
            .bind(&record.tenant)
            .bind(record.at.as_micros())
            .bind(&record.caller)
            .bind(&record.client)
            .bind(&record.action)
            .bind(&record.documents)
            .bind(&record.outcome)
            .bind(&record.request_id)
            .bind(&record.class)
            .bind(hash)
            .execute(writer)
            .await
            .unwrap();
    }

    async fn cut_earlier(writer: &Pool, sequence: i64, hash: &str) {
        let cut = sqlx::query("INSERT INTO audit_cut (sequence, hash, cut_at) VALUES ($1, $2, 7)");
        cut.bind(sequence).bind(hash).execute(writer).await.unwrap();
        sqlx::query("DELETE FROM audit WHERE sequence <= $1").bind(sequence).execute(writer).await.unwrap();
    }

    /// Holds the trail to what the earlier store had, and the store to having nothing of it any more; then appends a row.
    async fn everything_was_moved(path: &Path) {
        let store = Store::open(path).await.unwrap();
        assert!(!is_held(&store.reader).await.unwrap());
        let left = "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE 'audit%'";
        assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&store.reader).await.unwrap(), 0);
        let row = AuditRow { action: "search", patient: None, documents: &[], outcome: "success", request_id: "1" };
        store.audit_upkeep(&Upkeep::begin(), "north", &row).await.unwrap();
        let verdict = store.verify_audit(&Upkeep::begin()).await.unwrap();
        // Nobody had signed for what the earlier store removed.
        assert_eq!(verdict.faults, [AuditFault::Forged(FIRST - 1)]);
        assert_eq!((verdict.first, verdict.last), (Some(FIRST), Some(LAST + 1)));
        assert_eq!(verdict.rows as i64, LAST + 2 - FIRST);
        store.close().await;
    }

    #[tokio::test]
    async fn rows_of_a_store_that_held_the_trail_are_moved() {
        let folder = TempDir::new().unwrap();
        everything_was_moved(&earlier_store(&folder).await).await;
    }

    #[tokio::test]
    async fn a_kill_between_the_copy_and_the_drop_loses_and_doubles_nothing() {
        let folder = TempDir::new().unwrap();
        let path = earlier_store(&folder).await;
        let trail = sqlite::open_trail(&path_of(&path)).await.unwrap();
        sqlite::TRAIL_MIGRATOR.run(&trail).await.unwrap();
        copy(&path_of(&path), &path).await.unwrap();
        trail.close().await;
        everything_was_moved(&path).await;
    }

    #[tokio::test]
    async fn an_earlier_store_that_is_put_back_adds_no_row_twice_and_none_that_was_removed() {
        let folder = TempDir::new().unwrap();
        let path = earlier_store(&folder).await;
        let aside = folder.path().join("aside");
        std::fs::copy(&path, &aside).unwrap();
        everything_was_moved(&path).await;
        let store = Store::open(&path).await.unwrap();
        let bound = Timestamp::from_micros(LAST);
        store.prune_audit(&Upkeep::begin(), bound).await.unwrap();
        store.close().await;
        std::fs::copy(&aside, &path).unwrap();
        let store = Store::open(&path).await.unwrap();
        let rows: Vec<i64> =
            sqlx::query_scalar("SELECT sequence FROM audit ORDER BY sequence").fetch_all(&store.trail).await.unwrap();
        assert_eq!(rows, [LAST, LAST + 1]);
        assert_eq!(store.verify_audit(&Upkeep::begin()).await.unwrap().faults, []);
    }
}
