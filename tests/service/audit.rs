//! The audit trail: a row for each read and write before it is answered, and no edit of it that isn't found.

use anamnesis::access::Upkeep;
use anamnesis::adapters::store::Store;
use anamnesis::domain::AuditFault;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, SqlitePool};

use crate::builders::{bundle, note, patient};
use crate::harness::{Server, text};
use crate::tokens::{self, ADMIN, READER, SENDER};

/// The database of the trail, below the data folder.
pub const TRAIL: &str = "audit/trail.sqlite";

async fn database(server: &Server) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(server.app.config.data_dir.join(TRAIL));
    SqlitePool::connect_with(options).await.unwrap()
}

async fn execute(pool: &SqlitePool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}

async fn server() -> Server {
    let server = Server::start().await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", "Seen for migraine.")])).await;
    server
}

async fn actions(server: &Server) -> Vec<String> {
    let pool = database(server).await;
    let actions = sqlx::query_scalar("SELECT action || ' ' || outcome FROM audit ORDER BY sequence");
    let actions = actions.fetch_all(&pool).await.unwrap();
    pool.close().await;
    actions
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_with_a_token_leaves_one_row() {
    let server = server().await;
    let id = server.document_with("migraine").await;
    let (reader, admin, sender) = (tokens::mint(READER), tokens::mint(ADMIN), tokens::mint(SENDER));
    let before = actions(&server).await.len();
    server.get(&reader, "/v1/whoami").await.expect(200);
    server.get(&reader, &format!("/v1/documents/{id}")).await.expect(200);
    server.get(&reader, "/v1/documents/none").await.expect(404);
    server.get(&sender, "/v1/receipts/none").await.expect(404);
    server.get(&admin, "/v1/admin/jobs").await.expect(200);
    server.get(&reader, "/v1/admin/jobs").await.expect(403);
    server.post(&reader, "/v1/search", &json!({"query": ""})).await.expect(400);
    server.send(&sender, "ehr", "text/plain", "A note.").await.expect(202);
    let rows = actions(&server).await.split_off(before);
    assert_eq!(
        rows,
        [
            "GET /v1/whoami success",
            "document success",
            "document not_found",
            "GET /v1/receipts/{id} not_found",
            "GET /v1/admin/jobs success",
            "GET /v1/admin/jobs denied",
            "POST /v1/search refused",
            "POST /v1/sources/{source}/records success",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_answered() {
    let server = server().await;
    let id = server.document_with("migraine").await;
    let pool = database(&server).await;
    execute(&pool, "ALTER TABLE audit RENAME TO audit_away").await;
    let reader = tokens::mint(READER);
    for path in [format!("/v1/documents/{id}"), "/v1/patients".to_owned(), "/v1/whoami".to_owned()] {
        let reply = server.get(&reader, &path).await;
        assert!(!reply.text().contains("migraine") && !reply.text().contains("Ruiz"));
        reply.problem(500, "internal");
    }
    server.post(&reader, "/v1/search", &json!({"query": "migraine"})).await.problem(500, "internal");
    execute(&pool, "ALTER TABLE audit_away RENAME TO audit").await;
    server.get(&reader, "/v1/whoami").await.expect(200);
    pool.close().await;
}

/// The newest row, and the newest that is known to be on the disk.
async fn written_and_anchored(server: &Server) -> (i64, i64) {
    let pool = database(server).await;
    let written = sqlx::query_scalar("SELECT MAX(sequence) FROM audit").fetch_one(&pool).await.unwrap();
    pool.close().await;
    let head = std::fs::read(server.app.config.data_dir.join("audit/head")).unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    (written, head["sequence"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_waits_until_its_row_is_on_the_disk_and_a_read_where_it_is_wanted() {
    let server = server().await;
    server.get(&tokens::mint(READER), "/v1/whoami").await.expect(200);
    server.get(&tokens::mint(ADMIN), "/v1/admin/jobs").await.expect(200);
    let (written, anchored) = written_and_anchored(&server).await;
    assert_eq!(written, anchored);
    let careful = Server::with(|config| config.access.audit_reads_wait = true).await;
    for _ in 0..20 {
        careful.get(&tokens::mint(READER), "/v1/whoami").await.expect(200);
        let (written, anchored) = written_and_anchored(&careful).await;
        assert_eq!(written, anchored);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_come_while_the_database_is_written_wait_and_are_recorded() {
    let server = std::sync::Arc::new(server().await);
    let before = actions(&server).await.len();
    let pool = database(&server).await;
    let writing = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let ask = |server: std::sync::Arc<Server>| async move {
        server.get(&tokens::mint(READER), "/v1/whoami").await.expect(200);
    };
    let asked: Vec<_> = (0..12).map(|_| tokio::spawn(ask(server.clone()))).collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(asked.iter().all(|asked| !asked.is_finished()));
    writing.rollback().await.unwrap();
    for asked in asked {
        asked.await.unwrap();
    }
    assert_eq!(actions(&server).await.len(), before + 12);
    let verdict = server.app.store.verify_audit(&Upkeep::begin()).await.unwrap();
    assert_eq!(verdict.faults, []);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_cut_under_a_running_service_leaves_a_gap() {
    let server = server().await;
    let reader = tokens::mint(READER);
    server.get(&reader, "/v1/whoami").await.expect(200);
    let pool = database(&server).await;
    let last: i64 = sqlx::query_scalar("SELECT MAX(sequence) FROM audit").fetch_one(&pool).await.unwrap();
    execute(&pool, &format!("DELETE FROM audit WHERE sequence > {}", last - 2)).await;
    server.get(&reader, "/v1/whoami").await.expect(200);
    server.get(&reader, "/v1/whoami").await.expect(200);
    pool.close().await;
    let verdict = server.app.store.verify_audit(&Upkeep::begin()).await.unwrap();
    assert!(verdict.faults.contains(&AuditFault::Missing(last + 1)), "{:?}", verdict.faults);
    assert_eq!(verdict.last, Some(last + 2));
}

/// A trail of some rows, copied for each damage that is done to it.
pub struct Trail {
    pub folder: tempfile::TempDir,
}

impl Trail {
    pub async fn new() -> Self {
        let server = server().await;
        let reader = tokens::mint(READER);
        for number in 0..12 {
            server.get(&reader, &format!("/v1/documents/none{number}")).await.expect(404);
        }
        server.app.store.close().await;
        let folder = tempfile::tempdir().unwrap();
        copy(&server.app.config.data_dir.join("audit"), &folder.path().join("audit"));
        for name in ["store.sqlite", "store.sqlite-wal"] {
            let from = server.app.config.data_dir.join(name);
            if from.exists() {
                std::fs::copy(from, folder.path().join(name)).unwrap();
            }
        }
        Self { folder }
    }

    /// What is found after these statements, and a change of the anchors.
    async fn after(&self, statements: &[String], change: impl Fn(&std::path::Path)) -> Vec<AuditFault> {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let path = folder.path().join("store.sqlite");
        let database = folder.path().join(TRAIL);
        let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(database)).await.unwrap();
        for statement in statements {
            execute(&pool, statement).await;
        }
        pool.close().await;
        change(&folder.path().join("audit"));
        let store = Store::open(&path).await.unwrap();
        let verdict = store.verify_audit(&Upkeep::begin()).await.unwrap();
        store.close().await;
        verdict.faults
    }

    async fn after_sql(&self, statement: impl Into<String>) -> Vec<AuditFault> {
        self.after(&[statement.into()], |_| {}).await
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_edit_cut_move_or_insertion_is_found() {
    let trail = Trail::new().await;
    assert_eq!(trail.after(&[], |_| {}).await, [], "an untouched trail is whole");
    let columns = [
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
    for column in columns {
        for row in [1, 5, 9] {
            let edit = format!("UPDATE audit SET {column} = COALESCE({column}, '') || 'x' WHERE sequence = {row}");
            let found = trail.after_sql(edit).await;
            assert!(found.contains(&AuditFault::Altered(row)), "{column} of row {row}: {found:?}");
        }
    }
    assert!(!trail.after_sql("UPDATE audit SET at = at + 1 WHERE sequence = 4").await.is_empty());
    assert!(!trail.after_sql("UPDATE audit SET hash = NULL").await.is_empty());
    let missing = trail.after_sql("DELETE FROM audit WHERE sequence = 6").await;
    assert!(missing.contains(&AuditFault::Missing(7)), "{missing:?}");
    assert!(!trail.after_sql("DELETE FROM audit WHERE sequence <= 3").await.is_empty());
    let cut = trail.after_sql("DELETE FROM audit WHERE sequence = (SELECT MAX(sequence) FROM audit)").await;
    assert!(matches!(cut.as_slice(), [AuditFault::Cut(_)]), "{cut:?}");
    assert!(!trail.after_sql("DELETE FROM audit").await.is_empty());
    let swap = [
        "UPDATE audit SET sequence = -1 WHERE sequence = 4",
        "UPDATE audit SET sequence = 4 WHERE sequence = 5",
        "UPDATE audit SET sequence = 5 WHERE sequence = -1",
    ]
    .map(str::to_owned);
    assert!(!trail.after(&swap, |_| {}).await.is_empty());
    let insertion = "INSERT INTO audit SELECT (SELECT MAX(sequence) + 1 FROM audit), tenant, at, caller, client, \
        purpose, action, patient, documents, outcome, request_id, class, break_glass, hash FROM audit WHERE sequence = 3";
    assert!(!trail.after_sql(insertion).await.is_empty());
    // Taking the older rows away as if they were past their retention needs the key.
    let prune = [
        "INSERT INTO audit_cut SELECT sequence, hash, 0 FROM audit WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence <= 3",
    ]
    .map(str::to_owned);
    assert!(trail.after(&prune, |_| {}).await.contains(&AuditFault::Forged(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anchors_show_a_trail_that_was_written_anew() {
    let trail = Trail::new().await;
    let unanchored = trail.after(&[], |anchors| {
        for name in ["head", "anchors"] {
            std::fs::remove_file(anchors.join(name)).unwrap();
        }
    });
    assert_eq!(unanchored.await, [AuditFault::Unanchored]);
    let forged = trail.after(&[], |anchors| {
        let head = std::fs::read_to_string(anchors.join("head")).unwrap();
        let mut head: Value = serde_json::from_str(&head).unwrap();
        head["sequence"] = json!(head["sequence"].as_i64().unwrap() - 1);
        std::fs::write(anchors.join("head"), head.to_string()).unwrap();
    });
    assert!(matches!(forged.await.as_slice(), [AuditFault::Forged(_), ..]));
    // The chain itself is sound again once every row was dropped and another chain begun, but for its anchors.
    let faults = trail.after_sql("DELETE FROM audit WHERE sequence > 4").await;
    assert!(faults.iter().all(|fault| matches!(fault, AuditFault::Cut(_))) && !faults.is_empty(), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_past_their_retention_go_and_the_rest_stays_proved() {
    let server = server().await;
    let reader = tokens::mint(READER);
    for _ in 0..5 {
        server.get(&reader, "/v1/whoami").await.expect(200);
    }
    let pool = database(&server).await;
    let (total, bound): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT MAX(sequence) FROM audit), at FROM audit ORDER BY sequence DESC LIMIT 1 OFFSET 2",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    pool.close().await;
    let upkeep = Upkeep::begin();
    let removed =
        server.app.store.prune_audit(&upkeep, anamnesis::domain::Timestamp::from_micros(bound)).await.unwrap();
    assert_eq!(removed as i64, total - 3);
    server.get(&reader, "/v1/whoami").await.expect(200);
    let verdict = server.app.store.verify_audit(&upkeep).await.unwrap();
    assert_eq!((verdict.faults, verdict.rows), (vec![], 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn auditors_read_audit_events_and_a_patient_who_saw_them() {
    let server = server().await;
    let id = server.document_with("migraine").await;
    server.get(&tokens::mint(READER), &format!("/v1/documents/{id}")).await.expect(200);
    let page = server.get(&tokens::mint(ADMIN), "/v1/admin/audit?patient=p1").await.expect(200);
    assert_eq!(page.content_type, "application/fhir+json");
    let events = page.json();
    let reads: Vec<&Value> = events["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect();
    let document = reads.iter().find(|event| event["subtype"][0]["code"] == "vread").unwrap();
    assert_eq!(document["agent"][0]["altId"], "dr-grey");
    let named: Vec<String> =
        document["entity"].as_array().unwrap().iter().map(|entity| entity["what"].to_string()).collect();
    assert!(named.iter().any(|what| what.contains(&id)) && named.iter().any(|what| what.contains("Patient/p1")));
    // The search that found the note named no patient, but her note left.
    assert!(reads.iter().any(|event| event["subtype"][0]["code"] == "search-type"));
    assert!(!page.text().contains("migraine") && !page.text().contains("Ruiz"));

    let own = tokens::for_patient("p1", "patient/*.rs");
    let report = server.get(&own, "/v1/patients/p1/access-report").await.expect(200).json();
    let seen: Vec<String> = report["accesses"].as_array().unwrap().iter().map(|access| text(&access["what"])).collect();
    assert!(seen.contains(&"document".to_owned()) && seen.contains(&"search".to_owned()), "{seen:?}");
    let other = tokens::for_patient("p2", "patient/*.rs");
    server.get(&other, "/v1/patients/p1/access-report").await.problem(404, "not_found");
    server.get(&tokens::mint(READER), "/v1/patients/p1/access-report").await.problem(404, "not_found");
}
