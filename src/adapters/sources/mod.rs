//! Where records come from when nobody posts them: connections, folders, servers.

pub mod drop_folder;
pub mod mllp;
