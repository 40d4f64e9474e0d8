//! With AVX-512 VPOPCNTDQ: eight rows at a time. Must only be called where the processor has it.

use std::arch::x86_64::*;

use super::{AHEAD, Kept, LINE_WORDS, PLANES, ProbeWord, SketchProbe, Sketches, offer_all};

/// Rows whose scores fill a register.
const ROWS: usize = 8;

/// The query's components that meet one cache line of a row.
struct ProbeLine {
    signs: __m512i,
    planes: [__m512i; PLANES],
}

/// Offers the rows of `LINES` cache lines at all positions but the last few, less than eight, which are returned.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
pub(super) fn offer_eights<'a, const LINES: usize>(
    sketches: &Sketches,
    probe: &SketchProbe,
    positions: &'a [u32],
    kept: &mut Kept,
) -> &'a [u32] {
    let lines: [ProbeLine; LINES] = std::array::from_fn(|line| ProbeLine::of(probe, line));
    let (rows, _) = sketches.words.as_chunks::<LINE_WORDS>().0.as_chunks::<LINES>();
    let (eights, rest) = positions.as_chunks::<ROWS>();
    for (index, eight) in eights.iter().enumerate() {
        if eight.iter().any(|position| *position as usize >= rows.len()) {
            offer_all(sketches, probe, eight, kept);
            continue;
        }
        // The last ones ask for what is there already.
        let ahead = eights.get(index + AHEAD / ROWS).unwrap_or(eight);
        let mut parts = [_mm512_setzero_si512(); ROWS];
        for ((part, position), ahead) in parts.iter_mut().zip(eight).zip(ahead) {
            prefetch_row(rows, *ahead);
            // All eight are there.
            *part = unlike(unsafe { rows.get_unchecked(*position as usize) }, &lines);
        }
        offer(probe, sums(parts), eight, kept);
    }
    rest
}

/// `sums` has of each row its factor, as bits, above how much of the query is of another sign.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn offer(probe: &SketchProbe, sums: __m512i, eight: &[u32; ROWS], kept: &mut Kept) {
    let factor = _mm256_castsi256_ps(_mm512_cvtepi64_epi32(_mm512_srli_epi64::<32>(sums)));
    let twice = _mm256_slli_epi32::<1>(_mm512_cvtepi64_epi32(sums));
    let sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_set1_epi32(probe.total), twice));
    let score = _mm256_mul_ps(_mm256_mul_ps(sum, _mm256_set1_ps(probe.unit)), factor);
    let mut enough = _mm256_cmp_ps_mask::<_CMP_GE_OQ>(score, _mm256_set1_ps(kept.needed));
    if enough == 0 {
        return;
    }
    let mut scores = [0.0; ROWS];
    // Eight of them.
    unsafe { _mm256_storeu_ps(scores.as_mut_ptr(), score) };
    while enough > 0 {
        let at = enough.trailing_zeros() as usize;
        kept.offer(scores[at], eight[at]);
        enough &= enough - 1;
    }
}

#[inline]
fn prefetch_row<const LINES: usize>(rows: &[[[u64; LINE_WORDS]; LINES]], position: u32) {
    let row = rows.as_ptr().wrapping_add(position as usize);
    for line in 0..LINES {
        // Whether it is there or not, nothing is read into the program.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(row.cast::<[u64; LINE_WORDS]>().wrapping_add(line).cast()) };
    }
}

impl ProbeLine {
    /// A row's first word is its factor, with which nothing is to be compared.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn of(probe: &SketchProbe, line: usize) -> Self {
        let part = |part: &dyn Fn(&ProbeWord) -> u64| {
            let word = |at: usize| (line * LINE_WORDS + at).checked_sub(1).and_then(|word| probe.words.get(word));
            let words: [u64; LINE_WORDS] = std::array::from_fn(|at| word(at).map_or(0, part));
            unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
        };
        Self { signs: part(&|word| word.signs), planes: std::array::from_fn(|bit| part(&|word| word.planes[bit])) }
    }
}

/// In eight parts, the row's factor above how much of the query is of another sign.
#[inline]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn unlike<const LINES: usize>(row: &[[u64; LINE_WORDS]; LINES], lines: &[ProbeLine; LINES]) -> __m512i {
    let mut counts = [_mm512_setzero_si512(); PLANES];
    let mut factor = _mm512_setzero_si512();
    for (at, (words, line)) in row.iter().zip(lines).enumerate() {
        let words = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        if at == 0 {
            factor = _mm512_maskz_mov_epi64(1, words);
        }
        let differ = _mm512_xor_si512(words, line.signs);
        for (count, plane) in counts.iter_mut().zip(line.planes) {
            *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(_mm512_and_si512(differ, plane)));
        }
    }
    let [ones, twos, fours] = counts;
    let above = _mm512_add_epi64(twos, _mm512_slli_epi64::<1>(fours));
    _mm512_add_epi64(_mm512_add_epi64(ones, factor), _mm512_slli_epi64::<1>(above))
}

/// The sum of each one's parts.
#[inline]
#[target_feature(enable = "avx512f")]
fn sums(parts: [__m512i; ROWS]) -> __m512i {
    // Halves that lie side by side, of two rows each; then quarters, of four; then all eight.
    let pair = |one, other| _mm512_add_epi64(_mm512_unpacklo_epi64(one, other), _mm512_unpackhi_epi64(one, other));
    let join = |one, other| {
        let (even, odd) = (_mm512_shuffle_i64x2::<0x88>(one, other), _mm512_shuffle_i64x2::<0xdd>(one, other));
        _mm512_add_epi64(even, odd)
    };
    let [a, b, c, d, e, f, g, h] = parts;
    join(join(pair(a, b), pair(c, d)), join(pair(e, f), pair(g, h)))
}
