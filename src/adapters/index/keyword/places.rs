//! A place for every row there could be, lent out again and again.
//!
//! To get so much memory anew, all zero, takes longer than most questions' words do. Whoever used some of the places
//! sets those back, and the whole is as it was.

use super::spare::Spare;

static SPARE: Spare<u32> = Spare::new();

/// All zero, when lent out and when given back.
#[derive(Debug, Default)]
pub struct Places(Vec<u32>);

impl Places {
    /// For rows below `rows`.
    pub fn lent(rows: usize) -> Self {
        let mut places = SPARE.take();
        if places.len() < rows {
            places.resize(rows, 0);
        }
        Self(places)
    }

    pub fn get(&self, row: u32) -> u32 {
        self.0.get(row as usize).copied().unwrap_or_default()
    }

    /// `None` beyond the rows there could be.
    pub fn get_mut(&mut self, row: u32) -> Option<&mut u32> {
        self.0.get_mut(row as usize)
    }

    /// `used` are all that were written to.
    pub fn give_back(&mut self, used: impl Iterator<Item = u32>) {
        for row in used {
            if let Some(place) = self.0.get_mut(row as usize) {
                *place = 0;
            }
        }
        SPARE.give_back(std::mem::take(&mut self.0));
    }
}
