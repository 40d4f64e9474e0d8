//! Self-attention with its two products in bfloat16 (`vdpbf16ps`), sums in `f32`: the same steps as
//! [`attention`](crate::attention), at half the cost.
//!
//! Numbers go in pairs, two along the depth in one word, as the instruction takes them.

use std::arch::x86_64::*;

use crate::attention::Shape;
use crate::buffer::Buffer;
use crate::lanes_x86::first_lanes;
use crate::tile::{Lines, even_tiles};

/// Lanes of a register, and of half a panel.
const WIDTH: usize = 16;
const COLUMNS: usize = 2 * WIDTH;
const ROWS: usize = 12;

/// As [`attention`](crate::attention::attention), which has checked the lengths.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(crate) fn attend(shape: Shape, projections: &[f32], output: &mut [f32], scratch: &mut Buffer) {
    let Shape { tokens, heads, hidden } = shape;
    let size = hidden / heads;
    let (size_pairs, token_pairs) = (size.div_ceil(2), tokens.div_ceil(2));
    // Words of 32 bits all, as many as floats. Whole registers are written, so each part is rounded up to some.
    let score_stride = tokens.next_multiple_of(COLUMNS);
    let word_rows = size_pairs.next_multiple_of(WIDTH);
    let panel_words = word_rows * COLUMNS;
    let lengths = [
        score_stride / COLUMNS * panel_words,
        size.div_ceil(COLUMNS) * token_pairs * COLUMNS,
        ROWS * score_stride,
        ROWS * score_stride / 2,
        ROWS * word_rows,
        ROWS * COLUMNS,
    ];
    let mut rest = scratch.resize(lengths.iter().sum());
    let [keys, values, scores, weights, queries, mixed] = lengths.map(|length| {
        let (part, others) = std::mem::take(&mut rest).split_at_mut(length);
        rest = others;
        part
    });
    for head in 0..heads {
        let first = head * size;
        // Each part has the length that its rows and columns need, as computed above; rows and columns of
        // projections and output are within what `attention` has checked.
        unsafe {
            let at = |part: usize| projections.as_ptr().add(part * hidden + first);
            pack_keys((at(1), 3 * hidden), (tokens, size), word_rows, keys.as_mut_ptr());
            pack_values((at(2), 3 * hidden), (tokens, size), values.as_mut_ptr());
            for (row, count) in even_tiles(tokens, ROWS) {
                for line in 0..count {
                    let query = at(0).add((row + line) * 3 * hidden);
                    pack_row(query, size, queries.as_mut_ptr().add(line * word_rows));
                }
                for (panel, keys) in keys.chunks_exact(panel_words).enumerate() {
                    let to = scores.as_mut_ptr().add(panel * COLUMNS);
                    tile(count, (queries.as_ptr(), word_rows), keys.as_ptr(), size_pairs, (to, score_stride));
                }
                let mut shares = [0.0; ROWS];
                for (line, share) in shares.iter_mut().enumerate().take(count) {
                    let scores = scores.as_ptr().add(line * score_stride);
                    *share = 1.0 / soften(scores, tokens, weights.as_mut_ptr().add(line * score_stride / 2));
                }
                for (panel, values) in values.chunks_exact(token_pairs * COLUMNS).enumerate() {
                    let weights = (weights.as_ptr(), score_stride / 2);
                    tile(count, weights, values.as_ptr(), token_pairs, (mixed.as_mut_ptr(), COLUMNS));
                    let to = output.as_mut_ptr().add(row * hidden + first + panel * COLUMNS);
                    store_scaled(mixed.as_ptr(), &shares[..count], size - panel * COLUMNS, (to, hidden));
                }
            }
        }
    }
}

/// The `count` values from `from` on, at most 32, as 16 pairs; those missing are zero.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn pairs(from: *const f32, count: usize) -> __m512i {
    // Masked to the values there are; the second address is formed, not read, where there is none.
    unsafe {
        let low = _mm512_maskz_loadu_ps(first_lanes(count), from);
        let high = _mm512_maskz_loadu_ps(first_lanes(count.saturating_sub(WIDTH)), from.wrapping_add(WIDTH));
        words(_mm512_cvtne2ps_pbh(high, low))
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn words(pairs: __m512bh) -> __m512i {
    // Two names of 512 bits.
    unsafe { std::mem::transmute(pairs) }
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn halves(words: __m512i) -> __m512bh {
    // Two names of 512 bits.
    unsafe { std::mem::transmute(words) }
}

/// # Safety
/// `from` has `size` values; `to` takes `size` / 2 words, rounded up to whole registers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn pack_row(from: *const f32, size: usize, to: *mut f32) {
    for at in (0..size).step_by(COLUMNS) {
        unsafe { _mm512_storeu_si512(to.add(at / 2).cast(), pairs(from.add(at), size - at)) }
    }
}

/// Keys side by side: panel after panel, each (pairs of the head's size, 32); beyond the last key, zeros.
///
/// # Safety
/// `from` has `tokens` rows of `size` values, `stride` apart; `to` takes panels of `word_rows` rows for all tokens.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn pack_keys(
    (from, stride): (*const f32, usize),
    (tokens, size): (usize, usize),
    word_rows: usize,
    to: *mut f32,
) {
    for first in (0..tokens.next_multiple_of(COLUMNS)).step_by(WIDTH) {
        let columns = unsafe { to.add(first / COLUMNS * word_rows * COLUMNS + first % COLUMNS) };
        for at in (0..size).step_by(COLUMNS) {
            let mut square = [_mm512_setzero_si512(); WIDTH];
            for (line, row) in square.iter_mut().enumerate().take(tokens.saturating_sub(first)) {
                *row = unsafe { pairs(from.add((first + line) * stride + at), size - at) };
            }
            transpose(&mut square);
            for (line, row) in square.into_iter().enumerate() {
                unsafe { _mm512_storeu_si512(columns.add((at / 2 + line) * COLUMNS).cast(), row) }
            }
        }
    }
}

/// Sixteen registers of sixteen words: rows become columns.
///
/// Each step exchanges one bit of the row's number with the same bit of the lane's.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn transpose(square: &mut [__m512i; WIDTH]) {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for bit in [1, 2, 4, 8] {
        let distance = _mm512_set1_epi32(bit);
        let odd = _mm512_test_epi32_mask(lanes, distance);
        // Lanes of the second register count from 16 on.
        let upper = _mm512_mask_add_epi32(lanes, odd, _mm512_sub_epi32(lanes, distance), _mm512_set1_epi32(16));
        let lower = _mm512_mask_add_epi32(_mm512_add_epi32(lanes, distance), odd, lanes, _mm512_set1_epi32(16));
        for row in 0..WIDTH {
            let other = row | bit as usize;
            if other != row {
                let (one, two) = (square[row], square[other]);
                square[row] = _mm512_permutex2var_epi32(one, upper, two);
                square[other] = _mm512_permutex2var_epi32(one, lower, two);
            }
        }
    }
}

/// Values one below the other: panel after panel, each (pairs of tokens, 32); beyond the last token, zeros.
///
/// # Safety
/// `from` has `tokens` rows of `size` values, `stride` apart; `to` takes all panels.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn pack_values((from, stride): (*const f32, usize), (tokens, size): (usize, usize), mut to: *mut f32) {
    // From 16 values of one token, then 16 of the next, to pairs of both.
    let interleave = _mm512_setr_epi32(
        0x0010_0000,
        0x0011_0001,
        0x0012_0002,
        0x0013_0003,
        0x0014_0004,
        0x0015_0005,
        0x0016_0006,
        0x0017_0007,
        0x0018_0008,
        0x0019_0009,
        0x001a_000a,
        0x001b_000b,
        0x001c_000c,
        0x001d_000d,
        0x001e_000e,
        0x001f_000f,
    );
    for first in (0..size).step_by(COLUMNS) {
        for token in (0..tokens).step_by(2) {
            for at in [first, first + WIDTH] {
                let lanes = first_lanes(size.saturating_sub(at));
                let second = if token + 1 < tokens { lanes } else { 0 };
                unsafe {
                    let one = _mm512_maskz_loadu_ps(lanes, from.wrapping_add(token * stride + at));
                    let two = _mm512_maskz_loadu_ps(second, from.wrapping_add((token + 1) * stride + at));
                    let both = words(_mm512_cvtne2ps_pbh(two, one));
                    _mm512_storeu_si512(to.cast(), _mm512_permutexvar_epi16(interleave, both));
                    to = to.add(WIDTH);
                }
            }
        }
    }
}

/// Writes 2^(score - greatest) as pairs, zeros beyond the last, and returns their sum.
///
/// # Safety
/// `scores` has `count` values, at least one; `to` takes half as many words, rounded up to whole registers.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn soften(scores: *const f32, count: usize, to: *mut f32) -> f32 {
    let mut greatest = _mm512_set1_ps(f32::NEG_INFINITY);
    for at in (0..count).step_by(WIDTH) {
        let lanes = first_lanes(count - at);
        greatest =
            unsafe { _mm512_mask_max_ps(greatest, lanes, greatest, _mm512_maskz_loadu_ps(lanes, scores.add(at))) };
    }
    let greatest = _mm512_set1_ps(_mm512_reduce_max_ps(greatest));
    let mut sum = _mm512_setzero_ps();
    for at in (0..count).step_by(COLUMNS) {
        unsafe {
            let low = powers(scores.add(at), count - at, greatest);
            let high = powers(scores.wrapping_add(at + WIDTH), (count - at).saturating_sub(WIDTH), greatest);
            sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
            _mm512_storeu_si512(to.add(at / 2).cast(), words(_mm512_cvtne2ps_pbh(high, low)));
        }
    }
    _mm512_reduce_add_ps(sum)
}

/// 2^(score - greatest) of `count` scores, of at most 16 here, to within 5e-5: bfloat16 keeps 4e-3.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn powers(scores: *const f32, count: usize, greatest: __m512) -> __m512 {
    let lanes = first_lanes(count);
    let x = _mm512_sub_ps(unsafe { _mm512_maskz_loadu_ps(lanes, scores) }, greatest);
    let x = _mm512_max_ps(x, _mm512_set1_ps(-126.0));
    let whole = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let part = _mm512_sub_ps(x, whole);
    // The series of 2^part: (ln 2)^n / n!.
    let mut sum = _mm512_set1_ps(9.618_129e-3);
    for coefficient in [5.550_411e-2, 0.240_226_5, std::f32::consts::LN_2, 1.0] {
        sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(coefficient));
    }
    _mm512_maskz_scalef_ps(lanes, sum, whole)
}

/// # Safety
/// 1 to 12 `rows`, `from_stride` words apart; `panel` has `pairs` rows of 32 words; `to` takes `rows` rows of 32.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn tile(rows: usize, from: (*const f32, usize), panel: *const f32, pairs: usize, to: (*mut f32, usize)) {
    macro_rules! by_rows {
        ($($count:literal)*) => {
            match rows {
                $($count => unsafe { tile_of::<$count>(from, panel, pairs, to) },)*
                _ => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12)
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn tile_of<const COUNT: usize>(
    (from, from_stride): (*const f32, usize),
    panel: *const f32,
    pairs: usize,
    (to, to_stride): (*mut f32, usize),
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; COUNT];
    let mut lines = Lines::new(from, from_stride);
    let mut at = panel;
    for _ in 0..pairs {
        let right = unsafe {
            [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(WIDTH).cast())].map(|words| halves(words))
        };
        for (row, sums) in sums.iter_mut().enumerate() {
            let left = unsafe { lines.row(row).cast::<i32>().read() };
            let left = halves(_mm512_set1_epi32(left));
            sums[0] = _mm512_dpbf16_ps(sums[0], left, right[0]);
            sums[1] = _mm512_dpbf16_ps(sums[1], left, right[1]);
        }
        lines.advance(1);
        at = at.wrapping_add(COLUMNS);
    }
    for (row, sums) in sums.into_iter().enumerate() {
        unsafe {
            let at = to.add(row * to_stride);
            _mm512_storeu_ps(at, sums[0]);
            _mm512_storeu_ps(at.add(WIDTH), sums[1]);
        }
    }
}

/// # Safety
/// `from` has a row of 32 for each share, `to` takes as many rows of `columns` values, or of 32 if that is fewer.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn store_scaled(from: *const f32, shares: &[f32], columns: usize, (to, stride): (*mut f32, usize)) {
    for (row, share) in shares.iter().enumerate() {
        for offset in [0, WIDTH] {
            let lanes = first_lanes(columns.saturating_sub(offset));
            unsafe {
                let value = _mm512_mul_ps(_mm512_loadu_ps(from.add(row * COLUMNS + offset)), _mm512_set1_ps(*share));
                _mm512_mask_storeu_ps(to.wrapping_add(row * stride + offset), lanes, value);
            }
        }
    }
}
