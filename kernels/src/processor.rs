//! What the processor can do, found once at run time: the build itself stays portable.

use std::sync::LazyLock;

/// Groups of vector instructions that have kernels of their own; what isn't listed runs the portable form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// AVX2 with FMA and POPCNT: 256-bit vectors.
    pub avx2: bool,
    /// AVX-512 F, BW, DQ and VL: 512-bit vectors with masks.
    pub avx512: bool,
    /// Dot products of bytes (`vpdpbusd`), with `avx512`.
    pub avx512_vnni: bool,
    /// Counts of ones in words of 64 bits (`vpopcntq`), with `avx512`.
    pub avx512_vpopcntdq: bool,
}

impl Processor {
    /// This machine's; the first call asks the processor, later ones remember.
    pub fn detected() -> Self {
        static DETECTED: LazyLock<Processor> = LazyLock::new(detect);
        *DETECTED
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Processor {
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    Processor {
        avx2: is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("popcnt"),
        avx512,
        avx512_vnni: avx512 && is_x86_feature_detected!("avx512vnni"),
        avx512_vpopcntdq: avx512 && is_x86_feature_detected!("avx512vpopcntdq"),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Processor {
    Processor::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_vectors_come_with_the_narrower_ones() {
        let found = Processor::detected();
        assert!(!found.avx512 || found.avx2);
        assert!(found.avx512 || !found.avx512_vnni && !found.avx512_vpopcntdq);
        assert_eq!(found, Processor::detected());
    }
}
