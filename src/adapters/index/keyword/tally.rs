//! Sums by row.

use super::places::Places;
use super::spare::Spare;

static MET: Spare<u32> = Spare::new();

/// A place for every row there could be, so that adding to one is a single step.
#[derive(Debug, Default)]
pub struct Tally {
    /// By row, as the bits of an `f32`.
    sums: Places,
    /// Rows are below this; others are left out.
    rows: u32,
    /// Rows that have a sum, in the order in which they came.
    met: Vec<u32>,
}

impl Tally {
    /// For rows below `rows`; others are left out.
    pub fn new(rows: usize) -> Self {
        Self { sums: Places::lent(rows), rows: u32::try_from(rows).unwrap_or(u32::MAX), met: MET.take() }
    }

    /// `value` is positive.
    #[inline]
    pub fn add(&mut self, row: u32, value: f32) {
        let Some(sum) = self.sums.get_mut(row).filter(|_| row < self.rows) else { return };
        if *sum == 0 {
            self.met.push(row);
        }
        *sum = (f32::from_bits(*sum) + value).to_bits();
    }

    pub fn of(&self, row: u32) -> f32 {
        f32::from_bits(self.sums.get(row))
    }

    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.met.iter().copied()
    }

    /// The rows with the greatest sums and these, greatest first, ties by row.
    pub fn best(&self, limit: usize) -> Vec<(u32, f32)> {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let mut ranked: Vec<(u32, f32)> = Vec::with_capacity(limit.saturating_mul(2).min(self.met.len()));
        // What is below the last of the best so far isn't looked at again.
        let mut least = f32::NEG_INFINITY;
        for row in self.met.iter().filter(|_| limit > 0) {
            let sum = self.of(*row);
            if sum < least {
                continue;
            }
            ranked.push((*row, sum));
            if ranked.len() >= limit.saturating_mul(2) {
                let (_, last, _) = ranked.select_nth_unstable_by(limit - 1, order);
                least = last.1;
                ranked.truncate(limit);
            }
        }
        ranked.sort_unstable_by(order);
        ranked.truncate(limit);
        ranked
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.sums.give_back(self.met.drain(..));
        MET.give_back(std::mem::take(&mut self.met));
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_best_come_first_and_ties_by_row() {
        let mut tally = Tally::new(10);
        for (row, value) in [(7, 1.0), (2, 1.0), (9, 0.5), (7, 0.25), (30, 9.0)] {
            tally.add(row, value);
        }
        assert_eq!(tally.best(2), [(7, 1.25), (2, 1.0)]);
        assert_eq!(tally.best(0), []);
        assert_eq!((tally.of(9), tally.of(3), tally.of(30)), (0.5, 0.0, 0.0));
        assert_eq!(tally.rows().collect::<Vec<_>>(), [7, 2, 9]);
    }

    #[test]
    fn nothing_is_left_of_an_earlier_tally() {
        let add_all = |tally: &mut Tally| (0..50).for_each(|row| tally.add(row, 1.0 + row as f32));
        let mut earlier = Tally::new(50);
        add_all(&mut earlier);
        drop(earlier);
        let later = Tally::new(20);
        assert!((0..60).all(|row| later.of(row) == 0.0) && later.best(5).is_empty());
    }

    #[test]
    fn the_best_are_those_that_sorting_gives() {
        let mut random = fastrand::Rng::with_seed(7);
        for limit in [1, 3, 10, 400] {
            let mut tally = Tally::new(300);
            for _ in 0..1000 {
                tally.add(random.u32(..300), f32::from(random.u8(1..5)));
            }
            let mut sorted: Vec<(u32, f32)> = tally.rows().map(|row| (row, tally.of(row))).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(limit);
            assert_eq!(tally.best(limit), sorted);
        }
    }
}
