//! With AVX-512 VNNI. All must only be called where the processor has what its attribute names.

use std::arch::x86_64::*;

use super::pack::HeadRows;
use crate::attention::Shape;
use crate::buffer::Buffer;
use crate::bytes::{COLUMNS, DEPTH_STEP, VNNI_ROWS, products};
use crate::lanes::Lanes;
use crate::lanes_x86::{Avx512, first_lanes};
use crate::linear::{Finish, finish_tile};
use crate::tile::{by_rows, even_tiles};

/// What stands for 0 in a query.
pub(super) const MIDDLE: i32 = 128;
/// Where the sums of keys that aren't there begin: no score is as small.
pub(super) const NO_KEY: i32 = i32::MIN / 2;

/// One head's queries, keys and values in bytes, and a tile's scores; each has room for whole tiles, panels and steps.
#[derive(Default)]
pub(super) struct Packed {
    /// (tokens, head size).
    pub(super) queries: Buffer<u8>,
    /// Per query: what a unit of its scores is worth.
    pub(super) units: Vec<f32>,
    /// Panel after panel, each (head size / 4, 32 keys, 4).
    pub(super) keys: Buffer<i8>,
    /// The mean of the keys.
    pub(super) means: Buffer,
    /// Per key: what its scores begin with, less what [`MIDDLE`] adds to them.
    pub(super) starts: Buffer<i32>,
    /// Panel after panel, each (tokens / 4, 32 columns, 4).
    pub(super) values: Buffer<i8>,
    /// Per column of the values: what a unit is worth.
    pub(super) columns: Buffer,
    /// (12, keys).
    scores: Buffer<i32>,
    /// (12, keys).
    numerators: Buffer<u8>,
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn attend(shape: Shape, projections: &[f32], output: &mut [f32], packed: &mut Packed) {
    let Shape { tokens, heads, hidden } = shape;
    let size = hidden / heads;
    packed.resize(tokens, size);
    for head in 0..heads {
        let first = head * size;
        let part = |part: usize| {
            let from = projections.get(part * hidden + first..).unwrap_or_default();
            HeadRows { from, stride: 3 * hidden, tokens, size }
        };
        let unit = packed.pack_keys(part(1));
        packed.pack_queries(part(0), unit);
        packed.pack_values(part(2));
        for (row, count) in even_tiles(tokens, VNNI_ROWS) {
            // The tile's rows are of the output, and the head's columns.
            unsafe {
                let to = output.as_mut_ptr().add(row * hidden + first);
                by_rows!(count, VNNI_ROWS, COUNT => packed.attend_tile::<COUNT>(row, tokens, size, (to, hidden)));
            }
        }
    }
}

impl Packed {
    fn resize(&mut self, tokens: usize, size: usize) {
        let (depth, keys) = (size.next_multiple_of(DEPTH_STEP), tokens.next_multiple_of(COLUMNS));
        let columns = size.next_multiple_of(COLUMNS);
        self.queries.resize(tokens * depth);
        self.units.resize(tokens, 0.0);
        self.keys.resize(keys * depth);
        self.means.resize(columns);
        self.starts.resize(keys);
        self.values.resize(tokens.next_multiple_of(DEPTH_STEP) * columns);
        self.columns.resize(columns);
        self.scores.resize(VNNI_ROWS * keys);
        self.numerators.resize(VNNI_ROWS * keys);
    }

    /// # Safety
    /// There are `COUNT` queries from `row` on; `to` takes as many rows of `size` values, a stride apart.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn attend_tile<const COUNT: usize>(
        &mut self,
        row: usize,
        tokens: usize,
        size: usize,
        to: (*mut f32, usize),
    ) {
        let greatest = unsafe { self.score::<COUNT>(row, size) };
        let shares = std::array::from_fn(|line| {
            let unit = self.units[row + line];
            1.0 / self.weigh(line, tokens, unit, _mm512_reduce_max_epi32(greatest[line]), steps(row + line)) as f32
        });
        unsafe { self.mix::<COUNT>(tokens, size, &shares, to) }
    }

    /// Fills the scores of a tile, and returns the greatest of each line.
    ///
    /// # Safety
    /// There are `COUNT` queries from `row` on.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn score<const COUNT: usize>(&mut self, row: usize, size: usize) -> [__m512i; COUNT] {
        let (depth, keys) = (size.next_multiple_of(DEPTH_STEP), self.starts.len());
        let queries = unsafe { self.queries.as_ptr().add(row * depth) };
        let mut greatest = [_mm512_set1_epi32(NO_KEY); COUNT];
        for first in (0..keys).step_by(COLUMNS) {
            unsafe {
                let starts = [0, 16].map(|half| _mm512_load_si512(self.starts.as_ptr().add(first + half).cast()));
                let panel = self.keys.as_ptr().add(first * depth);
                let sums = products::<COUNT>((queries, depth), depth, panel, starts);
                for (line, [low, high]) in sums.into_iter().enumerate() {
                    greatest[line] = _mm512_max_epi32(greatest[line], _mm512_max_epi32(low, high));
                    let to = self.scores.as_mut_ptr().add(line * keys + first);
                    _mm512_store_si512(to.cast(), low);
                    _mm512_store_si512(to.add(16).cast(), high);
                }
            }
        }
        greatest
    }

    /// Makes a line's scores numerators, and returns their sum.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    fn weigh(&mut self, line: usize, tokens: usize, unit: f32, greatest: i32, steps: __m512) -> i32 {
        let keys = self.starts.len();
        let scores = &self.scores[line * keys..][..keys];
        let numerators = &mut self.numerators[line * keys..][..keys];
        let (unit, greatest) = (_mm512_set1_ps(unit), _mm512_set1_epi32(greatest));
        let mut sum = _mm512_setzero_si512();
        for (at, (scores, numerators)) in scores.chunks_exact(16).zip(numerators.chunks_exact_mut(16)).enumerate() {
            // Sixteen of each.
            let score = unsafe { _mm512_load_si512(scores.as_ptr().cast()) };
            let below = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(score, greatest)), unit);
            // Of keys that aren't there, none.
            let lanes = first_lanes(tokens.saturating_sub(at * 16));
            let whole = _mm512_maskz_cvttps_epi32(lanes, _mm512_add_ps(numerator(below), steps));
            sum = _mm512_add_epi32(sum, whole);
            unsafe { _mm_store_si128(numerators.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(whole)) };
        }
        _mm512_reduce_add_epi32(sum)
    }

    /// # Safety
    /// `to` takes `COUNT` rows of `size` values, a stride apart.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn mix<const COUNT: usize>(
        &self,
        tokens: usize,
        size: usize,
        shares: &[f32; COUNT],
        (to, stride): (*mut f32, usize),
    ) {
        let (depth, keys) = (tokens.next_multiple_of(DEPTH_STEP), self.starts.len());
        for first in (0..size).step_by(COLUMNS) {
            let sums = unsafe {
                let panel = self.values.as_ptr().add(first * depth);
                products::<COUNT>((self.numerators.as_ptr(), keys), depth, panel, [_mm512_setzero_si512(); 2])
            };
            // The columns are padded to whole panels; the sums of a register are sixteen.
            unsafe {
                let units = [0, 16].map(|offset| Avx512::load(self.columns.as_ptr().add(first + offset)));
                let value = |line: usize, offset: usize| {
                    let whole = Avx512::load_whole((&raw const sums[line][offset / 16]).cast());
                    whole.mul(units[offset / 16].mul(Avx512::splat(shares[line])))
                };
                let columns = COLUMNS.min(size - first);
                finish_tile(Finish::Store, (COUNT, columns), value, (to.wrapping_add(first), stride));
            }
        }
    }
}

/// What is added to sixteen numerators before their fractions are cut off: sixteenths, each once, in another order for
/// each query. Of many small numerators as many get a whole as they are worth together; rounded, all would be lost.
#[inline]
#[target_feature(enable = "avx512f")]
fn steps(query: usize) -> __m512 {
    let first = query * 5 % 16;
    unsafe { _mm512_loadu_ps(STEPS[first..first + 16].as_ptr()) }
}

/// Twice over. Neighbours are far apart: places with their bits reversed.
const STEPS: [f32; 32] = {
    let mut steps = [0.0; 32];
    let mut at = 0;
    while at < 32 {
        steps[at] = ((at as u8 % 16).reverse_bits() >> 4) as f32 / 16.0 + 1.0 / 32.0;
        at += 1;
    }
    steps
};

/// 255 * 2^x to within 2 of 10,000, for x up to 0.
///
/// The whole part of x is the exponent; for the rest a polynomial, fitted for the least greatest relative error.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn numerator(x: __m512) -> __m512 {
    let part = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(x);
    let mut p = _mm512_set1_ps(255.0 * 0.079_440_23);
    for coefficient in [0.224_494_63, 0.696_065_1, 0.999_892_5] {
        p = _mm512_fmadd_ps(p, part, _mm512_set1_ps(255.0 * coefficient));
    }
    _mm512_scalef_ps(p, x)
}
