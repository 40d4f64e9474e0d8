//! Pure functions: same input, same output, no I/O.

pub mod age;
pub mod fuse;
pub mod ground;
pub mod terms;
pub mod chunk;
pub mod sentences;
