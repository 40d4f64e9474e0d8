//! `POST /v1/search`: passages that fit a query.

use std::time::Instant;

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::{FilterRequest, fusion, mode};
use super::problem::Problem;
use super::request::{Reply, RequestId};
use super::shapes::{Aged, Freshness, Span};
use crate::access::Access;
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{DocumentKey, Passage, Query, SideRank, Timestamp};
use crate::flows::Plan;
use crate::telemetry::{OutcomeLabel, seconds};

const DEFAULT_LIMIT: usize = 10;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// At most 4,000 characters.
    query: String,
    /// Only this patient.
    patient: Option<String>,
    /// `hybrid` (default), `keyword` or `dense`.
    mode: Option<String>,
    /// How a hybrid search joins its two rankings: `rrf` (default) or `convex`.
    fusion: Option<String>,
    /// 1 to 100; default 10.
    limit: Option<usize>,
    #[serde(default)]
    filters: FilterRequest,
    /// Show how each hit was ranked and how the search was planned.
    #[serde(default)]
    explain: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResponse {
    hits: Vec<HitBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanBody>,
    freshness: Freshness,
}

#[derive(Debug, Serialize, ToSchema)]
struct HitBody {
    document: String,
    version: u32,
    chunk: u32,
    title: String,
    kind: &'static str,
    section: Option<String>,
    source: String,
    patient: Option<String>,
    encounter: Option<String>,
    text: String,
    span: Span,
    /// Comparable within this answer only.
    score: f32,
    #[serde(flatten)]
    aged: Aged,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<ExplainBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ExplainBody {
    keyword: Option<SideBody>,
    dense: Option<SideBody>,
}

/// Where one side of the search placed a hit.
#[derive(Debug, Serialize, ToSchema)]
struct SideBody {
    /// From 1.
    rank: u32,
    /// BM25 or cosine.
    score: f32,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlanBody {
    mode: String,
    /// Chunks that the caller's reach and the filters leave.
    chunks_in_scope: usize,
    /// `exact`, `graph`, `exact_after_graph`, `nothing_in_scope`; absent in keyword mode.
    dense: Option<&'static str>,
    /// What the vector side expected each way to cost, in vectors compared; absent in keyword mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense_costs: Option<DenseCosts>,
    /// Null for a token that doesn't take in every patient.
    watermark: Option<i64>,
    generation: String,
}

/// The cheaper way is taken.
#[derive(Debug, Serialize, ToSchema)]
struct DenseCosts {
    /// To compare every chunk in scope.
    scan: usize,
    /// To ask the graph, and scan what it doesn't hold; absent where that is out of the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<usize>,
}

/// Search
///
/// Hybrid, keyword or dense search within the caller's reach; every hit says how old it is.
#[utoipa::path(
    tag = "read",
    request_body = SearchRequest,
    responses(
        (status = 200, body = SearchResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/search")]
pub async fn search(
    app: Data<App>,
    access: Access,
    request_id: RequestId,
    body: Json<SearchRequest>,
) -> Reply<SearchResponse> {
    let started = Instant::now();
    let request = body.into_inner();
    let filters = request.filters.parse(request.patient)?;
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    let mut query = Query::new(&request.query, mode(request.mode.as_deref())?, filters, limit)?;
    query.fusion = fusion(request.fusion.as_deref())?;
    let retrieved = app.retrieve.run(&access, &query).await?;
    let freshness = app.freshness.run(&access).await?;
    let documents = keys(&retrieved.passages);
    let row = AuditRow {
        action: "search",
        patient: query.filters.patient.as_ref(),
        documents: &documents,
        outcome: if documents.is_empty() { "empty" } else { "success" },
        request_id: request_id.as_str(),
    };
    app.store.audit(&access, &row).await?;
    let outcome = OutcomeLabel { outcome: row.outcome.to_owned() };
    app.metrics.search_latency.get_or_create(&outcome).observe(seconds(started.elapsed()));
    let now = Timestamp::now();
    let used: Vec<_> = retrieved.passages.iter().map(|passage| &passage.document.source).collect();
    Ok(Json(SearchResponse {
        hits: retrieved.passages.iter().map(|passage| HitBody::new(passage, now, request.explain)).collect(),
        plan: request
            .explain
            .then(|| PlanBody::new(&retrieved.plan, freshness.index.watermark.map(|_| retrieved.plan.watermark))),
        freshness: Freshness::of_sources(&freshness, &used),
    }))
}

fn keys(passages: &[Passage]) -> Vec<DocumentKey> {
    let mut keys: Vec<DocumentKey> = passages.iter().map(|passage| passage.document.key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

impl HitBody {
    fn new(passage: &Passage, now: Timestamp, explain: bool) -> Self {
        let document = &passage.document.document;
        let explanation = &passage.hit.explanation;
        Self {
            document: passage.document.key.id.to_string(),
            version: passage.document.key.version,
            chunk: passage.hit.chunk.ordinal,
            title: document.title.clone(),
            kind: document.kind.as_str(),
            section: passage.hit.chunk.section.clone(),
            source: passage.document.source.to_string(),
            patient: document.patient.as_ref().map(|patient| patient.to_string()),
            encounter: document.encounter.clone(),
            text: passage.text().to_owned(),
            span: passage.hit.chunk.span.into(),
            score: passage.hit.score,
            aged: Aged::of_document(&passage.document, now),
            explain: explain.then(|| ExplainBody {
                keyword: explanation.keyword.map(SideBody::from),
                dense: explanation.dense.map(SideBody::from),
            }),
        }
    }
}

impl From<SideRank> for SideBody {
    fn from(side: SideRank) -> Self {
        Self { rank: side.rank, score: side.score }
    }
}

impl PlanBody {
    fn new(plan: &Plan, watermark: Option<i64>) -> Self {
        let mode = match plan.mode {
            crate::domain::Mode::Hybrid => "hybrid",
            crate::domain::Mode::Keyword => "keyword",
            crate::domain::Mode::Dense => "dense",
        };
        Self {
            mode: mode.to_owned(),
            chunks_in_scope: plan.chunks_in_scope,
            dense: plan.dense.map(|plan| plan.method.as_str()),
            dense_costs: plan.dense.map(|plan| DenseCosts { scan: plan.scan_cost, graph: plan.graph_cost }),
            watermark,
            generation: plan.generation.clone(),
        }
    }
}
