//! Tokens that are no JWT: the issuer that they are of is asked about each, over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anamnesis::app::StartError;
use anamnesis::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Server;

const AUDIENCE: &str = "https://anamnesis.example";

/// An introspection endpoint on loopback that says the same of every token.
struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    heard: Arc<Mutex<Vec<String>>>,
    secrets: TempDir,
}

impl Issuer {
    fn saying(answer: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let secrets = tempfile::tempdir().unwrap();
        std::fs::write(secrets.path().join("issuer"), "our secret\n").unwrap();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(answer.to_string())),
            heard: Arc::default(),
            secrets,
        };
        let (answer, heard) = (issuer.answer.clone(), issuer.heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                heard.lock().unwrap().push(read_request(&stream));
                let body = answer.lock().unwrap().clone();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        issuer
    }

    fn say(&self, answer: &Value) {
        *self.answer.lock().unwrap() = answer.to_string();
    }

    /// The settings of an issuer that is asked, and these lines.
    fn set(&self, config: &mut Config, lines: &str) {
        let url = format!("http://{}/introspect", self.address);
        set(config, self.secrets.path(), &format!("introspection_url = \"{url}\"\n{lines}"));
    }
}

fn read_request(stream: &std::net::TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    while reader.read_line(&mut request).unwrap() > 2 {}
    let length = |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.trim().parse::<usize>().ok();
    let mut body = vec![0; request.lines().find_map(length).unwrap()];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}

fn set(config: &mut Config, secrets: &Path, lines: &str) {
    let issuer = format!(
        "[[issuer]]\nissuer = \"https://issuer.example\"\naudience = \"{AUDIENCE}\"\ntenant = \"north\"\n{lines}"
    );
    config.issuers = toml::from_str::<Config>(&issuer).unwrap().issuers;
    config.development_key_file = None;
    config.secrets_dir = Some(secrets.to_owned());
}

const WHOLE: &str = "introspection_client = \"anamnesis\"\nintrospection_secret = \"issuer\"\nopaque_tokens = true\n";

fn good() -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "active": true, "aud": AUDIENCE, "sub": "dr-grey", "scope": "user/*.rs", "iat": now, "exp": now + 600,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_opens_what_its_issuer_says_as_long_as_it_says_so() {
    let issuer = Issuer::saying(&good());
    let server = Server::idle(|config| issuer.set(config, &format!("{WHOLE}introspection_keep_s = 0\n"))).await;
    let who = server.get("an-opaque-token", "/v1/whoami").await.expect(200).json();
    assert_eq!((&who["caller"], &who["tenant"]), (&json!("dr-grey"), &json!("north")));
    let heard = issuer.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].ends_with("token=an-opaque-token&token_type_hint=access_token"), "{}", heard[0]);
    issuer.say(&json!({"active": false}));
    server.get("an-opaque-token", "/v1/whoami").await.problem(401, "token_invalid");
    issuer.say(&json!("what?"));
    let refused = server.get("an-opaque-token", "/v1/whoami").await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.problem(503, "issuer_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_and_not_asked_for_again() {
    let issuer = Issuer::saying(&good());
    let server = Server::idle(|config| issuer.set(config, WHOLE)).await;
    for _ in 0..5 {
        server.get("an-opaque-token", "/v1/whoami").await.expect(200);
    }
    assert_eq!(issuer.heard.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_half_said_keeps_the_service_from_starting() {
    let issuer = Issuer::saying(&good());
    let folder = issuer.secrets.path();
    let elsewhere = WHOLE.replace("\"issuer\"", "\"absent\"");
    for lines in [
        "introspection_client = \"anamnesis\"\nintrospection_secret = \"issuer\"\n",
        "opaque_tokens = true\n",
        "introspect = true\nintrospection_client = \"anamnesis\"\n",
        &elsewhere,
        &format!("{WHOLE}introspection_keep_s = 3601\n"),
    ] {
        let refusal = Server::refusal(|config| issuer.set(config, lines)).await;
        assert!(matches!(refusal, StartError::Configuration(_)), "{lines}");
    }
    for lines in [
        "opaque_tokens = true\njwks_url = \"https://issuer.example/jwks\"\n",
        "introspect = true\njwks_url = \"https://issuer.example/jwks\"\n",
        "",
        &format!("{WHOLE}introspection_url = \"http://issuer.example/introspect\"\n"),
    ] {
        let refusal = Server::refusal(|config| set(config, folder, lines)).await;
        assert!(matches!(refusal, StartError::Configuration(_)), "{lines}");
    }
}
