//! SMART v2 scopes (v1 forms accepted) and what they allow.

use super::{Denied, Operation};

/// Writes and administrative acts that a token's scopes allow.
#[derive(Clone, Debug, Default)]
pub struct Operations {}

impl Operations {
    pub fn allow(&self, _operation: &Operation) -> Result<(), Denied> {
        Err(Denied { scope: String::new() })
    }
}
