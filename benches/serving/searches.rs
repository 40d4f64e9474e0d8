//! Searches over HTTP: one client, then sixteen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anamnesis::stages::judge::ndcg;
use serde_json::{Value, json};

use crate::collection::{Claim, Collection};
use crate::server::Outcome;

const WARM_UP: usize = 50;
pub const CLIENTS: usize = 16;

#[derive(Clone)]
pub struct Searcher {
    client: reqwest::Client,
    address: String,
    token: String,
}

impl Searcher {
    pub fn new(url: &str, token: String) -> Self {
        Self { client: reqwest::Client::new(), address: format!("{url}/v1/search"), token }
    }

    pub async fn search(&self, body: &Value) -> Outcome<Value> {
        let reply = self.client.post(&self.address).bearer_auth(&self.token).json(body).send().await?;
        Ok(serde_json::from_slice(&reply.error_for_status()?.bytes().await?)?)
    }

    /// The ids of the ten best texts, and the milliseconds that it took.
    pub async fn timed(&self, claim: &Claim, mode: &str) -> Outcome<(Vec<String>, f64)> {
        let body = json!({ "query": claim.text, "limit": 10, "mode": mode, "per_document": 1 });
        let started = Instant::now();
        let found = self.search(&body).await?;
        let taken = started.elapsed().as_secs_f64() * 1e3;
        let hits = found["hits"].as_array().into_iter().flatten();
        let id = |hit: &Value| Some(hit["encounter"].as_str()?.trim_start_matches("Encounter/").to_owned());
        Ok((hits.filter_map(id).collect(), taken))
    }
}

/// Every claim is searched for once, so that none is remembered.
pub async fn measure(searcher: &Searcher, collection: &Collection) -> Outcome<Value> {
    let (warm_up, rest) = collection.others.split_at(WARM_UP.min(collection.others.len()));
    for claim in warm_up {
        searcher.timed(claim, "hybrid").await?;
    }
    let (mut taken, mut quality) = (Vec::new(), 0.0);
    for claim in &collection.judged {
        let (found, ms) = searcher.timed(claim, "hybrid").await?;
        taken.push(ms);
        quality += ndcg(&found, &claim.judgements, 10);
    }
    let mut row = json!({ "name": "anamnesis", "ndcg_at_10": quality / collection.judged.len() as f64 });
    row["per_s_1"] = json!(1e3 * taken.len() as f64 / taken.iter().sum::<f64>());
    let (p50, p99) = percentiles(taken);
    (row["p50_ms"], row["p99_ms"]) = (json!(p50), json!(p99));
    row["per_s_16"] = json!(at_once(searcher, rest).await?);
    Ok(row)
}

/// Searches a second of clients that each ask as soon as they are answered.
async fn at_once(searcher: &Searcher, claims: &[Claim]) -> Outcome<f64> {
    let texts: Arc<Vec<String>> = Arc::new(claims.iter().map(|claim| claim.text.clone()).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let clients = (0..CLIENTS).map(|_| {
        let (searcher, texts, next) = (searcher.clone(), texts.clone(), next.clone());
        tokio::spawn(async move {
            while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let body = json!({ "query": text, "limit": 10, "mode": "hybrid", "per_document": 1 });
                searcher.search(&body).await.map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    Ok(texts.len() as f64 / started.elapsed().as_secs_f64())
}

pub fn percentiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get((values.len() as f64 * share) as usize).or(values.last()).copied();
    (at(0.5).unwrap_or(f64::NAN), at(0.99).unwrap_or(f64::NAN))
}
