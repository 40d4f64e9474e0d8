//! What protects a browser: precautions on every answer, and pages of other origins let in by name only.

use std::collections::BTreeSet;

use anamnesis::http::openapi_document;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::harness::{Reply, Server};
use crate::tokens::{self, READER};

const FRIEND: &str = "https://crm.example.org";

/// Each method and path of the API document, with something in the place of what is variable.
fn routes() -> Vec<(Method, String)> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let variable = ["{id}", "{source}", "{type}", "{caller}", "{patient}"];
        let path = variable.iter().fold(path.clone(), |path, name| path.replace(name, "none"));
        assert!(!path.contains('{'), "{path}");
        let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
        let documented = methods.into_iter().filter(|method| item.get(method.as_str().to_lowercase()).is_some());
        routes.extend(documented.map(|method| (method, path.clone())));
    }
    assert!(routes.len() > 40);
    routes
}

async fn ask(server: &Server, method: &Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = server.client.request(method.clone(), format!("{}{path}", server.base));
    Reply::read(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_takes_precautions() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", tokens::good());
    let elsewhere =
        [(Method::GET, "/"), (Method::GET, "/openapi.json"), (Method::GET, "/nowhere"), (Method::POST, "/")];
    let elsewhere = elsewhere.map(|(method, path)| (method, path.to_owned()));
    let mut statuses = BTreeSet::new();
    for (method, path) in routes().into_iter().chain(elsewhere) {
        for headers in [&[][..], &[("authorization", bearer.as_str())]] {
            let reply = ask(&server, &method, &path, headers).await;
            statuses.insert(reply.status);
            let is = |name: &str, value: &str| assert_eq!(reply.headers[name], value, "{method} {path}");
            is("x-content-type-options", "nosniff");
            is("x-frame-options", "DENY");
            is("referrer-policy", "no-referrer");
            is("cross-origin-opener-policy", "same-origin");
            is("cross-origin-resource-policy", "same-origin");
            is("permissions-policy", "camera=(), geolocation=(), microphone=()");
            let policies: Vec<_> = reply.headers.get_all("content-security-policy").iter().collect();
            let [policy] = policies.as_slice() else { panic!("{method} {path} has {policies:?}") };
            let directives: Vec<_> = policy.to_str().unwrap().split("; ").collect();
            for directive in ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
                assert!(directives.contains(&directive), "{method} {path} has {policy:?}");
            }
            let default = directives.iter().find(|directive| directive.starts_with("default-src ")).unwrap();
            let is_page = path == "/" && reply.status == 200 && reply.content_type.starts_with("text/html");
            assert_eq!(*default, if is_page { "default-src 'self'" } else { "default-src 'none'" });
            assert!(!reply.headers.contains_key("strict-transport-security"), "it is not spoken by TLS");
            assert!(!reply.headers.contains_key("server"));
            if path.starts_with("/v1/") {
                is("cache-control", "no-store");
            }
        }
    }
    assert!([200, 401, 404].into_iter().all(|status| statuses.contains(&status)), "{statuses:?}");
}

fn granted(headers: &HeaderMap) -> Option<&str> {
    assert!(!headers.contains_key("access-control-allow-credentials"));
    assert!(headers.get_all("access-control-allow-origin").iter().count() <= 1);
    headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap())
}

/// The words of a header that lists some, in lower case.
fn listed(headers: &HeaderMap, name: &str) -> BTreeSet<String> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_lowercase());
    values.flat_map(|value| value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>()).collect()
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_origins_no_page_of_another_is_let_in() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", tokens::good());
    for (method, path) in routes() {
        let preflight = [("origin", FRIEND), ("access-control-request-method", method.as_str())];
        assert_eq!(granted(&ask(&server, &Method::OPTIONS, &path, &preflight).await.headers), None, "{path}");
        let headers = [("origin", FRIEND), ("authorization", bearer.as_str())];
        assert_eq!(granted(&ask(&server, &method, &path, &headers).await.headers), None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_named_origin_may_ask_and_those_of_others_may_not() {
    let second = "https://portal.example.org:8443";
    let server = Server::with(|config| {
        config.http.allowed_origins = vec![FRIEND.to_owned(), second.to_owned()];
    })
    .await;
    let bearer = format!("Bearer {}", tokens::good());
    for (method, path) in routes() {
        for friend in [FRIEND, second] {
            let preflight = [
                ("origin", friend),
                ("access-control-request-method", method.as_str()),
                ("access-control-request-headers", "authorization, content-type, x-break-glass"),
            ];
            let reply = ask(&server, &Method::OPTIONS, &path, &preflight).await.expect(200);
            assert_eq!(granted(&reply.headers), Some(friend), "{method} {path}");
            assert!(listed(&reply.headers, "vary").contains("origin"));
            assert!(listed(&reply.headers, "access-control-allow-methods").contains(&method.as_str().to_lowercase()));
            let headers = words(&["accept", "authorization", "content-type", "x-break-glass"]);
            assert_eq!(listed(&reply.headers, "access-control-allow-headers"), headers);
            assert_eq!(reply.headers["access-control-max-age"], "600");
            for headers in [&[("origin", friend)][..], &[("origin", friend), ("authorization", bearer.as_str())]] {
                let reply = ask(&server, &method, &path, headers).await;
                assert_eq!(granted(&reply.headers), Some(friend), "{method} {path} {}", reply.status);
                assert!(listed(&reply.headers, "vary").contains("origin"));
                let exposed = words(&["retry-after", "www-authenticate", "x-request-id"]);
                assert_eq!(listed(&reply.headers, "access-control-expose-headers"), exposed);
            }
        }
        for stranger in [
            "https://evil.example",
            "https://crm.example.org.evil.example",
            "https://evil-crm.example.org",
            "https://crm.example.org:444",
            "http://crm.example.org",
            "null",
            "*",
        ] {
            let preflight = [("origin", stranger), ("access-control-request-method", method.as_str())];
            let refused = ask(&server, &Method::OPTIONS, &path, &preflight).await.expect(400);
            assert_eq!(granted(&refused.headers), None, "{method} {path} for {stranger}");
            let reply = ask(&server, &method, &path, &[("origin", stranger), ("authorization", &bearer)]).await;
            assert_eq!(granted(&reply.headers), None, "{method} {path} for {stranger}");
            assert!(listed(&reply.headers, "vary").contains("origin"), "a cache must not give it to a friend");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_or_header_that_no_route_takes_is_not_granted() {
    let server = Server::with(|config| config.http.allowed_origins = vec![FRIEND.to_owned()]).await;
    for (name, value) in [
        ("access-control-request-method", "PATCH"),
        ("access-control-request-method", "TRACE"),
        ("access-control-request-headers", "authorization, x-forwarded-for"),
    ] {
        let mut preflight = vec![("origin", FRIEND), (name, value)];
        if name != "access-control-request-method" {
            preflight.push(("access-control-request-method", "GET"));
        }
        let refused = ask(&server, &Method::OPTIONS, "/v1/whoami", &preflight).await;
        assert_eq!((refused.status, granted(&refused.headers)), (400, None), "{name}: {value}");
    }
    let reply = server.get(&tokens::mint(READER), "/v1/whoami").await.expect(200);
    assert_eq!(granted(&reply.headers), None, "who is no browser is told nothing");
    assert!(listed(&reply.headers, "vary").contains("origin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_a_pattern_keeps_the_service_from_starting() {
    for origin in ["*", "null", "https://*.example.org", "https://crm.example.org/", "http://crm.example.org"] {
        let refusal = Server::refusal(|config| config.http.allowed_origins = vec![origin.to_owned()]).await;
        assert!(refusal.to_string().contains(origin), "{refusal}");
    }
}
