//! `anamnesis token`: mints a token of the development key.

use std::time::Duration;

use super::arguments::TokenOptions;
use super::{Done, Failure};
use crate::access::TokenGrant;
use crate::app::read_development_key;
use crate::config::Config;
use crate::domain::{PatientId, SourceId, TenantId};

pub fn run(config: Config, options: TokenOptions) -> Done {
    let path = config.development_key_file.as_deref().ok_or_else(|| {
        Failure::new("no development key is configured (development_key_file); real tokens come from your issuer")
    })?;
    println!("{}", read_development_key(path)?.mint(&grant(&config, options)));
    Ok(())
}

fn grant(config: &Config, options: TokenOptions) -> TokenGrant {
    let tenant = TenantId::new(options.tenant.unwrap_or_else(|| config.tenant.clone()));
    let mut grant = TokenGrant::new(options.subject, tenant, options.scopes);
    grant.patient = options.patient.map(PatientId::new);
    grant.patients = some_if_any(options.patients.into_iter().map(PatientId::new).collect());
    grant.sources = some_if_any(options.sources.into_iter().map(SourceId::new).collect());
    grant.sensitivity = options.sensitivity;
    grant.purpose = options.purpose;
    grant.lifetime = Duration::from_secs(options.lifetime_s);
    grant
}

fn some_if_any<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}
