//! `POST /v1/answer`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::builders::{bundle, note, patient};
use crate::harness::{Reply, Server, at_span, text};
use crate::tokens::{self, READER};

async fn server() -> Server {
    let server = Server::start().await;
    let records = bundle(&[
        patient("p1", "Ana", "Ruiz"),
        note("n1", "p1", "PLAN\nShe takes aspirin daily. Größe 1,70 m, “stable” für heute."),
        note("n2", "p1", "She has chest pain and fever."),
        note("n3", "p2", "He takes ibuprofen daily."),
    ]);
    server.ingest_fhir(&records).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quote_stands_in_its_document_version_byte_for_byte() {
    let server = server().await;
    let token = tokens::mint(READER);
    for mode in ["hybrid", "keyword", "dense"] {
        let body = json!({"question": "Does she take aspirin daily, is she stable?", "patient": "p1", "mode": mode});
        let answer = server.post(&token, "/v1/answer", &body).await.expect(200).json();
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("answered"), &Value::Null), "{answer}");
        let citations = answer["citations"].as_array().unwrap();
        assert!(!citations.is_empty());
        for (number, citation) in (1..).zip(citations) {
            assert_eq!(citation["number"], number);
            let path = format!("/v1/documents/{}?version={}", text(&citation["document"]), citation["version"]);
            let document = server.get(&token, &path).await.expect(200).json();
            assert_eq!(at_span(&text(&document["text"]), &citation["span"]), text(&citation["quote"]));
            for name in ["title", "kind", "source", "times"] {
                assert_eq!(citation[name], document[name], "{name}");
            }
            assert_eq!(document["patient"], "p1");
        }
        for sentence in answer["sentences"].as_array().unwrap() {
            let numbers = sentence["citations"].as_array().unwrap();
            assert_eq!(numbers.is_empty(), sentence["check"] == "not_needed", "{sentence}");
            let spoken = folded(&text(&sentence["text"]));
            for number in numbers {
                let cited = &citations[usize::try_from(number.as_u64().unwrap()).unwrap() - 1];
                let quote = folded(&text(&cited["quote"]));
                assert!(quote.contains(&spoken), "{spoken} is not in {quote}");
            }
            assert!((0.0..=1.0).contains(&sentence["support"].as_f64().unwrap()));
        }
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_scope_makes_an_abstention() {
    let server = server().await;
    for (token, body) in [
        (tokens::mint(READER), json!({"question": "Aspirin?", "patient": "p999"})),
        (tokens::mint(READER), json!({"question": "Aspirin?", "filters": {"kinds": ["claim"]}})),
        (tokens::for_patient("p999", "patient/*.rs"), json!({"question": "Aspirin?"})),
        (tokens::mint_in("south", READER), json!({"question": "Aspirin?"})),
    ] {
        let answer = server.post(&token, "/v1/answer", &body).await.expect(200).json();
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("abstained"), &json!("no_evidence")));
        assert_eq!((&answer["sentences"], &answer["citations"]), (&json!([]), &json!([])));
        let feeds = server.get(&token, "/v1/freshness").await.expect(200).json()["feeds"].clone();
        assert_eq!(names(&answer["freshness"]["feeds"]), names(&feeds), "it could have used any");
    }
}

fn names(feeds: &Value) -> Vec<String> {
    feeds.as_array().unwrap().iter().map(|feed| text(&feed["source"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_evidence_makes_an_abstention() {
    let server = Server::with(|config| config.answer.min_evidence = 1.0).await;
    server.ingest_fhir(&note("n1", "p1", "She takes aspirin daily.")).await;
    let body = json!({"question": "Which football club won the cup?"});
    let answer = server.post(&tokens::mint(READER), "/v1/answer", &body).await.expect(200).json();
    assert_eq!((&answer["status"], &answer["reason"]), (&json!("abstained"), &json!("weak_evidence")));
    assert_eq!(answer["sentences"], json!([]));
}

/// Events by name, with their data.
fn events(stream: &str) -> Vec<(String, Value)> {
    assert!(stream.ends_with("\n\n"));
    let event = |block: &str| {
        let mut lines = block.lines();
        let name = lines.next().unwrap().strip_prefix("event: ").unwrap().to_owned();
        let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
        assert_eq!(lines.next(), None);
        (name, serde_json::from_str(data).unwrap())
    };
    stream.trim_end().split("\n\n").map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_stream_says_the_same() {
    let server = server().await;
    let token = tokens::mint(READER);
    for patient in ["p1", "p999"] {
        let body = json!({"question": "What does she take daily?", "patient": patient});
        let plain = server.post(&token, "/v1/answer", &body).await.expect(200).json();
        let request = server.request(Method::POST, &token, "/v1/answer").json(&body);
        let reply = Reply::read(request.header("accept", "text/event-stream")).await.expect(200);
        assert_eq!(reply.content_type, "text/event-stream");
        let mut events = events(&reply.text());
        let (last, done) = events.pop().unwrap();
        assert_eq!(last, "done");
        assert_eq!((&done["status"], &done["reason"]), (&plain["status"], &plain["reason"]));
        let sentences = plain["sentences"].as_array().unwrap();
        assert_eq!(events.len(), sentences.len());
        for ((name, event), sentence) in events.iter().zip(sentences) {
            assert_eq!(name, "sentence");
            assert_eq!((&event["text"], &event["support"]), (&sentence["text"], &sentence["support"]));
            let cited = event["citations"].as_array().unwrap();
            let numbers: Vec<&Value> = cited.iter().map(|citation| &citation["number"]).collect();
            assert_eq!(json!(numbers), sentence["citations"]);
            for citation in cited {
                let number = usize::try_from(citation["number"].as_u64().unwrap()).unwrap();
                let listed = &plain["citations"][number - 1];
                assert_eq!((&citation["quote"], &citation["span"]), (&listed["quote"], &listed["span"]));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_question_is_a_problem_also_for_a_stream() {
    let server = server().await;
    let request = server.request(Method::POST, &tokens::mint(READER), "/v1/answer").json(&json!({"question": ""}));
    Reply::read(request.header("accept", "text/event-stream")).await.problem(400, "query_empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_of_the_time_in_question_answers_first() {
    let server = Server::start().await;
    let mut records = vec![patient("p1", "Ana", "Ruiz")];
    let others = 0..15;
    records.extend(others.map(|number| {
        note(&format!("n{number}"), "p1", &format!("Aspirin was stopped because of nausea on day {number}."))
    }));
    let mut then = note("then", "p1", "Aspirin was stopped because of the bleed.");
    then["date"] = json!("2021-05-07T08:00:00Z");
    records.push(then);
    server.ingest_fhir(&bundle(&records)).await;
    let body = json!({"question": "Why was aspirin stopped in May 2021?", "patient": "p1"});
    let answer = server.post(&tokens::mint(READER), "/v1/answer", &body).await.expect(200).json();
    assert_eq!(answer["sentences"][0]["text"], "Aspirin was stopped because of the bleed.", "{answer}");
}
