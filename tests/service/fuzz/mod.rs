//! Random callers ask random things of every route of the API document, and of the port for HL7 messages; a second
//! reading of the rules, which shares no code with the service, says which words may come back. None other ever does.
//!
//! `ANAMNESIS_FUZZ` sets how many requests are made; the default is what runs with the other tests.

mod asking;
mod reference;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anamnesis::http::openapi_document;
use regex::Regex;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::Reply;
use crate::mllp::Sender;
use asking::{Asked, ask, message, principal, token};
use reference::{MASKED, Principal, allowed, scopes};
use world::{World, break_glass, world};

const REQUESTS: usize = 20_000;
const TASKS: usize = 16;
const SEED: u64 = 20_261_128;
/// One of so many goes to the port for HL7 messages.
const MESSAGES: usize = 200;
/// After so many requests the glass is broken anew, long before the grant ends.
const RENEWAL: usize = 5_000;
const ATTEMPTS: usize = 3;

/// Method and path of every route that takes a token.
fn routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete"] {
            if item.get(method).is_some() {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    routes
}

/// All that came back, for a look at each word of the world. The caller's own question before is no record.
fn shown(asked: &Asked, reply: &Reply) -> String {
    let mut shown = reply.text().to_lowercase();
    if asked.template == "/v1/answer"
        && let Ok(mut answer) = serde_json::from_slice::<Value>(&reply.bytes)
        && let Some(answer) = answer.as_object_mut()
    {
        answer.remove("understood_as");
        shown = Value::Object(answer.clone()).to_string().to_lowercase();
    }
    for value in reply.headers.values() {
        shown.push_str(&String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    }
    shown
}

/// The status of a document that is asked for by its id.
fn expected_status(who: &Principal, asked: &Asked, opens: bool) -> Option<u16> {
    if who.breaks_glass && !who.may_break_glass() {
        return Some(403);
    }
    let is_there = asked.named.is_some() && !asked.path.contains("version=2") && who.client != Some(MASKED);
    is_there.then_some(if opens { 200 } else { 404 })
}

struct Fuzz {
    world: World,
    routes: Vec<(String, String)>,
    grammar: Regex,
    asked: Vec<AtomicUsize>,
    next: AtomicUsize,
    requests: usize,
}

impl Fuzz {
    async fn one(&self, seed: u64) -> (u16, bool) {
        let mut random = fastrand::Rng::with_seed(seed);
        let who = principal(&mut random);
        let asked = ask(&mut random, &self.world, &self.routes);
        self.asked[asked.route].fetch_add(1, Ordering::Relaxed);
        let reply = self.reply(&who, &asked).await;
        let told = || format!("seed {seed}: {who:?} asked {} {} {:?}", asked.method, asked.path, asked.body);
        assert!(reply.status < 500, "{}: {}", told(), reply.text());
        let shown = shown(&asked, &reply);
        let scopes = scopes(&who, &self.grammar);
        let opens_by_id = asked.template.starts_with("/v1/documents/") && !asked.template.ends_with("/similar");
        let reads = opens_by_id || asked.template.ends_with("/context");
        let mut showed = false;
        for (position, record) in self.world.records.iter().enumerate() {
            let (read, found) = allowed(&who, &scopes, record);
            if shown.contains(&record.word) {
                showed = true;
                assert!(if reads { read } else { found }, "{}: {record:?} came back", told());
            }
            // What is allowed and asked for by its id is given. Records of one key have one id, whatever the tenant.
            if asked.named == Some(position) {
                let mut same = self.world.records.iter().filter(|other| other.document == record.document);
                let opens = same.any(|other| allowed(&who, &scopes, other).0);
                if let Some(status) = expected_status(&who, &asked, opens) {
                    assert_eq!(reply.status, status, "{}: {record:?}", told());
                }
            }
        }
        (reply.status, showed)
    }

    /// The answer; asked again where the machine stood still for so long that the server let the connection go.
    async fn reply(&self, who: &Principal, asked: &Asked) -> Reply {
        for _ in 0..ATTEMPTS {
            if let Ok(reply) = Reply::attempt(self.request(who, asked).await).await {
                return reply;
            }
        }
        panic!("{} {} breaks the connection", asked.method, asked.path)
    }

    async fn request(&self, who: &Principal, asked: &Asked) -> RequestBuilder {
        let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
        let mut request = self.world.server.request(method, &token(who), &asked.path);
        if let Some(body) = &asked.body {
            request = request.json(body);
        }
        if asked.events {
            request = request.header("accept", "text/event-stream");
        }
        if who.breaks_glass {
            request = request.header("x-break-glass", self.world.grant.read().await.as_str());
        }
        request
    }

    async fn message(&self, number: usize) {
        let mut random = fastrand::Rng::with_seed(SEED + number as u64);
        let mut sender = Sender::connect(self.world.mllp).await.unwrap();
        let answer = sender.ask(&message(&mut random, number)).await.to_lowercase();
        assert!(self.world.records.iter().all(|record| !answer.contains(&record.word)), "{answer}");
    }

    /// Asks until all is asked; says how many were answered, and how many showed a record.
    async fn run(&self) -> (usize, usize) {
        let (mut good, mut showed) = (0, 0);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return (good, showed);
            }
            if number % RENEWAL == RENEWAL - 1 {
                *self.world.grant.write().await = break_glass(&self.world.server).await;
            }
            if number % MESSAGES == MESSAGES - 1 {
                self.message(number).await;
                continue;
            }
            let (status, did) = self.one(SEED + number as u64).await;
            good += usize::from(status == 200);
            showed += usize::from(did);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_gives_any_caller_a_word_that_the_rules_do_not_give() {
    let routes = routes();
    let requests = std::env::var("ANAMNESIS_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(REQUESTS);
    let grammar =
        Regex::new(r"^(patient|user|system)/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?|read|write|\*)(?:\?(.*))?$").unwrap();
    let asked = routes.iter().map(|_| AtomicUsize::new(0)).collect();
    let fuzz = Arc::new(Fuzz { world: world().await, routes, grammar, asked, next: AtomicUsize::new(0), requests });
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let fuzz = fuzz.clone();
            tokio::spawn(async move { fuzz.run().await })
        })
        .collect();
    let (mut good, mut showed) = (0, 0);
    for task in tasks {
        let (some_good, some_showed) = task.await.unwrap();
        good += some_good;
        showed += some_showed;
    }
    // Doors that never open would leak nothing either.
    assert!(good > requests / 4 && showed > requests / 20, "{good} answered, {showed} showed a record");
    let least = fuzz.asked.iter().map(|count| count.load(Ordering::Relaxed)).min().unwrap();
    assert!(least > 0 || requests < REQUESTS, "a route was never asked");
    println!(
        "{requests} requests over {} routes, each asked {least} times or more: {good} answered, {showed} showed a \
         record, no leak",
        fuzz.routes.len()
    );
}
