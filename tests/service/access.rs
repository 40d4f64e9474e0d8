//! Who gets what from every route: a table that must name exactly the routes of the API document.

use std::collections::BTreeSet;

use anamnesis::http::openapi_document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::builders::{bundle, note, observation, patient};
use crate::harness::{FHIR, NDJSON, Reply, Server, text};
use crate::tokens::{self, ADMIN, READER, SENDER};

/// Callers with a good token, in the order of the table's columns.
const CALLERS: [&str; 7] =
    ["everything, in another tenant", "another patient", "the patient", "user", "sender", "admin", "one type"];

/// A route without a token is open to all; else these are what the callers above get. A signed one takes no token.
enum Expected {
    Open,
    /// Open to all, and not there without an issuer that tells of it.
    Unset,
    Signed,
    Status([u16; 7]),
}
use Expected::{Open, Signed, Status, Unset};

const EVERYONE: Expected = Status([200; 7]);
/// Holds nothing of a patient in another tenant; here only for those with the scope.
const ADMIN_LIST: Expected = Status([200, 403, 403, 403, 403, 200, 403]);
const ADMIN_ITEM: Expected = Status([404, 403, 403, 403, 403, 200, 403]);
const BY_SECRET: Expected = Status([401; 7]);
/// The patient's own note: for the patient and for users, not for a token of another type.
const NOTE: Expected = Status([404, 404, 200, 200, 404, 404, 404]);

/// For a user's own token that reads, whatever it reads.
const BY_USER: Expected = Status([200, 403, 403, 200, 403, 403, 200]);
const ADMIN_REMOVAL: Expected = Status([204, 403, 403, 403, 403, 204, 403]);

const TABLE: [(&str, &str, Expected); 42] = [
    ("POST", "/v1/search", EVERYONE),
    ("POST", "/v1/answer", EVERYONE),
    ("POST", "/v1/facets", EVERYONE),
    ("GET", "/v1/patients", EVERYONE),
    ("GET", "/v1/patients/{id}/context", Status([404, 404, 200, 200, 404, 404, 200])),
    ("GET", "/v1/documents/{id}", NOTE),
    ("GET", "/v1/documents/{id}/original", NOTE),
    ("POST", "/v1/documents/{id}/similar", NOTE),
    ("GET", "/v1/freshness", EVERYONE),
    ("GET", "/v1/whoami", EVERYONE),
    ("POST", "/v1/sources/{source}/records", Status([404, 403, 403, 403, 202, 403, 403])),
    ("POST", "/v1/webhooks/{source}", Signed),
    ("GET", "/v1/receipts/{id}", Status([404, 404, 404, 404, 200, 404, 404])),
    // These ask for the secret of a source, which no token is.
    ("POST", "/v1/subscriptions/{source}", BY_SECRET),
    ("PUT", "/v1/subscriptions/{source}/{type}/{id}", BY_SECRET),
    ("DELETE", "/v1/subscriptions/{source}/{type}/{id}", BY_SECRET),
    ("GET", "/v1/admin/sources", ADMIN_LIST),
    ("PUT", "/v1/admin/sources/{source}", ADMIN_LIST),
    ("GET", "/v1/admin/quarantine", ADMIN_LIST),
    ("GET", "/v1/admin/quarantine/{id}/bytes", ADMIN_ITEM),
    ("POST", "/v1/admin/quarantine/{id}/replay", ADMIN_ITEM),
    ("GET", "/v1/admin/findings", ADMIN_LIST),
    ("POST", "/v1/admin/reindex", Status([202, 403, 403, 403, 403, 202, 403])),
    ("GET", "/v1/admin/jobs", ADMIN_LIST),
    ("GET", "/v1/admin/jobs/{id}", ADMIN_ITEM),
    ("POST", "/v1/admin/jobs/{id}/cancel", ADMIN_ITEM),
    ("PUT", "/v1/admin/rosters/{caller}", ADMIN_LIST),
    ("GET", "/v1/admin/rosters/{caller}", ADMIN_LIST),
    ("DELETE", "/v1/admin/rosters/{caller}", ADMIN_REMOVAL),
    ("POST", "/v1/admin/revocations", ADMIN_REMOVAL),
    ("GET", "/v1/admin/break-glass", ADMIN_LIST),
    ("POST", "/v1/break-glass", BY_USER),
    ("GET", "/v1/admin/audit", ADMIN_LIST),
    ("GET", "/v1/patients/{id}/access-report", Status([404, 404, 200, 404, 404, 404, 404])),
    ("POST", "/v1/admin/erasures", Status([202, 403, 403, 403, 403, 202, 403])),
    ("GET", "/v1/admin/erasures/{id}", ADMIN_ITEM),
    ("PUT", "/v1/admin/legal-holds/{patient}", ADMIN_LIST),
    ("DELETE", "/v1/admin/legal-holds/{patient}", ADMIN_REMOVAL),
    ("GET", "/.well-known/smart-configuration", Unset),
    ("GET", "/.well-known/oauth-protected-resource", Unset),
    ("GET", "/health/live", Open),
    ("GET", "/health/ready", Open),
];

/// What the table's `{id}` stands for on each route.
struct Fixture {
    server: Server,
    note: String,
    receipt: String,
    quarantined: String,
    job: String,
    erasure: String,
}

impl Fixture {
    async fn new() -> Self {
        let server = Server::start().await;
        let records = bundle(&[
            patient("p1", "Ana", "Ruiz"),
            note("n1", "p1", "Seen for migraine."),
            observation("o1", "p1", "Glucose", 90.0),
            patient("p2", "Ben", "Okoro"),
            note("n2", "p2", "Seen for a cough."),
        ]);
        let receipt = server.ingest_fhir(&records).await;
        server.ingest_and_wait(NDJSON, "{\"broken\": \n").await;
        let admin = tokens::mint(ADMIN);
        let job = server.post(&admin, "/v1/admin/reindex", &json!({"scope": "all"})).await.expect(202).json();
        let nobody = json!({"patient": "nobody", "reason": "a test"});
        let erasure = server.post(&admin, "/v1/admin/erasures", &nobody).await.expect(202).json();
        Self {
            erasure: text(&erasure["id"]),
            note: server.document_with("migraine").await,
            receipt: text(&receipt["receipt"]),
            quarantined: text(&server.quarantine().await[0]["id"]),
            job: text(&job["id"]),
            server,
        }
    }

    fn path(&self, template: &str) -> String {
        let id = match template {
            path if path.starts_with("/v1/patients") => "p1",
            path if path.starts_with("/v1/documents") => &self.note,
            path if path.starts_with("/v1/receipts") => &self.receipt,
            path if path.starts_with("/v1/admin/quarantine") => &self.quarantined,
            path if path.starts_with("/v1/admin/jobs") => &self.job,
            path if path.starts_with("/v1/admin/erasures") => &self.erasure,
            _ => "none",
        };
        template
            .replace("{id}", id)
            .replace("{source}", "ehr")
            .replace("{type}", "Patient")
            .replace("{caller}", "none")
            .replace("{patient}", "none")
    }

    fn body(template: &str) -> Option<Value> {
        match template {
            "/v1/search" => Some(json!({"query": "migraine"})),
            "/v1/facets" => Some(json!({"query": "migraine"})),
            "/v1/documents/{id}/similar" => Some(json!({})),
            "/v1/answer" => Some(json!({"question": "Why was she seen?"})),
            "/v1/admin/reindex" => Some(json!({"scope": "all"})),
            "/v1/admin/rosters/{caller}" => Some(json!({"patients": []})),
            "/v1/admin/revocations" => Some(json!({"token": "none"})),
            "/v1/admin/erasures" => Some(json!({"patient": "nobody", "reason": "a test"})),
            "/v1/admin/legal-holds/{patient}" => Some(json!({"reason": "a test"})),
            "/v1/break-glass" => Some(json!({"patient": "p1", "purpose": "ETREAT", "reason": "collapsed at the door"})),
            "/v1/admin/sources/{source}" => {
                Some(json!({"patients": "main", "warn_after_s": 1, "error_after_s": 2, "mapping": null}))
            }
            _ => None,
        }
    }

    async fn ask(&self, token: Option<&str>, method: &str, template: &str) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.server.client.request(method, format!("{}{}", self.server.base, self.path(template)));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request = match Self::body(template) {
            Some(body) => request.json(&body),
            None if template.ends_with("/records") => {
                request.header("content-type", FHIR).body(patient("p1", "Ana", "Ruiz").to_string())
            }
            None => request,
        };
        Reply::read(request).await
    }
}

fn callers() -> [String; 7] {
    [
        tokens::mint_in("south", &format!("user/*.rs system/*.rs {SENDER} {ADMIN}")),
        tokens::for_patient("p2", "patient/*.rs"),
        tokens::for_patient("p1", "patient/*.rs"),
        tokens::mint(READER),
        tokens::mint(SENDER),
        tokens::mint(ADMIN),
        tokens::mint("user/Observation.rs"),
    ]
}

#[test]
fn the_table_names_exactly_the_routes_of_the_document() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch", "head", "options", "trace"] {
            if item.get(method).is_some() {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let table: BTreeSet<_> = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(table.len(), TABLE.len(), "a route stands twice in the table");
    assert_eq!(documented, table);
}

#[test]
fn the_document_asks_for_a_token_wherever_the_service_does() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    for (method, path, expected) in &TABLE {
        let operation = &document["paths"][path][method.to_lowercase()];
        let scheme = match expected {
            Open | Unset => Value::Null,
            Signed => json!([{"signature": []}]),
            Status(_) if path.starts_with("/v1/subscriptions/") => json!([{"source_secret": []}]),
            Status(_) => json!([{"bearer": []}]),
        };
        assert_eq!(operation["security"], scheme, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_gets_what_the_table_says() {
    let fixture = Fixture::new().await;
    let callers = callers();
    for (method, path, expected) in &TABLE {
        for (number, token) in callers.iter().enumerate() {
            let reply = fixture.ask(Some(token), method, path).await;
            let status = match expected {
                Open => 200,
                Unset => 404,
                Signed => 401,
                Status(statuses) => statuses[number],
            };
            assert_eq!(reply.status, status, "{method} {path} for {}: {}", CALLERS[number], reply.text());
            match status {
                401 if matches!(expected, Signed) => drop(reply.problem(401, "signature_invalid")),
                401 => drop(reply.problem(401, "token_invalid")),
                403 => drop(reply.problem(403, "scope_missing")),
                404 => {
                    let code = if path.ends_with("/records") { "unknown_source" } else { "not_found" };
                    drop(reply.problem(404, code));
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_every_route_is_closed() {
    let fixture = Fixture::new().await;
    fixture.ask(Some(&tokens::good()), "GET", "/v1/documents/{id}").await.expect(200);
    for (method, path, expected) in &TABLE {
        if let Open | Unset = expected {
            let status = if matches!(expected, Open) { 200 } else { 404 };
            fixture.ask(None, method, path).await.expect(status);
            continue;
        }
        let reply = fixture.ask(None, method, path).await;
        if matches!(expected, Signed) {
            reply.problem(401, "signature_invalid");
            continue;
        }
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"anamnesis\"");
        reply.problem(401, "token_missing");
        for (fault, token) in tokens::bad() {
            let reply = fixture.ask(Some(&token), method, path).await;
            assert_eq!(reply.status, 401, "{method} {path} with a token that is {fault}");
            assert!(reply.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
            reply.problem(401, "token_invalid");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_of_another_tenant_change_nothing_here() {
    let fixture = Fixture::new().await;
    let stranger = &callers()[0];
    let declare = json!({"patients": "main", "warn_after_s": 5, "error_after_s": 6, "mapping": null});
    fixture.server.put(stranger, "/v1/admin/sources/ehr", &declare).await.expect(200);
    fixture.server.post(stranger, "/v1/admin/reindex", &json!({"scope": "all"})).await.expect(202);
    let admin = tokens::mint(ADMIN);
    let sources = fixture.server.get(&admin, "/v1/admin/sources").await.json();
    let ehr = sources["sources"].as_array().unwrap().iter().find(|source| source["name"] == "ehr").unwrap();
    assert_eq!(ehr["warn_after_s"], 3_600);
    let jobs = fixture.server.get(&admin, "/v1/admin/jobs").await.json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    let quarantine = fixture.server.get(stranger, "/v1/admin/quarantine").await.json();
    assert_eq!(quarantine["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_type_finds_that_type_only() {
    let fixture = Fixture::new().await;
    let token = tokens::mint("user/Observation.rs");
    let body = json!({"query": "Seen for migraine and Glucose", "limit": 100, "explain": true});
    let found = fixture.server.post(&token, "/v1/search", &body).await.expect(200).json();
    let hits = found["hits"].as_array().unwrap();
    assert!(!hits.is_empty() && hits.iter().all(|hit| hit["kind"] == "result"), "{found}");
    assert_eq!(found["plan"]["chunks_in_scope"], hits.len());
    let patients = fixture.server.get(&token, "/v1/patients").await.json();
    assert_eq!(patients["patients"], json!([]));
    let context = fixture.server.get(&token, "/v1/patients/p1/context").await.json();
    assert_eq!(context["demographics"], json!([]));
    assert_eq!(context["results"].as_array().unwrap().len(), 1);
    let omitted = ["demographics", "problems", "medications", "allergies", "contacts", "appointments"];
    assert_eq!(context["omitted"], json!(omitted));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_without_searching_opens_documents_and_finds_none() {
    let fixture = Fixture::new().await;
    let token = tokens::mint("user/*.r");
    fixture.ask(Some(&token), "GET", "/v1/documents/{id}").await.expect(200);
    assert!(fixture.server.search(&token, &json!({"query": "migraine"})).await.is_empty());
    let patients = fixture.server.get(&token, "/v1/patients").await.json();
    assert_eq!(patients["patients"], json!([]));
}
