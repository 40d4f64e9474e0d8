//! A canary in the place of each word that can be sent, by every way in: none comes out by logs, metrics or problems.
//!
//! The records are those of the golden tests, in every form that is read. `ANAMNESIS_CANARIES` sets how many of the words of
//! each record are replaced, one after the other, in the same delivery's form.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anamnesis::access::TokenGrant;
use anamnesis::domain::{PatientId, TenantId};
use anamnesis::http::openapi_document;
use regex::bytes::Regex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::builders::crm_source;
use crate::harness::{Reply, Server, text};
use crate::logs;
use crate::tokens::{self, ADMIN, SENDER};

const CANARY: &str = "Canary";
const WORDS: usize = 12;

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new("[A-Za-z0-9][A-Za-z0-9_-]+").unwrap());

fn records() -> Vec<(PathBuf, &'static str)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/normalize");
    let form = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        [
            (".expected.json", None),
            (".crm.json", Some("application/vnd.anamnesis.mapped+json")),
            (".json", Some("application/fhir+json")),
            (".ndjson", Some("application/fhir+ndjson")),
            (".fhir.xml", Some("application/fhir+xml")),
            (".cda.xml", Some("application/cda+xml")),
            (".hl7", Some("application/hl7-v2")),
            (".x12", Some("application/edi-x12")),
            (".txt", Some("text/plain")),
            (".md", Some("text/markdown")),
            (".html", Some("text/html")),
            (".csv", Some("text/csv")),
            (".rtf", Some("application/rtf")),
            (".docx", Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
            (".pdf", Some("application/pdf")),
        ]
        .into_iter()
        .find(|(ending, _)| name.ends_with(ending))?
        .1
    };
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut records: Vec<_> = paths.filter_map(|path| form(&path).map(|form| (path, form))).collect();
    records.sort();
    records
}

/// The record with a canary in the place of some of its words, one at a time.
fn with_canaries(record: &[u8], words: usize) -> Vec<Vec<u8>> {
    let places: Vec<_> = WORD.find_iter(record).map(|word| word.range()).collect();
    let step = places.len().div_ceil(words).max(1);
    let replaced = places.into_iter().step_by(step).enumerate().map(|(number, place)| {
        let canary = format!("{CANARY}{number}");
        [&record[..place.start], canary.as_bytes(), &record[place.end..]].concat()
    });
    replaced.collect()
}

/// Problems and figures, in which no canary may stand.
fn look_at(told: &str, reply: &Reply) {
    if reply.status >= 400 {
        assert_eq!(logs::private_word(&reply.bytes), None, "{told}: {}", reply.text());
    }
    assert!(reply.status < 500, "{told}: {}", reply.text());
}

async fn look_at_figures(server: &Server) {
    let figures = Reply::read(server.client.get(format!("{}/metrics", server.operations))).await.expect(200);
    assert_eq!(logs::private_word(&figures.bytes), None, "{}", figures.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_any_record_is_logged_counted_or_told_in_a_problem() {
    let words = std::env::var("ANAMNESIS_CANARIES").ok().and_then(|text| text.parse().ok()).unwrap_or(WORDS);
    let server = Server::start().await;
    let (admin, sender) = (tokens::mint(ADMIN), tokens::mint(SENDER));
    server.put(&admin, "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let mut receipts = Vec::new();
    for (path, form) in records() {
        let source = if form.contains("mapped") || form == "text/csv" { "crm" } else { "ehr" };
        for record in with_canaries(&std::fs::read(&path).unwrap(), words) {
            let reply = server.send(&sender, source, form, record).await;
            look_at(&path.display().to_string(), &reply);
            if reply.status == 202 {
                receipts.push(text(&reply.json()["receipt"]));
            }
        }
    }
    for receipt in &receipts {
        server.wait_for(&sender, receipt, "indexed").await;
    }
    for path in ["/v1/admin/findings", "/v1/admin/sources", "/v1/admin/jobs"] {
        let reply = server.get(&admin, path).await.expect(200);
        assert_eq!(logs::private_word(&reply.bytes), None, "{path}: {}", reply.text());
    }
    look_at_figures(&server).await;
    assert!(receipts.len() > 400 && logs::lines() > receipts.len(), "{} deliveries", receipts.len());
    println!("{} deliveries with a canary each, {} log lines read", receipts.len(), logs::lines());
}

/// Bodies of the routes that have one, with a canary wherever text may stand.
fn bodies() -> Vec<Value> {
    vec![
        json!({}),
        json!(CANARY),
        json!({CANARY: CANARY}),
        json!({"query": CANARY, "question": CANARY}),
        json!({"query": CANARY, "patient": CANARY, "mode": "keyword"}),
        json!({"query": CANARY, "mode": CANARY}),
        json!({"query": CANARY, "limit": CANARY}),
        json!({"query": CANARY, "filters": {"kinds": [CANARY]}}),
        json!({"query": CANARY, "filters": {"from": CANARY}}),
        json!({"query": CANARY, "filters": {"sections": [CANARY], "sources": [CANARY], "encounter": CANARY}}),
        json!({"question": CANARY, "patient": CANARY, "conversation": CANARY}),
        json!({"question": CANARY.repeat(2_000)}),
        json!({"facets": [CANARY], "query": CANARY}),
        json!({"patient": CANARY, "reason": CANARY}),
        json!({"patient": CANARY, "purpose": CANARY, "reason": CANARY, "categories": [CANARY]}),
        json!({"patient": CANARY, "purpose": "ETREAT", "reason": CANARY, "facility": CANARY}),
        json!({"patients": [CANARY]}),
        json!({"patients": CANARY}),
        json!({"caller": CANARY}),
        json!({"token": CANARY}),
        json!({"scope": CANARY, "id": CANARY}),
        json!({"scope": "patient", "id": CANARY}),
        json!({"reason": CANARY}),
        json!({"patients": CANARY, "warn_after_s": 1, "error_after_s": 2, "mapping": {"key": CANARY}}),
    ]
}

fn tokens_with_canaries() -> Vec<String> {
    let grant = |scopes: &str| TokenGrant {
        patient: Some(PatientId::new(CANARY)),
        fhir_user: Some(CANARY.to_owned()),
        purpose: Some(CANARY.to_owned()),
        client: Some(CANARY.to_owned()),
        sensitivity: vec![CANARY.to_owned()],
        ..TokenGrant::new(CANARY, TenantId::new(CANARY), scopes)
    };
    vec![
        tokens::sign(&grant(&format!("patient/*.rs user/*.rs {SENDER} {ADMIN}"))),
        tokens::sign(&grant(&format!("patient/{CANARY}.rs {CANARY}"))),
        CANARY.to_owned(),
        format!("{CANARY}.{CANARY}.{CANARY}"),
        tokens::good().replace('.', &format!(".{CANARY}")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_any_request_is_logged_counted_or_told_in_a_problem() {
    let server = Server::start().await;
    let document = serde_json::to_value(openapi_document()).unwrap();
    let ids = Regex::new(r"\{[a-z]+\}").unwrap();
    let mut asked = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        let path = ids.replace_all(template.as_bytes(), CANARY.as_bytes());
        let path = format!("{}?{CANARY}={CANARY}&version={CANARY}", String::from_utf8(path.into_owned()).unwrap());
        for method in ["get", "put", "post", "delete"].into_iter().filter(|method| item.get(method).is_some()) {
            let has_body = item[method].get("requestBody").is_some();
            for body in if has_body { bodies() } else { vec![Value::Null] } {
                for token in tokens_with_canaries() {
                    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                    let mut request = server.request(method, &token, &path);
                    for name in ["user-agent", "x-request-id", "origin", "x-anamnesis-signature", "accept"] {
                        request = request.header(name, CANARY);
                    }
                    if has_body {
                        request = request.json(&body);
                    }
                    asked += 1;
                    look_at(&format!("{template} {body}"), &Reply::read(request).await);
                }
            }
        }
    }
    look_at_figures(&server).await;
    println!("{asked} requests with canaries");
}
