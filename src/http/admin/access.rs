//! Who reaches whom: care teams' lists, and what is taken back.

use std::collections::BTreeSet;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, Operation, Revoked};
use crate::adapters::store::GlassReport;
use crate::app::App;
use crate::domain::PatientId;
use crate::http::problem::Problem;
use crate::http::request::Reply;

const LONGEST_ROSTER: usize = 20_000;
const NEWEST: i64 = 200;

/// The patients that a caller's `user/` scopes reach.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RosterBody {
    /// At most 20,000; none at all is a list that reaches nobody.
    patients: Vec<String>,
}

/// What to take back: exactly one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// A token's `jti`.
    token: Option<String>,
    /// A `sub`: every token that it was issued until now.
    caller: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BreakGlassReport {
    /// The newest 200, newest first.
    grants: Vec<GrantReport>,
}

#[derive(Debug, Serialize, ToSchema)]
struct GrantReport {
    grant: String,
    caller: String,
    client: Option<String>,
    patient: String,
    purpose: String,
    reason: String,
    facility: Option<String>,
    categories: Vec<String>,
    opened_at: String,
    expires_at: String,
}

/// Set a care team's list
///
/// Whom the caller's `user/` scopes reach, from the next request on. A `patients` claim bounds it further.
#[utoipa::path(
    tag = "admin",
    params(("caller" = String, Path, description = "A token's `sub`")),
    request_body = RosterBody,
    responses(
        (status = 200, body = RosterBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[put("/v1/admin/rosters/{caller}")]
pub async fn set_roster(
    app: Data<App>,
    access: Access,
    caller: Path<String>,
    body: Json<RosterBody>,
) -> Reply<RosterBody> {
    let permit = access.permit(Operation::Access)?;
    let listed = body.into_inner().patients;
    if listed.len() > LONGEST_ROSTER {
        return Err(Problem::bad_request("roster_too_long"));
    }
    let patients: BTreeSet<PatientId> = listed.into_iter().map(PatientId::new).collect();
    app.store.set_roster(&permit, &caller, Some(&patients)).await?;
    Ok(Json(RosterBody { patients: patients.iter().map(|patient| patient.to_string()).collect() }))
}

/// A care team's list
#[utoipa::path(
    tag = "admin",
    params(("caller" = String, Path, description = "A token's `sub`")),
    responses(
        (status = 200, body = RosterBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/rosters/{caller}")]
pub async fn read_roster(app: Data<App>, access: Access, caller: Path<String>) -> Reply<RosterBody> {
    let permit = access.permit(Operation::Access)?;
    let patients = app.store.roster(&permit, &caller).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(RosterBody { patients }))
}

/// Remove a care team's list
///
/// The caller then reaches what a caller without a list does.
#[utoipa::path(
    tag = "admin",
    params(("caller" = String, Path, description = "A token's `sub`")),
    responses(
        (status = 204, description = "There is no list"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[delete("/v1/admin/rosters/{caller}")]
pub async fn remove_roster(app: Data<App>, access: Access, caller: Path<String>) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Access)?;
    app.store.set_roster(&permit, &caller, None).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Revoke tokens
///
/// One by its id, or all that a caller was issued until now; refused from the next request on.
#[utoipa::path(
    tag = "admin",
    request_body = RevocationRequest,
    responses(
        (status = 204, description = "They open nothing any more"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/admin/revocations")]
pub async fn revoke(app: Data<App>, access: Access, body: Json<RevocationRequest>) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Access)?;
    let what = match body.into_inner() {
        RevocationRequest { token: Some(token), caller: None } => Revoked::Token(token),
        RevocationRequest { token: None, caller: Some(caller) } => Revoked::Caller(caller),
        _ => return Err(Problem::bad_request("revocation_invalid").detail("name a token or a caller")),
    };
    app.store.revoke(&permit, &what).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Broken glasses
///
/// For privacy staff: who broke the glass over whom, and why.
#[utoipa::path(
    tag = "admin",
    responses(
        (status = 200, body = BreakGlassReport),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/break-glass")]
pub async fn list_break_glass(app: Data<App>, access: Access) -> Reply<BreakGlassReport> {
    let permit = access.permit(Operation::Audit)?;
    let grants = app.store.glasses(&permit, NEWEST).await?;
    Ok(Json(BreakGlassReport { grants: grants.into_iter().map(GrantReport::from).collect() }))
}

impl From<GlassReport> for GrantReport {
    fn from(report: GlassReport) -> Self {
        Self {
            grant: report.glass.id,
            caller: report.glass.caller,
            client: report.client,
            patient: report.glass.patient.to_string(),
            purpose: report.glass.purpose,
            reason: report.reason,
            facility: report.facility,
            categories: report.glass.categories.into_iter().collect(),
            opened_at: report.opened_at.to_string(),
            expires_at: report.glass.expires_at.to_string(),
        }
    }
}
