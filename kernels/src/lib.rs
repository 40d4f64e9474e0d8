//! The loops that need the processor's vector instructions: the only place with `unsafe`.
//!
//! Each is offered as a safe function that takes the fastest form the processor has, found at run time, and has a
//! plain form that the others are tested against.

pub mod bits;
pub mod bytes;
pub mod codes;
pub mod distance;
pub mod graph;
pub mod nearest;
