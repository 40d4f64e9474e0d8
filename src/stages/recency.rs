//! Lifts what is newer, for questions that ask how things stand now.

use crate::domain::Timestamp;

/// After so long something counts half as new.
const HALF_LIFE_DAYS: f64 = 365.0;
const MICROS_A_DAY: f64 = 86_400_000_000.0;

/// What each candidate gains: up to `weight` times the range of the scores, by its age beside the newest of them.
///
/// Time is taken from the candidates, not from the clock, so the same candidates always stand in the same order.
pub fn gains(scores: &[f32], dates: &[Option<Timestamp>], weight: f32) -> Vec<f32> {
    let finite = || scores.iter().copied().filter(|score| score.is_finite());
    let range = finite().fold(f32::NEG_INFINITY, f32::max) - finite().fold(f32::INFINITY, f32::min);
    let Some(newest) = dates.iter().flatten().max() else { return vec![0.0; scores.len()] };
    let gain = |date: &Option<Timestamp>| {
        let Some(date) = date else { return 0.0 };
        let days = (newest.as_micros() - date.as_micros()) as f64 / MICROS_A_DAY;
        weight * range.max(0.0) * 0.5_f64.powf(days / HALF_LIFE_DAYS) as f32
    };
    dates.iter().map(gain).collect()
}

#[cfg(test)]
mod tests {
    use super::gains;
    use crate::domain::Timestamp;

    fn year(year: i32) -> Option<Timestamp> {
        Timestamp::parse(&format!("{year}-06-01"))
    }

    #[test]
    fn the_newest_gains_most_and_each_year_halves_it() {
        let gains = gains(&[0.2, 1.2, 0.2], &[year(2026), year(2025), None], 0.1);
        assert!((gains[0] - 0.1).abs() < 1e-6 && (gains[1] - 0.05).abs() < 1e-3);
        assert_eq!(gains[2], 0.0);
    }

    #[test]
    fn without_dates_nothing_is_gained() {
        assert_eq!(gains(&[1.0, 0.0], &[None, None], 0.5), [0.0, 0.0]);
        assert!(gains(&[], &[], 0.5).is_empty());
    }
}
