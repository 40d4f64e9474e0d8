//! `POST /v1/sources/{source}/records` and `GET /v1/receipts/{id}`: records in, and how they fared.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, get, post};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::request::{self, Reply};
use crate::access::{Access, Operation};
use crate::adapters::store::{Receipt, ReceiptState};
use crate::app::App;
use crate::domain::{Account, Format, ReceiptId, SourceId};
use crate::flows::Admission;

#[derive(Debug, Deserialize, IntoParams)]
pub struct RecordParameters {
    /// The sender's key for a note that has none in its front matter.
    key: Option<String>,
    /// Tell what the records would come to, and write nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LandedResponse {
    /// Ask `GET /v1/receipts/{receipt}` how it fares.
    receipt: String,
    /// Always `landed`: the bytes are on disk.
    state: &'static str,
}

/// What the records would come to. Nothing was written, not even that they came.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewResponse {
    /// Always true.
    dry_run: bool,
    account: AccountBody,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptResponse {
    receipt: String,
    source: String,
    /// `landed`, `normalized` (in the store), `indexed` (searchable), `failed` (set aside, and in quarantine).
    state: &'static str,
    received_at: String,
    /// The last change it made; null while landed, or when it changed nothing.
    change: Option<i64>,
    account: Option<AccountBody>,
    /// Why it was set aside; else null.
    failure: Option<String>,
}

/// What became of each record; `records` is the sum of `stored`, `unchanged`, `stale`, `removed`,
/// `carrying_nothing` and `quarantined`.
#[derive(Debug, Serialize, ToSchema)]
struct AccountBody {
    records: u64,
    stored: u64,
    /// Document versions stored: `added` and `changed`.
    documents: u64,
    /// Documents that were not held before.
    added: u64,
    /// Documents that replaced an earlier version.
    changed: u64,
    facts: u64,
    unchanged: u64,
    /// Older than what is held.
    stale: u64,
    removed: u64,
    carrying_nothing: std::collections::BTreeMap<String, u64>,
    quarantined: std::collections::BTreeMap<String, u64>,
    findings: u64,
}

/// Send records
///
/// FHIR R4 JSON (`application/fhir+json`, `application/json`) or NDJSON (`application/fhir+ndjson`,
/// `application/x-ndjson`), notes (`text/plain`, `text/markdown`), CRM rows (`text/csv`,
/// `application/vnd.anamnesis.crm+json`) by the source's mapping. The answer follows the durable write;
/// what can't be read is kept in quarantine with its reason. With `dry_run=true` nothing is written: the answer
/// is 200 with the account of what would be added, changed, removed, unchanged, stale and quarantined.
#[utoipa::path(
    tag = "ingest",
    params(("source" = String, Path, description = "A declared source"), RecordParameters),
    request_body(content = String, content_type = "application/fhir+json"),
    responses(
        (status = 200, body = PreviewResponse),
        (status = 202, body = LandedResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/sources/{source}/records")]
pub async fn receive_records(
    app: Data<App>,
    access: Access,
    request: HttpRequest,
    source: Path<String>,
    parameters: Query<RecordParameters>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let source = SourceId::parse(&source).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "unknown_source").detail("a source has lower-case letters, digits, dashes")
    })?;
    let permit = access.permit(Operation::Ingest(source.clone()))?;
    let format = format(&request)?;
    let RecordParameters { key, dry_run } = parameters.into_inner();
    let (bytes, _room) = admitted_body(&app, &request, body).await?;
    if dry_run {
        let account = app.ingest.preview(&permit, &source, format, key, bytes).await?;
        return Ok(HttpResponse::Ok().json(PreviewResponse { dry_run, account: account.into() }));
    }
    let receipt = app.ingest.accept(&permit, &source, format, key, bytes).await?;
    app.wake.send_replace(());
    let body = LandedResponse { receipt: receipt.to_string(), state: "landed" };
    Ok(HttpResponse::Accepted().json(body))
}

/// A receipt
#[utoipa::path(
    tag = "ingest",
    params(("id" = String, Path, description = "What the sender was given")),
    responses(
        (status = 200, body = ReceiptResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/receipts/{id}")]
pub async fn read_receipt(app: Data<App>, access: Access, id: Path<String>) -> Reply<ReceiptResponse> {
    let receipt = app.store.receipt(&access, &ReceiptId::new(id.into_inner())).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(ReceiptResponse::new(receipt, app.index.watermark())))
}

fn format(request: &HttpRequest) -> Result<Format, Problem> {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    header.and_then(Format::of_media_type).ok_or_else(|| {
        let known: Vec<&str> = Format::ALL.iter().map(|format| format.media_type()).collect();
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            .detail(format!("send one of {}", known.join(", ")))
    })
}

/// Reads a body of at most the configured size, within the room there is; the room is kept until it has landed.
pub(super) async fn admitted_body(
    app: &App,
    request: &HttpRequest,
    body: Payload,
) -> Result<(Vec<u8>, Admission), Problem> {
    let announced = announced(request, app.config.max_body_bytes)?;
    let mut room = app.ingest.admit(announced).await?;
    let bytes = read_body(body, announced, &mut room, app.config.max_body_bytes).await?;
    Ok((bytes, room))
}

/// The length that the sender announces, 0 when it doesn't; a body that says it is too long is refused unread.
fn announced(request: &HttpRequest, limit: usize) -> Result<usize, Problem> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    if length > limit { Err(too_large(limit)) } else { Ok(length) }
}

/// Reads at most `limit` bytes, within the room there is.
async fn read_body(
    mut body: Payload,
    announced: usize,
    room: &mut Admission,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(announced);
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| request::interrupted(&error))?;
        if bytes.len() + part.len() > limit {
            return Err(too_large(limit));
        }
        room.cover(bytes.len() + part.len())?;
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large").detail(format!("at most {limit} bytes a request"))
}

impl ReceiptResponse {
    fn new(receipt: Receipt, watermark: i64) -> Self {
        let is_shown = receipt.last_change.is_none_or(|change| change <= watermark);
        let state = match receipt.state {
            ReceiptState::Landed => "landed",
            ReceiptState::Normalized if is_shown => "indexed",
            ReceiptState::Normalized => "normalized",
            ReceiptState::Failed => "failed",
        };
        Self {
            receipt: receipt.id.to_string(),
            source: receipt.source.to_string(),
            state,
            received_at: receipt.received_at.to_string(),
            change: receipt.last_change,
            account: receipt.account.map(AccountBody::from),
            failure: receipt.failure,
        }
    }
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        let by_name = |(reason, count): (crate::domain::QuarantineReason, u64)| (reason.as_str().to_owned(), count);
        Self {
            records: account.records,
            stored: account.stored,
            documents: account.documents,
            added: account.added,
            changed: account.changed,
            facts: account.facts,
            unchanged: account.unchanged,
            stale: account.stale,
            removed: account.removed,
            carrying_nothing: account.carrying_nothing,
            quarantined: account.quarantined.into_iter().map(by_name).collect(),
            findings: account.findings,
        }
    }
}
