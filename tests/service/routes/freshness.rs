//! `GET /v1/freshness`.

use serde_json::{Value, json};

use crate::builders::note;
use crate::harness::{FHIR, Server};
use crate::tokens::{self, ADMIN, READER, SENDER};

fn feed<'a>(freshness: &'a Value, name: &str) -> &'a Value {
    freshness["feeds"].as_array().unwrap().iter().find(|feed| feed["source"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_say_when_they_were_heard_from() {
    let server = Server::start().await;
    let token = tokens::mint(READER);
    let before = server.get(&token, "/v1/freshness").await.expect(200).json();
    assert_eq!(before["status"], "stale");
    assert_eq!(before["index"], json!({"watermark": 0, "newest_change": 0, "lag_s": 0}));
    assert_eq!(feed(&before, "ehr")["last_received_at"], Value::Null);
    server.ingest_fhir(&note("n1", "p1", "A note.")).await;
    let after = server.get(&token, "/v1/freshness").await.expect(200).json();
    let ehr = feed(&after, "ehr");
    assert_eq!((&ehr["status"], &ehr["warn_after_s"]), (&json!("fresh"), &json!(3_600)));
    assert_eq!(ehr["newest_source_time"], "2024-03-01T08:00:00Z");
    assert!(ehr["age_s"].as_i64().unwrap() >= 0);
    assert_eq!(after["index"], json!({"watermark": 1, "newest_change": 1, "lag_s": 0}));
    assert_eq!((&after["status"], &feed(&after, "lab")["status"]), (&json!("stale"), &json!("stale")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_behind_until_it_has_caught_up() {
    let mut server = Server::idle(|_| {}).await;
    let sender = tokens::mint(SENDER);
    let upkeep = anamnesis::access::Upkeep::begin();
    server.send(&sender, "ehr", FHIR, note("n1", "p1", "A note.").to_string()).await.expect(202);
    server.app.ingest.read_next(&upkeep).await.unwrap().unwrap();
    let token = tokens::mint(READER);
    let behind = server.get(&token, "/v1/freshness").await.expect(200).json();
    assert_eq!((&behind["index"]["watermark"], &behind["index"]["newest_change"]), (&json!(0), &json!(1)));
    server.begin_work();
    server
        .until("the index has caught up", async || {
            let now = server.get(&token, "/v1/freshness").await.expect(200).json();
            (now["index"]["watermark"] == 1).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_past_its_time_is_aging_or_stale() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let declare = async |warn: u64, error: u64| {
        let body = json!({"patients": "main", "warn_after_s": warn, "error_after_s": error, "mapping": null});
        server.put(&admin, "/v1/admin/sources/ehr", &body).await.expect(200);
    };
    let becomes = async |status: &str| {
        server
            .until(status, async || {
                let now = server.get(&tokens::mint(READER), "/v1/freshness").await.expect(200).json();
                (feed(&now, "ehr")["status"] == status).then_some(())
            })
            .await;
    };
    server.ingest_fhir(&note("n1", "p1", "A note.")).await;
    becomes("fresh").await;
    declare(0, 3_600).await;
    becomes("aging").await;
    declare(0, 0).await;
    becomes("stale").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_has_feeds_of_its_own() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "A note.")).await;
    let theirs = server.get(&tokens::mint_in("south", READER), "/v1/freshness").await.expect(200).json();
    assert_eq!(theirs["feeds"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn change_numbers_are_for_callers_who_take_in_every_patient() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "A note.")).await;
    for token in [tokens::for_patient("p2", "patient/*.rs"), tokens::with_roster(&["p2"])] {
        let freshness = server.get(&token, "/v1/freshness").await.expect(200).json();
        assert_eq!(freshness["index"], json!({"watermark": null, "newest_change": null, "lag_s": 0}));
        let body = json!({"query": "note", "explain": true});
        let found = server.post(&token, "/v1/search", &body).await.expect(200).json();
        assert_eq!(found["plan"]["watermark"], Value::Null);
    }
}
