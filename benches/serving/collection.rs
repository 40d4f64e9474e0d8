//! What is searched, and for what: judged abstracts among notes that look like them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::server::Outcome;

/// Chunks of an abstract, about: what the collection is sized by.
const CHUNKS_OF_AN_ABSTRACT: usize = 2;
const SENTENCES_OF_A_NOTE: usize = 3;
const PATIENTS: usize = 2_500;

pub struct Text {
    pub id: String,
    pub title: String,
    pub body: String,
}

impl Text {
    pub fn whole(&self) -> String {
        format!("{}. {}", self.title, self.body)
    }
}

pub struct Claim {
    pub text: String,
    /// None of a claim that is only searched for.
    pub relevant: HashSet<String>,
}

pub struct Collection {
    pub texts: Vec<Text>,
    pub judged: Vec<Claim>,
    pub others: Vec<Claim>,
}

impl Collection {
    pub fn new(scifact: &Path, chunks: usize) -> Outcome<Self> {
        let mut abstracts = Vec::new();
        let mut sentences: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(scifact.join("corpus.jsonl"))?.lines() {
            let document: Value = serde_json::from_str(line)?;
            let field = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            sentences.insert(field("_id"), sentences_of(&document));
            abstracts.push(Text { id: field("_id"), title: field("title"), body: field("text") });
        }
        let judgements = relevant(&scifact.join("qrels/test.tsv"))?;
        let asked_for: HashSet<&String> = judgements.values().flatten().collect();
        sentences.retain(|id, _| !asked_for.contains(id));
        let (mut judged, mut others) = (Vec::new(), Vec::new());
        for line in std::fs::read_to_string(scifact.join("queries.jsonl"))?.lines() {
            let query: Value = serde_json::from_str(line)?;
            let text = query["text"].as_str().unwrap_or_default().to_owned();
            match judgements.get(query["_id"].as_str().unwrap_or_default()) {
                Some(relevant) => judged.push(Claim { text, relevant: relevant.clone() }),
                None => others.push(Claim { text, relevant: HashSet::new() }),
            }
        }
        let notes = chunks.saturating_sub(CHUNKS_OF_AN_ABSTRACT * abstracts.len());
        let pool: Vec<&String> = sentences.values().flatten().collect();
        let mut random = fastrand::Rng::with_seed(11);
        abstracts.extend((0..notes).map(|number| note(number, &pool, &mut random)));
        Ok(Self { texts: abstracts, judged, others })
    }

    /// As FHIR NDJSON. The id of a text is that of its encounter, which a hit shows.
    pub fn resources(texts: &[Text]) -> String {
        let lines = texts.iter().enumerate().map(|(number, text)| {
            let resource = json!({
                "resourceType": "DocumentReference", "id": text.id, "status": "current", "description": text.title,
                "date": "2024-05-01T10:00:00Z", "subject": {"reference": format!("Patient/p{}", number % PATIENTS)},
                "context": {"encounter": [{"reference": format!("Encounter/{}", text.id)}]},
                "content": [{"attachment": {"contentType": "text/plain", "data": STANDARD.encode(&text.body)}}],
            });
            format!("{resource}\n")
        });
        lines.collect()
    }
}

fn sentences_of(document: &Value) -> Vec<String> {
    let text: Vec<char> = document["text"].as_str().unwrap_or_default().chars().collect();
    let offsets = document["metadata"]["sentence_offsets"].as_array().into_iter().flatten();
    let range = |offsets: &Value| Some((offsets[0].as_u64()? as usize, offsets[1].as_u64()? as usize));
    offsets
        .filter_map(range)
        .filter_map(|(start, end)| Some(text.get(start..end)?.iter().collect::<String>().trim().to_owned()))
        .collect()
}

fn note(number: usize, pool: &[&String], random: &mut fastrand::Rng) -> Text {
    let sentences = (0..SENTENCES_OF_A_NOTE).map(|_| pool[random.usize(..pool.len())].as_str());
    let body = sentences.collect::<Vec<_>>().join(" ");
    Text { id: format!("note-{number}"), title: "Note".to_owned(), body }
}

fn relevant(path: &Path) -> Outcome<HashMap<String, HashSet<String>>> {
    let mut judgements: HashMap<String, HashSet<String>> = HashMap::new();
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        let mut fields = line.split('\t');
        if let (Some(query), Some(document), Some(grade)) = (fields.next(), fields.next(), fields.next())
            && grade.trim() != "0"
        {
            judgements.entry(query.to_owned()).or_default().insert(document.to_owned());
        }
    }
    Ok(judgements)
}

/// nDCG@10 of a list of ids, each of them once.
pub fn ndcg_at_10(found: &[String], relevant: &HashSet<String>) -> f64 {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let ideal: f64 = (0..relevant.len().min(10)).map(gain).sum();
    let reached: f64 =
        (0..).zip(found.iter().take(10)).filter(|(_, id)| relevant.contains(*id)).map(|(rank, _)| gain(rank)).sum();
    if ideal > 0.0 { reached / ideal } else { 0.0 }
}
