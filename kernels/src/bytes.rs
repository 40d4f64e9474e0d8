//! A linear layer in 8 bits: weights with a scale for each output, inputs quantized row by row as they come.
//!
//! A row x of inputs becomes x = least + scale * q with q from 0 to 255, so that the whole of a byte is used however
//! lopsided the row is; y = scale * (scales[output] * sum of q * w) + least * (sum of the output's weights). That sum is
//! of the quantized weights, so that their rounding is multiplied by x, which is small, not by x - least.

use crate::buffer::Buffer;
use crate::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
use crate::level::Kind;
use crate::level::{Level, at_level};
use crate::linear::{Finish, finish_tile};

/// Inputs multiplied by one instruction, per output.
const DEPTH_STEP: usize = 4;
/// Columns of a panel.
const COLUMNS: usize = 32;
/// Rows of a tile.
const ROWS: usize = 12;

/// `output = finish(input * weight^T + bias)`, with both factors of the product in 8 bits.
pub struct ByteLinear {
    level: Level,
    inputs: usize,
    outputs: usize,
    /// Panel after panel, each (inputs / 4, 32, 4): four inputs of an output lie together.
    panels: Buffer<i8>,
    /// Per output: what a unit of its quantized weights is worth.
    scales: Buffer,
    /// Per output: the sum of its weights, as they were rounded.
    sums: Buffer,
    bias: Buffer,
}

/// Rows of inputs in 8 bits; kept to be used again.
#[derive(Default)]
pub struct ByteRows {
    values: Buffer<u8>,
    /// Per row: what a unit is worth, and what 0 stands for.
    ranges: Vec<(f32, f32)>,
}

impl ByteLinear {
    /// Shapes: `weight` (outputs, inputs), `bias` (outputs). Panics when the lengths don't agree.
    pub fn pack(level: Level, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len(), outputs * inputs, "a weight for every input and output");
        let depth = inputs.next_multiple_of(DEPTH_STEP);
        let padded = outputs.next_multiple_of(COLUMNS);
        let mut layer = Self {
            level,
            inputs,
            outputs,
            panels: Buffer::zeroed(padded * depth),
            scales: Buffer::zeroed(padded),
            sums: Buffer::zeroed(padded),
            bias: Buffer::zeroed(padded),
        };
        layer.bias[..outputs].copy_from_slice(bias);
        for (output, weights) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let greatest = weights.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs()));
            let scale = if greatest > 0.0 { greatest / 127.0 } else { 1.0 };
            layer.scales[output] = scale;
            let panel = (output / COLUMNS) * COLUMNS * depth + output % COLUMNS * DEPTH_STEP;
            for (input, weight) in weights.iter().enumerate() {
                let at = panel + input / DEPTH_STEP * COLUMNS * DEPTH_STEP + input % DEPTH_STEP;
                let quantized = (weight / scale).round();
                layer.panels[at] = quantized as i8;
                layer.sums[output] += scale * quantized;
            }
        }
        layer
    }

    /// Shapes: `input` (rows, inputs), `output` (rows, outputs). Panics when the lengths don't agree.
    pub fn forward(&self, input: &[f32], output: &mut [f32], finish: Finish, quantized: &mut ByteRows) {
        let rows = input.len().checked_div(self.inputs).unwrap_or(0);
        assert_eq!(input.len(), rows * self.inputs, "whole rows of inputs");
        assert_eq!(output.len(), rows * self.outputs, "a row of outputs for each row of inputs");
        quantized.fill(self.level, input, self.inputs);
        let finish = if finish == Finish::Gelu { Finish::GeluOfBytes } else { finish };
        let (layer, input) = (self, &*quantized);
        #[cfg(target_arch = "x86_64")]
        if self.level.0 == Kind::Avx512 && crate::processor::Processor::detected().avx512_vnni {
            // Safe: the processor has the instructions.
            return unsafe { x86::multiply_vnni(layer, rows, input, output, finish) };
        }
        at_level!(self.level, multiply(layer: &ByteLinear, rows: usize, input: &ByteRows, output: &mut [f32], finish: Finish));
    }

    fn depth(&self) -> usize {
        self.inputs.next_multiple_of(DEPTH_STEP)
    }
}

impl ByteRows {
    fn fill(&mut self, level: Level, input: &[f32], width: usize) {
        let stride = width.next_multiple_of(DEPTH_STEP);
        let rows = input.len() / width.max(1);
        self.values.resize(rows * stride);
        self.ranges.resize(rows, (0.0, 0.0));
        let (values, ranges) = (&mut *self.values, self.ranges.as_mut_slice());
        #[cfg(target_arch = "x86_64")]
        if level.0 == Kind::Avx512 {
            // Safe: the processor has the instructions.
            return unsafe { x86::quantize_avx512(input, width, values, ranges) };
        }
        at_level!(level, quantize(input: &[f32], width: usize, values: &mut [u8], ranges: &mut [(f32, f32)]));
    }
}

/// What a unit is worth, its inverse, and what 0 stands for, for values between `least` and `greatest`.
#[inline(always)]
fn range(least: f32, greatest: f32) -> (f32, f32, f32) {
    let scale = (greatest - least) / 255.0;
    // All values alike: each is `least` exactly.
    if scale > 0.0 { (scale, 1.0 / scale, least) } else { (0.0, 0.0, least) }
}

#[inline(always)]
fn quantize<L: Lanes>(input: &[f32], width: usize, values: &mut [u8], ranges: &mut [(f32, f32)]) {
    let stride = width.next_multiple_of(DEPTH_STEP);
    for ((row, bytes), known) in input.chunks_exact(width).zip(values.chunks_exact_mut(stride)).zip(ranges) {
        let mut least = f32::INFINITY;
        let mut greatest = f32::NEG_INFINITY;
        for value in row {
            least = if *value < least { *value } else { least };
            greatest = if *value > greatest { *value } else { greatest };
        }
        let (scale, inverse, least) = range(least, greatest);
        *known = (scale, least);
        for (byte, value) in bytes.iter_mut().zip(row) {
            // To the nearest, by cutting off: all are 0 or more.
            *byte = ((value - least) * inverse + 0.5) as u8;
        }
        bytes[width..].fill(0);
    }
}

#[inline(always)]
fn multiply<L: Lanes>(layer: &ByteLinear, rows: usize, input: &ByteRows, output: &mut [f32], finish: Finish) {
    let depth = layer.depth();
    for row in 0..rows {
        let bytes = &input.values[row * depth..(row + 1) * depth];
        for (panel, weights) in layer.panels.chunks_exact(COLUMNS * depth).enumerate() {
            let mut sums = [[0_i32; COLUMNS]; 1];
            for (four, weights) in bytes.chunks_exact(DEPTH_STEP).zip(weights.chunks_exact(COLUMNS * DEPTH_STEP)) {
                for (sum, weights) in sums[0].iter_mut().zip(weights.chunks_exact(DEPTH_STEP)) {
                    *sum += four.iter().zip(weights).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
                }
            }
            // One row of one panel, which `forward` and `pack` have made room for.
            unsafe {
                finish_bytes::<L>(layer, input, (row, 1), panel, sums.as_ptr().cast(), output.as_mut_ptr(), finish)
            }
        }
    }
}

/// Turns whole sums into numbers again, and finishes them.
///
/// # Safety
/// `sums` has `count` rows of a panel's width; the rows and the panel are of the layer and the output.
#[inline(always)]
unsafe fn finish_bytes<L: Lanes>(
    layer: &ByteLinear,
    input: &ByteRows,
    (row, count): (usize, usize),
    panel: usize,
    sums: *const i32,
    output: *mut f32,
    finish: Finish,
) {
    let column = panel * COLUMNS;
    let mut product = [0.0_f32; ROWS * COLUMNS];
    for line in 0..count {
        let (scale, least) = input.ranges[row + line];
        for at in (0..COLUMNS).step_by(L::WIDTH) {
            unsafe {
                let unit = L::load(layer.scales.as_ptr().add(column + at)).mul(L::splat(scale));
                let base = L::load(layer.sums.as_ptr().add(column + at)).mul(L::splat(least));
                let whole = L::load_whole(sums.add(line * COLUMNS + at));
                whole.mul_add(unit, base).store(product.as_mut_ptr().add(line * COLUMNS + at));
            }
        }
    }
    for at in (0..COLUMNS).step_by(2 * L::WIDTH) {
        let columns = (2 * L::WIDTH).min(layer.outputs.saturating_sub(column + at));
        unsafe {
            let bias = layer.bias.as_ptr().add(column + at);
            let to = output.add(row * layer.outputs + column + at);
            let product = product.as_ptr().add(at);
            finish_tile::<L>(finish, count, columns, (product, COLUMNS), bias, (to, layer.outputs));
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::*;
    use crate::lanes_x86::{Avx512, first_lanes};
    use crate::tile::{Lines, even_tiles, fetch_ahead};

    /// Rows that are taken through all panels together.
    const BLOCK_ROWS: usize = 96;

    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn quantize_avx512(input: &[f32], width: usize, values: &mut [u8], ranges: &mut [(f32, f32)]) {
        let stride = width.next_multiple_of(DEPTH_STEP);
        for ((row, bytes), known) in input.chunks_exact(width).zip(values.chunks_exact_mut(stride)).zip(ranges) {
            let mut least = _mm512_set1_ps(f32::INFINITY);
            let mut greatest = _mm512_set1_ps(f32::NEG_INFINITY);
            for at in (0..width).step_by(16) {
                let lanes = first_lanes(width - at);
                // Masked to the row.
                let value = unsafe { _mm512_maskz_loadu_ps(lanes, row.as_ptr().add(at)) };
                least = _mm512_mask_min_ps(least, lanes, least, value);
                greatest = _mm512_mask_max_ps(greatest, lanes, greatest, value);
            }
            let (scale, inverse, least) = range(_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(greatest));
            *known = (scale, least);
            let (least, inverse) = (_mm512_set1_ps(least), _mm512_set1_ps(inverse));
            for at in (0..width).step_by(16) {
                let lanes = first_lanes(width - at);
                // Masked to the row, and to its bytes.
                unsafe {
                    let value = _mm512_maskz_loadu_ps(lanes, row.as_ptr().add(at));
                    let scaled = _mm512_mul_ps(_mm512_sub_ps(value, least), inverse);
                    let whole = _mm512_cvtps_epi32(scaled);
                    _mm512_mask_cvtusepi32_storeu_epi8(bytes.as_mut_ptr().add(at).cast(), lanes, whole);
                }
            }
            bytes[width..].fill(0);
        }
    }

    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub(super) fn multiply_vnni(layer: &ByteLinear, rows: usize, input: &ByteRows, output: &mut [f32], finish: Finish) {
        let depth = layer.depth();
        let mut sums = [0_i32; ROWS * COLUMNS];
        for block in (0..rows).step_by(BLOCK_ROWS) {
            for (panel, weights) in layer.panels.chunks_exact(COLUMNS * depth).enumerate() {
                for (start, count) in even_tiles(BLOCK_ROWS.min(rows - block), ROWS) {
                    let row = block + start;
                    // `forward` has checked that input and output have all these rows.
                    unsafe {
                        let from = input.values.as_ptr().add(row * depth);
                        tile_vnni(count, (from, depth), weights.as_ptr(), sums.as_mut_ptr());
                        let (sums, output) = (sums.as_ptr(), output.as_mut_ptr());
                        finish_bytes::<Avx512>(layer, input, (row, count), panel, sums, output, finish);
                    }
                }
            }
        }
    }

    /// # Safety
    /// `from` has `rows` rows, 1 to 12, of `depth` bytes; `panel` `depth` rows of 32; `sums` takes `rows` of 32.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn tile_vnni(rows: usize, from: (*const u8, usize), panel: *const i8, sums: *mut i32) {
        macro_rules! by_rows {
            ($($count:literal)*) => {
                match rows {
                    $($count => unsafe { tile_of::<$count>(from, panel, sums) },)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn tile_of<const COUNT: usize>((from, depth): (*const u8, usize), panel: *const i8, to: *mut i32) {
        let mut sums = [[_mm512_setzero_si512(); 2]; COUNT];
        let mut lines = Lines::new(from, depth);
        let mut at = panel;
        for _ in 0..depth / DEPTH_STEP {
            fetch_ahead(at, DEPTH_STEP * COLUMNS);
            let weights = unsafe { [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast())] };
            for (row, sums) in sums.iter_mut().enumerate() {
                let four = unsafe { lines.row(row).cast::<i32>().read_unaligned() };
                let four = _mm512_set1_epi32(four);
                sums[0] = _mm512_dpbusd_epi32(sums[0], four, weights[0]);
                sums[1] = _mm512_dpbusd_epi32(sums[1], four, weights[1]);
            }
            lines.advance(DEPTH_STEP);
            at = at.wrapping_add(DEPTH_STEP * COLUMNS);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            unsafe {
                let at = to.add(row * COLUMNS);
                _mm512_storeu_si512(at.cast(), sums[0]);
                _mm512_storeu_si512(at.add(16).cast(), sums[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(count: usize, rng: &mut fastrand::Rng) -> Vec<f32> {
        (0..count).map(|_| rng.f32() * 2.0 - 0.7).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_level_comes_as_near_the_exact_product_as_8_bits_allow(
            rows in 1_usize..110, inputs in 1_usize..70, outputs in 1_usize..80, seed: u64,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (weight, bias) = (random(outputs * inputs, &mut rng), random(outputs, &mut rng));
            let input = random(rows * inputs, &mut rng);
            let mut quantized = ByteRows::default();
            let mut portable = vec![0.0; rows * outputs];
            ByteLinear::pack(Level::PORTABLE, &weight, &bias, inputs)
                .forward(&input, &mut portable, Finish::Store, &mut quantized);
            for (at, found) in portable.iter().enumerate() {
                let (row, output) = (at / outputs, at % outputs);
                let pairs = input[row * inputs..].iter().zip(&weight[output * inputs..][..inputs]);
                let exact: f32 = pairs.map(|(a, b)| a * b).sum::<f32>() + bias[output];
                // Each factor is off by half a unit at most: 2 / 510 and 1.3 / 254.
                prop_assert!((found - exact).abs() <= 0.012 * inputs as f32 + 1e-4, "{} {}", found, exact);
            }
            for level in Level::available() {
                let mut output = vec![0.0; rows * outputs];
                let layer = ByteLinear::pack(level, &weight, &bias, inputs);
                layer.forward(&input, &mut output, Finish::Store, &mut quantized);
                for (one, other) in output.iter().zip(&portable) {
                    // A value just between two bytes may go either way.
                    prop_assert!((one - other).abs() < 0.02, "{:?} {} {}", level, one, other);
                }
            }
        }
    }

    #[test]
    fn a_row_of_one_value_is_off_by_the_rounding_of_the_weights_only() {
        for level in Level::available() {
            let mut output = [0.0; 2];
            let layer = ByteLinear::pack(level, &[1.0, 2.0, 3.0, -0.5, 0.25, 4.0], &[0.5, 0.0], 3);
            layer.forward(&[0.3; 3], &mut output, Finish::Store, &mut ByteRows::default());
            // Three weights, each off by half a unit of its row at most: 3 / 254 and 4 / 254.
            for (found, exact, unit) in [(output[0], 2.3, 3.0 / 127.0), (output[1], 1.125, 4.0 / 127.0)] {
                assert!((found - exact).abs() <= 3.0 * 0.3 * unit / 2.0 + 1e-6_f32, "{level:?} {output:?}");
            }
        }
    }
}
