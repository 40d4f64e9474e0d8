//! `POST /v1/subscriptions/{source}`: what a FHIR server tells us of changes, proved by the secret of its source.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, delete, post, put};

use super::problem::Problem;
use super::records::admitted_body;
use super::request::bearer;
use crate::access::{Permit, SharedSecret};
use crate::app::App;
use crate::domain::{Feed, SourceId};
use crate::flows::NotificationError;

/// Paths whose senders hold a source's secret instead of a token.
pub const PREFIX: &str = "/v1/subscriptions/";

const RETRY_AFTER_S: u64 = 30;

/// Notify of changes
///
/// For FHIR servers, as a subscription's endpoint: R4's rest-hook (nothing, a resource or a Bundle) and the
/// notification Bundles of R5 and of its backport to R4 (handshake, heartbeat, events). The server sends
/// `Authorization: Bearer` with the secret declared for the source. The answer follows the durable write.
#[utoipa::path(
    tag = "ingest",
    params(("source" = String, Path, description = "A source that is declared with a subscription")),
    request_body(content = String, content_type = "application/fhir+json"),
    responses(
        (status = 200, description = "Taken in"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ),
    security(("source_secret" = [])),
)]
#[post("/v1/subscriptions/{source}")]
pub async fn receive_notification(
    app: Data<App>,
    request: HttpRequest,
    source: Path<String>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    receive(&app, &request, &source, body).await
}

/// Send a changed resource
///
/// Where a server that sends whole resources puts them: below a subscription's endpoint.
#[utoipa::path(
    tag = "ingest",
    params(
        ("source" = String, Path, description = "A source that is declared with a subscription"),
        ("type" = String, Path, description = "The resource's type"),
        ("id" = String, Path, description = "The resource's id"),
    ),
    request_body(content = String, content_type = "application/fhir+json"),
    responses(
        (status = 200, description = "Taken in"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ),
    security(("source_secret" = [])),
)]
#[put("/v1/subscriptions/{source}/{type}/{id}")]
pub async fn receive_resource(
    app: Data<App>,
    request: HttpRequest,
    place: Path<(String, String, String)>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    receive(&app, &request, &place.0, body).await
}

/// Tell of a deletion
///
/// The resource is asked for, and taken out when the server doesn't have it any more.
#[utoipa::path(
    tag = "ingest",
    params(
        ("source" = String, Path, description = "A source that is declared with a subscription"),
        ("type" = String, Path, description = "The resource's type"),
        ("id" = String, Path, description = "The resource's id"),
    ),
    responses(
        (status = 200, description = "Taken in"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ),
    security(("source_secret" = [])),
)]
#[delete("/v1/subscriptions/{source}/{type}/{id}")]
pub async fn receive_deletion(
    app: Data<App>,
    request: HttpRequest,
    place: Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (source, resource_type, id) = place.into_inner();
    let permit = permit(&app, request.headers(), &source).await?;
    app.notifications.receive_deletion(&permit, &format!("{resource_type}/{id}")).await?;
    app.wake.send_replace(());
    Ok(HttpResponse::Ok().finish())
}

async fn receive(app: &App, request: &HttpRequest, source: &str, body: Payload) -> Result<HttpResponse, Problem> {
    let permit = permit(app, request.headers(), source).await?;
    let (bytes, _room) = admitted_body(app, request, body).await?;
    app.notifications.receive(&permit, &bytes).await?;
    app.wake.send_replace(());
    Ok(HttpResponse::Ok().finish())
}

/// An unknown source, one without a subscription and a wrong secret look the same.
async fn permit(app: &App, headers: &HeaderMap, source: &str) -> Result<Permit, Problem> {
    let shown = bearer(headers)?;
    let Some(name) = SourceId::parse(source) else { return Err(Problem::secret_invalid()) };
    let mut declared = app.store.sources_named(&name).await?;
    // Where tenants use one name, the one that is configured here comes first.
    declared.sort_by_key(|(tenant, _)| tenant.as_str() != app.config.tenant);
    let permits = declared.into_iter().filter_map(|(tenant, description)| {
        let Feed::Subscription(feed) = description.feed else { return None };
        let secret = app.config.secret(&feed.secret.0)?;
        SharedSecret::new(tenant, description.name, secret)?.verify(shown.as_bytes())
    });
    permits.take(1).next().ok_or_else(Problem::secret_invalid)
}

impl From<NotificationError> for Problem {
    fn from(error: NotificationError) -> Self {
        match error {
            NotificationError::Unreadable => Problem::bad_request("notification_invalid").detail(error),
            NotificationError::Overloaded => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded").detail(error).retry_after_s(RETRY_AFTER_S)
            }
            NotificationError::Ingest(error) => error.into(),
            NotificationError::WrongPermit | NotificationError::Store(_) => Problem::internal(&error),
        }
    }
}
