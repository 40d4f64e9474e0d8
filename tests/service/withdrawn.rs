//! An answer that a model is still writing shows nothing more once what it quotes is gone or its reader let go.

use std::sync::Arc;

use anamnesis::access::TokenGrant;
use anamnesis::domain::TenantId;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::builders::{bundle, labelled, note, patient, said_at};
use crate::harness::Server;
use crate::llm::{Llm, Said, evidence};
use crate::tokens::{self, ADMIN, READER};

const TEXT: &str = "Ana comes for migraineword today. She takes sumatriptanword for it.";

/// A service whose model says its first piece of evidence, and the others when the sign is given.
struct Scene {
    server: Server,
    sign: Arc<Notify>,
    _llm: Llm,
}

impl Scene {
    async fn new() -> Self {
        let sign = Arc::new(Notify::new());
        let given = sign.clone();
        let llm = Llm::start(move |user| {
            let items = evidence(user);
            let line = |number: usize| format!("{} [{}]\n", items[number], number + 1);
            Said::InTwo(line(0), given.clone(), (1..items.len()).map(line).collect())
        });
        let server = Server::with(|config| llm.configure(config)).await;
        server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", TEXT)])).await;
        Self { server, sign, _llm: llm }
    }

    /// Asks, and reads up to the first sentence.
    async fn begun(&self) -> (Response, String) {
        let body = json!({"question": "Why does she come, and what does she take for it?", "patient": "p1"});
        let request = self.server.request(Method::POST, &tokens::mint(READER), "/v1/answer").json(&body);
        let mut response = request.header("accept", "text/event-stream").send().await.unwrap();
        let mut read = String::new();
        while !read.contains("event: sentence") {
            read += &String::from_utf8_lossy(&response.chunk().await.unwrap().expect("the answer goes on"));
        }
        (response, read)
    }

    /// All that comes after the sign.
    async fn rest(&self, mut response: Response) -> String {
        self.sign.notify_one();
        let mut read = String::new();
        while let Some(bytes) = response.chunk().await.unwrap() {
            read += &String::from_utf8_lossy(&bytes);
        }
        read
    }

    async fn rest_after(&self, change: impl AsyncFnOnce(&Server)) -> String {
        let (response, first) = self.begun().await;
        assert!(first.contains("migraineword") != first.contains("sumatriptanword"), "{first}");
        change(&self.server).await;
        self.rest(response).await
    }
}

fn admin() -> String {
    tokens::sign(&TokenGrant::new("admin", TenantId::new("north"), ADMIN))
}

fn assert_withdrawn(rest: &str, code: &str) {
    assert!(!rest.contains("migraineword") && !rest.contains("sumatriptanword"), "{rest}");
    let (_, data) = rest.split_once("event: error\ndata: ").unwrap_or_else(|| panic!("no error in {rest}"));
    let problem: Value = serde_json::from_str(data.trim()).unwrap();
    assert_eq!(problem["code"], code);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_and_all_is_said() {
    let rest = Scene::new().await.rest_after(async |_| {}).await;
    assert!(rest.contains("event: sentence") && rest.contains("event: done"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_patient_is_said_nothing_more_of() {
    let erase = async |server: &Server| {
        let asked = json!({"patient": "p1", "reason": "she asked for it"});
        server.post(&admin(), "/v1/admin/erasures", &asked).await.expect(202);
    };
    assert_withdrawn(&Scene::new().await.rest_after(erase).await, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_labelled_meanwhile_is_withheld() {
    let label = async |server: &Server| {
        let record = labelled(note("n1", "p1", TEXT), "v3-ActCode", "PSY");
        server.ingest_fhir(&said_at(record, "2025-01-01T00:00:00Z", "2")).await;
    };
    assert_withdrawn(&Scene::new().await.rest_after(label).await, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_off_the_list_reads_no_further() {
    let list = async |server: &Server| {
        server.put(&admin(), "/v1/admin/rosters/dr-grey", &json!({"patients": []})).await.expect(200);
    };
    assert_withdrawn(&Scene::new().await.rest_after(list).await, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_reads_no_further() {
    let revoke = async |server: &Server| {
        server.post(&admin(), "/v1/admin/revocations", &json!({"caller": "dr-grey"})).await.expect(204);
    };
    assert_withdrawn(&Scene::new().await.rest_after(revoke).await, "token_invalid");
}
