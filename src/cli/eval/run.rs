//! One configuration to measure: a mode and settings, as given on the command line.

use super::Failure;
use crate::domain::{Filters, Fusion, Mode, Query, QueryError, Tuning};

#[derive(Debug, PartialEq)]
pub struct Run {
    /// As it was given.
    pub name: String,
    mode: Mode,
    tuning: Tuning,
}

impl Run {
    /// `MODE[,SETTING=VALUE...]`
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split(',').map(str::trim);
        let mode = match parts.next().unwrap_or_default() {
            "hybrid" => Mode::Hybrid,
            "keyword" => Mode::Keyword,
            "dense" => Mode::Dense,
            other => return Err(Failure::new(format!("{other:?} is no mode: hybrid, keyword or dense"))),
        };
        // Judgements are of documents, so each is counted once.
        let mut tuning = Tuning { per_document: Some(1), distinct: false, ..Tuning::default() };
        for part in parts {
            let (setting, value) = part.split_once('=').unwrap_or((part, "true"));
            set(&mut tuning, setting, value)?;
        }
        Ok(Self { name: text.to_owned(), mode, tuning })
    }

    pub fn query(&self, text: &str, filters: Filters, limit: usize) -> Result<Query, QueryError> {
        Query::new(text, self.mode, filters, limit)?.tuned(self.tuning)
    }
}

fn set(tuning: &mut Tuning, setting: &str, value: &str) -> Result<(), Failure> {
    let wrong = || Failure::new(format!("{setting}={value} is no setting of a run"));
    let number = || value.parse::<f32>().map_err(|_| wrong());
    let switch = || value.parse::<bool>().map_err(|_| wrong());
    match setting {
        "fusion" => {
            tuning.fusion = match value {
                "convex" => Fusion::Convex,
                "standardized" => Fusion::Standardized,
                "rrf" => Fusion::Rrf,
                _ => return Err(wrong()),
            }
        }
        "dense_weight" => tuning.dense_weight = Some(number()?),
        "recency" => tuning.recency = number()?,
        "diversity" => tuning.diversity = number()?,
        "expand" => tuning.expand = switch()?,
        "distinct" => tuning.distinct = switch()?,
        "rerank" => tuning.rerank = switch()?,
        _ => return Err(wrong()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Run;
    use crate::domain::{Filters, Fusion, Mode};

    #[test]
    fn a_run_is_a_mode_and_its_settings() {
        let run = Run::parse("hybrid,fusion=rrf,expand=false,dense_weight=0.5").unwrap();
        assert_eq!((run.mode, run.tuning.fusion, run.tuning.expand), (Mode::Hybrid, Fusion::Rrf, false));
        assert_eq!(run.tuning.dense_weight, Some(0.5));
        assert_eq!(Run::parse("keyword").unwrap().mode, Mode::Keyword);
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for text in ["", "bm25", "hybrid,fusion=sum", "hybrid,weight=1", "dense,expand=perhaps"] {
            assert!(Run::parse(text).is_err(), "{text}");
        }
        let out_of_range = Run::parse("hybrid,dense_weight=3").unwrap();
        assert!(out_of_range.query("cough", Filters::default(), 10).is_err());
    }
}
