//! Where records come from when nobody pushes them.

pub mod bulk_export;
pub mod fhir_server;
pub mod notification;
pub mod search_page;
pub mod smart_backend;
mod transport;
