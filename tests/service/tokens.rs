//! Tokens, good and bad.

use anamnesis::access::{DevelopmentKey, TokenGrant};
use anamnesis::domain::{PatientId, TenantId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub const SECRET: &[u8] = b"a secret of the tests, longer than thirty-two bytes";

pub const READER: &str = "user/*.rs";
pub const SENDER: &str = "system/*.cud";
pub const ADMIN: &str = "anamnesis/admin.reindex anamnesis/admin.quarantine anamnesis/admin.sources \
    anamnesis/admin.quality anamnesis/admin.access anamnesis/admin.audit anamnesis/admin.erase";

pub fn grant(tenant: &str, scopes: &str) -> TokenGrant {
    TokenGrant::new("dr-grey", TenantId::new(tenant), scopes)
}

pub fn sign(grant: &TokenGrant) -> String {
    DevelopmentKey::new(SECRET).unwrap().mint(grant)
}

/// A token of the tenant `north`.
pub fn mint(scopes: &str) -> String {
    sign(&grant("north", scopes))
}

pub fn mint_in(tenant: &str, scopes: &str) -> String {
    sign(&grant(tenant, scopes))
}

/// A launch for one patient.
pub fn for_patient(patient: &str, scopes: &str) -> String {
    sign(&TokenGrant { patient: Some(PatientId::new(patient)), ..grant("north", scopes) })
}

/// A user with these patients on the roster and no others.
pub fn with_roster(patients: &[&str]) -> String {
    let patients = patients.iter().map(|patient| PatientId::new(*patient)).collect();
    sign(&TokenGrant { patients: Some(patients), ..grant("north", READER) })
}

pub fn cleared_for(codes: &[&str]) -> String {
    let sensitivity = codes.iter().map(|code| (*code).to_owned()).collect();
    sign(&TokenGrant { sensitivity, ..grant("north", READER) })
}

fn claims() -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": DevelopmentKey::ISSUER, "aud": DevelopmentKey::AUDIENCE, "sub": "dr-grey", "tenant": "north",
        "iat": now, "exp": now + 600,
        "scope": format!("{READER} system/*.rs {SENDER} {ADMIN}"),
    })
}

fn signed_by(claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Tokens that would open everything, were they any good; each with what is wrong with it.
pub fn bad() -> Vec<(&'static str, String)> {
    let mut expired = claims();
    expired["iat"] = json!(expired["iat"].as_i64().unwrap() - 7_200);
    expired["exp"] = json!(expired["iat"].as_i64().unwrap() + 600);
    let mut elsewhere = claims();
    elsewhere["aud"] = json!("another-service");
    let mut stranger = claims();
    stranger["iss"] = json!("https://stranger.example");
    let mut tenantless = claims();
    tenantless.as_object_mut().unwrap().remove("tenant");
    let none = json!({"alg": "none", "typ": "JWT"});
    let whole = signed_by(&claims(), SECRET);
    let (signed_part, _) = whole.rsplit_once('.').unwrap();
    vec![
        ("malformed", "not-a-token".to_owned()),
        ("expired", signed_by(&expired, SECRET)),
        ("for another audience", signed_by(&elsewhere, SECRET)),
        ("of another issuer", signed_by(&stranger, SECRET)),
        ("without a tenant", signed_by(&tenantless, SECRET)),
        ("signed by another key", signed_by(&claims(), b"some other secret that is also long enough")),
        ("alg none", format!("{}.{}.", part(&none), part(&claims()))),
        ("alg none with a signature", format!("{}.{}.c2ln", part(&none), part(&claims()))),
        ("unsigned", format!("{signed_part}.")),
    ]
}

/// The token that the bad ones are made from: it must work, or they prove nothing.
pub fn good() -> String {
    signed_by(&claims(), SECRET)
}
