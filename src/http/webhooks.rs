//! `POST /v1/webhooks/{source}`: posts of systems that sign what they send and can't hold a token.
//!
//! Every refusal looks the same, so that nobody learns which sources there are; the body is read first for all.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::records::admitted_body;
use crate::access::{SignedPost, WebhookProof, WebhookRefusal, verify_webhook};
use crate::adapters::store::LandedOnce;
use crate::app::App;
use crate::domain::{Format, SourceDescription, SourceId, TenantId, Timestamp};
use crate::telemetry::RefusalLabel;

/// Bodies held at once before anybody has been verified; a sender beyond them comes again.
const AT_ONCE: usize = 32;
const RETRY_AFTER_S: u64 = 2;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

#[derive(Debug, Deserialize, IntoParams)]
pub struct WebhookParameters {
    /// The source's tenant; the server's own when it is left out.
    tenant: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TakenResponse {
    /// The same for the same post.
    receipt: String,
    /// Always `landed`: the bytes are on disk.
    state: &'static str,
}

/// Send a signed post
///
/// For a source whose feed has `mode = "webhook"`. `generic`: HMAC-SHA256 over `{timestamp}.{body}`, hex, in
/// `X-Anamnesis-Signature`, with the Unix time in seconds in `X-Anamnesis-Timestamp`. `hubspot`: version 3.
/// `salesforce`: HMAC-SHA256 over the body, base64, in `X-Salesforce-Signature`. `application/json` is read by the
/// source's mapping, where it has one. The answer follows the durable write; the same post sent again has no second
/// effect and gets 200. Whatever is wrong with a signature, its time or the source, the answer is the same 401.
#[utoipa::path(
    tag = "ingest",
    params(("source" = String, Path, description = "A source that takes signed posts"), WebhookParameters),
    request_body(content = String, content_type = "application/json"),
    responses(
        (status = 200, body = TakenResponse, description = "It came before"),
        (status = 202, body = TakenResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ),
    security(("signature" = [])),
)]
#[post("/v1/webhooks/{source}")]
pub async fn receive_webhook(
    app: Data<App>,
    request: HttpRequest,
    source: Path<String>,
    parameters: Query<WebhookParameters>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy").retry_after_s(RETRY_AFTER_S);
    let _place = PLACES.try_acquire().map_err(|_| busy())?;
    let (bytes, _room) = admitted_body(&app, &request, body).await?;
    let tenant = TenantId::new(parameters.into_inner().tenant.unwrap_or_else(|| app.config.tenant.clone()));
    let description = match SourceId::parse(&source) {
        Some(name) => app.store.source(&tenant, &name).await?,
        None => None,
    };
    let proof = verify(&app, &request, &tenant, description.as_ref(), &bytes)?;
    let format = format(&request, description.as_ref())?;
    let (receipt, landing) = app.ingest.accept_signed(&proof, format, bytes).await?;
    let (status, receipt) = match landing {
        LandedOnce::Landed => (StatusCode::ACCEPTED, receipt),
        LandedOnce::Before(earlier) => (StatusCode::OK, earlier),
    };
    app.wake.send_replace(());
    Ok(HttpResponse::build(status).json(TakenResponse { receipt: receipt.to_string(), state: "landed" }))
}

fn verify(
    app: &App,
    request: &HttpRequest,
    tenant: &TenantId,
    source: Option<&SourceDescription>,
    body: &[u8],
) -> Result<WebhookProof, Problem> {
    let headers: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| value.to_str().ok().map(|value| (name.as_str(), value)))
        .collect();
    let path = request.uri().path_and_query().map(|path| path.as_str()).unwrap_or_default();
    let address = app.config.public_url.as_ref().map(|base| format!("{}{path}", base.trim_end_matches('/')));
    let post = SignedPost { method: request.method().as_str(), address: address.as_deref(), headers: &headers, body };
    let secret = |name: &str| app.config.secret(name);
    verify_webhook(tenant, source, secret, post, Timestamp::now()).map_err(|refusal| {
        if matches!(refusal, WebhookRefusal::NoSecret | WebhookRefusal::NoAddress) {
            tracing::error!(source = source.map(|source| source.name.as_str()), %refusal, "a webhook can't be checked");
        }
        app.metrics.tokens_refused.get_or_create(&RefusalLabel { reason: refusal.reason().to_owned() }).inc();
        Problem::signature_refused()
    })
}

/// Plain JSON, and a post that names no form, is what the source's mapping reads, or FHIR where there is none.
fn format(request: &HttpRequest, source: Option<&SourceDescription>) -> Result<Format, Problem> {
    let named = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    let is_plain =
        named.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    if is_plain && source.is_some_and(|source| source.mapping.is_some()) {
        return Ok(Format::MappedJson);
    }
    Format::of_media_type(named)
        .ok_or_else(|| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"))
}
