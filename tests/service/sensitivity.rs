//! Labelled records are not there for callers without the clearance, on every route.

use serde_json::{Value, json};

use crate::builders::{bundle, condition, labelled, note, observation, patient, said_at};
use crate::harness::{Server, text};
use crate::tokens::{self, READER};

const RESTRICTED: &str = "v3-Confidentiality";
const SUBJECT: &str = "v3-ActCode";

/// A record of one patient, of which some is labelled.
async fn server() -> Server {
    let server = Server::start().await;
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        note("open", "p1", "PLAN\nAna comes for plainword."),
        labelled(note("restricted", "p1", "PLAN\nAna comes for restrictedword."), RESTRICTED, "R"),
        labelled(note("psychiatric", "p1", "PLAN\nAna comes for psychiatricword."), SUBJECT, "PSY"),
        labelled(condition("c1", "p1", "Psychiatricword disorder"), SUBJECT, "PSY"),
        labelled(observation("o1", "p1", "Restrictedword level", 3.0), RESTRICTED, "R"),
    ]);
    server.ingest_fhir(&records).await;
    server
}

/// All that a caller can read of the patient, as one text, and the documents found.
async fn all_that_shows(server: &Server, token: &str, ids: &[String]) -> String {
    let mut shown = String::new();
    for mode in ["hybrid", "keyword", "dense"] {
        let query = "plainword restrictedword psychiatricword";
        let search = json!({"query": query, "mode": mode, "limit": 100});
        shown += &server.post(token, "/v1/search", &search).await.expect(200).text();
        let answer = json!({"question": query, "mode": mode});
        shown += &server.post(token, "/v1/answer", &answer).await.expect(200).text();
    }
    shown += &server.get(token, "/v1/patients/p1/context").await.expect(200).text();
    for id in ids {
        for ending in ["", "?version=1", "/original", "/original?version=1"] {
            shown += &server.get(token, &format!("/v1/documents/{id}{ending}")).await.text();
        }
    }
    shown.to_lowercase()
}

async fn ids(server: &Server) -> Vec<String> {
    let all = tokens::cleared_for(&["V", "PSY"]);
    let body = json!({"query": "anything", "mode": "dense", "limit": 100});
    let mut ids: Vec<String> = server.search(&all, &body).await.iter().map(|hit| text(&hit["document"])).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn each_clearance_opens_its_own_records_and_no_others() {
    let server = server().await;
    let ids = ids(&server).await;
    for (codes, restricted, psychiatric) in [
        (&[][..], false, false),
        (&["N"][..], false, false),
        (&["SUD"][..], false, false),
        (&["R"][..], true, false),
        (&["V"][..], true, false),
        (&["PSY"][..], false, true),
        (&["R", "PSY"][..], true, true),
    ] {
        let shown = all_that_shows(&server, &tokens::cleared_for(codes), &ids).await;
        assert!(shown.contains("plainword"));
        assert_eq!(shown.contains("restrictedword"), restricted, "restricted for {codes:?}");
        assert_eq!(shown.contains("psychiatricword"), psychiatric, "psychiatric for {codes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_document_looks_absent() {
    let server = server().await;
    let token = tokens::mint(READER);
    let cleared = tokens::cleared_for(&["R"]);
    let body = json!({"query": "restrictedword", "mode": "keyword"});
    let hit = server.search(&cleared, &body).await[0].clone();
    let id = text(&hit["document"]);
    for ending in ["", "?version=1", "/original"] {
        let hidden = server.get(&token, &format!("/v1/documents/{id}{ending}")).await;
        let absent = server.get(&token, &format!("/v1/documents/{}{ending}", "0".repeat(32))).await;
        assert_eq!(hidden.text(), absent.text());
        hidden.problem(404, "not_found");
    }
    let explained = json!({"query": "restrictedword", "explain": true, "limit": 100});
    let open = server.post(&token, "/v1/search", &explained).await.json();
    let cleared = server.post(&cleared, "/v1/search", &explained).await.json();
    assert!(open["plan"]["chunks_in_scope"].as_u64() < cleared["plan"]["chunks_in_scope"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_put_on_later_hides_the_earlier_version_too() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "Ana mentions laterword.")).await;
    let id = server.document_with("laterword").await;
    let token = tokens::mint(READER);
    server.get(&token, &format!("/v1/documents/{id}?version=1")).await.expect(200);
    let hidden = labelled(note("n1", "p1", "Ana mentions laterword."), RESTRICTED, "R");
    server.ingest_fhir(&said_at(hidden, "2024-03-02T08:00:00Z", "2")).await;
    for ending in ["", "?version=1", "?version=2", "/original", "/original?version=1"] {
        server.get(&token, &format!("/v1/documents/{id}{ending}")).await.problem(404, "not_found");
    }
    assert!(server.found("laterword").await.is_empty());
    let cleared = tokens::cleared_for(&["R"]);
    server.get(&cleared, &format!("/v1/documents/{id}?version=1")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_patient_is_not_listed() {
    let server = Server::start().await;
    let records = bundle(&[patient("p1", "Ana", "Ruiz"), labelled(patient("p2", "Ben", "Hidden"), RESTRICTED, "V")]);
    server.ingest_fhir(&records).await;
    let names = async |token: &str| {
        let listed = server.get(token, "/v1/patients").await.expect(200).json();
        listed["patients"].as_array().unwrap().iter().map(|patient| patient["name"].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(names(&tokens::mint(READER)).await, ["Ana Ruiz"]);
    assert_eq!(names(&tokens::cleared_for(&["V"])).await, ["Ana Ruiz", "Ben Hidden"]);
    server.get(&tokens::mint(READER), "/v1/patients/p2/context").await.problem(404, "not_found");
}
