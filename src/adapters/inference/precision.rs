//! In how many bits a model computes: 32 are the reference, 8 or 7 several times faster where the processor helps.

use std::fmt;
use std::str::FromStr;

use kernels::Processor;
use serde::Deserialize;

use super::manifest::Manifest;
use super::weights::{DeviceChoice, InferenceError};

/// Vectors of different precisions are not mixed in one index: the fingerprint of the model tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    F32,
    /// Both factors of the linear layers and of attention in 8 bits: for processors with VNNI.
    Int8,
    /// The inputs in 7 bits, and weights of 8 at most whose products' sums 16 bits hold: for processors without VNNI.
    Int7,
}

/// What a configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// The fastest that this processor has instructions for, of those whose quality was measured for the model.
    #[default]
    Fastest,
    Fixed(Precision),
}

impl PrecisionChoice {
    /// Reduced precision is for the CPU; asking for it elsewhere is an error.
    pub(super) fn choose(self, manifest: &Manifest, device: DeviceChoice) -> Result<Precision, InferenceError> {
        match (self, device) {
            (Self::Fixed(precision), DeviceChoice::Cpu) => Ok(precision),
            (Self::Fixed(Precision::F32), _) => Ok(Precision::F32),
            (Self::Fixed(reduced), _) => {
                Err(InferenceError::Unloadable(format!("the precision {reduced} isn't computed on {device}")))
            }
            (Self::Fastest, DeviceChoice::Cpu) => Ok(fastest(manifest, Processor::detected())),
            (Self::Fastest, _) => Ok(Precision::F32),
        }
    }
}

fn fastest(manifest: &Manifest, processor: Processor) -> Precision {
    let fast = match processor {
        has if has.avx512_vnni => Precision::Int8,
        has if has.avx2 => Precision::Int7,
        _ => Precision::F32,
    };
    if manifest.measured.contains(&fast) { fast } else { Precision::F32 }
}

#[derive(Debug, thiserror::Error)]
#[error("precision {0} is not auto, f32, int8 or int7")]
pub struct UnknownPrecision(String);

impl FromStr for PrecisionChoice {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        match name {
            "auto" => Ok(Self::Fastest),
            "f32" => Ok(Self::Fixed(Precision::F32)),
            "int8" => Ok(Self::Fixed(Precision::Int8)),
            "int7" => Ok(Self::Fixed(Precision::Int7)),
            _ => Err(UnknownPrecision(name.to_owned())),
        }
    }
}

impl Precision {
    /// As a configuration and a manifest write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
            Self::Int7 => "int7",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_is_one_that_was_measured_and_that_the_processor_has() {
        let vnni = Processor { avx2: true, avx512: true, avx512_vnni: true, avx512_vpopcntdq: true };
        let plain = Processor { avx512_vnni: false, ..vnni };
        let old = Processor { avx2: false, avx512: false, ..plain };
        let measured = Manifest { measured: vec![Precision::Int8, Precision::Int7], ..Manifest::default_embedder() };
        let unmeasured = Manifest { measured: Vec::new(), ..measured.clone() };
        assert_eq!(fastest(&measured, vnni), Precision::Int8);
        assert_eq!(fastest(&measured, plain), Precision::Int7);
        assert_eq!(fastest(&measured, old), Precision::F32);
        assert_eq!(fastest(&unmeasured, vnni), Precision::F32);
    }

    #[test]
    fn what_is_asked_for_is_what_is_used_or_an_error() {
        let manifest = Manifest { measured: Vec::new(), ..Manifest::default_embedder() };
        for reduced in [Precision::Int8, Precision::Int7] {
            let choice = PrecisionChoice::Fixed(reduced);
            assert_eq!(choice.choose(&manifest, DeviceChoice::Cpu).unwrap(), reduced);
            assert!(choice.choose(&manifest, DeviceChoice::Cuda(0)).is_err());
        }
        assert_eq!(PrecisionChoice::Fastest.choose(&manifest, DeviceChoice::Metal(0)).unwrap(), Precision::F32);
    }

    #[test]
    fn a_precision_is_named_as_it_is_written() {
        for name in ["f32", "int8", "int7"] {
            let choice: PrecisionChoice = name.parse().unwrap();
            assert!(matches!(choice, PrecisionChoice::Fixed(precision) if precision.to_string() == name));
        }
        assert!(matches!("auto".parse(), Ok(PrecisionChoice::Fastest)));
        assert!("int4".parse::<PrecisionChoice>().is_err());
    }
}
