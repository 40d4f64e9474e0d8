//! Self-attention with all four factors of its two products in 8 bits, where the processor sums byte products.
//!
//! Of each head, each query, the keys together and each column of the values have a scale, for numbers from -127 to 127;
//! a query's are kept as 1 to 255. A softmax numerator is 2^(score - greatest score), from 0 to 1: it is kept in 255
//! steps, up or down by turns so that many small ones keep their sum, and the output is divided by the sum of what was
//! kept. Rounded to the nearest, they took eight times as much from a text's cosine to its exact vector.
//!
//! Keys have their mean taken away first: all scores of a query lose as much by that, of which the softmax knows nothing,
//! and what is left of the keys is finer. Where the processor doesn't sum byte products, it is the attention in `f32`.

#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::attention::attention;
use crate::buffer::Buffer;
use crate::level::Level;
#[cfg(target_arch = "x86_64")]
use crate::{level::Kind, processor::Processor};

/// What attention needs while it is computed; kept to be used again.
#[derive(Default)]
pub struct AttentionMemory {
    /// For that in `f32`.
    pub floats: Buffer,
    #[cfg(target_arch = "x86_64")]
    packed: x86::Packed,
}

/// As [`attention`], with the shapes and the scale it says.
///
/// Panics when the lengths don't agree.
pub fn attention_in_bytes(
    level: Level,
    projections: &[f32],
    heads: usize,
    output: &mut [f32],
    hidden: usize,
    memory: &mut AttentionMemory,
) {
    #[cfg(target_arch = "x86_64")]
    if level.0 == Kind::Avx512 && Processor::detected().avx512_vnni {
        let shape = crate::attention::Shape::of(projections, heads, output, hidden);
        // Safe: the processor has the instructions.
        return unsafe { x86::attend(shape, projections, output, &mut memory.packed) };
    }
    attention(level, projections, heads, output, hidden, &mut memory.floats);
}

#[cfg(test)]
mod tests;
