//! `POST /v1/break-glass`: what an emergency opens, for whom, how long, and why.

use std::collections::BTreeSet;

use actix_web::post;
use actix_web::web::{Data, Json};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::problem::Problem;
use super::request::{Reply, RequestId};
use crate::access::{Access, Glass};
use crate::adapters::store::{AuditRow, GlassReport};
use crate::app::App;
use crate::domain::{PatientId, Timestamp};

const SHORTEST_REASON: usize = 10;
const LONGEST_REASON: usize = 1_000;
const DEFAULT_MINUTES: u16 = 15;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRequest {
    patient: String,
    /// `ETREAT` (emergency treatment) or `BTG` (break the glass).
    purpose: String,
    /// In words, 10 to 1,000 characters; kept for privacy staff.
    reason: String,
    /// Where the caller works, which 42 CFR 2.51 asks for.
    facility: Option<String>,
    /// Labels to see for this patient: `R`, `PSY`, `SUD`, ...
    #[serde(default)]
    categories: BTreeSet<String>,
    /// 1 to 60; default 15.
    minutes: Option<u16>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BreakGlassResponse {
    /// Send it as `X-Break-Glass` with each request that is made under it.
    grant: String,
    patient: String,
    categories: BTreeSet<String>,
    expires_at: String,
}

/// Break the glass
///
/// For users whose token reads: adds one patient to the caller's list and lifts the labels named, for a while. Never
/// for psychotherapy notes or very restricted records. Each read under it is audited as such, and reported.
#[utoipa::path(
    tag = "read",
    request_body = BreakGlassRequest,
    responses(
        (status = 200, body = BreakGlassResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/break-glass")]
pub async fn break_glass(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    body: Json<BreakGlassRequest>,
) -> Reply<BreakGlassResponse> {
    if !access.may_break_glass() {
        return Err(Problem::new(actix_web::http::StatusCode::FORBIDDEN, "scope_missing")
            .detail("only a user's own token, with a user/ scope that reads, breaks a glass"));
    }
    let report = read(&access, body.into_inner())?;
    app.store.open_glass(&access, &report).await?;
    let row = AuditRow {
        action: "break_glass",
        patient: Some(&report.glass.patient),
        documents: &[],
        outcome: "success",
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    tracing::warn!(grant = report.glass.id, "a glass was broken");
    Ok(Json(BreakGlassResponse {
        grant: report.glass.id,
        patient: report.glass.patient.to_string(),
        categories: report.glass.categories,
        expires_at: report.glass.expires_at.to_string(),
    }))
}

fn read(access: &Access, asked: BreakGlassRequest) -> Result<GlassReport, Problem> {
    let invalid = |why: &str| Problem::bad_request("break_glass_invalid").detail(why);
    let reason = asked.reason.trim();
    if !(SHORTEST_REASON..=LONGEST_REASON).contains(&reason.chars().count()) {
        return Err(invalid("give a reason of 10 to 1,000 characters"));
    }
    if !Glass::PURPOSES.contains(&asked.purpose.as_str()) {
        return Err(invalid("the purpose is ETREAT or BTG"));
    }
    let minutes = asked.minutes.unwrap_or(DEFAULT_MINUTES);
    if !(1..=60).contains(&minutes) {
        return Err(invalid("minutes are 1 to 60"));
    }
    let is_word = |label: &String| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if asked.patient.is_empty() || !asked.categories.iter().all(|label| is_word(label) && Glass::may_lift(label)) {
        return Err(invalid("name a patient, and categories that an emergency may open"));
    }
    let now = Timestamp::now();
    Ok(GlassReport {
        glass: Glass {
            id: Uuid::new_v4().simple().to_string(),
            tenant: access.tenant().clone(),
            caller: access.caller().to_owned(),
            patient: PatientId::new(asked.patient),
            purpose: asked.purpose,
            categories: asked.categories,
            expires_at: now.plus(SignedDuration::from_mins(i64::from(minutes))),
        },
        client: access.client().map(str::to_owned),
        reason: reason.to_owned(),
        facility: asked.facility,
        opened_at: now,
    })
}
