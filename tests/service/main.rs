//! The service as its callers meet it: real servers on real ports, a real store, index and tokens.

mod access;
mod audit;
mod audit_bytes;
mod bad_input;
mod browsers;
mod builders;
mod canary;
mod concurrency;
mod deidentified;
mod drop_folder;
mod erasure;
mod fuzz;
mod generated;
mod harness;
mod injection;
mod introspection;
mod leaks;
mod llm;
mod logs;
mod mllp;
mod policy;
mod routes;
mod sensitivity;
mod stored;
#[path = "../support/tiny_model.rs"]
mod tiny_model;
mod tls;
mod tokens;
mod typed_writes;
mod updates;
mod wire;
mod withdrawn;
mod worlds;
