//! Quality findings: what records lack, by element path.

use actix_web::get;
use actix_web::web::{Data, Json, Query};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Access, Operation};
use crate::app::App;
use crate::http::patients::PageParameters;
use crate::http::problem::Problem;
use crate::http::request::Reply;

#[derive(Debug, Serialize, ToSchema)]
pub struct FindingsResponse {
    items: Vec<FindingBody>,
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct FindingBody {
    source: String,
    document: Option<String>,
    /// Stable: `required_field`, `invalid_date`, `code_format`, `unresolved_reference`, ...
    rule: String,
    /// `warning` or `error`.
    severity: String,
    /// Element path, never a value.
    path: String,
    found_at: String,
}

/// List findings
#[utoipa::path(
    tag = "admin",
    params(PageParameters),
    responses(
        (status = 200, body = FindingsResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/findings")]
pub async fn list_findings(app: Data<App>, access: Access, page: Query<PageParameters>) -> Reply<FindingsResponse> {
    let permit = access.permit(Operation::Quality)?;
    let limit = page.limit()?;
    let found = app.store.findings(&permit, page.cursor(), limit as i64).await?;
    let next = if found.len() == limit { found.last().map(|finding| finding.cursor.clone()) } else { None };
    let items = found
        .into_iter()
        .map(|finding| FindingBody {
            source: finding.source,
            document: finding.document,
            rule: finding.rule,
            severity: finding.severity,
            path: finding.path,
            found_at: finding.found_at.to_string(),
        })
        .collect();
    Ok(Json(FindingsResponse { items, next }))
}
