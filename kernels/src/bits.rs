//! Sets of row numbers as bits, and where a number stands among those that exist.

/// Keeps in `set` what is in `other` too; how many that are.
pub fn intersect(set: &mut [u64], other: &[u64]) -> usize {
    let (shared, beyond) = set.split_at_mut(set.len().min(other.len()));
    shared.iter_mut().zip(other).for_each(|(word, other)| *word &= other);
    beyond.fill(0);
    count(shared)
}

/// Adds `other`, whose first word is word `from` of `set`.
pub fn unite(set: &mut [u64], from: usize, other: &[u64]) {
    set.iter_mut().skip(from).zip(other).for_each(|(word, other)| *word |= other);
}

pub fn count(set: &[u64]) -> usize {
    set.iter().map(|word| word.count_ones() as usize).sum()
}

/// Adds the numbers `from..to`; the set must reach so far.
pub fn fill(set: &mut [u64], from: usize, to: usize) {
    if from >= to {
        return;
    }
    let (first, last) = (from / 64, (to - 1) / 64);
    let (low, high) = (!0_u64 << (from % 64), !0_u64 >> (63 - (to - 1) % 64));
    if first == last {
        set[first] |= low & high;
        return;
    }
    set[first] |= low;
    set[first + 1..last].fill(!0);
    set[last] |= high;
}

/// Ascending numbers with gaps, and the place of each among them.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The number of the first word's first bit; a multiple of 64.
    base: usize,
    words: Vec<u64>,
    /// For each word, how many numbers lie before it.
    before: Vec<u32>,
}

impl Places {
    /// `numbers` ascend.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut places = Self::default();
        for number in numbers {
            if places.words.is_empty() {
                places.base = number as usize / 64 * 64;
            }
            let at = number as usize - places.base;
            if places.words.len() <= at / 64 {
                places.words.resize(at / 64 + 1, 0);
            }
            places.words[at / 64] |= 1 << (at % 64);
        }
        let mut before = 0;
        for word in &places.words {
            places.before.push(before);
            before += word.count_ones();
        }
        places
    }

    /// The first word of a set of all numbers that can hold one of these.
    pub fn first_word(&self) -> usize {
        self.base / 64
    }

    /// How many words from there on.
    pub fn words(&self) -> usize {
        self.words.len()
    }

    pub fn place(&self, number: u32) -> Option<u32> {
        let at = (number as usize).checked_sub(self.base)?;
        let word = *self.words.get(at / 64)?;
        let bit = 1_u64 << (at % 64);
        (word & bit != 0).then(|| self.before[at / 64] + (word & (bit - 1)).count_ones())
    }

    /// The places of those numbers that are in `set`, ascending.
    pub fn of_set(&self, set: &[u64]) -> Vec<u32> {
        let set = set.get(self.first_word()..).unwrap_or_default();
        let mut places = Vec::with_capacity(count(&set[..set.len().min(self.words.len())]));
        for ((word, present), before) in set.iter().zip(&self.words).zip(&self.before) {
            let mut wanted = word & present;
            while wanted != 0 {
                let bit = wanted & wanted.wrapping_neg();
                places.push(before + (present & (bit - 1)).count_ones());
                wanted ^= bit;
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(numbers: &BTreeSet<u32>, words: usize) -> Vec<u64> {
        let mut set = vec![0; words];
        numbers.iter().for_each(|number| set[*number as usize / 64] |= 1 << (number % 64));
        set
    }

    proptest! {
        #[test]
        fn each_number_stands_where_counting_puts_it(
            numbers in prop::collection::btree_set(100_u32..2000, 0..200),
            wanted in prop::collection::btree_set(0_u32..2100, 0..300),
        ) {
            let places = Places::of(numbers.iter().copied());
            for number in 0..2200 {
                let expected = numbers.contains(&number).then(|| numbers.range(..number).count() as u32);
                prop_assert_eq!(places.place(number), expected);
            }
            let expected: Vec<u32> = numbers.iter().zip(0..).filter(|(n, _)| wanted.contains(n)).map(|(_, at)| at).collect();
            prop_assert_eq!(places.of_set(&set(&wanted, 33)), expected);
        }

        #[test]
        fn sets_meet_join_and_fill_as_sets_do(
            a in prop::collection::btree_set(0_u32..640, 0..200),
            b in prop::collection::btree_set(0_u32..640, 0..200),
            from in 0_usize..640, length in 0_usize..300,
        ) {
            let mut both = set(&a, 10);
            prop_assert_eq!(intersect(&mut both, &set(&b, 10)), a.intersection(&b).count());
            prop_assert_eq!(both, set(&a.intersection(&b).copied().collect(), 10));
            let mut either = set(&a, 10);
            unite(&mut either, 0, &set(&b, 10));
            prop_assert_eq!(either, set(&a.union(&b).copied().collect(), 10));
            let mut filled = vec![0; 15];
            fill(&mut filled, from, from + length);
            prop_assert_eq!(filled, set(&(from as u32..(from + length) as u32).collect(), 15));
        }
    }
}
