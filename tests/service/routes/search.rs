//! `POST /v1/search`.

use serde_json::{Value, json};

use crate::builders::{bundle, condition, encounter, note, observation, patient, within_encounter};
use crate::harness::{FHIR, Server, at_span, text};
use crate::tiny_model::write_tiny_cross_encoder;
use crate::tokens::{self, READER};

async fn server() -> Server {
    let server = Server::start().await;
    let mut old = within_encounter(note("n1", "p1", "HISTORY\nKnown headache.\n\nPLAN\nAspirin for headache."), "e1");
    old["date"] = json!("2020-05-01T10:00:00Z");
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        old,
        note("n2", "p1", "PLAN\nRest for headache."),
        note("n3", "p2", "Headache since morning."),
        condition("c1", "p1", "Headache disorder"),
        observation("o1", "p1", "Headache score", 4.0),
        encounter("e1", "p1", "Headache visit"),
    ]);
    server.ingest_fhir(&records).await;
    server.ingest_into("lab", FHIR, observation("o9", "p1", "Headache marker", 2.0).to_string()).await;
    server
}

async fn hits(server: &Server, body: Value) -> Vec<Value> {
    let mut whole = json!({"query": "headache", "mode": "keyword", "limit": 100});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    server.search(&tokens::mint(READER), &whole).await
}

fn distinct(hits: &[Value], name: &str) -> Vec<String> {
    let mut values: Vec<String> = hits.iter().map(|hit| hit[name].as_str().unwrap_or("-").to_owned()).collect();
    values.sort();
    values.dedup();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_to_what_they_name() {
    let server = server().await;
    let all = hits(&server, json!({})).await;
    assert_eq!(distinct(&all, "kind"), ["encounter", "note", "problem", "result"]);
    assert_eq!(distinct(&all, "source"), ["ehr", "lab"]);
    let by = async |filters: Value| hits(&server, json!({"filters": filters})).await;
    assert_eq!(distinct(&by(json!({"kinds": ["problem"]})).await, "kind"), ["problem"]);
    assert_eq!(distinct(&by(json!({"kinds": ["problem", "result"]})).await, "kind"), ["problem", "result"]);
    let planned = by(json!({"sections": ["plan"]})).await;
    assert_eq!(distinct(&planned, "section"), ["PLAN"]);
    assert_eq!(distinct(&planned, "document").len(), 2);
    assert_eq!(distinct(&by(json!({"sources": ["lab"]})).await, "source"), ["lab"]);
    let stay = by(json!({"encounter": "Encounter/e1"})).await;
    assert_eq!(distinct(&stay, "encounter"), ["Encounter/e1"]);
    let early = by(json!({"to": "2020-12-31"})).await;
    let late = by(json!({"from": "2021-01-01"})).await;
    let years = |hits: &[Value]| {
        let year = |hit: &Value| text(&hit["times"]["effective"])[..4].to_owned();
        let mut years: Vec<String> = hits.iter().map(year).collect();
        years.dedup();
        years
    };
    assert!(years(&early).iter().all(|year| year.as_str() <= "2020"), "{early:?}");
    assert!(years(&late).iter().all(|year| year.as_str() >= "2021"), "{late:?}");
    assert_eq!(early.len() + late.len(), all.len());
    assert!(!early.is_empty() && !late.is_empty());
    let none = by(json!({"kinds": ["problem"], "sources": ["lab"]})).await;
    assert!(none.is_empty());
    let theirs = hits(&server, json!({"patient": "p2"})).await;
    assert_eq!(distinct(&theirs, "patient"), ["p2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_a_date_filter_are_inclusive() {
    let server = server().await;
    let day = json!({"filters": {"from": "2020-05-01T10:00:00Z", "to": "2020-05-01T10:00:00Z"}});
    let found = hits(&server, day).await;
    assert_eq!(distinct(&found, "document").len(), 1);
    let later = json!({"filters": {"from": "2020-05-01T10:00:01Z", "to": "2020-12-31"}});
    assert!(hits(&server, later).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hit_is_the_text_at_its_span_and_says_its_age() {
    let server = server().await;
    let token = tokens::mint(READER);
    for mode in ["hybrid", "keyword", "dense"] {
        let found = hits(&server, json!({"mode": mode})).await;
        assert!(!found.is_empty(), "{mode}");
        for hit in &found {
            let path = format!("/v1/documents/{}?version={}", text(&hit["document"]), hit["version"]);
            let document = server.get(&token, &path).await.expect(200).json();
            assert_eq!(at_span(&text(&document["text"]), &hit["span"]), text(&hit["text"]));
            for name in ["title", "kind", "source", "patient", "encounter", "times"] {
                assert_eq!(hit[name], document[name], "{name}");
            }
            assert!(hit["age_s"].as_i64().unwrap() > 0);
            assert!(text(&hit["age"]).contains(' '));
            assert!(hit.get("explain").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_rank_by_their_own_side() {
    let server = server().await;
    let explained = async |mode: &str| hits(&server, json!({"mode": mode, "explain": true})).await;
    for hit in explained("keyword").await {
        assert!(hit["explain"]["dense"].is_null());
        assert_eq!(hit["score"], hit["explain"]["keyword"]["score"]);
    }
    for hit in explained("dense").await {
        assert!(hit["explain"]["keyword"].is_null());
        assert_eq!(hit["score"], hit["explain"]["dense"]["score"]);
    }
    let hybrid = explained("hybrid").await;
    assert!(hybrid.iter().any(|hit| !hit["explain"]["keyword"].is_null() && !hit["explain"]["dense"].is_null()));
    let scores: Vec<f64> = hybrid.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_the_plan_and_nothing_shows_it_unasked() {
    let server = server().await;
    let token = tokens::mint(READER);
    let ask = async |body: Value| server.post(&token, "/v1/search", &body).await.expect(200).json();
    let plain = ask(json!({"query": "headache"})).await;
    assert!(plain.get("plan").is_none());
    let plan = ask(json!({"query": "headache", "explain": true})).await["plan"].clone();
    assert_eq!((&plan["mode"], &plan["dense"]), (&json!("hybrid"), &json!("exact")));
    assert_eq!(plan["watermark"], plain["freshness"]["index"]["watermark"]);
    let keyword = ask(json!({"query": "headache", "mode": "keyword", "explain": true})).await;
    assert_eq!(keyword["plan"]["dense"], Value::Null);
    let nothing = ask(json!({"query": "headache", "patient": "p999", "explain": true})).await;
    assert_eq!(nothing["plan"]["chunks_in_scope"], 0);
    assert_eq!(nothing["plan"]["dense"], "nothing_in_scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_and_keeps_the_best() {
    let server = server().await;
    let all = hits(&server, json!({"limit": 100})).await;
    let two = hits(&server, json!({"limit": 2})).await;
    assert_eq!(two.len(), 2);
    for (short, long) in two.iter().zip(&all) {
        assert_eq!((&short["document"], &short["chunk"]), (&long["document"], &long["chunk"]));
    }
    let many: Vec<Value> = (0..15).map(|n| note(&format!("m{n}"), "p3", &format!("Headache number {n}."))).collect();
    server.ingest_fhir(&bundle(&many)).await;
    let usual = json!({"query": "headache", "mode": "keyword"});
    assert_eq!(server.search(&tokens::mint(READER), &usual).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn highlights_are_the_words_asked_for_and_what_says_the_same() {
    let server = Server::start().await;
    let records =
        bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", "Came after a heart attack. Infections: none.")]);
    server.ingest_fhir(&records).await;
    let marked = async |query: &str| {
        let found = hits(&server, json!({"query": query})).await;
        let hit = found.iter().find(|hit| hit["kind"] == "note").cloned().unwrap_or_default();
        let offset = hit["span"]["start"].as_u64().unwrap_or_default();
        let spans = hit["highlights"].as_array().cloned().unwrap_or_default();
        let within = |span: &Value| {
            let at = |name: &str| json!(span[name].as_u64().unwrap() - offset);
            at_span(&text(&hit["text"]), &json!({"start": at("start"), "end": at("end")}))
        };
        spans.iter().map(within).collect::<Vec<_>>()
    };
    assert_eq!(marked("any infection?").await, ["Infections"]);
    assert_eq!(marked("myocardial infarction").await, ["heart attack"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_come_with_a_hit_when_asked_for() {
    let server = Server::start().await;
    let text_of_note = "HISTORY\nKnown headache.\n\nEXAM\nBlood pressure normal.\n\nPLAN\nRest.";
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", text_of_note)])).await;
    let exam = async |neighbours: usize| {
        let found = hits(&server, json!({"query": "blood pressure", "neighbours": neighbours})).await;
        found.into_iter().find(|hit| hit["section"] == "EXAM").expect("the section is found")
    };
    assert!(exam(0).await.get("context").is_none());
    let context = text(&exam(1).await["context"]["text"]);
    assert!(context.contains("Known headache.") && context.contains("Rest."), "{context}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_shown_once_for_each_patient_unless_all_are_asked_for() {
    let server = Server::start().await;
    let same = "Chronic headache, carried forward.";
    let records = bundle(&[note("n1", "p1", same), note("n2", "p1", same), note("n3", "p2", same)]);
    server.ingest_fhir(&records).await;
    assert_eq!(hits(&server, json!({})).await.len(), 2);
    assert_eq!(hits(&server, json!({"distinct": false})).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_hits_of_a_document_are_shown_as_were_asked_for() {
    let server = server().await;
    let of_documents = async |body: Value| {
        let found = hits(&server, body).await;
        (found.len(), distinct(&found, "document").len())
    };
    let (all, documents) = of_documents(json!({})).await;
    assert!(all > documents);
    assert_eq!(of_documents(json!({"per_document": 1})).await, (documents, documents));
}

#[tokio::test(flavor = "multi_thread")]
async fn rankings_are_tuned_within_bounds() {
    let server = server().await;
    let token = tokens::mint(READER);
    let ask = async |setting: Value| {
        let mut body = json!({"query": "headache"});
        body.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
        server.post(&token, "/v1/search", &body).await
    };
    for fusion in ["convex", "standardized", "rrf"] {
        let found = ask(json!({"fusion": fusion, "dense_weight": 0.3, "diversity": 0.5})).await.expect(200).json();
        assert!(!found["hits"].as_array().unwrap().is_empty(), "{fusion}");
    }
    for (setting, code) in [
        (json!({"fusion": "sum"}), "unknown_fusion"),
        (json!({"dense_weight": 1.5}), "share_out_of_range"),
        (json!({"diversity": -0.1}), "share_out_of_range"),
        (json!({"per_document": 0}), "per_document_out_of_range"),
        (json!({"neighbours": 6}), "neighbours_out_of_range"),
    ] {
        assert_eq!(ask(setting).await.expect(400).json()["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reranker_orders_the_best_hits_again_unless_it_is_declined() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("reranker.toml");
    std::fs::write(&manifest, write_tiny_cross_encoder(folder.path(), 5)).unwrap();
    let server = Server::with(|config| config.reranker_manifest = Some(manifest)).await;
    let notes = ["Headache.", "Fever and headache.", "No headache today, chest pain.", "Aspirin for headache daily."];
    let notes: Vec<Value> =
        notes.iter().enumerate().map(|(number, text)| note(&format!("n{number}"), "p1", text)).collect();
    server.ingest_fhir(&bundle(&notes)).await;
    let token = tokens::mint(READER);
    let ask = async |rerank: bool| {
        let body = json!({"query": "headache", "explain": true, "rerank": rerank});
        server.post(&token, "/v1/search", &body).await.expect(200).json()
    };
    let scores = |found: &Value| -> Vec<f64> {
        found["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_f64().unwrap()).collect()
    };
    let (plain, reranked) = (ask(false).await, ask(true).await);
    assert_eq!((&plain["plan"]["reranked"], &reranked["plan"]["reranked"]), (&json!(false), &json!(true)));
    assert_eq!(scores(&reranked).len(), 4);
    assert!(scores(&reranked).is_sorted_by(|one, other| one >= other));
    assert_ne!(scores(&reranked), scores(&plain));
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_names_only_the_feeds_that_were_used() {
    let server = server().await;
    let token = tokens::mint(READER);
    let feeds = async |filters: Value| {
        let body = json!({"query": "headache", "filters": filters});
        let found = server.post(&token, "/v1/search", &body).await.expect(200).json();
        found["freshness"]["feeds"].as_array().unwrap().iter().map(|feed| text(&feed["source"])).collect::<Vec<_>>()
    };
    assert_eq!(feeds(json!({})).await, ["ehr", "lab"]);
    assert_eq!(feeds(json!({"sources": ["lab"]})).await, ["lab"]);
    assert_eq!(feeds(json!({"kinds": ["claim"]})).await, ["ehr", "lab"], "nothing found: it could have used any");
}
