//! `GET /v1/patients`.

use serde_json::{Value, json};

use crate::builders::{bundle, note, patient};
use crate::harness::{FHIR, Server};
use crate::tokens::{self, READER};

async fn listed(server: &Server, token: &str, query: &str) -> Value {
    server.get(token, &format!("/v1/patients{query}")).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_listed_with_name_birth_date_and_sex() {
    let server = Server::start().await;
    let bare = json!({"resourceType": "Patient", "id": "p2"});
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), bare, note("n3", "p3", "No demographics.")])).await;
    let all = listed(&server, &tokens::mint(READER), "").await;
    let first = json!({"id": "p1", "name": "Ana Ruiz", "birth_date": "1970-02-03", "sex": "female"});
    assert_eq!(all["patients"][0], first);
    assert_eq!(all["patients"][1]["id"], "p2");
    assert_eq!((&all["patients"][1]["birth_date"], &all["patients"][1]["sex"]), (&Value::Null, &Value::Null));
    assert_eq!(all["patients"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gaps_or_repeats() {
    let server = Server::start().await;
    let many: Vec<Value> = (10..17).map(|n| patient(&format!("p{n}"), &format!("Name{n}"), "Ruiz")).collect();
    server.ingest_fhir(&bundle(&many)).await;
    // The same patient in another feed is still one patient.
    server.ingest_into("lab", FHIR, patient("p11", "Name11", "Ruiz").to_string()).await;
    let token = tokens::mint(READER);
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = listed(&server, &token, &query).await;
        let patients = page["patients"].as_array().unwrap();
        assert!(patients.len() <= 3);
        seen.extend(patients.iter().map(|patient| patient["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=3&cursor={next}");
        assert!(seen.len() <= 7, "pages repeat: {seen:?}");
    }
    assert_eq!(seen, (10..17).map(|n| format!("p{n}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_and_the_types_of_a_token_bound_the_list() {
    let server = Server::start().await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), patient("p2", "Ben", "Okoro")])).await;
    let ids = async |token: String| {
        let all = listed(&server, &token, "").await;
        all["patients"].as_array().unwrap().iter().map(|patient| patient["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(tokens::mint(READER)).await, ["p1", "p2"]);
    assert_eq!(ids(tokens::with_roster(&["p2"])).await, ["p2"]);
    assert!(ids(tokens::with_roster(&[])).await.is_empty());
    assert!(ids(tokens::mint("user/Observation.rs")).await.is_empty());
    assert_eq!(ids(tokens::mint("system/Patient.rs")).await, ["p1", "p2"]);
    assert!(ids(tokens::mint("patient/*.rs")).await.is_empty(), "a launch scope without a patient");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_taken_back_is_not_listed() {
    let server = Server::start().await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), patient("p2", "Ben", "Okoro")])).await;
    server.ingest_fhir(&crate::builders::deletion(&["Patient/p1"])).await;
    let all = listed(&server, &tokens::mint(READER), "").await;
    assert_eq!(all["patients"].as_array().unwrap().len(), 1);
    assert_eq!(all["patients"][0]["id"], "p2");
}
