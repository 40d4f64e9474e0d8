//! What came for files that a manifest doesn't pin: their sizes and hashes, beside them in the cache.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

const FILE: &str = "recorded.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recorded {
    pub(super) bytes: u64,
    /// Lower-case hex.
    pub(super) sha256: String,
}

/// By the file's name; nothing where nothing readable was recorded.
pub(super) fn read(folder: &Path) -> BTreeMap<String, Recorded> {
    let text = fs::read(folder.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Adds to what was recorded; whole or not at all.
pub(super) fn write(folder: &Path, came: Vec<(String, Recorded)>) -> io::Result<()> {
    let mut all = read(folder);
    all.extend(came);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, &all)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(FILE))?;
    Ok(())
}
