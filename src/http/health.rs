//! Liveness and readiness; they need no token and say nothing of any record.

use actix_web::get;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::Reply;
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
pub struct HealthResponse {
    status: &'static str,
}

/// Live
///
/// The process answers.
#[utoipa::path(tag = "health", responses((status = 200, body = HealthResponse)))]
#[get("/health/live")]
pub async fn read_live() -> Reply<HealthResponse> {
    Ok(Json(HealthResponse { status: "live" }))
}

/// Ready
///
/// The store answers and tokens can be verified.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, body = HealthResponse),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/health/ready")]
pub async fn read_ready(app: Data<App>) -> Reply<HealthResponse> {
    let unready = |what: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready").detail(what).retry_after_s(5);
    app.store.ping().await.map_err(|_| unready("the store doesn't answer"))?;
    if !app.verifier.is_ready() {
        return Err(unready("an issuer's keys can't be had"));
    }
    Ok(Json(HealthResponse { status: "ready" }))
}
