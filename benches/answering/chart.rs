//! How soon the first sentence of an answer comes, over one patient's long chart.
//!
//! The chart is made of abstracts; the questions are claims, so each is about something that one or another may tell.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::server::{Outcome, Server, configure, token};

const PATIENT: &str = "chart";
const CHUNKS: u64 = 2_000;
const CLIENTS: usize = 4;
/// Asked before anything is measured.
const WARM_UP: usize = 40;
const QUESTIONS: usize = 400;
/// Abstracts that are taken in at once, until there are chunks enough.
const DELIVERY: usize = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(3_600);

pub async fn measure(work: &Path, scifact: &Path) -> Outcome<Value> {
    let work = work.join("chart");
    std::fs::create_dir_all(work.join("drop"))?;
    configure(&work)?;
    let server = Server::start(&work)?;
    fill(&work, scifact, &server).await?;
    let chunks = server.metric("anamnesis_index_chunks").await?;
    let asker = Asker { client: reqwest::Client::new(), url: server.url.clone(), token: token(&work, "system/*.rs")? };
    let claims = lines(&scifact.join("queries.jsonl"))?;
    let claims: Vec<String> = claims.iter().map(|claim| text(claim, "text")).take(WARM_UP + QUESTIONS).collect();
    let (warm_up, asked) = claims.split_at(WARM_UP.min(claims.len()));
    at_once(&asker, warm_up).await?;
    let taken = at_once(&asker, asked).await?;
    let resident = server.resident_kib("VmRSS")? / 1024;
    let mut answered: Vec<f64> = taken.into_iter().flatten().collect();
    answered.sort_by(f64::total_cmp);
    let at = |share: f64| answered.get((answered.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    println!(
        "\nfirst sentence over a chart of {chunks} chunks, {CLIENTS} clients, {} questions, {} answered: p50 {:.0} ms, p95 \
         {:.0} ms, p99 {:.0} ms; {resident} MiB resident",
        asked.len(),
        answered.len(),
        at(0.5),
        at(0.95),
        at(0.99),
    );
    Ok(json!({
        "chunks": chunks, "clients": CLIENTS, "questions": asked.len(), "answered": answered.len(),
        "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "resident_mib": resident,
    }))
}

/// Abstracts of one patient, until the index holds chunks enough; what an earlier run left is used again.
async fn fill(work: &Path, scifact: &Path, server: &Server) -> Outcome<()> {
    let abstracts = lines(&scifact.join("corpus.jsonl"))?;
    for (number, batch) in abstracts.chunks(DELIVERY).enumerate() {
        if server.metric("anamnesis_index_chunks").await? as u64 >= CHUNKS {
            return Ok(());
        }
        let notes: String = batch.iter().map(|document| format!("{}\n", note(document))).collect();
        let part = work.join(format!("drop/{number}.ndjson.part"));
        std::fs::write(&part, notes)?;
        std::fs::rename(&part, part.with_extension(""))?;
        let wanted = ((number + 1) * DELIVERY) as u64;
        server.until("anamnesis_index_watermark", wanted, LOOK_AGAIN, PATIENCE).await?;
    }
    Err("there are too few abstracts".into())
}

fn note(document: &Value) -> Value {
    json!({
        "resourceType": "DocumentReference", "id": text(document, "_id"), "status": "current",
        "description": text(document, "title"), "date": "2024-05-01T10:00:00Z",
        "subject": {"reference": format!("Patient/{PATIENT}")},
        "content": [{"attachment": {"contentType": "text/plain", "data": STANDARD.encode(text(document, "text"))}}],
    })
}

fn lines(path: &Path) -> Outcome<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

#[derive(Clone)]
struct Asker {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Asker {
    /// Milliseconds until the first sentence; none of an abstention.
    async fn ask(&self, question: &str) -> Result<Option<f64>, reqwest::Error> {
        let started = Instant::now();
        let request = self.client.post(format!("{}/v1/answer", self.url)).bearer_auth(&self.token);
        let body = json!({ "question": question, "patient": PATIENT });
        let reply = request.header("accept", "text/event-stream").json(&body).send().await?;
        let (mut reply, mut first, mut read) = (reply.error_for_status()?, None, Vec::new());
        while let Some(piece) = reply.chunk().await? {
            read.extend(piece);
            if first.is_none() && read.starts_with(b"event: sentence") && read.windows(2).any(|two| two == b"\n\n") {
                first = Some(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        Ok(first)
    }
}

/// Clients that each ask as soon as they are answered.
async fn at_once(asker: &Asker, questions: &[String]) -> Outcome<Vec<Option<f64>>> {
    let questions: Arc<Vec<String>> = Arc::new(questions.to_vec());
    let next = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|_| {
        let (asker, questions, next) = (asker.clone(), questions.clone(), next.clone());
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
                taken.push(asker.ask(question).await?);
            }
            Ok::<_, reqwest::Error>(taken)
        })
    });
    let mut taken = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        taken.extend(client.await??);
    }
    Ok(taken)
}
