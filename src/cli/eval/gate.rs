//! Whether a measurement is good enough: what makes `anamnesis eval` fail.

use super::report::{Report, RunReport};
use super::{Done, Failure};

/// Above, chance alone explains a difference often enough.
const P: f64 = 0.05;

/// The least that the last run must reach.
#[derive(Debug, PartialEq)]
pub struct Minimum {
    figure: Figure,
    least: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Ndcg,
    Recall,
    Mrr,
}

impl Figure {
    const ALL: [(&str, Self); 3] =
        [("ndcg_at_10", Self::Ndcg), ("recall_at_100", Self::Recall), ("mrr_at_10", Self::Mrr)];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, figure)| *figure == self).map_or("", |(name, _)| name)
    }

    fn of(self, run: &RunReport) -> f64 {
        match self {
            Self::Ndcg => run.ndcg_at_10.mean,
            Self::Recall => run.recall_at_100.mean,
            Self::Mrr => run.mrr_at_10.mean,
        }
    }
}

impl Minimum {
    /// `ndcg_at_10=0.745`
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new(format!("{text:?} is no minimum: it should be like ndcg_at_10=0.7"));
        let (name, least) = text.split_once('=').ok_or_else(wrong)?;
        let figure = Figure::ALL.iter().find(|(known, _)| *known == name.trim()).ok_or_else(wrong)?.1;
        let least = least.trim().parse::<f64>().ok().filter(|least| (0.0..=1.0).contains(least)).ok_or_else(wrong)?;
        Ok(Self { figure, least })
    }
}

/// Fails with everything that isn't as it must be.
pub fn check(report: &Report, minima: &[Minimum], must_be_best: bool) -> Done {
    let mut faults = Vec::new();
    if let Some(last) = report.runs.last() {
        for Minimum { figure, least } in minima {
            let reached = figure.of(last);
            if reached < *least {
                faults.push(format!("{}: {} is {reached:.4}, below {least}", last.name, figure.name()));
            }
        }
    }
    if must_be_best {
        let above = report.comparisons.iter().filter(|comparison| comparison.mean < 0.0);
        faults.extend(above.map(|found| format!("{} is better than {} by {:.4}", found.other, found.run, -found.mean)));
    }
    let worse = report.since.iter().filter(|comparison| comparison.mean < 0.0 && comparison.p < P);
    faults
        .extend(worse.map(|found| format!("{} has become worse by {:.4} (p {:.3})", found.run, -found.mean, found.p)));
    if faults.is_empty() { Ok(()) } else { Err(Failure::new(faults.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Judged, Report, Seconds};
    use super::{Minimum, check};
    use crate::stages::judge::Figures;

    fn judged(run: &str, values: &[f64]) -> Vec<Judged> {
        let one = |(number, value): (usize, &f64)| Judged {
            run: run.to_owned(),
            query: number.to_string(),
            class: None,
            figures: Figures { ndcg_at_10: *value, recall_at_100: 1.0, mrr_at_10: *value },
            documents: Vec::new(),
        };
        values.iter().enumerate().map(one).collect()
    }

    fn report(earlier: Option<&[Judged]>) -> Report {
        let all = [judged("keyword", &[0.9; 40]), judged("hybrid", &[0.8; 40])].concat();
        let seconds = Seconds { ingest: 0.0, index: 0.0, search: 0.0 };
        Report::new(40, &["keyword", "hybrid"], &all, earlier, seconds)
    }

    #[test]
    fn a_minimum_is_of_the_last_run() {
        let passes = |minimum: &str| check(&report(None), &[Minimum::parse(minimum).unwrap()], false).is_ok();
        assert!(passes("ndcg_at_10=0.8") && passes("recall_at_100=1"));
        assert!(!passes("ndcg_at_10=0.81"));
        for text in ["ndcg=0.8", "ndcg_at_10", "ndcg_at_10=8", "mrr_at_10=much"] {
            assert!(Minimum::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_run_may_have_to_be_the_best() {
        assert!(check(&report(None), &[], false).is_ok());
        assert!(check(&report(None), &[], true).is_err());
    }

    #[test]
    fn what_has_become_worse_fails() {
        let (better, alike) = (judged("hybrid", &[0.9; 40]), judged("hybrid", &[0.8; 40]));
        assert!(check(&report(Some(&better)), &[], false).is_err());
        assert!(check(&report(Some(&alike)), &[], false).is_ok());
    }
}
