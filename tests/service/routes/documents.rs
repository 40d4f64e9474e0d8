//! `GET /v1/documents/{id}` and its original.

use serde_json::json;

use crate::builders::{CRM, bundle, crm_source, note, patient, said_at, within_encounter};
use crate::harness::{FHIR, NDJSON, Server, TEXT, at_span, text};
use crate::tokens::{self, ADMIN, READER};

#[tokio::test(flavor = "multi_thread")]
async fn a_document_comes_with_its_provenance_and_sections() {
    let server = Server::start().await;
    let record = within_encounter(note("n1", "p1", "HISTORY\nLong uniqueword story.\n\nPLAN\nRest."), "e1");
    server.ingest_fhir(&record).await;
    let id = server.document_with("uniqueword").await;
    let document = server.get(&tokens::mint(READER), &format!("/v1/documents/{id}")).await.expect(200).json();
    for (name, value) in [
        ("document", json!(id)),
        ("version", json!(1)),
        ("latest", json!(true)),
        ("title", json!("Progress note")),
        ("kind", json!("note")),
        ("resource_type", json!("DocumentReference")),
        ("source", json!("ehr")),
        ("patient", json!("p1")),
        ("encounter", json!("Encounter/e1")),
        ("status", json!("current")),
    ] {
        assert_eq!(document[name], value, "{name}");
    }
    assert_eq!(document["times"]["effective"], "2024-03-01T08:00:00Z");
    let whole = text(&document["text"]);
    let sections = document["sections"].as_array().unwrap();
    let titles: Vec<_> = sections.iter().map(|section| &section["title"]).collect();
    assert_eq!(titles, ["HISTORY", "PLAN"]);
    assert!(at_span(&whole, &sections[1]["span"]).starts_with("PLAN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_can_be_read_and_others_cannot() {
    let server = Server::start().await;
    server.ingest_fhir(&note("n1", "p1", "First uniqueword.")).await;
    let second = said_at(note("n1", "p1", "Second uniqueword."), "2024-04-01T08:00:00Z", "2");
    server.ingest_fhir(&second).await;
    let id = server.document_with("uniqueword").await;
    let token = tokens::mint(READER);
    for (ending, words, latest) in [
        ("", "Second uniqueword.", true),
        ("?version=2", "Second uniqueword.", true),
        ("?version=1", "First uniqueword.", false),
    ] {
        let document = server.get(&token, &format!("/v1/documents/{id}{ending}")).await.expect(200).json();
        assert_eq!((&document["text"], &document["latest"]), (&json!(words), &json!(latest)));
    }
    for version in [0, 3, 4_000_000_000_u32] {
        server.get(&token, &format!("/v1/documents/{id}?version={version}")).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_is_exactly_what_was_sent() {
    let server = Server::start().await;
    let token = tokens::mint(READER);
    let entry = "{ \"resourceType\" : \"Observation\",\n  \"id\":\"o1\", \"status\":\"final\", \
                 \"code\":{\"text\":\"Entryword \\u00e9\"}, \"valueQuantity\":{\"value\":6.30,\"unit\":\"mg\"},\
                 \"subject\":{\"reference\":\"Patient/p1\"} }";
    let whole = format!(
        "{{\"resourceType\":\"Bundle\",\"entry\":[{{\"resource\":{}}},\n{{\"resource\":{entry}}}]}}",
        patient("p1", "Ana", "Ruiz")
    );
    server.ingest_and_wait(FHIR, whole).await;
    let line = note("n1", "p1", "A lineword.").to_string().replace("\":", "\" :  ");
    server.ingest_and_wait(NDJSON, format!("{}\r\n{line}\r\n", patient("p1", "Ana", "Ruiz"))).await;
    let own = "---\nid: visit\npatient: p1\n---\n\n\n  A noteword,\r\n\twith odd spaces.   \n\n";
    server.ingest_and_wait(TEXT, own).await;
    server.put(&tokens::mint(ADMIN), "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let object = "{\"id\": \"k1\", \"person\":\"p1\",\"channel\":\"Call\",\"subject\":\"objectword\",\"remark\":\"\",\
                  \"agent\":\"Sam\", \"day\":\"2024-04-01\",\"changed\":\"2024-04-01T10:00:00Z\"}";
    server.ingest_into("crm", CRM, format!("{{\"records\": [ {object} ]}}")).await;
    for (word, bytes, content_type) in [
        ("entryword", entry, "application/fhir+json"),
        ("lineword", line.as_str(), "application/fhir+json"),
        ("noteword", own, "text/plain; charset=utf-8"),
        ("objectword", object, "application/json"),
    ] {
        let id = server.document_with(word).await;
        for ending in ["", "?version=1"] {
            let original = server.get(&token, &format!("/v1/documents/{id}/original{ending}")).await.expect(200);
            assert_eq!(original.text(), bytes, "{word}");
            assert_eq!(original.content_type, content_type);
            assert_eq!(original.headers["content-disposition"], "attachment");
            assert_eq!(original.headers["cache-control"], "no-store");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_keeps_its_own_original() {
    let server = Server::start().await;
    let first = note("n1", "p1", "First uniqueword.");
    let second = said_at(note("n1", "p1", "Second uniqueword."), "2024-04-01T08:00:00Z", "2");
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), first.clone()])).await;
    server.ingest_fhir(&second).await;
    let id = server.document_with("uniqueword").await;
    let token = tokens::mint(READER);
    for (version, sent) in [(1, &first), (2, &second)] {
        let path = format!("/v1/documents/{id}/original?version={version}");
        assert_eq!(server.get(&token, &path).await.expect(200).text(), sent.to_string());
    }
}
