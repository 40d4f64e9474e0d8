//! Reindexing.

use serde_json::{Value, json};

use crate::builders::{bundle, note, patient};
use crate::harness::{Server, text};
use crate::tokens::{self, ADMIN};

async fn filled(server: &Server) {
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        note("n1", "p1", "Ana comes for jobword."),
        note("n2", "p2", "Ben comes for jobword."),
    ]);
    server.ingest_fhir(&records).await;
}

async fn ended(server: &Server, id: &str) -> Value {
    let admin = tokens::mint(ADMIN);
    server
        .until("a job ends", async || {
            let job = server.get(&admin, &format!("/v1/admin/jobs/{id}")).await.expect(200).json();
            job["ended_at"].is_string().then_some(job)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_of_a_reindex_reaches_its_end() {
    let server = Server::start().await;
    filled(&server).await;
    let admin = tokens::mint(ADMIN);
    let document = server.found("jobword").await[0].clone();
    for (target, total) in [
        (json!({"scope": "all"}), 3),
        (json!({"scope": "source", "id": "ehr"}), 3),
        (json!({"scope": "source", "id": "nowhere"}), 0),
        (json!({"scope": "patient", "id": "p1"}), 2),
        (json!({"scope": "document", "id": document}), 1),
    ] {
        let queued = server.post(&admin, "/v1/admin/reindex", &target).await.expect(202).json();
        assert_eq!((&queued["state"], &queued["target"]), (&json!("queued"), &target));
        let job = ended(&server, &text(&queued["id"])).await;
        assert_eq!((&job["state"], &job["error"]), (&json!("done"), &Value::Null), "{job}");
        assert_eq!((&job["done"], &job["total"]), (&json!(total), &json!(total)), "{job}");
        assert_eq!(server.found("jobword").await.len(), 2, "after {target}");
    }
    let listed = server.get(&admin, "/v1/admin/jobs").await.expect(200).json();
    let scopes: Vec<&Value> = listed["jobs"].as_array().unwrap().iter().map(|job| &job["target"]["scope"]).collect();
    assert_eq!(scopes, ["document", "patient", "source", "source", "all"], "newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_come_while_the_index_is_built_anew_are_found() {
    let server = Server::start().await;
    filled(&server).await;
    let admin = tokens::mint(ADMIN);
    let before = generation(&server).await;
    let queued = server.post(&admin, "/v1/admin/reindex", &json!({"scope": "all"})).await.expect(202).json();
    server.ingest_fhir(&note("n9", "p1", "This is a laterword.")).await;
    ended(&server, &text(&queued["id"])).await;
    assert_ne!(generation(&server).await, before);
    for (word, documents) in [("jobword", 2), ("laterword", 1)] {
        assert_eq!(server.found(word).await.len(), documents);
    }
}

async fn generation(server: &Server) -> Value {
    let body = json!({"query": "jobword", "explain": true});
    let token = tokens::mint(tokens::READER);
    server.post(&token, "/v1/search", &body).await.expect(200).json()["plan"]["generation"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_cancelled_in_time_changes_nothing() {
    let mut server = Server::idle(|_| {}).await;
    let sender = tokens::mint(tokens::SENDER);
    let upkeep = anamnesis::access::Upkeep::begin();
    let body = note("n1", "p1", "Ana comes for jobword.").to_string();
    server.send(&sender, "ehr", crate::harness::FHIR, body).await.expect(202);
    server.app.ingest.read_next(&upkeep).await.unwrap().unwrap();
    server.app.indexing.run_once(&upkeep, &|_| {}).await.unwrap();
    let before = generation(&server).await;
    let admin = tokens::mint(ADMIN);
    let mut ids = Vec::new();
    for target in [json!({"scope": "all"}), json!({"scope": "patient", "id": "p1"})] {
        let queued = server.post(&admin, "/v1/admin/reindex", &target).await.expect(202).json();
        let path = format!("/v1/admin/jobs/{}/cancel", text(&queued["id"]));
        server.post(&admin, &path, &json!({})).await.expect(200);
        ids.push(text(&queued["id"]));
    }
    server.begin_work();
    for id in ids {
        assert_eq!(ended(&server, &id).await["state"], "cancelled");
        let again = server.post(&admin, &format!("/v1/admin/jobs/{id}/cancel"), &json!({})).await.expect(200).json();
        assert_eq!(again["state"], "cancelled");
    }
    assert_eq!(generation(&server).await, before);
    assert_eq!(server.found("jobword").await.len(), 1);
}
