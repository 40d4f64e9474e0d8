//! The web pages, built from `web/` and carried in the binary.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;

use super::problem::Problem;

/// Empty when the binary was built without the pages.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Pages;

const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that is no route: a page or one of its files, else not found.
pub async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = match request.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    match Pages::get(path) {
        Some(file) => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, file.metadata.mimetype()))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((X_FRAME_OPTIONS, "DENY"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(file.data.into_owned())),
        None if path == "index.html" => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
            .body("anamnesis is running. The page is missing: build it with Node 20 or later (make web).\n")),
        None => Err(Problem::not_found().detail("there is nothing at this path")),
    }
}

/// Whether the binary carries the pages.
pub fn are_present() -> bool {
    Pages::get("index.html").is_some()
}
