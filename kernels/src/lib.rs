//! The loops that need the processor's vector instructions: the only place with `unsafe`.
//!
//! Each is offered as a safe function that takes the fastest form the processor has, found at run time, and has a
//! plain form that the others are tested against.

mod attention;
pub mod bits;
mod buffer;
mod byte_attention;
mod bytes;
pub mod codes;
pub mod distance;
mod functions;
pub mod graph;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod level;
mod linear;
pub mod nearest;
mod normalize;
mod processor;
pub mod sketches;
mod tile;
pub mod views;

pub use attention::{attention, query_scale};
pub use buffer::Buffer;
pub use byte_attention::{AttentionMemory, attention_in_bytes};
pub use bytes::{Bits, ByteLinear, ByteRows};
pub use level::Level;
pub use linear::{Finish, Linear};
pub use normalize::{add_rows, layer_norm, mean_of_rows, to_unit_length};
pub use processor::Processor;
