//! `POST /v1/facets`.

use serde_json::{Value, json};

use crate::builders::{bundle, condition, labelled, note, observation, patient};
use crate::harness::{FHIR, Server};
use crate::tokens::{self, READER};

async fn server() -> Server {
    let server = Server::start().await;
    let mut old = note("n1", "p1", "HISTORY\nKnown headache.\n\nPLAN\nAspirin for headache.");
    old["date"] = json!("2020-05-01T10:00:00Z");
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        patient("p2", "Bo", "Lind"),
        old,
        note("n2", "p1", "Plan:\nRest for headache."),
        note("n3", "p2", "Fever since morning."),
        condition("c1", "p1", "Headache disorder"),
    ]);
    server.ingest_fhir(&records).await;
    server.ingest_into("lab", FHIR, observation("o9", "p1", "Sodium", 139.0).to_string()).await;
    server
}

async fn facets(server: &Server, token: &str, body: Value) -> Value {
    server.post(token, "/v1/facets", &body).await.expect(200).json()
}

fn values(found: &Value, facet: &str) -> Vec<(String, u64)> {
    let values = found["facets"][facet]["values"].as_array().unwrap();
    let pair = |value: &Value| (value["value"].as_str().unwrap().to_owned(), value["documents"].as_u64().unwrap());
    values.iter().map(pair).collect()
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_counted_once_for_each_value_they_have() {
    let server = server().await;
    let found = facets(&server, &tokens::mint(READER), json!({})).await;
    assert_eq!(found["documents"], 7);
    assert_eq!(values(&found, "kind"), pairs(&[("note", 3), ("patient", 2), ("problem", 1), ("result", 1)]));
    assert_eq!(values(&found, "source"), pairs(&[("ehr", 6), ("lab", 1)]));
    assert_eq!(values(&found, "patient"), pairs(&[("p1", 5), ("p2", 2)]));
    let sections = values(&found, "section");
    let plan = sections.iter().find(|(value, _)| value.eq_ignore_ascii_case("plan")).unwrap();
    assert_eq!(plan.1, 2, "{sections:?}");
    let years = values(&found, "year");
    assert!(years.contains(&("2020".to_owned(), 1)), "{years:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_and_filters_narrow_and_facets_are_chosen() {
    let server = server().await;
    let token = tokens::mint(READER);
    let headache = facets(&server, &token, json!({"query": "headaches", "facets": ["kind"]})).await;
    assert_eq!(values(&headache, "kind"), pairs(&[("note", 2), ("problem", 1)]));
    assert!(headache["facets"].get("source").is_none());
    let notes = json!({"patient": "p1", "filters": {"kinds": ["note"]}, "facets": ["patient", "patient"]});
    let notes = facets(&server, &token, notes).await;
    assert_eq!((&notes["documents"], values(&notes, "patient")), (&json!(2), pairs(&[("p1", 2)])));
    let none = facets(&server, &token, json!({"query": "xylophone"})).await;
    assert_eq!((&none["documents"], &none["chunks"]), (&json!(0), &json!(0)));
    server.post(&token, "/v1/facets", &json!({"facets": ["colour"]})).await.problem(400, "unknown_facet");
    let turned = json!({"filters": {"from": "2024-01-02", "to": "2024-01-01"}});
    server.post(&token, "/v1/facets", &turned).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_take_in_nothing_beyond_the_token() {
    let server = server().await;
    let own = tokens::for_patient("p2", "patient/*.rs");
    let before = facets(&server, &own, json!({})).await;
    assert_eq!((&before["documents"], values(&before, "patient")), (&json!(2), pairs(&[("p2", 2)])));
    let typed = facets(&server, &tokens::mint("user/Condition.rs"), json!({})).await;
    assert_eq!(values(&typed, "kind"), pairs(&[("problem", 1)]));
    let hidden = bundle(&[
        note("n4", "p1", "Fever again."),
        labelled(note("n5", "p2", "Fever and a secret."), "v3-Confidentiality", "R"),
    ]);
    server.ingest_fhir(&hidden).await;
    let after = facets(&server, &own, json!({})).await;
    assert_eq!(
        (&after["documents"], &after["chunks"], &after["facets"]),
        (&before["documents"], &before["chunks"], &before["facets"])
    );
}
