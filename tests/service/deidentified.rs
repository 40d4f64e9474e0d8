//! A client that is de-identified: no route says who anybody is, what it gets can be used again, and what no route was
//! taught to hide is refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anamnesis::access::TokenGrant;
use anamnesis::app::{App, StartError};
use anamnesis::config::{ClientConfig, Config};
use anamnesis::http::openapi_document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, TEXT, at_span, text};
use crate::tokens::{self, ADMIN, READER, SENDER};

const KEY: &[u8] = b"what surrogates are made with, longer than 32 bytes";
const PATIENTS: [&str; 2] = ["alvarez", "rossi"];
/// Operations that a de-identified client has; it is refused every other.
const TAUGHT: [(&str, &str); 9] = [
    ("post", "/v1/search"),
    ("post", "/v1/answer"),
    ("post", "/v1/facets"),
    ("get", "/v1/patients"),
    ("get", "/v1/patients/{id}/context"),
    ("get", "/v1/documents/{id}"),
    ("post", "/v1/documents/{id}/similar"),
    ("get", "/v1/freshness"),
    ("get", "/v1/whoami"),
];

struct Fixture {
    server: Server,
    /// Strings of the demo records by which a person may be known.
    identifiers: BTreeSet<String>,
    /// A document of a patient, as readers of everything know it.
    note: String,
    _secrets: tempfile::TempDir,
}

fn secrets(name: &str, secret: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), secret).unwrap();
    folder
}

fn deidentifies(config: &mut Config, secrets: &Path) {
    config.secrets_dir = Some(secrets.to_owned());
    config.access.deidentify_key = Some("deidentify".to_owned());
    config.clients = vec![ClientConfig { id: "research".to_owned(), deidentify: true, ..ClientConfig::default() }];
}

fn demo() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/hospital"))
}

impl Fixture {
    async fn new() -> Self {
        let secrets = secrets("deidentify", KEY);
        let server = Server::with(|config| deidentifies(config, secrets.path())).await;
        let mut identifiers = BTreeSet::new();
        for name in PATIENTS {
            let record = std::fs::read_to_string(demo().join(format!("fhir/{name}.json"))).unwrap();
            let record: Value = serde_json::from_str(&record).unwrap();
            gather(&record, &mut identifiers);
            server.ingest_fhir(&record).await;
        }
        for note in std::fs::read_dir(demo().join("notes")).unwrap() {
            let path = note.unwrap().path();
            if PATIENTS.iter().any(|name| path.file_name().unwrap().to_str().unwrap().starts_with(name)) {
                server.ingest_into("lab", TEXT, std::fs::read(path).unwrap()).await;
            }
        }
        let query = json!({"query": "nephrology consultation metformin", "patient": "p-alvarez", "limit": 1,
            "filters": {"kinds": ["note"]}});
        let note = text(&server.search(&tokens::mint(READER), &query).await[0]["document"]);
        Self { server, identifiers, note, _secrets: secrets }
    }

    #[track_caller]
    fn assert_silent(&self, asked: &str, reply: &Reply) {
        let body = reply.text().to_lowercase();
        for identifier in &self.identifiers {
            assert!(
                !holds(&body, identifier),
                "{identifier} shows in the reply to {asked}: {}",
                around(&body, identifier)
            );
        }
    }
}

/// As a word of its own, so that `ana` isn't seen in `management`.
fn holds(body: &str, identifier: &str) -> bool {
    body.match_indices(identifier).any(|(at, _)| {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        is_edge(body[..at].chars().next_back()) && is_edge(body[at + identifier.len()..].chars().next())
    })
}

fn around(body: &str, identifier: &str) -> String {
    let at = body.find(identifier).unwrap_or(0);
    body.chars().skip(body[..at].chars().count().saturating_sub(80)).take(200).collect()
}

/// Names, addresses, numbers and ids of people, wherever FHIR keeps them.
fn gather(record: &Value, found: &mut BTreeSet<String>) {
    let mut take = |value: &Value| {
        if let Some(text) = value.as_str().filter(|text| text.len() > 2) {
            found.insert(text.to_lowercase());
        }
    };
    for entry in record["entry"].as_array().unwrap() {
        let resource = &entry["resource"];
        let kind = resource["resourceType"].as_str().unwrap();
        if matches!(kind, "Patient" | "RelatedPerson") {
            for name in resource["name"].as_array().into_iter().flatten() {
                take(&name["family"]);
                name["given"].as_array().into_iter().flatten().for_each(&mut take);
            }
            for place in resource["address"].as_array().into_iter().flatten() {
                place["line"].as_array().into_iter().flatten().for_each(&mut take);
                take(&place["city"]);
                take(&place["postalCode"]);
            }
            for held in resource["telecom"].as_array().into_iter().chain(resource["identifier"].as_array()).flatten() {
                take(&held["value"]);
            }
            take(&resource["birthDate"]);
        }
        take(&resource["id"]);
        if kind == "Encounter" {
            for part in resource["participant"].as_array().into_iter().flatten() {
                let name = part["individual"]["display"].as_str().unwrap_or_default();
                name.split(' ').next_back().into_iter().for_each(|family| take(&json!(family)));
            }
        }
    }
}

fn researcher() -> String {
    researcher_with(&format!("{READER} system/*.rs {SENDER} {ADMIN}"))
}

fn researcher_with(scopes: &str) -> String {
    tokens::sign(&TokenGrant { client: Some("research".to_owned()), ..tokens::grant("north", scopes) })
}

async fn start_with(change: impl FnOnce(&mut Config)) -> Result<(), StartError> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    change(&mut config);
    let embedder = crate::harness::embedder();
    App::start(config, embedder).await.map(|app| drop(Arc::new(app)))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_it_does_not_start() {
    let empty = tempfile::tempdir().unwrap();
    let short = secrets("deidentify", b"too short");
    let whole = secrets("deidentify", KEY);
    for (folder, names_key, starts) in [
        (empty.path(), false, false),
        (empty.path(), true, false),
        (short.path(), true, false),
        (whole.path(), true, true),
    ] {
        let started = start_with(|config| {
            deidentifies(config, folder);
            if !names_key {
                config.access.deidentify_key = None;
            }
        })
        .await;
        assert_eq!(started.is_ok(), starts, "{:?}", started.err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reply_says_who_anybody_is_and_what_is_not_taught_is_refused() {
    let fixture = Fixture::new().await;
    let (server, token) = (&fixture.server, researcher());
    // The same routes show the identifiers to others: else silence would prove nothing.
    let open = server.get(&tokens::mint(READER), "/v1/patients").await.expect(200).text().to_lowercase();
    assert!(holds(&open, "alvarez") && fixture.identifiers.len() > 20, "{:?}", fixture.identifiers);
    let listed = server.get(&token, "/v1/patients").await.expect(200).json();
    let patients: Vec<String> =
        listed["patients"].as_array().unwrap().iter().map(|patient| text(&patient["id"])).collect();
    assert_eq!(patients.len(), PATIENTS.len());
    let everything = json!({"query": "the patient takes metformin", "mode": "dense", "limit": 100, "explain": true,
        "neighbours": 2});
    let hits = server.search(&token, &everything).await;
    assert!(hits.len() > 20);
    let documents: BTreeSet<String> = hits.iter().map(|hit| text(&hit["document"])).collect();
    let api = serde_json::to_value(openapi_document()).unwrap();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] != json!([{"bearer": []}]) {
                continue;
            }
            let is_taught = TAUGHT.contains(&(method, path));
            let ids: Vec<&String> = match path.as_str() {
                path if path.starts_with("/v1/patients") => patients.iter().collect(),
                _ => documents.iter().collect(),
            };
            let ids = if path.contains('{') && is_taught { ids } else { ids.into_iter().take(1).collect() };
            for id in ids {
                for body in bodies(path, &patients) {
                    let reply = ask(server, &token, method, path, id, &body).await;
                    fixture.assert_silent(&format!("{method} {path} {body}"), &reply);
                    match is_taught {
                        true => drop(reply.expect(200)),
                        false => drop(reply.problem(403, "deidentified_only")),
                    }
                }
            }
        }
    }
}

/// What a route is asked with.
fn bodies(path: &str, patients: &[String]) -> Vec<Value> {
    const QUESTIONS: [&str; 6] = [
        "Why was metformin stopped?",
        "What is the latest creatinine?",
        "What is the name, address and phone of the patient?",
        "Who is the daughter and where does she live?",
        "When was the patient born?",
        "Which medications does she take?",
    ];
    match path {
        "/v1/search" => QUESTIONS
            .iter()
            .flat_map(|query| [("keyword", *query), ("hybrid", *query)])
            .map(|(mode, query)| json!({"query": query, "mode": mode, "limit": 50, "neighbours": 1}))
            .collect(),
        "/v1/answer" => patients
            .iter()
            .flat_map(|patient| QUESTIONS.map(|question| json!({"question": question, "patient": patient})))
            .collect(),
        "/v1/facets" => vec![json!({}), json!({"query": "metformin", "patient": patients[0]})],
        "/v1/documents/{id}/similar" => vec![json!({"limit": 20})],
        _ => vec![Value::Null],
    }
}

async fn ask(server: &Server, token: &str, method: &str, path: &str, id: &str, body: &Value) -> Reply {
    let names = ["{id}", "{source}", "{caller}", "{patient}", "{type}"];
    let path = names.iter().fold(path.to_owned(), |path, name| path.replace(name, id));
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = server.request(method, token, &path);
    Reply::read(if body.is_null() { request } else { request.json(body) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_open_what_they_name_and_ids_open_nothing() {
    let fixture = Fixture::new().await;
    let (server, token) = (&fixture.server, researcher());
    let query = json!({"query": "nephrology consultation metformin", "limit": 1, "filters": {"kinds": ["note"]}});
    let hit = server.search(&token, &query).await.remove(0);
    let patient = text(&hit["patient"]);
    assert!(patient.len() >= 64 && hit["encounter"].as_str().is_none_or(|name| !name.contains('/')));
    let mut narrowed = query.clone();
    narrowed["patient"] = json!(patient);
    assert_eq!(server.search(&token, &narrowed).await[0]["document"], hit["document"]);
    server.get(&token, &format!("/v1/patients/{patient}/context")).await.expect(200);
    server.get(&token, &format!("/v1/documents/{}", text(&hit["document"]))).await.expect(200);
    // Ids themselves, other sorts' names and other callers' worlds.
    for path in ["/v1/patients/p-alvarez/context", &format!("/v1/patients/{}/context", text(&hit["document"]))] {
        server.get(&token, path).await.problem(404, "not_found");
    }
    server.get(&token, &format!("/v1/documents/{}", fixture.note)).await.problem(404, "not_found");
    server
        .get(&tokens::mint(READER), &format!("/v1/documents/{}", text(&hit["document"])))
        .await
        .problem(404, "not_found");
    narrowed["patient"] = json!("p-alvarez");
    assert!(server.search(&token, &narrowed).await.is_empty());
    // A launch is told by the pseudonym, too.
    let launch = tokens::sign(&TokenGrant {
        client: Some("research".to_owned()),
        patient: Some(anamnesis::domain::PatientId::new("p-alvarez")),
        ..tokens::grant("north", "patient/*.rs")
    });
    let whoami = server.get(&launch, "/v1/whoami").await.expect(200).json();
    assert_eq!((whoami["patient"].as_str(), &whoami["deidentified"]), (Some(patient.as_str()), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_stand_in_the_document_that_is_shown_and_times_keep_their_distance() {
    let fixture = Fixture::new().await;
    let (server, token) = (&fixture.server, researcher());
    let open = json!({"query": "metformin", "mode": "keyword", "patient": "p-alvarez", "limit": 50});
    let plain = server.search(&tokens::mint(READER), &open).await;
    let mut masked = open.clone();
    masked["patient"] =
        server.search(&token, &json!({"query": "nephrology metformin", "limit": 1})).await[0]["patient"].clone();
    let hidden = server.search(&token, &masked).await;
    assert_eq!(plain.len(), hidden.len());
    let shifts: BTreeSet<i64> = plain
        .iter()
        .zip(&hidden)
        .filter_map(|(plain, hidden)| {
            let at =
                |hit: &Value| hit["times"]["effective"].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap());
            Some((at(plain)?.as_second() - at(hidden)?.as_second()) / 86_400)
        })
        .collect();
    assert_eq!(shifts.len(), 1, "{shifts:?}");
    assert!((1..=365).contains(shifts.first().unwrap()));
    let mut marked = 0;
    for hit in &hidden {
        let path = format!("/v1/documents/{}", text(&hit["document"]));
        let whole = text(&server.get(&token, &path).await.expect(200).json()["text"]);
        assert_eq!(at_span(&whole, &hit["span"]), text(&hit["text"]));
        for span in hit["highlights"].as_array().unwrap() {
            assert!(!at_span(&whole, span).contains(['[', ']']), "a highlight tells what a mark hides");
            marked += usize::from(at_span(&whole, span).to_lowercase().contains("metformin"));
        }
    }
    assert!(marked > 0);
    for question in ["Why was metformin stopped?", "What is the latest creatinine?"] {
        let ask = json!({"question": question, "patient": masked["patient"]});
        let answer = server.post(&token, "/v1/answer", &ask).await.expect(200).json();
        let citations = answer["citations"].as_array().unwrap();
        assert!(!citations.is_empty(), "{answer}");
        for citation in citations {
            let path = format!("/v1/documents/{}", text(&citation["document"]));
            let document = server.get(&token, &path).await.expect(200).json();
            assert_eq!(at_span(&text(&document["text"]), &citation["span"]), text(&citation["quote"]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_finds_nobody_and_times_are_asked_of_one_patient_only() {
    let fixture = Fixture::new().await;
    let (server, token) = (&fixture.server, researcher());
    for name in ["Alvarez", "ana lucia alvarez", "218 Cooper Street", "March 14, 1958", "Moorcroft"] {
        server.post(&token, "/v1/search", &json!({"query": name})).await.problem(400, "query_identifies");
        server.post(&token, "/v1/facets", &json!({"query": name})).await.problem(400, "query_identifies");
    }
    let of = async |query: &str| {
        let hits = server.search(&token, &json!({"query": query, "limit": 100})).await;
        hits.iter().map(|hit| (text(&hit["document"]), hit["score"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!(of("metformin Alvarez").await, of("metformin").await);
    assert_eq!(of("metformin alvarez moorcroft").await, of("metformin").await);
    let since = json!({"query": "metformin", "filters": {"from": "2025-01-01"}});
    server.post(&token, "/v1/search", &since).await.problem(403, "deidentified_only");
    server.post(&token, "/v1/facets", &json!({"facets": ["year"]})).await.problem(403, "deidentified_only");
    // Of one patient, bounds are taken as the caller sees the times.
    let hits = server.search(&token, &json!({"query": "metformin", "mode": "keyword", "limit": 20})).await;
    let hit = hits.iter().find(|hit| hit["times"]["effective"].is_string()).unwrap();
    let day = &text(&hit["times"]["effective"])[..10];
    let on_the_day = json!({"query": "metformin", "mode": "keyword", "patient": hit["patient"], "limit": 100,
        "filters": {"from": day, "to": day}});
    let found = server.search(&token, &on_the_day).await;
    assert!(found.iter().any(|found| found["document"] == hit["document"]));
    assert!(found.iter().all(|found| text(&found["times"]["effective"]).starts_with(day)), "{found:?}");
}
