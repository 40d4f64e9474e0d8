//! Pure functions: same input, same output, no I/O.

pub mod normalize;
pub mod sections;
pub mod split;
