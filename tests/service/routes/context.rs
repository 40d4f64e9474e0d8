//! `GET /v1/patients/{id}/context`.

use serde_json::{Value, json};

use crate::builders::{CRM, allergy, bundle, call, condition, crm_source, medication, note, observation, patient};
use crate::harness::{Server, at_span, text};
use crate::tokens::{self, ADMIN, READER};

async fn server() -> Server {
    let server = Server::start().await;
    let mut resolved = condition("c2", "p1", "Old sprain");
    resolved["clinicalStatus"]["coding"][0]["code"] = json!("resolved");
    let mut stopped = medication("m2", "p1", "Old tablets");
    stopped["status"] = json!("stopped");
    let mut records = vec![
        patient("p1", "Ana", "Ruiz"),
        condition("c1", "p1", "Migraine"),
        resolved,
        medication("m1", "p1", "Aspirin 100 mg"),
        stopped,
        allergy("a1", "p1", "Penicillin"),
        note("n1", "p1", "Only notetext stands here."),
        appointment("later", "2999-01-02T09:00:00Z"),
        appointment("sooner", "2998-01-02T09:00:00Z"),
        appointment("past", "2001-01-02T09:00:00Z"),
    ];
    for day in 1..=12 {
        let mut result = observation(&format!("o{day}"), "p1", &format!("Glucose {day}"), 90.0);
        result["effectiveDateTime"] = json!(format!("2024-03-{day:02}T07:00:00Z"));
        records.push(result);
    }
    server.ingest_fhir(&bundle(&records)).await;
    server.put(&tokens::mint(ADMIN), "/v1/admin/sources/crm", &crm_source("id")).await.expect(200);
    let calls = json!({"records": [call("k1", "p1", "delivery", "asked twice")]});
    server.ingest_into("crm", CRM, calls.to_string()).await;
    server
}

fn appointment(id: &str, start: &str) -> Value {
    json!({
        "resourceType": "Appointment", "id": id, "status": "booked", "meta": {"lastUpdated": "2024-01-07T08:00:00Z"},
        "description": format!("Visit {id}"), "start": start,
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
    })
}

const LISTS: [&str; 7] =
    ["demographics", "problems", "medications", "allergies", "results", "contacts", "appointments"];

fn texts(context: &Value, list: &str) -> Vec<String> {
    context[list].as_array().unwrap().iter().map(|line| text(&line["text"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_cited_by_its_document() {
    let server = server().await;
    let token = tokens::mint(READER);
    let context = server.get(&token, "/v1/patients/p1/context").await.expect(200).json();
    for list in LISTS {
        let lines = context[list].as_array().unwrap();
        assert!(!lines.is_empty(), "{list}");
        for line in lines {
            let path = format!("/v1/documents/{}?version={}", text(&line["document"]), line["version"]);
            let document = server.get(&token, &path).await.expect(200).json();
            assert_eq!(at_span(&text(&document["text"]), &line["span"]), text(&line["text"]));
            assert_eq!((&document["patient"], &document["source"]), (&json!("p1"), &line["source"]));
            assert!(line["age_s"].is_i64() && line["times"]["received"].is_string());
        }
    }
    assert_eq!(context["omitted"], json!([]));
    let feeds: Vec<&Value> =
        context["freshness"]["feeds"].as_array().unwrap().iter().map(|feed| &feed["source"]).collect();
    assert_eq!(feeds, ["crm", "ehr"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_what_stands_the_newest_and_the_next() {
    let server = server().await;
    let context = server.get(&tokens::mint(READER), "/v1/patients/p1/context").await.expect(200).json();
    assert!(!context.to_string().contains("notetext"), "a context holds no note");
    assert!(!context.to_string().contains("Old sprain") && !context.to_string().contains("Old tablets"));
    let results = texts(&context, "results");
    assert_eq!(results.len(), 10);
    assert!(results[0].contains("Glucose 12") && results[9].contains("Glucose 3"), "{results:?}");
    let appointments = texts(&context, "appointments");
    assert_eq!(appointments.len(), 2);
    let dates: Vec<String> =
        context["appointments"].as_array().unwrap().iter().map(|line| text(&line["times"]["effective"])).collect();
    assert!(dates.is_sorted(), "{dates:?}");
    assert!(context["appointments"][0]["age_s"].as_i64().unwrap() < 0, "what lies ahead has a negative age");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_the_token_does_not_open_are_named() {
    let server = server().await;
    let token = tokens::mint("user/Patient.rs user/Condition.rs user/Communication.rs");
    let context = server.get(&token, "/v1/patients/p1/context").await.expect(200).json();
    assert_eq!(context["omitted"], json!(["medications", "allergies", "results", "appointments"]));
    for list in ["medications", "allergies", "results", "appointments"] {
        assert_eq!(context[list], json!([]));
    }
    assert_eq!(texts(&context, "problems").len(), 1);
    assert_eq!(texts(&context, "contacts").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_nobody_knows_is_not_found() {
    let server = server().await;
    server.get(&tokens::mint(READER), "/v1/patients/p999/context").await.problem(404, "not_found");
}
