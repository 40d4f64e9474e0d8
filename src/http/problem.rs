//! Every failure as `application/problem+json` (RFC 9457), with a stable `code` and nothing of any record.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Denied, TokenError};
use crate::adapters::store::StoreError;
use crate::domain::QueryError;
use crate::flows::{AnswerError, Busy, CountError, DiscloseError, IngestError, ReplayError, RetrieveError};

pub const CONTENT: &str = "application/problem+json";

/// A failure as its caller sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` says which problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    status: u16,
    /// Stable; see docs/api.md.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    #[serde(skip)]
    challenge: Option<String>,
    /// The methods that there are.
    #[serde(skip)]
    allow: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code,
            detail: None,
            retry_after_s: None,
            challenge: None,
            allow: None,
        }
    }

    pub fn bad_request(code: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code)
    }

    /// Out of reach and absent alike.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found").detail("nothing within reach has this id")
    }

    /// `allow` lists the methods that the path has.
    pub fn method_not_allowed(allow: String) -> Self {
        Self { allow: Some(allow), ..Self::of_status(StatusCode::METHOD_NOT_ALLOWED) }
    }

    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// No token at all: a bare challenge, without an error code (RFC 6750, section 3.1).
    pub fn no_token() -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "token_missing").detail("send a bearer token");
        problem.challenge = Some("Bearer realm=\"anamnesis\"".to_owned());
        problem
    }

    /// What was being shown may be shown no longer: erased, withheld, or asked for with a token that was taken back.
    pub fn withdrawn() -> Self {
        Self::new(StatusCode::GONE, "withdrawn").detail("what this answer quotes may be shown no longer; drop it")
    }

    /// What can't be had without saying who somebody is.
    pub fn deidentified_only(detail: impl fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, "deidentified_only").detail(detail)
    }

    /// A secret that opens nothing: an unknown source and a wrong secret look the same.
    pub fn secret_invalid() -> Self {
        let mut problem =
            Self::new(StatusCode::UNAUTHORIZED, "token_invalid").detail("the secret doesn't open this source");
        problem.challenge = Some("Bearer realm=\"anamnesis\", error=\"invalid_token\"".to_owned());
        problem
    }

    /// The same for every fault of a signed post, its time or its source.
    pub fn signature_refused() -> Self {
        let mut problem =
            Self::new(StatusCode::UNAUTHORIZED, "signature_invalid").detail("the signature, its time or the source");
        problem.challenge = Some("Signature realm=\"anamnesis\"".to_owned());
        problem
    }

    /// Something of ours failed: its cause is logged here, once, and not shown.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        tracing::error!(causes = causes.join(": "), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
    }

    /// For an answer that came without a body of ours: an unknown path, a wrong method.
    pub fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            StatusCode::REQUEST_TIMEOUT => "request_timeout",
            status if status.is_server_error() => "internal",
            _ => "bad_request",
        };
        Self::new(status, code)
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.insert_header((CONTENT_TYPE, CONTENT));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(challenge) = &self.challenge {
            response.insert_header((WWW_AUTHENTICATE, challenge.clone()));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.clone()));
        }
        response.body(serde_json::to_vec(self).expect("plain values always serialize"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeysUnavailable { retry_after_s } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable")
                    .detail(error)
                    .retry_after_s(retry_after_s)
            }
            TokenError::IssuerUnavailable { retry_after_s } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "issuer_unavailable")
                    .detail(error)
                    .retry_after_s(retry_after_s)
            }
            TokenError::Malformed | TokenError::Invalid(_) | TokenError::NotConfigured => {
                let mut problem = Problem::new(StatusCode::UNAUTHORIZED, "token_invalid").detail(error);
                problem.challenge = Some("Bearer realm=\"anamnesis\", error=\"invalid_token\"".to_owned());
                problem
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let mut problem = Problem::new(StatusCode::FORBIDDEN, "scope_missing").detail(&denied);
        problem.challenge =
            Some(format!("Bearer realm=\"anamnesis\", error=\"insufficient_scope\", scope=\"{}\"", denied.scope));
        problem
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = match error {
            QueryError::Empty => "query_empty",
            QueryError::TooLong { .. } => "query_too_long",
            QueryError::Limit => "limit_out_of_range",
            QueryError::DateRange => "date_range_reversed",
            QueryError::Share => "share_out_of_range",
            QueryError::Neighbours => "neighbours_out_of_range",
            QueryError::PerDocument => "per_document_out_of_range",
        };
        Problem::bad_request(code).detail(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::internal(&error)
    }
}

impl From<RetrieveError> for Problem {
    fn from(error: RetrieveError) -> Self {
        Problem::internal(&error)
    }
}

impl From<CountError> for Problem {
    fn from(error: CountError) -> Self {
        Problem::internal(&error)
    }
}

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Self {
        Problem::internal(&error)
    }
}

impl From<DiscloseError> for Problem {
    fn from(error: DiscloseError) -> Self {
        match error {
            DiscloseError::TimesOfManyPatients | DiscloseError::Uncounted(_) => Problem::deidentified_only(error),
            DiscloseError::NothingLeft => Problem::bad_request("query_identifies").detail(error),
            DiscloseError::Store(_) | DiscloseError::Retrieve(_) | DiscloseError::NoSecret | DiscloseError::Stopped => {
                Problem::internal(&error)
            }
        }
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::UnknownSource => {
                Problem::new(StatusCode::NOT_FOUND, "unknown_source").detail("declare the source first")
            }
            IngestError::NoMapping => Problem::bad_request("source_without_mapping").detail(error),
            IngestError::Empty => Problem::bad_request("body_empty").detail(error),
            IngestError::Denied(denied) => denied.into(),
            IngestError::Busy(busy) => busy.into(),
            IngestError::Store(_) | IngestError::Stopped => Problem::internal(&error),
        }
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        let code = match busy {
            Busy::Bodies => "too_much_at_once",
            Busy::Backlog => "backlog_full",
        };
        Problem::new(StatusCode::TOO_MANY_REQUESTS, code).detail(busy).retry_after_s(busy.retry_after_s())
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NotFound => Problem::not_found(),
            ReplayError::Store(_) | ReplayError::Stopped => Problem::internal(&error),
        }
    }
}
