//! What a handler takes from a request: the caller's access, the request's id, JSON with clear errors.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    STRICT_TRANSPORT_SECURITY,
};
use actix_web::middleware::Next;
use actix_web::web::{Data, Json, JsonConfig, PathConfig, QueryConfig};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest};
use uuid::Uuid;

use super::asker::Asker;
use super::problem::{self, Problem};
use super::rate::RateLimit;
use super::{audited, pacing, subscriptions};
use crate::access::Access;
use crate::app::App;
use crate::domain::Timestamp;

pub type Reply<T> = Result<Json<T>, Problem>;

pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a break-glass grant that the request is made under.
pub const BREAK_GLASS_HEADER: HeaderName = HeaderName::from_static("x-break-glass");

/// JSON bodies are questions and settings: records come as bytes.
const MAX_JSON_BYTES: usize = 256 * 1024;

/// On every answer; what is no page loads nothing and stands in no frame, and a page has a policy of its own.
const PRECAUTIONS: [(&str, &str); 7] = [
    ("content-security-policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// For a year a browser asks by TLS only, once it has.
const ONLY_BY_TLS: &str = "max-age=31536000";

/// Ties a request to its log lines and audit row; made here, never taken from the caller.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromRequest for RequestId {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| RequestId(String::new()))))
    }
}

impl FromRequest for Access {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// Only [`authenticate`] puts one there: a route outside it has no access to hand out.
    ///
    /// A de-identified caller is refused: a handler that knows what to hide takes a [`Reader`].
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let refused = || Problem::deidentified_only("a de-identified client has no such route");
        ready(access_of(request).and_then(|access| if access.is_deidentified() { Err(refused()) } else { Ok(access) }))
    }
}

fn access_of(request: &HttpRequest) -> Result<Access, Problem> {
    request.extensions().get::<Access>().cloned().ok_or_else(Problem::no_token)
}

/// Any caller, de-identified or not: for handlers whose answer is made of what is [`crate::flows::Disclosed`].
pub struct Reader(Access);

impl Deref for Reader {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.0
    }
}

impl FromRequest for Reader {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(access_of(request).map(Self))
    }
}

/// Signed posts bring a signature over their body instead of a token; their handler verifies it.
const SIGNED: &str = "/v1/webhooks/";

/// Verifies the bearer token of everything under `/v1` before a handler or a body reader is reached, and sees that
/// nothing is done there that the audit trail doesn't hold.
///
/// The senders of notifications hold no token: their routes ask for the secret of the source themselves.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.path().starts_with("/v1/") {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let is_by_secret = request.path().starts_with(subscriptions::PREFIX) || request.path().starts_with(SIGNED);
    let access = match is_by_secret {
        true => None,
        false => match verify(&request).await {
            Ok(access) => Some(access),
            Err(problem) => {
                let problem = audited::refusal(&request, problem).await;
                return Ok(request.into_response(problem.response()).map_into_right_body());
            }
        },
    };
    if let Some(access) = &access
        && let Some(limit) = request.app_data::<Data<RateLimit>>()
        && let Err(problem) = limit.take(access, Timestamp::now().as_micros())
    {
        return Ok(request.into_response(problem.response()).map_into_right_body());
    }
    if let Some(access) = access.clone() {
        request.extensions_mut().insert(access);
    }
    let response = next.call(request).await?;
    // What a handler didn't record with its details is recorded by its route: no row, no answer.
    match audited::outcome(&response, access.as_ref()).await {
        Ok(()) => Ok(response.map_into_left_body()),
        Err(problem) => {
            let (request, _) = response.into_parts();
            Ok(ServiceResponse::new(request, problem.response()).map_into_right_body())
        }
    }
}

async fn verify(request: &ServiceRequest) -> Result<Access, Problem> {
    let app = request.app_data::<Data<App>>().ok_or_else(|| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR))?;
    Asker::of(app.clone(), request.headers())?.access().await
}

/// Exactly one `Authorization: Bearer` header; a token elsewhere is not looked at.
pub(super) fn bearer(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(AUTHORIZATION);
    let first = values.next().ok_or_else(Problem::no_token)?;
    if values.next().is_some() {
        return Err(Problem::bad_request("authorization_repeated").detail("send one Authorization header"));
    }
    let text = first.to_str().map_err(|_| Problem::no_token())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::no_token)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Problem::no_token());
    }
    Ok(token.trim().to_owned())
}

/// Gives each request its id, the answer its headers, and an error without a body of ours a problem.
pub async fn dress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = Uuid::now_v7().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let is_private = request.path().starts_with("/v1/");
    let is_secured = request.app_data::<Data<App>>().is_some_and(|app| app.tls.is_some());
    let mut response = explain_error(next.call(request).await?.map_into_boxed_body());
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID_HEADER, value);
    }
    for (name, value) in PRECAUTIONS {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        if name != CONTENT_SECURITY_POLICY || !headers.contains_key(CONTENT_SECURITY_POLICY) {
            headers.insert(name, value);
        }
    }
    if is_secured {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_BY_TLS));
    }
    if is_private {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

fn explain_error(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == problem::CONTENT);
    if (status.is_client_error() || status.is_server_error()) && !is_problem {
        let (request, _) = response.into_parts();
        return ServiceResponse::new(request, Problem::of_status(status).response());
    }
    response
}

pub fn json_config() -> JsonConfig {
    JsonConfig::default().limit(MAX_JSON_BYTES).content_type_required(true).error_handler(|error, _| {
        match error {
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
            }
            JsonPayloadError::ContentType => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
                .detail("send application/json"),
            // The message names a field or a position; a value is never part of what is shown.
            JsonPayloadError::Deserialize(error) => {
                Problem::bad_request("body_invalid").detail(format!("line {} column {}", error.line(), error.column()))
            }
            JsonPayloadError::Payload(error) => interrupted(&error),
            _ => Problem::bad_request("body_invalid"),
        }
        .into()
    })
}

/// A body that didn't come to its end.
pub(super) fn interrupted(error: &PayloadError) -> Problem {
    match pacing::is_too_slow(error) {
        true => Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout"),
        false => Problem::bad_request("body_interrupted"),
    }
}

pub fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|_, _| Problem::not_found().into())
}

pub fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|_, _| Problem::bad_request("query_string_invalid").into())
}
