//! Health and metrics on a port of their own, for machines that watch.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use super::problem::Problem;
use crate::access::Upkeep;
use crate::app::App;

#[get("/health")]
pub async fn health(app: Data<App>) -> Result<HttpResponse, Problem> {
    app.store.ping().await?;
    Ok(HttpResponse::Ok().content_type("text/plain").body("ok\n"))
}

#[get("/metrics")]
pub async fn metrics(app: Data<App>, upkeep: Data<Upkeep>) -> Result<HttpResponse, Problem> {
    app.freshness.measure(&upkeep).await?;
    let text = app.metrics.render().map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text))
}
