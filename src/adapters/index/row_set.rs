//! A set of row numbers.

use kernels::bits;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    count: usize,
}

impl RowSet {
    pub fn of_words(words: Vec<u64>) -> Self {
        let count = bits::count(&words);
        Self { words, count }
    }

    pub fn insert(&mut self, row: u32) {
        let (word, bit) = (row as usize / 64, row % 64);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(slot) = self.words.get_mut(word)
            && *slot & (1 << bit) == 0
        {
            *slot |= 1 << bit;
            self.count += 1;
        }
    }

    pub fn remove(&mut self, row: u32) {
        if let Some(slot) = self.words.get_mut(row as usize / 64)
            && *slot & (1 << (row % 64)) != 0
        {
            *slot &= !(1 << (row % 64));
            self.count -= 1;
        }
    }

    pub fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// Sixty-four rows each, row 0 in the first's lowest bit.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Keeps what is in `other` too.
    pub fn intersect(&mut self, other: &Self) {
        self.count = bits::intersect(&mut self.words, &other.words);
    }
}
