//! What a measurement came to: means with their intervals, by class, and each run held against another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Failure, set};
use crate::stages::judge::Figures;
use crate::stages::resample::{Difference, Interval, difference, interval, mean};

/// One query under one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judged {
    pub run: String,
    pub query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
    /// Keys of the first documents, best first.
    pub documents: Vec<String>,
}

/// As written by `--per-query`: a JSON line for each query and run.
pub fn lines(judged: &[Judged]) -> Result<String, Failure> {
    let mut text = String::new();
    for one in judged {
        text.push_str(&serde_json::to_string(one)?);
        text.push('\n');
    }
    Ok(text)
}

pub fn read_judged(file: &Path) -> Result<Vec<Judged>, Failure> {
    set::read_lines(file)
}

#[derive(Debug, Serialize)]
pub struct Seconds {
    pub ingest: f64,
    pub index: f64,
    pub search: f64,
}

/// A mean, and where 95 percent of the means over resampled queries lie.
#[derive(Debug, Serialize)]
pub struct Estimate {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    fn of(values: &[f64]) -> Self {
        let Interval { low, high } = interval(values);
        Self { mean: mean(values), low, high }
    }
}

#[derive(Debug, Serialize)]
pub struct RunReport {
    pub name: String,
    pub ndcg_at_10: Estimate,
    pub recall_at_100: Estimate,
    pub mrr_at_10: Estimate,
    /// By class of query: how many, and their mean nDCG@10.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, (usize, f64)>,
}

/// nDCG@10 of `run` less that of `other`, over the same queries.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub run: String,
    pub other: String,
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    pub p: f64,
    pub better: usize,
    pub worse: usize,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub documents: u64,
    pub queries: usize,
    pub runs: Vec<RunReport>,
    /// The last run against each of the others.
    pub comparisons: Vec<Comparison>,
    /// Each run against what it came to earlier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub since: Vec<Comparison>,
    seconds: Seconds,
}

impl Report {
    pub fn new(
        documents: u64,
        names: &[&str],
        judged: &[Judged],
        earlier: Option<&[Judged]>,
        seconds: Seconds,
    ) -> Self {
        let of = |name: &str| judged.iter().filter(|one| one.run == name).collect::<Vec<_>>();
        let last = names.last().copied().unwrap_or_default();
        let others = names.iter().filter(|name| **name != last);
        let comparisons = others.map(|other| compare(last, other, &of(last), &of(other))).collect();
        let since = earlier.map(|earlier| names.iter().filter_map(|name| since(name, &of(name), earlier)).collect());
        Self {
            documents,
            queries: of(last).len(),
            runs: names.iter().map(|name| run_report(name, &of(name))).collect(),
            comparisons,
            since: since.unwrap_or_default(),
            seconds,
        }
    }
}

fn run_report(name: &str, judged: &[&Judged]) -> RunReport {
    let estimate =
        |figure: fn(&Figures) -> f64| Estimate::of(&judged.iter().map(|one| figure(&one.figures)).collect::<Vec<_>>());
    let mut by_class = BTreeMap::<String, Vec<f64>>::new();
    for one in judged {
        if let Some(class) = &one.class {
            by_class.entry(class.clone()).or_default().push(one.figures.ndcg_at_10);
        }
    }
    RunReport {
        name: name.to_owned(),
        ndcg_at_10: estimate(|figures| figures.ndcg_at_10),
        recall_at_100: estimate(|figures| figures.recall_at_100),
        mrr_at_10: estimate(|figures| figures.mrr_at_10),
        classes: by_class.into_iter().map(|(class, values)| (class, (values.len(), mean(&values)))).collect(),
    }
}

fn since(name: &str, judged: &[&Judged], earlier: &[Judged]) -> Option<Comparison> {
    let before: Vec<&Judged> = earlier.iter().filter(|one| one.run == name).collect();
    (!before.is_empty()).then(|| compare(name, "earlier", judged, &before))
}

/// Over the queries that both have.
fn compare(run: &str, other: &str, one: &[&Judged], two: &[&Judged]) -> Comparison {
    let second: BTreeMap<&str, f64> =
        two.iter().map(|judged| (judged.query.as_str(), judged.figures.ndcg_at_10)).collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) =
        one.iter().filter_map(|judged| Some((judged.figures.ndcg_at_10, *second.get(judged.query.as_str())?))).unzip();
    let Difference { mean, interval, p, better, worse } = difference(&ours, &theirs);
    Comparison {
        run: run.to_owned(),
        other: other.to_owned(),
        mean,
        low: interval.low,
        high: interval.high,
        p,
        better,
        worse,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} documents, {} queries; means, and 95% intervals over resampled queries\n",
            self.documents, self.queries
        )?;
        let width = self.runs.iter().map(|run| run.name.len()).max().unwrap_or(0).max("run".len());
        writeln!(f, "{:<width$}  {:^22}  {:^22}  {:^22}", "run", "nDCG@10", "Recall@100", "MRR@10")?;
        for run in &self.runs {
            write!(f, "{:<width$}", run.name)?;
            for estimate in [&run.ndcg_at_10, &run.recall_at_100, &run.mrr_at_10] {
                write!(f, "  {:.4} [{:.4}, {:.4}]", estimate.mean, estimate.low, estimate.high)?;
            }
            writeln!(f)?;
        }
        self.write_classes(f, width)?;
        for comparison in self.comparisons.iter().chain(&self.since) {
            let Comparison { run, other, mean, low, high, p, better, worse } = comparison;
            writeln!(
                f,
                "\n{run} less {other}: nDCG@10 {mean:+.4} [{low:+.4}, {high:+.4}], p {p:.3}; {better} better, {worse} worse"
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn write_classes(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let Some(last) = self.runs.last().filter(|run| !run.classes.is_empty()) else { return Ok(()) };
        writeln!(f, "\nnDCG@10 by class")?;
        let of_class = last.classes.keys().map(String::as_str).map(str::len).max().unwrap_or(0);
        write!(f, "{:<of_class$}  queries", "")?;
        for run in &self.runs {
            write!(f, "  {:>width$}", run.name)?;
        }
        writeln!(f)?;
        for (class, (queries, _)) in &last.classes {
            write!(f, "{class:<of_class$}  {queries:>7}")?;
            for run in &self.runs {
                write!(f, "  {:>width$.4}", run.classes.get(class).map_or(0.0, |(_, mean)| *mean))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
