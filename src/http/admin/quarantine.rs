//! What could not be read: look at it, and read it again.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, get, post};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, Operation};
use crate::adapters::store::{AuditRow, QuarantineItem};
use crate::app::App;
use crate::domain::QuarantineId;
use crate::http::patients::PageParameters;
use crate::http::problem::Problem;
use crate::http::request::{Reply, RequestId};

#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineResponse {
    items: Vec<ItemBody>,
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ItemBody {
    id: String,
    source: String,
    receipt: String,
    /// Which record of the delivery.
    ordinal: u32,
    /// Stable: `malformed_json`, `invalid_utf8`, ...
    reason: String,
    /// A position or a field, never content.
    detail: String,
    bytes: u64,
    quarantined_at: String,
    /// `held` or `replayed`.
    state: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayResponse {
    /// `replayed` or `held`.
    state: &'static str,
    /// Why it is still held.
    reason: Option<&'static str>,
}

/// List quarantine
#[utoipa::path(
    tag = "admin",
    params(PageParameters),
    responses(
        (status = 200, body = QuarantineResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/quarantine")]
pub async fn list_quarantine(app: Data<App>, access: Access, page: Query<PageParameters>) -> Reply<QuarantineResponse> {
    let permit = access.permit(Operation::Quarantine)?;
    let limit = page.limit()?;
    let items = app.store.quarantine(&permit, page.cursor(), limit as i64).await?;
    let next = if items.len() == limit { items.last().map(|item| item.id.to_string()) } else { None };
    Ok(Json(QuarantineResponse { items: items.into_iter().map(ItemBody::from).collect(), next }))
}

/// A quarantined record's bytes
///
/// Exactly as they came. They may be any patient's: the read is audited.
#[utoipa::path(
    tag = "admin",
    params(("id" = String, Path, description = "A quarantined record's id")),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/quarantine/{id}/bytes")]
pub async fn read_quarantined_bytes(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Quarantine)?;
    let id = QuarantineId::new(id.into_inner());
    let bytes = app.store.quarantined_bytes(&permit, &id).await?.ok_or_else(Problem::not_found)?;
    let row = AuditRow {
        action: "quarantine_bytes",
        patient: None,
        documents: &[],
        outcome: "success",
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, "attachment"))
        .body(bytes))
}

/// Replay a quarantined record
///
/// Reads it again, with what the code and the source's description are now.
#[utoipa::path(
    tag = "admin",
    params(("id" = String, Path, description = "A quarantined record's id")),
    responses(
        (status = 200, body = ReplayResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/admin/quarantine/{id}/replay")]
pub async fn replay_quarantined(app: Data<App>, access: Access, id: Path<String>) -> Reply<ReplayResponse> {
    let permit = access.permit(Operation::Quarantine)?;
    let held = app.replay.run(&permit, &QuarantineId::new(id.into_inner())).await?;
    app.wake.send_replace(());
    Ok(Json(ReplayResponse {
        state: if held.is_some() { "held" } else { "replayed" },
        reason: held.map(|reason| reason.as_str()),
    }))
}

impl From<QuarantineItem> for ItemBody {
    fn from(item: QuarantineItem) -> Self {
        Self {
            id: item.id.to_string(),
            source: item.source,
            receipt: item.receipt.to_string(),
            ordinal: item.ordinal,
            reason: item.reason,
            detail: item.detail,
            bytes: item.size,
            quarantined_at: item.quarantined_at.to_string(),
            state: item.state.as_str(),
        }
    }
}
