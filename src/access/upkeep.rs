//! The pass of background work.

/// Held by jobs and the command line for work on the store itself; never made for a request.
///
/// `tests/layers.rs` sees that only `jobs/`, `cli/` and tests begin one.
#[derive(Clone, Debug)]
pub struct Upkeep {
    _private: (),
}

impl Upkeep {
    pub fn begin() -> Self {
        Self { _private: () }
    }
}
