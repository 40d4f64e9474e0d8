//! A linear layer of the packed model, in the precision that was chosen.

use kernels::{ByteLinear, ByteRows, Finish, Level, Linear};

use super::precision::Precision;

pub(super) enum Matrix {
    Full(Linear),
    Bytes(ByteLinear),
}

impl Matrix {
    /// Shapes: `weight` (outputs, inputs), `bias` (outputs).
    pub(super) fn pack(level: Level, precision: Precision, weight: &[f32], bias: &[f32], inputs: usize) -> Self {
        match precision {
            Precision::F32 => Self::Full(Linear::pack(level, weight, bias, inputs)),
            Precision::Int8 => Self::Bytes(ByteLinear::pack(level, weight, bias, inputs)),
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
