//! How soon a note is found, at a steady rate of notes and of searches.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::collection::Collection;
use crate::searches::{Searcher, percentiles};
use crate::server::Outcome;

const SECONDS: u32 = 60;
const NOTES_A_SECOND: u32 = 50;
const SEARCHES_A_SECOND: u32 = 20;
/// One of so many notes is looked for.
const LOOKED_FOR: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// Milliseconds from the moment that a note is sent to the first search that finds it.
pub async fn measure(url: &str, token: &str, searcher: &Searcher, collection: &Collection) -> Outcome<Value> {
    let searching = tokio::spawn(search_on(searcher.clone(), claims(collection)));
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let client = reqwest::Client::new();
    let address = format!("{url}/v1/sources/notes/records");
    let mut every = tokio::time::interval(Duration::from_secs(1) / NOTES_A_SECOND);
    let mut sent: JoinSet<Result<Option<f64>, String>> = JoinSet::new();
    for number in 0..SECONDS * NOTES_A_SECOND {
        every.tick().await;
        let request =
            client.post(&address).bearer_auth(token).header("content-type", "text/plain").body(note(run, number));
        let searcher = (number % LOOKED_FOR == 0).then(|| searcher.clone());
        sent.spawn(async move {
            let started = Instant::now();
            let reply = request.send().await.and_then(reqwest::Response::error_for_status);
            reply.map_err(|error| error.to_string())?;
            match searcher {
                Some(searcher) => found(&searcher, run, number, started).await.map(Some),
                None => Ok(None),
            }
        });
    }
    let mut taken = Vec::new();
    while let Some(one) = sent.join_next().await {
        taken.extend(one??);
    }
    searching.abort();
    let looked_for = taken.len();
    let (p50, p99) = percentiles(taken);
    println!(
        "\n{NOTES_A_SECOND} notes and {SEARCHES_A_SECOND} searches a second for {SECONDS} s; from sending to found, of {looked_for} notes: \
         p50 {p50:.0} ms, p99 {p99:.0} ms"
    );
    Ok(json!({
        "notes_per_s": NOTES_A_SECOND, "searches_per_s": SEARCHES_A_SECOND, "seconds": SECONDS, "looked_for": looked_for,
        "p50_ms": p50, "p99_ms": p99,
    }))
}

fn claims(collection: &Collection) -> Vec<String> {
    collection.others.iter().map(|claim| claim.text.clone()).collect()
}

/// Notes of an earlier run may still be there: a word stands in a note of its own run only.
fn word(run: u64, number: u32) -> String {
    format!("marker{run}x{number}x")
}

fn note(run: u64, number: u32) -> String {
    let word = word(run, number);
    format!(
        "---\nid: fresh-{run}-{number}\npatient: fresh-{}\n---\nSeen on the ward with {word}. Wound dry, no fever, walks \
         with help. Pain 3 of 10 on paracetamol. Plan: blood count tomorrow, home on day {} if well.\n",
        number % 100,
        number % 9
    )
}

async fn found(searcher: &Searcher, run: u64, number: u32, started: Instant) -> Result<f64, String> {
    let patient = format!("fresh-{}", number % 100);
    let body = json!({ "query": word(run, number), "patient": patient, "mode": "keyword", "limit": 1 });
    while started.elapsed() < PATIENCE {
        let answer = searcher.search(&body).await.map_err(|error| error.to_string())?;
        if answer["hits"].as_array().is_some_and(|hits| !hits.is_empty()) {
            return Ok(started.elapsed().as_secs_f64() * 1e3);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err("a note wasn't found in time".to_owned())
}

async fn search_on(searcher: Searcher, claims: Vec<String>) {
    let mut every = tokio::time::interval(Duration::from_secs(1) / SEARCHES_A_SECOND);
    for claim in claims.iter().cycle() {
        every.tick().await;
        let (searcher, body) = (searcher.clone(), json!({ "query": claim, "limit": 10 }));
        tokio::spawn(async move { searcher.search(&body).await.map_err(|error| error.to_string()) });
    }
}
