//! What clients ask before they have a token: where tokens are to be had, and which scopes mean something here.

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::Reply;
use crate::app::App;
use crate::config::IssuerConfig;

const SCOPES: [&str; 11] = [
    "patient/*.rs",
    "user/*.rs",
    "system/*.rs",
    "system/*.cud",
    "anamnesis/admin.reindex",
    "anamnesis/admin.quarantine",
    "anamnesis/admin.sources",
    "anamnesis/admin.quality",
    "anamnesis/admin.access",
    "anamnesis/admin.audit",
    "anamnesis/admin.erase",
];

/// SMART App Launch 2.2, as a resource server gives it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SmartConfiguration {
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    grant_types_supported: Vec<&'static str>,
    scopes_supported: Vec<&'static str>,
    code_challenge_methods_supported: Vec<&'static str>,
    capabilities: Vec<&'static str>,
}

/// RFC 9728
#[derive(Debug, Serialize, ToSchema)]
pub struct ProtectedResource {
    resource: String,
    authorization_servers: Vec<String>,
    scopes_supported: Vec<&'static str>,
    bearer_methods_supported: Vec<&'static str>,
}

/// SMART configuration
///
/// Of the first issuer that has a token endpoint; there is none without one.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, body = SmartConfiguration),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/.well-known/smart-configuration")]
pub async fn read_smart_configuration(app: Data<App>) -> Reply<SmartConfiguration> {
    let with_endpoint = |issuer: &&IssuerConfig| issuer.token_endpoint.is_some();
    let issuer = app.config.issuers.iter().find(with_endpoint).ok_or_else(Problem::not_found)?;
    let launches = issuer.authorization_endpoint.is_some();
    Ok(Json(SmartConfiguration {
        issuer: issuer.issuer.clone(),
        jwks_uri: issuer.jwks_url.clone(),
        authorization_endpoint: issuer.authorization_endpoint.clone(),
        token_endpoint: issuer.token_endpoint.clone().unwrap_or_default(),
        grant_types_supported: match launches {
            true => vec!["authorization_code", "client_credentials"],
            false => vec!["client_credentials"],
        },
        scopes_supported: SCOPES.to_vec(),
        code_challenge_methods_supported: vec!["S256"],
        capabilities: vec!["permission-patient", "permission-user", "permission-v1", "permission-v2"],
    }))
}

/// Protected resource metadata
///
/// What this server calls itself in a token's audience, and whose tokens it takes.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, body = ProtectedResource),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/.well-known/oauth-protected-resource")]
pub async fn read_protected_resource(app: Data<App>) -> Reply<ProtectedResource> {
    let first = app.config.issuers.first().ok_or_else(Problem::not_found)?;
    Ok(Json(ProtectedResource {
        resource: app.config.public_url.clone().unwrap_or_else(|| first.audience.clone()),
        authorization_servers: app.config.issuers.iter().map(|issuer| issuer.issuer.clone()).collect(),
        scopes_supported: SCOPES.to_vec(),
        bearer_methods_supported: vec!["header"],
    }))
}
