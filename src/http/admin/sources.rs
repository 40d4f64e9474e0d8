//! Declaring feeds.

use actix_web::web::{Data, Json, Path};
use actix_web::{get, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::feed_state::FeedState;
use crate::access::{Access, Operation};
use crate::app::App;
use crate::domain::{Feed, Kind, Mapping, SourceDescription, SourceId};
use crate::http::problem::Problem;
use crate::http::request::Reply;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceBody {
    #[serde(default)]
    name: String,
    /// Whose patient ids these are: sources with one namespace mean the same people by the same ids.
    patients: String,
    /// Seconds of silence after which the feed counts as aging.
    warn_after_s: u64,
    /// Seconds of silence after which it counts as stale.
    error_after_s: u64,
    /// How CRM rows become documents.
    mapping: Option<MappingBody>,
    /// How its records come in, beginning with `mode`; senders push when it is left out.
    #[schema(value_type = Object)]
    feed: Option<serde_json::Value>,
    /// How a feed that we run fares; only in answers, and left aside when it is sent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FeedState>)]
    feed_state: Option<serde_json::Value>,
}

/// Templates name fields in braces: `"{channel} call: {subject}"`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MappingBody {
    /// JSON pointer to the array of objects; empty when the body is the array.
    #[serde(default)]
    records: String,
    key: String,
    patient: Option<String>,
    kind: String,
    resource_type: String,
    title: String,
    lines: Vec<String>,
    author: Option<String>,
    effective: Option<String>,
    source_time: Option<String>,
    status: Option<String>,
    deleted: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SourcesResponse {
    sources: Vec<SourceBody>,
}

/// List sources
#[utoipa::path(
    tag = "admin",
    responses(
        (status = 200, body = SourcesResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/admin/sources")]
pub async fn list_sources(app: Data<App>, access: Access) -> Reply<SourcesResponse> {
    let permit = access.permit(Operation::Sources)?;
    let sources = app.store.sources(&permit).await?;
    let runs = app.store.feed_runs(&permit).await?;
    let kept = app.store.feed_states(&permit).await?;
    let bodies = sources.into_iter().map(|description| {
        let run = runs.iter().find(|run| run.source == description.name);
        let of_source = kept.iter().filter(|(source, ..)| *source == description.name);
        let kept: Vec<(&str, &str)> = of_source.map(|(_, name, state)| (name.as_str(), state.as_str())).collect();
        let is_run = description.feed != Feed::Push;
        let state = is_run.then(|| serde_json::to_value(FeedState::new(run, &kept)).ok()).flatten();
        SourceBody { feed_state: state, ..SourceBody::from(description) }
    });
    Ok(Json(SourcesResponse { sources: bodies.collect() }))
}

/// Declare a source
///
/// Or change what was declared; what was received stays.
#[utoipa::path(
    tag = "admin",
    params(("source" = String, Path, description = "Lower-case letters, digits, dashes")),
    request_body = SourceBody,
    responses(
        (status = 200, body = SourceBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[put("/v1/admin/sources/{source}")]
pub async fn declare_source(
    app: Data<App>,
    access: Access,
    source: Path<String>,
    body: Json<SourceBody>,
) -> Reply<SourceBody> {
    let permit = access.permit(Operation::Sources)?;
    let name = SourceId::parse(&source).ok_or_else(|| Problem::bad_request("source_name_invalid"))?;
    let description = body.into_inner().describe(name)?;
    app.store.declare_source(permit.tenant(), &description).await?;
    Ok(Json(SourceBody::from(description)))
}

impl SourceBody {
    fn describe(self, name: SourceId) -> Result<SourceDescription, Problem> {
        if self.patients.is_empty() || self.warn_after_s > self.error_after_s {
            return Err(Problem::bad_request("source_invalid")
                .detail("patients is needed, and warn_after_s must not exceed error_after_s"));
        }
        Ok(SourceDescription {
            name,
            patients: self.patients,
            warn_after_s: self.warn_after_s,
            error_after_s: self.error_after_s,
            mapping: self.mapping.map(MappingBody::describe).transpose()?,
            feed: self.feed.map(read_feed).transpose()?.unwrap_or_default(),
        })
    }
}

fn read_feed(feed: serde_json::Value) -> Result<Feed, Problem> {
    serde_json::from_value(feed).map_err(|error| Problem::bad_request("feed_invalid").detail(error.to_string()))
}

impl MappingBody {
    fn describe(self) -> Result<Mapping, Problem> {
        Ok(Mapping {
            records: self.records,
            key: self.key,
            patient: self.patient,
            kind: Kind::parse(&self.kind).ok_or_else(|| Problem::bad_request("unknown_kind"))?,
            resource_type: self.resource_type,
            title: self.title,
            lines: self.lines,
            author: self.author,
            effective: self.effective,
            source_time: self.source_time,
            status: self.status,
            deleted: self.deleted,
        })
    }
}

impl From<SourceDescription> for SourceBody {
    fn from(description: SourceDescription) -> Self {
        Self {
            name: description.name.to_string(),
            patients: description.patients,
            warn_after_s: description.warn_after_s,
            error_after_s: description.error_after_s,
            mapping: description.mapping.map(MappingBody::from),
            feed: serde_json::to_value(&description.feed).ok(),
            feed_state: None,
        }
    }
}

impl From<Mapping> for MappingBody {
    fn from(mapping: Mapping) -> Self {
        Self {
            records: mapping.records,
            key: mapping.key,
            patient: mapping.patient,
            kind: mapping.kind.as_str().to_owned(),
            resource_type: mapping.resource_type,
            title: mapping.title,
            lines: mapping.lines,
            author: mapping.author,
            effective: mapping.effective,
            source_time: mapping.source_time,
            status: mapping.status,
            deleted: mapping.deleted,
        }
    }
}
