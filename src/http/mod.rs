//! HTTP: one file per resource, each handler a doorway to a flow.

mod admin;
mod answer;
mod answer_events;
mod answer_shapes;
mod documents;
mod facets;
mod filters;
mod freshness;
mod health;
mod openapi;
mod operations;
mod pages;
mod patients;
mod problem;
mod records;
mod request;
mod search;
mod server;
mod shapes;
mod subscriptions;
mod webhooks;
mod whoami;

pub use pages::are_present as pages_are_present;
pub use server::{Serving, openapi_document, serve};
