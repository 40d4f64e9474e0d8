//! Queries, keys and values of one head, from rows of `f32` to bytes.

use std::arch::x86_64::*;

use super::x86::{MIDDLE, NO_KEY, Packed};
use crate::bytes::{COLUMNS, DEPTH_STEP};
use crate::lanes_x86::first_lanes;

/// Columns of a register.
const LANES: usize = 16;

/// The part of each token's row that is one head's.
#[derive(Clone, Copy)]
pub(super) struct HeadRows<'a> {
    pub(super) from: &'a [f32],
    /// Between the rows of two tokens.
    pub(super) stride: usize,
    pub(super) tokens: usize,
    pub(super) size: usize,
}

impl HeadRows<'_> {
    /// What `token` has in the columns from `column` on, as far as the head goes.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    fn part(&self, token: usize, column: usize) -> __m512 {
        let start = token * self.stride;
        debug_assert!(start + self.size <= self.from.len());
        // Masked to the head's columns.
        unsafe { _mm512_maskz_loadu_ps(self.lanes(column), self.from.as_ptr().wrapping_add(start + column)) }
    }

    #[inline]
    fn lanes(&self, column: usize) -> __mmask16 {
        first_lanes(self.size.saturating_sub(column))
    }

    fn columns(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.size).step_by(LANES)
    }
}

impl Packed {
    /// Each with a scale of its own, of which `units` remember what a product with a key's number is worth.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn pack_queries(&mut self, rows: HeadRows, key_unit: f32) {
        let depth = rows.size.next_multiple_of(DEPTH_STEP);
        let queries = self.queries.chunks_exact_mut(depth).zip(&mut self.units);
        for (token, (query, unit)) in queries.enumerate() {
            let mut most = _mm512_setzero_ps();
            for column in rows.columns() {
                most = _mm512_max_ps(most, _mm512_abs_ps(rows.part(token, column)));
            }
            let most = _mm512_reduce_max_ps(most);
            *unit = most / 127.0 * key_unit;
            let (inverse, middle) = (_mm512_set1_ps(inverse(most)), _mm512_set1_ps(MIDDLE as f32));
            for column in rows.columns() {
                let bytes = narrow(_mm512_fmadd_ps(rows.part(token, column), inverse, middle));
                // A masked store takes some processors many times as long.
                match query[column..].first_chunk_mut::<LANES>() {
                    Some(to) => unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), bytes) },
                    None => {
                        let to = &mut query[column..];
                        unsafe { _mm_mask_storeu_epi8(to.as_mut_ptr().cast(), first_lanes(to.len()), bytes) }
                    }
                }
            }
        }
    }

    /// All with one scale, which is returned, and less their mean: that takes as much from every score of a query, of
    /// which the softmax knows nothing.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn pack_keys(&mut self, rows: HeadRows) -> f32 {
        let mut most = _mm512_setzero_ps();
        for column in rows.columns() {
            let mut sum = _mm512_setzero_ps();
            for token in 0..rows.tokens {
                sum = _mm512_add_ps(sum, rows.part(token, column));
            }
            let mean = _mm512_mul_ps(sum, _mm512_set1_ps(1.0 / rows.tokens as f32));
            // As many lanes as a row of means has, padded.
            unsafe { _mm512_storeu_ps(self.means.as_mut_ptr().add(column), mean) };
            for token in 0..rows.tokens {
                most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_sub_ps(rows.part(token, column), mean)));
            }
        }
        let most = _mm512_reduce_max_ps(most);
        self.starts.fill(NO_KEY);
        for token in 0..rows.tokens {
            self.starts[token] = -MIDDLE * self.pack_key(rows, token, inverse(most));
        }
        most / 127.0
    }

    /// Returns the sum of the key's numbers.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    fn pack_key(&mut self, rows: HeadRows, token: usize, inverse: f32) -> i32 {
        const STEP: usize = COLUMNS * DEPTH_STEP;
        let steps = rows.size.div_ceil(DEPTH_STEP);
        let panel = &mut self.keys[token / COLUMNS * STEP * steps..][..STEP * steps];
        let mut sum = _mm512_setzero_si512();
        for column in rows.columns() {
            let mean = unsafe { _mm512_loadu_ps(self.means.as_ptr().add(column)) };
            let centred = _mm512_maskz_sub_ps(rows.lanes(column), rows.part(token, column), mean);
            let whole = _mm512_cvtps_epi32(_mm512_mul_ps(centred, _mm512_set1_ps(inverse)));
            sum = _mm512_add_epi32(sum, whole);
            let mut fours = [[0_i8; DEPTH_STEP]; LANES / DEPTH_STEP];
            unsafe { _mm_storeu_si128(fours.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(whole)) };
            let steps = panel[column / DEPTH_STEP * STEP..].chunks_exact_mut(STEP);
            for (four, step) in fours.into_iter().zip(steps) {
                step[token % COLUMNS * DEPTH_STEP..][..DEPTH_STEP].copy_from_slice(&four);
            }
        }
        _mm512_reduce_add_epi32(sum)
    }

    /// Each column with a scale of its own.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn pack_values(&mut self, rows: HeadRows) {
        let depth = rows.tokens.next_multiple_of(DEPTH_STEP);
        for column in (0..rows.size.next_multiple_of(COLUMNS)).step_by(LANES) {
            let mut most = _mm512_set1_ps(f32::MIN_POSITIVE);
            for token in 0..rows.tokens {
                most = _mm512_max_ps(most, _mm512_abs_ps(rows.part(token, column)));
            }
            // As many lanes as there are columns, padded.
            unsafe {
                let unit = _mm512_mul_ps(most, _mm512_set1_ps(1.0 / 127.0));
                _mm512_storeu_ps(self.columns.as_mut_ptr().add(column), unit);
            }
            let inverse = _mm512_div_ps(_mm512_set1_ps(127.0), most);
            let whole = |token: usize| {
                let value = if token < rows.tokens { rows.part(token, column) } else { _mm512_setzero_ps() };
                _mm512_cvtps_epi32(_mm512_mul_ps(value, inverse))
            };
            let byte = |token: usize| _mm512_and_si512(whole(token), _mm512_set1_epi32(0xff));
            let panel = &mut self.values[column / COLUMNS * COLUMNS * depth..][..COLUMNS * depth];
            for (step, to) in panel.chunks_exact_mut(COLUMNS * DEPTH_STEP).enumerate() {
                let token = step * DEPTH_STEP;
                let low = _mm512_or_si512(byte(token), _mm512_slli_epi32::<8>(byte(token + 1)));
                let third = _mm512_slli_epi32::<16>(byte(token + 2));
                let high = _mm512_or_si512(third, _mm512_slli_epi32::<24>(whole(token + 3)));
                // Half of a step of 32 columns.
                let to = &mut to[column % COLUMNS * DEPTH_STEP..][..LANES * DEPTH_STEP];
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_or_si512(low, high)) };
            }
        }
    }
}

/// How many units a number from `-most` to `most` has, of 127.
#[inline]
fn inverse(most: f32) -> f32 {
    if most > 0.0 { 127.0 / most } else { 0.0 }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn narrow(values: __m512) -> __m128i {
    _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(values))
}
