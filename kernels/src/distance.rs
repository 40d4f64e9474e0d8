//! Dot products of vectors, in f32 and of eight-bit codes, one at a time and by the batch.
//!
//! Each has three or four forms; [`Form::best`] is the fastest the processor has. All forms of the integer product give
//! the same number; those of the f32 product differ in how they round.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::processor::Processor;

/// Sixty-four bytes as the processor loads them: no code lies across two cache lines more than it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

/// Which instructions a loop is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Portable,
    Avx2,
    Avx512,
    /// AVX-512 with integer products of its own.
    Avx512Vnni,
}

impl Form {
    /// The fastest that this processor has.
    #[inline]
    pub fn best() -> Self {
        match Processor::detected() {
            has if has.avx512_vnni => Self::Avx512Vnni,
            has if has.avx512 => Self::Avx512,
            has if has.avx2 => Self::Avx2,
            _ => Self::Portable,
        }
    }

    /// All that this processor has, the plain one first.
    pub fn available() -> Vec<Self> {
        [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vnni]
            .into_iter()
            .filter(|form| *form <= Self::best())
            .collect()
    }
}

/// The dot product of two vectors of one length; of the shorter's, when they differ.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_as(Form::best(), a, b)
}

/// [`dot`] in a form of choice; one that the processor lacks falls back to the best there is.
pub fn dot_as(form: Form, a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    match form.min(Form::best()) {
        // SAFETY: `min` leaves no form that the processor lacks.
        Form::Avx512 | Form::Avx512Vnni => return unsafe { x86::dot_avx512(a, b) },
        // SAFETY: as above.
        Form::Avx2 => return unsafe { x86::dot_avx2(a, b) },
        Form::Portable => {}
    }
    portable::dot(a, b)
}

/// The dot product of `query` with each row at `positions` of `rows`, appended to `scores`.
///
/// Shapes: `rows` (any, `query.len()`). A position beyond the rows scores negative infinity.
pub fn dot_rows(query: &[f32], rows: &[f32], positions: &[u32], scores: &mut Vec<f32>) {
    let form = Form::best();
    let row = |position: u32| {
        let start = position as usize * query.len();
        rows.get(start..start + query.len())
    };
    for (index, position) in positions.iter().enumerate() {
        if let Some(ahead) = positions.get(index + AHEAD).and_then(|position| row(*position)) {
            prefetch(ahead);
        }
        scores.push(row(*position).map_or(f32::NEG_INFINITY, |row| dot_as(form, query, row)));
    }
}

/// How many rows ahead memory is asked for.
const AHEAD: usize = 3;

/// Asks the memory for what is read soon.
#[inline]
pub fn prefetch<T>(ahead: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        let bytes = size_of_val(ahead);
        for offset in (0..bytes).step_by(64) {
            // SAFETY: the address lies within `ahead`, and a prefetch reads nothing into the program.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(ahead.as_ptr().cast::<i8>().add(offset));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ahead;
}

/// For each row at `positions`, the sum of products of its unsigned bytes with `query`'s signed ones.
///
/// Shapes: `lines` (rows, `query.len()`), `sums` (`positions.len()`). A position beyond the lines gives `i32::MIN`.
pub fn byte_dots(query: &[Line], lines: &[Line], positions: &[u32], sums: &mut [i32]) {
    byte_dots_as(Form::best(), query, lines, positions, sums);
}

/// [`byte_dots`] in a form of choice; one that the processor lacks falls back to the best there is.
pub fn byte_dots_as(form: Form, query: &[Line], lines: &[Line], positions: &[u32], sums: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    match form.min(Form::best()) {
        // SAFETY: `min` leaves no form that the processor lacks.
        Form::Avx512Vnni => return unsafe { x86::byte_dots_vnni(query, lines, positions, sums) },
        // SAFETY: as above.
        Form::Avx512 => return unsafe { x86::byte_dots_avx512(query, lines, positions, sums) },
        // SAFETY: as above.
        Form::Avx2 => return unsafe { x86::byte_dots_avx2(query, lines, positions, sums) },
        Form::Portable => {}
    }
    portable::byte_dots(query, lines, positions, sums);
}

/// The lines of one row.
#[inline]
fn row_of(lines: &[Line], width: usize, position: u32) -> Option<&[Line]> {
    let start = position as usize * width;
    lines.get(start..start + width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random_lines(seed: u64, count: usize) -> Vec<Line> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| Line(std::array::from_fn(|_| random.u8(..)))).collect()
    }

    proptest! {
        #[test]
        fn every_form_of_the_product_agrees_with_the_plain_sum(
            pairs in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..500)
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            for form in Form::available() {
                let found = f64::from(dot_as(form, &a, &b));
                prop_assert!((found - exact).abs() < 1e-3, "{form:?}: {found} for {exact}");
            }
        }

        #[test]
        fn every_form_of_the_byte_product_gives_the_same_number(
            seed: u64, width in 1_usize..14, rows in 0_usize..40,
        ) {
            let query = random_lines(seed, width);
            let lines = random_lines(seed ^ 1, width * rows);
            let positions: Vec<u32> = (0..rows as u32).rev().chain([rows as u32]).collect();
            let mut plain = vec![0; positions.len()];
            for (sum, position) in plain.iter_mut().zip(&positions) {
                *sum = row_of(&lines, width, *position).map_or(i32::MIN, |row| {
                    row.iter().zip(&query).flat_map(|(x, y)| x.0.iter().zip(&y.0))
                        .map(|(x, y)| i32::from(*x) * i32::from(*y as i8)).sum()
                });
            }
            for form in Form::available() {
                let mut sums = vec![0; positions.len()];
                byte_dots_as(form, &query, &lines, &positions, &mut sums);
                prop_assert_eq!(&sums, &plain, "{:?}", form);
            }
        }
    }

    #[test]
    fn a_batch_of_products_is_the_products_one_by_one() {
        let mut random = fastrand::Rng::with_seed(7);
        let rows: Vec<f32> = (0..20 * 33).map(|_| random.f32() - 0.5).collect();
        let query: Vec<f32> = (0..33).map(|_| random.f32() - 0.5).collect();
        let mut scores = Vec::new();
        dot_rows(&query, &rows, &[19, 0, 7, 20], &mut scores);
        let row = |position: usize| dot(&query, &rows[position * 33..(position + 1) * 33]);
        assert_eq!(scores, [row(19), row(0), row(7), f32::NEG_INFINITY]);
    }
}
