//! Health, the API document, and the headers that every reply has.

use serde_json::json;

use crate::harness::{Reply, Server};
use crate::tokens::{self, READER};

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_token() {
    let server = Server::start().await;
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let reply = Reply::read(server.client.get(format!("{}{path}", server.base))).await.expect(200);
        assert_eq!(reply.json(), json!({"status": status}));
    }
    let operations = Reply::read(server.client.get(format!("{}/health", server.operations))).await.expect(200);
    assert_eq!(operations.text(), "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_and_names_the_routes() {
    let server = Server::start().await;
    let reply = Reply::read(server.client.get(format!("{}/openapi.json", server.base))).await.expect(200);
    let document = reply.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert_eq!(document, serde_json::to_value(anamnesis::http::openapi_document()).unwrap());
}

#[test]
fn the_document_tells_of_what_any_route_may_answer() {
    let document = serde_json::to_value(anamnesis::http::openapi_document()).unwrap();
    let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let (mut closed, mut with_body) = (0, 0);
    for (method, operation) in operations.filter(|(_, operation)| operation.get("security").is_some()) {
        let has = |status: &str| operation["responses"].get(status).is_some();
        assert!(["400", "401", "408", "429", "500", "503"].into_iter().all(has), "{method} {operation}");
        closed += 1;
        if operation.get("requestBody").is_some() {
            assert!(["413", "415"].into_iter().all(has), "{method} {operation}");
            with_body += 1;
        }
    }
    assert!(closed > 30 && with_body > 10, "{closed} {with_body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reply_has_an_id_of_its_own_and_is_not_stored() {
    let server = Server::start().await;
    let token = tokens::mint(READER);
    let ask = async || {
        let request = server.request(reqwest::Method::GET, &token, "/v1/whoami").header("x-request-id", "mine");
        Reply::read(request).await.expect(200).headers
    };
    let (first, second) = (ask().await, ask().await);
    assert_ne!(first["x-request-id"], second["x-request-id"]);
    assert_ne!(first["x-request-id"], "mine");
    assert_eq!(first["cache-control"], "no-store");
    assert_eq!(first["x-content-type-options"], "nosniff");
    assert_eq!(first["referrer-policy"], "no-referrer");
}
