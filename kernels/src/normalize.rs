//! What is done to rows of numbers between the matrix products: sums, layer normalization, means, unit length.

use crate::lanes::Lanes;
use crate::level::{Level, at_level};

/// `output = one + other + third`, element by element: the embeddings of a token.
///
/// Panics when the lengths differ.
pub fn add_rows(level: Level, output: &mut [f32], one: &[f32], other: &[f32], third: &[f32]) {
    assert!([one.len(), other.len(), third.len()].iter().all(|length| *length == output.len()), "rows of one length");
    at_level!(level, add_three(output: &mut [f32], one: &[f32], other: &[f32], third: &[f32]));
}

/// Each row, as long as `weight`, to mean 0 and variance 1, then times `weight` plus `bias`.
///
/// Source: Ba, Kiros & Hinton 2016. Panics when the lengths don't agree.
pub fn layer_norm(level: Level, rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    assert_eq!(weight.len(), bias.len(), "a bias for each weight");
    assert!(!weight.is_empty() && rows.len().is_multiple_of(weight.len()), "whole rows");
    at_level!(level, normalize_rows(rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32));
}

/// The mean of the rows, each as long as `mean`. Panics when the rows aren't whole, or none.
pub fn mean_of_rows(level: Level, rows: &[f32], mean: &mut [f32]) {
    assert!(!rows.is_empty() && rows.len().is_multiple_of(mean.len()), "whole rows");
    at_level!(level, average(rows: &[f32], mean: &mut [f32]));
}

/// Scales a vector to length 1; one of zeros stays.
pub fn to_unit_length(level: Level, vector: &mut [f32]) {
    at_level!(level, scale_to_one(vector: &mut [f32]));
}

/// Walks a row register by register; of the last one, `count` lanes are within.
macro_rules! each_register {
    ($length:expr, |$at:ident, $load:ident, $store:ident| $whole:expr) => {{
        let length = $length;
        let whole = length - length % L::WIDTH;
        let mut $at = 0;
        while $at < whole {
            let $load = |from: *const f32| unsafe { L::load(from.add($at)) };
            #[allow(unused_variables)]
            let $store = |value: L, to: *mut f32| unsafe { value.store(to.add($at)) };
            $whole;
            $at += L::WIDTH;
        }
        if whole < length {
            let count = length - whole;
            let $load = |from: *const f32| unsafe { L::load_part(from.add($at), count) };
            #[allow(unused_variables)]
            let $store = |value: L, to: *mut f32| unsafe { value.store_part(to.add($at), count) };
            $whole;
        }
    }};
}

#[inline(always)]
fn add_three<L: Lanes>(output: &mut [f32], one: &[f32], other: &[f32], third: &[f32]) {
    each_register!(output.len(), |at, load, store| {
        let sum = load(one.as_ptr()).add(load(other.as_ptr())).add(load(third.as_ptr()));
        store(sum, output.as_mut_ptr());
    });
}

#[inline(always)]
fn normalize_rows<L: Lanes>(rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let width = weight.len();
    for row in rows.chunks_exact_mut(width) {
        let mut sum = L::splat(0.0);
        each_register!(width, |at, load, store| sum = sum.add(load(row.as_ptr())));
        let mean = sum.sum() / width as f32;
        let mut squares = 0.0;
        let mut sum = L::splat(0.0);
        let whole = width - width % L::WIDTH;
        for at in (0..whole).step_by(L::WIDTH) {
            // Within the row.
            let distance = unsafe { L::load(row.as_ptr().add(at)) }.sub(L::splat(mean));
            sum = distance.mul_add(distance, sum);
        }
        for value in &row[whole..] {
            squares += (value - mean) * (value - mean);
        }
        let variance = (squares + sum.sum()) / width as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        each_register!(width, |at, load, store| {
            let centred = load(row.as_ptr()).sub(L::splat(mean)).mul(L::splat(scale));
            store(centred.mul_add(load(weight.as_ptr()), load(bias.as_ptr())), row.as_mut_ptr());
        });
    }
}

#[inline(always)]
fn average<L: Lanes>(rows: &[f32], mean: &mut [f32]) {
    let width = mean.len();
    mean.fill(0.0);
    for row in rows.chunks_exact(width) {
        each_register!(width, |at, load, store| store(load(mean.as_ptr()).add(load(row.as_ptr())), mean.as_mut_ptr()));
    }
    let share = L::splat(width as f32 / rows.len() as f32);
    each_register!(width, |at, load, store| store(load(mean.as_ptr()).mul(share), mean.as_mut_ptr()));
}

#[inline(always)]
fn scale_to_one<L: Lanes>(vector: &mut [f32]) {
    let mut squares = L::splat(0.0);
    each_register!(vector.len(), |at, load, store| {
        let value = load(vector.as_ptr());
        squares = value.mul_add(value, squares);
    });
    let scale = L::splat(1.0 / squares.sum().sqrt().max(f32::MIN_POSITIVE));
    each_register!(vector.len(), |at, load, store| store(load(vector.as_ptr()).mul(scale), vector.as_mut_ptr()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| rng.f32() * 4.0 - 1.0).collect()
    }

    fn close(one: &[f32], other: impl IntoIterator<Item = f64>) -> bool {
        one.iter().zip(other).all(|(one, other)| (f64::from(*one) - other).abs() < 1e-4)
    }

    proptest! {
        #[test]
        fn layer_normalization_is_that_of_double_precision(width in 1_usize..80, count in 1_usize..5, seed: u64) {
            let (rows, weight, bias) = (random(width * count, seed), random(width, seed ^ 1), random(width, seed ^ 2));
            let mut expected = Vec::new();
            for row in rows.chunks(width) {
                let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / width as f64;
                let variance = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / width as f64;
                for ((value, weight), bias) in row.iter().zip(&weight).zip(&bias) {
                    let scaled = (f64::from(*value) - mean) / (variance + 1e-3).sqrt();
                    expected.push(scaled * f64::from(*weight) + f64::from(*bias));
                }
            }
            for level in Level::available() {
                let mut normalized = rows.clone();
                layer_norm(level, &mut normalized, &weight, &bias, 1e-3);
                prop_assert!(close(&normalized, expected.iter().copied()), "{:?}", level);
            }
        }

        #[test]
        fn sums_and_means_of_rows_and_unit_vectors_are_right(width in 1_usize..80, count in 1_usize..9, seed: u64) {
            let rows = random(width * count, seed);
            let at = |row: usize, column: usize| f64::from(rows[row % count * width + column]);
            let row = |row: usize| &rows[row % count * width..][..width];
            for level in Level::available() {
                let mut sum = vec![0.0; width];
                add_rows(level, &mut sum, row(0), row(1), row(2));
                prop_assert!(close(&sum, (0..width).map(|column| at(0, column) + at(1, column) + at(2, column))));
                let mut mean = vec![9.0; width];
                mean_of_rows(level, &rows, &mut mean);
                let expected = |column| (0..count).map(|row| at(row, column)).sum::<f64>() / count as f64;
                prop_assert!(close(&mean, (0..width).map(expected)));
                to_unit_length(level, &mut sum);
                let length: f32 = sum.iter().map(|value| value * value).sum();
                prop_assert!((length - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_vector_of_zeros_stays_one() {
        for level in Level::available() {
            let mut zeros = [0.0; 20];
            to_unit_length(level, &mut zeros);
            assert_eq!(zeros, [0.0; 20]);
        }
    }
}
