//! The forms for x86-64. Each must only be called where the processor has what its attribute names.

use std::arch::x86_64::*;

use super::{AHEAD, Line, prefetch, row_of};

#[target_feature(enable = "avx512f")]
pub fn dot_avx512(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (mut first, mut second) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let mut at = 0;
    // SAFETY: every full load ends at or before `length`, and the masked ones touch what lies before it only.
    unsafe {
        while at + 32 <= length {
            first = _mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr().add(at)), _mm512_loadu_ps(b.as_ptr().add(at)), first);
            let next = at + 16;
            second =
                _mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr().add(next)), _mm512_loadu_ps(b.as_ptr().add(next)), second);
            at += 32;
        }
        while at < length {
            let mask: __mmask16 = if length - at >= 16 { !0 } else { (1 << (length - at)) - 1 };
            let x = _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at));
            let y = _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at));
            first = _mm512_fmadd_ps(x, y, first);
            at += 16;
        }
    }
    _mm512_reduce_add_ps(_mm512_add_ps(first, second))
}

#[target_feature(enable = "avx2,fma")]
pub fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let mut sums = [_mm256_setzero_ps(); 4];
    let mut at = 0;
    // SAFETY: every load ends at or before `length`.
    unsafe {
        while at + 32 <= length {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let offset = at + lane * 8;
                let x = _mm256_loadu_ps(a.as_ptr().add(offset));
                *sum = _mm256_fmadd_ps(x, _mm256_loadu_ps(b.as_ptr().add(offset)), *sum);
            }
            at += 32;
        }
    }
    let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    let mut lanes = [0.0_f32; 8];
    // SAFETY: `lanes` holds the eight that are stored.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
    let rest: f32 = a[at..length].iter().zip(&b[at..length]).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Calls the product for each position, with memory asked for ahead. A macro, as a closure has no vector instructions.
macro_rules! for_each_row {
    ($query:expr, $lines:expr, $positions:expr, $sums:expr, $product:ident) => {
        let width = $query.len();
        for (index, (sum, position)) in $sums.iter_mut().zip($positions).enumerate() {
            if let Some(ahead) = $positions.get(index + AHEAD).and_then(|next| row_of($lines, width, *next)) {
                prefetch(ahead);
            }
            *sum = match row_of($lines, width, *position) {
                Some(row) => $product(row, $query),
                None => i32::MIN,
            };
        }
    };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn byte_dots_vnni(query: &[Line], lines: &[Line], positions: &[u32], sums: &mut [i32]) {
    for_each_row!(query, lines, positions, sums, byte_dot_vnni);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub fn byte_dots_avx512(query: &[Line], lines: &[Line], positions: &[u32], sums: &mut [i32]) {
    for_each_row!(query, lines, positions, sums, byte_dot_avx512);
}

#[target_feature(enable = "avx2,fma")]
pub fn byte_dots_avx2(query: &[Line], lines: &[Line], positions: &[u32], sums: &mut [i32]) {
    for_each_row!(query, lines, positions, sums, byte_dot_avx2);
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn byte_dot_vnni(row: &[Line], query: &[Line]) -> i32 {
    let (mut even, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let (row_pairs, row_rest) = row.as_chunks::<2>();
    let (query_pairs, query_rest) = query.as_chunks::<2>();
    for (x, y) in row_pairs.iter().zip(query_pairs) {
        even = _mm512_dpbusd_epi32(even, load(&x[0]), load(&y[0]));
        odd = _mm512_dpbusd_epi32(odd, load(&x[1]), load(&y[1]));
    }
    for (x, y) in row_rest.iter().zip(query_rest) {
        even = _mm512_dpbusd_epi32(even, load(x), load(y));
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn byte_dot_avx512(row: &[Line], query: &[Line]) -> i32 {
    let mut sum = _mm512_setzero_si512();
    for (x, y) in row.iter().zip(query) {
        let (x, y) = (load(x), load(y));
        let low = _mm512_madd_epi16(
            _mm512_cvtepu8_epi16(_mm512_castsi512_si256(x)),
            _mm512_cvtepi8_epi16(_mm512_castsi512_si256(y)),
        );
        let high = _mm512_madd_epi16(
            _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(x)),
            _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64::<1>(y)),
        );
        sum = _mm512_add_epi32(sum, _mm512_add_epi32(low, high));
    }
    _mm512_reduce_add_epi32(sum)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn byte_dot_avx2(row: &[Line], query: &[Line]) -> i32 {
    let mut sums = [_mm256_setzero_si256(); 2];
    for (x, y) in row.iter().zip(query) {
        for (half, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both halves of a line are within it, and aligned to their size.
            let (x, y) = unsafe {
                let at = 32 * half;
                (_mm256_load_si256(x.0.as_ptr().add(at).cast()), _mm256_load_si256(y.0.as_ptr().add(at).cast()))
            };
            // Even and odd bytes of the row as numbers of 16 bits, and of the query, with their signs.
            let low = _mm256_set1_epi16(0xff);
            let even = _mm256_madd_epi16(_mm256_and_si256(x, low), _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(y)));
            let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(x), _mm256_srai_epi16::<8>(y));
            *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(even, odd));
        }
    }
    let sum = _mm256_add_epi32(sums[0], sums[1]);
    let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let quarter = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
    _mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32::<1>(quarter)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512i {
    // SAFETY: a line is sixty-four bytes, aligned to as many.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
