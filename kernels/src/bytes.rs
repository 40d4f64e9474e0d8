//! A linear layer in 8 bits: weights with a scale for each output, inputs quantized row by row as they come.
//!
//! A row x of inputs becomes x = least + scale * q with q from 0 to 255, so that the whole of a byte is used however
//! lopsided the row is; y = scale * (scales[output] * sum of q * w) + least * (sum of the output's weights). That sum is
//! of the quantized weights, so that their rounding is multiplied by x, which is small, not by x - least.
//!
//! A processor that has no sum of byte products in 32 bits has one in 16, where they would run over. With inputs of 7 bits
//! and weights whose sizes add up to little enough, they can't: that is [`Bits::Seven`].

use crate::buffer::Buffer;
use crate::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
use crate::level::Kind;
use crate::level::{Level, at_level};
use crate::linear::{Finish, finish_tile};
use crate::tile::panel_width;

/// Inputs multiplied by one instruction, per output.
const DEPTH_STEP: usize = 4;
/// Columns of a panel.
const COLUMNS: usize = 32;
/// Rows that are taken through all panels together.
const BLOCK_ROWS: usize = 96;
/// Steps of the depth whose products are summed in 16 bits.
const SHORT_STEPS: usize = 2;
/// What the sizes of the weights in one 16-bit sum may add up to: times 127 it fits, whatever the inputs are.
const MOST_IN_SHORT: f32 = 258.0;

/// How fine the inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// 0 to 127, and weights that keep 16-bit sums of products whole.
    Seven,
    /// 0 to 255.
    Eight,
}

impl Bits {
    fn greatest(self) -> f32 {
        match self {
            Self::Seven => 127.0,
            Self::Eight => 255.0,
        }
    }
}

/// `output = finish(input * weight^T + bias)`, with both factors of the product in 8 bits at most.
pub struct ByteLinear {
    level: Level,
    bits: Bits,
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
    pub fn pack(level: Level, bits: Bits, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len(), outputs * inputs, "a weight for every input and output");
        let depth = depth_of(inputs);
        let padded = outputs.next_multiple_of(COLUMNS);
        let mut layer = Self {
            level,
            bits,
            inputs,
            outputs,
            panels: Buffer::zeroed(padded * depth),
            scales: Buffer::zeroed(padded),
            sums: Buffer::zeroed(padded),
            bias: Buffer::zeroed(padded),
        };
        layer.bias[..outputs].copy_from_slice(bias);
        for (output, weights) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let scale = scale_of(bits, weights);
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
        quantized.fill(self.level, self.bits, input, self.inputs);
        let finish = if finish == Finish::Gelu { Finish::GeluOfBytes } else { finish };
        let (layer, input) = (self, &*quantized);
        #[cfg(target_arch = "x86_64")]
        // Safe: the processor has the instructions.
        match (self.level.0, self.bits) {
            (Kind::Avx512, _) if crate::processor::Processor::detected().avx512_vnni => {
                return unsafe { x86::multiply_vnni(layer, rows, input, output, finish) };
            }
            (Kind::Avx2 | Kind::Avx512, Bits::Seven) => {
                return unsafe { x86::multiply_avx2(layer, rows, input, output, finish) };
            }
            _ => {}
        }
        at_level!(self.level, multiply(layer: &ByteLinear, rows: usize, input: &ByteRows, output: &mut [f32], finish: Finish));
    }

    fn depth(&self) -> usize {
        depth_of(self.inputs)
    }
}

fn depth_of(inputs: usize) -> usize {
    inputs.next_multiple_of(SHORT_STEPS * DEPTH_STEP)
}

/// What a unit of an output's weights is worth.
fn scale_of(bits: Bits, weights: &[f32]) -> f32 {
    let greatest = weights.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs()));
    let whole = greatest / 127.0;
    let scale = match bits {
        Bits::Eight => whole,
        // Each of a sum's weights may be rounded up by half.
        Bits::Seven => {
            whole.max(greatest_short_sum(weights) / (MOST_IN_SHORT - (SHORT_STEPS * DEPTH_STEP) as f32 / 4.0))
        }
    };
    if scale > 0.0 { scale } else { 1.0 }
}

/// The most that the sizes of weights add up to whose products meet in one 16-bit sum: of every step, the first two, or
/// the other two.
fn greatest_short_sum(weights: &[f32]) -> f32 {
    let pair = |step: &[f32], half: usize| step.iter().skip(2 * half).take(2).map(|weight| weight.abs()).sum::<f32>();
    let sums = weights
        .chunks(SHORT_STEPS * DEPTH_STEP)
        .flat_map(|group| [0, 1].map(|half| group.chunks(DEPTH_STEP).map(|step| pair(step, half)).sum::<f32>()));
    sums.fold(0.0, f32::max)
}

impl ByteRows {
    fn fill(&mut self, level: Level, bits: Bits, input: &[f32], width: usize) {
        let stride = depth_of(width);
        let rows = input.len() / width.max(1);
        self.values.resize(rows * stride);
        self.ranges.resize(rows, (0.0, 0.0));
        let (values, ranges) = (&mut *self.values, self.ranges.as_mut_slice());
        #[cfg(target_arch = "x86_64")]
        // Safe: the processor has the instructions.
        match level.0 {
            Kind::Avx512 => return unsafe { x86::quantize_avx512(bits, input, width, values, ranges) },
            Kind::Avx2 => return unsafe { x86::quantize_avx2(bits, input, width, values, ranges) },
            Kind::Portable => {}
        }
        quantize(bits, input, width, values, ranges);
    }
}

/// What a unit is worth, its inverse, and what 0 stands for, for values between `least` and `greatest`.
#[inline(always)]
fn range(bits: Bits, least: f32, greatest: f32) -> (f32, f32, f32) {
    let scale = (greatest - least) / bits.greatest();
    // All values alike: each is `least` exactly.
    if scale > 0.0 { (scale, 1.0 / scale, least) } else { (0.0, 0.0, least) }
}

#[inline(always)]
fn quantize(bits: Bits, input: &[f32], width: usize, values: &mut [u8], ranges: &mut [(f32, f32)]) {
    let rows = input.chunks_exact(width).zip(values.chunks_exact_mut(depth_of(width)));
    for ((row, bytes), known) in rows.zip(ranges) {
        let mut least = f32::INFINITY;
        let mut greatest = f32::NEG_INFINITY;
        for value in row {
            least = if *value < least { *value } else { least };
            greatest = if *value > greatest { *value } else { greatest };
        }
        let (scale, inverse, least) = range(bits, least, greatest);
        *known = (scale, least);
        quantize_part(row, least, inverse, bytes);
        bytes[width..].fill(0);
    }
}

#[inline(always)]
fn quantize_part(values: &[f32], least: f32, inverse: f32, bytes: &mut [u8]) {
    for (byte, value) in bytes.iter_mut().zip(values) {
        // To the nearest, by cutting off: all are 0 or more.
        *byte = ((value - least) * inverse + 0.5) as u8;
    }
}

#[inline(always)]
fn multiply<L: Lanes>(layer: &ByteLinear, rows: usize, input: &ByteRows, output: &mut [f32], finish: Finish) {
    let depth = layer.depth();
    for row in 0..rows {
        let bytes = &input.values[row * depth..(row + 1) * depth];
        for (panel, weights) in layer.panels.chunks_exact(COLUMNS * depth).enumerate() {
            let mut sums = [0_i32; COLUMNS];
            for (four, weights) in bytes.chunks_exact(DEPTH_STEP).zip(weights.chunks_exact(COLUMNS * DEPTH_STEP)) {
                for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(DEPTH_STEP)) {
                    *sum += four.iter().zip(weights).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
                }
            }
            for part in (0..COLUMNS).step_by(panel_width::<L>()) {
                // One row of a part of one panel, which `forward` and `pack` have made room for.
                unsafe {
                    let (sums, output) = (sums.as_ptr().add(part), output.as_mut_ptr());
                    finish_bytes::<L, 1>(
                        layer,
                        input,
                        (row, 1),
                        panel * COLUMNS + part,
                        (sums, COLUMNS),
                        output,
                        finish,
                    )
                }
            }
        }
    }
}

/// Turns whole sums into numbers again, two registers of each row, and finishes them.
///
/// # Safety
/// `sums` has `count` rows, at most `ROWS`, of two registers, a stride apart; the rows and the columns are of the layer
/// and the output.
#[inline(always)]
unsafe fn finish_bytes<L: Lanes, const ROWS: usize>(
    layer: &ByteLinear,
    input: &ByteRows,
    (row, count): (usize, usize),
    column: usize,
    (sums, sums_stride): (*const i32, usize),
    output: *mut f32,
    finish: Finish,
) {
    let mut product = [[0.0_f32; COLUMNS]; ROWS];
    let product = product.as_mut_ptr().cast::<f32>();
    for line in 0..count {
        let (scale, least) = input.ranges[row + line];
        for at in [0, L::WIDTH] {
            unsafe {
                let unit = L::load(layer.scales.as_ptr().add(column + at)).mul(L::splat(scale));
                let base = L::load(layer.sums.as_ptr().add(column + at)).mul(L::splat(least));
                let whole = L::load_whole(sums.add(line * sums_stride + at));
                whole.mul_add(unit, base).store(product.add(line * panel_width::<L>() + at));
            }
        }
    }
    let columns = panel_width::<L>().min(layer.outputs.saturating_sub(column));
    unsafe {
        let bias = layer.bias.as_ptr().add(column);
        let to = output.add(row * layer.outputs + column);
        finish_tile::<L>(finish, count, columns, (product, panel_width::<L>()), bias, (to, layer.outputs));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::*;
    use crate::lanes_x86::{Avx2, Avx512, first_lanes};
    use crate::tile::{Lines, even_tiles, fetch_ahead};

    /// Rows of a tile.
    const VNNI_ROWS: usize = 12;
    const AVX2_ROWS: usize = 4;
    /// Columns of a tile.
    const AVX2_COLUMNS: usize = 16;

    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn quantize_avx512(
        bits: Bits,
        input: &[f32],
        width: usize,
        values: &mut [u8],
        ranges: &mut [(f32, f32)],
    ) {
        let rows = input.chunks_exact(width).zip(values.chunks_exact_mut(depth_of(width)));
        for ((row, bytes), known) in rows.zip(ranges) {
            let mut least = _mm512_set1_ps(f32::INFINITY);
            let mut greatest = _mm512_set1_ps(f32::NEG_INFINITY);
            for at in (0..width).step_by(16) {
                let lanes = first_lanes(width - at);
                // Masked to the row.
                let value = unsafe { _mm512_maskz_loadu_ps(lanes, row.as_ptr().add(at)) };
                least = _mm512_mask_min_ps(least, lanes, least, value);
                greatest = _mm512_mask_max_ps(greatest, lanes, greatest, value);
            }
            let (scale, inverse, least) = range(bits, _mm512_reduce_min_ps(least), _mm512_reduce_max_ps(greatest));
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
        let mut sums = [0_i32; VNNI_ROWS * COLUMNS];
        for block in (0..rows).step_by(BLOCK_ROWS) {
            for (panel, weights) in layer.panels.chunks_exact(COLUMNS * depth).enumerate() {
                for (start, count) in even_tiles(BLOCK_ROWS.min(rows - block), VNNI_ROWS) {
                    let row = block + start;
                    // `forward` has checked that input and output have all these rows.
                    unsafe {
                        let from = input.values.as_ptr().add(row * depth);
                        tile_vnni(count, (from, depth), weights.as_ptr(), sums.as_mut_ptr());
                        let (sums, output) = ((sums.as_ptr(), COLUMNS), output.as_mut_ptr());
                        let column = panel * COLUMNS;
                        finish_bytes::<Avx512, VNNI_ROWS>(layer, input, (row, count), column, sums, output, finish);
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
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn quantize_avx2(bits: Bits, input: &[f32], width: usize, values: &mut [u8], ranges: &mut [(f32, f32)]) {
        let whole = width - width % 32;
        let rows = input.chunks_exact(width).zip(values.chunks_exact_mut(depth_of(width)));
        for ((row, bytes), known) in rows.zip(ranges) {
            let (mut least, mut greatest) = ([Avx2::splat(f32::INFINITY); 2], [Avx2::splat(f32::NEG_INFINITY); 2]);
            for at in (0..whole).step_by(16) {
                for (half, (least, greatest)) in least.iter_mut().zip(&mut greatest).enumerate() {
                    // Within the row.
                    let value = unsafe { Avx2::load(row.as_ptr().add(at + 8 * half)) };
                    (*least, *greatest) = (least.min(value), greatest.max(value));
                }
            }
            let (mut least, mut greatest) = (least[0].min(least[1]).minimum(), greatest[0].max(greatest[1]).maximum());
            for value in &row[whole..] {
                (least, greatest) = (least.min(*value), greatest.max(*value));
            }
            let (scale, inverse, least) = range(bits, least, greatest);
            *known = (scale, least);
            for at in (0..whole).step_by(32) {
                // Within the row, and within its bytes.
                unsafe { quantize_32(row.as_ptr().add(at), least, inverse, bytes.as_mut_ptr().add(at)) }
            }
            quantize_part(&row[whole..], least, inverse, &mut bytes[whole..width]);
            bytes[width..].fill(0);
        }
    }

    /// # Safety
    /// 32 values are at `from`, and room for as many bytes at `to`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn quantize_32(from: *const f32, least: f32, inverse: f32, to: *mut u8) {
        let (least, inverse) = (_mm256_set1_ps(least), _mm256_set1_ps(inverse));
        let whole = |part: usize| {
            let value = unsafe { _mm256_loadu_ps(from.add(8 * part)) };
            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(value, least), inverse))
        };
        let (low, high) = (_mm256_packs_epi32(whole(0), whole(1)), _mm256_packs_epi32(whole(2), whole(3)));
        // Packing goes by halves of a register: the fours of bytes are put in order again.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
        unsafe { _mm256_storeu_si256(to.cast(), bytes) };
    }

    /// For [`Bits::Seven`] only.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn multiply_avx2(layer: &ByteLinear, rows: usize, input: &ByteRows, output: &mut [f32], finish: Finish) {
        let depth = layer.depth();
        let mut sums = [0_i32; AVX2_ROWS * AVX2_COLUMNS];
        for block in (0..rows).step_by(BLOCK_ROWS) {
            for (part, column) in (0..layer.outputs).step_by(AVX2_COLUMNS).enumerate() {
                let (panel, half) = (part * AVX2_COLUMNS / COLUMNS, part * AVX2_COLUMNS % COLUMNS);
                let weights = &layer.panels[panel * COLUMNS * depth + half * DEPTH_STEP..];
                for (start, count) in even_tiles(BLOCK_ROWS.min(rows - block), AVX2_ROWS) {
                    let row = block + start;
                    // `forward` has checked that input and output have all these rows.
                    unsafe {
                        let from = input.values.as_ptr().add(row * depth);
                        tile_avx2(count, (from, depth), weights.as_ptr(), sums.as_mut_ptr());
                        let (sums, output) = ((sums.as_ptr(), AVX2_COLUMNS), output.as_mut_ptr());
                        finish_bytes::<Avx2, AVX2_ROWS>(layer, input, (row, count), column, sums, output, finish);
                    }
                }
            }
        }
    }

    /// # Safety
    /// `from` has `rows` rows, 1 to 4, of `depth` bytes; `panel` as many rows of 32, of which the first 16 are taken;
    /// `sums` takes `rows` of 16.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile_avx2(rows: usize, from: (*const u8, usize), panel: *const i8, sums: *mut i32) {
        match rows {
            1 => unsafe { tile_of_shorts::<1>(from, panel, sums) },
            2 => unsafe { tile_of_shorts::<2>(from, panel, sums) },
            3 => unsafe { tile_of_shorts::<3>(from, panel, sums) },
            4 => unsafe { tile_of_shorts::<4>(from, panel, sums) },
            _ => unreachable!("a tile of {rows} rows"),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile_of_shorts<const COUNT: usize>((from, depth): (*const u8, usize), panel: *const i8, to: *mut i32) {
        const STEP: usize = COLUMNS * DEPTH_STEP;
        let ones = black_box(_mm256_set1_epi16(1));
        let mut sums = [[_mm256_setzero_si256(); 2]; COUNT];
        // Kept from the compiler, which would else compute each anew at each step.
        let lines: [*const u8; COUNT] = std::array::from_fn(|row| black_box(from.wrapping_add(row * depth)));
        let mut at = panel;
        for group in (0..depth).step_by(SHORT_STEPS * DEPTH_STEP) {
            fetch_ahead(at, DEPTH_STEP);
            fetch_ahead(at.wrapping_add(STEP), DEPTH_STEP);
            let weights = [0, 32, STEP, STEP + 32].map(|place| unsafe { _mm256_load_si256(at.add(place).cast()) });
            for (line, sums) in lines.iter().zip(&mut sums) {
                let four = |step: usize| unsafe { line.add(group + step * DEPTH_STEP).cast::<i32>().read_unaligned() };
                let (first, second) = (_mm256_set1_epi32(four(0)), _mm256_set1_epi32(four(1)));
                for (half, sum) in sums.iter_mut().enumerate() {
                    let shorts = _mm256_add_epi16(
                        _mm256_maddubs_epi16(first, weights[half]),
                        _mm256_maddubs_epi16(second, weights[2 + half]),
                    );
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(shorts, ones));
                }
            }
            at = at.wrapping_add(SHORT_STEPS * STEP);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            unsafe {
                let at = to.add(row * AVX2_COLUMNS);
                _mm256_storeu_si256(at.cast(), sums[0]);
                _mm256_storeu_si256(at.add(8).cast(), sums[1]);
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
        fn every_level_comes_as_near_the_exact_product_as_the_bits_allow(
            rows in 1_usize..110, inputs in 1_usize..70, outputs in 1_usize..80, seed: u64,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (weight, bias) = (random(outputs * inputs, &mut rng), random(outputs, &mut rng));
            let input = random(rows * inputs, &mut rng);
            let mut quantized = ByteRows::default();
            // Each factor is off by half a unit at most: of the inputs 2 / 255 or 2 / 127, of the weights 1.3 / 127, or,
            // as four of them add up to 5.2 at most, 5.2 / 256.
            for (bits, off) in [(Bits::Eight, 0.012), (Bits::Seven, 0.024)] {
                let mut portable = vec![0.0; rows * outputs];
                ByteLinear::pack(Level::PORTABLE, bits, &weight, &bias, inputs)
                    .forward(&input, &mut portable, Finish::Store, &mut quantized);
                for (at, found) in portable.iter().enumerate() {
                    let (row, output) = (at / outputs, at % outputs);
                    let pairs = input[row * inputs..].iter().zip(&weight[output * inputs..][..inputs]);
                    let exact: f32 = pairs.map(|(a, b)| a * b).sum::<f32>() + bias[output];
                    prop_assert!((found - exact).abs() <= off * inputs as f32 + 1e-4, "{:?} {} {}", bits, found, exact);
                }
                for level in Level::available() {
                    let mut output = vec![0.0; rows * outputs];
                    let layer = ByteLinear::pack(level, bits, &weight, &bias, inputs);
                    layer.forward(&input, &mut output, Finish::Store, &mut quantized);
                    for (one, other) in output.iter().zip(&portable) {
                        // A value just between two bytes may go either way.
                        prop_assert!((one - other).abs() < 0.04, "{:?} {:?} {} {}", bits, level, one, other);
                    }
                }
            }
        }
    }

    #[test]
    fn no_sum_runs_over_though_all_are_as_great_as_can_be() {
        for level in Level::available() {
            for sign in [1.0, -1.0] {
                let layer = ByteLinear::pack(level, Bits::Seven, &[sign; 1_536], &[0.0], 1_536);
                // All inputs but one are the greatest.
                let input: Vec<f32> = (0..1_536).map(|at| if at == 0 { 0.0 } else { 1.0 }).collect();
                let mut output = [0.0];
                layer.forward(&input, &mut output, Finish::Store, &mut ByteRows::default());
                assert!((output[0] - sign * 1_535.0).abs() < 0.5, "{level:?} {output:?}");
            }
        }
    }

    #[test]
    fn a_row_of_one_value_is_off_by_the_rounding_of_the_weights_only() {
        for level in Level::available() {
            let mut output = [0.0; 2];
            let weights = [1.0, 2.0, 3.0, -0.5, 0.25, 4.0];
            let layer = ByteLinear::pack(level, Bits::Eight, &weights, &[0.5, 0.0], 3);
            layer.forward(&[0.3; 3], &mut output, Finish::Store, &mut ByteRows::default());
            // Three weights, each off by half a unit of its row at most: 3 / 254 and 4 / 254.
            for (found, exact, unit) in [(output[0], 2.3, 3.0 / 127.0), (output[1], 1.125, 4.0 / 127.0)] {
                assert!((found - exact).abs() <= 3.0 * 0.3 * unit / 2.0 + 1e-6_f32, "{level:?} {output:?}");
            }
        }
    }
}
