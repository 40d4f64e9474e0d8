//! `POST /v1/documents/{id}/similar`.

use serde_json::{Value, json};

use crate::builders::{bundle, labelled, note, observation, patient};
use crate::harness::{Server, text};
use crate::tokens::{self, READER};

/// Short enough to be one chunk of the tests' small model.
const TEXT: &str = "Migraine with aura since youth.";

async fn server() -> Server {
    let server = Server::start().await;
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        patient("p2", "Bo", "Lind"),
        note("n1", "p1", TEXT),
        note("n2", "p1", TEXT),
        note("n3", "p2", TEXT),
        observation("o1", "p1", "Sodium", 139.0),
    ]);
    server.ingest_fhir(&records).await;
    server
}

/// The document of `patient` that says what all say, and what is like it.
async fn similar(server: &Server, token: &str, patient: &str, body: Value) -> (String, Vec<Value>) {
    let query = json!({"query": "migraine aura", "patient": patient, "mode": "keyword"});
    let id = text(&server.search(token, &query).await[0]["document"]);
    let found = server.post(token, &format!("/v1/documents/{id}/similar"), &body).await.expect(200).json();
    assert_eq!(found["document"], json!(id));
    (id, found["similar"].as_array().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_comes_first_and_the_document_itself_never() {
    let server = server().await;
    let (id, found) = similar(&server, &tokens::mint(READER), "p1", json!({})).await;
    assert!(found.len() >= 3 && found.iter().all(|similar| similar["document"] != json!(id)), "{found:?}");
    for copy in &found[..2] {
        assert_eq!((&copy["text"], &copy["kind"]), (&json!(TEXT), &json!("note")));
        assert!(copy["score"].as_f64().unwrap() > 0.999, "{copy}");
    }
    let scores: Vec<f64> = found.iter().map(|similar| similar["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_limit_narrow_and_nonsense_is_refused() {
    let server = server().await;
    let token = tokens::mint(READER);
    let (_, of_other) = similar(&server, &token, "p1", json!({"patient": "p2", "filters": {"kinds": ["note"]}})).await;
    assert_eq!(of_other.iter().map(|similar| &similar["patient"]).collect::<Vec<_>>(), [&json!("p2")]);
    let (id, one) = similar(&server, &token, "p1", json!({"limit": 1})).await;
    assert_eq!(one.len(), 1);
    let path = format!("/v1/documents/{id}/similar");
    server.post(&token, &path, &json!({"limit": 0})).await.problem(400, "limit_out_of_range");
    let turned = json!({"filters": {"from": "2024-01-02", "to": "2024-01-01"}});
    server.post(&token, &path, &turned).await.problem(400, "date_range_reversed");
    server.post(&token, "/v1/documents/none/similar", &json!({})).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_beyond_the_token_is_like_it() {
    let server = server().await;
    let own = tokens::for_patient("p1", "patient/*.rs");
    let (_, before) = similar(&server, &own, "p1", json!({})).await;
    assert!(before.iter().all(|similar| similar["patient"] == "p1"), "{before:?}");
    let hidden = bundle(&[note("n4", "p2", TEXT), labelled(note("n5", "p1", TEXT), "v3-Confidentiality", "R")]);
    server.ingest_fhir(&hidden).await;
    let (_, after) = similar(&server, &own, "p1", json!({})).await;
    let ranking = |found: &[Value]| -> Vec<(Value, Value)> {
        found.iter().map(|similar| (similar["document"].clone(), similar["score"].clone())).collect()
    };
    assert_eq!(ranking(&after), ranking(&before));
}
