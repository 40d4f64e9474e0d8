//! The nearest rows of a list, exactly: a first pass over codes, then the vectors of whatever may be among the nearest.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::codes::{Codes, Probe};
use crate::distance::{dot, dot_rows};

/// A row and its dot product with the query. Ordered by score, then the earlier row first.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    pub score: f32,
    pub position: u32,
}

impl Near {
    /// Best first.
    pub fn order(a: &Self, b: &Self) -> Ordering {
        b.score.total_cmp(&a.score).then(a.position.cmp(&b.position))
    }
}

/// So that a heap's greatest is the one to drop first.
impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        Self::order(self, other)
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Near {}

/// Rows with the vectors and the codes of each, side by side.
#[derive(Clone, Copy)]
pub struct Compared<'a> {
    pub codes: &'a Codes,
    pub vectors: &'a [f32],
}

/// Rows that are estimated before they are sorted out.
const STRETCH: usize = 512;
/// Below so many rows for each one wanted the codes save nothing.
const WORTH_CODES: usize = 4;

/// The `limit` rows at `positions` with the greatest dot product, best first, ties by position; none below `floor`.
///
/// `positions` ascend. The answer is that of comparing every vector.
pub fn nearest(
    rows: Compared<'_>,
    query: &[f32],
    probe: &Probe,
    positions: &[u32],
    limit: usize,
    floor: f32,
) -> Vec<Near> {
    if limit == 0 {
        return Vec::new();
    }
    if positions.len() <= limit.saturating_mul(WORTH_CODES) {
        return best_of(rows, query, positions, limit, floor);
    }
    let error = rows.codes.error(probe);
    let mut candidates = candidates(rows.codes, probe, positions, limit, floor, error);
    candidates.sort_unstable_by(Near::order);
    let mut best = Best::new(limit, floor);
    for candidate in candidates {
        if candidate.score + error < best.floor() {
            break;
        }
        best.offer(candidate.position, product(rows.vectors, query, candidate.position));
    }
    best.finish()
}

fn best_of(rows: Compared<'_>, query: &[f32], positions: &[u32], limit: usize, floor: f32) -> Vec<Near> {
    let mut best = Best::new(limit, floor);
    let mut scores = Vec::with_capacity(positions.len());
    dot_rows(query, rows.vectors, positions, &mut scores);
    positions.iter().zip(scores).for_each(|(position, score)| best.offer(*position, score));
    best.finish()
}

fn product(vectors: &[f32], query: &[f32], position: u32) -> f32 {
    let start = position as usize * query.len();
    vectors.get(start..start + query.len()).map_or(f32::NEG_INFINITY, |row| dot(query, row))
}

/// Every row whose product may be among the `limit` greatest, as far as the codes can tell.
fn candidates(codes: &Codes, probe: &Probe, positions: &[u32], limit: usize, floor: f32, error: f32) -> Vec<Near> {
    let mut found: Vec<Near> = Vec::with_capacity(limit * 8);
    let mut best = Best::new(limit, f32::NEG_INFINITY);
    let mut estimates = [0.0_f32; STRETCH];
    let mut needed = floor - error;
    let mut tidy_at = limit * 16 + STRETCH;
    for stretch in positions.chunks(STRETCH) {
        let Some(estimates) = estimates.get_mut(..stretch.len()) else { break };
        codes.estimate(probe, stretch, estimates);
        for (position, score) in stretch.iter().zip(estimates.iter()) {
            if *score >= needed {
                found.push(Near { score: *score, position: *position });
                best.offer(*position, *score);
                // The estimates of `limit` rows are at least this: their products are less by the error at most, and
                // so are those of rows estimated lower by twice the error.
                needed = needed.max(best.floor() - 2.0 * error);
            }
        }
        if found.len() > tidy_at {
            found.retain(|candidate| candidate.score >= needed);
            tidy_at = found.len() * 2 + STRETCH;
        }
    }
    found.retain(|candidate| candidate.score >= needed);
    found
}

/// The greatest so far.
struct Best {
    heap: BinaryHeap<Near>,
    limit: usize,
    floor: f32,
}

impl Best {
    fn new(limit: usize, floor: f32) -> Self {
        Self { heap: BinaryHeap::with_capacity(limit.min(1 << 16) + 1), limit, floor }
    }

    /// What a row must reach to matter.
    fn floor(&self) -> f32 {
        match self.heap.peek() {
            Some(least) if self.heap.len() == self.limit => least.score.max(self.floor),
            _ => self.floor,
        }
    }

    fn offer(&mut self, position: u32, score: f32) {
        if score < self.floor {
            return;
        }
        let near = Near { score, position };
        if self.heap.len() < self.limit {
            self.heap.push(near);
        } else if let Some(mut least) = self.heap.peek_mut()
            && Near::order(&near, &least) == Ordering::Less
        {
            *least = near;
        }
    }

    fn finish(self) -> Vec<Near> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Vectors in a few tight groups, and many of them twice, so that ties and near ties abound.
    fn vectors(seed: u64, rows: usize, dimension: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        let centres: Vec<f32> = (0..5 * dimension).map(|_| random.f32() - 0.5).collect();
        let mut vectors: Vec<f32> = Vec::with_capacity(rows * dimension);
        for row in 0..rows {
            if row > 0 && random.u8(..4) == 0 {
                let from = random.usize(..row) * dimension;
                vectors.extend_from_within(from..from + dimension);
                continue;
            }
            let centre = random.usize(..5) * dimension;
            let vector: Vec<f32> =
                centres[centre..centre + dimension].iter().map(|x| x + 0.02 * (random.f32() - 0.5)).collect();
            let length = dot(&vector, &vector).sqrt();
            vectors.extend(vector.iter().map(|x| x / length));
        }
        vectors
    }

    proptest! {
        #[test]
        fn what_is_nearest_is_exactly_what_comparing_every_vector_finds(
            seed: u64, rows in 1_usize..1500, dimension in 2_usize..80, limit in 1_usize..30, keep in 1_u32..8,
        ) {
            let all = vectors(seed, rows + 1, dimension);
            let (query, vectors) = all.split_at(dimension);
            let positions: Vec<u32> = (0..rows as u32).filter(|position| position % keep == 0).collect();
            let codes = Codes::of(vectors, dimension);
            let rows = Compared { codes: &codes, vectors };
            let found = nearest(rows, query, &Probe::of(query), &positions, limit, f32::NEG_INFINITY);
            let mut expected: Vec<Near> = positions
                .iter()
                .map(|position| Near { score: product(vectors, query, *position), position: *position })
                .collect();
            expected.sort_by(Near::order);
            expected.truncate(limit);
            let bits = |near: &Near| (near.position, near.score.to_bits());
            prop_assert_eq!(found.iter().map(bits).collect::<Vec<_>>(), expected.iter().map(bits).collect::<Vec<_>>());
        }

        #[test]
        fn a_floor_leaves_out_what_lies_below_it_and_nothing_else(seed: u64, rows in 1_usize..600) {
            let all = vectors(seed, rows + 1, 16);
            let (query, vectors) = all.split_at(16);
            let positions: Vec<u32> = (0..rows as u32).collect();
            let codes = Codes::of(vectors, 16);
            let compared = Compared { codes: &codes, vectors };
            let probe = Probe::of(query);
            let without = nearest(compared, query, &probe, &positions, 10, f32::NEG_INFINITY);
            let floor = without[without.len() / 2].score;
            let with = nearest(compared, query, &probe, &positions, 10, floor);
            let expected: Vec<u32> =
                without.iter().filter(|near| near.score >= floor).map(|near| near.position).collect();
            prop_assert_eq!(with.iter().map(|near| near.position).collect::<Vec<_>>(), expected);
        }
    }
}
