//! Erasing a patient, and legal holds that forbid it.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, delete, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, Operation};
use crate::adapters::store::{AuditRow, ErasureRefused};
use crate::app::App;
use crate::domain::{Certificate, Erasure, ErasureState, PatientId};
use crate::http::problem::Problem;
use crate::http::request::{Reply, RequestId};

const LONGEST_REASON: usize = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    patient: String,
    /// Why, in words that name nobody; kept with the certificate.
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureResponse {
    id: String,
    /// Every id that the person goes by.
    patients: Vec<String>,
    /// `under_way` (nobody sees anything of them any more), `done`, `incomplete`.
    state: &'static str,
    reason: String,
    requested_by: String,
    requested_at: String,
    /// What was removed, once it was.
    certificate: Option<CertificateBody>,
}

/// Counts of what was removed, signed with the key of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
struct CertificateBody {
    completed_at: String,
    documents: u64,
    versions: u64,
    facts: u64,
    findings: u64,
    deliveries_searched: u64,
    deliveries_cut: u64,
    deliveries_emptied: u64,
    records: u64,
    quarantined: u64,
    embeddings: u64,
    /// Deliveries that could never be read and name the patient, kept for a person to look at.
    unresolved: u64,
    /// Index, database and log were written anew.
    rewritten: bool,
    signature: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LegalHoldBody {
    reason: String,
}

/// Erase a patient
///
/// From the next request on nobody sees anything of them. Then documents, facts, deliveries' bytes, quarantine, vectors
/// and index go, and database and log are written anew; ask `GET /v1/admin/erasures/{id}` for the certificate.
#[utoipa::path(
    tag = "admin",
    request_body = ErasureRequest,
    responses(
        (status = 202, body = ErasureResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/admin/erasures")]
pub async fn erase_patient(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    body: Json<ErasureRequest>,
) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Erase)?;
    let asked = body.into_inner();
    if asked.patient.is_empty() || asked.reason.trim().is_empty() || asked.reason.len() > LONGEST_REASON {
        return Err(Problem::bad_request("erasure_invalid").detail("name a patient and a reason"));
    }
    let patient = PatientId::new(asked.patient);
    // Recorded before it is done: what happened afterwards is told by the certificate.
    let row = AuditRow {
        action: "admin_erase",
        patient: Some(&patient),
        documents: &[],
        outcome: "success",
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    let erasure = app.store.request_erasure(&permit, &patient, asked.reason.trim()).await?;
    app.wake.send_replace(());
    Ok(HttpResponse::Accepted().json(ErasureResponse::from(erasure)))
}

/// An erasure
#[utoipa::path(
    tag = "admin",
    params(("id" = String, Path, description = "An erasure's id")),
    responses(
        (status = 200, body = ErasureResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/erasures/{id}")]
pub async fn read_erasure(app: Data<App>, access: Access, id: Path<String>) -> Reply<ErasureResponse> {
    let permit = access.permit(Operation::Erase)?;
    let erasure = app.store.erasure(&permit, &id).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(ErasureResponse::from(erasure)))
}

/// Place a legal hold
///
/// The patient can't be erased until it is lifted.
#[utoipa::path(
    tag = "admin",
    params(("patient" = String, Path, description = "A patient's id")),
    request_body = LegalHoldBody,
    responses(
        (status = 200, body = LegalHoldBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[put("/v1/admin/legal-holds/{patient}")]
pub async fn place_legal_hold(
    app: Data<App>,
    access: Access,
    patient: Path<String>,
    body: Json<LegalHoldBody>,
) -> Reply<LegalHoldBody> {
    let permit = access.permit(Operation::Erase)?;
    if body.reason.trim().is_empty() || body.reason.len() > LONGEST_REASON {
        return Err(Problem::bad_request("legal_hold_invalid").detail("give a reason"));
    }
    app.store.set_legal_hold(&permit, &PatientId::new(patient.into_inner()), Some(&body.reason)).await?;
    Ok(body)
}

/// Lift a legal hold
#[utoipa::path(
    tag = "admin",
    params(("patient" = String, Path, description = "A patient's id")),
    responses(
        (status = 204, description = "There is no hold"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[delete("/v1/admin/legal-holds/{patient}")]
pub async fn lift_legal_hold(app: Data<App>, access: Access, patient: Path<String>) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Erase)?;
    app.store.set_legal_hold(&permit, &PatientId::new(patient.into_inner()), None).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl From<Erasure> for ErasureResponse {
    fn from(erasure: Erasure) -> Self {
        Self {
            id: erasure.id,
            patients: erasure.patients.iter().map(|patient| patient.to_string()).collect(),
            state: erasure.state.as_str(),
            reason: erasure.reason,
            requested_by: erasure.requested_by,
            requested_at: erasure.requested_at.to_string(),
            certificate: erasure
                .certificate
                .filter(|_| erasure.state != ErasureState::UnderWay)
                .map(CertificateBody::from),
        }
    }
}

impl From<Certificate> for CertificateBody {
    fn from(certificate: Certificate) -> Self {
        Self {
            completed_at: certificate.completed_at,
            documents: certificate.documents,
            versions: certificate.versions,
            facts: certificate.facts,
            findings: certificate.findings,
            deliveries_searched: certificate.deliveries_searched,
            deliveries_cut: certificate.deliveries_cut,
            deliveries_emptied: certificate.deliveries_emptied,
            records: certificate.records,
            quarantined: certificate.quarantined,
            embeddings: certificate.embeddings,
            unresolved: certificate.unresolved,
            rewritten: certificate.rewritten,
            signature: certificate.signature,
        }
    }
}

impl From<ErasureRefused> for Problem {
    fn from(refused: ErasureRefused) -> Self {
        match refused {
            ErasureRefused::LegalHold => Problem::new(StatusCode::CONFLICT, "legal_hold").detail(refused),
            ErasureRefused::Store(error) => error.into(),
        }
    }
}
