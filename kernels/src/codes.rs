//! Vectors as eight-bit codes: a quarter of the memory, and a first pass that is exact once its error is allowed for.
//!
//! A component is coded as `round(component / scale) + 128` with one scale per vector. For a vector `x` with code `c`
//! and a query `q` with code `p`, |q·x - p·c| <= |q - p| |x| + |p| |x - c|: both distances are known when the codes
//! are made, so a first pass over codes can say for certain which vectors can't be among the nearest.

use crate::distance::{Line, byte_dots, dot};

/// Rounding of the f32 sums themselves, far below what the codes lose.
const ROUNDING: f32 = 1e-5;

/// The codes of many vectors, row after row.
#[derive(Clone, Debug)]
pub struct Codes {
    dimension: usize,
    /// Lines per row.
    width: usize,
    lines: Vec<Line>,
    scales: Vec<f32>,
    /// The greatest distance of a vector from what its code says.
    loss: f32,
    /// The greatest length of a vector.
    length: f32,
}

/// A query's code, to be compared with [`Codes`].
#[derive(Clone, Debug)]
pub struct Probe {
    lines: Vec<Line>,
    scale: f32,
    /// What the offset of the rows' bytes adds to every sum.
    bias: i32,
    /// Distance of the query from what its code says.
    loss: f32,
    /// Length of what its code says.
    length: f32,
}

/// Bytes are kept with this added, as the processor multiplies unsigned with signed ones.
const OFFSET: i32 = 128;
/// As many rows are multiplied at once: about what one step through a graph looks at.
const BATCH: usize = 64;

impl Codes {
    pub fn new(dimension: usize) -> Self {
        let width = dimension.div_ceil(64);
        Self { dimension, width, lines: Vec::new(), scales: Vec::new(), loss: 0.0, length: 0.0 }
    }

    /// The codes of `vectors`, which lie side by side.
    pub fn of(vectors: &[f32], dimension: usize) -> Self {
        let mut codes = Self::new(dimension);
        codes.reserve(vectors.len() / dimension.max(1));
        vectors.chunks_exact(dimension.max(1)).for_each(|vector| codes.push(vector));
        codes
    }

    pub fn reserve(&mut self, rows: usize) {
        self.lines.reserve(rows * self.width);
        self.scales.reserve(rows);
    }

    pub fn len(&self) -> usize {
        self.scales.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    pub fn push(&mut self, vector: &[f32]) {
        let coded = Coded::of(vector, self.dimension);
        self.lines.extend(coded.lines(OFFSET as u8));
        self.scales.push(coded.scale);
        self.loss = self.loss.max(coded.loss);
        self.length = self.length.max(coded.length);
    }

    /// Appends rows of other codes of the same dimension.
    pub fn extend_from(&mut self, other: &Self, positions: impl Iterator<Item = usize>) {
        for position in positions {
            let start = position * self.width;
            let (Some(row), Some(scale)) = (other.lines.get(start..start + self.width), other.scales.get(position))
            else {
                continue;
            };
            self.lines.extend_from_slice(row);
            self.scales.push(*scale);
        }
        self.loss = self.loss.max(other.loss);
        self.length = self.length.max(other.length);
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// A row's components as whole numbers, and what a unit of them is worth.
    pub(crate) fn signed_row(&self, position: usize, components: &mut [i8]) -> f32 {
        let row = self.lines.get(position * self.width..(position + 1) * self.width).unwrap_or_default();
        for (components, line) in components.chunks_mut(64).zip(row) {
            components.iter_mut().zip(&line.0).for_each(|(to, from)| *to = (from ^ 0x80) as i8);
        }
        self.scales.get(position).copied().unwrap_or_default()
    }

    /// A row as the query; only for estimates between rows.
    pub fn probe_of_row(&self, position: u32, probe: &mut Probe) {
        let start = position as usize * self.width;
        let row = self.lines.get(start..start + self.width).unwrap_or_default();
        probe.lines.clear();
        let mut sum = 0_i32;
        for line in row {
            let mut signed = Line([0; 64]);
            for (to, from) in signed.0.iter_mut().zip(&line.0) {
                *to = from ^ 0x80;
                sum += i32::from(*from);
            }
            probe.lines.push(signed);
        }
        probe.bias = OFFSET * (sum - OFFSET * (row.len() * 64) as i32);
        probe.scale = self.scales.get(position as usize).copied().unwrap_or_default();
    }

    /// The dot products of the query with the rows, as the codes have it; `estimates` holds as many as `positions`.
    pub fn estimate(&self, probe: &Probe, positions: &[u32], estimates: &mut [f32]) {
        let mut sums = [0_i32; BATCH];
        for (positions, estimates) in positions.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            let Some(sums) = sums.get_mut(..positions.len()) else { return };
            byte_dots(&probe.lines, &self.lines, positions, sums);
            for ((estimate, sum), position) in estimates.iter_mut().zip(sums).zip(positions) {
                *estimate = match self.scales.get(*position as usize) {
                    Some(scale) => (*sum - probe.bias) as f32 * (scale * probe.scale),
                    None => f32::NEG_INFINITY,
                };
            }
        }
    }

    /// How far an estimate for this query can be from the product of the vectors themselves, at most.
    pub fn error(&self, probe: &Probe) -> f32 {
        probe.loss * self.length + probe.length * self.loss + ROUNDING
    }

    /// The rows' bytes and scales, for a file.
    pub fn parts(&self) -> (&[Line], &[f32], [f32; 2]) {
        (&self.lines, &self.scales, [self.loss, self.length])
    }

    /// What [`Codes::parts`] gave; `None` when the lengths don't agree.
    pub fn from_parts(dimension: usize, lines: Vec<Line>, scales: Vec<f32>, bounds: [f32; 2]) -> Option<Self> {
        let width = dimension.div_ceil(64);
        let [loss, length] = bounds;
        (lines.len() == scales.len() * width).then_some(Self { dimension, width, lines, scales, loss, length })
    }
}

impl Probe {
    pub fn of(query: &[f32]) -> Self {
        let coded = Coded::of(query, query.len());
        let sum: i32 = coded.bytes.iter().map(|byte| i32::from(*byte)).sum();
        Self {
            lines: coded.lines(0).collect(),
            scale: coded.scale,
            bias: OFFSET * sum,
            loss: coded.loss,
            length: coded.length + coded.loss,
        }
    }

    pub fn empty() -> Self {
        Self { lines: Vec::new(), scale: 0.0, bias: 0, loss: 0.0, length: 0.0 }
    }
}

struct Coded {
    bytes: Vec<i8>,
    scale: f32,
    loss: f32,
    length: f32,
}

impl Coded {
    /// Takes the first `dimension` components; what is missing is nought.
    fn of(vector: &[f32], dimension: usize) -> Self {
        let vector = &vector[..vector.len().min(dimension)];
        let greatest = vector.iter().fold(0.0_f32, |greatest, component| greatest.max(component.abs()));
        let scale = if greatest > 0.0 { greatest / 127.0 } else { 1.0 };
        let inverse = 1.0 / scale;
        let mut bytes = vec![0_i8; dimension];
        let mut loss = 0.0_f32;
        for (byte, component) in bytes.iter_mut().zip(vector) {
            // Truncation towards zero of a number above zero rounds down: a half more rounds to the nearest.
            let code = (component * inverse + 127.5) as i32 - 127;
            let lost = component - code as f32 * scale;
            loss += lost * lost;
            *byte = code.clamp(-127, 127) as i8;
        }
        Self { bytes, scale, loss: loss.sqrt(), length: dot(vector, vector).sqrt() }
    }

    fn lines(&self, offset: u8) -> impl Iterator<Item = Line> {
        self.bytes.chunks(64).map(move |bytes| {
            let mut line = Line([offset; 64]);
            for (to, from) in line.0.iter_mut().zip(bytes) {
                *to = (*from as u8).wrapping_add(offset);
            }
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vectors(seed: u64, rows: usize, dimension: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..rows * dimension).map(|_| random.f32() * 2.0 - 1.0).collect()
    }

    proptest! {
        #[test]
        fn no_estimate_is_further_off_than_the_bound_says(seed: u64, dimension in 1_usize..200, rows in 1_usize..30) {
            let vectors = vectors(seed, rows + 1, dimension);
            let (query, rows_of) = vectors.split_at(dimension);
            let codes = Codes::of(rows_of, dimension);
            let probe = Probe::of(query);
            let positions: Vec<u32> = (0..rows as u32).collect();
            let mut estimates = vec![0.0; rows];
            codes.estimate(&probe, &positions, &mut estimates);
            for (row, estimate) in rows_of.chunks(dimension).zip(estimates) {
                let exact = dot(query, row);
                prop_assert!((exact - estimate).abs() <= codes.error(&probe), "{exact} {estimate}");
            }
        }

        #[test]
        fn a_row_asks_as_its_own_vector_would(seed: u64, dimension in 1_usize..150) {
            let vectors = vectors(seed, 5, dimension);
            let codes = Codes::of(&vectors, dimension);
            let (mut by_row, mut by_vector) = ([0.0; 5], [0.0; 5]);
            let mut probe = Probe::empty();
            codes.probe_of_row(2, &mut probe);
            codes.estimate(&probe, &[0, 1, 2, 3, 4], &mut by_row);
            codes.estimate(&Probe::of(&vectors[2 * dimension..3 * dimension]), &[0, 1, 2, 3, 4], &mut by_vector);
            prop_assert_eq!(by_row, by_vector);
        }
    }

    #[test]
    fn a_vector_of_noughts_estimates_nought() {
        let codes = Codes::of(&[0.0; 70], 70);
        let mut estimates = [1.0];
        codes.estimate(&Probe::of(&[0.5; 70]), &[0], &mut estimates);
        assert_eq!(estimates, [0.0]);
    }
}
