//! The real data sets that figures are measured on, where they are.

use std::path::{Path, PathBuf};

/// Where a set is, or would be.
pub fn shared(name: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("ANAMNESIS_TEST_DATA").map_or(default, PathBuf::from).join(name)
}

/// `None`, said aloud, for a set that isn't there.
#[allow(dead_code, reason = "not every bench goes on without")]
pub fn shared_if_there(name: &str) -> Option<PathBuf> {
    let path = shared(name);
    if !path.exists() {
        println!("SKIPPED: {} is not there", path.display());
    }
    path.exists().then_some(path)
}
