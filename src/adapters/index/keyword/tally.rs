//! Sums by row.

/// A place for every row there could be, so that adding to one is a single step.
#[derive(Debug, Default)]
pub struct Tally {
    sums: Vec<f32>,
    /// Rows that have a sum, in the order in which they came.
    met: Vec<u32>,
}

impl Tally {
    /// For rows below `rows`; others are left out.
    pub fn new(rows: usize) -> Self {
        Self { sums: vec![0.0; rows], met: Vec::new() }
    }

    /// `value` is positive.
    pub fn add(&mut self, row: u32, value: f32) {
        let Some(sum) = self.sums.get_mut(row as usize) else { return };
        if *sum == 0.0 {
            self.met.push(row);
        }
        *sum += value;
    }

    pub fn of(&self, row: u32) -> f32 {
        self.sums.get(row as usize).copied().unwrap_or_default()
    }

    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.met.iter().copied()
    }

    /// The rows with the greatest sums and these, greatest first, ties by row.
    pub fn best(&self, limit: usize) -> Vec<(u32, f32)> {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let mut ranked: Vec<(u32, f32)> = self.met.iter().map(|row| (*row, self.of(*row))).collect();
        if limit < ranked.len() && limit > 0 {
            ranked.select_nth_unstable_by(limit - 1, order);
        }
        ranked.truncate(limit);
        ranked.sort_unstable_by(order);
        ranked
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
}
