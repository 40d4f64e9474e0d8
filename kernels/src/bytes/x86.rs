//! The forms for x86-64. Each must only be called where the processor has what its attribute names.

use std::arch::x86_64::*;
use std::hint::black_box;

use super::*;
use crate::lanes_x86::{Avx2, Avx512};
use crate::tile::{Lines, by_rows, even_tiles, fetch_ahead};

/// Rows that are taken through all panels together.
const BLOCK_ROWS: usize = 96;
/// Rows of a tile.
pub(crate) const VNNI_ROWS: usize = 12;
const AVX2_ROWS: usize = 4;
/// Columns of a tile.
const AVX2_COLUMNS: usize = 16;

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn quantize_avx512(bits: Bits, input: &[f32], width: usize, values: &mut [u8], ranges: &mut [(f32, f32)]) {
    let rows = input.chunks_exact(width).zip(values.chunks_exact_mut(depth_of(width)));
    for ((row, bytes), known) in rows.zip(ranges) {
        let (least, greatest) = extremes(row);
        let (scale, inverse, least) = range(bits, least, greatest);
        *known = (scale, least);
        let (whole, rest) = row.as_chunks::<64>();
        let (whole_bytes, rest_bytes) = bytes.as_chunks_mut::<64>();
        for (values, bytes) in whole.iter().zip(whole_bytes) {
            // 64 of each.
            unsafe { quantize_64(values.as_ptr(), least, inverse, bytes.as_mut_ptr()) };
        }
        quantize_part(rest, least, inverse, rest_bytes);
        bytes[width..].fill(0);
    }
}

/// The least and the greatest value.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn extremes(row: &[f32]) -> (f32, f32) {
    let (whole, rest) = row.as_chunks::<64>();
    // Several of each, as one waits for the one before.
    let (mut least, mut greatest) = ([_mm512_set1_ps(f32::INFINITY); 4], [_mm512_set1_ps(f32::NEG_INFINITY); 4]);
    for values in whole {
        for (part, (least, greatest)) in least.iter_mut().zip(&mut greatest).enumerate() {
            // Within the 64.
            let value = unsafe { _mm512_loadu_ps(values.as_ptr().add(16 * part)) };
            (*least, *greatest) = (_mm512_min_ps(*least, value), _mm512_max_ps(*greatest, value));
        }
    }
    let least = _mm512_min_ps(_mm512_min_ps(least[0], least[1]), _mm512_min_ps(least[2], least[3]));
    let greatest = _mm512_max_ps(_mm512_max_ps(greatest[0], greatest[1]), _mm512_max_ps(greatest[2], greatest[3]));
    let (mut least, mut greatest) = (_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(greatest));
    for value in rest {
        (least, greatest) = (least.min(*value), greatest.max(*value));
    }
    (least, greatest)
}

/// # Safety
/// 64 values are at `from`, and room for as many bytes at `to`.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn quantize_64(from: *const f32, least: f32, inverse: f32, to: *mut u8) {
    let (offset, inverse) = (_mm512_set1_ps(-least * inverse), _mm512_set1_ps(inverse));
    let whole = |part: usize| {
        let value = unsafe { _mm512_loadu_ps(from.add(16 * part)) };
        _mm512_cvtps_epi32(_mm512_fmadd_ps(value, inverse, offset))
    };
    let (low, high) = (_mm512_packs_epi32(whole(0), whole(1)), _mm512_packs_epi32(whole(2), whole(3)));
    // Packing goes by quarters of a register: the fours of bytes are put in order again.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
    unsafe { _mm512_storeu_si512(to.cast(), bytes) };
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
                    let (weights, to) = (weights.as_ptr(), sums.as_mut_ptr());
                    by_rows!(count, VNNI_ROWS, COUNT => tile_vnni::<COUNT>(from, depth, weights, to));
                    let (sums, output) = ((sums.as_ptr(), COLUMNS), output.as_mut_ptr());
                    let column = panel * COLUMNS;
                    finish_bytes::<Avx512>(layer, input, (row, count), column, sums, output, finish);
                }
            }
        }
    }
}

/// Stores the sums of a tile.
///
/// # Safety
/// `from` has `COUNT` rows, one after the other, of `depth` bytes; `panel` `depth` rows of 32; `sums` takes `COUNT` of 32.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn tile_vnni<const COUNT: usize>(from: *const u8, depth: usize, panel: *const i8, to: *mut i32) {
    let sums = unsafe { products::<COUNT>((from, depth), depth, panel, [_mm512_setzero_si512(); 2]) };
    for (row, sums) in sums.into_iter().enumerate() {
        unsafe {
            let at = to.add(row * COLUMNS);
            _mm512_storeu_si512(at.cast(), sums[0]);
            _mm512_storeu_si512(at.add(16).cast(), sums[1]);
        }
    }
}

/// The sums of a tile, which begin with `starts` in each row.
///
/// # Safety
/// `from` has `COUNT` rows of `depth` bytes, a stride apart; `panel` `depth` rows of 32.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) unsafe fn products<const COUNT: usize>(
    (from, stride): (*const u8, usize),
    depth: usize,
    panel: *const i8,
    starts: [__m512i; 2],
) -> [[__m512i; 2]; COUNT] {
    let mut sums = [starts; COUNT];
    let mut lines = Lines::new(from, stride);
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
    sums
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
                    let (weights, to) = (weights.as_ptr(), sums.as_mut_ptr());
                    by_rows!(count, AVX2_ROWS, COUNT => tile_avx2::<COUNT>(from, depth, weights, to));
                    let (sums, output) = ((sums.as_ptr(), AVX2_COLUMNS), output.as_mut_ptr());
                    finish_bytes::<Avx2>(layer, input, (row, count), column, sums, output, finish);
                }
            }
        }
    }
}

/// # Safety
/// `from` has `COUNT` rows, one after the other, of `depth` bytes; `panel` as many rows of 32, of which the first 16 are
/// taken; `sums` takes `COUNT` of 16.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_avx2<const COUNT: usize>(from: *const u8, depth: usize, panel: *const i8, to: *mut i32) {
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
