//! The part of a request that narrows a query.

use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::domain::{Filters, Fusion, Kind, Mode, PatientId, SourceId, Timestamp};

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterRequest {
    /// `note`, `report`, `result`, ...: any of them.
    pub kinds: Vec<String>,
    /// Section titles, without regard to case: any of them.
    pub sections: Vec<String>,
    pub sources: Vec<String>,
    /// The source's key of the encounter: `Encounter/5`.
    pub encounter: Option<String>,
    /// Inclusive, both; a date, month or year stands for the whole of it, or an RFC 3339 time.
    pub from: Option<String>,
    pub to: Option<String>,
}

impl FilterRequest {
    pub fn parse(self, patient: Option<String>) -> Result<Filters, Problem> {
        let kind = |name: &String| Kind::parse(name).ok_or_else(|| Problem::bad_request("unknown_kind"));
        Ok(Filters {
            patient: patient.map(PatientId::new),
            kinds: self.kinds.iter().map(kind).collect::<Result<_, _>>()?,
            sections: self.sections,
            sources: self.sources.into_iter().map(SourceId::new).collect(),
            encounter: self.encounter,
            from: time(self.from, Timestamp::parse)?,
            to: time(self.to, Timestamp::parse_end)?,
        })
    }
}

fn time(text: Option<String>, parse: fn(&str) -> Option<Timestamp>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| parse(&text).ok_or_else(|| Problem::bad_request("invalid_time"))).transpose()
}

pub fn fusion(name: Option<&str>) -> Result<Fusion, Problem> {
    match name {
        None | Some("standardized") => Ok(Fusion::Standardized),
        Some("convex") => Ok(Fusion::Convex),
        Some("rrf") => Ok(Fusion::Rrf),
        Some(_) => Err(Problem::bad_request("unknown_fusion").detail("fusion is standardized, convex or rrf")),
    }
}

pub fn mode(name: Option<&str>) -> Result<Mode, Problem> {
    match name {
        None | Some("hybrid") => Ok(Mode::Hybrid),
        Some("keyword") => Ok(Mode::Keyword),
        Some("dense") => Ok(Mode::Dense),
        Some(_) => Err(Problem::bad_request("unknown_mode").detail("mode is hybrid, keyword or dense")),
    }
}
