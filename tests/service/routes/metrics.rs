//! The watchers' port.

use serde_json::json;

use crate::builders::{bundle, note, patient};
use crate::harness::{NDJSON, Reply, Server};
use crate::tokens::{self, READER};

const NAMES: [&str; 14] = [
    "anamnesis_deliveries_received_total",
    "anamnesis_records_accepted_total",
    "anamnesis_records_quarantined_total",
    "anamnesis_source_age_seconds",
    "anamnesis_event_to_searchable_seconds_count",
    "anamnesis_search_latency_seconds_bucket",
    "anamnesis_answer_latency_seconds_bucket",
    "anamnesis_audit_seconds_bucket",
    "anamnesis_index_chunks",
    "anamnesis_index_watermark",
    "anamnesis_newest_change",
    "anamnesis_index_lag_seconds",
    "anamnesis_tokens_refused_total",
    "anamnesis_passages_embedded_total",
];

async fn metrics(server: &Server) -> String {
    let reply = Reply::read(server.client.get(format!("{}/metrics", server.operations))).await.expect(200);
    assert!(reply.content_type.starts_with("application/openmetrics-text"));
    reply.text()
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_follow_what_happens_and_hold_nothing_of_any_record() {
    let server = Server::start().await;
    let records = bundle(&[patient("p-figure", "Figureword", "Ruiz"), note("n1", "p-figure", "Secretword pain.")]);
    server.ingest_fhir(&records).await;
    server.ingest_and_wait(NDJSON, "{\"secretword\": \n").await;
    let token = tokens::mint(READER);
    server.search(&token, &json!({"query": "secretword"})).await;
    let question = json!({"question": "secretword?", "patient": "p-figure"});
    server.post(&token, "/v1/answer", &question).await.expect(200);
    server.get("not-a-token", "/v1/whoami").await.expect(401);
    let metrics = metrics(&server).await;
    for name in NAMES {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
    for (series, expected) in [
        ("anamnesis_deliveries_received_total{source=\"ehr\"}", 2.0),
        ("anamnesis_records_accepted_total{source=\"ehr\"}", 2.0),
        ("anamnesis_records_quarantined_total{source=\"ehr\",reason=\"malformed_json\"}", 1.0),
        ("anamnesis_event_to_searchable_seconds_count", 2.0),
        ("anamnesis_index_watermark", 2.0),
        ("anamnesis_newest_change", 2.0),
        ("anamnesis_index_lag_seconds", 0.0),
        ("anamnesis_source_age_seconds{source=\"lab\"}", -1.0),
        ("anamnesis_audit_seconds_count{class=\"refusal\"}", 1.0),
    ] {
        assert_eq!(value(&metrics, series), expected, "{series}");
    }
    assert!(value(&metrics, "anamnesis_index_chunks") >= 2.0);
    let lower = metrics.to_lowercase();
    for word in ["secretword", "figureword", "p-figure", "ruiz", "dr-grey", "pain"] {
        assert!(!lower.contains(word), "{word} shows in the figures");
    }
    assert!(metrics.ends_with("# EOF\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_not_on_the_public_port() {
    let server = Server::start().await;
    server.get(&tokens::mint(READER), "/metrics").await.problem(404, "not_found");
}
