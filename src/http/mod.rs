//! HTTP: one file per resource, each handler a doorway to a flow.

mod access_report;
mod admin;
mod answer;
mod answer_events;
mod answer_shapes;
mod asker;
mod audited;
mod break_glass;
mod connection;
mod cors;
mod documents;
mod facets;
mod filters;
mod freshness;
mod health;
mod openapi;
mod operations;
mod pacing;
mod pages;
mod patients;
mod problem;
mod rate;
mod records;
mod request;
mod search;
mod server;
mod shapes;
mod similar;
mod subscriptions;
mod webhooks;
mod well_known;
mod whoami;

pub use pages::are_present as pages_are_present;
pub use server::{Serving, openapi_document, serve};
