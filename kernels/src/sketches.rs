//! Vectors in one bit a component: what a scan of very many rows reads first, an eighth of their codes.
//!
//! Of a vector x the signs are kept, and a factor f = |x|^2 / (sum of |x_i|): the product with a query q is about
//! f * (sum of sign_i * q_i), off by some 4 hundredths for unit vectors of 384 components. So the nearest rows are among
//! the best few thousand by their sketches, though not in order. Source of the estimate: Gao & Long, "RaBitQ: Quantizing
//! High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor Search", 2024.
//!
//! For four components, a *nibble* of signs, a query has a table of the sixteen sums that they can make. The nibbles of
//! 32 rows at one place lie side by side, so that one instruction looks up a register of them. Source of the layout:
//! Andre, Kermarrec & Le Scouarnec, "Cache locality is not enough: High-Performance Nearest Neighbor Search with
//! Product Quantization Fast Scan", 2015.

use crate::buffer::Buffer;
use crate::codes::Codes;
use crate::distance::prefetch;
use crate::nearest::Near;

/// Rows whose nibbles lie side by side.
const BLOCK: usize = 32;
/// How many blocks ahead memory is asked for.
const AHEAD: usize = 2;
/// Components of a nibble.
const NIBBLE: usize = 4;
/// Bytes for one nibble of a block: the lower halves are of its first sixteen rows, the upper halves of the others.
const PLACE_BYTES: usize = BLOCK / 2;
/// What the entries of all tables add up to at most: a sum has 16 bits.
const MOST_SUM: usize = u16::MAX as usize;

/// The sketches of many vectors.
pub struct Sketches {
    /// Nibbles per row; even, so that two of them fill a register.
    places: usize,
    rows: usize,
    /// Block after block, each (places, 16).
    nibbles: Buffer<u8>,
    /// By row, nought for those that fill the last block.
    factors: Vec<f32>,
}

/// A query, to be compared with [`Sketches`].
pub struct SketchProbe {
    /// (places, 16): for every nibble of signs, the sum of its components, as a whole number from nought.
    tables: Buffer<u8>,
    /// What a unit of the tables' entries is worth, and what their sum of nought stands for.
    unit: f32,
    least: f32,
}

impl Sketches {
    /// What the codes say of their vectors is all that is needed.
    pub fn of(codes: &Codes) -> Self {
        let places = places(codes.dimension());
        let blocks = codes.len().div_ceil(BLOCK);
        let mut nibbles = Buffer::zeroed(blocks * places * PLACE_BYTES);
        let mut factors = vec![0.0; blocks * BLOCK];
        let mut components = vec![0_i8; codes.dimension()];
        for (row, factor) in factors.iter_mut().enumerate().take(codes.len()) {
            let scale = codes.signed_row(row, &mut components);
            let sizes: i32 = components.iter().map(|component| i32::from(component.abs())).sum();
            let squares: i32 = components.iter().map(|component| i32::from(*component).pow(2)).sum();
            *factor = scale * squares as f32 / sizes.max(1) as f32;
            let start = row / BLOCK * places * PLACE_BYTES + row % PLACE_BYTES;
            let shift = row % BLOCK / PLACE_BYTES * NIBBLE;
            for (place, components) in components.chunks(NIBBLE).enumerate() {
                let signs = components.iter().rev().fold(0, |signs, component| signs << 1 | u8::from(*component > 0));
                nibbles[start + place * PLACE_BYTES] |= signs << shift;
            }
        }
        Self { places, rows: codes.len(), nibbles, factors }
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The `keep` rows at `positions`, which ascend, whose products with the query seem the greatest, in no order. Which
    /// they are follows from the rows and the query alone; a score is about the product.
    pub fn promising(&self, probe: &SketchProbe, positions: &[u32], keep: usize) -> Vec<Near> {
        let mut kept = Kept::new(keep);
        let mut scores = [0.0; BLOCK];
        for of_block in positions.chunk_by(|one, next| *one as usize / BLOCK == *next as usize / BLOCK) {
            let Some(block) = of_block.first().and_then(|first| self.block(*first as usize / BLOCK)) else { break };
            if let Some(last) = of_block.last()
                && let Some(ahead) = self.block(*last as usize / BLOCK + AHEAD)
            {
                prefetch(ahead.nibbles);
            }
            if score(&block, probe, &mut scores) < kept.needed {
                continue;
            }
            for position in of_block.iter().filter(|position| (**position as usize) < self.rows) {
                kept.offer(scores[*position as usize % BLOCK], *position);
            }
        }
        kept.finish()
    }

    fn block(&self, number: usize) -> Option<Block<'_>> {
        let bytes = self.places * PLACE_BYTES;
        let nibbles = self.nibbles.get(number * bytes..(number + 1) * bytes)?;
        Some(Block { nibbles, factors: self.factors.as_chunks().0.get(number)? })
    }
}

/// The sketches of rows that lie side by side.
struct Block<'a> {
    nibbles: &'a [u8],
    factors: &'a [f32; BLOCK],
}

/// Even.
fn places(dimension: usize) -> usize {
    dimension.div_ceil(2 * NIBBLE) * 2
}

impl SketchProbe {
    pub fn of(query: &[f32]) -> Self {
        let places = places(query.len());
        // A sum is that of the components of positive sign, doubled, less that of all.
        let ends = |part: &[f32]| -> (f32, f32) {
            (part.iter().map(|one| one.min(0.0)).sum(), part.iter().map(|one| one.max(0.0)).sum())
        };
        let widest = query.chunks(NIBBLE).map(ends).map(|(least, most)| most - least).fold(0.0, f32::max);
        let greatest = (MOST_SUM / places.max(1)).min(usize::from(u8::MAX)) as f32;
        let unit = if widest > 0.0 { widest / greatest } else { 1.0 };
        let mut tables = Buffer::zeroed(places * PLACE_BYTES);
        let mut least = 0.0;
        for (part, table) in query.chunks(NIBBLE).zip(tables.chunks_exact_mut(PLACE_BYTES)) {
            let (nought, _) = ends(part);
            least += nought;
            for (signs, entry) in table.iter_mut().enumerate() {
                let positive = part.iter().enumerate().filter(|(bit, _)| signs >> bit & 1 == 1);
                let sum: f32 = positive.map(|(_, component)| component).sum();
                *entry = ((sum - nought) / unit).round() as u8;
            }
        }
        let total: f32 = query.iter().sum();
        Self { tables, unit: 2.0 * unit, least: 2.0 * least - total }
    }
}

/// The scores of the rows of a block, and the greatest of them.
fn score(block: &Block<'_>, probe: &SketchProbe, scores: &mut [f32; BLOCK]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if crate::processor::Processor::detected().avx2 {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::score(block, probe, scores) };
    }
    let mut sums = [0; BLOCK];
    add_up_plainly(block.nibbles, &probe.tables, &mut sums);
    for ((score, sum), factor) in scores.iter_mut().zip(sums).zip(block.factors) {
        *score = (f32::from(sum) * probe.unit + probe.least) * factor;
    }
    scores.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The sums of the rows of a block: of what each of its nibbles has in the tables.
fn add_up_plainly(block: &[u8], tables: &[u8], sums: &mut [u16; BLOCK]) {
    sums.fill(0);
    let (low, high) = sums.split_at_mut(PLACE_BYTES);
    for (nibbles, table) in block.chunks_exact(PLACE_BYTES).zip(tables.as_chunks::<PLACE_BYTES>().0) {
        for ((low, high), two) in low.iter_mut().zip(&mut *high).zip(nibbles) {
            *low += u16::from(table[usize::from(two & 15)]);
            *high += u16::from(table[usize::from(two >> NIBBLE)]);
        }
    }
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::*;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn score(block: &Block<'_>, probe: &SketchProbe, scores: &mut [f32; BLOCK]) -> f32 {
        let (unit, least) = (_mm256_set1_ps(probe.unit), _mm256_set1_ps(probe.least));
        let mut greatest = _mm256_set1_ps(f32::NEG_INFINITY);
        let eights = scores.as_chunks_mut::<8>().0.iter_mut().zip(block.factors.as_chunks::<8>().0);
        for ((scores, factors), sums) in eights.zip(add_up(block.nibbles, &probe.tables)) {
            let sums = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums));
            // SAFETY: eight factors are read, and eight scores written.
            unsafe {
                let score = _mm256_mul_ps(_mm256_fmadd_ps(sums, unit, least), _mm256_loadu_ps(factors.as_ptr()));
                _mm256_storeu_ps(scores.as_mut_ptr(), score);
                greatest = _mm256_max_ps(greatest, score);
            }
        }
        let half = _mm_max_ps(_mm256_castps256_ps128(greatest), _mm256_extractf128_ps::<1>(greatest));
        let quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_max_ss(quarter, _mm_shuffle_ps::<1>(quarter, quarter)))
    }

    /// Eight sums in a register, of a block's rows in their order.
    ///
    /// Two places at a time: the one in the lower half of a register, the other in the upper.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn add_up(block: &[u8], tables: &[u8]) -> [__m128i; 4] {
        let nibble = _mm256_set1_epi8(15);
        // Of the first sixteen rows and of the others: sums of entries two by two as they lie, of which the odd ones
        // run into the bits above, and sums of the odd ones alone.
        let mut both = [_mm256_setzero_si256(); 2];
        let mut odd = [_mm256_setzero_si256(); 2];
        let pairs = block.as_chunks::<BLOCK>().0.iter().zip(tables.as_chunks::<BLOCK>().0);
        for (nibbles, table) in pairs {
            let (nibbles, table) = (load(nibbles), load(table));
            let halves = [_mm256_and_si256(nibbles, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(nibbles), nibble)];
            for ((both, odd), places) in both.iter_mut().zip(&mut odd).zip(halves) {
                let entries = _mm256_shuffle_epi8(table, places);
                *both = _mm256_add_epi16(*both, entries);
                *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16::<8>(entries));
            }
        }
        let [first, others] = std::array::from_fn(|half| {
            let even = join(_mm256_sub_epi16(both[half], _mm256_slli_epi16::<8>(odd[half])));
            let odd = join(odd[half]);
            [_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd)]
        });
        [first[0], first[1], others[0], others[1]]
    }

    /// The sum of a register's halves.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn join(two: __m256i) -> __m128i {
        _mm_add_epi16(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; BLOCK]) -> __m256i {
        // SAFETY: as long as a register.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
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
        fn what_is_promising_is_what_has_the_greatest_sums_of_signed_components(
            seed: u64, rows in 1_usize..900, dimension in 3_usize..1100, keep in 1_usize..60,
        ) {
            let vectors = unit_vectors(seed, rows + 1, dimension);
            let (query, vectors) = vectors.split_at(dimension);
            let codes = Codes::of(vectors, dimension);
            let (sketches, probe) = (Sketches::of(&codes), SketchProbe::of(query));
            let positions: Vec<u32> = (0..rows as u32).filter(|position| position % 3 > 0).collect();
            let mut components = vec![0_i8; dimension];
            // Each entry of a table is off by half a unit at most.
            let off = probe.unit / 2.0 * (sketches.places as f32) + 1e-5;
            let expected: Vec<f32> = (0..rows).map(|row| {
                codes.signed_row(row, &mut components);
                let signed = components.iter().zip(query).map(|(x, q)| if *x > 0 { *q } else { -q });
                sketches.factors[row] * signed.sum::<f32>()
            }).collect();
            let found = sketches.promising(&probe, &positions, keep);
            prop_assert_eq!(found.len(), keep.min(positions.len()));
            for near in &found {
                let (expected, factor) = (expected[near.position as usize], sketches.factors[near.position as usize]);
                prop_assert!((near.score - expected).abs() <= off * factor, "{} {}", near.score, expected);
            }
            let least = found.iter().map(|near| near.score).fold(f32::INFINITY, f32::min);
            let left_out = positions.iter().filter(|position| found.iter().all(|near| near.position != **position));
            for position in left_out {
                let factor = sketches.factors[*position as usize];
                prop_assert!(expected[*position as usize] <= least + 2.0 * off * factor);
            }
        }

        #[test]
        fn sums_by_instructions_are_the_plain_ones(seed: u64, places in 1_usize..=128) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = || -> Vec<u8> { (0..2 * places * PLACE_BYTES).map(|_| random.u8(..)).collect() };
            let (block, tables) = (bytes(), bytes());
            let mut plain = [2; BLOCK];
            add_up_plainly(&block, &tables, &mut plain);
            let two = |row: usize| -> u16 {
                let entry = |place: usize| {
                    let nibbles = block[place * PLACE_BYTES + row % PLACE_BYTES];
                    let nibble = if row < PLACE_BYTES { nibbles & 15 } else { nibbles >> 4 };
                    u16::from(tables[place * PLACE_BYTES + usize::from(nibble)])
                };
                (0..2 * places).map(entry).sum()
            };
            prop_assert!((0..BLOCK).all(|row| plain[row] == two(row)));
            #[cfg(target_arch = "x86_64")]
            if crate::processor::Processor::detected().avx2 {
                // SAFETY: the processor has the instructions, and a register of sums is eight of them.
                let sums = unsafe { std::mem::transmute::<[std::arch::x86_64::__m128i; 4], [u16; BLOCK]>(x86::add_up(&block, &tables)) };
                prop_assert_eq!(sums, plain);
            }
        }
    }

    #[test]
    fn a_sketch_is_off_by_some_hundredths() {
        let dimension = 384;
        let vectors = unit_vectors(5, 401, dimension);
        let (query, vectors) = vectors.split_at(dimension);
        // Half of the rows lean towards the query, so that products of all sizes occur.
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
        let errors = found
            .iter()
            .map(|near| near.score - dot(query, &vectors[near.position as usize * dimension..][..dimension]));
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
