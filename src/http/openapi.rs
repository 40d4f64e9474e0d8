//! The OpenAPI 3.1 document, made from the handlers themselves.

use actix_web::HttpResponse;
use actix_web::web::Data;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder};

use super::problem;

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

/// Faults of any request that proves who it is from, and of ours.
const FAULTS: [(&str, &str); 6] = [
    ("400", "The request can't be understood"),
    ("401", "Nothing, or nothing good, proves who asks"),
    ("408", "The request comes too slowly; where it is its head, without a problem"),
    ("429", "Too much is asked at once"),
    ("500", "A fault of ours"),
    ("503", "Not at the moment"),
];
/// Of those that bring a token.
const FAULTS_OF_ACCESS: [(&str, &str); 1] = [("403", "Out of reach of the token")];
/// Of those that bring a body.
const FAULTS_OF_BODIES: [(&str, &str); 2] = [("413", "The body is too long"), ("415", "The body is of another type")];

/// Adds what every route may answer to what each says of itself.
pub fn add_faults(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let Some(schemes) = &operation.security else { continue };
        let brings_token = serde_json::to_value(schemes).is_ok_and(|schemes| schemes.to_string().contains("bearer"));
        let brings_body = operation.request_body.is_some();
        let faults = FAULTS.iter().chain(FAULTS_OF_ACCESS.iter().filter(|_| brings_token));
        for (status, meaning) in faults.chain(FAULTS_OF_BODIES.iter().filter(|_| brings_body)) {
            let content = Content::new(Some(Ref::from_schema_name("Problem")));
            let response = ResponseBuilder::new().description(*meaning).content(problem::CONTENT, content).build();
            operation.responses.responses.entry((*status).to_owned()).or_insert_with(|| response.into());
        }
    }
}

/// The operations of a path.
fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().filter_map(Option::as_mut)
}

/// The methods of a path.
pub fn methods(path: &PathItem) -> String {
    let methods = [("GET", &path.get), ("PUT", &path.put), ("POST", &path.post), ("DELETE", &path.delete)];
    let names: Vec<&str> =
        methods.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name).collect();
    names.join(", ")
}

pub async fn serve(document: Data<OpenApi>) -> HttpResponse {
    HttpResponse::Ok().json(document.get_ref())
}
