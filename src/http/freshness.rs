//! `GET /v1/freshness`: how old each feed and the index are.

use actix_web::get;
use actix_web::web::{Data, Json};

use super::problem::Problem;
use super::request::{Reader, Reply, RequestId};
use super::shapes::Freshness;
use crate::adapters::store::AuditRow;
use crate::app::App;

/// Freshness
///
/// Per source and for the index; holds no patient data.
#[utoipa::path(
    tag = "read",
    responses(
        (status = 200, body = Freshness),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/freshness")]
pub async fn read_freshness(app: Data<App>, access: Reader, request_id: RequestId) -> Reply<Freshness> {
    let row = AuditRow {
        action: "freshness",
        patient: None,
        documents: &[],
        outcome: "success",
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    Ok(Json(Freshness::from(&app.freshness.run(&access)?)))
}
