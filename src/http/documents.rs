//! `GET /v1/documents/...`: a document version as text, and the bytes it came from.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::request::{Reader, Reply, RequestId};
use super::shapes::{Aged, Span};
use crate::access::Access;
use crate::adapters::store::{AuditRow, StoreError};
use crate::app::App;
use crate::domain::{DocumentId, DocumentKey, Format, StoredDocument, Timestamp};
use crate::flows::Disclosed;

#[derive(Debug, Deserialize, IntoParams)]
pub struct VersionParameter {
    /// Default: the latest.
    version: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentResponse {
    document: String,
    version: u32,
    /// Whether no later version stands above it.
    latest: bool,
    title: String,
    kind: &'static str,
    resource_type: String,
    source: String,
    patient: Option<String>,
    encounter: Option<String>,
    author: Option<String>,
    status: &'static str,
    /// Normalized text; spans count its bytes.
    text: String,
    sections: Vec<SectionBody>,
    #[serde(flatten)]
    aged: Aged,
}

#[derive(Debug, Serialize, ToSchema)]
struct SectionBody {
    title: String,
    span: Span,
}

/// Read a document
///
/// The latest version or a named one, as normalized text with its sections.
#[utoipa::path(
    tag = "read",
    params(("id" = String, Path, description = "A document's id"), VersionParameter),
    responses(
        (status = 200, body = DocumentResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/documents/{id}")]
pub async fn read_document(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    id: Path<String>,
    parameter: Query<VersionParameter>,
) -> Reply<DocumentResponse> {
    let id = app.disclose.document_named(&access, id.into_inner())?;
    let found = find(&app, &access, id, parameter.version).await?;
    record(&app, &access, "document", found.as_ref(), &request_id).await?;
    let stored = found.ok_or_else(Problem::not_found)?;
    Ok(Json(DocumentResponse::new(&app.disclose.document(&access, stored).await?)))
}

/// Read a document's original
///
/// The record's bytes exactly as they came.
#[utoipa::path(
    tag = "read",
    params(("id" = String, Path, description = "A document's id"), VersionParameter),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/documents/{id}/original")]
pub async fn read_original(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    id: Path<String>,
    parameter: Query<VersionParameter>,
) -> Result<HttpResponse, Problem> {
    let found = find(&app, &access, DocumentId::new(id.into_inner()), parameter.version).await?;
    record(&app, &access, "original", found.as_ref(), &request_id).await?;
    let stored = found.ok_or_else(Problem::not_found)?;
    let original = app.originals.run(&access, &stored.key).await.map_err(|error| Problem::internal(&error))?;
    let (format, bytes) = original.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type(format)))
        .insert_header((CONTENT_DISPOSITION, "attachment"))
        .body(bytes))
}

async fn find(
    app: &App,
    access: &Access,
    id: DocumentId,
    version: Option<u32>,
) -> Result<Option<StoredDocument>, StoreError> {
    match version {
        Some(version) => app.store.document_version(access, &DocumentKey { id, version }).await,
        None => app.store.document(access, &id).await,
    }
}

/// What was asked for and not within reach is recorded too: guessing leaves a trace.
async fn record(
    app: &App,
    access: &Access,
    action: &'static str,
    found: Option<&StoredDocument>,
    request_id: &RequestId,
) -> Result<(), StoreError> {
    let row = AuditRow {
        action,
        patient: found.and_then(|stored| stored.document.patient.as_ref()),
        documents: found.map(|stored| std::slice::from_ref(&stored.key)).unwrap_or_default(),
        outcome: if found.is_some() { "success" } else { "not_found" },
        request_id: request_id.as_str(),
    };
    app.audit(access, &row).await
}

fn content_type(format: Format) -> &'static str {
    match format {
        // One line of it, one object of it.
        Format::FhirNdjson => Format::FhirJson.media_type(),
        Format::MappedJson => "application/json",
        // A sender's page is shown as it was written, never run.
        Format::Html => Format::Text.media_type(),
        other => other.media_type(),
    }
}

impl DocumentResponse {
    fn new(stored: &Disclosed<StoredDocument>) -> Self {
        let document = &stored.document;
        let section =
            |section: &crate::domain::Section| SectionBody { title: section.title.clone(), span: section.span.into() };
        Self {
            document: stored.key.id.to_string(),
            version: stored.key.version,
            latest: stored.is_latest,
            title: document.title.clone(),
            kind: document.kind.as_str(),
            resource_type: document.resource_type.clone(),
            source: stored.source.to_string(),
            patient: document.patient.as_ref().map(|patient| patient.to_string()),
            encounter: document.encounter.clone(),
            author: document.author.clone(),
            status: document.status.as_str(),
            text: document.text.clone(),
            sections: document.sections.iter().map(section).collect(),
            aged: Aged::of_document(stored, Timestamp::now()),
        }
    }
}
