//! Exponential and GELU, a register at a time.

use crate::lanes::Lanes;

/// `e^x` to within 2 units in the last place; below -87 it is that of -87, above 88 that of 88.
///
/// Source: Cephes `expf` (Moshier): x = n ln 2 + r, and a polynomial of r.
#[inline(always)]
pub(crate) fn exp<L: Lanes>(x: L) -> L {
    let x = x.max(L::splat(-87.0)).min(L::splat(88.0));
    let n = x.mul(L::splat(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, the first of few bits, so that r keeps its last ones.
    let r = n.mul_add(L::splat(-0.693_359_4), x);
    let r = n.mul_add(L::splat(2.121_944_4e-4), r);
    let mut p = L::splat(1.987_569_1e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        p = p.mul_add(r, L::splat(coefficient));
    }
    let p = p.mul_add(r.mul(r), r.add(L::splat(1.0)));
    p.times_power_of_two(n)
}

/// `2^x` to within 3 units in the last place, for x up to 127, beyond which it means nothing; below -126 it is that of
/// -126.
///
/// A whole exponent, and the series of 2^part: (ln 2)^n / n!.
#[inline(always)]
pub(crate) fn exp2<L: Lanes>(x: L) -> L {
    let x = x.max(L::splat(-126.0));
    let whole = x.round();
    let part = x.sub(whole);
    let mut p = L::splat(1.540_353e-4);
    for coefficient in [1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 0.240_226_5, std::f32::consts::LN_2, 1.0] {
        p = p.mul_add(part, L::splat(coefficient));
    }
    p.times_power_of_two(whole)
}

/// `x * Phi(x)`, with an absolute error below 1e-6 |x|.
///
/// With t = 1 / (1 + p |x| / sqrt 2), the tail erfc is a polynomial of t times a Gaussian.
/// Source: Abramowitz & Stegun 7.1.26; GELU: Hendrycks & Gimpel 2016.
#[inline(always)]
pub(crate) fn gelu<L: Lanes>(x: L) -> L {
    let size = x.abs();
    let t = L::splat(1.0).div(size.mul_add(L::splat(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2), L::splat(1.0)));
    let gauss = exp(x.mul(x).mul(L::splat(-0.5)));
    let mut p = L::splat(1.061_405_4);
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        p = p.mul_add(t, L::splat(coefficient));
    }
    let half_tail = p.mul(t).mul(gauss).mul(L::splat(0.5));
    x.max(L::splat(0.0)).sub(size.mul(half_tail))
}

/// `x * Phi(x)` as near as numbers of 8 bits can tell: with an absolute error below 2e-4, beyond 4 below 5e-5 |x|.
///
/// Phi(x) - 1/2 is odd: x times a polynomial of x^2, fitted for the least greatest error of x * Phi(x) up to 4, where
/// Phi is taken to end.
#[inline(always)]
pub(crate) fn gelu_of_bytes<L: Lanes>(x: L) -> L {
    let inner = x.max(L::splat(-4.0)).min(L::splat(4.0));
    let square = inner.mul(inner);
    let mut p = L::splat(2.278_142e-8);
    for coefficient in [-1.598_601_2e-6, 4.795_549_4e-5, -8.140_152e-4, 8.772_387e-3, -6.457_311e-2, 0.397_883_35] {
        p = p.mul_add(square, L::splat(coefficient));
    }
    x.mul(p.mul_add(inner, L::splat(0.5)))
}

/// GELU by its approximation with tanh.
///
/// 0.5 (1 + tanh y) = 1 / (1 + e^(-2y)), y = sqrt(2 / pi) (x + 0.044715 x^3).
#[inline(always)]
pub(crate) fn gelu_tanh<L: Lanes>(x: L) -> L {
    let cube = x.mul(x).mul(x);
    let y = cube.mul_add(L::splat(0.044_715), x);
    let e = exp(y.mul(L::splat(-2.0 * 0.797_884_6)));
    x.div(e.add(L::splat(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{Level, at_level};

    #[inline(always)]
    fn each<L: Lanes>(values: &mut [f32], function: u8) {
        for chunk in values.chunks_mut(L::WIDTH) {
            // The chunk has `len` values.
            unsafe {
                let x = L::load_part(chunk.as_ptr(), chunk.len());
                let y = match function {
                    0 => exp(x),
                    1 => gelu(x),
                    2 => gelu_tanh(x),
                    4 => gelu_of_bytes(x),
                    _ => exp2(x),
                };
                y.store_part(chunk.as_mut_ptr(), chunk.len());
            }
        }
    }

    fn applied(level: Level, function: u8, values: &[f32]) -> Vec<f32> {
        let mut results = values.to_vec();
        let values = results.as_mut_slice();
        at_level!(level, each(values: &mut [f32], function: u8));
        results
    }

    fn grid(from: f32, to: f32) -> Vec<f32> {
        (0..=20_011).map(|step| from + (to - from) * step as f32 / 20_011.0).collect()
    }

    /// The complementary error function by its continued fraction or series, in double precision.
    fn erfc(x: f64) -> f64 {
        if x < 0.0 {
            return 2.0 - erfc(-x);
        }
        if x < 3.0 {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            return 1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI;
        }
        let fraction = (1..200).rev().fold(0.0, |tail, n| f64::from(n) / 2.0 / (x + tail));
        (-x * x).exp() / (x + fraction) / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn the_exponential_is_that_of_double_precision_at_every_level() {
        for level in Level::available() {
            let inputs = grid(-87.0, 88.0);
            for (x, y) in inputs.iter().zip(applied(level, 0, &inputs)) {
                let exact = f64::from(*x).exp();
                assert!((f64::from(y) / exact - 1.0).abs() < 3e-7, "{level:?} exp({x}) = {y}");
            }
            assert!(applied(level, 0, &[-1e30, f32::NEG_INFINITY]).iter().all(|y| (0.0..1e-37).contains(y)));
        }
    }

    #[test]
    fn the_power_of_two_is_that_of_double_precision_at_every_level() {
        for level in Level::available() {
            let inputs = grid(-126.0, 127.0);
            for (x, y) in inputs.iter().zip(applied(level, 3, &inputs)) {
                let exact = f64::from(*x).exp2();
                assert!((f64::from(y) / exact - 1.0).abs() < 4e-7, "{level:?} 2^{x} = {y}");
            }
        }
    }

    #[test]
    fn gelu_is_that_of_double_precision_at_every_level() {
        for level in Level::available() {
            let inputs = grid(-12.0, 12.0);
            for (x, y) in inputs.iter().zip(applied(level, 1, &inputs)) {
                let exact = f64::from(*x) * 0.5 * erfc(-f64::from(*x) / std::f64::consts::SQRT_2);
                assert!((f64::from(y) - exact).abs() < 1e-6 * f64::from(x.abs()) + 1e-9, "{level:?} gelu({x}) = {y}");
            }
            for (x, y) in inputs.iter().zip(applied(level, 4, &inputs)) {
                let x = f64::from(*x);
                let exact = x * 0.5 * erfc(-x / std::f64::consts::SQRT_2);
                assert!((f64::from(y) - exact).abs() < 2e-4_f64.max(5e-5 * x.abs()), "{level:?} gelu({x}) = {y}");
            }
            for (x, y) in inputs.iter().zip(applied(level, 2, &inputs)) {
                let x = f64::from(*x);
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                let exact = 0.5 * x * (1.0 + inner.tanh());
                assert!((f64::from(y) - exact).abs() < 1e-6 * x.abs() + 1e-9, "{level:?} gelu_tanh({x}) = {y}");
            }
        }
    }
}
