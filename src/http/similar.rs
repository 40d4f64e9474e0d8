//! `POST /v1/documents/{id}/similar`: documents like one that is known.

use actix_web::post;
use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::FilterRequest;
use super::problem::Problem;
use super::request::{Reader, Reply, RequestId};
use super::shapes::{Aged, Freshness, Span};
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{DocumentKey, Query, QueryError, Timestamp};
use crate::flows::{Similar, SimilarDocument};

const DEFAULT_LIMIT: usize = 10;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarRequest {
    /// Only this patient.
    patient: Option<String>,
    /// 1 to 100; default 10.
    limit: Option<usize>,
    #[serde(default)]
    filters: FilterRequest,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SimilarResponse {
    document: String,
    version: u32,
    /// Most alike first; empty as well while the document is not in the index yet.
    similar: Vec<SimilarBody>,
    freshness: Freshness,
}

#[derive(Debug, Serialize, ToSchema)]
struct SimilarBody {
    document: String,
    version: u32,
    title: String,
    kind: &'static str,
    source: String,
    patient: Option<String>,
    /// Its passage that is most alike.
    text: String,
    span: Span,
    section: Option<String>,
    /// Cosine, -1 to 1.
    score: f32,
    #[serde(flatten)]
    aged: Aged,
}

/// Find similar documents
///
/// Documents within the caller's reach that are most like one the caller may read, each with its passage most alike.
#[utoipa::path(
    tag = "read",
    params(("id" = String, Path, description = "A document's id")),
    request_body = SimilarRequest,
    responses(
        (status = 200, body = SimilarResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/documents/{id}/similar")]
pub async fn find_similar(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    id: Path<String>,
    body: Json<SimilarRequest>,
) -> Reply<SimilarResponse> {
    let request = body.into_inner();
    let filters = app.disclose.filters(&access, request.filters.parse(request.patient)?).await?;
    let id = app.disclose.document_named(&access, id.into_inner())?;
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=Query::MAX_LIMIT).contains(&limit) {
        return Err(QueryError::Limit.into());
    }
    if matches!((filters.from, filters.to), (Some(from), Some(to)) if from > to) {
        return Err(QueryError::DateRange.into());
    }
    let found = app.similar.run(&access, &id, &filters, limit).await?;
    let freshness = app.freshness.run(&access)?;
    let documents = found.as_ref().map(keys).unwrap_or_default();
    let row = AuditRow {
        action: "similar",
        patient: found.as_ref().and_then(|found| found.to.document.patient.as_ref()),
        documents: &documents,
        outcome: if found.is_some() { "success" } else { "not_found" },
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    let found = app.disclose.similar(&access, found.ok_or_else(Problem::not_found)?).await?;
    let now = Timestamp::now();
    let used: Vec<_> = found.documents.iter().map(|similar| &similar.document.source).collect();
    Ok(Json(SimilarResponse {
        document: found.to.key.id.to_string(),
        version: found.to.key.version,
        similar: found.documents.iter().map(|similar| SimilarBody::new(similar, now)).collect(),
        freshness: Freshness::of_sources(&freshness, &used),
    }))
}

/// The document asked about, and those that leave.
fn keys(found: &Similar) -> Vec<DocumentKey> {
    let similar = found.documents.iter().map(|similar| similar.document.key.clone());
    std::iter::once(found.to.key.clone()).chain(similar).collect()
}

impl SimilarBody {
    fn new(similar: &SimilarDocument, now: Timestamp) -> Self {
        let (stored, chunk) = (&similar.document, &similar.chunk);
        Self {
            document: stored.key.id.to_string(),
            version: stored.key.version,
            title: stored.document.title.clone(),
            kind: stored.document.kind.as_str(),
            source: stored.source.to_string(),
            patient: stored.document.patient.as_ref().map(|patient| patient.to_string()),
            text: chunk.span.of(&stored.document.text).unwrap_or_default().to_owned(),
            span: chunk.span.into(),
            section: chunk.section.clone(),
            score: similar.score,
            aged: Aged::of_document(stored, now),
        }
    }
}
