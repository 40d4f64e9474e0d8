//! How far a mean over queries can be trusted, by resampling the queries.
//!
//! Percentile bootstrap (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13) for intervals, and
//! Fisher's randomization test for two configurations over the same queries (Smucker, Allan & Carterette, CIKM 2007).
//! The random numbers are the same in every run, so the same rankings always give the same figures.

const SAMPLES: usize = 5_000;
const SEED: u64 = 0x005E_ED0F_4E57;

/// 95 percent of the resampled means lie from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// By how much one configuration is better than another over the same queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    pub mean: f64,
    pub interval: Interval,
    /// How often chance alone would give a difference as large, were the two alike.
    pub p: f64,
    pub better: usize,
    pub worse: usize,
}

pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The interval of the mean; of no values 0 to 0.
pub fn interval(values: &[f64]) -> Interval {
    if values.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut draw = || values.get(random.usize(..values.len())).copied().unwrap_or_default();
    let mut means: Vec<f64> =
        (0..SAMPLES).map(|_| (0..values.len()).map(|_| draw()).sum::<f64>() / values.len() as f64).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means.get((share * (SAMPLES - 1) as f64).round() as usize).copied().unwrap_or_default();
    Interval { low: at(0.025), high: at(0.975) }
}

/// `one` less `other`, query by query; values beyond the shorter list are left out.
pub fn difference(one: &[f64], other: &[f64]) -> Difference {
    let differences: Vec<f64> = one.iter().zip(other).map(|(one, other)| one - other).collect();
    Difference {
        mean: mean(&differences),
        interval: interval(&differences),
        p: chance(&differences),
        better: differences.iter().filter(|difference| **difference > 0.0).count(),
        worse: differences.iter().filter(|difference| **difference < 0.0).count(),
    }
}

/// The share of random signs under which the mean lies as far from 0 as it does.
fn chance(differences: &[f64]) -> f64 {
    // Sums of the same numbers with other signs may differ in their last bits.
    const ROUNDING: f64 = 1e-9;
    let observed = differences.iter().sum::<f64>().abs();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut signed = || differences.iter().map(|value| if random.bool() { *value } else { -value }).sum::<f64>();
    let as_far = (0..SAMPLES).filter(|_| signed().abs() >= observed - ROUNDING).count();
    // The observed signs count as one of the samples.
    (as_far + 1) as f64 / (SAMPLES + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::{difference, interval, mean};

    #[test]
    fn an_interval_holds_the_mean_and_narrows_with_more_queries() {
        let few: Vec<f64> = (0..20).map(|number| f64::from(number % 2)).collect();
        let many: Vec<f64> = (0..2_000).map(|number| f64::from(number % 2)).collect();
        let (wide, narrow) = (interval(&few), interval(&many));
        assert!(wide.low < mean(&few) && mean(&few) < wide.high);
        // The standard error of 0.5 is 0.112 over 20 queries, and 0.0112 over 2,000.
        assert!((wide.high - wide.low - 2.0 * 1.96 * 0.112).abs() < 0.06);
        assert!((narrow.high - narrow.low - 2.0 * 1.96 * 0.0112).abs() < 0.006);
    }

    #[test]
    fn the_same_values_always_give_the_same_interval() {
        let values = [0.1, 0.9, 0.4, 0.0, 1.0];
        assert_eq!(interval(&values), interval(&values));
        assert_eq!(interval(&[0.3, 0.3]).low, 0.3);
        assert_eq!(interval(&[]).high, 0.0);
    }

    #[test]
    fn a_steady_gain_is_told_from_chance() {
        let base: Vec<f64> = (0..100).map(|number| f64::from(number % 7) / 7.0).collect();
        let better: Vec<f64> = base.iter().map(|value| value + 0.05).collect();
        let gain = difference(&better, &base);
        assert!((gain.mean - 0.05).abs() < 1e-12 && gain.p < 0.001);
        assert_eq!((gain.better, gain.worse), (100, 0));
        let mixed: Vec<f64> =
            base.iter().enumerate().map(|(at, value)| value + if at % 2 == 0 { 0.05 } else { -0.05 }).collect();
        assert!(difference(&mixed, &base).p > 0.5);
    }

    #[test]
    fn two_runs_that_agree_differ_by_chance_only() {
        let same = difference(&[0.2, 0.4], &[0.2, 0.4]);
        assert_eq!((same.mean, same.p, same.better, same.worse), (0.0, 1.0, 0, 0));
    }
}
