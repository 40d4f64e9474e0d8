//! What no handler recorded itself: the route, who came, and how it ended.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use actix_web::HttpMessage;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::web::Data;

use super::problem::Problem;
use super::request::RequestId;
use crate::access::Access;
use crate::adapters::store::{AuditRow, Stranger};
use crate::app::App;
use crate::domain::Timestamp;

/// Rows for refused tokens in a second: whoever sends more must not fill the disk with them.
const REFUSALS_A_SECOND: u32 = 10;

/// Counts the refusals of the present second.
struct Brake {
    second: AtomicI64,
    count: AtomicU32,
}

static BRAKE: Brake = Brake { second: AtomicI64::new(0), count: AtomicU32::new(0) };

impl Brake {
    fn lets_through(&self, second: i64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.count.store(0, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed) < REFUSALS_A_SECOND
    }
}

/// Records that a token was refused; gives the problem to answer with.
pub async fn refusal(request: &ServiceRequest, problem: Problem) -> Problem {
    let Some(app) = request.app_data::<Data<App>>() else { return problem };
    if !BRAKE.lets_through(Timestamp::now().as_micros().div_euclid(1_000_000)) {
        return problem;
    }
    let id = request.extensions().get::<RequestId>().cloned();
    let action = route(request.method().as_str(), request.match_pattern());
    let who = Stranger { tenant: &app.config.tenant, caller: "unknown", class: "refusal" };
    match app.audit_stranger(&who, &row(&action, "refused", id.as_ref())).await {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

/// Records how a request ended, unless its handler did.
///
/// Errors: it couldn't be recorded, and so must not be answered.
pub async fn outcome<B>(response: &ServiceResponse<B>, access: Option<&Access>) -> Result<(), Problem> {
    let request = response.request();
    let app = request.app_data::<Data<App>>().ok_or_else(|| Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR))?;
    let id = request.extensions().get::<RequestId>().cloned();
    let action = route(request.method().as_str(), request.match_pattern());
    let row = row(&action, outcome_word(response.status()), id.as_ref());
    match access {
        Some(access) if access.is_audited() => Ok(()),
        Some(access) => Ok(app.audit(access, &row).await?),
        None if response.status() == StatusCode::UNAUTHORIZED => {
            let lets_through = BRAKE.lets_through(Timestamp::now().as_micros().div_euclid(1_000_000));
            let who = Stranger { tenant: &app.config.tenant, caller: "unknown", class: "refusal" };
            if lets_through { Ok(app.audit_stranger(&who, &row).await?) } else { Ok(()) }
        }
        None => {
            let source = request.match_info().get("source").unwrap_or("unknown");
            let caller = format!("source:{source}");
            let who = Stranger { tenant: &app.config.tenant, caller: &caller, class: "write" };
            Ok(app.audit_stranger(&who, &row).await?)
        }
    }
}

/// The route as the API document names it, so that no id or value of a request's own gets in.
fn route(method: &str, pattern: Option<String>) -> String {
    format!("{method} {}", pattern.as_deref().unwrap_or("no route"))
}

fn row<'a>(action: &'a str, outcome: &'static str, id: Option<&'a RequestId>) -> AuditRow<'a> {
    AuditRow { action, patient: None, documents: &[], outcome, request_id: id.map_or("", RequestId::as_str) }
}

fn outcome_word(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "denied",
        StatusCode::NOT_FOUND => "not_found",
        status if status.is_client_error() => "refused",
        status if status.is_server_error() => "failed",
        _ => "success",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_leaves_ten_rows_a_second() {
        let brake = Brake { second: AtomicI64::new(0), count: AtomicU32::new(0) };
        let passed = |second| (0..100).filter(|_| brake.lets_through(second)).count();
        assert_eq!((passed(5), passed(5), passed(6)), (10, 0, 10));
    }
}
