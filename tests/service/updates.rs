//! New versions, withdrawals, repeats: what callers see of them, and when.

use serde_json::{Value, json};

use crate::builders::{CRM, bundle, call, condition, crm_source, deletion, note, notes, patient, said_at};
use crate::harness::{FHIR, Server, TEXT, text};
use crate::tokens::{self, ADMIN, READER, SENDER};

fn count(receipt: &Value, name: &str) -> u64 {
    receipt["account"][name].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_replaces_the_old_one_in_search() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "She takes formerdrug.")).await;
    let id = server.document_with("formerdrug").await;
    let newer = said_at(note("n1", "p1", "She takes latterdrug."), "2024-03-02T08:00:00Z", "2");
    server.ingest_fhir(&newer).await;
    assert!(server.found("formerdrug").await.is_empty());
    assert_eq!(server.document_with("latterdrug").await, id);
    let token = tokens::mint(READER);
    let latest = server.get(&token, &format!("/v1/documents/{id}")).await.expect(200).json();
    assert_eq!((&latest["version"], &latest["latest"]), (&json!(2), &json!(true)));
    let first = server.get(&token, &format!("/v1/documents/{id}?version=1")).await.expect(200).json();
    assert_eq!((&first["version"], &first["latest"]), (&json!(1), &json!(false)));
    assert_eq!(first["text"], "She takes formerdrug.");
    let answer = json!({"question": "What does she take?"});
    let answer = server.post(&token, "/v1/answer", &answer).await.expect(200).text();
    assert!(answer.contains("latterdrug") && !answer.contains("formerdrug"));
}

/// A withdrawn record is gone once the store has it, whatever the index still holds.
async fn withdrawn_before_indexing(withdrawal: Value) {
    let mut server = Server::idle(|_| {}).await;
    let sender = tokens::mint(SENDER);
    let upkeep = anamnesis::access::Upkeep::begin();
    server
        .send(&sender, "ehr", FHIR, bundle(&[note("n1", "p1", "She keeps a goneword.")]).to_string())
        .await
        .expect(202);
    server.app.ingest.read_next(&upkeep).await.unwrap().unwrap();
    server.app.indexing.run_once(&upkeep, &|_| {}).await.unwrap();
    let id = server.document_with("goneword").await;
    let sent = server.send(&sender, "ehr", FHIR, withdrawal.to_string()).await.expect(202).json();
    server.app.ingest.read_next(&upkeep).await.unwrap().unwrap();
    let receipt = server.get(&sender, &format!("/v1/receipts/{}", text(&sent["receipt"]))).await.json();
    assert_eq!(receipt["state"], "normalized", "the index must not have it yet");
    let token = tokens::mint(READER);
    for mode in ["hybrid", "keyword", "dense"] {
        let body = json!({"query": "She keeps a goneword", "mode": mode});
        assert!(server.search(&token, &body).await.is_empty(), "{mode}");
        let body = json!({"question": "What does she keep?", "mode": mode});
        let answer = server.post(&token, "/v1/answer", &body).await.expect(200).json();
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("abstained"), &json!("no_evidence")));
    }
    for ending in ["", "?version=1", "?version=2", "/original", "/original?version=1"] {
        server.get(&token, &format!("/v1/documents/{id}{ending}")).await.problem(404, "not_found");
    }
    assert_eq!(server.post(&token, "/v1/facets", &json!({})).await.expect(200).json()["documents"], 0);
    server.begin_work();
    server.wait_for(&sender, &text(&sent["receipt"]), "indexed").await;
    assert!(server.found("goneword").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_record_is_gone_before_the_index_knows() {
    withdrawn_before_indexing(deletion(&["DocumentReference/n1"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_entered_in_error_is_gone_before_the_index_knows() {
    let mut record = said_at(note("n1", "p1", "She keeps a goneword."), "2024-03-02T08:00:00Z", "2");
    record["status"] = json!("entered-in-error");
    withdrawn_before_indexing(record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_counts_as_removed_and_empties_the_context() {
    let server = Server::start().await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), condition("c1", "p1", "Migraine")])).await;
    let token = tokens::mint(READER);
    let problems = async || server.get(&token, "/v1/patients/p1/context").await.expect(200).json()["problems"].clone();
    assert_eq!(problems().await.as_array().unwrap().len(), 1);
    let receipt = server.ingest_fhir(&deletion(&["Condition/c1"])).await;
    assert_eq!((count(&receipt, "records"), count(&receipt, "removed")), (1, 1));
    assert_eq!(problems().await, json!([]));
    let again = server.ingest_fhir(&deletion(&["Condition/c1"])).await;
    assert_eq!(again["change"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_bytes_of_a_deleted_record_stay_deleted_and_a_newer_version_brings_it_back() {
    let server = Server::start().await;
    let held = said_at(note("n1", "p1", "She keeps a goneword."), "2024-03-01T08:00:00Z", "1");
    server.ingest_fhir(&held).await;
    server.ingest_fhir(&deletion(&["DocumentReference/n1"])).await;
    let again = server.ingest_fhir(&held).await;
    assert_eq!(count(&again, "stale"), 1);
    assert!(server.found("goneword").await.is_empty());
    server.ingest_fhir(&said_at(note("n1", "p1", "A goneword once more."), "2024-03-02T08:00:00Z", "2")).await;
    assert_eq!(server.found("goneword").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_comes_late_changes_nothing() {
    let server = Server::start().await;
    let newer = said_at(note("n1", "p1", "She takes latterdrug."), "2024-03-02T08:00:00Z", "2");
    server.ingest_fhir(&newer).await;
    let receipt = server.ingest_fhir(&note("n1", "p1", "She takes formerdrug.")).await;
    assert_eq!((count(&receipt, "stale"), count(&receipt, "stored")), (1, 0));
    assert_eq!(receipt["change"], Value::Null);
    assert!(server.found("formerdrug").await.is_empty());
    assert_eq!(server.found("latterdrug").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_delivery_twice_changes_nothing() {
    let server = Server::start().await;
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        notes("n1", "p1", &["One sameword here.", "Two sameword there."]),
        condition("c1", "p1", "Sameword fever"),
    ]);
    let first = server.ingest_fhir(&records).await;
    let token = tokens::mint(READER);
    let body = json!({"query": "sameword", "mode": "keyword", "limit": 100});
    let places = async || {
        let hits = server.search(&token, &body).await;
        hits.iter()
            .map(|hit| (hit["document"].clone(), hit["version"].clone(), hit["chunk"].clone()))
            .collect::<Vec<_>>()
    };
    let before = places().await;
    assert_eq!((count(&first, "stored"), count(&first, "documents")), (3, 4));
    let second = server.ingest_fhir(&records).await;
    assert_ne!(first["receipt"], second["receipt"]);
    assert_eq!((count(&second, "records"), count(&second, "unchanged")), (3, 3));
    assert_eq!(second["change"], Value::Null);
    assert_eq!(places().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_is_gone_takes_its_document_along() {
    let server = Server::start().await;
    server.ingest_fhir(&notes("n1", "p1", &["The firstpart stays.", "The secondpart goes."])).await;
    let second = server.document_with("secondpart").await;
    let fewer = said_at(notes("n1", "p1", &["The firstpart stays."]), "2024-03-02T08:00:00Z", "2");
    server.ingest_fhir(&fewer).await;
    assert_eq!(server.found("firstpart").await.len(), 1);
    assert!(server.found("secondpart").await.is_empty());
    server.get(&tokens::mint(READER), &format!("/v1/documents/{second}")).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_goes_also_when_the_rest_is_as_it_was() {
    let server = Server::start().await;
    server.ingest_fhir(&notes("n1", "p1", &["The firstpart stays.", "The secondpart goes."])).await;
    let receipt = server.ingest_fhir(&notes("n1", "p1", &["The firstpart stays."])).await;
    assert_eq!(count(&receipt, "stored"), 1);
    assert_eq!(server.found("firstpart").await.len(), 1);
    assert!(server.found("secondpart").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_with_fewer_attachments_takes_nothing_away() {
    let server = Server::start().await;
    let whole = notes("n1", "p1", &["The firstpart stays.", "The secondpart stays."]);
    server.ingest_fhir(&said_at(whole, "2024-03-02T08:00:00Z", "2")).await;
    let receipt = server.ingest_fhir(&notes("n1", "p1", &["The firstpart stays."])).await;
    assert_eq!(count(&receipt, "stale"), 1);
    assert_eq!(server.found("secondpart").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_in_a_key_of_a_crm_makes_no_parts() {
    let server = Server::start().await;
    server.put(&tokens::mint(ADMIN), "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let send = async |id: &str, subject: &str| {
        let rows = json!({"records": [call(id, "p1", subject, "")]});
        server.ingest_into("crm", CRM, rows.to_string()).await
    };
    send("case", "firstcase").await;
    send("case#1", "secondcase").await;
    send("case#2", "thirdcase").await;
    send("case", "fourthcase").await;
    for word in ["secondcase", "thirdcase", "fourthcase"] {
        assert_eq!(server.found(word).await.len(), 1, "{word}");
    }
    assert!(server.found("firstcase").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_replaced_and_removed_by_its_own_key() {
    let server = Server::start().await;
    let note = |text: &str| format!("---\nid: visit-1\npatient: p1\n---\n{text}\n");
    server.ingest_and_wait(TEXT, note("Seen for oldreason.")).await;
    server.ingest_and_wait(TEXT, note("Seen for newreason.")).await;
    assert!(server.found("oldreason").await.is_empty());
    assert_eq!(server.found("newreason").await.len(), 1);
    let gone = "---\nid: visit-1\nstatus: deleted\n---\n";
    let receipt = server.ingest_and_wait(TEXT, gone).await;
    assert_eq!(count(&receipt, "removed"), 1);
    assert!(server.found("newreason").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_moved_to_another_patient_leaves_the_first() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "This is a movedword.")).await;
    server.ingest_fhir(&said_at(note("n1", "p2", "This is a movedword."), "2024-03-02T08:00:00Z", "2")).await;
    let body = json!({"query": "movedword", "mode": "keyword"});
    assert!(server.search(&tokens::for_patient("p1", "patient/*.rs"), &body).await.is_empty());
    assert_eq!(server.search(&tokens::for_patient("p2", "patient/*.rs"), &body).await.len(), 1);
    let id = server.document_with("movedword").await;
    let path = format!("/v1/documents/{id}?version=1");
    server.get(&tokens::for_patient("p2", "patient/*.rs"), &path).await.problem(404, "not_found");
    server.get(&tokens::for_patient("p1", "patient/*.rs"), &path).await.problem(404, "not_found");
}
