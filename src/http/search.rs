//! `POST /v1/search`: passages that fit a query.

use std::time::Instant;

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::{FilterRequest, fusion, mode};
use super::problem::Problem;
use super::request::{Reader, Reply, RequestId};
use super::shapes::{Aged, Freshness, Span};
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{DocumentKey, Passage, Query, SideRank, Timestamp, Tuning};
use crate::flows::{Disclosed, PassageDetail, Plan, Retrieved};
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
    /// How a hybrid search joins its two rankings: `standardized` (default), `convex` or `rrf`.
    fusion: Option<String>,
    /// Share of the dense side, 0 to 1, where scores are summed.
    dense_weight: Option<f32>,
    /// Whether synonyms, abbreviations and kinds of the query's words are looked for too; default true.
    expand: Option<bool>,
    /// 0 (default) to 1: how much a hit falls for being like those above it.
    diversity: Option<f32>,
    /// 0 to 1, default 0.1: how much newer hits gain when the query asks for the newest, as a share of the range of
    /// scores.
    recency: Option<f32>,
    /// Whether a reranker, where one is configured, orders the best hits of a hybrid search again; default true.
    rerank: Option<bool>,
    /// At most so many hits of one document; default all.
    per_document: Option<usize>,
    /// Of one patient's hits with the same text, show the best only; default true.
    distinct: Option<bool>,
    /// Chunks before and after each hit, in its document, to show as `context`: 0 (default) to 5.
    neighbours: Option<usize>,
    /// 1 to 100; default 10.
    limit: Option<usize>,
    #[serde(default)]
    filters: FilterRequest,
    /// Show how each hit was ranked and how the search was planned.
    #[serde(default)]
    explain: bool,
}

impl SearchRequest {
    fn tuning(&self) -> Result<Tuning, Problem> {
        let usual = Tuning::default();
        Ok(Tuning {
            fusion: fusion(self.fusion.as_deref())?,
            dense_weight: self.dense_weight,
            expand: self.expand.unwrap_or(usual.expand),
            diversity: self.diversity.unwrap_or(usual.diversity),
            recency: self.recency.unwrap_or(usual.recency),
            per_document: self.per_document,
            distinct: self.distinct.unwrap_or(true),
            rerank: self.rerank.unwrap_or(usual.rerank),
        })
    }
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
    /// Words of the query and what says the same, as places in the document's text.
    highlights: Vec<Span>,
    /// The hit with its neighbours, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<ContextBody>,
    /// Comparable within this answer only.
    score: f32,
    #[serde(flatten)]
    aged: Aged,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<ExplainBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ContextBody {
    text: String,
    span: Span,
}

#[derive(Debug, Serialize, ToSchema)]
struct ExplainBody {
    keyword: Option<SideBody>,
    dense: Option<SideBody>,
    /// The part of the hit whose vector is nearest to the query's; absent in keyword mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<Span>,
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
    /// `exact`, `sketches`, `graph`, `nothing_in_scope`; absent in keyword mode.
    dense: Option<&'static str>,
    /// What the vector side expected each way to cost, in vectors compared; absent in keyword mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense_costs: Option<DenseCosts>,
    /// Null for a token that doesn't take in every patient.
    watermark: Option<i64>,
    generation: String,
    /// Whether a reranker ordered the best hits again; their scores are then its own.
    reranked: bool,
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
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/search")]
pub async fn search(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    body: Json<SearchRequest>,
) -> Reply<SearchResponse> {
    let started = Instant::now();
    let request = body.into_inner();
    let tuning = request.tuning()?;
    let filters = app.disclose.filters(&access, request.filters.parse(request.patient)?).await?;
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    let query = Query::new(&request.query, mode(request.mode.as_deref())?, filters, limit)?
        .tuned(tuning)?
        .with_neighbours(request.neighbours.unwrap_or_default())?
        .marked();
    let query = app.disclose.question(&access, query).await?;
    // The row is written while the words are still being marked, and before anything leaves.
    let audited = async |documents: Vec<DocumentKey>| {
        let row = AuditRow {
            action: "search",
            patient: query.filters.patient.as_ref(),
            documents: &documents,
            outcome: if documents.is_empty() { "empty" } else { "success" },
            request_id: request_id.as_str(),
        };
        app.audit(&access, &row).await.map(|()| row.outcome)
    };
    let retrieving = app.retrieve.run_telling(&access, &query, audited);
    let (retrieved, freshness) = tokio::join!(retrieving, async { app.freshness.run(&access) });
    let ((retrieved, audited), freshness) = (retrieved?, freshness?);
    let outcome = OutcomeLabel { outcome: audited?.to_owned() };
    app.metrics.search_latency.get_or_create(&outcome).observe(seconds(started.elapsed()));
    let retrieved = app.disclose.retrieved(&access, retrieved).await?;
    let now = Timestamp::now();
    let used: Vec<_> = retrieved.passages.iter().map(|passage| &passage.document.source).collect();
    Ok(Json(SearchResponse {
        hits: hits(&retrieved, now, request.explain),
        plan: request
            .explain
            .then(|| PlanBody::new(&retrieved.plan, freshness.index.watermark.map(|_| retrieved.plan.watermark))),
        freshness: Freshness::of_sources(&freshness, &used),
    }))
}

fn hits(found: &Disclosed<Retrieved>, now: Timestamp, explain: bool) -> Vec<HitBody> {
    let shown = found.passages.iter().zip(&found.details);
    shown.map(|(passage, detail)| HitBody::new(passage, detail, now, explain)).collect()
}

impl HitBody {
    fn new(passage: &Passage, detail: &PassageDetail, now: Timestamp, explain: bool) -> Self {
        let context = |span: crate::domain::Span| {
            Some(ContextBody { text: span.of(&passage.document.document.text)?.to_owned(), span: span.into() })
        };
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
            highlights: detail.highlights.iter().map(|span| (*span).into()).collect(),
            context: detail.around.and_then(context),
            score: passage.hit.score,
            aged: Aged::of_document(&passage.document, now),
            explain: explain.then(|| ExplainBody {
                keyword: explanation.keyword.map(SideBody::from),
                dense: explanation.dense.map(SideBody::from),
                nearest: detail.nearest.map(Span::from),
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
            reranked: plan.reranked,
        }
    }
}
