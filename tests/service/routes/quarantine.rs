//! Quarantine: listing, bytes, replay.

use serde_json::{Value, json};

use crate::builders::{CRM, call, crm_source};
use crate::harness::{NDJSON, Server, text};
use crate::tokens::{self, ADMIN};

async fn replay(server: &Server, id: &str) -> Value {
    let path = format!("/v1/admin/quarantine/{id}/replay");
    server.post(&tokens::mint(ADMIN), &path, &json!({})).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn held_records_are_listed_page_by_page() {
    let server = Server::start().await;
    let receipt = server.ingest_and_wait(NDJSON, "{\n[\n{}\n{\"resourceType\":\"Horoscope\"}\n").await;
    let all = server.quarantine().await;
    let reasons: Vec<&Value> = all.iter().map(|item| &item["reason"]).collect();
    assert_eq!(reasons, ["malformed_json", "malformed_json", "not_fhir", "unknown_resource"]);
    for (ordinal, item) in all.iter().enumerate() {
        assert_eq!((&item["ordinal"], &item["receipt"]), (&json!(ordinal), &receipt["receipt"]));
        assert_eq!((&item["state"], &item["source"]), (&json!("held"), &json!("ehr")));
    }
    let admin = tokens::mint(ADMIN);
    let first = server.get(&admin, "/v1/admin/quarantine?limit=3").await.expect(200).json();
    let cursor = text(&first["next"]);
    let second = server.get(&admin, &format!("/v1/admin/quarantine?limit=3&cursor={cursor}")).await.expect(200).json();
    assert_eq!(json!(all[..3]), first["items"]);
    assert_eq!((&json!(all[3..]), &Value::Null), (&second["items"], &second["next"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_cannot_be_read_stays_held() {
    let server = Server::start().await;
    server.ingest_and_wait(NDJSON, "{\"broken\":\n").await;
    let item = server.quarantine().await[0].clone();
    let reply = replay(&server, &text(&item["id"])).await;
    assert_eq!(reply, json!({"state": "held", "reason": "malformed_json"}));
    assert_eq!(server.quarantine().await, [item]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_can_be_read_once_its_mapping_is_right() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("wrong_field")).await.expect(200);
    let rows = json!({"records": [call("k1", "p1", "firstrow", ""), call("k2", "p1", "secondrow", "")]});
    let receipt = server.ingest_into("crm", CRM, rows.to_string()).await;
    assert_eq!(receipt["account"]["quarantined"], json!({"unmapped": 2}));
    assert!(server.found("firstrow").await.is_empty());
    let held = server.quarantine().await;
    let early = replay(&server, &text(&held[0]["id"])).await;
    assert_eq!(early, json!({"state": "held", "reason": "unmapped"}));
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let reply = replay(&server, &text(&held[0]["id"])).await;
    assert_eq!(reply, json!({"state": "replayed", "reason": null}));
    server.until("the row is found", async || (server.found("firstrow").await.len() == 1).then_some(())).await;
    assert!(server.found("secondrow").await.is_empty());
    let states: Vec<Value> = server.quarantine().await.iter().map(|item| item["state"].clone()).collect();
    assert_eq!(states, ["replayed", "held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_held_whole_comes_apart_into_all_its_records() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let mut wrong = crm_source("id");
    wrong["mapping"]["records"] = json!("/elsewhere");
    server.put(&admin, "/v1/admin/sources/crm", &wrong).await.expect(200);
    let rows = json!({"records": [
        {"id": ""}, call("k1", "p1", "firstrow", ""), call("k2", "p1", "secondrow", ""), {"id": "k3"},
    ]});
    server.ingest_into("crm", CRM, rows.to_string()).await;
    let held = server.quarantine().await;
    assert_eq!(held.len(), 1);
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let reply = replay(&server, &text(&held[0]["id"])).await;
    assert_eq!(reply["state"], "held", "its first record can't be read");
    for word in ["firstrow", "secondrow"] {
        server.until(word, async || (server.found(word).await.len() == 1).then_some(())).await;
    }
    let left = server.quarantine().await;
    let ordinals: Vec<&Value> = left.iter().map(|item| &item["ordinal"]).collect();
    assert_eq!(ordinals, [0, 3]);
    let path = format!("/v1/admin/quarantine/{}/bytes", text(&left[0]["id"]));
    assert_eq!(server.get(&admin, &path).await.expect(200).text(), "{\"id\":\"\"}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replay_changes_nothing() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("wrong_field")).await.expect(200);
    let rows = json!({"records": [call("k1", "p1", "firstrow", "")]});
    server.ingest_into("crm", CRM, rows.to_string()).await;
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let id = text(&server.quarantine().await[0]["id"]);
    replay(&server, &id).await;
    server.until("the row is found", async || (server.found("firstrow").await.len() == 1).then_some(())).await;
    let reply = replay(&server, &id).await;
    assert_eq!(reply, json!({"state": "replayed", "reason": null}));
    let document = server.document_with("firstrow").await;
    let path = format!("/v1/documents/{document}");
    let document = server.get(&tokens::mint(tokens::READER), &path).await.expect(200).json();
    assert_eq!(document["version"], 1);
}
