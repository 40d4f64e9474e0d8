//! Sending records and following their receipts.

use serde_json::{Value, json};

use crate::builders::{bundle, note, patient};
use crate::harness::{FHIR, Server, TEXT, text};
use crate::tokens::{self, SENDER};

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_goes_from_landed_over_normalized_to_indexed() {
    let mut server = Server::idle(|_| {}).await;
    let sender = tokens::mint(SENDER);
    let upkeep = anamnesis::access::Upkeep::begin();
    let body = bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", "A note.")]).to_string();
    let sent = server.send(&sender, "ehr", FHIR, body).await.expect(202).json();
    assert_eq!(sent["state"], "landed");
    let path = format!("/v1/receipts/{}", text(&sent["receipt"]));
    let landed = server.get(&sender, &path).await.expect(200).json();
    assert_eq!(
        (&landed["state"], &landed["change"], &landed["account"]),
        (&json!("landed"), &Value::Null, &Value::Null)
    );
    assert_eq!((&landed["source"], &landed["receipt"]), (&json!("ehr"), &sent["receipt"]));
    server.app.ingest.read_next(&upkeep).await.unwrap().unwrap();
    let normalized = server.get(&sender, &path).await.expect(200).json();
    assert_eq!((&normalized["state"], &normalized["change"]), (&json!("normalized"), &json!(2)));
    server.begin_work();
    let indexed = server.wait_for(&sender, &text(&sent["receipt"]), "indexed").await;
    let account = &indexed["account"];
    for (name, count) in [("records", 2), ("stored", 2), ("documents", 2), ("unchanged", 0), ("removed", 0)] {
        assert_eq!(account[name], count, "{name}");
    }
    assert_eq!((&account["carrying_nothing"], &account["quarantined"]), (&json!({}), &json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_a_delivery_is_accounted_for() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "Same.")).await;
    let mut body = bundle(&[
        note("n1", "p1", "Same."),
        note("n2", "p1", "New."),
        json!({"resourceType": "Organization", "id": "o1", "name": "A clinic"}),
        json!({"resourceType": "Horoscope"}),
    ]);
    let gone = json!({"request": {"method": "DELETE", "url": "DocumentReference/n9"}});
    body["entry"].as_array_mut().unwrap().push(gone);
    let account = server.ingest_fhir(&body).await["account"].clone();
    for (name, count) in [("records", 5), ("stored", 1), ("unchanged", 2), ("removed", 0)] {
        assert_eq!(account[name], count, "{name}: {account}");
    }
    assert_eq!(account["carrying_nothing"], json!({"Organization": 1}));
    assert_eq!(account["quarantined"], json!({"unknown_resource": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_parameter_names_a_note() {
    let server = Server::start().await;
    let sender = tokens::mint(SENDER);
    for words in ["Seen for oldreason.", "Seen for newreason."] {
        let sent = server.send_to(&sender, "/v1/sources/ehr/records?key=visit-7", TEXT, words).await.expect(202);
        server.wait_for(&sender, &text(&sent.json()["receipt"]), "indexed").await;
    }
    assert!(server.found("oldreason").await.is_empty());
    assert_eq!(server.found("newreason").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_bound_to_sources_reaches_those_alone() {
    let server = Server::start().await;
    let sources = Some(vec![anamnesis::domain::SourceId::new("lab")]);
    let bound = tokens::sign(&anamnesis::access::TokenGrant { sources, ..tokens::grant("north", SENDER) });
    let body = note("n1", "p1", "A note.").to_string();
    server.send(&bound, "ehr", FHIR, body.as_str()).await.problem(403, "scope_missing");
    server.send(&bound, "lab", FHIR, body.as_str()).await.expect(202);
    let elsewhere = server.send(&tokens::mint(SENDER), "ehr", FHIR, body.as_str()).await.expect(202).json();
    let path = format!("/v1/receipts/{}", text(&elsewhere["receipt"]));
    server.get(&bound, &path).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_the_account_and_leaves_nothing() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "Seen for oldreason.")).await;
    let body = bundle(&[
        note("n1", "p1", "Seen for newreason."),
        note("n2", "p1", "Another."),
        json!({"resourceType": "Horoscope"}),
    ]);
    let sender = tokens::mint(SENDER);
    let path = "/v1/sources/ehr/records?dry_run=true";
    let told = server.send_to(&sender, path, FHIR, body.to_string()).await.expect(200).json();
    assert_eq!(told["dry_run"], true);
    let account = &told["account"];
    for (name, count) in [("records", 3), ("stored", 2), ("added", 1), ("changed", 1), ("documents", 2)] {
        assert_eq!(account[name], count, "{name}: {account}");
    }
    assert_eq!(account["quarantined"], json!({"unknown_resource": 1}));
    assert!(server.found("newreason").await.is_empty());
    assert_eq!(server.found("oldreason").await.len(), 1);
    assert_eq!(server.app.store.newest_change().unwrap(), 1);
    let account = server.ingest_fhir(&body).await["account"].clone();
    assert_eq!((&account["added"], &account["changed"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_asked_to_wait_while_too_much_waits_to_be_read() {
    let server = Server::idle(|config| config.max_backlog_bytes = 1_000).await;
    let sender = tokens::mint(SENDER);
    let body = "word ".repeat(190);
    server.send(&sender, "ehr", TEXT, body.as_str()).await.expect(202);
    let refused = server.send(&sender, "ehr", TEXT, body.as_str()).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(429, "backlog_full");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_is_refused_before_it_is_read() {
    let server = Server::idle(|config| config.max_inflight_bytes = 4_096).await;
    let sender = tokens::mint(SENDER);
    // Larger than all the room: alone it gets in.
    server.send(&sender, "ehr", TEXT, "word ".repeat(2_000)).await.expect(202);
    let room = server.app.ingest.admit(4_096).await.unwrap();
    server.send(&sender, "ehr", TEXT, "word").await.problem(429, "too_much_at_once");
    drop(room);
    server.send(&sender, "ehr", TEXT, "word").await.expect(202);
}
