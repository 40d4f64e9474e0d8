//! Starts a whole service in this process, and asks it things as a caller would.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::web::Data;
use anamnesis::access::Upkeep;
use anamnesis::adapters::inference::{CrossEncoder, DeviceChoice, Embedder, Manifest};
use anamnesis::app::{App, Models, StartError};
use anamnesis::config::{Config, SourceConfig};
use anamnesis::http;
use anamnesis::jobs::Background;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::logs;
use crate::tiny_model::write_tiny_model;
use crate::tokens::{self, ADMIN, READER, SECRET, SENDER};

/// Long beyond any wait of a healthy service, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);

pub const FHIR: &str = "application/fhir+json";
pub const NDJSON: &str = "application/fhir+ndjson";
pub const TEXT: &str = "text/plain";

/// A running service with the sources `ehr` and `lab` of the tenant `north`.
pub struct Server {
    pub app: Data<App>,
    pub client: reqwest::Client,
    pub base: String,
    pub operations: String,
    pub address: std::net::SocketAddr,
    _background: Option<Background>,
    _folder: TempDir,
}

/// An HTTP response, read to its end.
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub headers: reqwest::header::HeaderMap,
    pub bytes: Vec<u8>,
}

struct Model {
    manifest: Manifest,
    folder: PathBuf,
    _kept: TempDir,
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let kept = tempfile::tempdir().unwrap();
        let folder = kept.path().to_owned();
        let manifest = Manifest::parse(&write_tiny_model(&folder, 7)).unwrap();
        Model { manifest, folder, _kept: kept }
    })
}

/// The tests' model.
pub fn embedder() -> Embedder {
    let model = model();
    Embedder::load(&model.manifest, &model.folder, DeviceChoice::Cpu).unwrap()
}

/// The model that lies beside its manifest.
fn reranker(manifest: &std::path::Path) -> CrossEncoder {
    let parsed = Manifest::parse(&std::fs::read_to_string(manifest).unwrap()).unwrap();
    CrossEncoder::load(&parsed, manifest.parent().unwrap(), DeviceChoice::Cpu).unwrap()
}

fn source(name: &str) -> SourceConfig {
    SourceConfig {
        name: name.to_owned(),
        patients: "main".to_owned(),
        warn_after_s: 3_600,
        error_after_s: 7_200,
        feed: None,
        mapping: None,
    }
}

/// A client that lets a connection go before the server does.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE).pool_idle_timeout(Duration::from_secs(2));
    builder.build().unwrap()
}

/// A service with settings changed before its start, and the folder that it lives in.
async fn app(change: impl FnOnce(&mut Config)) -> (Result<App, StartError>, TempDir) {
    logs::watch();
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("development.key");
    std::fs::write(&key_file, SECRET).unwrap();
    let mut config = Config {
        data_dir: folder.path().join("data"),
        listen: "127.0.0.1:0".parse().unwrap(),
        operations_listen: "127.0.0.1:0".parse().unwrap(),
        tenant: "north".to_owned(),
        development_key_file: Some(key_file),
        sources: vec![source("ehr"), source("lab")],
        ..Config::default()
    };
    config.answer.min_evidence = 0.0;
    std::fs::create_dir_all(&config.data_dir).unwrap();
    change(&mut config);
    let model = model();
    let embedder = Embedder::load(&model.manifest, &model.folder, DeviceChoice::Cpu).unwrap();
    let models = Models { embedder, reranker: config.reranker_manifest.as_deref().map(reranker) };
    (App::start(config, models).await, folder)
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed before the start.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut server = Self::idle(change).await;
        server._background = Some(Background::start(&server.app));
        server
    }

    /// Without background work: what is sent stays landed, jobs stay queued.
    pub async fn idle(change: impl FnOnce(&mut Config)) -> Self {
        let (app, folder) = app(change).await;
        let app = Data::from(Arc::new(app.unwrap()));
        let serving = http::serve(app.clone(), Upkeep::begin()).unwrap();
        for server in serving.running {
            tokio::spawn(server);
        }
        let scheme = if app.tls.is_some() { "https" } else { "http" };
        Self {
            app,
            client: client(),
            base: format!("{scheme}://{}", serving.address),
            operations: format!("http://{}", serving.operations_address),
            address: serving.address,
            _background: None,
            _folder: folder,
        }
    }

    /// Why a service with these settings doesn't start.
    pub async fn refusal(change: impl FnOnce(&mut Config)) -> StartError {
        let (app, _folder) = app(change).await;
        app.err().expect("the service must not start")
    }
    /// Starts the background work of a service that was started idle.
    pub fn begin_work(&mut self) {
        self._background = Some(Background::start(&self.app));
    }

    pub fn request(&self, method: Method, token: &str, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token)
    }

    pub async fn get(&self, token: &str, path: &str) -> Reply {
        Reply::read(self.request(Method::GET, token, path)).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        Reply::read(self.request(Method::POST, token, path).json(body)).await
    }

    pub async fn put(&self, token: &str, path: &str, body: &Value) -> Reply {
        Reply::read(self.request(Method::PUT, token, path).json(body)).await
    }

    /// Sends records as they are.
    pub async fn send(&self, token: &str, source: &str, content_type: &str, bytes: impl Into<Vec<u8>>) -> Reply {
        self.send_to(token, &format!("/v1/sources/{source}/records"), content_type, bytes).await
    }

    pub async fn send_to(&self, token: &str, path: &str, content_type: &str, bytes: impl Into<Vec<u8>>) -> Reply {
        let request = self.request(Method::POST, token, path).header("content-type", content_type);
        Reply::read(request.body(bytes.into())).await
    }

    /// Sends records to `ehr` and returns the receipt once they can be searched.
    pub async fn ingest_and_wait(&self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Value {
        self.ingest_into("ehr", content_type, bytes).await
    }

    pub async fn ingest_into(&self, source: &str, content_type: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let sender = tokens::mint(SENDER);
        let reply = self.send(&sender, source, content_type, bytes).await;
        let receipt = reply.expect(202).json()["receipt"].as_str().unwrap().to_owned();
        self.wait_for(&sender, &receipt, "indexed").await
    }

    /// One FHIR resource or Bundle into `ehr`.
    pub async fn ingest_fhir(&self, body: &Value) -> Value {
        self.ingest_and_wait(FHIR, body.to_string()).await
    }

    /// Asks until the receipt is that far.
    pub async fn wait_for(&self, sender: &str, receipt: &str, state: &str) -> Value {
        let path = format!("/v1/receipts/{receipt}");
        self.until(&format!("{receipt} is {state}"), async || {
            let receipt = self.get(sender, &path).await.expect(200).json();
            let reached = receipt["state"] == state || (state == "normalized" && receipt["state"] == "indexed");
            reached.then_some(receipt)
        })
        .await
    }

    /// Asks again and again, but not for ever.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// The hits of a search that must succeed.
    pub async fn search(&self, token: &str, body: &Value) -> Vec<Value> {
        self.post(token, "/v1/search", body).await.expect(200).json()["hits"].as_array().unwrap().clone()
    }

    /// The distinct documents that a keyword search finds, as a reader of all patients.
    pub async fn found(&self, query: &str) -> Vec<String> {
        let body = json!({"query": query, "mode": "keyword", "limit": 100});
        let mut documents: Vec<String> =
            self.search(&tokens::mint(READER), &body).await.iter().map(|hit| text(&hit["document"])).collect();
        documents.sort();
        documents.dedup();
        documents
    }

    /// The one document that holds this word.
    pub async fn document_with(&self, word: &str) -> String {
        let found = self.found(word).await;
        assert_eq!(found.len(), 1, "documents with {word}");
        found[0].clone()
    }

    /// The items that quarantine holds.
    pub async fn quarantine(&self) -> Vec<Value> {
        let page = self.get(&tokens::mint(ADMIN), "/v1/admin/quarantine?limit=200").await.expect(200).json();
        page["items"].as_array().unwrap().clone()
    }

    pub async fn is_alive(&self) {
        self.get("", "/health/live").await.expect(200);
        self.search(&tokens::mint(READER), &json!({"query": "anything"})).await;
    }
}

impl Reply {
    pub async fn read(request: RequestBuilder) -> Self {
        Self::attempt(request).await.unwrap()
    }

    /// Errors: the connection broke.
    pub async fn attempt(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let status = response.status();
        let headers = response.headers().clone();
        let content_type = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        Ok(Self {
            status: StatusCode::as_u16(&status),
            content_type: content_type.unwrap_or_default(),
            headers,
            bytes: response.bytes().await?.to_vec(),
        })
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// A problem of this status and code, in the form that all of them have.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body.content_type, "application/problem+json");
        let problem = body.json();
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(body.headers.contains_key("x-request-id"));
        problem
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The bytes of `document` at a span, as text.
#[track_caller]
pub fn at_span(document: &str, span: &Value) -> String {
    let edge = |name: &str| usize::try_from(span[name].as_u64().unwrap()).unwrap();
    document.get(edge("start")..edge("end")).expect("a span lies on letters of its document").to_owned()
}
