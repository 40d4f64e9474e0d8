//! A linear layer in 8 bits: weights with a scale for each output, inputs quantized row by row as they come.
//!
//! A row x of inputs becomes x = least + scale * q with q from 0 to 255, so that the whole of a byte is used however
//! lopsided the row is; y = scale * (scales[output] * sum of q * w) + least * (sum of the output's weights). That sum is
//! of the quantized weights, so that their rounding is multiplied by x, which is small, not by x - least.
//!
//! A processor that has no sum of byte products in 32 bits has one in 16, where they would run over. With inputs of 7 bits
//! and weights whose sizes add up to little enough, they can't: that is [`Bits::Seven`].

#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{VNNI_ROWS, products};

use crate::buffer::Buffer;
use crate::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
use crate::level::Kind;
use crate::level::{Level, at_level};
use crate::linear::{Finish, finish_tile};
use crate::tile::panel_width;

/// Inputs multiplied by one instruction, per output.
pub(crate) const DEPTH_STEP: usize = 4;
/// Columns of a panel.
pub(crate) const COLUMNS: usize = 32;
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
        #[cfg(not(target_arch = "x86_64"))]
        let _ = level;
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
                    finish_bytes::<L>(layer, input, (row, 1), panel * COLUMNS + part, (sums, COLUMNS), output, finish)
                }
            }
        }
    }
}

/// Turns whole sums into numbers again, two registers of each row, and finishes them.
///
/// # Safety
/// `sums` has `count` rows of two registers, a stride apart; the rows and the columns are of the layer and the output.
#[inline(always)]
unsafe fn finish_bytes<L: Lanes>(
    layer: &ByteLinear,
    input: &ByteRows,
    (row, count): (usize, usize),
    column: usize,
    (sums, sums_stride): (*const i32, usize),
    output: *mut f32,
    finish: Finish,
) {
    let columns = panel_width::<L>().min(layer.outputs.saturating_sub(column));
    unsafe {
        let of_columns = |per_output: &Buffer| [0, L::WIDTH].map(|at| L::load(per_output.as_ptr().add(column + at)));
        let (scales, weights, bias) = (of_columns(&layer.scales), of_columns(&layer.sums), of_columns(&layer.bias));
        let sum = |line: usize, offset: usize| {
            let (scale, least) = *input.ranges.get_unchecked(row + line);
            let half = offset / L::WIDTH;
            let base = weights[half].mul_add(L::splat(least), bias[half]);
            let whole = L::load_whole(sums.add(line * sums_stride + offset));
            whole.mul_add(scales[half].mul(L::splat(scale)), base)
        };
        finish_tile(finish, (count, columns), sum, (output.add(row * layer.outputs + column), layer.outputs));
    }
}
