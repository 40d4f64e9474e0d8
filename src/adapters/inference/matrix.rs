//! A linear layer of the packed model, in the precision that was chosen.

use kernels::{Bits, ByteLinear, ByteRows, Finish, Level, Linear};

use super::precision::Precision;

pub(super) enum Matrix {
    Full(Linear),
    Bytes(ByteLinear),
}

impl Matrix {
    /// Shapes: `weight` (outputs, inputs), `bias` (outputs).
    pub(super) fn pack(level: Level, precision: Precision, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        let bytes = |bits| Self::Bytes(ByteLinear::pack(level, bits, weight, bias, inputs));
        match precision {
            Precision::F32 => Self::Full(Linear::pack(level, weight, bias, inputs)),
            Precision::Int8 => bytes(Bits::Eight),
            Precision::Int7 => bytes(Bits::Seven),
        }
    }

    /// Shapes: `input` (rows, inputs), `output` (rows, outputs). `bytes` is only kept to be used again.
    pub(super) fn forward(&self, input: &[f32], output: &mut [f32], finish: Finish, bytes: &mut ByteRows) {
        match self {
            Self::Full(linear) => linear.forward(input, output, finish),
            Self::Bytes(linear) => linear.forward(input, output, finish, bytes),
        }
    }
}
