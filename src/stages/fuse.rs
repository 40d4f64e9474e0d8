//! Joins the rankings of several searches into one.
//!
//! Equal scores keep the order of their keys, so that the same input always gives the same list.

use std::collections::BTreeMap;

use crate::domain::{Explanation, SideRank};

/// `k` of Cormack, Clarke & Büttcher, SIGIR 2009.
pub const RRF_K: f32 = 60.0;

/// What one search found, best first; a key that comes twice counts where it came first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking<K> {
    pub candidates: Vec<(K, f32)>,
}

impl<K> Default for Ranking<K> {
    fn default() -> Self {
        Self { candidates: Vec::new() }
    }
}

/// One candidate of the joined list, which holds every candidate exactly once, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused<K> {
    pub key: K,
    pub score: f32,
    /// Where each ranking placed it, in the order in which the rankings were given.
    pub sides: Vec<Option<SideRank>>,
}

impl<K> Fused<K> {
    /// Reads the first side as the keyword search and the second as the dense one.
    pub fn explanation(&self) -> Explanation {
        let side = |number: usize| self.sides.get(number).copied().flatten();
        Explanation { keyword: side(0), dense: side(1) }
    }
}

/// Reciprocal rank fusion: each ranking adds `1 / (k + rank)` to the candidates it holds.
///
/// Uses ranks (from 1), never scores. A `k` that is negative or no number counts as [`RRF_K`].
pub fn rrf<K: Ord + Copy>(rankings: &[Ranking<K>], k: f32) -> Vec<Fused<K>> {
    let k = if k.is_finite() && k >= 0.0 { k } else { RRF_K };
    let fused = placements(rankings).into_iter().map(|(key, sides)| {
        let mut shares: Vec<f32> = sides.iter().flatten().map(|side| 1.0 / (k + side.rank as f32)).collect();
        // Floating-point sums depend on their order; sorted, they don't depend on that of the rankings.
        shares.sort_by(f32::total_cmp);
        Fused { key, score: shares.into_iter().sum(), sides }
    });
    best_first(fused.collect())
}

/// Convex combination: `dense_weight` times the dense score plus the rest times the keyword score,
/// each scaled to 0..1 over all candidates of both sides.
///
/// A candidate that the keyword search doesn't hold shares no word with the query: its BM25 is 0.
/// One that the dense search doesn't hold counts as its worst. Scores that are no finite number
/// count as the worst of their side; a weight outside 0..1 is drawn in, one that is no number
/// counts as a half.
pub fn convex<K: Ord + Copy>(keyword: &Ranking<K>, dense: &Ranking<K>, dense_weight: f32) -> Vec<Fused<K>> {
    let dense_weight = share(dense_weight);
    let placed = placements(&[keyword, dense]);
    let missing_keyword = placed.values().any(|sides| side_score(sides, 0).is_none());
    let keyword_scale = Scale::over(placed.values(), 0, missing_keyword.then_some(0.0));
    let dense_scale = Scale::over(placed.values(), 1, None);
    let fused = placed.into_iter().map(|(key, sides)| {
        let keyword = keyword_scale.place(side_score(&sides, 0));
        let dense = dense_scale.place(side_score(&sides, 1));
        Fused { key, score: dense_weight * dense + (1.0 - dense_weight) * keyword, sides }
    });
    best_first(fused.collect())
}

/// As [`convex`], with each score measured in standard deviations from its side's mean: a side whose scores lie close
/// together decides as much as one whose best stands far out.
pub fn standardized<K: Ord + Copy>(keyword: &Ranking<K>, dense: &Ranking<K>, dense_weight: f32) -> Vec<Fused<K>> {
    let dense_weight = share(dense_weight);
    let placed = placements(&[keyword, dense]);
    let spread = |number: usize| {
        Spread::over(
            placed.values().map(|sides| side_score(sides, number).filter(|score| score.is_finite()).unwrap_or(0.0)),
        )
    };
    let (keyword_spread, dense_spread) = (spread(0), spread(1));
    let fused = placed.into_iter().map(|(key, sides)| {
        let keyword = keyword_spread.place(side_score(&sides, 0));
        let dense = dense_spread.place(side_score(&sides, 1));
        Fused { key, score: dense_weight * dense + (1.0 - dense_weight) * keyword, sides }
    });
    best_first(fused.collect())
}

fn share(weight: f32) -> f32 {
    if weight.is_nan() { 0.5 } else { weight.clamp(0.0, 1.0) }
}

type Placements<K> = BTreeMap<K, Vec<Option<SideRank>>>;

fn placements<K: Ord + Copy, R: std::borrow::Borrow<Ranking<K>>>(rankings: &[R]) -> Placements<K> {
    let mut placed = Placements::new();
    for (number, ranking) in rankings.iter().enumerate() {
        for (rank, (key, score)) in (1..).zip(&ranking.borrow().candidates) {
            let sides = placed.entry(*key).or_insert_with(|| vec![None; rankings.len()]);
            if let Some(side) = sides.get_mut(number) {
                side.get_or_insert(SideRank { rank, score: *score });
            }
        }
    }
    placed
}

fn side_score(sides: &[Option<SideRank>], number: usize) -> Option<f32> {
    sides.get(number).copied().flatten().map(|side| side.score)
}

/// The range of one side's finite scores.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn over<'a>(placed: impl Iterator<Item = &'a Vec<Option<SideRank>>>, number: usize, missing: Option<f32>) -> Self {
        let scores = placed.filter_map(|sides| side_score(sides, number)).chain(missing);
        let empty = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        scores.filter(|score| score.is_finite()).fold(empty, |scale, score| Self {
            low: scale.low.min(f64::from(score)),
            high: scale.high.max(f64::from(score)),
        })
    }

    /// 0 for the worst, 1 for the best; when all are alike, 1 for each that is there.
    fn place(&self, score: Option<f32>) -> f32 {
        match score.filter(|score| score.is_finite()) {
            None => 0.0,
            Some(_) if self.high <= self.low => 1.0,
            Some(score) => ((f64::from(score) - self.low) / (self.high - self.low)) as f32,
        }
    }
}

/// Mean and standard deviation of one side's scores; one that is missing is 0.
struct Spread {
    mean: f64,
    deviation: f64,
}

impl Spread {
    fn over(scores: impl Iterator<Item = f32> + Clone) -> Self {
        let count = scores.clone().count().max(1) as f64;
        let mean = scores.clone().map(f64::from).sum::<f64>() / count;
        let deviation = (scores.map(|score| (f64::from(score) - mean).powi(2)).sum::<f64>() / count).sqrt();
        Self { mean, deviation }
    }

    fn place(&self, score: Option<f32>) -> f32 {
        let score = f64::from(score.filter(|score| score.is_finite()).unwrap_or(0.0));
        if self.deviation > 0.0 { ((score - self.mean) / self.deviation) as f32 } else { 0.0 }
    }
}

fn best_first<K: Ord>(mut fused: Vec<Fused<K>>) -> Vec<Fused<K>> {
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
    fused
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Fused, RRF_K, Ranking, convex, rrf, standardized};

    fn ranking(candidates: &[(u32, f32)]) -> Ranking<u32> {
        Ranking { candidates: candidates.to_vec() }
    }

    fn keys(fused: &[Fused<u32>]) -> Vec<u32> {
        fused.iter().map(|candidate| candidate.key).collect()
    }

    /// Best first, each key once.
    fn any_ranking() -> impl Strategy<Value = Ranking<u32>> {
        prop::collection::btree_map(0u32..30, -5.0f32..20.0, 0..20).prop_map(|scores| {
            let mut candidates: Vec<(u32, f32)> = scores.into_iter().collect();
            candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
            Ranking { candidates }
        })
    }

    fn any_score() -> impl Strategy<Value = f32> {
        prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), any::<f32>()]
    }

    fn position(fused: &[Fused<u32>], key: u32) -> usize {
        fused.iter().position(|candidate| candidate.key == key).expect("every candidate is there")
    }

    #[test]
    fn rrf_prefers_what_both_sides_hold() {
        let fused = rrf(&[ranking(&[(1, 9.0), (2, 8.0)]), ranking(&[(3, 0.9), (2, 0.8)])], RRF_K);
        assert_eq!(keys(&fused), [2, 1, 3]);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-6);
    }

    #[test]
    fn each_side_keeps_its_rank_and_score() {
        let fused = convex(&ranking(&[(7, 4.5)]), &ranking(&[(8, 0.9), (7, 0.5)]), 0.6);
        let seven = fused.iter().find(|candidate| candidate.key == 7).unwrap().explanation();
        assert_eq!(seven.keyword.map(|side| (side.rank, side.score)), Some((1, 4.5)));
        assert_eq!(seven.dense.map(|side| (side.rank, side.score)), Some((2, 0.5)));
        let eight = fused.iter().find(|candidate| candidate.key == 8).unwrap().explanation();
        assert_eq!(eight.keyword, None);
    }

    #[test]
    fn the_weight_decides_between_the_sides() {
        let keyword = ranking(&[(1, 10.0), (2, 1.0)]);
        let dense = ranking(&[(2, 0.9), (1, 0.1)]);
        assert_eq!(keys(&convex(&keyword, &dense, 0.6)), [2, 1]);
        assert_eq!(keys(&convex(&keyword, &dense, 0.4)), [1, 2]);
    }

    #[test]
    fn in_deviations_the_scale_of_a_side_decides_nothing() {
        let keyword = ranking(&[(1, 30.0), (2, 4.0), (3, 1.0), (4, 0.5)]);
        let dense = [(4, 0.9), (3, 0.8), (2, 0.75), (1, 0.6)];
        let wide = dense.map(|(key, score)| (key, 100.0 * score + 7.0));
        let order = keys(&standardized(&keyword, &ranking(&dense), 0.5));
        assert_eq!(keys(&standardized(&keyword, &ranking(&wide), 0.5)), order);
        assert_eq!(keys(&standardized(&keyword, &ranking(&dense), 1.0)), [4, 3, 2, 1]);
        assert_eq!(keys(&standardized(&keyword, &ranking(&dense), 0.0)), [1, 2, 3, 4]);
        assert!(standardized::<u32>(&Ranking::default(), &Ranking::default(), 0.5).is_empty());
    }

    #[test]
    fn a_keyword_hit_stands_above_a_candidate_without_shared_words() {
        let keyword = ranking(&[(1, 5.0), (2, 4.9)]);
        let dense = ranking(&[(1, 0.5), (2, 0.5), (3, 0.5)]);
        let fused = convex(&keyword, &dense, 0.6);
        assert_eq!(keys(&fused), [1, 2, 3]);
        assert!(fused[1].score - fused[2].score > 0.3, "4.9 lies near 5.0, not near nothing");
    }

    #[test]
    fn equal_scores_keep_the_order_of_keys() {
        let fused = convex(&Ranking::default(), &ranking(&[(5, 0.3), (1, 0.3), (3, 0.3)]), 0.6);
        assert_eq!(keys(&fused), [1, 3, 5]);
    }

    #[test]
    fn a_score_that_is_no_number_counts_as_the_worst() {
        let dense = ranking(&[(1, f32::NAN), (2, 0.2), (3, 0.1)]);
        let fused = convex(&Ranking::default(), &dense, f32::NAN);
        assert_eq!(keys(&fused), [2, 1, 3]);
        assert!(fused.iter().all(|candidate| candidate.score.is_finite()));
    }

    #[test]
    fn a_repeated_key_counts_where_it_came_first() {
        let fused = rrf(&[ranking(&[(1, 3.0), (2, 2.0), (1, 1.0)])], RRF_K);
        assert_eq!(keys(&fused), [1, 2]);
        assert_eq!(fused[0].sides[0].map(|side| side.rank), Some(1));
    }

    #[test]
    fn nothing_fuses_to_nothing() {
        assert!(rrf::<u32>(&[], RRF_K).is_empty());
        assert!(convex::<u32>(&Ranking::default(), &Ranking::default(), 0.6).is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_rankings_does_not_matter(rankings in prop::collection::vec(any_ranking(), 0..5), turn in 0usize..5) {
            let mut turned = rankings.clone();
            if !turned.is_empty() {
                let by = turn % turned.len();
                turned.rotate_left(by);
            }
            let scores = |fused: Vec<Fused<u32>>| fused.iter().map(|one| (one.key, one.score.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(scores(rrf(&rankings, RRF_K)), scores(rrf(&turned, RRF_K)));
        }

        #[test]
        fn every_candidate_comes_once_whatever_its_score(
            keyword in prop::collection::vec((0u32..20, any_score()), 0..30),
            dense in prop::collection::vec((0u32..20, any_score()), 0..30),
            weight in any_score(),
        ) {
            let (keyword, dense) = (ranking(&keyword), ranking(&dense));
            let all: BTreeSet<u32> =
                keyword.candidates.iter().chain(&dense.candidates).map(|(key, _)| *key).collect();
            for fused in [convex(&keyword, &dense, weight), rrf(&[keyword.clone(), dense.clone()], weight)] {
                let mut found = keys(&fused);
                found.sort_unstable();
                prop_assert_eq!(&found, &all.iter().copied().collect::<Vec<_>>());
                prop_assert!(fused.iter().all(|one| (0.0..=3.0).contains(&one.score)));
                prop_assert!(fused.windows(2).all(|pair| pair[0].score >= pair[1].score));
            }
        }

        #[test]
        fn a_better_rank_never_places_lower(rankings in prop::collection::vec(any_ranking(), 1..4), at in 1usize..20) {
            let mut raised = rankings.clone();
            let candidates = &mut raised[0].candidates;
            prop_assume!(at < candidates.len());
            let key = candidates[at].0;
            candidates.swap(at - 1, at);
            prop_assert!(position(&rrf(&raised, RRF_K), key) <= position(&rrf(&rankings, RRF_K), key));
        }

        #[test]
        fn a_better_dense_score_never_places_lower(keyword in any_ranking(), dense in any_ranking(), at in 0usize..20, by in 0.5f32..9.0) {
            prop_assume!(at < dense.candidates.len());
            let mut raised = dense.clone();
            raised.candidates[at].1 += by;
            let key = raised.candidates[at].0;
            let before = convex(&keyword, &dense, 0.6);
            let after = convex(&keyword, &raised, 0.6);
            let above = |fused: &[Fused<u32>]| {
                let own = fused[position(fused, key)].score;
                fused.iter().filter(|one| one.key != key && one.score > own + 1e-5).map(|one| one.key).collect::<BTreeSet<_>>()
            };
            prop_assert!(above(&after).is_subset(&above(&before).union(&near(&before, key)).copied().collect()));
        }
    }

    /// Those whose score equals the candidate's but for rounding.
    fn near(fused: &[Fused<u32>], key: u32) -> BTreeSet<u32> {
        let own = fused[position(fused, key)].score;
        fused.iter().filter(|one| (one.score - own).abs() <= 1e-4).map(|one| one.key).collect()
    }
}
