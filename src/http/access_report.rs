//! `GET /v1/patients/{id}/access-report`: who saw a patient's records, for that patient.

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::{Reply, RequestId};
use crate::access::Access;
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{AuditRecord, PatientId};

#[derive(Debug, Serialize, ToSchema)]
pub struct AccessReportResponse {
    patient: String,
    /// The newest 1,000, newest first.
    accesses: Vec<AccessBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AccessBody {
    at: String,
    /// The `sub` of whoever it was.
    who: String,
    client: Option<String>,
    purpose: Option<String>,
    /// `search`, `answer`, `document`, ...
    what: String,
    outcome: String,
    /// Whether it was an emergency, in which more is seen than otherwise.
    emergency: bool,
    /// How many document versions left.
    documents: usize,
}

/// Who saw my records
///
/// For the patient whom the token was launched for; for anybody else there is none.
#[utoipa::path(
    tag = "read",
    params(("id" = String, Path, description = "A patient's id")),
    responses(
        (status = 200, body = AccessReportResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/patients/{id}/access-report")]
pub async fn read_access_report(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    id: Path<String>,
) -> Reply<AccessReportResponse> {
    let patient = PatientId::new(id.into_inner());
    let found = app.audit_trail.report(&access, &patient).await?;
    let row = AuditRow {
        action: "access_report",
        patient: Some(&patient),
        documents: &[],
        outcome: if found.is_some() { "success" } else { "not_found" },
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    let records = found.ok_or_else(Problem::not_found)?;
    Ok(Json(AccessReportResponse {
        patient: patient.to_string(),
        accesses: records.into_iter().map(AccessBody::from).collect(),
    }))
}

impl From<AuditRecord> for AccessBody {
    fn from(record: AuditRecord) -> Self {
        Self {
            at: record.at.to_string(),
            documents: record.document_keys().len(),
            emergency: record.class == "break_glass",
            who: record.caller,
            client: record.client,
            purpose: record.purpose,
            what: record.action,
            outcome: record.outcome,
        }
    }
}
