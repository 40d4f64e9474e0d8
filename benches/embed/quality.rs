//! What a precision costs: nDCG@10 of exact dense search over SciFact, whole documents cut at the model's window.

use std::collections::HashMap;
use std::path::Path;

use anamnesis::adapters::inference::{Embedder, Role};
use anamnesis::stages::judge::{self, Judgements};
use serde_json::Value;

use crate::{Outcome, title_and_text};

const DEPTH: usize = 10;

pub fn ndcg(embedder: &Embedder, scifact: &Path) -> Outcome<f64> {
    let read = |name: &str| -> Outcome<Vec<Value>> {
        let text = std::fs::read_to_string(scifact.join(name))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let id = |value: &Value| value["_id"].as_str().unwrap_or_default().to_owned();
    let (corpus, relevant) = (read("corpus.jsonl")?, judgements(scifact)?);
    let texts: Vec<String> = corpus.iter().map(title_and_text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ids: Vec<String> = corpus.iter().map(id).collect();
    let documents = embedder.embed(&texts, Role::Passage)?;
    let queries: Vec<Value> =
        read("queries.jsonl")?.into_iter().filter(|query| relevant.contains_key(&id(query))).collect();
    let asked: Vec<&str> = queries.iter().map(|query| query["text"].as_str().unwrap_or_default()).collect();
    let mut total = 0.0;
    for (query, vector) in queries.iter().zip(embedder.embed(&asked, Role::Query)?) {
        let dot = |document: &Vec<f32>| -> f32 { document.iter().zip(&vector).map(|(a, b)| a * b).sum() };
        let mut ranked: Vec<(f32, &String)> = documents.iter().map(dot).zip(&ids).collect();
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        let ranking: Vec<String> = ranked.into_iter().take(DEPTH).map(|(_, id)| id.clone()).collect();
        total += judge::ndcg(&ranking, &relevant[&id(query)], DEPTH);
    }
    Ok(total / queries.len() as f64)
}

fn judgements(scifact: &Path) -> Outcome<HashMap<String, Judgements>> {
    let usual = [scifact.join("qrels.tsv"), scifact.join("qrels/test.tsv")];
    let path = usual.iter().find(|path| path.exists()).ok_or("no judgements")?;
    let mut relevant: HashMap<String, Judgements> = HashMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        if let [query, .., document, grade] = fields[..]
            && let Ok(grade) = grade.parse::<u32>()
            && grade > 0
        {
            relevant.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        }
    }
    Ok(relevant)
}
