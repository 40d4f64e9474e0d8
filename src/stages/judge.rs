//! Figures of a ranking against judgements.
//!
//! Definitions as in trec_eval: nDCG with gain equal to the judged grade and discount log2(rank + 1);
//! recall over all documents judged relevant; reciprocal rank of the first relevant one. A query whose
//! judgements name no relevant document counts in none of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Grades by document; above 0 is relevant.
pub type Judgements = BTreeMap<String, u32>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub ndcg_at_10: f64,
    pub recall_at_100: f64,
    pub mrr_at_10: f64,
}

impl Figures {
    /// Of one query's ranking, best first, each document once; `None` when nothing is judged relevant.
    pub fn of(ranking: &[String], judgements: &Judgements) -> Option<Self> {
        if judgements.values().all(|grade| *grade == 0) {
            return None;
        }
        Some(Self {
            ndcg_at_10: ndcg(ranking, judgements, 10),
            recall_at_100: recall(ranking, judgements, 100),
            mrr_at_10: reciprocal_rank(ranking, judgements, 10),
        })
    }
}

pub fn ndcg(ranking: &[String], judgements: &Judgements, depth: usize) -> f64 {
    let gain = |grade: u32, rank: usize| f64::from(grade) / (rank as f64 + 2.0).log2();
    let found: f64 = ranking
        .iter()
        .take(depth)
        .enumerate()
        .map(|(rank, document)| gain(judgements.get(document).copied().unwrap_or(0), rank))
        .sum();
    let mut grades: Vec<u32> = judgements.values().copied().collect();
    grades.sort_unstable_by(|a, b| b.cmp(a));
    let ideal: f64 = grades.iter().take(depth).enumerate().map(|(rank, grade)| gain(*grade, rank)).sum();
    if ideal > 0.0 { found / ideal } else { 0.0 }
}

pub fn recall(ranking: &[String], judgements: &Judgements, depth: usize) -> f64 {
    let relevant = judgements.values().filter(|grade| **grade > 0).count();
    let found = ranking.iter().take(depth).filter(|document| is_relevant(document, judgements)).count();
    if relevant > 0 { found as f64 / relevant as f64 } else { 0.0 }
}

pub fn reciprocal_rank(ranking: &[String], judgements: &Judgements, depth: usize) -> f64 {
    let first = ranking.iter().take(depth).position(|document| is_relevant(document, judgements));
    first.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0))
}

fn is_relevant(document: &str, judgements: &Judgements) -> bool {
    judgements.get(document).is_some_and(|grade| *grade > 0)
}

#[cfg(test)]
mod tests {
    use super::{Figures, Judgements, ndcg, recall, reciprocal_rank};

    fn ranking(documents: &[&str]) -> Vec<String> {
        documents.iter().map(|document| (*document).to_owned()).collect()
    }

    fn judged(grades: &[(&str, u32)]) -> Judgements {
        grades.iter().map(|(document, grade)| ((*document).to_owned(), *grade)).collect()
    }

    #[test]
    fn the_figures_are_those_computed_by_hand() {
        let (found, judgements) = (ranking(&["x", "a", "y", "b"]), judged(&[("a", 1), ("b", 1), ("c", 0)]));
        let ideal = 1.0 + 1.0 / 3.0_f64.log2();
        let gained = 1.0 / 3.0_f64.log2() + 1.0 / 5.0_f64.log2();
        assert!((ndcg(&found, &judgements, 10) - gained / ideal).abs() < 1e-12);
        assert_eq!(recall(&found, &judgements, 3), 0.5);
        assert_eq!(reciprocal_rank(&found, &judgements, 10), 0.5);
    }

    #[test]
    fn a_perfect_ranking_scores_one_and_an_empty_one_nothing() {
        let judgements = judged(&[("a", 2), ("b", 1)]);
        assert_eq!(ndcg(&ranking(&["a", "b"]), &judgements, 10), 1.0);
        assert!(ndcg(&ranking(&["b", "a"]), &judgements, 10) < 1.0);
        assert_eq!(ndcg(&[], &judgements, 10), 0.0);
    }

    #[test]
    fn a_query_without_a_relevant_document_has_no_figures() {
        assert_eq!(Figures::of(&ranking(&["a"]), &judged(&[("a", 0)])), None);
        assert_eq!(Figures::of(&ranking(&["a"]), &judged(&[("a", 1)])).map(|figures| figures.mrr_at_10), Some(1.0));
    }
}
