//! Where records come from when nobody posts them: connections, folders, servers; and how files are cut.

pub mod bulk_export;
pub mod drop_folder;
pub mod fhir_server;
pub mod mllp;
pub mod notification;
pub mod search_page;
pub mod slices;
pub mod smart_backend;
mod transport;
