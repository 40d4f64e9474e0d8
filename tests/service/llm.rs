//! A language model of the tests behind an OpenAI-compatible endpoint: it says what it is told to, piece by piece.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{Bytes, Data, Json};
use actix_web::{App, HttpResponse, HttpServer, web};
use anamnesis::config::Config;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What a prompt is answered with.
pub enum Said {
    Text(String),
    Status(u16),
    /// Begins, and never ends.
    Endless,
    /// The rest is said once somebody gives the sign.
    InTwo(String, Arc<Notify>, String),
}

type Behaviour = dyn Fn(&str) -> Said + Send + Sync;

struct Side {
    behaviour: Box<Behaviour>,
    prompts: Mutex<Vec<String>>,
    /// Answers that go on just now.
    open: Arc<AtomicUsize>,
}

pub struct Llm {
    side: Arc<Side>,
    pub url: String,
}

impl Llm {
    /// `behaviour` gets the user's part of the prompt.
    pub fn start(behaviour: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let side = Arc::new(Side { behaviour: Box::new(behaviour), prompts: Mutex::default(), open: Arc::default() });
        let shared = Data::from(side.clone());
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).route("/v1/chat/completions", web::post().to(complete))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let url = format!("http://{}/v1", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { side, url }
    }

    /// The system's and the user's part of every prompt that came.
    pub fn prompts(&self) -> Vec<String> {
        self.side.prompts.lock().unwrap().clone()
    }

    pub fn open(&self) -> usize {
        self.side.open.load(Ordering::SeqCst)
    }

    /// Settings that use it, with everything allowed to leave.
    pub fn configure(&self, config: &mut Config) {
        config.generator.kind = "remote".to_owned();
        config.generator.url = Some(self.url.clone());
        config.generator.model = Some("mock".to_owned());
        config.generator.leaving = "full".to_owned();
        config.generator.piece_timeout_ms = 60_000;
    }
}

/// The numbered evidence of a prompt.
pub fn evidence(user: &str) -> Vec<String> {
    let item = |line: &str| serde_json::from_str(line.split_once("] ")?.1).ok();
    user.lines().filter(|line| line.starts_with('[')).filter_map(item).collect()
}

async fn complete(side: Data<Side>, body: Json<Value>) -> HttpResponse {
    let part = |at: usize| body["messages"][at]["content"].as_str().unwrap_or_default().to_owned();
    side.prompts.lock().unwrap().push(format!("{}\n{}", part(0), part(1)));
    match (side.behaviour)(&part(1)) {
        Said::Status(status) => HttpResponse::build(status.try_into().unwrap()).finish(),
        Said::Text(text) => {
            let letters: Vec<char> = text.chars().collect();
            let mut events: Vec<Result<Bytes, Infallible>> =
                letters.chunks(7).map(|piece| Ok(event(&piece.iter().collect::<String>()))).collect();
            events.push(Ok(Bytes::from_static(b"data: [DONE]\n\n")));
            HttpResponse::Ok().content_type("text/event-stream").streaming(stream::iter(events))
        }
        Said::InTwo(first, sign, rest) => {
            let said = stream::once(async move { Ok::<_, Infallible>(event(&first)) });
            let later = stream::once(async move {
                sign.notified().await;
                Ok(Bytes::from([event(&rest), Bytes::from_static(b"data: [DONE]\n\n")].concat()))
            });
            HttpResponse::Ok().content_type("text/event-stream").streaming(said.chain(later))
        }
        Said::Endless => {
            let guard = Open::new(&side.open);
            let endless = stream::unfold(guard, |guard| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, Infallible>(event("and on ")), guard))
            });
            HttpResponse::Ok().content_type("text/event-stream").streaming(endless)
        }
    }
}

fn event(piece: &str) -> Bytes {
    Bytes::from(format!("data: {}\n\n", json!({"choices": [{"delta": {"content": piece}}]})))
}

/// Counts as open until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
