use proptest::prelude::*;

use super::*;
use crate::attention::tests::{one_far_from_all_others, plain};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_level_comes_as_near_the_plain_loop_as_bytes_allow(
        tokens in 1_usize..140, heads in 1_usize..4, size in 1_usize..70, spread in 0.1_f32..3.0, seed: u64,
    ) {
        let hidden = heads * size;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut projections: Vec<f32> = (0..tokens * 3 * hidden).map(|_| rng.f32() * 2.0 - 1.0).collect();
        // Scores as they are after `query_scale`, and keys that have much in common.
        for row in projections.chunks_exact_mut(3 * hidden) {
            row[..hidden].iter_mut().for_each(|query| *query *= spread / (size as f32).sqrt());
            row[hidden..2 * hidden].iter_mut().for_each(|key| *key += 3.0);
        }
        let expected = plain(&projections, heads, hidden);
        let mut memory = AttentionMemory::default();
        for level in Level::available() {
            // What was left by another head or sequence must not matter.
            let other = vec![1e30; 200 * 3 * 80];
            attention_in_bytes(level, &other, 1, &mut vec![0.0; 200 * 80], 80, &mut memory);
            let mut output = vec![9.0; tokens * hidden];
            attention_in_bytes(level, &projections, heads, &mut output, hidden, &mut memory);
            for (one, other) in output.iter().zip(&expected) {
                prop_assert!((f64::from(*one) - other).abs() < 0.02, "{:?} {} {}", level, one, other);
            }
        }
    }
}

#[test]
fn a_token_far_from_all_others_still_attends_to_itself() {
    for level in Level::available() {
        let mut output = vec![0.0; 33];
        attention_in_bytes(level, &one_far_from_all_others(), 1, &mut output, 1, &mut AttentionMemory::default());
        assert!(output.iter().all(|value| (value - 32.0).abs() < 1e-4), "{level:?} {output:?}");
    }
}

#[test]
fn queries_keys_or_values_of_zeros_are_no_division_by_zero() {
    for (zeros, expected) in [([0.0, 1.0, 1.0], 5.0), ([1.0, 0.0, 1.0], 5.0), ([1.0, 1.0, 0.0], 0.0)] {
        for level in Level::available() {
            let rows = (0..11).flat_map(|n| [1.0 * zeros[0], 2.0 * zeros[1], n as f32 * zeros[2]]);
            let mut output = vec![9.0; 11];
            let projections: Vec<f32> = rows.collect();
            attention_in_bytes(level, &projections, 1, &mut output, 1, &mut AttentionMemory::default());
            assert!(output.iter().all(|value| (value - expected).abs() < 0.05), "{level:?} {output:?}");
        }
    }
}

/// One key stands out, and what is left is spread over so many that each alone is less than half a step.
#[test]
fn many_small_shares_are_not_lost() {
    for level in Level::available() {
        let tokens = 400;
        let rows = (0..tokens).flat_map(|n| if n == 0 { [1.0, 10.0, 0.0] } else { [1.0, 0.0, 1.0] });
        let projections: Vec<f32> = rows.collect();
        let mut output = vec![0.0; tokens];
        attention_in_bytes(level, &projections, 1, &mut output, 1, &mut AttentionMemory::default());
        let rest = 399.0 / 1_024.0;
        let expected = rest / (1.0 + rest);
        let mean = output.iter().sum::<f32>() / tokens as f32;
        assert!((mean - expected).abs() < 0.01, "{level:?} {mean} {expected}");
    }
}
