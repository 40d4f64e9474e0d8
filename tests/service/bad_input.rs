//! Whatever is sent: a problem with a stable code, or a place in quarantine; and the service goes on.

use futures_util::stream;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::builders::{CRM, note, patient};
use crate::harness::{FHIR, NDJSON, Reply, Server, TEXT, text};
use crate::tokens::{self, ADMIN, READER, SENDER};

/// The reasons that quarantine gives, oldest first.
async fn reasons(server: &Server) -> Vec<String> {
    server.quarantine().await.iter().map(|item| text(&item["reason"])).collect()
}

async fn bytes_of(server: &Server, item: &Value) -> Vec<u8> {
    let path = format!("/v1/admin/quarantine/{}/bytes", text(&item["id"]));
    server.get(&tokens::mint(ADMIN), &path).await.expect(200).bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_request_is_refused() {
    let server = Server::start().await;
    let token = tokens::mint(READER);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let send =
        async |path: &str, content_type: &str, body: &[u8]| server.send_to(&token, path, content_type, body).await;
    for (body, status, code) in [
        (&b"{\"query\": \"pain\""[..], 400, "body_invalid"),
        (b"", 400, "body_invalid"),
        (b"null", 400, "body_invalid"),
        (b"[]", 400, "body_invalid"),
        (b"{}", 400, "body_invalid"),
        (b"{\"query\": 7}", 400, "body_invalid"),
        (b"{\"query\": \"pain\", \"limit\": -1}", 400, "body_invalid"),
        (b"{\"query\": \"pain\", \"limit\": 1e99}", 400, "body_invalid"),
        (b"{\"query\": \"pain\", \"wat\": 1}", 400, "body_invalid"),
        (b"{\"query\": \"pain\", \"filters\": {\"wat\": 1}}", 400, "body_invalid"),
        (b"{\"query\": \"pain\", \"filters\": null}", 400, "body_invalid"),
        (b"{\"query\": \"\xff\xfe\"}", 400, "body_invalid"),
        (deep.as_bytes(), 400, "body_invalid"),
        (b"{\"query\": \"\"}", 400, "query_empty"),
        (b"{\"query\": \" \\n \"}", 400, "query_empty"),
        (b"{\"query\": \"pain\", \"limit\": 0}", 400, "limit_out_of_range"),
        (b"{\"query\": \"pain\", \"limit\": 101}", 400, "limit_out_of_range"),
        (b"{\"query\": \"pain\", \"mode\": \"psychic\"}", 400, "unknown_mode"),
        (b"{\"query\": \"pain\", \"filters\": {\"kinds\": [\"rumour\"]}}", 400, "unknown_kind"),
        (b"{\"query\": \"pain\", \"filters\": {\"from\": \"yesterday\"}}", 400, "invalid_time"),
        (
            b"{\"query\": \"pain\", \"filters\": {\"from\": \"2024-02-01\", \"to\": \"2024-01-01\"}}",
            400,
            "date_range_reversed",
        ),
    ] {
        let reply = send("/v1/search", "application/json", body).await;
        let shown: String = String::from_utf8_lossy(body).chars().take(80).collect();
        assert_eq!((reply.status, reply.json()["code"].clone()), (status, json!(code)), "{shown}");
        reply.problem(status, code);
    }
    let long = json!({"query": "pain ".repeat(1_000)}).to_string();
    send("/v1/search", "application/json", long.as_bytes()).await.problem(400, "query_too_long");
    let huge = json!({"query": "pain ".repeat(100_000)}).to_string();
    send("/v1/search", "application/json", huge.as_bytes()).await.problem(413, "body_too_large");
    let plain = send("/v1/search", "text/plain", b"{\"query\": \"pain\"}").await;
    plain.problem(415, "unsupported_media_type");
    let question = json!({"query": "pain"}).to_string();
    send("/v1/answer", "application/json", question.as_bytes()).await.problem(400, "body_invalid");
    send("/v1/answer", "application/json", b"{\"question\": \"  \"}").await.problem(400, "query_empty");
    server.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_never_repeats_what_was_sent() {
    let server = Server::start().await;
    let token = tokens::mint(READER);
    for body in [
        json!({"query": "x", "mode": "secretvalue"}),
        json!({"query": "x", "secretvalue": 1}),
        json!({"query": "x", "limit": "secretvalue"}),
        json!({"query": "x", "filters": {"kinds": ["secretvalue"]}}),
        json!({"query": "x", "filters": {"from": "secretvalue"}}),
    ] {
        let reply = server.post(&token, "/v1/search", &body).await.expect(400);
        assert!(!reply.text().contains("secretvalue"), "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_strings_and_paths_that_make_no_sense_are_refused() {
    let server = Server::start().await;
    let token = tokens::mint(&format!("{READER} {ADMIN}"));
    for (path, status, code) in [
        ("/v1/patients?limit=many", 400, "query_string_invalid"),
        ("/v1/patients?limit=-1", 400, "query_string_invalid"),
        ("/v1/patients?limit=0", 400, "limit_out_of_range"),
        ("/v1/patients?limit=201", 400, "limit_out_of_range"),
        ("/v1/admin/quarantine?limit=0", 400, "limit_out_of_range"),
        ("/v1/admin/findings?limit=201", 400, "limit_out_of_range"),
        ("/v1/documents/x?version=two", 400, "query_string_invalid"),
        ("/v1/documents/x?version=-1", 400, "query_string_invalid"),
        ("/v1/documents/x?version=99999999999", 400, "query_string_invalid"),
        ("/v1/documents/x?version=0", 404, "not_found"),
        ("/v1/documents/%ff%fe", 404, "not_found"),
        ("/v1/documents/x%00y", 404, "not_found"),
        ("/v1/documents/..%2f..%2fetc", 404, "not_found"),
        ("/v1/documents/'%20OR%20'1'%3D'1", 404, "not_found"),
        ("/v1/patients/'%20OR%20'1'%3D'1/context", 404, "not_found"),
        ("/v1/receipts/%20", 404, "not_found"),
        ("/v1/admin/jobs/none", 404, "not_found"),
        ("/v1/admin/quarantine/none/bytes", 404, "not_found"),
        ("/v1/nothing", 404, "not_found"),
        ("/v2/search", 404, "not_found"),
        ("/nothing", 404, "not_found"),
    ] {
        let reply = server.get(&token, path).await;
        assert_eq!((reply.status, reply.json()["code"].clone()), (status, json!(code)), "{path}");
        reply.problem(status, code);
    }
    let cursor = "/v1/admin/findings?cursor=no.such.cursor";
    assert_eq!(server.get(&token, cursor).await.expect(200).json()["items"], json!([]));
    server.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_so() {
    let server = Server::start().await;
    let token = tokens::mint(&format!("{READER} {ADMIN}"));
    for (method, path) in [
        (Method::GET, "/v1/search"),
        (Method::DELETE, "/v1/search"),
        (Method::POST, "/v1/freshness"),
        (Method::PUT, "/v1/documents/abc"),
        (Method::PATCH, "/v1/admin/sources/ehr"),
        (Method::DELETE, "/v1/admin/jobs"),
        (Method::POST, "/health/live"),
    ] {
        let reply = Reply::read(server.request(method.clone(), &token, path)).await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert!(!reply.headers["allow"].is_empty());
        reply.problem(405, "method_not_allowed");
    }
    for (method, path) in [(Method::POST, "/v1/nothing"), (Method::DELETE, "/nothing")] {
        Reply::read(server.request(method, &token, path)).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_authorization_headers_are_refused() {
    let server = Server::start().await;
    let good = format!("Bearer {}", tokens::good());
    let once = server.client.get(format!("{}/v1/whoami", server.base)).header("authorization", &good);
    Reply::read(once.try_clone().unwrap()).await.expect(200);
    Reply::read(once.header("authorization", &good)).await.problem(400, "authorization_repeated");
    for value in ["Basic dXNlcjpwYXNz", "Bearer", "Bearer  ", "token"] {
        let request = server.client.get(format!("{}/v1/whoami", server.base)).header("authorization", value);
        Reply::read(request).await.problem(401, "token_missing");
    }
    let in_the_path = format!("/v1/whoami?access_token={}", tokens::good());
    let request = server.client.get(format!("{}{in_the_path}", server.base));
    Reply::read(request).await.problem(401, "token_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_cannot_be_taken_is_refused() {
    let server = Server::start().await;
    let sender = tokens::mint(SENDER);
    let send =
        async |source: &str, content_type: &str, body: &str| server.send(&sender, source, content_type, body).await;
    for content_type in ["application/zip", "image/png", "nonsense", "multipart/form-data; boundary=x"] {
        send("ehr", content_type, "{}").await.problem(415, "unsupported_media_type");
    }
    let untyped = server.request(Method::POST, &sender, "/v1/sources/ehr/records").body("{}");
    Reply::read(untyped).await.problem(415, "unsupported_media_type");
    for source in ["nowhere", "UPPER", "a%20b", "..%2fehr"] {
        send(source, FHIR, "{}").await.problem(404, "unknown_source");
    }
    for content_type in [FHIR, NDJSON, TEXT] {
        send("ehr", content_type, "").await.problem(400, "body_empty");
    }
    send("ehr", "text/csv", "id,person\n1,p1\n").await.problem(400, "source_without_mapping");
    send("ehr", CRM, "[]").await.problem(400, "source_without_mapping");
    assert!(server.quarantine().await.is_empty());
    server.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let server = Server::start().await;
    let head = format!(
        "POST /v1/sources/ehr/records HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n\
         Content-Type: {FHIR}\r\nContent-Length: {}\r\n\r\n",
        tokens::mint(SENDER),
        100 * 1024 * 1024
    );
    let address = server.address;
    let reply = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&reply).contains("body_too_large") {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "closed after {}", String::from_utf8_lossy(&reply));
            reply.extend_from_slice(&part[..read]);
        }
        String::from_utf8(reply).unwrap()
    });
    let reply = reply.await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
    assert!(reply.contains("application/problem+json"), "{reply}");
    server.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_grows_too_large_is_refused() {
    let server = Server::with(|config| config.max_body_bytes = 20_000).await;
    let sender = tokens::mint(SENDER);
    let request = |parts: usize| {
        let parts = (0..parts).map(|_| Ok::<_, std::io::Error>("word ".repeat(200)));
        let body = reqwest::Body::wrap_stream(stream::iter(parts));
        server.request(Method::POST, &sender, "/v1/sources/ehr/records").header("content-type", TEXT).body(body)
    };
    Reply::read(request(20)).await.expect(202);
    Reply::read(request(21)).await.problem(413, "body_too_large");
    let announced = server.send(&sender, "ehr", TEXT, vec![b'a'; 20_001]).await;
    announced.problem(413, "body_too_large");
    server.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_is_held_and_its_neighbours_are_stored() {
    let server = Server::start().await;
    let broken = "{\"resourceType\":\"Patient\",\"id\":\"p2\",\"name\":[{\"family\":\"Tru";
    let feed = format!("{}\n{broken}\n{}\n", patient("p1", "Ana", "Ruiz"), note("n1", "p1", "After the brokenline."));
    let receipt = server.ingest_and_wait(NDJSON, feed).await;
    assert_eq!(receipt["account"]["records"], 3);
    assert_eq!(receipt["account"]["stored"], 2);
    assert_eq!(receipt["account"]["quarantined"], json!({"malformed_json": 1}));
    let held = server.quarantine().await;
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0]["reason"], &held[0]["ordinal"]), (&json!("malformed_json"), &json!(1)));
    assert!(text(&held[0]["detail"]).starts_with("line 2 column "), "{}", held[0]);
    assert_eq!(held[0]["receipt"], receipt["receipt"]);
    assert_eq!(held[0]["bytes"], broken.len());
    assert_eq!(bytes_of(&server, &held[0]).await, broken.as_bytes());
    assert_eq!(server.found("brokenline").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_held_as_they_came() {
    let server = Server::start().await;
    let mut line = br#"{"resourceType":"Patient","id":"p9","name":[{"family":""#.to_vec();
    line.extend_from_slice(b"\xff\xfe\"}]}");
    let mut feed = format!("{}\n", patient("p1", "Ana", "Ruiz")).into_bytes();
    feed.extend_from_slice(&line);
    let receipt = server.ingest_and_wait(NDJSON, feed).await;
    assert_eq!(receipt["account"]["quarantined"], json!({"invalid_utf8": 1}));
    let note = b"Pain \xff\x02 in the chest".to_vec();
    server.ingest_and_wait(TEXT, note.clone()).await;
    let body = b"\x80\x81\x82".to_vec();
    server.ingest_and_wait(FHIR, body.clone()).await;
    let held = server.quarantine().await;
    assert_eq!(reasons(&server).await, ["invalid_utf8"; 3]);
    for (item, bytes) in held.iter().zip([line, note, body]) {
        assert_eq!(bytes_of(&server, item).await, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_unreadable_record_is_held_for_its_reason() {
    let server = Server::start().await;
    let nested = format!("{{\"resourceType\":\"Basic\",\"x\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let mut bundles = json!({"resourceType": "Bundle", "entry": [{"resource": patient("p1", "Ana", "Ruiz")}]});
    for _ in 0..12 {
        bundles = json!({"resourceType": "Bundle", "entry": [{"resource": bundles}]});
    }
    let bundles = bundles.to_string();
    let linked = json!({
        "resourceType": "DocumentReference", "id": "n1", "status": "current",
        "content": [{"attachment": {"contentType": "application/pdf", "data": "JVBERg=="}}],
    });
    let linked = linked.to_string();
    let cases: [(&str, &str, &str); 16] = [
        (FHIR, "{\"resourceType\": \"Patient\"", "malformed_json"),
        (FHIR, "not json at all", "malformed_json"),
        (FHIR, "   ", "malformed_json"),
        (FHIR, &nested, "malformed_json"),
        (FHIR, "null", "invalid_resource"),
        (FHIR, "7", "invalid_resource"),
        (FHIR, "[]", "not_fhir"),
        (FHIR, "{}", "not_fhir"),
        (FHIR, "{\"resourceType\": 7}", "not_fhir"),
        (FHIR, "{\"resourceType\": \"Horoscope\"}", "unknown_resource"),
        (FHIR, "{\"resourceType\": \"Observation\", \"id\": \"o1\", \"status\": \"final\"}", "invalid_resource"),
        (FHIR, "{\"resourceType\": \"Bundle\", \"entry\": [7]}", "invalid_resource"),
        (FHIR, &bundles, "invalid_resource"),
        (FHIR, &linked, "unreadable_attachment"),
        (TEXT, " \n\t\n", "empty_note"),
        (TEXT, "---\nid: n1\npatient: p1\n---\n\n", "empty_note"),
    ];
    for (content_type, body, reason) in cases {
        let receipt = server.ingest_and_wait(content_type, body).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(receipt["account"]["quarantined"], json!({reason: 1}), "{shown}");
        let held = server.quarantine().await;
        let item = held.last().unwrap();
        assert_eq!(item["receipt"], receipt["receipt"]);
        if !body.contains("\"Bundle\"") {
            assert_eq!(bytes_of(&server, item).await, body.as_bytes(), "{shown}");
        }
    }
    server.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_not_in_the_reasons() {
    let server = Server::start().await;
    for body in [
        "{\"resourceType\": \"Secretvalue\"}",
        "{\"secretvalue\": ",
        "{\"resourceType\":\"Patient\",\"id\":{\"secretvalue\":1}}",
    ] {
        server.ingest_and_wait(FHIR, body).await;
    }
    let held = server.quarantine().await;
    assert_eq!(held.len(), 3);
    assert!(!json!(held).to_string().to_lowercase().contains("secretvalue"), "{held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_sense_are_refused() {
    let server = Server::start().await;
    let admin = tokens::mint(ADMIN);
    let body = |change: Value| {
        let mut body = json!({"patients": "main", "warn_after_s": 1, "error_after_s": 2, "mapping": null});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    for (name, change, code) in [
        ("Upper", json!({}), "source_name_invalid"),
        ("a_b", json!({}), "source_name_invalid"),
        ("new", json!({"patients": ""}), "source_invalid"),
        ("new", json!({"warn_after_s": 3}), "source_invalid"),
        ("new", json!({"warn_after_s": -3}), "body_invalid"),
        ("new", json!({"unknown": 3}), "body_invalid"),
        ("new", json!({"mapping": {"key": "id"}}), "mapping_invalid"),
        ("new", json!({"mapping": "no-such-mapping"}), "mapping_invalid"),
    ] {
        server.put(&admin, &format!("/v1/admin/sources/{name}"), &body(change)).await.problem(400, code);
    }
    let mut mapping = crate::builders::crm_source("id");
    mapping["mapping"]["kind"] = json!("rumour");
    server.put(&admin, "/v1/admin/sources/new", &mapping).await.problem(400, "mapping_invalid");
    for target in [
        json!({"scope": "everything"}),
        json!({"scope": "all", "id": "x"}),
        json!({"scope": "patient"}),
        json!({"scope": "document", "id": null}),
    ] {
        server.post(&admin, "/v1/admin/reindex", &target).await.problem(400, "reindex_target_invalid");
    }
    server.post(&admin, "/v1/admin/reindex", &json!({"scope": "all", "wat": 1})).await.problem(400, "body_invalid");
    let sources = server.get(&admin, "/v1/admin/sources").await.json();
    assert_eq!(sources["sources"].as_array().unwrap().len(), 2);
}
