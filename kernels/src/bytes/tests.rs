use proptest::prelude::*;

use super::*;

fn random(count: usize, rng: &mut fastrand::Rng) -> Vec<f32> {
    (0..count).map(|_| rng.f32() * 2.0 - 0.7).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_level_comes_as_near_the_exact_product_as_the_bits_allow(
        rows in 1_usize..110, inputs in 1_usize..70, outputs in 1_usize..80, seed: u64,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (weight, bias) = (random(outputs * inputs, &mut rng), random(outputs, &mut rng));
        let input = random(rows * inputs, &mut rng);
        let mut quantized = ByteRows::default();
        // Each factor is off by half a unit at most: of the inputs 2 / 255 or 2 / 127, of the weights 1.3 / 127, or,
        // as four of them add up to 5.2 at most, 5.2 / 256.
        for (bits, off, between) in [(Bits::Eight, 0.012, 0.02), (Bits::Seven, 0.024, 0.04)] {
            let mut portable = vec![0.0; rows * outputs];
            ByteLinear::pack(Level::PORTABLE, bits, &weight, &bias, inputs)
                .forward(&input, &mut portable, Finish::Store, &mut quantized);
            for (at, found) in portable.iter().enumerate() {
                let (row, output) = (at / outputs, at % outputs);
                let pairs = input[row * inputs..].iter().zip(&weight[output * inputs..][..inputs]);
                let exact: f32 = pairs.map(|(a, b)| a * b).sum::<f32>() + bias[output];
                prop_assert!((found - exact).abs() <= off * inputs as f32 + 1e-4, "{:?} {} {}", bits, found, exact);
            }
            for level in Level::available() {
                let mut output = vec![0.0; rows * outputs];
                let layer = ByteLinear::pack(level, bits, &weight, &bias, inputs);
                layer.forward(&input, &mut output, Finish::Store, &mut quantized);
                for (one, other) in output.iter().zip(&portable) {
                    // A value just between two bytes may go either way.
                    prop_assert!((one - other).abs() < between, "{:?} {:?} {} {}", bits, level, one, other);
                }
            }
        }
    }
}

#[test]
fn no_sum_runs_over_though_all_are_as_great_as_can_be() {
    for level in Level::available() {
        for sign in [1.0, -1.0] {
            let layer = ByteLinear::pack(level, Bits::Seven, &[sign; 1_536], &[0.0], 1_536);
            // All inputs but one are the greatest.
            let input: Vec<f32> = (0..1_536).map(|at| if at == 0 { 0.0 } else { 1.0 }).collect();
            let mut output = [0.0];
            layer.forward(&input, &mut output, Finish::Store, &mut ByteRows::default());
            assert!((output[0] - sign * 1_535.0).abs() < 0.5, "{level:?} {output:?}");
        }
    }
}

#[test]
fn a_row_of_one_value_is_off_by_the_rounding_of_the_weights_only() {
    for level in Level::available() {
        let mut output = [0.0; 2];
        let weights = [1.0, 2.0, 3.0, -0.5, 0.25, 4.0];
        let layer = ByteLinear::pack(level, Bits::Eight, &weights, &[0.5, 0.0], 3);
        layer.forward(&[0.3; 3], &mut output, Finish::Store, &mut ByteRows::default());
        // Three weights, each off by half a unit of its row at most: 3 / 254 and 4 / 254.
        for (found, exact, unit) in [(output[0], 2.3, 3.0 / 127.0), (output[1], 1.125, 4.0 / 127.0)] {
            assert!((found - exact).abs() <= 3.0 * 0.3 * unit / 2.0 + 1e-6_f32, "{level:?} {output:?}");
        }
    }
}
