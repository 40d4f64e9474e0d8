//! Two worlds that differ only in what a caller may not see look the same to that caller, to the byte; and what bounds
//! a caller counts from the next request on, in whatever order it changes.

use std::collections::BTreeSet;

use anamnesis::access::TokenGrant;
use anamnesis::domain::{PatientId, TenantId};
use anamnesis::http::openapi_document;
use regex::Regex;
use reqwest::Method;
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

/// One request that is made in both worlds.
struct Asked {
    template: &'static str,
    path: String,
    body: Option<Value>,
    events: bool,
}

impl Asked {
    fn get(template: &'static str, id: &str) -> Self {
        Self { template, path: template.replace("{id}", id), body: None, events: false }
    }

    fn post(template: &'static str, id: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::get(template, id) }
    }

    async fn of(&self, server: &Server, token: &str) -> Reply {
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        let mut request = server.request(method, token, &self.path);
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        if self.events {
            request = request.header("accept", "text/event-stream");
        }
        Reply::read(request).await
    }
}

/// Every route that reads, for each of the records and more.
fn requests(documents: &BTreeSet<String>) -> Vec<Asked> {
    let plain = ["/v1/patients", "/v1/whoami", "/v1/freshness"];
    let admin = [
        "/v1/admin/sources",
        "/v1/admin/quarantine",
        "/v1/admin/quarantine/{id}/bytes",
        "/v1/admin/findings",
        "/v1/admin/jobs",
        "/v1/admin/jobs/{id}",
        "/v1/admin/rosters/{caller}",
        "/v1/admin/break-glass",
        "/v1/admin/audit",
        "/v1/admin/erasures/{id}",
        "/v1/receipts/{id}",
    ];
    let open =
        ["/health/live", "/health/ready", "/.well-known/smart-configuration", "/.well-known/oauth-protected-resource"];
    let mut asked: Vec<Asked> =
        plain.into_iter().chain(admin).chain(open).map(|template| Asked::get(template, "none")).collect();
    for id in ["p1", "p2", "p11", "p99"] {
        asked.push(Asked::get("/v1/patients/{id}/context", id));
        asked.push(Asked::get("/v1/patients/{id}/access-report", id));
    }
    for id in documents {
        for template in ["/v1/documents/{id}", "/v1/documents/{id}/original"] {
            asked.push(Asked::get(template, id));
            let mut dated = Asked::get(template, id);
            dated.path += "?version=1";
            asked.push(dated);
        }
        asked.push(Asked::post("/v1/documents/{id}/similar", id, json!({"limit": 100})));
    }
    for patient in ["p1", "p99"] {
        let asked_for = json!({"patient": patient, "purpose": "ETREAT", "reason": "collapsed at the door"});
        asked.push(Asked::post("/v1/break-glass", "", asked_for));
    }
    for filters in [json!({}), json!({"kinds": ["note"]}), json!({"from": "2024-02-01"})] {
        for query in ["", "fever"] {
            asked.push(Asked::post("/v1/facets", "", json!({"query": query, "filters": filters})));
        }
        for words in ["aspirin chest pain", "fever", "salbutamol", "Why was she seen?", "rash"] {
            for mode in ["hybrid", "keyword", "dense"] {
                let search = json!({"query": words, "mode": mode, "limit": 100, "explain": true, "filters": filters});
                asked.push(Asked::post("/v1/search", "", search));
                let answer = json!({"question": words, "mode": mode, "filters": filters});
                asked.push(Asked::post("/v1/answer", "", answer.clone()));
                asked.push(Asked { events: true, ..Asked::post("/v1/answer", "", answer) });
            }
        }
    }
    asked
}

/// Paths of the API document that are read: by GET, or said to be.
fn documented() -> BTreeSet<String> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let is_read = |item: &Value| item.get("get").is_some() || item["post"]["tags"] == json!(["read"]);
    paths.iter().filter(|(_, item)| is_read(item)).map(|(path, _)| path.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_changes_no_byte_of_any_reply() {
    let (plain, full, looked_at) = (world(false).await, world(true).await, world(true).await);
    let patterns = [
        (Regex::new(r#""(received|received_at|last_received_at)":"[^"]*""#).unwrap(), ""),
        (Regex::new(r#""age(_s)?":("[^"]*"|\d+|null)"#).unwrap(), ""),
        (Regex::new(r#""generation":"[^"]*""#).unwrap(), ""),
        (Regex::new(r#""at":"[^"]*""#).unwrap(), ""),
        (Regex::new(r#""(grant|expires_at)":"[^"]*""#).unwrap(), ""),
    ];
    let callers = [
        tokens::for_patient("p1", "patient/*.rs"),
        tokens::with_roster(&["p1"]),
        tokens::for_patient("p1", "patient/DocumentReference.rs patient/Patient.rs"),
    ];
    // Ids are made of the sources' own, so those of a third world are those of the full one; looking there is on no
    // report of who saw what.
    let all = json!({"query": "anything", "mode": "dense", "limit": 100});
    let cleared = tokens::cleared_for(&["V", "PSY", "HIV"]);
    let ids: BTreeSet<String> =
        looked_at.search(&cleared, &all).await.iter().map(|hit| text(&hit["document"])).collect();
    assert!(ids.len() > 30);
    let requests = requests(&ids);
    let asked: BTreeSet<String> = requests.iter().map(|asked| asked.template.to_owned()).collect();
    assert_eq!(asked, documented(), "a route that reads is left out");
    for token in &callers {
        for asked in &requests {
            let (left, right) = (asked.of(&plain, token).await, asked.of(&full, token).await);
            let told = format!("{} {:?}", asked.path, asked.body);
            assert_eq!(left.status, right.status, "{told}");
            let (left, right) = (without_clocks(&left.text(), &patterns), without_clocks(&right.text(), &patterns));
            assert_eq!(left, right, "{told}");
        }
    }
}

/// What the model knows of the one patient and the one caller.
struct Model {
    listed: bool,
    in_team: bool,
    labelled: bool,
    denied: bool,
    issued: u32,
    revoked: bool,
}

impl Model {
    fn sees(&self) -> bool {
        (self.listed || self.in_team) && !self.labelled && !self.denied
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_teams_labels_consents_and_revocations_count_from_the_next_request_on() {
    let server = Server::with(|config| config.access.care_team_sources = vec!["ehr".to_owned()]).await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", "Ana mentions walrusword.")])).await;
    let steps =
        std::env::var("ANAMNESIS_INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(INTERLEAVINGS);
    let (admin, sender) = (
        tokens::sign(&TokenGrant::new("admin", TenantId::new("north"), ADMIN)),
        tokens::sign(&TokenGrant::new("sender", TenantId::new("north"), SENDER)),
    );
    let all = tokens::mint("system/*.rs");
    let hits = server.search(&all, &json!({"query": "walrusword", "mode": "keyword"})).await;
    let id = text(&hits[0]["document"]);
    let mut random = fastrand::Rng::with_seed(7);
    let mut model = Model { listed: false, in_team: false, labelled: false, denied: false, issued: 0, revoked: false };
    let mut token = of_caller(0);
    let mut seen = 0;
    for step in 0..steps {
        let version = step + 2;
        let time = format!("2025-01-01T{:02}:{:02}:{:02}Z", version / 3600 % 24, version / 60 % 60, version % 60);
        match random.u32(..6) {
            0 => {
                model.listed = random.bool();
                let patients = if model.listed { json!(["p1"]) } else { json!([]) };
                server
                    .put(&admin, &format!("/v1/admin/rosters/{}", name(model.issued)), &json!({"patients": patients}))
                    .await
                    .expect(200);
            }
            1 => {
                model.labelled = random.f32() < 0.3;
                let record = note("n1", "p1", "Ana mentions walrusword.");
                let record = if model.labelled { labelled(record, "v3-ActCode", "PSY") } else { record };
                take_in(&server, &sender, &said_at(record, &time, &version.to_string())).await;
            }
            2 => {
                model.denied = random.f32() < 0.3;
                let provision = if model.denied { json!({"type": "deny"}) } else { json!({"type": "permit"}) };
                let consent = json!({"resourceType": "Consent", "id": "k1", "status": "active", "provision": provision,
                    "patient": {"reference": "Patient/p1"}, "meta": {}});
                take_in(&server, &sender, &said_at(consent, &time, &version.to_string())).await;
            }
            3 => {
                model.in_team = random.bool();
                let member =
                    if model.in_team { format!("Practitioner/{}", model.issued) } else { "Practitioner/x".to_owned() };
                let team = json!({"resourceType": "CareTeam", "id": "t1", "status": "active", "meta": {},
                    "subject": {"reference": "Patient/p1"}, "participant": [{"member": {"reference": member}}]});
                take_in(&server, &sender, &said_at(team, &time, &version.to_string())).await;
            }
            4 => {
                server.post(&admin, "/v1/admin/revocations", &json!({"caller": name(model.issued)})).await.expect(204);
                model.revoked = true;
            }
            _ if model.revoked => {
                // Another person, on no list and in no team yet.
                model = Model { listed: false, in_team: false, revoked: false, issued: model.issued + 1, ..model };
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
    assert!(seen > steps / 40, "{seen} of {steps}");
    println!("{steps} changes, each seen by the next request; {seen} times the record showed");
}

fn name(issued: u32) -> String {
    format!("dr-{issued}")
}

fn of_caller(issued: u32) -> String {
    let grant = TokenGrant::new(name(issued), TenantId::new("north"), "user/*.rs");
    let fhir_user = Some(format!("https://ehr.example/fhir/Practitioner/{issued}"));
    tokens::sign(&TokenGrant { patients: Some(vec![PatientId::new("p1")]), fhir_user, ..grant })
}

/// Sends a record and waits until it was read: from then on it counts.
async fn take_in(server: &Server, sender: &str, record: &Value) {
    let sent: Reply = server.send(sender, "ehr", crate::harness::FHIR, record.to_string()).await;
    let receipt = text(&sent.expect(202).json()["receipt"]);
    server.wait_for(sender, &receipt, "normalized").await;
}
