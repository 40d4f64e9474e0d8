//! `POST /v1/facets`: how the documents in reach divide.

use std::collections::BTreeMap;

use actix_web::post;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::FilterRequest;
use super::problem::Problem;
use super::request::{Reader, Reply, RequestId};
use super::shapes::Freshness;
use crate::adapters::store::AuditRow;
use crate::app::App;
use crate::domain::{CountQuery, Facet, FacetCounts};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FacetsRequest {
    /// Only documents that hold a term of it; at most 4,000 characters. Without it, all.
    #[serde(default)]
    query: String,
    /// Only this patient.
    patient: Option<String>,
    #[serde(default)]
    filters: FilterRequest,
    /// `kind`, `source`, `section`, `year`, `patient`; default all of them.
    facets: Option<Vec<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FacetsResponse {
    documents: usize,
    chunks: usize,
    facets: BTreeMap<&'static str, FacetBody>,
    freshness: Freshness,
}

#[derive(Debug, Serialize, ToSchema)]
struct FacetBody {
    /// The commonest first, at most 100.
    values: Vec<ValueBody>,
    /// Values beyond those listed.
    further: usize,
}

#[derive(Debug, Serialize, ToSchema)]
struct ValueBody {
    value: String,
    documents: usize,
}

/// Count by facets
///
/// How many documents within the caller's reach there are of each kind, source, section, year and patient.
#[utoipa::path(
    tag = "read",
    request_body = FacetsRequest,
    responses(
        (status = 200, body = FacetsResponse),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[post("/v1/facets")]
pub async fn count(
    app: Data<App>,
    access: Reader,
    request_id: RequestId,
    body: Json<FacetsRequest>,
) -> Reply<FacetsResponse> {
    let request = body.into_inner();
    let filters = app.disclose.filters(&access, request.filters.parse(request.patient)?).await?;
    let facets = app.disclose.facets(&access, request.facets.map(facets).transpose()?)?;
    let query = CountQuery::new(&request.query, filters, facets)?;
    let query = app.disclose.counted(&access, query).await?;
    let counts = app.count.run(&access, &query).await?;
    let freshness = app.freshness.run(&access)?;
    let row = AuditRow {
        action: "facets",
        patient: query.filters.patient.as_ref(),
        documents: &[],
        outcome: if counts.documents == 0 { "empty" } else { "success" },
        request_id: request_id.as_str(),
    };
    app.audit(&access, &row).await?;
    let counts = app.disclose.counts(&access, counts).await?.into_inner();
    Ok(Json(FacetsResponse {
        documents: counts.documents,
        chunks: counts.chunks,
        facets: counts.facets.into_iter().map(|counts| (counts.facet.as_str(), FacetBody::from(counts))).collect(),
        freshness: Freshness::from(&freshness),
    }))
}

fn facets(names: Vec<String>) -> Result<Vec<Facet>, Problem> {
    let unknown = || Problem::bad_request("unknown_facet").detail("facets are kind, source, section, year, patient");
    let mut facets: Vec<Facet> =
        names.iter().map(|name| Facet::parse(name).ok_or_else(unknown)).collect::<Result<_, _>>()?;
    facets.sort_unstable();
    facets.dedup();
    Ok(facets)
}

impl From<FacetCounts> for FacetBody {
    fn from(counts: FacetCounts) -> Self {
        let values = counts.values.into_iter().map(|(value, documents)| ValueBody { value, documents });
        Self { values: values.collect(), further: counts.further }
    }
}
