//! A FHIR server of the tests, over real HTTP, that misbehaves in one answer of ten: it cuts connections, fails, asks
//! for patience, dawdles and repeats pages. A seed decides which.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data, Form, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::bulk_side::{self, Exports};
use crate::world::{State, World, entry};

/// One answer of this many goes wrong.
const CHAOS: usize = 10;

pub struct Side {
    pub world: World,
    pub rng: fastrand::Rng,
    pub is_chaotic: bool,
    pub exports: Exports,
    /// Events of the subscription: number, record.
    pub events: Vec<(u64, String, Timestamp)>,
    pub lists_events: bool,
    pub has_history: bool,
    /// While it is closed, nobody is told how a record stands that was looked at.
    pub gate: Arc<RwLock<()>>,
    /// What `Authorization` must say; none: anything.
    pub authorization: Option<String>,
    /// Made by the token endpoint, in order.
    pub tokens: Vec<String>,
    pub assertions: Vec<BTreeMap<String, String>>,
    /// Requests, by what was asked for.
    pub asked: BTreeMap<&'static str, usize>,
    pub not_modified: usize,
}

#[derive(Clone)]
pub struct Mock {
    side: Arc<Mutex<Side>>,
    pub base: String,
    handle: ServerHandle,
}

impl Mock {
    pub fn start(seed: u64) -> Self {
        let side = Arc::new(Mutex::new(Side {
            world: World::default(),
            rng: fastrand::Rng::with_seed(seed),
            is_chaotic: true,
            exports: Exports::default(),
            events: Vec::new(),
            lists_events: true,
            has_history: true,
            gate: Arc::default(),
            authorization: None,
            tokens: Vec::new(),
            assertions: Vec::new(),
            asked: BTreeMap::new(),
            not_modified: 0,
        }));
        let shared = Data::from(Arc::clone(&side));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .route("/fhir/.well-known/smart-configuration", web::get().to(discovery))
                .route("/token", web::post().to(token))
                .route("/fhir/$export", web::get().to(bulk_side::kick_off))
                .route("/fhir/bulk/{number}", web::get().to(bulk_side::status))
                .route("/fhir/bulk/{number}", web::delete().to(bulk_side::discard))
                .route("/fhir/files/{number}/{file}", web::get().to(bulk_side::file))
                .route("/fhir/Subscription/s1/$events", web::get().to(events))
                .route("/fhir/Subscription/s1/$status", web::get().to(status))
                .route("/fhir/{type}", web::get().to(search))
                .route("/fhir/{type}/_history", web::get().to(history))
                .route("/fhir/{type}/{id}", web::get().to(read))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let base = format!("http://{}/fhir", server.addrs()[0]);
        let running = server.run();
        let handle = running.handle();
        tokio::spawn(running);
        Self { side, base, handle }
    }

    pub fn side(&self) -> MutexGuard<'_, Side> {
        self.side.lock().unwrap()
    }

    pub fn live(&self) -> BTreeMap<String, String> {
        self.side().world.live()
    }

    pub fn asked(&self, what: &'static str) -> usize {
        self.side().asked.get(what).copied().unwrap_or_default()
    }

    /// Makes changes, each an event of the subscription too.
    pub fn change(&self, changes: usize, people: usize) {
        let mut side = self.side();
        for change in 0..changes {
            let Side { world, rng, events, .. } = &mut *side;
            let state = world.change(rng, people, change > 0);
            let number = events.len() as u64 + 1;
            events.push((number, state.key, state.at));
        }
    }

    /// Makes this one change, an event of the subscription too.
    pub fn put(&self, key: &str, is_deletion: bool) -> State {
        let Side { world, rng, events, .. } = &mut *self.side();
        let state = world.put(rng, key, is_deletion, false);
        events.push((events.len() as u64 + 1, state.key.clone(), state.at));
        state
    }

    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

pub type Shared = Data<Mutex<Side>>;

/// Counts a request and decides its fate; `Err` is an answer that says no.
pub fn admit(shared: &Shared, request: &HttpRequest, what: &'static str) -> Result<Fate, HttpResponse> {
    let mut side = shared.lock().unwrap();
    *side.asked.entry(what).or_default() += 1;
    let shown = request.headers().get("authorization").map(|value| value.to_str().unwrap_or_default().to_owned());
    if side.authorization.is_some() && side.authorization != shown {
        return Err(HttpResponse::Unauthorized().finish());
    }
    if !side.is_chaotic || side.rng.usize(..CHAOS) != 0 {
        return Ok(Fate::Well);
    }
    match side.rng.usize(..5) {
        0 => Err(HttpResponse::InternalServerError().finish()),
        1 => Err(HttpResponse::TooManyRequests().insert_header(("retry-after", "0")).finish()),
        2 => Ok(Fate::Cut),
        3 => Ok(Fate::Late),
        _ => Ok(Fate::Repeated),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Well,
    Cut,
    Late,
    Repeated,
}

/// Answers as fate wills.
pub async fn answer(fate: Fate, mut response: actix_web::HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    match fate {
        Fate::Cut => cut(response, body),
        Fate::Late => {
            tokio::time::sleep(Duration::from_millis(40)).await;
            response.body(body)
        }
        Fate::Well | Fate::Repeated => response.body(body),
    }
}

/// Half of the body, and then the connection ends.
pub fn cut(mut response: actix_web::HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let broken: Result<Bytes, std::io::Error> = Err(std::io::ErrorKind::ConnectionReset.into());
    let parts = futures_util::stream::iter([Ok(half), broken]);
    response.no_chunking(body.len() as u64).streaming(parts)
}

fn fhir() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header(("content-type", "application/fhir+json"));
    response
}

type Parameters = Query<BTreeMap<String, String>>;

fn page_of(all: &[Value], parameters: &BTreeMap<String, String>, fate: Fate) -> (Vec<Value>, Option<usize>) {
    let count: usize = parameters.get("_count").and_then(|count| count.parse().ok()).unwrap_or(10);
    let offset: usize = parameters.get("_offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    if fate == Fate::Repeated && offset > 0 {
        // The page before comes once more, and then the one that was asked for.
        return (all.iter().skip(offset.saturating_sub(count)).take(count).cloned().collect(), Some(offset));
    }
    let page = all.iter().skip(offset).take(count).cloned().collect();
    (page, (offset + count < all.len()).then_some(offset + count))
}

fn bundle(request: &HttpRequest, kind: &str, page: Vec<Value>, next: Option<usize>) -> Value {
    let info = request.connection_info();
    let own = format!("{}://{}{}", info.scheme(), info.host(), request.uri());
    let mut links = vec![json!({"relation": "self", "url": own})];
    if let Some(next) = next {
        let bare = own.split("&_offset=").next().unwrap().to_owned();
        links.push(json!({"relation": "next", "url": format!("{bare}&_offset={next}")}));
    }
    json!({"resourceType": "Bundle", "type": kind, "link": links, "entry": page})
}

async fn search(shared: Shared, request: HttpRequest, path: Path<String>, parameters: Parameters) -> HttpResponse {
    let fate = match admit(&shared, &request, "search") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    let since = parameters.get("_lastUpdated").map(|text| text.trim_start_matches("ge").parse().unwrap());
    let found = shared.lock().unwrap().world.changed_since(&path, since);
    let all: Vec<Value> = found.iter().map(|state| json!({"resource": state.body})).collect();
    let (page, next) = page_of(&all, &parameters, fate);
    let etag = format!("W/\"{:x}\"", page.iter().flat_map(|entry| entry.to_string().into_bytes()).fold(7_u64, mix));
    if request.headers().get("if-none-match").is_some_and(|held| held == etag.as_str()) {
        shared.lock().unwrap().not_modified += 1;
        return HttpResponse::NotModified().finish();
    }
    let mut response = fhir();
    response.insert_header(("etag", etag));
    answer(fate, response, bundle(&request, "searchset", page, next).to_string().into_bytes()).await
}

fn mix(held: u64, byte: u8) -> u64 {
    held.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
}

async fn history(shared: Shared, request: HttpRequest, path: Path<String>, parameters: Parameters) -> HttpResponse {
    let fate = match admit(&shared, &request, "history") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    if !shared.lock().unwrap().has_history {
        return HttpResponse::NotFound().finish();
    }
    let since = parameters.get("_since").map(|text| text.parse().unwrap());
    let found = shared.lock().unwrap().world.history(&path, since);
    let all: Vec<Value> = found.iter().map(entry).collect();
    let (page, next) = page_of(&all, &parameters, fate);
    answer(fate, fhir(), bundle(&request, "history", page, next).to_string().into_bytes()).await
}

async fn read(shared: Shared, request: HttpRequest, path: Path<(String, String)>) -> HttpResponse {
    let fate = match admit(&shared, &request, "read") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    let key = format!("{}/{}", path.0, path.1);
    let (found, gate) = {
        let side = shared.lock().unwrap();
        (side.world.latest().get(&key).cloned(), Arc::clone(&side.gate))
    };
    let _open = gate.read().await;
    match found.map(|state| state.body) {
        Some(Some(body)) => answer(fate, fhir(), body.to_string().into_bytes()).await,
        Some(None) => HttpResponse::Gone().finish(),
        None => HttpResponse::NotFound().finish(),
    }
}

/// The status that notifications begin with, in R5's form.
pub fn subscription_status(kind: &str, events: u64, told: &[(u64, String, Timestamp)], names: bool) -> Value {
    let told: Vec<Value> = told
        .iter()
        .map(|(number, key, at)| {
            let mut event = json!({"eventNumber": number.to_string(), "timestamp": at.to_string()});
            if names {
                event["focus"] = json!({"reference": format!("http://ehr.example/fhir/{key}")});
            }
            event
        })
        .collect();
    json!({"resourceType": "SubscriptionStatus", "type": kind, "eventsSinceSubscriptionStart": events.to_string(),
           "subscription": {"reference": "Subscription/s1"}, "notificationEvent": told})
}

async fn events(shared: Shared, request: HttpRequest, parameters: Parameters) -> HttpResponse {
    let fate = match admit(&shared, &request, "events") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    let number = |name: &str| parameters.get(name).unwrap().parse::<u64>().unwrap();
    let range = number("eventsSinceNumber")..=number("eventsUntilNumber");
    let (told, all, lists) = {
        let side = shared.lock().unwrap();
        let told: Vec<_> = side.events.iter().filter(|(number, ..)| range.contains(number)).cloned().collect();
        (told, side.events.len() as u64, side.lists_events)
    };
    if !lists {
        return HttpResponse::NotFound().finish();
    }
    let status = subscription_status("query-event", all, &told, true);
    let bundle = json!({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]});
    answer(fate, fhir(), bundle.to_string().into_bytes()).await
}

async fn status(shared: Shared, request: HttpRequest) -> HttpResponse {
    let fate = match admit(&shared, &request, "status") {
        Ok(fate) => fate,
        Err(no) => return no,
    };
    let (all, lists) = {
        let side = shared.lock().unwrap();
        (side.events.len() as u64, side.lists_events)
    };
    if !lists {
        return HttpResponse::NotFound().finish();
    }
    let status = subscription_status("query-status", all, &[], true);
    let bundle = json!({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": status}]});
    answer(fate, fhir(), bundle.to_string().into_bytes()).await
}

async fn discovery(request: HttpRequest) -> HttpResponse {
    let info = request.connection_info();
    let endpoint = format!("{}://{}/token", info.scheme(), info.host());
    HttpResponse::Ok().json(json!({
        "token_endpoint": endpoint, "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
    }))
}

async fn token(shared: Shared, form: Form<BTreeMap<String, String>>) -> HttpResponse {
    let mut side = shared.lock().unwrap();
    let token = format!("token-{}", side.tokens.len());
    side.assertions.push(form.into_inner());
    side.tokens.push(token.clone());
    side.authorization = Some(format!("Bearer {token}"));
    HttpResponse::Ok().json(json!({"access_token": token, "token_type": "bearer", "expires_in": 300}))
}
