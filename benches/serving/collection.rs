//! What is searched, and for what: judged abstracts among notes that look like them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anamnesis::stages::judge::Judgements;
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
    pub judgements: Judgements,
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
        let judged_as = judgements(&scifact.join("qrels/test.tsv"))?;
        let asked_for: HashSet<&String> = judged_as.values().flat_map(Judgements::keys).collect();
        sentences.retain(|id, _| !asked_for.contains(id));
        let (mut judged, mut others) = (Vec::new(), Vec::new());
        for line in std::fs::read_to_string(scifact.join("queries.jsonl"))?.lines() {
            let query: Value = serde_json::from_str(line)?;
            let text = query["text"].as_str().unwrap_or_default().to_owned();
            match judged_as.get(query["_id"].as_str().unwrap_or_default()) {
                Some(judgements) => judged.push(Claim { text, judgements: judgements.clone() }),
                None => others.push(Claim { text, judgements: Judgements::new() }),
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

fn judgements(path: &Path) -> Outcome<HashMap<String, Judgements>> {
    let mut judgements: HashMap<String, Judgements> = HashMap::new();
    for line in std::fs::read_to_string(path)?.lines().skip(1) {
        if let [query, document, grade] = line.split('\t').map(str::trim).collect::<Vec<_>>()[..] {
            judgements.entry(query.to_owned()).or_default().insert(document.to_owned(), grade.parse()?);
        }
    }
    Ok(judgements)
}
