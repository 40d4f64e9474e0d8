//! `GET /v1/whoami`: what the token in hand opens, for a page that must choose what to show.

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::{Reader, Reply};
use crate::access::{Act, Types};
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
pub struct WhoamiResponse {
    /// The token's `sub`.
    caller: String,
    tenant: String,
    purpose: Option<String>,
    /// The launch patient, if the token has one.
    patient: Option<String>,
    /// `ingest`, `reindex`, `quarantine`, `sources`, `quality`, `access`, `audit`, `erase`.
    operations: Vec<&'static str>,
    /// With `ingest`, the FHIR types that records may be of: `*` is every type, and every form.
    ingest_types: Vec<String>,
    can_list_patients: bool,
    /// Whether all that this client gets is de-identified: ids are pseudonyms, times are moved, names are gone.
    deidentified: bool,
}

/// Who am I
#[utoipa::path(
    tag = "read",
    responses(
        (status = 200, body = WhoamiResponse),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
#[get("/v1/whoami")]
pub async fn read_whoami(app: Data<App>, access: Reader) -> Reply<WhoamiResponse> {
    let can_list_patients = access.reach().windows(Act::Search).any(|window| window.opens(Act::Search, "Patient"));
    let patient = access.launch_patient().map(|patient| app.disclose.name_of(&access, patient)).transpose()?;
    Ok(Json(WhoamiResponse {
        caller: access.caller().to_owned(),
        tenant: access.tenant().to_string(),
        purpose: access.purpose().map(str::to_owned),
        patient,
        deidentified: access.is_deidentified(),
        operations: access.operations_allowed(),
        ingest_types: match access.types_allowed() {
            Types::Every => vec!["*".to_owned()],
            Types::Only(types) => types.iter().cloned().collect(),
        },
        can_list_patients,
    }))
}
