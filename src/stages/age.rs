//! Says how old something is in words a person reads at a glance.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// A twelfth of [`YEAR`].
const MONTH: u64 = 2_629_746;
/// The mean Gregorian year, 365.2425 days.
const YEAR: u64 = 31_556_952;

/// Each unit with the age from which it is used: `13 days`, then `2 weeks`; `7 weeks`, then `2 months`.
const UNITS: [(u64, u64, &str); 6] = [
    (2 * YEAR, YEAR, "year"),
    (2 * MONTH, MONTH, "month"),
    (2 * WEEK, WEEK, "week"),
    (DAY, DAY, "day"),
    (HOUR, HOUR, "hour"),
    (MINUTE, MINUTE, "minute"),
];

/// `just now`, `5 minutes`, `3 hours`, `2 days`, `7 weeks`, `4 months`, `3 years`, rounded down;
/// ahead of now: `in 2 days`.
pub fn age_words(seconds: i64) -> String {
    let distance = seconds.unsigned_abs();
    let Some((_, unit, name)) = UNITS.into_iter().find(|(from, _, _)| distance >= *from) else {
        return "just now".to_owned();
    };
    let count = distance / unit;
    let ahead = if seconds < 0 { "in " } else { "" };
    let plural = if count == 1 { "" } else { "s" };
    format!("{ahead}{count} {name}{plural}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DAY, HOUR, MINUTE, MONTH, WEEK, YEAR, age_words};

    fn ago(seconds: u64) -> String {
        age_words(i64::try_from(seconds).unwrap())
    }

    #[test]
    fn each_age_has_its_unit() {
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (MINUTE, "1 minute"),
            (5 * MINUTE, "5 minutes"),
            (HOUR - 1, "59 minutes"),
            (HOUR, "1 hour"),
            (3 * HOUR, "3 hours"),
            (DAY, "1 day"),
            (2 * DAY, "2 days"),
            (2 * WEEK - 1, "13 days"),
            (2 * WEEK, "2 weeks"),
            (7 * WEEK, "7 weeks"),
            (2 * MONTH, "2 months"),
            (4 * MONTH, "4 months"),
            (2 * YEAR - 1, "23 months"),
            (3 * YEAR, "3 years"),
        ] {
            assert_eq!(ago(seconds), words);
        }
    }

    #[test]
    fn what_lies_ahead_says_so() {
        assert_eq!(age_words(-(2 * DAY as i64)), "in 2 days");
        assert_eq!(age_words(-(HOUR as i64)), "in 1 hour");
        assert_eq!(age_words(-30), "just now");
    }

    #[test]
    fn the_ends_of_time_have_words_too() {
        assert!(age_words(i64::MAX).ends_with(" years"));
        assert!(age_words(i64::MIN).starts_with("in "));
    }

    proptest! {
        #[test]
        fn rounding_down_never_makes_something_older(seconds in 60u64..100_000_000_000) {
            let words = ago(seconds);
            let (count, unit) = words.split_once(' ').unwrap();
            let unit = match unit.trim_end_matches('s') {
                "minute" => MINUTE,
                "hour" => HOUR,
                "day" => DAY,
                "week" => WEEK,
                "month" => MONTH,
                "year" => YEAR,
                other => panic!("unknown unit {other}"),
            };
            let count: u64 = count.parse().unwrap();
            prop_assert!(count >= 1 && count * unit <= seconds && seconds < (count + 1) * unit);
        }
    }
}
