//! Signed posts: who may send them, what a second one does, and that disorder loses nothing.

use anamnesis::config::Config;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use sha2::Sha256;

use crate::harness::{Reply, Server, text};
use crate::tokens::{self, ADMIN, SENDER};

const SECRET: &[u8] = b"a webhook's secret of the tests";

/// The sources `crm` (generic), `hubspot` and `salesforce`, beside the two that only take tokens.
fn with_webhooks(config: &mut Config) {
    let secrets = config.data_dir.join("secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("crm-key"), SECRET).unwrap();
    config.secrets_dir = Some(secrets);
    config.public_url = Some("https://hooks.example/".to_owned());
    for (name, signature) in [("crm", "generic"), ("hubspot", "hubspot"), ("salesforce", "salesforce")] {
        let mut source = config.sources[0].clone();
        source.name = name.to_owned();
        source.mapping = Some("hubspot".into());
        let feed = format!("mode = \"webhook\"\nsignature = \"{signature}\"\nsecret = \"crm-key\"\ntolerance_s = 60");
        source.feed = Some(toml::from_str(&feed).unwrap());
        config.sources.push(source);
    }
}

fn mac(parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

fn signed_at(time: i64, body: &str) -> HeaderMap {
    let time = time.to_string();
    let signature = hex::encode(mac(&[time.as_bytes(), b".", body.as_bytes()]));
    headers(&[("x-anamnesis-timestamp", &time), ("x-anamnesis-signature", &signature)])
}

async fn post(server: &Server, path: &str, headers: HeaderMap, body: &str) -> Reply {
    let request = server.client.post(format!("{}/v1/webhooks/{path}", server.base)).headers(headers);
    Reply::read(request.header("content-type", "application/json").body(body.to_owned())).await
}

fn ticket(id: u32, word: &str, version: u32) -> String {
    json!({
        "id": id.to_string(), "archived": false, "updatedAt": format!("2024-05-01T10:{version:02}:00Z"),
        "properties": { "subject": word, "hs_pipeline_stage": "1" },
    })
    .to_string()
}

async fn indexed(server: &Server, reply: &Reply) {
    let receipt = text(&reply.json()["receipt"]);
    server.wait_for(&tokens::mint(SENDER), &receipt, "indexed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_post_lands_and_is_found() {
    let server = Server::with(with_webhooks).await;
    let body = ticket(1, "invoiceword", 1);
    let reply = post(&server, "crm", signed_at(now(), &body), &body).await.expect(202);
    indexed(&server, &reply).await;
    server.document_with("invoiceword").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hubspot_and_salesforce_sign_in_their_own_ways() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let server = Server::with(with_webhooks).await;
    let body = format!("[{}]", ticket(1, "hubspotword", 1));
    let time = (now() * 1_000).to_string();
    let address = b"https://hooks.example/v1/webhooks/hubspot?tenant=north";
    let signature = STANDARD.encode(mac(&[b"POST", address, body.as_bytes(), time.as_bytes()]));
    let signed = || headers(&[("x-hubspot-request-timestamp", &time), ("x-hubspot-signature-v3", &signature)]);
    let reply = post(&server, "hubspot?tenant=north", signed(), &body).await.expect(202);
    indexed(&server, &reply).await;
    server.document_with("hubspotword").await;
    post(&server, "hubspot", signed(), &body).await.problem(401, "signature_invalid");

    let body = ticket(2, "salesforceword", 1);
    let signature = STANDARD.encode(mac(&[body.as_bytes()]));
    let reply = post(&server, "salesforce", headers(&[("x-salesforce-signature", &signature)]), &body).await;
    indexed(&server, &reply.expect(202)).await;
    server.document_with("salesforceword").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_post_again_has_no_second_effect() {
    let server = Server::with(with_webhooks).await;
    let body = ticket(1, "onceword", 1);
    let signed_when = now();
    let signed = signed_at(signed_when, &body);
    let first = post(&server, "crm", signed.clone(), &body).await.expect(202);
    indexed(&server, &first).await;
    let first = first.json();
    for _ in 0..3 {
        let again = post(&server, "crm", signed.clone(), &body).await.expect(200).json();
        assert_eq!(again, first);
    }
    // The same content signed anew is another post, and changes nothing either.
    let anew = post(&server, "crm", signed_at(signed_when - 1, &body), &body).await.expect(202);
    assert_ne!(anew.json()["receipt"], first["receipt"]);
    indexed(&server, &anew).await;
    server.document_with("onceword").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_looks_the_same() {
    let server = Server::with(with_webhooks).await;
    let body = ticket(1, "secretword", 1);
    let good = || signed_at(now(), &body);
    let other_body = signed_at(now(), "{}");
    let cases = [
        ("no signature", "crm", HeaderMap::new()),
        ("a signature of another body", "crm", other_body),
        ("an old signature", "crm", signed_at(now() - 120, &body)),
        ("a signature of the future", "crm", signed_at(now() + 120, &body)),
        ("an unknown source", "nowhere", good()),
        ("a name that can't be", "No_Where", good()),
        ("a source that takes tokens only", "ehr", good()),
        ("another tenant", "crm?tenant=south", good()),
        ("another scheme", "salesforce", good()),
    ];
    let mut answers = Vec::new();
    for (what, path, headers) in cases {
        let reply = post(&server, path, headers, &body).await;
        assert_eq!(reply.headers["www-authenticate"], "Signature realm=\"anamnesis\"", "{what}");
        answers.push(reply.problem(401, "signature_invalid"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert!(server.found("secretword").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_opens_its_own_tenant_only() {
    let server = Server::with(with_webhooks).await;
    let admin_south = tokens::mint_in("south", ADMIN);
    let mut declared = json!({"patients": "main", "warn_after_s": 1, "error_after_s": 2, "mapping": "hubspot"});
    declared["feed"] = json!({"mode": "webhook", "signature": "generic", "secret": "south-key"});
    server.put(&admin_south, "/v1/admin/sources/crm", &declared).await.expect(200);
    let body = ticket(1, "northword", 1);
    // Signed with the secret of the north, and the south's isn't configured at all.
    post(&server, "crm?tenant=south", signed_at(now(), &body), &body).await.problem(401, "signature_invalid");
    let reply = post(&server, "crm?tenant=north", signed_at(now(), &body), &body).await.expect(202);
    indexed(&server, &reply).await;
    assert!(server.search(&tokens::mint_in("south", "user/*.rs"), &json!({"query": "northword"})).await.is_empty());
    server.document_with("northword").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_no_token_and_a_token_no_signature() {
    let server = Server::with(with_webhooks).await;
    let body = ticket(1, "word", 1);
    let request = server.client.post(format!("{}/v1/sources/crm/records", server.base));
    let request =
        request.headers(signed_at(now(), &body)).header("content-type", "application/json").body(body.clone());
    Reply::read(request).await.problem(401, "token_missing");
    server
        .send_to(&tokens::mint(SENDER), "/v1/webhooks/crm", "application/json", body)
        .await
        .problem(401, "signature_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_large_is_refused_before_it_is_checked() {
    let server = Server::with(|config| {
        with_webhooks(config);
        config.max_body_bytes = 1_000;
    })
    .await;
    let body = "x".repeat(1_001);
    for path in ["crm", "nowhere"] {
        post(&server, path, signed_at(now(), &body), &body).await.problem(413, "body_too_large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_post_that_holds_nothing_is_told_so() {
    let server = Server::with(with_webhooks).await;
    post(&server, "crm", signed_at(now(), ""), "").await.problem(400, "body_empty");
    let request = server.client.post(format!("{}/v1/webhooks/crm", server.base)).headers(signed_at(now(), "{}"));
    Reply::read(request.header("content-type", "image/png").body("{}")).await.problem(415, "unsupported_media_type");
}

/// A sender that tries again until it is told that its post has landed.
#[tokio::test(flavor = "multi_thread")]
async fn lost_doubled_late_and_shuffled_posts_end_in_what_the_source_holds() {
    const TICKETS: u32 = 12;
    const VERSIONS: u32 = 5;
    let server = Server::with(with_webhooks).await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut posts: Vec<(u32, u32)> =
        (0..TICKETS).flat_map(|id| (1..=VERSIONS).map(move |version| (id, version))).collect();
    for at in 1..posts.len() {
        if random.u32(0..10) == 0 {
            posts.swap(at, random.usize(0..at));
        }
    }
    let mut taken = Vec::new();
    while !posts.is_empty() {
        let (id, version) = posts.remove(0);
        let body = ticket(id, &format!("t{id}v{version}x"), version);
        let fate = random.u32(0..10);
        if fate == 0 {
            // Lost on its way: it comes again, behind others.
            posts.push((id, version));
            continue;
        }
        if fate == 1 {
            // So late that its signature is stale: it is refused and comes again.
            post(&server, "crm", signed_at(now() - 3_600, &body), &body).await.problem(401, "signature_invalid");
            posts.insert(posts.len().min(5), (id, version));
            continue;
        }
        let signed = signed_at(now(), &body);
        let reply = post(&server, "crm", signed.clone(), &body).await.expect(202);
        if fate == 2 {
            post(&server, "crm", signed, &body).await.expect(200);
        }
        taken.push(reply);
    }
    // The last may be an older state, with which the index has nothing to do and which is therefore ready at once.
    for reply in &taken {
        indexed(&server, reply).await;
    }
    for id in 0..TICKETS {
        for version in 1..=VERSIONS {
            let expected = usize::from(version == VERSIONS);
            assert_eq!(
                server.found(&format!("t{id}v{version}x")).await.len(),
                expected,
                "ticket {id} version {version}"
            );
        }
    }
}
