//! Pure functions: same input, same output, no I/O.

pub mod age;
pub mod audit_event;
pub mod chunk;
pub mod deidentify;
pub mod detect;
pub mod diversity;
pub mod fuse;
pub mod ground;
pub mod judge;
pub mod name;
pub mod normalize;
pub mod prompt;
pub mod question;
pub mod recency;
pub mod resample;
pub mod sections;
pub mod sentences;
pub mod split;
pub mod terms;
