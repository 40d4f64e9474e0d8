//! `GET /v1/patients...`: who is in reach, and one patient at a glance.

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::request::{Reader, Reply, RequestId};
use super::shapes::{Aged, Freshness, Span};
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{ContextLine, DocumentKey, PatientContext, PatientId, Timestamp};

const DEFAULT_PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
pub struct PageParameters {
    /// 1 to 200; default 50.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl PageParameters {
    pub fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE);
        if (1..=LARGEST_PAGE).contains(&limit) { Ok(limit) } else { Err(Problem::bad_request("limit_out_of_range")) }
    }

    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PatientsResponse {
    patients: Vec<PatientBody>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PatientBody {
    id: String,
    name: Option<String>,
    birth_date: Option<String>,
    sex: Option<String>,
}

/// List patients
///
/// Those whose demographics the caller may search, by id.
#[utoipa::path(
    tag = "read",
    params(PageParameters),
    responses(
        (status = 200, body = PatientsResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/patients")]
pub async fn list_patients(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    page: Query<PageParameters>,
) -> Reply<PatientsResponse> {
    let limit = page.limit()?;
    let after = page.cursor().map(|name| app.disclose.patient_named(&access, name.to_owned())).transpose()?;
    let found = app.store.patients(&access, after.as_ref().map(PatientId::as_str), limit).await?;
    let outcome = if found.is_empty() { "empty" } else { "success" };
    let row = AuditRow { action: "patients", patient: None, documents: &[], outcome, request_id: request_id.as_str() };
    app.audit(&access, &row).await?;
    let found = app.disclose.patients(&access, found).await?.into_inner();
    let next = if found.len() == limit { found.last().map(|patient| patient.id.to_string()) } else { None };
    let body = |patient: crate::adapters::store::PatientSummary| PatientBody {
        id: patient.id.to_string(),
        name: patient.name,
        birth_date: patient.birth_date,
        sex: patient.sex,
    };
    Ok(Json(PatientsResponse { patients: found.into_iter().map(body).collect(), next }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ContextResponse {
    patient: String,
    demographics: Vec<LineBody>,
    problems: Vec<LineBody>,
    medications: Vec<LineBody>,
    allergies: Vec<LineBody>,
    /// The newest, at most 10.
    results: Vec<LineBody>,
    /// The newest, at most 5.
    contacts: Vec<LineBody>,
    /// The next, at most 5.
    appointments: Vec<LineBody>,
    /// Lists that the token doesn't open.
    omitted: Vec<&'static str>,
    freshness: Freshness,
}

#[derive(Debug, Serialize, ToSchema)]
struct LineBody {
    text: String,
    document: String,
    version: u32,
    span: Span,
    source: String,
    #[serde(flatten)]
    aged: Aged,
}

/// A patient's context
///
/// Standing problems, medications and allergies, recent results and contacts, next appointments: each line
/// cited and aged. Made for CRM and launch pages: it holds no note text.
#[utoipa::path(
    tag = "read",
    params(("id" = String, Path, description = "A patient's id")),
    responses(
        (status = 200, body = ContextResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/patients/{id}/context")]
pub async fn read_context(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    id: Path<String>,
) -> Reply<ContextResponse> {
    let patient = app.disclose.patient_named(&access, id.into_inner())?;
    let found = app.context.run(&access, &patient).await?;
    let documents = found.as_ref().map(|view| keys(&view.context)).unwrap_or_default();
    let row = AuditRow {
        action: "context",
        patient: Some(&patient),
        documents: &documents,
        outcome: if found.is_some() { "success" } else { "empty" },
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    let view = app.disclose.context(&access, found.ok_or_else(Problem::not_found)?).await?;
    let freshness = app.freshness.run(&access)?;
    let now = Timestamp::now();
    let used: Vec<_> = lists(&view.context).into_iter().flatten().map(|line| &line.source).collect();
    let body = |lines: &[ContextLine]| lines.iter().map(|line| LineBody::new(line, now)).collect();
    let context = &view.context;
    Ok(Json(ContextResponse {
        patient: context.patient.to_string(),
        demographics: body(&context.demographics),
        problems: body(&context.problems),
        medications: body(&context.medications),
        allergies: body(&context.allergies),
        results: body(&context.results),
        contacts: body(&context.contacts),
        appointments: body(&context.appointments),
        omitted: view.omitted.clone(),
        freshness: Freshness::of_sources(&freshness, &used),
    }))
}

fn lists(context: &PatientContext) -> [&Vec<ContextLine>; 7] {
    [
        &context.demographics,
        &context.problems,
        &context.medications,
        &context.allergies,
        &context.results,
        &context.contacts,
        &context.appointments,
    ]
}

fn keys(context: &PatientContext) -> Vec<DocumentKey> {
    let mut keys: Vec<DocumentKey> = lists(context).into_iter().flatten().map(|line| line.key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

impl LineBody {
    fn new(line: &ContextLine, now: Timestamp) -> Self {
        Self {
            text: line.text.clone(),
            document: line.key.id.to_string(),
            version: line.key.version,
            span: line.span.into(),
            source: line.source.to_string(),
            aged: Aged::new(line.effective, line.source_time, line.received_at, now),
        }
    }
}
