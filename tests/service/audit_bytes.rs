//! Every byte of an audit trail, and every row: none can be changed, cut, put in or moved without being found.

use std::path::{Path, PathBuf};

use anamnesis::access::Upkeep;
use anamnesis::adapters::store::Store;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, FromRow, SqlitePool};

use crate::audit::{TRAIL, Trail};

const TEXTS: [&str; 12] = [
    "tenant",
    "caller",
    "client",
    "purpose",
    "class",
    "break_glass",
    "action",
    "patient",
    "documents",
    "outcome",
    "request_id",
    "hash",
];
const NUMBERS: [&str; 2] = ["sequence", "at"];

#[derive(FromRow)]
struct Cell {
    sequence: i64,
    text: Option<String>,
}

/// A trail that is damaged and mended over and over.
struct Bench {
    audit: PathBuf,
    pool: SqlitePool,
    store: Store,
    rows: i64,
    _trail: Trail,
}

impl Bench {
    async fn new() -> Self {
        let trail = Trail::new().await;
        let path = trail.folder.path().join("store.sqlite");
        let database = trail.folder.path().join(TRAIL);
        let options = SqliteConnectOptions::new().filename(database).synchronous(SqliteSynchronous::Off);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let store = Store::open(&path).await.unwrap();
        let mut bench = Self { audit: trail.folder.path().join("audit"), pool, store, rows: 0, _trail: trail };
        bench.run("CREATE TABLE whole AS SELECT * FROM audit").await;
        bench.rows = sqlx::query_scalar("SELECT COUNT(*) FROM audit").fetch_one(&bench.pool).await.unwrap();
        assert!(bench.rows > 10 && !bench.is_found().await, "an untouched trail is whole");
        bench
    }

    async fn run(&self, statement: &str) {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// Whether the damage shows, as a fault or by being unreadable.
    async fn is_found(&self) -> bool {
        self.store.verify_audit(&Upkeep::begin()).await.map_or(true, |verdict| !verdict.is_whole())
    }

    async fn cells(&self, column: &str) -> Vec<Cell> {
        let select = format!("SELECT sequence, CAST({column} AS TEXT) AS text FROM audit ORDER BY sequence");
        sqlx::query_as(AssertSqlSafe(select)).fetch_all(&self.pool).await.unwrap()
    }

    /// Whether another value in this place is found; the value is put back.
    async fn is_edit_found(&self, column: &str, cell: &Cell, text: &str) -> bool {
        let own = |value: &str| match NUMBERS.contains(&column) {
            true => format!("UPDATE audit SET {column} = CAST(? AS INTEGER) WHERE {value} = ?"),
            false => format!("UPDATE audit SET {column} = ? WHERE {value} = ?"),
        };
        // A number that another row has can't be given twice: the database refuses it.
        let edit = sqlx::query(AssertSqlSafe(own("sequence"))).bind(text).bind(cell.sequence);
        if edit.execute(&self.pool).await.is_err() {
            return true;
        }
        let is_found = self.is_found().await;
        let at = if column == "sequence" { text.parse().unwrap() } else { cell.sequence };
        let mend = sqlx::query(AssertSqlSafe(own("sequence"))).bind(cell.text.as_deref()).bind(at);
        mend.execute(&self.pool).await.unwrap();
        is_found
    }

    async fn are_statements_found(&self, statements: &[String]) -> bool {
        for statement in statements {
            self.run(statement).await;
        }
        let is_found = self.is_found().await;
        self.run("DELETE FROM audit").await;
        self.run("INSERT INTO audit SELECT * FROM whole").await;
        is_found
    }
}

/// Another letter in this place, none, and one more.
fn damages(text: &str, position: usize) -> [String; 3] {
    let other = if text.as_bytes()[position] == b'1' { "2" } else { "1" };
    let (before, after) = (&text[..position], &text[position + 1..]);
    [format!("{before}{other}{after}"), format!("{before}{after}"), format!("{before}{other}{}", &text[position..])]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_of_any_row_that_is_changed_cut_or_put_in_is_found() {
    let bench = Bench::new().await;
    let mut positions = 0;
    for column in TEXTS.into_iter().chain(NUMBERS) {
        for cell in bench.cells(column).await {
            let Some(text) = &cell.text else {
                assert!(bench.is_edit_found(column, &cell, "").await, "{column} of row {} filled", cell.sequence);
                continue;
            };
            for position in 0..text.len() {
                // One of the three at each place; all three come round over the rows.
                let kind = (position + cell.sequence as usize) % 3;
                let damaged = &damages(text, position)[kind];
                let is_same_number = NUMBERS.contains(&column) && damaged.parse::<i64>() == text.parse::<i64>();
                if (damaged.is_empty() && NUMBERS.contains(&column)) || is_same_number {
                    continue;
                }
                positions += 1;
                assert!(
                    bench.is_edit_found(column, &cell, damaged).await,
                    "byte {position} of {column} of row {}: {text} became {damaged}",
                    cell.sequence
                );
            }
        }
    }
    assert!(!bench.is_found().await, "all was put back");
    println!("{} rows, {positions} bytes, each found", bench.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_cut_moved_or_put_in_anywhere_is_found() {
    let bench = Bench::new().await;
    for row in 1..=bench.rows {
        let cut = format!("DELETE FROM audit WHERE sequence = {row}");
        assert!(bench.are_statements_found(std::slice::from_ref(&cut)).await, "row {row} cut");
        let closed = [cut, "UPDATE audit SET sequence = -sequence".to_owned(), closing(row)];
        assert!(bench.are_statements_found(&closed).await, "row {row} cut, the rest moved up");
        for other in row + 1..=bench.rows {
            let swap = [
                format!("UPDATE audit SET sequence = -{row} WHERE sequence = {row}"),
                format!("UPDATE audit SET sequence = {row} WHERE sequence = {other}"),
                format!("UPDATE audit SET sequence = {other} WHERE sequence = -{row}"),
            ];
            assert!(bench.are_statements_found(&swap).await, "rows {row} and {other} in each other's place");
        }
        let insertion = [
            "UPDATE audit SET sequence = -sequence".to_owned(),
            format!("UPDATE audit SET sequence = -sequence + (CASE WHEN -sequence > {row} THEN 1 ELSE 0 END)"),
            format!(
                "INSERT INTO audit SELECT {}, tenant, at, caller, client, purpose, action, patient, documents, \
                 outcome, request_id, class, break_glass, hash FROM whole WHERE sequence = {row}",
                row + 1
            ),
        ];
        assert!(bench.are_statements_found(&insertion).await, "row {row} twice");
    }
    assert!(!bench.is_found().await, "all was put back");
}

/// Rows after the one that went take the numbers before their own.
fn closing(row: i64) -> String {
    format!("UPDATE audit SET sequence = -sequence - (CASE WHEN -sequence > {row} THEN 1 ELSE 0 END)")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_of_the_anchors_that_is_changed_cut_or_put_in_is_found() {
    let bench = Bench::new().await;
    for name in ["head", "anchors", "key"] {
        let path = bench.audit.join(name);
        let whole = std::fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut changed = whole.clone();
            changed[position] ^= 1;
            let cut = [&whole[..position], &whole[position + 1..]].concat();
            let more = [&whole[..position], b"1", &whole[position..]].concat();
            for damaged in [changed, cut, more] {
                std::fs::write(&path, &damaged).unwrap();
                assert!(is_file_found(&bench, name).await, "byte {position} of {name}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert!(name == "anchors" || is_file_found(&bench, name).await, "{name} was taken away");
        std::fs::write(&path, whole).unwrap();
        assert!(!is_file_found(&bench, name).await, "all was put back");
    }
}

async fn is_file_found(bench: &Bench, name: &str) -> bool {
    if name != "key" {
        return bench.is_found().await;
    }
    // The key is read when a store is opened, so another one looks.
    let Ok(store) = Store::open(&store_of(&bench.audit)).await else { return true };
    let is_found = store.verify_audit(&Upkeep::begin()).await.map_or(true, |verdict| !verdict.is_whole());
    store.close().await;
    is_found
}

fn store_of(audit: &Path) -> PathBuf {
    audit.with_file_name("store.sqlite")
}
