//! The audit trail, for auditors.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::{Access, Operation};
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::PatientId;
use crate::http::problem::Problem;
use crate::http::request::RequestId;

#[derive(Debug, Deserialize, IntoParams)]
pub struct AuditParameters {
    /// Rows after this number; default: from the beginning.
    after: Option<i64>,
    /// Only what is about this patient.
    patient: Option<String>,
}

/// The audit trail
///
/// The tenant's rows as FHIR R4 AuditEvents, 500 to a page, in the order they were written.
#[utoipa::path(
    tag = "admin",
    params(AuditParameters),
    responses(
        (status = 200, description = "A Bundle of AuditEvents", content_type = "application/fhir+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/audit")]
pub async fn read_audit(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    parameters: Query<AuditParameters>,
) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Audit)?;
    let patient = parameters.patient.as_deref().map(PatientId::new);
    let events = app.audit_trail.events(&permit, parameters.after.unwrap_or(0), patient.as_ref()).await?;
    let row = AuditRow {
        action: "admin_audit",
        patient: patient.as_ref(),
        documents: &[],
        outcome: "success",
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/fhir+json")).body(events.to_string()))
}
