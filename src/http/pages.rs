//! The web pages, built from `web/` and carried in the binary.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;
use utoipa::openapi::OpenApi;

use super::openapi;
use super::problem::Problem;

/// Empty when the binary was built without the pages.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Pages;

const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that is no route: a page or one of its files, a route by another method, else not found.
pub async fn page(request: HttpRequest, document: Data<OpenApi>) -> Result<HttpResponse, Problem> {
    if let Some((_, item)) = document.paths.paths.iter().find(|(template, _)| fits(template, request.path())) {
        return Err(Problem::method_not_allowed(openapi::methods(item)));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::not_found().detail("there is nothing at this path"));
    }
    let path = match request.path() {
        "/" => "index.html",
        path => path.trim_start_matches('/'),
    };
    match Pages::get(path) {
        Some(file) => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, file.metadata.mimetype()))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(file.data.into_owned())),
        None if path == "index.html" => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
            .body("anamnesis is running. The page is missing: build it with Node 20 or later (make web).\n")),
        None => Err(Problem::not_found().detail("there is nothing at this path")),
    }
}

/// Whether a path is one of a template's: `/v1/jobs/{id}` takes any segment in the place of `{id}`.
fn fits(template: &str, path: &str) -> bool {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(name), Some(segment)) if name == segment => {}
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {}
            _ => return false,
        }
    }
}

/// Whether the binary carries the pages.
pub fn are_present() -> bool {
    Pages::get("index.html").is_some()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_template_takes_any_segment_for_a_parameter_and_no_more() {
        assert!(fits("/v1/jobs/{id}/cancel", "/v1/jobs/7/cancel"));
        for path in ["/v1/jobs//cancel", "/v1/jobs/7", "/v1/jobs/7/cancel/", "/v1/jobs/7/8/cancel"] {
            assert!(!fits("/v1/jobs/{id}/cancel", path), "{path}");
        }
    }
}
