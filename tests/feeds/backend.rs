//! SMART Backend Services.

use std::collections::BTreeSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::harness::Service;
use crate::mock::Mock;

fn feed(mock: &Mock, key: &str, more: &str) -> String {
    let url = &mock.base;
    format!(
        "mode = 'poll'\nurl = '{url}'\ntypes = ['Patient', 'Condition']\nevery_s = 1\n\
         [credentials]\nkind = 'backend'\nclient_id = 'anamnesis-north'\nprivate_key = '{key}'\nkey_id = 'k1'\n{more}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_assertion_brings_a_token_and_a_refused_token_another() {
    let mock = Mock::start(21);
    // Refuses everything until a token was made.
    mock.side().authorization = Some("nobody knows this".to_owned());
    mock.change(40, 20);
    let service = Service::start(&feed(&mock, "rsa", "")).await;
    service.until_held(&mock.live()).await;
    // The token is withdrawn before its time.
    mock.side().authorization = Some("withdrawn".to_owned());
    mock.change(40, 20);
    service.until_held(&mock.live()).await;
    let assertions = mock.side().assertions.clone();
    assert!(assertions.len() >= 2);
    let key = DecodingKey::from_rsa_pem(include_bytes!("../keys/rsa-public.pem")).unwrap();
    let mut validation = Validation::new(Algorithm::RS384);
    validation.set_audience(&[mock.base.replace("/fhir", "/token")]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let mut ids = BTreeSet::new();
    for form in &assertions {
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], "system/*.rs");
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let assertion = jsonwebtoken::decode::<Value>(&form["client_assertion"], &key, &validation).unwrap();
        assert_eq!(assertion.header.kid.as_deref(), Some("k1"));
        let claims = assertion.claims;
        assert_eq!((&claims["iss"], &claims["sub"]), (&"anamnesis-north".into(), &"anamnesis-north".into()));
        assert!(claims["exp"].as_i64().unwrap() - jiff::Timestamp::now().as_second() <= 300);
        ids.insert(claims["jti"].to_string());
    }
    assert_eq!(ids.len(), assertions.len(), "no assertion is used twice");
    service.stop().await;
    mock.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_many_requests() {
    let mock = Mock::start(22);
    mock.side().is_chaotic = false;
    mock.side().authorization = Some("nobody knows this".to_owned());
    mock.change(40, 20);
    let token_url = mock.base.replace("/fhir", "/token");
    let service =
        Service::start(&feed(&mock, "p384", &format!("token_url = '{token_url}'\nscope = 'system/Patient.rs'"))).await;
    service.until_held(&mock.live()).await;
    let asked = mock.asked("search");
    service.until("many searches were made", async || (mock.asked("search") > asked + 4).then_some(())).await;
    assert_eq!(mock.side().tokens.len(), 1);
    assert!(mock.side().assertions.iter().all(|form| form["scope"] == "system/Patient.rs"));
    service.stop().await;
    mock.stop().await;
}
