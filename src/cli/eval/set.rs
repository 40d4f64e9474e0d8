//! A judged set on disk: queries, judgements, and where its documents are.
//!
//! The layout is that of BEIR. A set over records has `set.toml` in place of `corpus.jsonl`; then judgements name
//! documents by the key that their source gave them. A query's metadata may name a class and a patient.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Failure;
use crate::domain::PatientId;
use crate::stages::judge::Judgements;

pub struct Set {
    pub documents: Documents,
    pub queries: Vec<JudgedQuery>,
    pub judgements: BTreeMap<String, Judgements>,
}

pub enum Documents {
    /// A JSON line each: `_id`, `title`, `text`.
    Lines(PathBuf),
    /// A folder of records as `anamnesis demo` takes it in.
    Hospital(PathBuf),
}

#[derive(Deserialize)]
pub struct JudgedQuery {
    #[serde(rename = "_id")]
    pub id: String,
    pub text: String,
    #[serde(default)]
    pub metadata: QueryMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct QueryMetadata {
    /// What the query tries; figures are told for each class too.
    pub class: Option<String>,
    /// Only this patient's record is searched.
    pub patient: Option<PatientId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFile {
    /// Relative to the set's folder.
    hospital: PathBuf,
}

impl Set {
    pub fn read(dir: &Path, qrels: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self {
            documents: documents(dir)?,
            queries: read_lines(&dir.join("queries.jsonl"))?,
            judgements: read_judgements(&qrels_path(dir, qrels)?)?,
        })
    }
}

fn documents(dir: &Path) -> Result<Documents, Failure> {
    let (lines, file) = (dir.join("corpus.jsonl"), dir.join("set.toml"));
    if lines.exists() {
        return Ok(Documents::Lines(lines));
    }
    if !file.exists() {
        return Err(Failure::new(format!("{}: neither corpus.jsonl nor set.toml is there", dir.display())));
    }
    let set: SetFile = toml::from_str(&fs::read_to_string(file)?)?;
    Ok(Documents::Hospital(dir.join(set.hospital)))
}

fn qrels_path(dir: &Path, given: Option<&Path>) -> Result<PathBuf, Failure> {
    let usual = [dir.join("qrels.tsv"), dir.join("qrels/test.tsv")];
    given
        .map(Path::to_owned)
        .or_else(|| usual.into_iter().find(|path| path.exists()))
        .ok_or_else(|| Failure::new("no judgements: neither qrels.tsv nor qrels/test.tsv is there"))
}

/// Lines of `query-id <tab> corpus-id <tab> score`, with or without a header.
fn read_judgements(path: &Path) -> Result<BTreeMap<String, Judgements>, Failure> {
    let mut judgements: BTreeMap<String, Judgements> = BTreeMap::new();
    for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (query, document, grade) = match fields[..] {
            [query, document, grade] => (query, document, grade),
            // The four columns of TREC: query, iteration, document, grade.
            [query, _, document, grade] => (query, document, grade),
            [""] => continue,
            _ => return Err(Failure::new(format!("{}: line {} is no judgement", path.display(), number + 1))),
        };
        match grade.parse::<i64>() {
            Ok(grade) => {
                let grade = u32::try_from(grade).unwrap_or(0);
                judgements.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
            }
            Err(_) if number == 0 => {}
            Err(_) => return Err(Failure::new(format!("{}: line {} has no grade", path.display(), number + 1))),
        }
    }
    Ok(judgements)
}

pub fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
}
