//! A caller bound to one patient learns nothing of any other: no word, no count, no score.

use serde_json::{Value, json};

use crate::builders::{
    CRM, allergy, bundle, call, condition, crm_source, encounter, medication, note, notes, observation, patient,
    within_encounter,
};
use crate::harness::{FHIR, NDJSON, Reply, Server, text};
use crate::tokens::{self, ADMIN, READER, SENDER};

/// Words that stand in records of the other patient only, and of the other tenant only.
const MARKERS: [&str; 13] = [
    "zebrafinch",
    "quillon",
    "marrowby",
    "oxbowine",
    "tamarillo",
    "fernwortitis",
    "dulcimerate",
    "gorsepollen",
    "pewtergrass",
    "lanternfish",
    "wickerham",
    "vexillol",
    "southernmark",
];

const OTHER_NOTE: &str = "PLAN\nQuillon keeps a zebrafinch and takes oxbowine for fernwortitis.";

struct Fixture {
    server: Server,
    /// Ids of documents of the other patient.
    others: Vec<String>,
    receipt: String,
    quarantined: String,
    job: String,
}

async fn fixture() -> Fixture {
    let server = Server::start().await;
    let own = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        note("n1", "p1", "PLAN\nAna takes aspirin daily for chest pain."),
        observation("o1", "p1", "Glucose", 90.0),
    ]);
    server.ingest_fhir(&own).await;
    let other = bundle(&[
        patient("p2", "Quillon", "Marrowby"),
        within_encounter(note("n2", "p2", OTHER_NOTE), "pewtergrass"),
        notes("n3", "p2", &["First tamarillo part.", "Second tamarillo part."]),
        observation("o2", "p2", "Vexillol level", 7.0),
        condition("c2", "p2", "Fernwortitis"),
        medication("m2", "p2", "Dulcimerate 5 mg"),
        allergy("a2", "p2", "Gorsepollen"),
        encounter("pewtergrass", "p2", "Wickerham visit"),
    ]);
    let receipt = text(&server.ingest_fhir(&other).await["receipt"]);
    server.ingest_and_wait(NDJSON, "{\"resourceType\":\"Patient\",\"lanternfish\": \n").await;
    let admin = tokens::mint(ADMIN);
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let calls = json!({"records": [call("k2", "p2", "lanternfish delivery", "Quillon asked again.")]});
    server.ingest_into("crm", CRM, calls.to_string()).await;
    in_another_tenant(&server).await;
    let job = server.post(&admin, "/v1/admin/reindex", &json!({"scope": "patient", "id": "p2"})).await.expect(202);
    let everything = json!({"query": "Quillon", "mode": "dense", "patient": "p2", "limit": 100});
    let hits = server.search(&tokens::mint(READER), &everything).await;
    let mut others: Vec<String> = hits.iter().map(|hit| text(&hit["document"])).collect();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 10, "the other patient's documents");
    Fixture {
        others,
        receipt,
        quarantined: text(&server.quarantine().await[0]["id"]),
        job: text(&job.json()["id"]),
        server,
    }
}

/// The same patient id in another organisation.
async fn in_another_tenant(server: &Server) {
    let sender = tokens::mint_in("south", SENDER);
    let declare = json!({"patients": "main", "warn_after_s": 60, "error_after_s": 600, "mapping": null});
    server.put(&tokens::mint_in("south", ADMIN), "/v1/admin/sources/ehr", &declare).await.expect(200);
    let body = bundle(&[
        patient("p1", "Southernmark", "Southernmark"),
        note("s1", "p1", "PLAN\nAna takes southernmark daily for chest pain."),
    ]);
    let sent = server.send(&sender, "ehr", FHIR, body.to_string()).await.expect(202).json();
    server.wait_for(&sender, &text(&sent["receipt"]), "indexed").await;
}

impl Fixture {
    /// Every route that reads, asked for the other patient's things.
    async fn probe(&self, token: &str) -> Vec<(String, Reply)> {
        let mut paths = vec![
            "/v1/patients".to_owned(),
            "/v1/patients?limit=200".to_owned(),
            "/v1/patients?cursor=p1".to_owned(),
            "/v1/patients?cursor=a".to_owned(),
            "/v1/patients/p2/context".to_owned(),
            "/v1/patients/p1/context".to_owned(),
            "/v1/freshness".to_owned(),
            "/v1/whoami".to_owned(),
            format!("/v1/receipts/{}", self.receipt),
            "/v1/admin/sources".to_owned(),
            "/v1/admin/quarantine".to_owned(),
            format!("/v1/admin/quarantine/{}/bytes", self.quarantined),
            "/v1/admin/findings".to_owned(),
            "/v1/admin/audit".to_owned(),
            "/v1/admin/audit?patient=p2".to_owned(),
            "/v1/admin/break-glass".to_owned(),
            "/v1/admin/rosters/dr-grey".to_owned(),
            "/v1/patients/p1/access-report".to_owned(),
            "/v1/patients/p2/access-report".to_owned(),
            "/v1/admin/jobs".to_owned(),
            format!("/v1/admin/jobs/{}", self.job),
        ];
        for id in &self.others {
            for ending in ["", "/original", "?version=1", "/original?version=1", "?version=2"] {
                paths.push(format!("/v1/documents/{id}{ending}"));
            }
        }
        let mut replies = Vec::new();
        for path in paths {
            let reply = self.server.get(token, &path).await;
            replies.push((path, reply));
        }
        for (question, body) in self.questions() {
            let (path, body) = if question { ("/v1/answer", body) } else { ("/v1/search", body) };
            replies.push((format!("{path} {body}"), self.server.post(token, path, &body).await));
            if question {
                let request = self.server.request(reqwest::Method::POST, token, path).json(&body);
                let events = Reply::read(request.header("accept", "text/event-stream")).await;
                replies.push((format!("events of {body}"), events));
            }
        }
        for body in [json!({}), json!({"query": "Quillon"}), json!({"patient": "p2"})] {
            replies.push((format!("facets {body}"), self.server.post(token, "/v1/facets", &body).await));
        }
        for id in &self.others {
            for body in [json!({}), json!({"patient": "p2", "limit": 100})] {
                let path = format!("/v1/documents/{id}/similar");
                replies.push((format!("{path} {body}"), self.server.post(token, &path, &body).await));
            }
        }
        let own = json!({"query": "aspirin", "patient": "p1"});
        for hit in self.server.search(token, &own).await {
            let path = format!("/v1/documents/{}/similar", text(&hit["document"]));
            replies.push((path.clone(), self.server.post(token, &path, &json!({"limit": 100})).await));
        }
        let replay = format!("/v1/admin/quarantine/{}/replay", self.quarantined);
        let cancel = format!("/v1/admin/jobs/{}/cancel", self.job);
        for path in [replay, cancel] {
            let reply = self.server.post(token, &path, &json!({})).await;
            replies.push((path, reply));
        }
        replies
    }

    /// Whether it is a question, and the body: the other's words in each mode, with each filter.
    fn questions(&self) -> Vec<(bool, Value)> {
        let filters = [
            json!({}),
            json!({"kinds": ["note", "patient", "result", "problem", "contact"]}),
            json!({"sections": ["PLAN"]}),
            json!({"sources": ["ehr", "crm"]}),
            json!({"encounter": "Encounter/pewtergrass"}),
            json!({"from": "2000-01-01", "to": "2100-01-01"}),
        ];
        let mut questions = Vec::new();
        for mode in ["hybrid", "keyword", "dense"] {
            for patient in [None, Some("p2"), Some("main:p2")] {
                for filters in &filters {
                    let mut search = json!({
                        "query": OTHER_NOTE, "mode": mode, "limit": 100, "explain": true, "filters": filters,
                    });
                    let mut answer = json!({"question": OTHER_NOTE, "mode": mode, "filters": filters});
                    if let Some(patient) = patient {
                        search["patient"] = json!(patient);
                        answer["patient"] = json!(patient);
                    }
                    questions.push((false, search));
                    questions.push((true, answer));
                }
            }
        }
        questions
    }
}

/// The question itself is never sent back, so a marker in a reply came from the other's record.
fn assert_silent(asked: &str, reply: &Reply) {
    let body = reply.text().to_lowercase();
    for marker in MARKERS {
        assert!(!body.contains(marker), "{marker} shows in the reply to {asked}: {body}");
    }
    for value in reply.headers.values() {
        let value = String::from_utf8_lossy(value.as_bytes()).to_lowercase();
        assert!(MARKERS.iter().all(|marker| !value.contains(marker)), "a header of the reply to {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reply_holds_a_word_of_another_patient() {
    let fixture = fixture().await;
    // The probe can see the markers when it may: else silence would prove nothing.
    let user = fixture.probe(&tokens::mint(&format!("{READER} {ADMIN}"))).await;
    let seen: String = user.iter().map(|(_, reply)| reply.text().to_lowercase()).collect();
    for marker in MARKERS.iter().filter(|marker| **marker != "southernmark") {
        assert!(seen.contains(marker), "{marker} is nowhere in the record");
    }
    assert!(!seen.contains("southernmark"), "a word of another tenant");
    for token in [tokens::for_patient("p1", "patient/*.rs"), tokens::with_roster(&["p1"])] {
        for (asked, reply) in fixture.probe(&token).await {
            assert_silent(&asked, &reply);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_patient_looks_like_nobody() {
    let fixture = fixture().await;
    let token = tokens::for_patient("p1", "patient/*.rs");
    let server = &fixture.server;
    let nobody = "00000000000000000000000000000000";
    let mut pairs = vec![
        ("/v1/patients/p2/context".to_owned(), "/v1/patients/p999/context".to_owned()),
        (format!("/v1/receipts/{}", fixture.receipt), format!("/v1/receipts/{nobody}")),
        (format!("/v1/admin/quarantine/{}/bytes", fixture.quarantined), format!("/v1/admin/quarantine/{nobody}/bytes")),
        (format!("/v1/admin/jobs/{}", fixture.job), format!("/v1/admin/jobs/{nobody}")),
    ];
    for id in &fixture.others {
        for ending in ["", "/original", "?version=1", "/original?version=1", "?version=9"] {
            pairs.push((format!("/v1/documents/{id}{ending}"), format!("/v1/documents/{nobody}{ending}")));
        }
    }
    for (theirs, absent) in pairs {
        let (theirs_reply, absent_reply) = (server.get(&token, &theirs).await, server.get(&token, &absent).await);
        assert_eq!(theirs_reply.status, absent_reply.status, "{theirs}");
        assert_eq!(theirs_reply.text(), absent_reply.text(), "{theirs}");
        assert_eq!(shape(&theirs_reply), shape(&absent_reply), "{theirs}");
    }
    for id in &fixture.others {
        let theirs = server.post(&token, &format!("/v1/documents/{id}/similar"), &json!({})).await;
        let absent = server.post(&token, &format!("/v1/documents/{nobody}/similar"), &json!({})).await;
        assert_eq!((theirs.status, theirs.text(), shape(&theirs)), (absent.status, absent.text(), shape(&absent)));
    }
    for mode in ["hybrid", "keyword", "dense"] {
        for path in ["/v1/search", "/v1/answer"] {
            let ask = |patient: &str| match path {
                "/v1/search" => json!({"query": OTHER_NOTE, "mode": mode, "patient": patient, "explain": true}),
                _ => json!({"question": OTHER_NOTE, "mode": mode, "patient": patient}),
            };
            let (theirs, absent) = (ask("p2"), ask("p999"));
            let theirs = server.post(&token, path, &theirs).await.expect(200);
            let absent = server.post(&token, path, &absent).await.expect(200);
            assert_eq!(without_clock(&theirs.text()), without_clock(&absent.text()), "{mode} {path}");
        }
    }
}

/// A reply byte for byte, but for the seconds that a feed has been silent: they may pass between two replies.
fn without_clock(reply: &str) -> String {
    let mut parts = reply.split("\"age_s\":");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole += part.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    whole
}

/// Names of the headers, and their values but for those that differ by nature.
fn shape(reply: &Reply) -> Vec<(String, String)> {
    let mut shape: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    shape.sort();
    shape
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_counts_own_chunks_only() {
    let fixture = fixture().await;
    let all = json!({"query": "anything", "mode": "dense", "patient": "p1", "limit": 100});
    let own = fixture.server.search(&tokens::mint(READER), &all).await.len();
    for token in [tokens::for_patient("p1", "patient/*.rs"), tokens::with_roster(&["p1"])] {
        for mode in ["hybrid", "keyword", "dense"] {
            let body = json!({"query": OTHER_NOTE, "mode": mode, "limit": 100, "explain": true});
            let found = fixture.server.post(&token, "/v1/search", &body).await.expect(200).json();
            assert_eq!(found["plan"]["chunks_in_scope"], own, "{mode}");
            let patients: Vec<&Value> = found["hits"].as_array().unwrap().iter().map(|hit| &hit["patient"]).collect();
            assert!(patients.iter().all(|patient| **patient == "p1"), "{mode}: {patients:?}");
            let theirs = json!({"query": OTHER_NOTE, "mode": mode, "patient": "p2", "explain": true});
            let found = fixture.server.post(&token, "/v1/search", &theirs).await.expect(200).json();
            assert_eq!((&found["plan"]["chunks_in_scope"], &found["hits"]), (&json!(0), &json!([])));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_patients_holds_the_patient_alone() {
    let fixture = fixture().await;
    let token = tokens::for_patient("p1", "patient/*.rs");
    let listed = fixture.server.get(&token, "/v1/patients?limit=1").await.expect(200).json();
    assert_eq!(listed["patients"].as_array().unwrap().len(), 1);
    assert_eq!(listed["patients"][0]["id"], "p1");
    let rest = fixture.server.get(&token, "/v1/patients?limit=1&cursor=p1").await.expect(200).json();
    assert_eq!(rest, json!({"patients": [], "next": null}));
}

/// What a search says of its hits, without the words that tell the time of day.
fn ranking(found: &Value) -> Value {
    let mut hits = found["hits"].clone();
    for hit in hits.as_array_mut().unwrap() {
        for name in ["age", "age_s"] {
            hit.as_object_mut().unwrap().remove(name);
        }
    }
    json!([hits, found["plan"]["chunks_in_scope"], found["plan"]["dense"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_others_change_neither_scores_nor_order() {
    let server = Server::start().await;
    let texts = [
        "Chest pain since the morning, aspirin given.",
        "No chest pain. No fever. Takes aspirin daily.",
        "Fever for three days, no pain, paracetamol taken.",
        "The patient has pain in the chest and takes aspirin, aspirin and again aspirin.",
    ];
    let own: Vec<Value> =
        texts.iter().enumerate().map(|(number, text)| note(&format!("n{number}"), "p1", text)).collect();
    server.ingest_fhir(&bundle(&own)).await;
    let token = tokens::for_patient("p1", "patient/*.rs");
    let ask = async |mode: &str| {
        let body = json!({"query": "chest pain aspirin fever", "mode": mode, "limit": 50, "explain": true});
        ranking(&server.post(&token, "/v1/search", &body).await.expect(200).json())
    };
    let mut before = Vec::new();
    for mode in ["hybrid", "keyword", "dense"] {
        before.push(ask(mode).await);
    }
    assert!(before[0][0].as_array().unwrap().len() >= 4);
    let others: Vec<Value> = (0..30)
        .map(|number| note(&format!("x{number}"), "p2", &format!("Aspirin for chest pain and fever, day {number}.")))
        .collect();
    server.ingest_fhir(&bundle(&others)).await;
    for (mode, before) in ["hybrid", "keyword", "dense"].into_iter().zip(&before) {
        assert_eq!(ask(mode).await, *before, "{mode}");
    }
    // A reader of both sees the difference, so the same words do weigh differently there.
    assert_eq!(server.found("aspirin").await.len(), 33);
}
