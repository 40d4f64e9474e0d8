//! Declaring feeds.

use actix_web::web::{Data, Json, Path};
use actix_web::{get, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::feed_state::FeedState;
use crate::access::{Access, Operation};
use crate::app::{App, shipped_mapping};
use crate::domain::{Feed, Mapping, SourceDescription, SourceId};
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
    /// How rows and objects become documents: the name of a shipped mapping, or a mapping as an object.
    #[schema(value_type = Option<Object>)]
    mapping: Option<serde_json::Value>,
    /// How its records come in, beginning with `mode`; senders push when it is left out.
    #[schema(value_type = Option<Object>)]
    feed: Option<serde_json::Value>,
    /// How a feed that we run fares; only in answers, and left aside when it is sent back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FeedState>)]
    feed_state: Option<serde_json::Value>,
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
            mapping: self.mapping.map(read_mapping).transpose()?,
            feed: self.feed.map(read_feed).transpose()?.unwrap_or_default(),
        })
    }
}

fn read_mapping(mapping: serde_json::Value) -> Result<Mapping, Problem> {
    match mapping {
        serde_json::Value::String(name) => shipped_mapping(&name).ok_or_else(|| {
            Problem::bad_request("mapping_invalid").detail("no mapping of this name comes with the program")
        }),
        written => serde_json::from_value(written)
            .map_err(|error| Problem::bad_request("mapping_invalid").detail(error.to_string())),
    }
}

fn read_feed(feed: serde_json::Value) -> Result<Feed, Problem> {
    serde_json::from_value(feed).map_err(|error| Problem::bad_request("feed_invalid").detail(error.to_string()))
}

impl From<SourceDescription> for SourceBody {
    fn from(description: SourceDescription) -> Self {
        Self {
            name: description.name.to_string(),
            patients: description.patients,
            warn_after_s: description.warn_after_s,
            error_after_s: description.error_after_s,
            mapping: description.mapping.and_then(|mapping| serde_json::to_value(mapping).ok()),
            feed: serde_json::to_value(&description.feed).ok(),
            feed_state: None,
        }
    }
}
