//! Reindexing as durable jobs: ask, watch, cancel.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Access, Operation};
use crate::app::App;
use crate::domain::{DocumentId, Job, JobId, PatientId, ReindexTarget, SourceId};
use crate::http::problem::Problem;
use crate::http::request::Reply;

const NEWEST: i64 = 50;

/// What to derive again: everything, or what `id` names.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetBody {
    /// `all`, `source`, `patient` or `document`.
    scope: String,
    /// Needed unless the scope is `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JobBody {
    id: String,
    target: TargetBody,
    /// `queued`, `running`, `done`, `failed`, `cancelled`.
    state: &'static str,
    /// Documents.
    done: u64,
    total: u64,
    error: Option<String>,
    created_at: String,
    ended_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JobsResponse {
    /// The newest 50, newest first.
    jobs: Vec<JobBody>,
}

/// Reindex
///
/// Queues a job that derives the index again from the store, beside the one in service, and swaps it in.
#[utoipa::path(
    tag = "admin",
    request_body = TargetBody,
    responses(
        (status = 202, body = JobBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/admin/reindex")]
pub async fn queue_reindex(app: Data<App>, access: Access, body: Json<TargetBody>) -> Result<HttpResponse, Problem> {
    let permit = access.permit(Operation::Reindex)?;
    let target = body.into_inner().parse()?;
    let job = app.store.queue_job(&permit, &target).await?;
    app.wake.send_replace(());
    Ok(HttpResponse::Accepted().json(JobBody::from(job)))
}

/// List jobs
#[utoipa::path(
    tag = "admin",
    responses(
        (status = 200, body = JobsResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/jobs")]
pub async fn list_jobs(app: Data<App>, access: Access) -> Reply<JobsResponse> {
    let permit = access.permit(Operation::Reindex)?;
    let jobs = app.store.jobs(&permit, NEWEST).await?;
    Ok(Json(JobsResponse { jobs: jobs.into_iter().map(JobBody::from).collect() }))
}

/// A job
#[utoipa::path(
    tag = "admin",
    params(("id" = String, Path, description = "A job's id")),
    responses(
        (status = 200, body = JobBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/jobs/{id}")]
pub async fn read_job(app: Data<App>, access: Access, id: Path<String>) -> Reply<JobBody> {
    let permit = access.permit(Operation::Reindex)?;
    let job = app.store.job(&permit, &JobId::new(id.into_inner())).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(JobBody::from(job)))
}

/// Cancel a job
///
/// It stops between two batches; what serves stays as it is.
#[utoipa::path(
    tag = "admin",
    params(("id" = String, Path, description = "A job's id")),
    responses(
        (status = 200, body = JobBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/admin/jobs/{id}/cancel")]
pub async fn cancel_job(app: Data<App>, access: Access, id: Path<String>) -> Reply<JobBody> {
    let permit = access.permit(Operation::Reindex)?;
    let job = app.store.cancel_job(&permit, &JobId::new(id.into_inner())).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(JobBody::from(job)))
}

impl TargetBody {
    fn parse(self) -> Result<ReindexTarget, Problem> {
        match (self.scope.as_str(), self.id) {
            ("all", None) => Ok(ReindexTarget::All),
            ("source", Some(id)) => Ok(ReindexTarget::Source(SourceId::new(id))),
            ("patient", Some(id)) => Ok(ReindexTarget::Patient(PatientId::new(id))),
            ("document", Some(id)) => Ok(ReindexTarget::Document(DocumentId::new(id))),
            _ => Err(Problem::bad_request("reindex_target_invalid")
                .detail("scope is all, or source, patient or document with an id")),
        }
    }
}

impl From<&ReindexTarget> for TargetBody {
    fn from(target: &ReindexTarget) -> Self {
        let (scope, id) = match target {
            ReindexTarget::All => ("all", None),
            ReindexTarget::Source(id) => ("source", Some(id.to_string())),
            ReindexTarget::Patient(id) => ("patient", Some(id.to_string())),
            ReindexTarget::Document(id) => ("document", Some(id.to_string())),
        };
        Self { scope: scope.to_owned(), id }
    }
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        Self {
            id: job.id.to_string(),
            target: TargetBody::from(&job.target),
            state: job.state.as_str(),
            done: job.done,
            total: job.total,
            error: job.error,
            created_at: job.created_at.to_string(),
            ended_at: job.ended_at.map(|time| time.to_string()),
        }
    }
}
