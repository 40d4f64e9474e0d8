//! What rows gain by holding neighbours of the query beside each other.
//!
//! After Büttcher, Clarke & Lushman, "Term proximity scoring for ad-hoc retrieval on very large text collections",
//! SIGIR 2006: each pair gathers the inverse square of its distances, and that is saturated as a frequency is. Only
//! the best rows are looked at; a row that isn't among them doesn't get there by this alone.

use std::collections::HashMap;

use super::super::IndexError;
use super::super::question::Question;
use super::postings::Scoped;
use super::tally::Tally;
use super::{Saturation, rarity};

/// Rows that are looked at.
const DEPTH: usize = 150;
/// Terms further apart are no neighbours.
const REACH: u32 = 6;
/// Weight of a pair beside that of its commoner term.
const WEIGHT: f32 = 0.2;

pub fn add(
    scoped: &mut Scoped<'_>,
    question: &Question,
    scores: &mut Tally,
    saturation: &Saturation,
) -> Result<(), IndexError> {
    if question.pairs.is_empty() {
        return Ok(());
    }
    let mut terms: Vec<&str> = question.pairs.iter().flat_map(|(one, two)| [one.as_str(), two.as_str()]).collect();
    terms.sort_unstable();
    terms.dedup();
    let number: HashMap<&str, usize> = terms.iter().enumerate().map(|(at, term)| (*term, at)).collect();
    let rarities = terms
        .iter()
        .map(|term| Ok(rarity(scoped.rows, scoped.holders(term)?)))
        .collect::<Result<Vec<f32>, IndexError>>()?;
    let pairs: Vec<(usize, usize)> = question
        .pairs
        .iter()
        .filter_map(|(one, two)| Some((*number.get(one.as_str())?, *number.get(two.as_str())?)))
        .collect();
    let rows: Vec<u32> = scores.best(DEPTH).into_iter().map(|(row, _)| row).collect();
    let mut positions: Vec<Vec<Vec<u32>>> = vec![vec![Vec::new(); terms.len()]; rows.len()];
    scoped.positions(&rows, &terms, |row, term, found| positions[row][term] = found.to_vec())?;
    for (row, of_terms) in rows.iter().zip(&positions) {
        let size = scoped.size_of(*row);
        let gain = |(one, two): &(usize, usize)| {
            let closeness = closeness(&of_terms[*one], &of_terms[*two]);
            rarities[*one].min(rarities[*two]) * saturation.saturated(closeness, size)
        };
        scores.add(*row, WEIGHT * pairs.iter().map(gain).sum::<f32>());
    }
    Ok(())
}

/// Sum of inverse squares of the distances within reach; both lists rise.
fn closeness(one: &[u32], two: &[u32]) -> f32 {
    let mut sum = 0.0;
    let mut from = 0;
    for at in one {
        while two.get(from).is_some_and(|other| other + REACH < *at) {
            from += 1;
        }
        for other in two.get(from..).unwrap_or_default().iter().take_while(|other| **other <= at + REACH) {
            let distance = at.abs_diff(*other).max(1) as f32;
            sum += 1.0 / (distance * distance);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::closeness;

    #[test]
    fn neighbours_count_by_the_square_of_their_distance() {
        assert_eq!(closeness(&[1], &[2]), 1.0);
        assert_eq!(closeness(&[3], &[1]), 0.25);
        assert_eq!(closeness(&[1, 10], &[2, 9, 30]), 2.0);
        assert_eq!(closeness(&[1], &[9]), 0.0);
        assert_eq!(closeness(&[], &[9]), 0.0);
    }
}
