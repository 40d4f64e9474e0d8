//! A navigable small-world graph over coded vectors: nearest neighbours in a few thousand comparisons.
//!
//! Nodes are rows by position; links lie in one run of memory. Rows are divided into partitions that are never linked
//! with each other, so a search in one is as if the others weren't there. A graph never changes once it is built:
//! [`Graph::extend`] makes the next one from it.
//!
//! Source: Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
//! Small World graphs", 2018.

mod beam;
mod build;
mod search;
#[cfg(test)]
mod tests;

pub use build::Rows;

/// No row, no partition.
pub const NONE: u32 = u32::MAX;

/// Links of a node at the ground, and at each level above.
const GROUND_LINKS: usize = 32;
const UPPER_LINKS: usize = 16;
const MOST_LEVELS: u8 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    node: u32,
    level: u8,
}

/// Where a node's links at one level lie.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    /// The topmost level of each node; 0 is the ground.
    levels: Vec<u8>,
    /// Where each node's links above the ground begin.
    upper_at: Vec<u32>,
    upper_len: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    shape: Shape,
    ground: Vec<u32>,
    upper: Vec<u32>,
    /// By partition; `NONE` where it is empty.
    entries: Vec<Entry>,
}

impl Shape {
    fn empty() -> Self {
        Self { levels: Vec::new(), upper_at: Vec::new(), upper_len: 0 }
    }

    /// Adds a node whose level is drawn from `seed`: one in sixteen stands on the next level, and so on.
    fn push(&mut self, seed: u64) {
        let level = level_of(seed);
        self.levels.push(level);
        self.upper_at.push(self.upper_len as u32);
        self.upper_len += usize::from(level) * UPPER_LINKS;
    }

    /// The place of a node's links at a level above the ground.
    #[inline]
    fn upper(&self, node: u32, level: u8) -> std::ops::Range<usize> {
        let start = self.upper_at[node as usize] as usize + (usize::from(level) - 1) * UPPER_LINKS;
        start..start + UPPER_LINKS
    }
}

/// The place of a node's links at the ground.
#[inline]
fn ground(node: u32) -> std::ops::Range<usize> {
    let start = node as usize * GROUND_LINKS;
    start..start + GROUND_LINKS
}

fn level_of(seed: u64) -> u8 {
    // Steele, Lea & Flood's finisher: neighbouring seeds give unrelated numbers.
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    ((mixed.leading_zeros() / UPPER_LINKS.ilog2()) as u8).min(MOST_LEVELS)
}

impl Graph {
    /// How many rows it was built over; later ones are not in it.
    pub fn rows(&self) -> usize {
        self.shape.levels.len()
    }

    /// Everything in it as numbers, for a file.
    pub fn parts(&self) -> [Vec<u32>; 5] {
        let levels = self.shape.levels.iter().map(|level| u32::from(*level)).collect();
        let entries = self.entries.iter().flat_map(|entry| [entry.node, u32::from(entry.level)]).collect();
        [levels, self.shape.upper_at.clone(), self.ground.clone(), self.upper.clone(), entries]
    }

    /// What [`Graph::parts`] gave; `None` when it can't have come from there.
    pub fn from_parts(parts: [Vec<u32>; 5]) -> Option<Self> {
        let [levels, upper_at, ground, upper, entries] = parts;
        let levels: Vec<u8> = levels.into_iter().map(u8::try_from).collect::<Result<_, _>>().ok()?;
        let rows = levels.len();
        let (pairs, rest) = entries.as_chunks::<2>();
        let entries: Vec<Entry> = pairs
            .iter()
            .map(|[node, level]| Some(Entry { node: *node, level: u8::try_from(*level).ok()? }))
            .collect::<Option<_>>()?;
        let is_node = |node: &u32| *node == NONE || (*node as usize) < rows;
        let places = upper_at.iter().zip(&levels);
        let fits = rest.is_empty()
            && upper_at.len() == rows
            && ground.len() == rows * GROUND_LINKS
            && places.clone().all(|(at, level)| *at as usize + usize::from(*level) * UPPER_LINKS <= upper.len())
            && ground.iter().all(is_node)
            && upper.iter().all(is_node)
            && entries.iter().all(|entry| {
                entry.node == NONE || levels.get(entry.node as usize).is_some_and(|level| *level == entry.level)
            });
        let upper_len = upper.len();
        fits.then_some(Self { shape: Shape { levels, upper_at, upper_len }, ground, upper, entries })
    }
}
