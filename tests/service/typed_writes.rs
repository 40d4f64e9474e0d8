//! A token that may send records of some types sends those and nothing else, in whatever form.

use serde_json::{Value, json};

use crate::builders::{CRM, bundle, condition, crm_source, deletion, note, observation, patient};
use crate::harness::{FHIR, NDJSON, Reply, Server, TEXT, text};
use crate::tokens::{self, ADMIN, SENDER};

const NARROW: &str = "system/Observation.c";
const XML: &str = "application/fhir+xml";

/// Refused before anything lands; the answer names the scope that is missing.
#[track_caller]
fn refused(reply: Reply, scope: &str) {
    let challenge = reply.headers["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
    let problem = reply.problem(403, "scope_missing");
    assert_eq!(problem["detail"], format!("this needs the scope {scope}"));
}

async fn deliveries(server: &Server) -> u64 {
    let metrics = Reply::read(server.client.get(format!("{}/metrics", server.operations))).await.text();
    let counts = metrics.lines().filter_map(|line| line.strip_prefix("anamnesis_deliveries_received_total{"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_the_type_are_taken_in_every_form_of_fhir() {
    let server = Server::start().await;
    let token = tokens::mint(NARROW);
    let one = observation("o1", "p1", "Glucose", 90.0);
    let two = bundle(&[observation("o2", "p1", "Sodium", 140.0), observation("o3", "p1", "Potassium", 4.0)]);
    let lines = format!("{}\n{}\n", observation("o4", "p1", "Calcium", 9.0), observation("o5", "p1", "Iron", 60.0));
    let xml = "<Observation xmlns=\"http://hl7.org/fhir\"><id value=\"o6\"/><status value=\"final\"/><code><text \
        value=\"Zinc\"/></code><subject><reference value=\"Patient/p1\"/></subject><valueString value=\"low\"/>\
        </Observation>";
    for (content_type, body, stored) in
        [(FHIR, one.to_string(), 1), (FHIR, two.to_string(), 2), (NDJSON, lines, 2), (XML, xml.to_owned(), 1)]
    {
        let dry = "/v1/sources/ehr/records?dry_run=true";
        server.send_to(&token, dry, content_type, body.clone()).await.expect(200);
        let receipt = server.send(&token, "ehr", content_type, body).await.expect(202).json();
        let receipt = server.wait_for(&token, &text(&receipt["receipt"]), "indexed").await;
        assert_eq!(receipt["account"]["stored"], stored, "{receipt}");
    }
    let found = async |word: &str| server.found(word).await.len();
    assert_eq!((found("Glucose").await, found("Zinc").await), (1, 1));
    let removal = deletion(&["Observation/o1"]);
    let receipt = server.send(&token, "ehr", FHIR, removal.to_string()).await.expect(202).json();
    let receipt = server.wait_for(&token, &text(&receipt["receipt"]), "indexed").await;
    assert_eq!(receipt["account"]["removed"], 1);
    assert_eq!(found("Glucose").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_else_is_refused_whole_and_nothing_of_it_lands() {
    let server = Server::start().await;
    server.put(&tokens::mint(ADMIN), "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    server.ingest_fhir(&condition("c1", "p1", "Migraine")).await;
    let landed = deliveries(&server).await;
    let token = tokens::mint(NARROW);
    let good = observation("o1", "p1", "Glucose", 90.0);
    let other = patient("p1", "Ana", "Ruiz");
    let mixed = bundle(&[good.clone(), other.clone()]);
    let within = bundle(&[good.clone(), bundle(std::slice::from_ref(&other))]);
    let lines = format!("{good}\n{other}\n{good}\n");
    let merged = json!({
        "resourceType": "Patient", "id": "p9", "active": false,
        "link": [{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}],
    });
    let empty = json!({"resourceType": "Bundle", "type": "collection", "entry": []});
    let organization = json!({"resourceType": "Organization", "id": "org", "name": "North"});
    let twice = format!("{{\"resourceType\":\"Observation\",{}", &other.to_string()[1..]);
    let fhir: [(&str, String, &str); 13] = [
        (FHIR, other.to_string(), "system/Patient.c"),
        (FHIR, mixed.to_string(), "system/Patient.c"),
        (FHIR, within.to_string(), "system/Patient.c"),
        (FHIR, merged.to_string(), "system/Patient.c"),
        (FHIR, deletion(&["Condition/c1"]).to_string(), "system/Condition.c"),
        (FHIR, organization.to_string(), "system/Organization.c"),
        (FHIR, empty.to_string(), "system/*.c"),
        (FHIR, "{\"resourceType\": \"Observation\"".to_owned(), "system/*.c"),
        (FHIR, "{\"resourceType\": \"Bundle\", \"entry\": [7]}".to_owned(), "system/*.c"),
        (NDJSON, lines, "system/Patient.c"),
        (NDJSON, format!("{good}\n{{\"broken\n"), "system/*.c"),
        (FHIR, "{\"resourceType\": \"Condition\", \"id\": \"c1\"}".to_owned(), "system/Condition.c"),
        (XML, "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p1\"/></Patient>".to_owned(), "system/Patient.c"),
    ];
    for (content_type, body, scope) in fhir {
        for path in ["/v1/sources/ehr/records", "/v1/sources/ehr/records?dry_run=true"] {
            refused(server.send_to(&token, path, content_type, body.clone()).await, scope);
        }
    }
    assert!(matches!(server.send(&token, "ehr", FHIR, twice).await.status, 403));
    for (source, content_type, body) in [
        ("ehr", TEXT, "A note about Observation/o1"),
        ("ehr", "text/markdown", "A note"),
        ("ehr", "text/html", "<p>A note</p>"),
        ("ehr", "application/hl7-v2", "MSH|^~\\&|a|b|c|d|20240101||ORU^R01|1|P|2.5\r"),
        ("crm", "text/csv", "id,person\n1,p1\n"),
        ("crm", CRM, "[]"),
    ] {
        let reply = server.send(&token, source, content_type, body).await;
        assert_ne!(reply.status, 415, "{content_type} is a form that is read");
        refused(reply, "system/*.c");
    }
    assert_eq!(deliveries(&server).await, landed);
    assert_eq!(server.found("Migraine").await.len(), 1);
    assert!(server.found("Ruiz").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_says_its_type_and_cannot_be_read_waits_in_quarantine() {
    let server = Server::start().await;
    let token = tokens::mint(NARROW);
    let unreadable = json!({"resourceType": "Observation", "id": "o1", "status": "final"});
    let receipt = server.send(&token, "ehr", FHIR, unreadable.to_string()).await.expect(202).json();
    let receipt = server.wait_for(&token, &text(&receipt["receipt"]), "indexed").await;
    assert_eq!(receipt["account"]["quarantined"], json!({"invalid_resource": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_types_are_joined_and_narrowed_or_read_scopes_send_nothing() {
    let server = Server::start().await;
    let both = bundle(&[patient("p1", "Ana", "Ruiz"), observation("o1", "p1", "Glucose", 90.0)]).to_string();
    for scopes in [
        "system/Observation.c system/Patient.c",
        "system/Observation.cud system/Patient.write",
        "system/Observation.c system/*.c",
        SENDER,
    ] {
        server.send(&tokens::mint(scopes), "ehr", FHIR, both.clone()).await.expect(202);
    }
    for scopes in [
        "system/Observation.c?category=laboratory",
        "system/Observation.rs",
        "system/Observation.ud",
        "user/Observation.cruds",
        "user/*.cruds",
        "patient/*.c",
        "",
    ] {
        refused(server.send(&tokens::mint(scopes), "ehr", FHIR, both.clone()).await, "system/*.c");
    }
    let condition = condition("c1", "p1", "Migraine").to_string();
    let reply = server.send(&tokens::mint("system/Observation.c system/Patient.c"), "ehr", FHIR, condition).await;
    refused(reply, "system/Condition.c");
    let elsewhere: Value = note("n1", "p1", "Seen.");
    refused(server.send(&tokens::mint(NARROW), "ehr", FHIR, elsewhere.to_string()).await, "system/DocumentReference.c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_no_secret_of_a_source() {
    let server = Server::start().await;
    let body = observation("o1", "p1", "Glucose", 90.0).to_string();
    for path in ["/v1/subscriptions/ehr", "/v1/webhooks/ehr"] {
        server.send_to(&tokens::mint(NARROW), path, FHIR, body.clone()).await.expect(401);
    }
}
