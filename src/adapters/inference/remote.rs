//! A language model behind an OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, a hospital's gateway.
//!
//! Streams; waits no longer than it was told to connect, for the first piece, between pieces and in all; tries again
//! what fails before the first piece; rests after failures in a row. No error, log or metric holds a prompt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Response, Url};
use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::generation::{GenerateError, Generation, Generator, Pieces};
use crate::domain::Prompt;

/// The longest line of an event stream that is taken, in bytes.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// The address before `/chat/completions`: `http://127.0.0.1:11434/v1`.
    pub url: String,
    pub model: String,
    pub key: Option<String>,
    pub connect_timeout: Duration,
    /// Until the first piece, and between two.
    pub piece_timeout: Duration,
    /// For the whole answer.
    pub total_timeout: Duration,
    /// Attempts in all before the first piece.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles.
    pub pause: Duration,
    /// Failures in a row after which it rests, and for how long.
    pub failures: u32,
    pub rest: Duration,
    pub max_tokens: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum RemoteSetupError {
    #[error("the generator's address must be https, or http on this machine")]
    Address,
    #[error("an HTTP client can't be made")]
    Client,
}

pub struct RemoteGenerator {
    inner: Arc<Inner>,
}

struct Inner {
    settings: RemoteSettings,
    address: Url,
    client: Client,
    breaker: Breaker,
}

impl RemoteGenerator {
    pub fn new(settings: RemoteSettings) -> Result<Self, RemoteSetupError> {
        let address = Url::parse(&format!("{}/chat/completions", settings.url.trim_end_matches('/')))
            .map_err(|_| RemoteSetupError::Address)?;
        if !is_private_way(&address) {
            return Err(RemoteSetupError::Address);
        }
        let builder =
            Client::builder().connect_timeout(settings.connect_timeout).redirect(reqwest::redirect::Policy::none());
        // What stays on this machine needs no proxy to reach it.
        let builder = if is_own(&address) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|_| RemoteSetupError::Client)?;
        let breaker = Breaker::new(settings.failures, settings.rest);
        Ok(Self { inner: Arc::new(Inner { settings, address, client, breaker }) })
    }
}

/// Encrypted, or within this machine.
fn is_private_way(address: &Url) -> bool {
    address.scheme() == "https" || (address.scheme() == "http" && is_own(address))
}

fn is_own(address: &Url) -> bool {
    matches!(address.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

impl Generator for RemoteGenerator {
    fn generate(&self, prompt: Prompt) -> Generation {
        let (pieces, generation) = Generation::channel();
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let asked = inner.ask(&prompt, &pieces);
            tokio::select! {
                ended = tokio::time::timeout(inner.settings.total_timeout, asked) => {
                    let ended = ended.unwrap_or(Err(GenerateError::TooLong));
                    inner.note(ended.as_ref().err());
                    if let Err(error) = ended {
                        // Nobody hears it who has gone.
                        let _ = pieces.send(Err(error)).await;
                    }
                }
                // Dropping the request closes the connection: the server stops too.
                () = pieces.closed() => inner.breaker.given_up(),
            }
        });
        generation
    }

    fn name(&self) -> &str {
        &self.inner.settings.model
    }

    fn is_elsewhere(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: [Message<'a>; 2],
    stream: bool,
    temperature: f32,
    max_tokens: u32,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

impl Inner {
    /// What was refused without asking says nothing about the server.
    fn note(&self, error: Option<&GenerateError>) {
        match error {
            None => self.breaker.succeeded(),
            Some(GenerateError::Resting) => {}
            Some(_) => self.breaker.failed(Instant::now()),
        }
    }

    async fn ask(&self, prompt: &Prompt, pieces: &Pieces) -> Result<(), GenerateError> {
        if !self.breaker.allows(Instant::now()) {
            return Err(GenerateError::Resting);
        }
        let response = self.begin(prompt).await?;
        self.pass_on(response, pieces).await
    }

    /// The answer's head; tried again where that may help.
    async fn begin(&self, prompt: &Prompt) -> Result<Response, GenerateError> {
        let mut pause = self.settings.pause;
        let mut attempt = 1;
        loop {
            match self.post(prompt).await {
                Ok(response) => return Ok(response),
                Err(error) if attempt >= self.settings.attempts || !is_transient(&error) => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn post(&self, prompt: &Prompt) -> Result<Response, GenerateError> {
        let body = Request {
            model: &self.settings.model,
            messages: [
                Message { role: "system", content: &prompt.system },
                Message { role: "user", content: &prompt.user },
            ],
            stream: true,
            temperature: 0.0,
            max_tokens: self.settings.max_tokens,
        };
        let mut request = self.client.post(self.address.clone()).json(&body);
        if let Some(key) = &self.settings.key {
            request = request.bearer_auth(key);
        }
        let sent = tokio::time::timeout(self.settings.piece_timeout, request.send()).await;
        let response = sent.map_err(|_| GenerateError::TooLong)?.map_err(|error| unreachable_for(&error))?;
        let status = response.status();
        if status.is_success() { Ok(response) } else { Err(GenerateError::Status(status.as_u16())) }
    }

    async fn pass_on(&self, mut response: Response, pieces: &Pieces) -> Result<(), GenerateError> {
        let mut waiting: Vec<u8> = Vec::new();
        loop {
            let chunk = tokio::time::timeout(self.settings.piece_timeout, response.chunk()).await;
            let chunk = chunk.map_err(|_| GenerateError::TooLong)?.map_err(|error| unreachable_for(&error))?;
            let Some(chunk) = chunk else { return Ok(()) };
            waiting.extend_from_slice(&chunk);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                match read_line(&line)? {
                    Line::Done => return Ok(()),
                    Line::Nothing => {}
                    Line::Piece(piece) => {
                        if pieces.send(Ok(piece)).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            if waiting.len() > LONGEST_LINE {
                return Err(GenerateError::Unreadable);
            }
        }
    }
}

enum Line {
    Piece(String),
    Nothing,
    Done,
}

fn read_line(line: &[u8]) -> Result<Line, GenerateError> {
    let line = std::str::from_utf8(line).map_err(|_| GenerateError::Unreadable)?.trim();
    let Some(data) = line.strip_prefix("data:").map(str::trim) else { return Ok(Line::Nothing) };
    if data == "[DONE]" {
        return Ok(Line::Done);
    }
    let event: Event = serde_json::from_str(data).map_err(|_| GenerateError::Unreadable)?;
    let piece = event.choices.into_iter().next().and_then(|choice| choice.delta.content);
    Ok(piece.filter(|piece| !piece.is_empty()).map_or(Line::Nothing, Line::Piece))
}

fn is_transient(error: &GenerateError) -> bool {
    match error {
        GenerateError::Unreachable(_) => true,
        GenerateError::Status(status) => *status == 429 || *status >= 500,
        _ => false,
    }
}

/// An error of the client may name the address with its query; its sort is all that is kept.
fn unreachable_for(error: &reqwest::Error) -> GenerateError {
    if error.is_timeout() {
        GenerateError::TooLong
    } else if error.is_connect() {
        GenerateError::Unreachable("no connection")
    } else {
        GenerateError::Unreachable("the connection broke")
    }
}
