//! Each route by itself: what it gives, and how its parameters narrow it.

mod answer;
mod context;
mod documents;
mod facets;
mod findings;
mod freshness;
mod health;
mod jobs;
mod metrics;
mod patients;
mod quarantine;
mod receipts;
mod search;
mod similar;
mod sources;
mod webhooks;
mod whoami;
