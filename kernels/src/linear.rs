//! A linear layer in `f32`: weights packed once into panels, bias and activation fused into the store.

use crate::buffer::Buffer;
use crate::functions::{gelu, gelu_of_bytes, gelu_tanh};
use crate::lanes::Lanes;
use crate::level::{Level, at_level};
use crate::tile::{even_tiles, panel_width, tile};

/// Rows that are taken through all panels together: their inputs stay in the second-level cache.
const BLOCK_ROWS: usize = 96;
/// Inputs that are gone through together: as much of a panel stays in the first-level cache while the rows of a block
/// pass it.
const DEPTH: usize = 192;
/// Columns of the widest panel.
const MOST_COLUMNS: usize = 32;

/// What becomes of a product once its bias is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Store,
    /// By the error function.
    Gelu,
    /// As near as 8 bits can tell.
    GeluOfBytes,
    /// By the approximation with tanh.
    GeluTanh,
    Relu,
    /// Added to what the output holds: a residual connection.
    Add,
}

/// `output = finish(input * weight^T + bias)`.
pub struct Linear {
    level: Level,
    inputs: usize,
    outputs: usize,
    /// Panel after panel, each (inputs, panel width); columns beyond the outputs are zero.
    panels: Buffer,
    bias: Buffer,
}

impl Linear {
    /// Shapes: `weight` (outputs, inputs), `bias` (outputs).
    ///
    /// Panics when the lengths don't agree.
    pub fn pack(level: Level, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let outputs = bias.len();
        assert_eq!(weight.len(), outputs * inputs, "a weight for every input and output");
        let width = level.panel_width();
        let panel_count = outputs.div_ceil(width);
        let mut panels = Buffer::zeroed(panel_count * width * inputs);
        for output in 0..outputs {
            let panel = (output / width) * width * inputs + output % width;
            for (input, value) in weight[output * inputs..(output + 1) * inputs].iter().enumerate() {
                panels[panel + input * width] = *value;
            }
        }
        let mut padded_bias = Buffer::zeroed(panel_count * width);
        padded_bias[..outputs].copy_from_slice(bias);
        Self { level, inputs, outputs, panels, bias: padded_bias }
    }

    /// Shapes: `input` (rows, inputs), `output` (rows, outputs).
    ///
    /// Panics when the lengths don't agree.
    pub fn forward(&self, input: &[f32], output: &mut [f32], finish: Finish) {
        let rows = input.len().checked_div(self.inputs).unwrap_or(0);
        assert_eq!(input.len(), rows * self.inputs, "whole rows of inputs");
        assert_eq!(output.len(), rows * self.outputs, "a row of outputs for each row of inputs");
        let layer = self;
        at_level!(self.level, multiply(layer: &Linear, rows: usize, input: &[f32], output: &mut [f32], finish: Finish));
    }
}

#[inline(always)]
fn multiply<L: Lanes>(layer: &Linear, rows: usize, input: &[f32], output: &mut [f32], finish: Finish) {
    let width = panel_width::<L>();
    let mut product = [0.0_f32; BLOCK_ROWS * MOST_COLUMNS];
    let to = product.as_mut_ptr();
    for block in (0..rows).step_by(BLOCK_ROWS) {
        let tiles = || even_tiles(BLOCK_ROWS.min(rows - block), L::TILE_ROWS);
        for (panel, weights) in layer.panels.chunks_exact(width * layer.inputs).enumerate() {
            // `forward` has checked that input and output have all these rows, `pack` that panels and bias have all
            // these columns; the product has a line for each row of a block.
            for depth in (0..layer.inputs).step_by(DEPTH) {
                let (weights, length) = (&weights[depth * width..], DEPTH.min(layer.inputs - depth));
                for (start, count) in tiles() {
                    unsafe {
                        let from = (input.as_ptr().add((block + start) * layer.inputs + depth), layer.inputs);
                        let to = (to.add(start * width), width);
                        tile::<L>(count, from, weights.as_ptr(), length, to, depth > 0);
                    }
                }
            }
            let column = panel * width;
            let columns = width.min(layer.outputs - column);
            for (start, count) in tiles() {
                unsafe {
                    let bias = [0, L::WIDTH].map(|offset| L::load(layer.bias.as_ptr().add(column + offset)));
                    let product = to.cast_const().add(start * width);
                    let sum = |row: usize, offset: usize| {
                        L::load(product.add(row * width + offset)).add(bias[offset / L::WIDTH])
                    };
                    let to = output.as_mut_ptr().add((block + start) * layer.outputs + column);
                    finish_tile(finish, (count, columns), sum, (to, layer.outputs));
                }
            }
        }
    }
}

/// Stores what becomes of the sums of a tile; `sum` gives those of a register, by row and by first column.
///
/// # Safety
/// `to` takes `rows` rows of `columns` values, at most two registers, `stride` apart.
#[inline(always)]
pub(crate) unsafe fn finish_tile<L: Lanes>(
    finish: Finish,
    (rows, columns): (usize, usize),
    sum: impl Fn(usize, usize) -> L,
    (to, stride): (*mut f32, usize),
) {
    macro_rules! each_register {
        (|$sum:ident, $before:ident| $value:expr) => {
            for row in 0..rows {
                for offset in [0, L::WIDTH] {
                    let count = L::WIDTH.min(columns.saturating_sub(offset));
                    unsafe {
                        let $sum = sum(row, offset);
                        let at = to.wrapping_add(row * stride + offset);
                        if count == L::WIDTH {
                            let $before = || L::load(at);
                            $value.store(at);
                        } else if count > 0 {
                            let $before = || L::load_part(at, count);
                            $value.store_part(at, count);
                        }
                    }
                }
            }
        };
    }
    match finish {
        Finish::Store => each_register!(|sum, _before| sum),
        Finish::Gelu => each_register!(|sum, _before| gelu(sum)),
        Finish::GeluOfBytes => each_register!(|sum, _before| gelu_of_bytes(sum)),
        Finish::GeluTanh => each_register!(|sum, _before| gelu_tanh(sum)),
        Finish::Relu => each_register!(|sum, _before| sum.max(L::splat(0.0))),
        Finish::Add => each_register!(|sum, before| sum.add(before())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(count: usize, random: &mut fastrand::Rng) -> Vec<f32> {
        (0..count).map(|_| random.f32() * 2.0 - 1.0).collect()
    }

    /// In double precision, one product after the other.
    fn plain(weight: &[f32], bias: &[f32], inputs: usize, input: &[f32], before: &[f32], finish: Finish) -> Vec<f64> {
        let mut results = Vec::new();
        for row in input.chunks(inputs) {
            for (output, bias) in bias.iter().enumerate() {
                let weights = &weight[output * inputs..(output + 1) * inputs];
                let sum: f64 = row.iter().zip(weights).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let sum = sum + f64::from(*bias);
                results.push(match finish {
                    Finish::Store => sum,
                    Finish::Relu => sum.max(0.0),
                    Finish::Add => sum + f64::from(before[results.len()]),
                    Finish::Gelu | Finish::GeluOfBytes | Finish::GeluTanh => {
                        let inner = (2.0 / std::f64::consts::PI).sqrt() * (sum + 0.044_715 * sum.powi(3));
                        0.5 * sum * (1.0 + inner.tanh())
                    }
                });
            }
        }
        results
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_level_multiplies_as_the_plain_loop_does(
            rows in 1_usize..120, inputs in 1_usize..450, outputs in 1_usize..100, seed: u64, kind in 0_usize..6,
        ) {
            let kinds =
                [Finish::Store, Finish::Relu, Finish::Add, Finish::Gelu, Finish::GeluOfBytes, Finish::GeluTanh];
            let finish = kinds[kind];
            let mut rng = fastrand::Rng::with_seed(seed);
            let (weight, bias) = (random(outputs * inputs, &mut rng), random(outputs, &mut rng));
            let (input, before) = (random(rows * inputs, &mut rng), random(rows * outputs, &mut rng));
            let expected = plain(&weight, &bias, inputs, &input, &before, finish);
            let tolerance = match finish {
                // The forms of GELU differ from the one with tanh by less than this.
                Finish::Gelu | Finish::GeluOfBytes => 2e-3,
                _ => 2e-4,
            };
            for level in Level::available() {
                let mut output = before.clone();
                Linear::pack(level, &weight, &bias, inputs).forward(&input, &mut output, finish);
                for (one, other) in output.iter().zip(&expected) {
                    prop_assert!((f64::from(*one) - other).abs() < tolerance, "{:?} {} {}", level, one, other);
                }
            }
        }
    }

    #[test]
    fn no_rows_are_no_work() {
        let layer = Linear::pack(Level::best(), &[1.0; 6], &[0.0; 2], 3);
        layer.forward(&[], &mut [], Finish::Store);
    }
}
