//! A server process, and its API as a client with a token sees it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anamnesis::domain::DocumentId;
use serde_json::{Value, json};

use crate::fixtures::Piece;
use crate::home::{Home, SOURCE};

/// Far longer than anything takes: what isn't there by then never comes.
pub const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    pub api: Api,
}

impl Server {
    /// Starts a server and waits until it says where it serves.
    pub fn start(home: &Home) -> Self {
        let starting = Starting::begin(home);
        let (address, operations) = starting.addresses();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let api = Api {
            client,
            url: format!("http://{address}"),
            operations: format!("http://{operations}"),
            token: home.token(),
        };
        let Starting { child, log, .. } = starting;
        Self { child, log, api }
    }

    /// `kill -9`: the process gets no word in.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }

    /// Asks it to stop as a service manager does.
    pub fn ask_to_stop(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        loop {
            looks.tick().await;
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server doesn't stop:\n{}", self.log());
        }
    }

    /// A clean stop, as before each planned start.
    pub async fn stop(mut self) -> String {
        self.ask_to_stop();
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.log());
        self.log()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// A server process that may not serve yet.
pub struct Starting {
    child: Child,
    log: Arc<Mutex<String>>,
    serving: Receiver<Value>,
}

impl Starting {
    pub fn begin(home: &Home) -> Self {
        let mut child = home.command(&["serve"]).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        let (sender, serving) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let fields =
                    serde_json::from_str::<Value>(&line).map(|line| line["fields"].clone()).unwrap_or_default();
                kept.lock().unwrap().push_str(&(line + "\n"));
                if fields["message"] == "serving" {
                    let _ = sender.send(fields);
                }
            }
        });
        Self { child, log, serving }
    }

    fn addresses(&self) -> (String, String) {
        match self.serving.recv_timeout(PATIENCE) {
            Ok(fields) => {
                let text = |name: &str| fields[name].as_str().unwrap().to_owned();
                (text("address"), text("operations"))
            }
            Err(_) => panic!("the server didn't start:\n{}", self.log.lock().unwrap()),
        }
    }

    /// Kills it at that moment, whether it serves by then or not; says whether it did.
    pub fn kill_after(mut self, moment: Duration) -> bool {
        let served = match self.serving.recv_timeout(moment) {
            Ok(_) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => panic!("the server didn't start:\n{}", self.log.lock().unwrap()),
        };
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        served
    }
}

#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    pub url: String,
    operations: String,
    token: String,
}

impl Api {
    /// Sends a piece; `None` when it wasn't acknowledged.
    pub async fn send(&self, piece: &Piece) -> Option<String> {
        let address = format!("{}/v1/sources/{SOURCE}/records", self.url);
        let request = self.client.post(address).bearer_auth(&self.token);
        let request = request.header("content-type", piece.content_type()).body(piece.body.clone());
        let response = request.send().await.ok()?;
        if response.status() != 202 {
            return None;
        }
        let receipt: Value = response.json().await.ok()?;
        Some(receipt["receipt"].as_str().unwrap().to_owned())
    }

    pub async fn send_all(&self, pieces: &[Piece]) -> Vec<String> {
        let mut receipts = Vec::new();
        for piece in pieces {
            receipts.push(self.send(piece).await.expect("the server takes what is sent"));
        }
        receipts
    }

    /// Status and body.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Waits until what every receipt stands for can be found.
    pub async fn indexed(&self, receipts: &[String]) {
        for receipt in receipts {
            until("a delivery is indexed", async || {
                let (status, body) = self.get(&format!("/v1/receipts/{receipt}")).await;
                assert_eq!(status, 200, "an acknowledged delivery is known: {body}");
                body["state"] == "indexed"
            })
            .await;
        }
    }

    /// Waits until the index shows all that the store holds.
    pub async fn caught_up(&self) {
        until("the index shows all changes", async || {
            self.metric("index_watermark").await == self.metric("newest_change").await
        })
        .await;
    }

    /// A metric without labels.
    pub async fn metric(&self, name: &str) -> i64 {
        let response = self.client.get(format!("{}/metrics", self.operations)).send().await.unwrap();
        let text = response.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("anamnesis_{name} ")));
        let value = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        value.parse::<f64>().unwrap() as i64
    }

    /// Whether the document can be read, in its first version.
    pub async fn opens(&self, id: &DocumentId) -> bool {
        let (status, body) = self.get(&format!("/v1/documents/{id}")).await;
        status == 200 && body["version"] == 1 && body["latest"] == true
    }

    /// Hits by keyword, each once, sorted by what they are rather than by rank.
    pub async fn search(&self, words: &str, patient: Option<&str>) -> BTreeSet<(String, u64, String)> {
        let request = json!({ "query": words, "patient": patient, "mode": "keyword", "limit": 100, "distinct": false });
        let (status, body) = self.post("/v1/search", &request).await;
        assert_eq!(status, 200, "{body}");
        let mut hits = BTreeSet::new();
        for hit in body["hits"].as_array().unwrap() {
            let text = |name: &str| hit[name].as_str().unwrap().to_owned();
            let key = (text("document"), hit["chunk"].as_u64().unwrap(), text("text"));
            assert!(hits.insert(key), "a hit came twice: {hit}");
        }
        hits
    }

    /// The generation that answers.
    pub async fn generation(&self) -> String {
        let request = json!({ "query": "patient", "mode": "keyword", "explain": true });
        let (_, body) = self.post("/v1/search", &request).await;
        body["plan"]["generation"].as_str().unwrap().to_owned()
    }

    /// Queues a rebuild of the whole index; returns the job's id.
    pub async fn reindex(&self) -> String {
        let (status, job) = self.post("/v1/admin/reindex", &json!({ "scope": "all" })).await;
        assert_eq!(status, 202, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    pub async fn job_state(&self, id: &str) -> String {
        let (status, job) = self.get(&format!("/v1/admin/jobs/{id}")).await;
        assert_eq!(status, 200, "{job}");
        job["state"].as_str().unwrap().to_owned()
    }

    pub async fn job_done(&self, id: &str) {
        until("the job ends", async || {
            let state = self.job_state(id).await;
            assert!(["queued", "running", "done"].contains(&state.as_str()), "the job is {state}");
            state == "done"
        })
        .await;
    }
}

/// Looks until `check` holds.
pub async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    loop {
        looks.tick().await;
        if check().await {
            return;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
    }
}
