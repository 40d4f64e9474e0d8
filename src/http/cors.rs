//! Pages of other origins: those that are configured may ask, with a token that they hold; there are no cookies, so
//! credentials of the browser's own are never allowed.

use actix_cors::Cors;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};

use super::request::{BREAK_GLASS_HEADER, REQUEST_ID_HEADER};

/// Seconds for which a browser may remember what it was allowed.
const REMEMBERED_S: usize = 600;

/// Without origins none is told that it may.
pub fn rules(origins: &[String]) -> Cors {
    let rules = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "DELETE"])
        .allowed_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, BREAK_GLASS_HEADER])
        .expose_headers([REQUEST_ID_HEADER, RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(REMEMBERED_S)
        // A browser holds the answer back by itself; who is no browser needs no leave.
        .block_on_origin_mismatch(false);
    origins.iter().fold(rules, |rules, origin| rules.allowed_origin(origin))
}
