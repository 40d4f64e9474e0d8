//! Two worlds that differ only in what a caller may not see look the same to that caller, to the byte; and what bounds
//! a caller counts from the next request on, in whatever order it changes.

use std::collections::BTreeSet;

use anamnesis::access::TokenGrant;
use anamnesis::domain::{PatientId, TenantId};
use regex::Regex;
use serde_json::{Value, json};

use crate::builders::{allergy, bundle, condition, labelled, medication, note, observation, patient, said_at};
use crate::harness::{Reply, Server, text};
use crate::tokens::{self, ADMIN, SENDER};

/// Interleavings of changes and requests; `ANAMNESIS_INTERLEAVINGS` sets another number.
const INTERLEAVINGS: usize = 250;

fn shared() -> Vec<Value> {
    vec![
        patient("p1", "Ana", "Ruiz"),
        note("n1", "p1", "PLAN\nAspirin for chest pain.\nReview the rash in two weeks."),
        note("n2", "p1", "Fever and cough since Monday; paracetamol given."),
        observation("o1", "p1", "Glucose", 90.0),
        condition("c1", "p1", "Asthma"),
        medication("m1", "p1", "Salbutamol inhaler"),
        allergy("a1", "p1", "Penicillin"),
    ]
}

/// What only one of the worlds holds: other patients, and of this one what is labelled.
fn hidden() -> Vec<Value> {
    let mut hidden = vec![
        labelled(note("n8", "p1", "Aspirin, chest pain and fever, in confidence."), "v3-Confidentiality", "R"),
        labelled(condition("c8", "p1", "Chest pain disorder"), "v3-ActCode", "PSY"),
        labelled(observation("o8", "p1", "Fever level", 7.0), "v3-ActCode", "HIV"),
    ];
    for number in 2..12 {
        let id = format!("p{number}");
        hidden.push(patient(&id, "Ben", "Okoro"));
        hidden.push(note(&format!("x{number}"), &id, "Aspirin for chest pain, fever and cough; rash reviewed."));
        hidden.push(medication(&format!("y{number}"), &id, "Salbutamol inhaler"));
    }
    hidden
}

async fn world(with_hidden: bool) -> Server {
    let server = Server::start().await;
    server.ingest_fhir(&bundle(&shared())).await;
    if with_hidden {
        server.ingest_fhir(&bundle(&hidden())).await;
    }
    server
}

/// What differs between any two servers: clocks, request ids, the generation's name.
fn without_clocks(text: &str, patterns: &[(Regex, &str)]) -> String {
    patterns.iter().fold(text.to_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_changes_no_byte_of_any_reply() {
    let (plain, full) = (world(false).await, world(true).await);
    let patterns = [
        (Regex::new(r#""(received|received_at|last_received_at)":"[^"]*""#).unwrap(), ""),
        (Regex::new(r#""age(_s)?":("[^"]*"|\d+|null)"#).unwrap(), ""),
        (Regex::new(r#""generation":"[^"]*""#).unwrap(), ""),
        (Regex::new(r#""at":"[^"]*""#).unwrap(), ""),
    ];
    let callers = [
        tokens::for_patient("p1", "patient/*.rs"),
        tokens::with_roster(&["p1"]),
        tokens::for_patient("p1", "patient/DocumentReference.rs patient/Patient.rs"),
    ];
    let all = json!({"query": "anything", "mode": "dense", "limit": 100});
    let ids: BTreeSet<String> = full
        .search(&tokens::cleared_for(&["V", "PSY", "HIV"]), &all)
        .await
        .iter()
        .map(|hit| text(&hit["document"]))
        .collect();
    assert!(ids.len() > 30);
    let mut gets: Vec<String> =
        ["/v1/patients", "/v1/whoami", "/v1/freshness", "/v1/admin/jobs", "/v1/admin/audit"].map(str::to_owned).into();
    for id in ["p1", "p2", "p11", "p99"] {
        gets.push(format!("/v1/patients/{id}/context"));
    }
    for id in &ids {
        gets.extend(["", "/original", "?version=1"].map(|ending| format!("/v1/documents/{id}{ending}")));
    }
    let mut posts = vec![("/v1/facets", json!({})), ("/v1/facets", json!({"query": "fever"}))];
    for words in ["aspirin chest pain", "fever", "salbutamol", "Why was she seen?", "rash"] {
        for mode in ["hybrid", "keyword", "dense"] {
            posts.push(("/v1/search", json!({"query": words, "mode": mode, "limit": 100, "explain": true})));
            posts.push(("/v1/answer", json!({"question": words, "mode": mode})));
        }
    }
    for token in &callers {
        let mut pairs = Vec::new();
        for path in &gets {
            pairs.push((path.clone(), plain.get(token, path).await, full.get(token, path).await));
        }
        for (path, body) in &posts {
            pairs.push((
                format!("{path} {body}"),
                plain.post(token, path, body).await,
                full.post(token, path, body).await,
            ));
        }
        for (asked, left, right) in pairs {
            assert_eq!(left.status, right.status, "{asked}");
            let (left, right) = (without_clocks(&left.text(), &patterns), without_clocks(&right.text(), &patterns));
            assert_eq!(left, right, "{asked}");
        }
    }
}

/// What the model knows of the one patient and the one caller.
struct Model {
    listed: bool,
    labelled: bool,
    denied: bool,
    issued: u32,
    revoked: bool,
}

impl Model {
    fn sees(&self) -> bool {
        self.listed && !self.labelled && !self.denied
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_labels_consents_and_revocations_count_from_the_next_request_on() {
    let server = Server::start().await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", "Ana mentions walrusword.")])).await;
    let steps =
        std::env::var("ANAMNESIS_INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(INTERLEAVINGS);
    let (admin, sender) = (
        tokens::sign(&TokenGrant::new("admin", TenantId::new("north"), ADMIN)),
        tokens::sign(&TokenGrant::new("sender", TenantId::new("north"), SENDER)),
    );
    let id = server.document_with("walrusword").await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut model = Model { listed: true, labelled: false, denied: false, issued: 0, revoked: false };
    let mut token = of_caller(0);
    let mut seen = 0;
    for step in 0..steps {
        let version = step + 2;
        let time = format!("2025-01-01T{:02}:{:02}:{:02}Z", version / 3600 % 24, version / 60 % 60, version % 60);
        match random.u32(..5) {
            0 => {
                model.listed = random.bool();
                let patients = if model.listed { json!(["p1"]) } else { json!([]) };
                server
                    .put(&admin, &format!("/v1/admin/rosters/{}", name(model.issued)), &json!({"patients": patients}))
                    .await
                    .expect(200);
            }
            1 => {
                model.labelled = random.bool();
                let record = note("n1", "p1", "Ana mentions walrusword.");
                let record = if model.labelled { labelled(record, "v3-ActCode", "PSY") } else { record };
                take_in(&server, &sender, &said_at(record, &time, &version.to_string())).await;
            }
            2 => {
                model.denied = random.bool();
                let provision = if model.denied { json!({"type": "deny"}) } else { json!({"type": "permit"}) };
                let consent = json!({"resourceType": "Consent", "id": "k1", "status": "active", "provision": provision,
                    "patient": {"reference": "Patient/p1"}, "meta": {}});
                take_in(&server, &sender, &said_at(consent, &time, &version.to_string())).await;
            }
            3 => {
                server.post(&admin, "/v1/admin/revocations", &json!({"caller": name(model.issued)})).await.expect(204);
                model.revoked = true;
            }
            _ if model.revoked => {
                // Another person, with a token and, until one is loaded, no list.
                model = Model { listed: true, revoked: false, issued: model.issued + 1, ..model };
                token = of_caller(model.issued);
            }
            _ => {}
        }
        let reply = server.get(&token, &format!("/v1/documents/{id}")).await;
        let expected = match (model.revoked, model.sees()) {
            (true, _) => 401,
            (false, true) => 200,
            (false, false) => 404,
        };
        assert_eq!(reply.status, expected, "step {step}");
        let body = json!({"query": "walrusword", "mode": "keyword"});
        let found = server.post(&token, "/v1/search", &body).await;
        assert!(model.sees() && !model.revoked || !found.text().contains("Ana mentions"), "step {step}");
        seen += usize::from(expected == 200);
    }
    assert!(seen > steps / 20, "{seen} of {steps}");
}

fn name(issued: u32) -> String {
    format!("dr-{issued}")
}

fn of_caller(issued: u32) -> String {
    let grant = TokenGrant::new(name(issued), TenantId::new("north"), "user/*.rs");
    tokens::sign(&TokenGrant { patients: Some(vec![PatientId::new("p1")]), ..grant })
}

/// Sends a record and waits until it was read: from then on it counts.
async fn take_in(server: &Server, sender: &str, record: &Value) {
    let sent: Reply = server.send(sender, "ehr", crate::harness::FHIR, record.to_string()).await;
    let receipt = text(&sent.expect(202).json()["receipt"]);
    server.wait_for(sender, &receipt, "normalized").await;
}
