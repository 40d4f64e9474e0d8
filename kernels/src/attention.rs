//! Self-attention over one sequence of any length: nothing is padded to another's length.
//!
//! Keys and values of a head are packed into panels once; then a few queries at a time go from
//! scores to softmax to output while their scores lie in the first-level cache.

use crate::buffer::Buffer;
use crate::functions::exp2;
use crate::lanes::Lanes;
use crate::level::{Level, at_level};
use crate::tile::{even_tiles, panel_width, tile};

/// What a query is to be multiplied by beforehand: 1 / sqrt(head size), and log2 e so that powers of two do.
pub fn query_scale(head_size: usize) -> f32 {
    std::f32::consts::LOG2_E / (head_size as f32).sqrt()
}

/// Softmax(Q K^T) V of every head of one sequence.
///
/// Shapes: `projections` (tokens, 3 * hidden), each row a query, scaled by [`query_scale`], a key and a
/// value; `output` (tokens, hidden); hidden = heads * head size. `scratch` is only kept to be used again.
/// Source: Vaswani et al. 2017, section 3.2.
///
/// Panics when the lengths don't agree.
pub fn attention(
    level: Level,
    projections: &[f32],
    heads: usize,
    output: &mut [f32],
    hidden: usize,
    scratch: &mut Buffer,
) {
    let shape = Shape::of(projections, heads, output, hidden);
    at_level!(level, attend(shape: Shape, projections: &[f32], output: &mut [f32], scratch: &mut Buffer));
}

#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) tokens: usize,
    pub(crate) heads: usize,
    pub(crate) hidden: usize,
}

impl Shape {
    /// Panics when the lengths don't agree.
    pub(crate) fn of(projections: &[f32], heads: usize, output: &[f32], hidden: usize) -> Self {
        assert!(heads > 0 && hidden > 0 && hidden.is_multiple_of(heads), "heads divide the hidden size");
        let tokens = output.len() / hidden;
        assert_eq!(output.len(), tokens * hidden, "whole rows");
        assert_eq!(projections.len(), 3 * output.len(), "query, key and value for each row");
        Self { tokens, heads, hidden }
    }
}

#[inline(always)]
fn attend<L: Lanes>(shape: Shape, projections: &[f32], output: &mut [f32], scratch: &mut Buffer) {
    let Shape { tokens, heads, hidden } = shape;
    let width = panel_width::<L>();
    let size = hidden / heads;
    let (score_stride, padded_size) = (tokens.next_multiple_of(width), size.next_multiple_of(width));
    let lengths = [score_stride * size, padded_size * tokens, L::TILE_ROWS * score_stride, L::TILE_ROWS * width];
    let scratch = scratch.resize(lengths.iter().sum());
    let (keys, rest) = scratch.split_at_mut(lengths[0]);
    let (values, rest) = rest.split_at_mut(lengths[1]);
    let (scores, mixed) = rest.split_at_mut(lengths[2]);
    for head in 0..heads {
        let first = head * size;
        pack_keys::<L>(shape, &projections[hidden + first..], size, keys);
        pack_values::<L>(shape, &projections[2 * hidden + first..], size, values);
        for (row, count) in even_tiles(tokens, L::TILE_ROWS) {
            // `attention` has checked that projections and output have all rows and columns; the
            // parts of the scratch are as long as a tile of TILE_ROWS needs.
            unsafe {
                let queries = (projections.as_ptr().add(row * 3 * hidden + first), 3 * hidden);
                for (panel, keys) in keys.chunks_exact(width * size).enumerate() {
                    let to = scores.as_mut_ptr().add(panel * width);
                    tile::<L>(count, queries, keys.as_ptr(), size, (to, score_stride), false);
                }
                let mut shares = [0.0; crate::tile::MOST_ROWS];
                for (line, share) in shares.iter_mut().enumerate().take(count) {
                    *share = 1.0 / softmax_numerators::<L>(scores.as_mut_ptr().add(line * score_stride), tokens);
                }
                for (panel, values) in values.chunks_exact(width * tokens).enumerate() {
                    let weights = (scores.as_ptr(), score_stride);
                    tile::<L>(count, weights, values.as_ptr(), tokens, (mixed.as_mut_ptr(), width), false);
                    let columns = width.min(size - panel * width);
                    let to = output.as_mut_ptr().add(row * hidden + first + panel * width);
                    store_scaled::<L>(mixed.as_ptr(), &shares[..count], columns, (to, hidden));
                }
            }
        }
    }
}

/// Keys side by side: panel after panel, each (head size, panel width); beyond the last key, zeros.
#[inline(always)]
fn pack_keys<L: Lanes>(shape: Shape, from: &[f32], size: usize, panels: &mut [f32]) {
    let width = panel_width::<L>();
    for (panel, to) in panels.chunks_exact_mut(width * size).enumerate() {
        let first = panel * width;
        let count = width.min(shape.tokens - first);
        for key in 0..width {
            if key < count {
                let row = &from[(first + key) * 3 * shape.hidden..][..size];
                for (depth, value) in row.iter().enumerate() {
                    to[depth * width + key] = *value;
                }
            } else {
                to.iter_mut().skip(key).step_by(width).for_each(|value| *value = 0.0);
            }
        }
    }
}

/// Values one below the other: panel after panel, each (tokens, panel width).
#[inline(always)]
fn pack_values<L: Lanes>(shape: Shape, from: &[f32], size: usize, panels: &mut [f32]) {
    let width = panel_width::<L>();
    for (panel, to) in panels.chunks_exact_mut(width * shape.tokens).enumerate() {
        let first = panel * width;
        let count = width.min(size - first);
        for (token, line) in to.chunks_exact_mut(width).enumerate() {
            line[..count].copy_from_slice(&from[token * 3 * shape.hidden + first..][..count]);
            line[count..].fill(0.0);
        }
    }
}

/// Replaces each score by 2^(score - greatest), and returns their sum.
///
/// # Safety
/// `scores` has `count` values, at least one.
#[inline(always)]
unsafe fn softmax_numerators<L: Lanes>(scores: *mut f32, count: usize) -> f32 {
    let whole = count - count % L::WIDTH;
    unsafe {
        let mut greatest = f32::NEG_INFINITY;
        if whole > 0 {
            // The last register overlaps the one before: a maximum may count a value twice.
            let mut most = L::load(scores.add(count - L::WIDTH));
            for at in (0..whole).step_by(L::WIDTH) {
                most = most.max(L::load(scores.add(at)));
            }
            greatest = most.maximum();
        } else {
            for at in 0..count {
                greatest = greatest.max(*scores.add(at));
            }
        }
        let mut sum = L::splat(0.0);
        for at in (0..whole).step_by(L::WIDTH) {
            let numerator = exp2(L::load(scores.add(at)).sub(L::splat(greatest)));
            numerator.store(scores.add(at));
            sum = sum.add(numerator);
        }
        if whole < count {
            let (at, rest) = (scores.add(whole), count - whole);
            exp2(L::load_part(at, rest).sub(L::splat(greatest))).store_part(at, rest);
            // Loaded again, the lanes beyond the end are zero.
            sum = sum.add(L::load_part(at, rest));
        }
        sum.sum()
    }
}

/// # Safety
/// `from` has a row of a panel's width for each share, `to` takes as many rows of `columns` values.
#[inline(always)]
unsafe fn store_scaled<L: Lanes>(from: *const f32, shares: &[f32], columns: usize, (to, stride): (*mut f32, usize)) {
    for (row, share) in shares.iter().enumerate() {
        for half in 0..2 {
            let offset = half * L::WIDTH;
            let count = L::WIDTH.min(columns.saturating_sub(offset));
            unsafe {
                let value = L::load(from.add(row * panel_width::<L>() + offset)).mul(L::splat(*share));
                let to = to.add(row * stride + offset);
                // A masked store takes some processors many times as long.
                if count == L::WIDTH { value.store(to) } else { value.store_part(to, count) }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In double precision, one query and one key after the other.
    pub(crate) fn plain(projections: &[f32], heads: usize, hidden: usize) -> Vec<f64> {
        let (size, tokens) = (hidden / heads, projections.len() / 3 / hidden);
        let at =
            |token: usize, part: usize, column: usize| f64::from(projections[(token * 3 + part) * hidden + column]);
        let mut output = vec![0.0; tokens * hidden];
        for (head, query) in (0..heads).flat_map(|head| (0..tokens).map(move |query| (head, query))) {
            let columns = head * size..(head + 1) * size;
            let score = |key| columns.clone().map(|column| at(query, 0, column) * at(key, 1, column)).sum::<f64>();
            let weights: Vec<f64> = (0..tokens).map(|key| score(key).exp2()).collect();
            let total: f64 = weights.iter().sum();
            for column in columns.clone() {
                let mixed: f64 = weights.iter().enumerate().map(|(key, weight)| weight * at(key, 2, column)).sum();
                output[query * hidden + column] = mixed / total;
            }
        }
        output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_level_attends_as_the_plain_loop_does(
            tokens in 1_usize..70, heads in 1_usize..4, size in 1_usize..70, seed: u64,
        ) {
            let hidden = heads * size;
            let mut rng = fastrand::Rng::with_seed(seed);
            let projections: Vec<f32> = (0..tokens * 3 * hidden).map(|_| rng.f32() * 2.0 - 1.0).collect();
            let expected = plain(&projections, heads, hidden);
            let mut scratch = Buffer::default();
            for level in Level::available() {
                // What was left in the scratch must not matter.
                scratch.resize(100_000).fill(f32::NAN);
                let mut output = vec![9.0; tokens * hidden];
                attention(level, &projections, heads, &mut output, hidden, &mut scratch);
                for (one, other) in output.iter().zip(&expected) {
                    prop_assert!((f64::from(*one) - other).abs() < 1e-5, "{:?} {} {}", level, one, other);
                }
            }
        }
    }

    #[test]
    fn great_scores_of_either_sign_do_not_overflow() {
        for sign in [1.0, -1.0] {
            for level in Level::available() {
                let projections: Vec<f32> = (0..20).flat_map(|n| [100.0 * sign, 50.0, n as f32]).collect();
                let mut output = vec![0.0; 20];
                attention(level, &projections, 1, &mut output, 1, &mut Buffer::default());
                assert!(output.iter().all(|value| (value - 9.5).abs() < 1e-4), "{level:?} {output:?}");
            }
        }
    }

    /// One head of one column: the last of 33 keys is where all queries look, the value of each its number.
    pub(crate) fn one_far_from_all_others() -> Vec<f32> {
        (0..33).flat_map(|n| [1.0, if n == 32 { 500.0 } else { -500.0 }, n as f32]).collect()
    }

    #[test]
    fn a_token_far_from_all_others_still_attends_to_itself() {
        for level in Level::available() {
            let mut output = vec![0.0; 33];
            attention(level, &one_far_from_all_others(), 1, &mut output, 1, &mut Buffer::default());
            assert!(output.iter().all(|value| (value - 32.0).abs() < 1e-4), "{level:?} {output:?}");
        }
    }
}
