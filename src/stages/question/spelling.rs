//! Words that are meant though a letter is wrong.

use std::collections::BTreeSet;

/// Letters from which a word may differ by one, and by two.
const ONE: usize = 5;
const TWO: usize = 9;

/// Whether a word is meant by the other: equal but for one letter (from 5 letters on) or two (from 9 on) that is
/// wrong, missing, too much, or swapped with its neighbour. The first letter must be right.
pub fn alike(one: &str, other: &str) -> bool {
    one == other || within(one, other, allowed(one.len().min(other.len())))
}

fn allowed(letters: usize) -> usize {
    match letters {
        0..ONE => 0,
        ONE..TWO => 1,
        _ => 2,
    }
}

/// The nearest of the known words, when there is exactly one nearest and it is near enough.
pub(super) fn nearest<'a>(word: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let may_differ = allowed(word.len());
    if may_differ == 0 || word.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let first = word.chars().next()?;
    let candidates = known.iter().filter(|other| other.starts_with(first) && other.len().abs_diff(word.len()) <= 2);
    let mut best: Option<(usize, &str, bool)> = None;
    for other in candidates {
        if allowed(other.len()) == 0 || !within(word, other, may_differ) {
            continue;
        }
        let far = distance(word, other);
        best = match best {
            Some((least, _, _)) if far < least => Some((far, other, true)),
            Some((least, kept, _)) if far == least => Some((least, kept, stem(kept) == stem(other))),
            None => Some((far, other, true)),
            kept => kept,
        };
    }
    best.filter(|(_, _, alone)| *alone).map(|(_, other, _)| other)
}

fn stem(word: &str) -> &str {
    word.trim_end_matches('s')
}

fn within(one: &str, other: &str, most: usize) -> bool {
    most > 0
        && one.len().abs_diff(other.len()) <= most
        && one.chars().next() == other.chars().next()
        && distance(one, other) <= most
}

/// Optimal string alignment distance: a swap of neighbours is one change.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: [Vec<usize>; 3] = [vec![0; other.len() + 1], (0..=other.len()).collect(), vec![0; other.len() + 1]];
    for (at, letter) in one.iter().enumerate() {
        rows[2][0] = at + 1;
        for (beside, facing) in other.iter().enumerate() {
            let replaced = rows[1][beside] + usize::from(letter != facing);
            let mut least = replaced.min(rows[1][beside + 1] + 1).min(rows[2][beside] + 1);
            if at > 0 && beside > 0 && *letter == other[beside - 1] && one[at - 1] == *facing {
                least = least.min(rows[0][beside - 1] + 1);
            }
            rows[2][beside + 1] = least;
        }
        rows.rotate_left(1);
    }
    rows[1][other.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{alike, distance, nearest};

    #[test]
    fn a_swap_a_slip_a_gap_and_a_surplus_are_one_change_each() {
        for (one, other, far) in [
            ("creatinine", "craetinine", 1),
            ("creatinine", "creatinime", 1),
            ("creatinine", "creatnine", 1),
            ("creatinine", "creatininne", 1),
            ("creatinine", "carbonated", 8),
            ("", "abc", 3),
        ] {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
    }

    #[test]
    fn short_words_and_numbers_mean_what_they_say() {
        assert!(!alike("alt", "ast"));
        assert!(!alike("2024", "2025"));
        assert!(alike("metfromin", "metformin"));
        assert!(!alike("hyperglycemia", "hypoglycemia") || distance("hyperglycemia", "hypoglycemia") <= 2);
    }

    #[test]
    fn of_two_as_near_neither_is_taken() {
        let known: BTreeSet<String> = ["prednisone", "prednisole", "weight"].map(str::to_owned).into();
        assert_eq!(nearest("prednisoe", &known), None);
        assert_eq!(nearest("weigth", &known), Some("weight"));
    }
}
