//! Orders a ranking so that what stands near the top doesn't say the same over and over.
//!
//! Maximal marginal relevance: Carbonell & Goldstein, SIGIR 1998.

/// The order of the first `depth` candidates when each is taken for its score less its likeness to those taken
/// before; the rest keep their places.
///
/// `scores` fall; `share` is the weight of likeness, 0 to 1. `likeness` is symmetric, about 0 to 1.
pub fn diverse(scores: &[f32], share: f32, depth: usize, likeness: impl Fn(usize, usize) -> f32) -> Vec<usize> {
    let depth = depth.min(scores.len());
    let top = scores.first().copied().unwrap_or_default();
    let bottom = scores.get(depth.saturating_sub(1)).copied().unwrap_or_default();
    let scaled = |at: usize| match scores.get(at) {
        Some(score) if top > bottom => (score - bottom) / (top - bottom),
        _ => 1.0,
    };
    let mut waiting: Vec<(usize, f32)> = (0..depth).map(|at| (at, 0.0)).collect();
    let mut order = Vec::with_capacity(scores.len());
    while !waiting.is_empty() {
        let value = |(at, like): (usize, f32)| (1.0 - share) * scaled(at) - share * like;
        // Of equal ones the first: it had the better score.
        let best = (0..waiting.len()).reduce(|best, next| {
            if value(waiting[next]).total_cmp(&value(waiting[best])).is_gt() { next } else { best }
        });
        let (taken, _) = waiting.remove(best.unwrap_or_default());
        order.push(taken);
        waiting.iter_mut().for_each(|(at, like)| *like = like.max(likeness(taken, *at)));
    }
    order.extend(depth..scores.len());
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::diverse;

    #[test]
    fn a_copy_falls_behind_what_is_new() {
        // 0 and 1 say the same.
        let likeness = |one: usize, two: usize| if one + two == 1 { 1.0 } else { 0.0 };
        let scores = [1.0, 0.99, 0.9, 0.1];
        assert_eq!(diverse(&scores, 0.0, 4, likeness), [0, 1, 2, 3]);
        assert_eq!(diverse(&scores, 0.5, 4, likeness), [0, 2, 3, 1]);
        assert_eq!(diverse(&scores, 0.5, 2, likeness), [0, 1, 2, 3], "only the first two are ordered");
    }

    #[test]
    fn nothing_to_order_is_borne() {
        assert!(diverse(&[], 0.5, 10, |_, _| 0.0).is_empty());
        assert_eq!(diverse(&[0.2, 0.2], 0.5, 10, |_, _| 0.0), [0, 1]);
    }

    proptest! {
        #[test]
        fn every_candidate_comes_once_and_the_best_first(
            mut scores in prop::collection::vec(0.0f32..1.0, 1..30),
            share in 0.0f32..0.99,
            depth in 0usize..40,
        ) {
            scores.sort_by(|a, b| b.total_cmp(a));
            let order = diverse(&scores, share, depth, |one, two| (one as f32 - two as f32).cos().abs());
            prop_assert_eq!(order[0], 0);
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..scores.len()).collect::<Vec<_>>());
        }
    }
}
