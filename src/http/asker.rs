//! Who asks, as the request says: verified once before a handler, and again while a long answer is on its way.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::web::Data;

use super::problem::Problem;
use super::request::{BREAK_GLASS_HEADER, bearer};
use crate::access::Access;
use crate::app::App;
use crate::domain::{DocumentKey, Timestamp};
use crate::telemetry::RefusalLabel;

pub struct Asker {
    app: Data<App>,
    token: String,
    grant: Option<HeaderValue>,
}

impl Asker {
    pub fn of(app: Data<App>, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { app, token: bearer(headers)?, grant: headers.get(BREAK_GLASS_HEADER).cloned() })
    }

    /// What the token, and the grant with it, opens at this moment.
    pub async fn access(&self) -> Result<Access, Problem> {
        // No policy, no access: what can't be read might have closed the door.
        let policy = self.app.policy.current().await?;
        let access = self.app.verifier.verify(&self.token, &policy).await.map_err(|error| {
            let label = RefusalLabel { reason: error.reason().to_owned() };
            self.app.metrics.tokens_refused.get_or_create(&label).inc();
            Problem::from(error)
        })?;
        let Some(grant) = &self.grant else { return Ok(access) };
        let grant = grant.to_str().unwrap_or_default();
        policy
            .break_glass(access, grant, Timestamp::now())
            .map_err(|error| Problem::new(StatusCode::FORBIDDEN, "break_glass_not_open").detail(error))
    }

    /// Errors: one of these document versions is no longer there for whoever asks, or nobody can tell.
    pub async fn may_still_see(&self, keys: &[DocumentKey]) -> Result<(), Problem> {
        let access = self.access().await?;
        let seen = self.app.store.documents_of_hits(&access, keys).await?;
        match keys.iter().all(|key| seen.contains_key(key)) {
            true => Ok(()),
            false => Err(Problem::withdrawn()),
        }
    }
}
