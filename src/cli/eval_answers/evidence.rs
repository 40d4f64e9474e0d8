//! The sentences that are chosen as evidence, and the documents they come from, held against judgements.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::arguments::EvalAnswersOptions;
use super::super::{Failure, eval, models};
use super::share;
use crate::access::Access;
use crate::app::App;
use crate::config::Config;
use crate::domain::{Answer, DocumentId, Filters, Mode, Query, SourceId};
use crate::flows::PASSAGES;
use crate::stages::terms::terms;

#[derive(Debug, Serialize)]
pub struct EvidenceReport {
    queries: usize,
    answered: usize,
    /// Reasons of the others.
    refused: BTreeMap<String, usize>,
    /// Sentences of answers that stand in a document judged relevant, of all sentences.
    right_document: f64,
    /// First sentences likewise.
    first_right_document: f64,
    /// Over single sentences judged as evidence, where the set has such judgements.
    evidence: Option<Scores>,
    /// As many sentences for each query, chosen by BM25 from the same documents.
    bm25_evidence: Option<Scores>,
    /// Quotes that stand in the document as it was given.
    verbatim_rate: f64,
}

#[derive(Debug, Default, Serialize)]
pub struct Scores {
    precision: f64,
    recall: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct Judged {
    query_id: String,
    doc_id: String,
    #[serde(default)]
    split: String,
    sentences: Vec<usize>,
}

#[derive(Deserialize)]
struct Given {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// Ranges of characters.
    #[serde(default)]
    sentence_offsets: Vec<(usize, usize)>,
}

type Place = (String, usize);

/// Counts of chosen, judged, and both.
#[derive(Default)]
struct Matches {
    chosen: usize,
    judged: usize,
    both: usize,
}

impl Matches {
    fn add(&mut self, chosen: &BTreeSet<Place>, judged: &BTreeSet<Place>) {
        self.chosen += chosen.len();
        self.judged += judged.len();
        self.both += chosen.intersection(judged).count();
    }

    fn scores(&self) -> Scores {
        let (precision, recall) = (share(self.both, self.chosen), share(self.both, self.judged));
        let f1 = if self.both == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
        Scores { precision, recall, f1 }
    }
}

pub async fn measure(
    mut config: Config,
    folder: &Path,
    options: &EvalAnswersOptions,
) -> Result<EvidenceReport, Failure> {
    let temporary = tempfile::tempdir()?;
    config.data_dir = options.work.clone().unwrap_or_else(|| temporary.path().to_owned());
    config.sources = Vec::new();
    let app = App::start(config.clone(), models::load(&config).await?).await?;
    eval::take_in(&app, folder).await?;
    let access = eval::access().await?;
    let given: BTreeMap<String, Given> = eval::read_lines::<Given>(&folder.join("corpus.jsonl"))?
        .into_iter()
        .map(|document| (DocumentId::derive(&SourceId::new(eval::SOURCE), &document.id).to_string(), document))
        .collect();
    let judged = judged_sentences(folder, &options.split)?;
    let relevant = relevant(folder, &judged)?;
    let (mut ours, mut baseline) = (Matches::default(), Matches::default());
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let (mut said, mut right, mut first_right, mut answered, mut verbatim, mut queries) = (0, 0, 0, 0, 0, 0);
    for query in eval::read_lines::<eval::JudgedQuery>(&folder.join("queries.jsonl"))? {
        let Some(documents) = relevant.get(&query.id) else { continue };
        // With sentences judged, claims without evidence have nothing to choose.
        let evidence = judged.get(&query.id);
        if queries == options.limit || (!judged.is_empty() && evidence.is_none()) {
            continue;
        }
        queries += 1;
        let asked = Query::new(&query.text, Mode::Hybrid, Filters::default(), PASSAGES)?;
        let answer = app.answer.run(&access, &asked).await?;
        answered += usize::from(!answer.sentences.is_empty());
        if let Some(reason) = answer.reason {
            *refused.entry(format!("{reason:?}")).or_default() += 1;
        }
        for (number, sentence) in answer.sentences.iter().enumerate() {
            let found = sentence.citations.first().and_then(|citation| given.get(citation.key.id.as_str()));
            let is_right = found.is_some_and(|found| documents.contains(&found.id));
            said += 1;
            right += usize::from(is_right);
            first_right += usize::from(is_right && number == 0);
            let quote = sentence.citations.first().map(|citation| citation.quote.as_str()).unwrap_or_default();
            verbatim += usize::from(found.is_some_and(|found| found.text.contains(quote)));
        }
        if let Some(evidence) = evidence {
            let chosen = places(&answer, &given);
            let retrieved = retrieved(&app, &access, &asked).await?;
            baseline.add(&by_bm25(&query.text, &retrieved, &given, chosen.len().max(1)), evidence);
            ours.add(&chosen, evidence);
        }
    }
    app.store.close().await;
    let has_sentences = !judged.is_empty();
    Ok(EvidenceReport {
        queries,
        answered,
        refused,
        right_document: share(right, said),
        first_right_document: share(first_right, answered),
        evidence: has_sentences.then(|| ours.scores()),
        bm25_evidence: has_sentences.then(|| baseline.scores()),
        verbatim_rate: share(verbatim, said),
    })
}

/// The documents that are right: those of the judged sentences, else of the usual judgements.
fn relevant(
    folder: &Path,
    judged: &BTreeMap<String, BTreeSet<Place>>,
) -> Result<BTreeMap<String, HashSet<String>>, Failure> {
    let mut relevant = eval::relevant(folder)?;
    for (query, places) in judged {
        relevant.entry(query.clone()).or_default().extend(places.iter().map(|(document, _)| document.clone()));
    }
    Ok(relevant)
}

/// Of one half of the set.
fn judged_sentences(folder: &Path, split: &str) -> Result<BTreeMap<String, BTreeSet<Place>>, Failure> {
    let path = folder.join("evidence.jsonl");
    let mut judged: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    if !path.exists() {
        return Ok(judged);
    }
    for line in fs::read_to_string(path)?.lines().filter(|line| !line.trim().is_empty()) {
        let one: Judged = serde_json::from_str(line)?;
        if one.split == split {
            let places = one.sentences.iter().map(|sentence| (one.doc_id.clone(), *sentence));
            judged.entry(one.query_id).or_default().extend(places);
        }
    }
    Ok(judged)
}

/// The given sentences that an answer's quotes lie in.
fn places(answer: &Answer, given: &BTreeMap<String, Given>) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for citation in answer.sentences.iter().flat_map(|sentence| &sentence.citations) {
        let Some(document) = given.get(citation.key.id.as_str()) else { continue };
        let Some(at) = document.text.find(&citation.quote) else { continue };
        let start = document.text[..at].chars().count();
        let end = start + citation.quote.chars().count();
        for (number, (from, to)) in document.metadata.sentence_offsets.iter().enumerate() {
            // More than half of the given sentence is quoted, or the quote lies within it.
            let shared = end.min(*to).saturating_sub(start.max(*from));
            if shared * 2 > to - from || shared == end - start {
                places.insert((document.id.clone(), number));
            }
        }
    }
    places
}

/// The documents that sentences were taken from, by the server's own ranking.
async fn retrieved(app: &App, access: &Access, query: &Query) -> Result<BTreeSet<String>, Failure> {
    let passages = app.retrieve.run(access, query).await?.passages;
    Ok(passages.into_iter().map(|passage| passage.document.key.id.to_string()).collect())
}

/// The best sentences of these documents by BM25 (k1 = 0.9, b = 0.4), each sentence a document.
fn by_bm25(
    query: &str,
    documents: &BTreeSet<String>,
    given: &BTreeMap<String, Given>,
    wanted: usize,
) -> BTreeSet<Place> {
    let mut sentences: Vec<(Place, Vec<String>)> = Vec::new();
    for document in documents.iter().filter_map(|id| given.get(id)) {
        let letters: Vec<char> = document.text.chars().collect();
        for (number, (from, to)) in document.metadata.sentence_offsets.iter().enumerate() {
            let text: String = letters.get(*from..*to).unwrap_or_default().iter().collect();
            sentences.push(((document.id.clone(), number), terms(&text)));
        }
    }
    let count = sentences.len() as f64;
    let mean = sentences.iter().map(|(_, terms)| terms.len()).sum::<usize>() as f64 / count.max(1.0);
    let asked: BTreeSet<String> = terms(query).into_iter().collect();
    let idf = |term: &String| {
        let holding = sentences.iter().filter(|(_, terms)| terms.contains(term)).count() as f64;
        (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln()
    };
    let weights: BTreeMap<&String, f64> = asked.iter().map(|term| (term, idf(term))).collect();
    let score = |terms: &Vec<String>| {
        let length = 0.9 * (1.0 - 0.4 + 0.4 * terms.len() as f64 / mean.max(1.0));
        let one = |(term, weight): (&&String, &f64)| {
            let often = terms.iter().filter(|other| other == term).count() as f64;
            weight * often * 1.9 / (often + length)
        };
        weights.iter().map(one).sum::<f64>()
    };
    let mut scored: Vec<(f64, &Place)> = sentences.iter().map(|(place, terms)| (score(terms), place)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(wanted).map(|(_, place)| place.clone()).collect()
}
