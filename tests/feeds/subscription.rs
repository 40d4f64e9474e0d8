//! Subscriptions: notifications that are lost, repeated, late and out of order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::{SECRET, Service};
use crate::mock::{Mock, subscription_status};
use crate::world::{State, entry};

fn feed(mock: &Mock, every_s: u64) -> String {
    let url = &mock.base;
    format!(
        "mode = 'subscription'\nurl = '{url}'\nsecret = 'notify'\ntypes = ['Patient', 'Condition']\nevery_s = {every_s}"
    )
}

/// How much a notification says.
#[derive(Clone, Copy, Debug)]
enum Content {
    Full,
    Names,
    Nothing,
    /// R4's own: a resource, or nothing at all for a deletion.
    Classic,
}

struct Sender {
    client: Client,
    endpoint: String,
}

impl Sender {
    fn new(service: &Service) -> Self {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { client, endpoint: service.endpoint() }
    }

    async fn post(&self, body: String) -> StatusCode {
        let request = self.client.post(&self.endpoint).bearer_auth(SECRET);
        request.header("content-type", "application/fhir+json").body(body).send().await.unwrap().status()
    }

    async fn tell(&self, kind: &str, events: u64) {
        let status = subscription_status(kind, events, &[], false);
        let bundle = json!({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]});
        assert_eq!(self.post(bundle.to_string()).await, StatusCode::OK);
    }
}

fn notification(number: u64, all: u64, state: &State, content: Content) -> String {
    let told = [(number, state.key.clone(), state.at)];
    let names = !matches!(content, Content::Nothing);
    let mut entries = vec![json!({"resource": subscription_status("event-notification", all, &told, names)})];
    match content {
        Content::Full => entries.push(entry(state)),
        Content::Classic => return state.body.as_ref().map(ToString::to_string).unwrap_or_default(),
        Content::Names | Content::Nothing => {}
    }
    json!({"resourceType": "Bundle", "type": "history", "entry": entries}).to_string()
}

/// What is sent for these events, in which order: one of ten is lost, one comes twice, one comes later.
fn mishaps(rng: &mut fastrand::Rng, events: usize) -> Vec<usize> {
    let mut order = Vec::new();
    let mut late = Vec::new();
    for event in 0..events {
        match rng.usize(..10) {
            0 => {}
            1 => order.extend([event, event]),
            2 => late.push(event),
            _ => order.push(event),
        }
        if rng.usize(..4) == 0 {
            order.append(&mut late);
        }
    }
    order.append(&mut late);
    order
}

async fn run(seed: u64, content: Content, lists_events: bool) {
    let mock = Mock::start(seed);
    mock.side().lists_events = lists_events;
    let mut service = Service::start(&feed(&mock, 2)).await;
    Sender::new(&service).tell("handshake", 0).await;
    let mut rng = fastrand::Rng::with_seed(seed);
    for round in 0..4 {
        let before = mock.side().world.states.len();
        mock.change(40, 25);
        let states: Vec<State> = mock.side().world.states[before..].to_vec();
        if round == 2 {
            service.restart().await;
        }
        let sender = Sender::new(&service);
        for event in mishaps(&mut rng, states.len()) {
            let number = (before + event) as u64 + 1;
            let status = sender.post(notification(number, number, &states[event], content)).await;
            assert_eq!(status, StatusCode::OK);
        }
    }
    service.until_held(&mock.live()).await;
    service.until("nothing is left to fetch", async || is_quiet(&service).await.then_some(())).await;
    assert_eq!(service.held().await, mock.live(), "seed {seed} {content:?}");
    service.has_an_empty_quarantine().await;
    service.stop().await;
    mock.stop().await;
}

/// All events are accounted for, and all that landed was read.
async fn is_quiet(service: &Service) -> bool {
    let inbox: Value = service.kept("subscription").await.unwrap();
    let sequences = inbox["sequences"].as_object().unwrap();
    sequences.values().all(|sequence| sequence["missing"] == json!([]))
        && inbox["pending"] == json!({})
        && inbox["searches_wanted"] == inbox["searches_done"]
        && service.count("SELECT COUNT(*) FROM delivery WHERE state = 'landed'").await == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_resources_with_gaps_filled_by_the_servers_list_of_events() {
    run(31, Content::Full, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_resources_with_gaps_filled_by_searching() {
    run(32, Content::Full, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_only() {
    run(33, Content::Names, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_numbers() {
    run(34, Content::Nothing, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_without_numbers() {
    run(35, Content::Classic, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_end_is_noticed_by_a_heartbeat() {
    let mock = Mock::start(36);
    mock.side().is_chaotic = false;
    let service = Service::start(&feed(&mock, 3_600)).await;
    let sender = Sender::new(&service);
    sender.tell("handshake", 0).await;
    mock.change(12, 25);
    sender.tell("heartbeat", 12).await;
    service.until_held(&mock.live()).await;
    assert!(mock.asked("events") > 0);
    let inbox: Value = service.kept("subscription").await.unwrap();
    assert_eq!(inbox["sequences"]["Subscription/s1"]["last"], 12);
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_made_again_while_its_deletion_is_looked_into_stays() {
    let mock = Mock::start(39);
    mock.side().is_chaotic = false;
    let service = Service::start(&feed(&mock, 3_600)).await;
    let sender = Sender::new(&service);
    sender.tell("handshake", 0).await;
    let gate = Arc::clone(&mock.side().gate);
    let closed = gate.write().await;
    for (number, is_deletion) in [(1, false), (2, true), (3, false)] {
        let state = mock.put("Patient/p1", is_deletion);
        sender.post(notification(number, number, &state, Content::Full)).await;
        if is_deletion {
            service.until("its record is looked at", async || (mock.asked("read") == 1).then_some(())).await;
        }
    }
    drop(closed);
    service.until("nothing is left to fetch", async || is_quiet(&service).await.then_some(())).await;
    assert_eq!(service.held().await, mock.live());
    assert_eq!(mock.asked("read"), 2);
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_lands_once() {
    let mock = Mock::start(37);
    mock.side().is_chaotic = false;
    let service = Service::start(&feed(&mock, 3_600)).await;
    let sender = Sender::new(&service);
    sender.tell("handshake", 0).await;
    mock.change(1, 25);
    let state = mock.side().world.states[0].clone();
    for _ in 0..3 {
        sender.post(notification(1, 1, &state, Content::Full)).await;
    }
    service.until_held(&mock.live()).await;
    assert_eq!((service.landed().await, mock.asked("read")), (1, 0));
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sources_own_secret_opens_its_endpoint() {
    let mock = Mock::start(38);
    let service = Service::start(&feed(&mock, 3_600)).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let status = subscription_status("heartbeat", 0, &[(1, "Patient/a".to_owned(), Timestamp::now())], true);
    let elsewhere = service.endpoint().replace("/ehr", "/lab");
    let mut refused = Vec::new();
    for (url, secret) in [(service.endpoint(), "another secret of this length."), (elsewhere, SECRET)] {
        let reply = client.post(url).bearer_auth(secret).body(status.to_string()).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        refused.push(reply.text().await.unwrap());
    }
    assert_eq!(refused[0], refused[1]);
    let reply = client.post(service.endpoint()).bearer_auth(SECRET).body("{").send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    assert_eq!(service.landed().await, 0);
    service.stop().await;
    mock.stop().await;
}
