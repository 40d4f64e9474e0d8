//! Pure functions: same input, same output, no I/O.

pub mod chunk;
pub mod sentences;
