//! Erasing a patient: hidden on the next request, then no byte of them is left.

use std::path::Path;

use serde_json::{Value, json};

use crate::builders::{bundle, condition, labelled, medication, note, observation, patient, said_at};
use crate::harness::{FHIR, NDJSON, Server, text};
use crate::tokens::{self, ADMIN, READER};

/// Words of the erased patient alone, in every place that a record has.
const CANARIES: [&str; 8] = [
    "Zebrafinchley",
    "quokkaword",
    "tamarinword",
    "okapiword",
    "axolotlword",
    "narwhalword",
    "pangolinword",
    "kakapoword",
];

fn hers() -> Vec<Value> {
    vec![
        patient("erased-1", "Quilla", "Zebrafinchley"),
        note("n1", "erased-1", "PLAN\nShe mentions the quokkaword twice: quokkaword."),
        observation("o1", "erased-1", "Tamarinword level", 7.0),
        condition("c1", "erased-1", "Okapiword syndrome"),
        medication("m1", "erased-1", "Axolotlword 5 mg"),
        labelled(note("n2", "erased-1", "Narwhalword, in confidence."), "v3-Confidentiality", "R"),
    ]
}

async fn server() -> Server {
    let server = Server::start().await;
    let mut together = hers();
    together.extend([patient("p2", "Ben", "Okoro"), note("n3", "p2", "Seen for a cough; brother of erased-1.")]);
    server.ingest_fhir(&bundle(&together)).await;
    // An earlier version that was replaced, a record alone, and one that could not be read.
    let changed = said_at(note("n1", "erased-1", "PLAN\nShe mentions the pangolinword."), "2024-05-01T08:00:00Z", "2");
    server.ingest_fhir(&changed).await;
    let broken =
        "{\"resourceType\":\"Observation\",\"subject\":{\"reference\":\"Patient/erased-1\"},\"kakapoword\": \n";
    server.ingest_and_wait(NDJSON, broken).await;
    server
}

/// Files below a folder that hold one of the words, whatever the letters' case.
fn holding(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(holding(&entry.path(), words));
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap().to_ascii_lowercase();
        for word in words {
            let word = word.to_ascii_lowercase();
            if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                found.push(format!("{word} in {}", entry.path().display()));
            }
        }
    }
    found
}

async fn erase(server: &Server, patient: &str) -> Value {
    let admin = tokens::mint(ADMIN);
    let asked = json!({"patient": patient, "reason": "she asked for it"});
    server.post(&admin, "/v1/admin/erasures", &asked).await.expect(202).json()
}

async fn erased(server: &Server, patient: &str) -> Value {
    let id = text(&erase(server, patient).await["id"]);
    let admin = tokens::mint(ADMIN);
    let path = format!("/v1/admin/erasures/{id}");
    server
        .until("the patient is erased", async || {
            let erasure = server.get(&admin, &path).await.expect(200).json();
            (erasure["state"] != "under_way").then_some(erasure)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_an_erased_patient_is_left_under_the_data_folder() {
    let server = server().await;
    let folder = server.app.config.data_dir.clone();
    let other = server.document_with("cough").await;
    // What is compressed doesn't show as bytes, but most of it does: else the scan would prove nothing.
    assert!(holding(&folder, &CANARIES).len() >= CANARIES.len(), "{:?}", holding(&folder, &CANARIES));
    let erasure = erased(&server, "erased-1").await;
    assert_eq!(erasure["state"], "done", "{erasure}");
    let certificate = &erasure["certificate"];
    assert_eq!((&certificate["documents"], &certificate["rewritten"]), (&json!(6), &json!(true)), "{certificate}");
    assert_eq!((&certificate["deliveries_cut"], &certificate["deliveries_emptied"]), (&json!(1), &json!(2)));
    assert_eq!(certificate["signature"].as_str().unwrap().len(), 64);
    assert_eq!(holding(&folder, &CANARIES), Vec::<String>::new());

    // The other patient of the same delivery is as before, to the byte.
    let reader = tokens::mint(READER);
    assert_eq!(server.document_with("cough").await, other);
    let original = server.get(&reader, &format!("/v1/documents/{other}/original")).await.expect(200).json();
    assert_eq!(original["id"], "n3");
    let cleared = tokens::cleared_for(&["R", "V"]);
    for word in CANARIES {
        assert!(server.search(&cleared, &json!({"query": word, "mode": "keyword", "limit": 100})).await.is_empty());
    }
    server.get(&cleared, "/v1/patients/erased-1/context").await.problem(404, "not_found");
    assert!(server.quarantine().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_invisible_from_the_request_after_the_erasure_on() {
    let mut server = Server::idle(|_| {}).await;
    let sender = tokens::mint(tokens::SENDER);
    let sent = server.send(&sender, "ehr", FHIR, bundle(&hers()).to_string()).await.expect(202).json();
    server.begin_work();
    server.wait_for(&sender, &text(&sent["receipt"]), "indexed").await;
    let cleared = tokens::cleared_for(&["R", "V"]);
    let own = tokens::for_patient("erased-1", "patient/*.rs");
    let everything = json!({"query": "quokkaword tamarinword okapiword axolotlword narwhalword", "limit": 100});
    let hits = server.search(&cleared, &everything).await;
    assert!(hits.len() >= 5);
    erase(&server, "erased-1").await;
    for token in [&cleared, &own] {
        assert!(server.search(token, &everything).await.is_empty());
        let answer = server.post(token, "/v1/answer", &json!({"question": "What about the quokkaword?"})).await;
        assert_eq!(answer.expect(200).json()["status"], "abstained");
        let facets = server.post(token, "/v1/facets", &json!({})).await.expect(200).json();
        assert_eq!(facets["documents"], 0, "{facets}");
        assert_eq!(server.get(token, "/v1/patients").await.expect(200).json()["patients"], json!([]));
        server.get(token, "/v1/patients/erased-1/context").await.problem(404, "not_found");
        for hit in &hits {
            for ending in ["", "?version=1", "/original"] {
                let path = format!("/v1/documents/{}{ending}", text(&hit["document"]));
                server.get(token, &path).await.problem(404, "not_found");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_keeps_a_patient_until_it_is_lifted() {
    let server = server().await;
    let admin = tokens::mint(ADMIN);
    let hold = "/v1/admin/legal-holds/erased-1";
    server.put(&admin, hold, &json!({"reason": "a suit"})).await.expect(200);
    let asked = json!({"patient": "erased-1", "reason": "she asked for it"});
    server.post(&admin, "/v1/admin/erasures", &asked).await.problem(409, "legal_hold");
    assert!(!server.found("pangolinword").await.is_empty());
    server.request(reqwest::Method::DELETE, &admin, hold).send().await.unwrap().error_for_status().unwrap();
    server.post(&admin, "/v1/admin/erasures", &asked).await.expect(202);
    assert!(server.found("pangolinword").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_after_an_erasure_is_other_data() {
    let server = server().await;
    erased(&server, "erased-1").await;
    server.ingest_fhir(&note("n9", "erased-1", "A new note, of cassowaryword.")).await;
    assert_eq!(server.found("cassowaryword").await.len(), 1);
}
