//! What is SQLite's own: opening, durability, write transactions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::StoreError;

pub type Engine = Sqlite;
pub type Pool = SqlitePool;
pub type Connection = SqliteConnection;
pub type WriteTransaction<'a> = Transaction<'a, Engine>;

pub static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");
pub static TRAIL_MIGRATOR: Migrator = sqlx::migrate!("migrations/audit");

const READERS: u32 = 8;
/// Auditors, patients who ask who saw them, and whoever removes what is past its retention.
const TRAIL_CONNECTIONS: u32 = 4;
/// Pages that a connection keeps in memory, in KiB: ids are hashes, so a batch touches pages all over the indexes.
const WRITER_CACHE_KIB: u32 = 64 * 1024;
const READER_CACHE_KIB: u32 = 8 * 1024;
/// Pages of the write-ahead log that are folded into the database at once: hot pages are written once for many
/// commits. The log is cut back to this many bytes afterwards.
const CHECKPOINT_PAGES: &str = "8192";
const LOG_BYTES: &str = "134217728";
/// Another process (the command line beside a server) may hold the write lock for one batch.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A pool of readers and a pool of the one writer: writers queue here, in order, not at the file's lock.
pub async fn open(path: &Path) -> Result<(Pool, Pool), StoreError> {
    let options = options(path)?;
    // A negative size is in KiB, whatever the size of a page.
    let cached = |kib: u32| options.clone().pragma("cache_size", format!("-{kib}"));
    let writer = pool(1).connect_with(cached(WRITER_CACHE_KIB)).await?;
    let reader = pool(READERS).connect_with(cached(READER_CACHE_KIB)).await?;
    Ok((reader, writer))
}

/// A pool for the audit trail's own database.
pub async fn open_trail(path: &Path) -> Result<Pool, StoreError> {
    Ok(pool(TRAIL_CONNECTIONS).connect_with(options(path)?).await?)
}

/// A connection that belongs to no pool, so that what is attached to it is attached to no other.
pub async fn connect_to_trail(path: &Path) -> Result<Connection, StoreError> {
    Ok(options(path)?.connect().await?)
}

fn options(path: &Path) -> Result<SqliteConnectOptions, StoreError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::Folder)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledgement follows the commit, so the commit must have reached the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("temp_store", "MEMORY")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_BYTES);
    Ok(options)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file doesn't go away while it rests: asking it first would only double every read's way.
    SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false)
}

/// A connection that writes on the calling thread. What it commits is in the log, with the operating system; that it
/// reaches the disk, and that the log is folded, is for the caller to see to.
pub fn open_near_writer(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let connection = open_near(path)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(connection)
}

/// Folds into the database what of the log nobody reads any more. Waits for nobody.
pub fn fold_log(path: &Path) -> rusqlite::Result<()> {
    open_near(path)?.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

fn open_near(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    rusqlite::Connection::open_with_flags(path, flags)
}

/// The write-ahead log of the database at `path`.
pub fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Whether somebody else was writing.
pub fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

/// Takes the write lock at once, so that a transaction that reads first can't fail when it comes to write.
pub async fn begin_write(writer: &Pool) -> Result<WriteTransaction<'_>, StoreError> {
    Ok(writer.begin_with("BEGIN IMMEDIATE").await?)
}

/// Writes the database anew, without its free pages, and folds the log into it until nothing is left of it.
pub async fn rewrite(writer: &Pool) -> Result<(), StoreError> {
    /// A reader in the middle of something holds the log open; it is asked again.
    const ATTEMPTS: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(100);
    sqlx::query("VACUUM").execute(writer).await?;
    for _ in 0..ATTEMPTS {
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer).await?;
        if busy == 0 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(StoreError::LogInUse)
}

/// A statement that binds with `?`, in the engine's own form: here it is that. Numbered values (`$1`) are searched
/// for by their names at each binding, which long lists would feel.
pub fn positional(text: String) -> String {
    text
}

/// Rows of the audit trail about a patient (`$2`): named by the question, or by a document whose content left, of those
/// in a JSON list of ids (`$3`).
pub const AUDIT_ABOUT: &str = "(patient = $2 OR EXISTS (SELECT 1 FROM json_each(audit.documents) named \
    WHERE json_extract(named.value, '$.id') IN (SELECT value FROM json_each($3))))";

/// Whether the database refused this statement for what it holds, so that the same would be refused again. All
/// else (a full disk, a lock, a broken file) says nothing against what was to be written.
pub fn is_refusal(error: &sqlx::Error) -> bool {
    /// SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_RANGE.
    const REFUSALS: [i32; 5] = [1, 18, 19, 20, 25];
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<i32>().ok());
            // The lower byte is the primary code.
            code.is_some_and(|code| REFUSALS.contains(&(code & 0xff)))
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}
