//! Tokens signed with real keys, each broken in one way.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::super::key_cache::{DEFAULT_LIFETIME, INTERVAL};
use super::super::test_keys::{Endpoint, Fetching, RSA_PUBLIC_PEM, StillClock, TestKey, fetched};
use super::super::{Access, Act, Operation, Row, TenantSource, TokenGrant};
use super::*;
use crate::domain::{Kind, Labels, PatientId, SourceId, TenantId};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://anamnesis.example";

fn settings() -> IssuerSettings {
    let keys = KeySource::JwksUrl("https://issuer.example/jwks".to_owned());
    IssuerSettings::new(ISSUER, AUDIENCE, TenantSource::Fixed(TenantId::new("north")), keys)
}

fn every_key() -> Vec<Value> {
    [(TestKey::Rsa, "rsa"), (TestKey::P256, "p256"), (TestKey::P384, "p384"), (TestKey::Ed25519, "ed25519")]
        .map(|(key, id)| key.jwk(id))
        .into()
}

fn verifier_of(settings: IssuerSettings) -> Verifier {
    Verifier::new(vec![settings], Endpoint::serving(&every_key())).unwrap()
}

fn verifier() -> Verifier {
    verifier_of(settings())
}

fn now_s() -> i64 {
    Timestamp::now().as_micros() / 1_000_000
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "dr-grey", "exp": now_s() + 600, "iat": now_s(),
        "scope": "patient/*.rs", "patient": "p1",
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn covers(access: &Access, patient: Option<&PatientId>, labels: &Labels) -> bool {
    let as_of = Timestamp::now();
    access
        .reach()
        .covers(Act::Search, &Row { patient, resource_type: "Observation", kind: Kind::Result, labels, as_of })
}

fn signed(claims: &Value) -> String {
    TestKey::Rsa.sign(&TestKey::Rsa.header("rsa"), claims)
}

fn signed_under(header: Header) -> String {
    TestKey::Rsa.sign(&header, &claims())
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn refused(result: Result<Access, TokenError>) -> &'static str {
    result.unwrap_err().reason()
}

#[tokio::test]
async fn tokens_signed_by_each_kind_of_key_verify() {
    let verifier = verifier();
    for (key, id) in
        [(TestKey::Rsa, "rsa"), (TestKey::P256, "p256"), (TestKey::P384, "p384"), (TestKey::Ed25519, "ed25519")]
    {
        let access = verifier.verify(&key.sign(&key.header(id), &claims()), &Policy::default()).await.unwrap();
        assert_eq!(access.tenant().as_str(), "north");
        let patient = PatientId::new("p1");
        assert!(covers(&access, Some(&patient), &Labels::default()));
        assert!(!covers(&access, None, &Labels::default()));
    }
    let rs384 = Header { alg: Algorithm::RS384, ..TestKey::Rsa.header("rsa") };
    assert!(verifier.verify(&signed_under(rs384), &Policy::default()).await.is_ok());
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let verifier = verifier();
    let token = signed(&claims());
    let [header, _, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let wider = encoded(&claims_with("scope", json!("system/*.cruds anamnesis/admin.reindex")));
    assert_eq!(
        refused(verifier.verify(&format!("{header}.{wider}.{signature}"), &Policy::default()).await),
        "signature"
    );
    let stranger = TestKey::OtherRsa.sign(&TestKey::Rsa.header("rsa"), &claims());
    assert_eq!(refused(verifier.verify(&stranger, &Policy::default()).await), "signature");
    let unsigned = token.replace(signature, "");
    assert_eq!(refused(verifier.verify(&unsigned, &Policy::default()).await), "signature");
}

#[tokio::test]
async fn no_single_changed_character_leaves_a_token_valid() {
    let verifier = verifier();
    let token = TestKey::P256.sign(&TestKey::P256.header("p256"), &claims());
    assert!(verifier.verify(&token, &Policy::default()).await.is_ok());
    for position in 0..token.len() {
        let mut changed = token.clone();
        let other = if token.as_bytes()[position] == b'A' { "B" } else { "A" };
        changed.replace_range(position..=position, other);
        assert!(verifier.verify(&changed, &Policy::default()).await.is_err(), "{position}");
        assert!(verifier.verify(&token[..position], &Policy::default()).await.is_err(), "{position}");
    }
}

#[tokio::test]
async fn claims_that_do_not_hold_refuse_the_token() {
    let verifier = verifier();
    for (claims, reason) in [
        (claims_with("exp", json!(now_s() - 120)), "expired"),
        (claims_with("nbf", json!(now_s() + 120)), "not_yet_valid"),
        (claims_with("nbf", json!("soon")), "claim_shape"),
        (claims_with("iat", json!(now_s() + 120)), "issued_in_future"),
        (claims_with("aud", json!("https://elsewhere.example")), "audience"),
        (claims_with("aud", json!(["https://elsewhere.example"])), "audience"),
        (claims_with("aud", json!([])), "audience"),
        (claims_with("iss", json!("https://elsewhere.example")), "unknown_issuer"),
        (claims_with("iss", json!("https://issuer.example/")), "unknown_issuer"),
        (claims_with("iss", json!([ISSUER])), "unknown_issuer"),
        (claims_with("sub", json!("")), "claim_shape"),
        (claims_without("exp"), "missing_claim"),
        (claims_without("aud"), "missing_claim"),
        (claims_without("sub"), "missing_claim"),
        (claims_without("iss"), "unknown_issuer"),
        (claims_without("scope"), "type"),
    ] {
        assert_eq!(refused(verifier.verify(&signed(&claims), &Policy::default()).await), reason, "{claims}");
    }
}

#[tokio::test]
async fn a_minute_of_skew_and_several_audiences_are_accepted() {
    let verifier = verifier();
    for claims in [
        claims_with("exp", json!(now_s() - 30)),
        claims_with("nbf", json!(now_s() + 30)),
        claims_with("iat", json!(now_s() + 30)),
        claims_with("aud", json!(["https://elsewhere.example", AUDIENCE])),
    ] {
        assert!(verifier.verify(&signed(&claims), &Policy::default()).await.is_ok(), "{claims}");
    }
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    let verifier = verifier();
    for algorithm in ["none", "None", "NONE", ""] {
        let header = encoded(&json!({"alg": algorithm, "typ": "JWT", "kid": "rsa"}));
        let token = format!("{header}.{}.", encoded(&claims()));
        assert_eq!(refused(verifier.verify(&token, &Policy::default()).await), "header", "{algorithm}");
    }
}

#[tokio::test]
async fn the_public_key_used_as_a_shared_secret_is_refused() {
    let verifier = verifier();
    let header = Header { kid: Some("rsa".to_owned()), ..Header::new(Algorithm::HS256) };
    let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(RSA_PUBLIC_PEM)).unwrap();
    assert_eq!(refused(verifier.verify(&token, &Policy::default()).await), "algorithm");
}

#[tokio::test]
async fn an_algorithm_the_issuer_does_not_use_is_refused() {
    let only_es384 = IssuerSettings { algorithms: vec![SigningAlgorithm::Es384], ..settings() };
    let verifier = verifier_of(only_es384);
    assert_eq!(refused(verifier.verify(&signed(&claims()), &Policy::default()).await), "algorithm");
    assert!(
        verifier
            .verify(&TestKey::P384.sign(&TestKey::P384.header("p384"), &claims()), &Policy::default())
            .await
            .is_ok()
    );
    let rs512 = Header { alg: Algorithm::RS512, ..TestKey::Rsa.header("rsa") };
    assert_eq!(refused(self::verifier().verify(&signed_under(rs512), &Policy::default()).await), "algorithm");
}

#[tokio::test]
async fn a_key_id_is_looked_up_and_never_followed() {
    let verifier = verifier();
    for id in
        ["../rsa", "../../etc/passwd", "/dev/null", "file:///etc/hosts", "https://evil.example/k", "rsa\0", "' OR 1=1"]
    {
        assert_eq!(
            refused(verifier.verify(&signed_under(TestKey::Rsa.header(id)), &Policy::default()).await),
            "unknown_key"
        );
    }
}

#[tokio::test]
async fn a_key_of_another_kind_under_the_same_id_is_not_used() {
    assert_eq!(
        refused(verifier().verify(&signed_under(TestKey::Rsa.header("p256")), &Policy::default()).await),
        "unknown_key"
    );
}

#[tokio::test]
async fn a_token_that_brings_its_own_key_is_refused() {
    let verifier = verifier();
    let plain = TestKey::Rsa.header("rsa");
    let jwk = serde_json::from_value(TestKey::Rsa.jwk("rsa")).unwrap();
    for header in [
        Header { jku: Some("https://evil.example/jwks".to_owned()), ..plain.clone() },
        Header { jwk: Some(jwk), ..plain.clone() },
        Header { x5u: Some("https://evil.example/chain".to_owned()), ..plain.clone() },
        Header { x5c: Some(vec!["MIIB".to_owned()]), ..plain.clone() },
        Header { crit: Some(vec!["b64".to_owned()]), ..plain.clone() },
        Header { crit: Some(Vec::new()), ..plain },
    ] {
        assert_eq!(refused(verifier.verify(&signed_under(header), &Policy::default()).await), "header");
    }
}

#[tokio::test]
async fn only_access_tokens_are_taken() {
    let verifier = verifier();
    let typed = |typ: Option<&str>| Header { typ: typ.map(str::to_owned), ..TestKey::Rsa.header("rsa") };
    for typ in [None, Some("JWT"), Some("jwt"), Some("at+jwt"), Some("application/at+jwt")] {
        assert!(verifier.verify(&signed_under(typed(typ)), &Policy::default()).await.is_ok(), "{typ:?}");
    }
    for typ in [Some("logout+jwt"), Some("secevent+jwt"), Some("")] {
        assert_eq!(refused(verifier.verify(&signed_under(typed(typ)), &Policy::default()).await), "type", "{typ:?}");
    }
    let unscoped = TestKey::Rsa.sign(&typed(Some("at+jwt")), &claims_without("scope"));
    let access = verifier.verify(&unscoped, &Policy::default()).await.unwrap();
    assert_eq!(access.reach().windows(Act::Read).count(), 0);
}

#[tokio::test]
async fn what_is_no_token_is_malformed() {
    let verifier = verifier();
    let long = format!("{}.a.a", "a".repeat(LONGEST_TOKEN));
    for token in ["", "a", "a.b", "a.b.c.d", "Bearer", long.as_str()] {
        assert_eq!(verifier.verify(token, &Policy::default()).await.unwrap_err(), TokenError::Malformed);
    }
    for token in ["a.b.c", "..", "\u{e9}.\u{e9}.\u{e9}", "e30.e30.e30"] {
        assert_eq!(refused(verifier.verify(token, &Policy::default()).await), "header", "{token}");
    }
    let header = encoded(&json!({"alg": "RS256"}));
    assert_eq!(refused(verifier.verify(&format!("{header}.!.!"), &Policy::default()).await), "unknown_issuer");
}

#[tokio::test]
async fn without_issuers_every_token_is_refused() {
    let verifier = Verifier::new(Vec::new(), Endpoint::serving(&[])).unwrap();
    for token in [signed(&claims()), String::new()] {
        assert_eq!(verifier.verify(&token, &Policy::default()).await.unwrap_err(), TokenError::NotConfigured);
    }
    assert!(verifier.is_ready());
}

#[tokio::test]
async fn without_keys_the_answer_is_to_come_again() {
    let endpoint = Endpoint::serving(&[]);
    endpoint.fail();
    let verifier = Verifier::new(vec![settings()], endpoint).unwrap();
    assert_eq!(verifier.refresh_keys().await, [ISSUER]);
    assert!(!verifier.is_ready());
    let error = verifier.verify(&signed(&claims()), &Policy::default()).await.unwrap_err();
    assert_eq!(error, TokenError::KeysUnavailable { retry_after_s: 10 });
}

#[tokio::test]
async fn a_removed_key_stops_verifying_and_a_new_one_starts() {
    let endpoint = Endpoint::serving(&[TestKey::Rsa.jwk("old")]);
    let clock = StillClock::new();
    let verifier = Verifier::with_clock(vec![settings()], endpoint.clone(), clock.reader()).unwrap();
    assert!(verifier.refresh_keys().await.is_empty());
    let old = signed_under(TestKey::Rsa.header("old"));
    let new = TestKey::OtherRsa.sign(&TestKey::OtherRsa.header("new"), &claims());
    assert!(verifier.verify(&old, &Policy::default()).await.is_ok());

    endpoint.serve(&[TestKey::OtherRsa.jwk("new")]);
    assert_eq!(refused(verifier.verify(&new, &Policy::default()).await), "unknown_key");
    clock.advance(INTERVAL);
    assert!(verifier.verify(&new, &Policy::default()).await.is_ok());
    assert_eq!(refused(verifier.verify(&old, &Policy::default()).await), "unknown_key");
    assert_eq!(endpoint.asked(), 2);
    clock.advance(DEFAULT_LIFETIME + Duration::from_secs(1));
    assert_eq!(refused(verifier.verify(&old, &Policy::default()).await), "unknown_key");
    assert_eq!(endpoint.asked(), 3);
}

#[tokio::test]
async fn one_issuer_cannot_sign_for_another() {
    let other = IssuerSettings {
        tenant: TenantSource::Fixed(TenantId::new("south")),
        keys: KeySource::JwksFile("south.json".into()),
        issuer: "https://south.example".to_owned(),
        ..settings()
    };
    let verifier = Verifier::new(vec![settings(), other], Arc::new(TwoIssuers)).unwrap();
    let for_south = claims_with("iss", json!("https://south.example"));
    assert_eq!(refused(verifier.verify(&signed(&for_south), &Policy::default()).await), "signature");
    let genuine = TestKey::OtherRsa.sign(&TestKey::OtherRsa.header("rsa"), &for_south);
    assert_eq!(verifier.verify(&genuine, &Policy::default()).await.unwrap().tenant().as_str(), "south");
}

/// The URL serves one key, the file another, under the same id.
struct TwoIssuers;

impl FetchJwks for TwoIssuers {
    fn fetch<'a>(&'a self, _url: &'a str) -> Fetching<'a> {
        fetched(&[TestKey::Rsa.jwk("rsa")])
    }

    fn read_file<'a>(&'a self, _path: &'a std::path::Path) -> Fetching<'a> {
        fetched(&[TestKey::OtherRsa.jwk("rsa")])
    }
}

#[tokio::test]
async fn a_development_token_gives_what_it_was_minted_for() {
    let key = DevelopmentKey::new(b"thirty-two bytes of no secrecy!!").unwrap();
    let grant = TokenGrant {
        patient: Some(PatientId::new("p1")),
        patients: Some(vec![PatientId::new("p2")]),
        sources: Some(vec![SourceId::new("lab")]),
        sensitivity: vec!["R".to_owned(), "PSY".to_owned()],
        purpose: Some("TREAT".to_owned()),
        client: Some("portal".to_owned()),
        ..TokenGrant::new("dr-grey", TenantId::new("north"), "user/*.rs patient/*.rs system/*.c")
    };
    let access = Verifier::development(key.clone()).verify(&key.mint(&grant), &Policy::default()).await.unwrap();
    assert_eq!((access.tenant().as_str(), access.caller()), ("north", "dr-grey"));
    assert_eq!((access.client(), access.purpose()), (Some("portal"), Some("TREAT")));
    assert_eq!(access.launch_patient(), Some(&PatientId::new("p1")));
    assert_eq!(access.operations_allowed(), ["ingest"]);
    let labels = Labels { sensitivity: ["PSY".to_owned()].into(), ..Labels::default() };
    for (patient, expected) in [("p1", true), ("p2", true), ("p3", false)] {
        let patient = PatientId::new(patient);
        assert_eq!(covers(&access, Some(&patient), &labels), expected);
    }
    assert!(access.permit(Operation::Ingest(SourceId::new("lab"))).is_ok());
    assert!(access.permit(Operation::Ingest(SourceId::new("pharmacy"))).is_err());
}

#[tokio::test]
async fn a_development_verifier_takes_its_own_key_and_hs256_only() {
    let key = DevelopmentKey::random();
    let verifier = Verifier::development(key.clone());
    let grant = TokenGrant::new("dr-grey", TenantId::new("north"), "user/*.rs");
    assert!(verifier.verify(&key.mint(&grant), &Policy::default()).await.is_ok());
    assert_eq!(refused(verifier.verify(&DevelopmentKey::random().mint(&grant), &Policy::default()).await), "signature");
    let mut claims = claims();
    claims["iss"] = json!(DevelopmentKey::ISSUER);
    assert_eq!(refused(verifier.verify(&signed(&claims), &Policy::default()).await), "algorithm");
    assert!(verifier.is_ready() && verifier.refresh_keys().await.is_empty());
}

#[test]
fn a_printed_verifier_names_issuers_only() {
    let printed = format!("{:?}", Verifier::development(DevelopmentKey::random()));
    assert_eq!(printed, "Verifier { issuers: [\"anamnesis-development\"], .. }");
}
