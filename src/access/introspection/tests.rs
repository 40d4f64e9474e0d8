//! Tokens that an issuer is asked about, and an issuer that says what it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use serde_json::json;

use super::super::test_keys::{Endpoint, StillClock, TestKey};
use super::super::{Access, KeySource, Policy, SettingsError, TenantSource, Verifier};
use super::*;
use crate::domain::TenantId;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://anamnesis.example";
const OPAQUE: &str = "2YotnFZFEjr1zCsicMWpAA";
const KEEP: Duration = Duration::from_secs(30);

/// Says the same of every token, and counts how often it is asked.
struct Oracle {
    answer: Mutex<Result<Vec<u8>, FetchFailed>>,
    asked: AtomicUsize,
}

impl Oracle {
    fn saying(answer: &Value) -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(Ok(answer.to_string().into_bytes())), asked: AtomicUsize::new(0) })
    }

    fn say(&self, answer: &str) {
        *self.answer.lock().unwrap() = Ok(answer.as_bytes().to_vec());
    }

    fn fail(&self) {
        *self.answer.lock().unwrap() = Err(FetchFailed { reason: "timeout" });
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl AskIssuer for Oracle {
    fn ask<'a>(&'a self, _token: &'a str) -> BoxFuture<'a, Result<Vec<u8>, FetchFailed>> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.answer.lock().unwrap().clone()
        }
        .boxed()
    }
}

fn now_s() -> i64 {
    Timestamp::now().as_micros() / 1_000_000
}

fn good() -> Value {
    json!({
        "active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "dr-grey", "scope": "patient/*.rs",
        "patient": "p1", "client_id": "portal", "token_type": "Bearer", "exp": now_s() + 600, "iat": now_s(),
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut answer = good();
    answer[name] = value;
    answer
}

fn without(name: &str) -> Value {
    let mut answer = good();
    answer.as_object_mut().unwrap().remove(name);
    answer
}

fn settings(oracle: &Arc<Oracle>, keys: KeySource) -> IssuerSettings {
    let tenant = TenantSource::Fixed(TenantId::new("north"));
    let introspection =
        Introspection { endpoint: oracle.clone(), keep: KEEP, takes_opaque: true, asks_about_all: true };
    IssuerSettings { introspection: Some(introspection), ..IssuerSettings::new(ISSUER, AUDIENCE, tenant, keys) }
}

fn verifier_of(settings: IssuerSettings, clock: &StillClock) -> Verifier {
    Verifier::with_clock(vec![settings], Endpoint::serving(&[TestKey::Rsa.jwk("rsa")]), clock.reader()).unwrap()
}

fn verifier(oracle: &Arc<Oracle>, clock: &StillClock) -> Verifier {
    verifier_of(settings(oracle, KeySource::Introspection), clock)
}

fn by_keys() -> KeySource {
    KeySource::JwksUrl("https://issuer.example/jwks".to_owned())
}

async fn verify(verifier: &Verifier, token: &str) -> Result<Access, TokenError> {
    verifier.verify(token, &Policy::default()).await
}

fn jwt(sub: &str) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "exp": now_s() + 600, "iat": now_s(), "scope": "user/*.rs",
    });
    TestKey::Rsa.sign(&TestKey::Rsa.header("rsa"), &claims)
}

#[tokio::test]
async fn an_opaque_token_gives_what_its_issuer_says() {
    for answer in
        [good(), without("iss"), without("token_type"), with("aud", json!(["https://other.example", AUDIENCE]))]
    {
        let verifier = verifier(&Oracle::saying(&answer), &StillClock::new());
        assert!(verifier.is_ready());
        let access = verify(&verifier, OPAQUE).await.unwrap();
        assert_eq!((access.tenant().as_str(), access.caller(), access.client()), ("north", "dr-grey", Some("portal")));
        assert_eq!(access.launch_patient().map(|patient| patient.as_str()), Some("p1"));
    }
}

#[tokio::test]
async fn what_is_not_clearly_a_yes_is_a_no() {
    for (answer, refusal) in [
        (json!({"active": false}), Refusal::Inactive),
        (with("active", json!(false)), Refusal::Inactive),
        (with("active", json!("true")), Refusal::Inactive),
        (with("active", json!(1)), Refusal::Inactive),
        (without("active"), Refusal::Inactive),
        (json!({}), Refusal::Inactive),
        (with("exp", json!(now_s())), Refusal::Expired),
        (with("exp", json!(now_s() - 1)), Refusal::Expired),
        (without("exp"), Refusal::MissingClaim),
        (with("exp", json!("tomorrow")), Refusal::ClaimShape),
        (with("nbf", json!(now_s() + 100)), Refusal::NotYetValid),
        (with("aud", json!("https://other.example")), Refusal::Audience),
        (with("aud", json!([])), Refusal::Audience),
        (without("aud"), Refusal::MissingClaim),
        (with("aud", json!(7)), Refusal::ClaimShape),
        (with("iss", json!("https://other.example")), Refusal::Issuer),
        (with("iss", json!(null)), Refusal::ClaimShape),
        (without("sub"), Refusal::MissingClaim),
        (without("scope"), Refusal::Type),
        (with("token_type", json!("Refresh")), Refusal::Type),
        (with("iat", json!(now_s() + 100)), Refusal::IssuedInFuture),
        (with("patients", json!("p1")), Refusal::ClaimShape),
    ] {
        let verifier = verifier(&Oracle::saying(&answer), &StillClock::new());
        assert_eq!(verify(&verifier, OPAQUE).await.unwrap_err(), refusal.into(), "{answer}");
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_or_understood_closes_the_door() {
    let (oracle, clock) = (Oracle::saying(&good()), StillClock::new());
    let verifier = verifier(&oracle, &clock);
    let unavailable = TokenError::IssuerUnavailable { retry_after_s: RETRY_AFTER_S };
    for answer in ["", "yes", "[true]", "null", "{\"active\":true,\"active\":false}"] {
        oracle.say(answer);
        assert_eq!(verify(&verifier, OPAQUE).await.unwrap_err(), unavailable, "{answer}");
    }
    oracle.fail();
    assert_eq!(verify(&verifier, OPAQUE).await.unwrap_err(), unavailable);
    oracle.say(&good().to_string());
    verify(&verifier, OPAQUE).await.unwrap();
    oracle.fail();
    clock.advance(KEEP);
    assert_eq!(verify(&verifier, OPAQUE).await.unwrap_err(), unavailable, "an old answer is none");
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_and_no_longer() {
    let (oracle, clock) = (Oracle::saying(&good()), StillClock::new());
    let verifier = verifier(&oracle, &clock);
    for _ in 0..3 {
        verify(&verifier, OPAQUE).await.unwrap();
    }
    assert_eq!(oracle.asked(), 1);
    verify(&verifier, "another-token").await.unwrap();
    assert_eq!(oracle.asked(), 2, "each token has an answer of its own");
    oracle.say("{\"active\":false}");
    clock.advance(KEEP - Duration::from_secs(1));
    verify(&verifier, OPAQUE).await.unwrap();
    clock.advance(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(verify(&verifier, OPAQUE).await.unwrap_err(), Refusal::Inactive.into());
    }
    assert_eq!(oracle.asked(), 3, "a no is kept, too");
}

#[tokio::test]
async fn a_kept_answer_ends_with_the_token_and_with_a_revocation() {
    let now = Timestamp::now();
    let later = now.plus(jiff::SignedDuration::from_secs(601));
    let (oracle, clock) = (Oracle::saying(&good()), StillClock::new());
    let answers = Answers::new(
        Introspection { endpoint: oracle.clone(), keep: KEEP, takes_opaque: true, asks_about_all: false },
        clock.reader(),
    );
    let settings = settings(&oracle, KeySource::Introspection);
    let claims = answers.claims(OPAQUE, &settings).await.unwrap();
    assert_eq!(claims.introspected(&settings, later).err(), Some(Refusal::Expired));

    let verifier = verifier(&oracle, &clock);
    verify(&verifier, OPAQUE).await.unwrap();
    oracle.say(&with("exp", json!(now_s() - 5)).to_string());
    clock.advance(KEEP);
    assert_eq!(verify(&verifier, OPAQUE).await.unwrap_err(), Refusal::Expired.into());
}

#[tokio::test]
async fn a_jwt_is_asked_about_once_its_signature_holds() {
    let (oracle, clock) = (Oracle::saying(&good()), StillClock::new());
    let verifier = verifier_of(settings(&oracle, by_keys()), &clock);
    let token = jwt("dr-grey");
    let access = verify(&verifier, &token).await.unwrap();
    assert_eq!(access.launch_patient(), None, "what the token says counts, as long as it is active");
    assert_eq!(oracle.asked(), 1);
    let forged = TestKey::OtherRsa.sign(&TestKey::Rsa.header("rsa"), &good());
    assert_eq!(verify(&verifier, &forged).await.unwrap_err(), Refusal::Signature.into());
    assert_eq!(oracle.asked(), 1, "a forged one is not worth a question");
    assert_eq!(verify(&verifier, &jwt("dr-who")).await.unwrap_err(), Refusal::Inactive.into());
    oracle.say("{\"active\":false}");
    assert!(verify(&verifier, &token).await.is_ok(), "still kept");
    clock.advance(KEEP);
    assert_eq!(verify(&verifier, &token).await.unwrap_err(), Refusal::Inactive.into());
}

#[tokio::test]
async fn an_issuer_is_asked_only_about_what_it_is_configured_for() {
    let (oracle, clock) = (Oracle::saying(&good()), StillClock::new());
    let told = |keys: KeySource, takes_opaque: bool, asks_about_all: bool| {
        let introspection = Introspection { endpoint: oracle.clone(), keep: KEEP, takes_opaque, asks_about_all };
        IssuerSettings { introspection: Some(introspection), ..settings(&oracle, keys) }
    };
    let opaque_only = verifier_of(told(by_keys(), true, false), &clock);
    verify(&opaque_only, &jwt("dr-grey")).await.unwrap();
    assert_eq!(oracle.asked(), 0);
    let jwt_only = verifier_of(told(by_keys(), false, true), &clock);
    assert_eq!(verify(&jwt_only, OPAQUE).await.unwrap_err(), TokenError::Malformed);
    assert_eq!(oracle.asked(), 0);
    let without_keys = verifier_of(told(KeySource::Introspection, false, true), &clock);
    verify(&without_keys, &jwt("dr-grey")).await.unwrap();
    assert_eq!(oracle.asked(), 1, "without keys all is asked for");
    let none = json!({"alg": "none", "typ": "JWT"}).to_string();
    assert!(verify(&without_keys, &format!("{none}.{none}.")).await.is_err());
    assert_eq!(oracle.asked(), 1);
}

#[tokio::test]
async fn made_up_tokens_do_not_become_a_flood_at_the_issuer() {
    let (oracle, clock) = (Oracle::saying(&json!({"active": false})), StillClock::new());
    let verifier = verifier(&oracle, &clock);
    let tokens: Vec<String> = (0..200).map(|number| format!("made-up-{number}")).collect();
    let asked = tokens.iter().map(|token| verify(&verifier, token));
    let refused = futures_util::future::join_all(asked).await;
    let unavailable = TokenError::IssuerUnavailable { retry_after_s: RETRY_AFTER_S };
    assert_eq!(oracle.asked(), MOST_AT_ONCE);
    assert_eq!(refused.iter().filter(|result| matches!(result, Err(error) if *error == unavailable)).count(), 184);
}

#[test]
fn settings_that_could_ask_nobody_or_anybody_are_refused() {
    let oracle = Oracle::saying(&good());
    let nobody = IssuerSettings { introspection: None, ..settings(&oracle, KeySource::Introspection) };
    let new = |settings| Verifier::new(settings, Endpoint::serving(&[])).err();
    assert_eq!(new(vec![nobody]), Some(SettingsError::NoKeys(ISSUER.to_owned())));
    let other = IssuerSettings { issuer: "https://other.example".to_owned(), ..settings(&oracle, by_keys()) };
    assert_eq!(new(vec![settings(&oracle, by_keys()), other]), Some(SettingsError::SeveralOpaque));
    assert!(!format!("{:?}", settings(&oracle, by_keys())).contains("Oracle"));
}
