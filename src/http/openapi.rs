//! The OpenAPI 3.1 document, made from the handlers themselves.

use actix_web::HttpResponse;
use actix_web::web::Data;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};

/// Title, version and the bearer scheme; the routes add themselves.
pub fn base() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A JWT of a configured issuer with SMART App Launch v2 scopes; v1 forms are accepted."))
        .build();
    let secret = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The secret that was declared for the source."))
        .build();
    let signature = ApiKey::Header(ApiKeyValue::with_description(
        "X-Anamnesis-Signature",
        "An HMAC-SHA256 of the post with the source's secret; HubSpot's and Salesforce's own headers are taken too.",
    ));
    let schemes = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .security_scheme("source_secret", SecurityScheme::Http(secret))
        .security_scheme("signature", SecurityScheme::ApiKey(signature))
        .build();
    let info = InfoBuilder::new()
        .title("anamnesis")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Retrieval and grounded, cited answers over clinical data."))
        .build();
    OpenApiBuilder::new().info(info).components(Some(schemes)).build()
}

pub async fn serve(document: Data<OpenApi>) -> HttpResponse {
    HttpResponse::Ok().json(document.get_ref())
}
