//! Vectors in one bit a component: what a scan of very many rows reads first, a sixth of their codes.
//!
//! Of a vector x the signs are kept, and a factor f = |x|^2 / (sum of |x_i|): the product with a query q is about
//! f * (sum of sign_i * q_i), off by some 4 hundredths for unit vectors of 384 components. So the nearest rows are among
//! the best thousand or two by their sketches, though not in order. Source of the estimate: Gao & Long, "RaBitQ:
//! Quantizing High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor Search", 2024.
//!
//! The sizes of the query's components are whole numbers of three bits, laid out bit by bit, so that what a row and the
//! query differ in is a few counts of ones.

#[cfg(target_arch = "x86_64")]
mod x86;

use crate::buffer::Buffer;
use crate::codes::Codes;
use crate::distance::prefetch;
use crate::nearest::Near;
#[cfg(target_arch = "x86_64")]
use crate::processor::Processor;

/// Signs of a word.
const WORD: usize = u64::BITS as usize;
/// Bits of the size of a query's component.
const PLANES: usize = 3;
const GREATEST: f32 = 7.0;
/// Words of a cache line.
const LINE_WORDS: usize = 8;
/// How many rows ahead memory is asked for.
const AHEAD: usize = 64;

/// The sketches of many vectors, row after row.
pub struct Sketches {
    /// Words of signs per row.
    width: usize,
    /// Of each row its factor, as bits above 32 noughts, and its signs, a bit that is set where the component is greater than nought.
    /// They lie together, in cache lines of their own, as memory is what a scan of scattered rows waits for.
    words: Buffer<u64>,
}

/// A query, to be compared with [`Sketches`].
pub struct SketchProbe {
    words: Vec<ProbeWord>,
    /// What a unit of the components' sizes is worth.
    unit: f32,
    /// Sum of the sizes.
    total: i32,
}

/// The query's components that meet one word of a row's signs.
#[derive(Clone, Copy, Default)]
struct ProbeWord {
    signs: u64,
    /// Of each component's size a bit, the lowest first.
    planes: [u64; PLANES],
}

impl Sketches {
    /// What the codes say of their vectors is all that is needed.
    pub fn of(codes: &Codes) -> Self {
        let width = codes.dimension().div_ceil(WORD);
        let mut words = Buffer::zeroed(codes.len() * stride(width));
        let mut components = vec![0_i8; codes.dimension()];
        for (row, words) in words.chunks_exact_mut(stride(width)).enumerate() {
            let scale = codes.signed_row(row, &mut components);
            let sizes: i32 = components.iter().map(|component| i32::from(component.abs())).sum();
            let squares: i32 = components.iter().map(|component| i32::from(*component).pow(2)).sum();
            words[0] = u64::from((scale * squares as f32 / sizes.max(1) as f32).to_bits()) << u32::BITS;
            for (word, components) in words[1..].iter_mut().zip(components.chunks(WORD)) {
                *word = components.iter().rev().fold(0, |word, component| word << 1 | u64::from(*component > 0));
            }
        }
        Self { width, words }
    }

    /// The `keep` rows at `positions` whose products with the query seem the greatest, in no order; a score is about the
    /// product. Which they are follows from the rows and the query alone.
    pub fn promising(&self, probe: &SketchProbe, positions: &[u32], keep: usize) -> Vec<Near> {
        let mut kept = Kept::new(keep);
        let rest = self.offer_eights(probe, positions, &mut kept);
        #[cfg(target_arch = "x86_64")]
        if Processor::detected().avx2 {
            // Safe: the processor counts ones, too.
            unsafe { offer_by_instruction(self, probe, rest, &mut kept) };
            return kept.finish();
        }
        offer_all(self, probe, rest, &mut kept);
        kept.finish()
    }

    /// Those that are left over are returned: all, where there is no faster way.
    fn offer_eights<'a>(&self, probe: &SketchProbe, positions: &'a [u32], kept: &mut Kept) -> &'a [u32] {
        #[cfg(target_arch = "x86_64")]
        if Processor::detected().avx512_vpopcntdq {
            // Safe: the processor has the instructions.
            match stride(self.width) / LINE_WORDS {
                1 => return unsafe { x86::offer_eights::<1>(self, probe, positions, kept) },
                2 => return unsafe { x86::offer_eights::<2>(self, probe, positions, kept) },
                3 => return unsafe { x86::offer_eights::<3>(self, probe, positions, kept) },
                _ => {}
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (probe, kept);
        positions
    }

    #[inline(always)]
    fn row(&self, position: u32) -> Option<&[u64]> {
        let start = position as usize * stride(self.width);
        self.words.get(start..=start + self.width)
    }
}

#[inline(always)]
fn factor_of(word: u64) -> f32 {
    f32::from_bits((word >> u32::BITS) as u32)
}

/// Words from one row to the next.
#[inline(always)]
fn stride(width: usize) -> usize {
    (width + 1).next_multiple_of(LINE_WORDS)
}

impl SketchProbe {
    pub fn of(query: &[f32]) -> Self {
        let greatest = query.iter().fold(0.0_f32, |greatest, component| greatest.max(component.abs()));
        let unit = if greatest > 0.0 { greatest / GREATEST } else { 1.0 };
        let mut words = vec![ProbeWord::default(); query.len().div_ceil(WORD)];
        let mut total = 0;
        for (word, components) in words.iter_mut().zip(query.chunks(WORD)) {
            for (at, component) in components.iter().enumerate() {
                let size = (component.abs() / unit).round() as u64;
                total += size as i32;
                word.signs |= u64::from(*component > 0.0) << at;
                for (bit, plane) in word.planes.iter_mut().enumerate() {
                    *plane |= (size >> bit & 1) << at;
                }
            }
        }
        Self { words, unit, total }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn offer_by_instruction(sketches: &Sketches, probe: &SketchProbe, positions: &[u32], kept: &mut Kept) {
    offer_all(sketches, probe, positions, kept);
}

#[inline(always)]
fn offer_all(sketches: &Sketches, probe: &SketchProbe, positions: &[u32], kept: &mut Kept) {
    // Loops of known length for the usual dimensions.
    match probe.words.len() {
        6 => offer_rows::<6>(sketches, probe, positions, kept),
        12 => offer_rows::<12>(sketches, probe, positions, kept),
        16 => offer_rows::<16>(sketches, probe, positions, kept),
        _ => offer_each(sketches, probe, positions, kept, |signs| unlike(signs, &probe.words)),
    }
}

#[inline(always)]
fn offer_rows<const WIDTH: usize>(sketches: &Sketches, probe: &SketchProbe, positions: &[u32], kept: &mut Kept) {
    let Some(words) = probe.words.first_chunk::<WIDTH>() else {
        return;
    };
    offer_each(sketches, probe, positions, kept, |signs| match signs.first_chunk::<WIDTH>() {
        Some(signs) => unlike(signs, words),
        None => probe.total,
    });
}

/// `unlike` says how much of the query is of another sign than a row.
#[inline(always)]
fn offer_each(
    sketches: &Sketches,
    probe: &SketchProbe,
    positions: &[u32],
    kept: &mut Kept,
    unlike: impl Fn(&[u64]) -> i32,
) {
    for (index, position) in positions.iter().enumerate() {
        if let Some(ahead) = positions.get(index + AHEAD).and_then(|position| sketches.row(*position)) {
            prefetch(ahead);
        }
        if let Some((factor, signs)) = sketches.row(*position).and_then(<[u64]>::split_first) {
            let sum = probe.total - 2 * unlike(signs);
            kept.offer(sum as f32 * probe.unit * factor_of(*factor), *position);
        }
    }
}

#[inline(always)]
fn unlike(signs: &[u64], words: &[ProbeWord]) -> i32 {
    let mut counts = [0_u32; PLANES];
    for (signs, word) in signs.iter().zip(words) {
        let differ = signs ^ word.signs;
        for (count, plane) in counts.iter_mut().zip(word.planes) {
            *count += (differ & plane).count_ones();
        }
    }
    let [ones, twos, fours] = counts;
    (ones + 2 * twos + 4 * fours) as i32
}

/// The best so far, and some more.
struct Kept {
    found: Vec<Near>,
    keep: usize,
    needed: f32,
}

impl Kept {
    fn new(keep: usize) -> Self {
        Self { found: Vec::new(), keep, needed: if keep > 0 { f32::NEG_INFINITY } else { f32::INFINITY } }
    }

    #[inline(always)]
    fn offer(&mut self, score: f32, position: u32) {
        if score >= self.needed {
            self.found.push(Near { score, position });
            if self.found.len() >= 2 * self.keep {
                self.tidy();
            }
        }
    }

    /// Leaves the best.
    fn tidy(&mut self) {
        if self.found.len() > self.keep && self.keep > 0 {
            let (_, least, _) = self.found.select_nth_unstable_by(self.keep - 1, Near::order);
            self.needed = least.score;
            self.found.truncate(self.keep);
        }
    }

    fn finish(mut self) -> Vec<Near> {
        self.tidy();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::distance::dot;

    fn unit_vectors(seed: u64, rows: usize, dimension: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut vectors = Vec::with_capacity(rows * dimension);
        for _ in 0..rows {
            let vector: Vec<f32> = (0..dimension).map(|_| (0..4).map(|_| random.f32() - 0.5).sum()).collect();
            let length = dot(&vector, &vector).sqrt();
            vectors.extend(vector.iter().map(|component| component / length));
        }
        vectors
    }

    proptest! {
        #[test]
        fn what_is_promising_has_the_greatest_sums_of_signed_components_in_whatever_order_it_is_asked_for(
            seed: u64, rows in 1_usize..900, dimension in 1_usize..1100, keep in 1_usize..60,
        ) {
            let vectors = unit_vectors(seed, rows + 1, dimension);
            let (query, vectors) = vectors.split_at(dimension);
            let codes = Codes::of(vectors, dimension);
            let (sketches, probe) = (Sketches::of(&codes), SketchProbe::of(query));
            let mut components = vec![0_i8; dimension];
            let sizes = query.iter().map(|q| (q / probe.unit).round() as i32);
            let score = |row: u32, components: &mut [i8]| {
                codes.signed_row(row as usize, components);
                let sum: i32 = components.iter().zip(sizes.clone()).map(|(x, q)| if *x > 0 { q } else { -q }).sum();
                sum as f32 * probe.unit * factor_of(sketches.row(row).unwrap()[0])
            };
            let mut positions: Vec<u32> = (0..rows as u32).filter(|position| position % 3 > 0).collect();
            let mut expected: Vec<Near> = positions
                .iter()
                .map(|position| Near { score: score(*position, &mut components), position: *position })
                .collect();
            expected.sort_by(Near::order);
            expected.truncate(keep);
            let bits = |found: &[Near]| found.iter().map(|near| (near.position, near.score.to_bits())).collect::<Vec<_>>();
            for _ in 0..2 {
                let mut found = sketches.promising(&probe, &positions, keep);
                found.sort_by(Near::order);
                prop_assert_eq!(bits(&found), bits(&expected));
                positions.reverse();
            }
        }
    }

    #[test]
    fn a_sketch_is_off_by_some_hundredths() {
        let dimension = 384;
        let vectors = unit_vectors(5, 401, dimension);
        let (query, vectors) = vectors.split_at(dimension);
        // Rows lean towards the query more or less, so that products of all sizes occur.
        let vectors: Vec<f32> = vectors
            .chunks_exact(dimension)
            .enumerate()
            .flat_map(|(row, vector)| {
                let share = (row % 10) as f32 / 10.0;
                let mixed: Vec<f32> = vector.iter().zip(query).map(|(x, q)| (1.0 - share) * x + share * q).collect();
                let length = dot(&mixed, &mixed).sqrt();
                mixed.into_iter().map(move |component| component / length)
            })
            .collect();
        let sketches = Sketches::of(&Codes::of(&vectors, dimension));
        let found = sketches.promising(&SketchProbe::of(query), &(0..400).collect::<Vec<_>>(), 400);
        let vector = |near: &Near| &vectors[near.position as usize * dimension..][..dimension];
        let errors = found.iter().map(|near| near.score - dot(query, vector(near)));
        let spread = (errors.map(|error| error * error).sum::<f32>() / 400.0).sqrt();
        assert!(spread < 0.05, "{spread}");
    }

    #[test]
    fn vectors_of_noughts_and_queries_of_none_are_no_trouble() {
        let sketches = Sketches::of(&Codes::of(&[0.0; 140], 70));
        assert_eq!(sketches.promising(&SketchProbe::of(&[0.0; 70]), &[0, 1, 2], 5).len(), 2);
        assert!(sketches.promising(&SketchProbe::of(&[0.5; 70]), &[0, 1], 0).is_empty());
    }
}
