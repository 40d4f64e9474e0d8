//! The claims of a verified token, and the `Access` they make.
//!
//! A claim that bounds (`patients`, `sources`) and can't be read refuses the token: taken as absent it
//! would widen. A claim that widens (`sensitivity`) and can't be read is as good as absent.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::issuer::{IssuerSettings, TenantSource};
use super::policy::Policy;
use super::scope::Scopes;
use super::token_error::Refusal;
use super::{Access, Clearance, Reach};
use crate::domain::{Confidentiality, PatientId, SourceId, TenantId, Timestamp};

/// Clock skew allowed, in seconds.
pub(super) const LEEWAY_S: u64 = 60;

/// All claims, as they came, each once: of two that bear one name, no reader could know which was meant.
#[derive(Clone)]
pub(super) struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Claims;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("claims, each once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Claims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands twice"));
            }
        }
        Ok(Claims(claims))
    }
}

impl Claims {
    /// What this token gives its bearer. Only called once the signature, issuer, audience and expiry held.
    pub(super) fn into_access(
        self,
        settings: &IssuerSettings,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Access, Refusal> {
        self.check_issuer(settings)?;
        self.check_times(settings, now)?;
        let tenant = self.tenant(settings)?;
        let caller = self.text("sub")?.ok_or(Refusal::MissingClaim)?.to_owned();
        let issued_at = self.seconds("iat")?.map(|seconds| Timestamp::from_micros((seconds * 1e6) as i64));
        if policy.is_revoked(&tenant, &caller, self.text("jti")?, issued_at) {
            return Err(Refusal::Revoked);
        }
        let launch_patient = self.text(&settings.patient_claim)?.map(PatientId::new);
        let claimed = self.list("patients")?.map(|ids| ids.into_iter().map(PatientId::new).collect());
        let fhir_user = self.text("fhirUser")?.map(str::to_owned);
        let roster = policy.roster(&tenant, &caller, fhir_user.as_deref(), claimed, now);
        let sources = self.list("sources")?.map(|ids| ids.into_iter().filter_map(SourceId::parse).collect());
        let scopes = Scopes::parse(self.text("scope")?.unwrap_or_default());
        let windows = scopes.windows(launch_patient.as_ref(), roster.as_ref());
        let access = Access {
            tenant,
            caller,
            client: self.text("client_id")?.or(self.text("azp")?).map(str::to_owned),
            fhir_user,
            purpose: self.text("purpose_of_use")?.map(str::to_owned),
            reach: Reach::new(windows, self.clearance(settings)),
            reads_as_user: scopes.read_as_user(),
            operations: scopes.operations(sources),
            launch_patient,
            audited: Arc::default(),
        };
        let access = policy.bind(access, now);
        access.check_purpose()?;
        Ok(access)
    }

    pub(super) fn has_scope(&self) -> bool {
        self.0.contains_key("scope")
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What an issuer said of a token of its own, held to what a signed token is held to: its end, its audience, its
    /// scope. The end counts to the second, as it is the issuer's clock that we ask.
    pub(super) fn introspected(mut self, settings: &IssuerSettings, now: Timestamp) -> Result<Self, Refusal> {
        // RFC 7662 leaves it out where there is but one; another issuer's is refused with the others.
        self.0.entry("iss").or_insert_with(|| Value::String(settings.issuer.clone()));
        let now = now.as_micros() as f64 / 1e6;
        if self.seconds("exp")?.ok_or(Refusal::MissingClaim)? <= now {
            return Err(Refusal::Expired);
        }
        if self.seconds("nbf")?.is_some_and(|not_before| not_before > now + LEEWAY_S as f64) {
            return Err(Refusal::NotYetValid);
        }
        if !self.audiences()?.contains(&settings.audience.as_str()) {
            return Err(Refusal::Audience);
        }
        // A refresh token may be active, too.
        let is_bearer = self.text("token_type")?.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if is_bearer && self.has_scope() { Ok(self) } else { Err(Refusal::Type) }
    }

    fn audiences(&self) -> Result<Vec<&str>, Refusal> {
        match self.0.get("aud") {
            Some(Value::String(audience)) => Ok(vec![audience]),
            _ => self.list("aud")?.ok_or(Refusal::MissingClaim),
        }
    }

    /// Whether two accounts of one token are of one caller.
    pub(super) fn is_of_caller(&self, other: &Self) -> bool {
        self.0.get("sub") == other.0.get("sub")
    }

    /// The library also takes a list of issuers with ours among them; a token has one.
    fn check_issuer(&self, settings: &IssuerSettings) -> Result<(), Refusal> {
        if self.text("iss")? == Some(&settings.issuer) { Ok(()) } else { Err(Refusal::Issuer) }
    }

    fn check_times(&self, settings: &IssuerSettings, now: Timestamp) -> Result<(), Refusal> {
        let issued_at = self.seconds("iat")?;
        let latest = now.as_micros().div_euclid(1_000_000) as f64 + LEEWAY_S as f64;
        if issued_at.is_some_and(|issued_at| issued_at > latest) {
            return Err(Refusal::IssuedInFuture);
        }
        let Some(longest) = settings.max_lifetime_s else { return Ok(()) };
        let issued_at = issued_at.ok_or(Refusal::MissingClaim)?;
        let expires_at = self.seconds("exp")?.ok_or(Refusal::MissingClaim)?;
        if expires_at - issued_at > longest as f64 { Err(Refusal::LivesTooLong) } else { Ok(()) }
    }

    fn tenant(&self, settings: &IssuerSettings) -> Result<TenantId, Refusal> {
        match &settings.tenant {
            TenantSource::Fixed(tenant) => Ok(tenant.clone()),
            TenantSource::Claim(name) => match self.0.get(name) {
                Some(Value::String(tenant)) if !tenant.is_empty() => Ok(TenantId::new(tenant)),
                _ => Err(Refusal::Tenant),
            },
        }
    }

    fn clearance(&self, settings: &IssuerSettings) -> Clearance {
        let mut clearance = Clearance::default();
        let claim = settings.clearance_claim.as_ref().and_then(|name| self.0.get(name));
        let codes: Vec<&str> = match claim {
            Some(Value::String(codes)) => codes.split_ascii_whitespace().collect(),
            Some(Value::Array(codes)) => codes.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for code in codes {
            match Confidentiality::parse(code) {
                Some(level) => clearance.confidentiality = clearance.confidentiality.max(level),
                None => {
                    clearance.sensitivity.insert(code.to_owned());
                }
            }
        }
        clearance
    }

    /// A claim that is absent, or text that is not empty.
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() || name == "scope" => Ok(Some(text)),
            Some(_) => Err(Refusal::ClaimShape),
        }
    }

    /// A claim that is absent, or a list of texts.
    fn list(&self, name: &str) -> Result<Option<Vec<&str>>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                texts.map(Some).ok_or(Refusal::ClaimShape)
            }
            Some(_) => Err(Refusal::ClaimShape),
        }
    }

    fn seconds(&self, name: &str) -> Result<Option<f64>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(Refusal::ClaimShape),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::reach::Row;
    use super::super::{Access, Act, DevelopmentKey, IssuerSettings, Operation, Patients, Policy};
    use super::{Claims, Refusal, TenantSource};
    use crate::domain::{Confidentiality, Kind, Labels, PatientId, SourceId, TenantId, Timestamp};

    const NOW_S: i64 = 1_700_000_000;

    fn settings() -> IssuerSettings {
        IssuerSettings::development(DevelopmentKey::random())
    }

    /// The claims of an ordinary token, with these laid over them.
    fn access_under(settings: &IssuerSettings, changes: Value) -> Result<Access, Refusal> {
        let mut claims = json!({
            "iss": DevelopmentKey::ISSUER, "aud": DevelopmentKey::AUDIENCE, "sub": "dr-grey",
            "exp": NOW_S + 3600, "iat": NOW_S, "tenant": "north", "scope": "user/*.rs",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: Claims = serde_json::from_value(claims).unwrap();
        claims.into_access(settings, &Policy::default(), Timestamp::from_micros(NOW_S * 1_000_000))
    }

    fn access(changes: Value) -> Result<Access, Refusal> {
        access_under(&settings(), changes)
    }

    #[test]
    fn identity_comes_from_the_claims() {
        let access = access(json!({"azp": "portal", "purpose_of_use": "TREAT", "patient": "p1"})).unwrap();
        assert_eq!(access.tenant().as_str(), "north");
        assert_eq!(access.caller(), "dr-grey");
        assert_eq!(access.client(), Some("portal"));
        assert_eq!(access.purpose(), Some("TREAT"));
        assert_eq!(access.launch_patient(), Some(&PatientId::new("p1")));
        assert!(access.operations_allowed().is_empty());
    }

    #[test]
    fn a_token_without_its_tenant_is_refused() {
        for tenant in [json!(""), json!(null), json!(["north"]), json!(7)] {
            assert_eq!(access(json!({"tenant": tenant})).unwrap_err(), Refusal::Tenant);
        }
        let elsewhere = IssuerSettings { tenant: TenantSource::Claim("org".to_owned()), ..settings() };
        assert_eq!(access_under(&elsewhere, json!({})).unwrap_err(), Refusal::Tenant);
    }

    #[test]
    fn a_fixed_tenant_is_not_overruled_by_the_token() {
        let fixed = IssuerSettings { tenant: TenantSource::Fixed(TenantId::new("south")), ..settings() };
        assert_eq!(access_under(&fixed, json!({})).unwrap().tenant().as_str(), "south");
    }

    #[test]
    fn a_roster_bounds_user_scopes_and_an_empty_one_leaves_nobody() {
        let roster = |access: &Access| access.reach().windows(Act::Search).next().map(|w| w.patients.clone());
        let two = access(json!({"patients": ["p1", "p2"]})).unwrap();
        let expected = BTreeSet::from([PatientId::new("p1"), PatientId::new("p2")]);
        assert_eq!(roster(&two), Some(Patients::Only(expected)));
        let nobody = access(json!({"patients": []})).unwrap();
        assert_eq!(roster(&nobody), Some(Patients::Only(BTreeSet::new())));
        assert_eq!(roster(&access(json!({})).unwrap()), Some(Patients::Everyone));
    }

    #[test]
    fn a_bound_that_cannot_be_read_refuses_the_token() {
        for (name, value) in [
            ("patients", json!("p1 p2")),
            ("patients", json!(null)),
            ("patients", json!(["p1", 2])),
            ("sources", json!("lab")),
            ("sources", json!({})),
            ("patient", json!("")),
            ("patient", json!(["p1"])),
            ("scope", json!(["user/*.rs"])),
            ("sub", json!(12)),
            ("iat", json!("yesterday")),
        ] {
            assert_eq!(access(json!({name: value})).unwrap_err(), Refusal::ClaimShape, "{name}");
        }
    }

    #[test]
    fn named_sources_bound_where_to_send() {
        let access = access(json!({"scope": "system/*.c", "sources": ["lab", "Not An Id"]})).unwrap();
        assert!(access.permit(Operation::Ingest(SourceId::new("lab"))).is_ok());
        for elsewhere in ["pharmacy", "Not An Id"] {
            assert!(access.permit(Operation::Ingest(SourceId::new(elsewhere))).is_err());
        }
    }

    #[test]
    fn a_permit_carries_who_may_do_what() {
        let access = access(json!({"scope": "anamnesis/admin.reindex"})).unwrap();
        let permit = access.permit(Operation::Reindex).unwrap();
        assert_eq!((permit.tenant().as_str(), permit.caller()), ("north", "dr-grey"));
        assert_eq!(access.permit(Operation::Sources).unwrap_err().scope, "anamnesis/admin.sources");
    }

    #[test]
    fn clearance_is_read_as_a_list_or_as_words() {
        for codes in [json!(["R", "PSY", "HIV"]), json!("R PSY HIV")] {
            let access = access(json!({"sensitivity": codes})).unwrap();
            let clearance = access.reach().clearance();
            assert_eq!(clearance.confidentiality, Confidentiality::R);
            assert_eq!(clearance.sensitivity, BTreeSet::from(["PSY".to_owned(), "HIV".to_owned()]));
        }
    }

    #[test]
    fn clearance_starts_at_normal_and_is_never_lowered() {
        for codes in [json!(["U"]), json!([]), json!(null), json!(5), json!([5])] {
            let access = access(json!({"sensitivity": codes})).unwrap();
            assert_eq!(access.reach().clearance().confidentiality, Confidentiality::N);
            assert!(access.reach().clearance().sensitivity.is_empty());
        }
    }

    #[test]
    fn clearance_is_ignored_where_the_issuer_names_no_claim_for_it() {
        let closed = IssuerSettings { clearance_claim: None, ..settings() };
        let access = access_under(&closed, json!({"sensitivity": ["V", "PSY"]})).unwrap();
        let restricted = Labels { confidentiality: Confidentiality::R, ..Labels::default() };
        let covers = |labels: &Labels| {
            let as_of = Timestamp::from_micros(0);
            let row = Row { patient: None, resource_type: "Observation", kind: Kind::Result, labels, as_of };
            access.reach().covers(Act::Read, &row)
        };
        assert!(!covers(&restricted));
        assert!(covers(&Labels::default()));
    }

    #[test]
    fn a_token_from_the_future_is_refused_beyond_the_skew() {
        assert!(access(json!({"iat": NOW_S + 60})).is_ok());
        assert_eq!(access(json!({"iat": NOW_S + 61})).unwrap_err(), Refusal::IssuedInFuture);
    }

    #[test]
    fn a_longest_lifetime_is_held_to_where_set() {
        let short = IssuerSettings { max_lifetime_s: Some(300), ..settings() };
        assert_eq!(access_under(&short, json!({"exp": NOW_S + 301})).unwrap_err(), Refusal::LivesTooLong);
        assert!(access_under(&short, json!({"exp": NOW_S + 300})).is_ok());
        let mut claims = json!({"iss": DevelopmentKey::ISSUER, "sub": "dr-grey", "exp": NOW_S + 10, "tenant": "north"});
        claims["scope"] = json!("");
        let claims: Claims = serde_json::from_value(claims).unwrap();
        let now = Timestamp::from_micros(NOW_S * 1_000_000);
        assert_eq!(claims.into_access(&short, &Policy::default(), now).unwrap_err(), Refusal::MissingClaim);
    }

    #[test]
    fn a_claim_that_stands_twice_refuses_the_token() {
        for claims in [
            r#"{"sub":"a","scope":"patient/*.rs","scope":"system/*.cruds"}"#,
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"tenant":"north","patient":"p1","patient":"p2"}"#,
            r#"{"tenant":"north","t\u0065nant":"south"}"#,
        ] {
            assert!(serde_json::from_str::<Claims>(claims).is_err(), "{claims}");
        }
        assert!(serde_json::from_str::<Claims>(r#"{"a":{"b":1,"b":2}}"#).is_ok());
    }

    #[test]
    fn one_issuer_among_several_is_not_our_issuer() {
        let several = json!({"iss": [DevelopmentKey::ISSUER, "https://elsewhere.example"]});
        assert_eq!(access(several).unwrap_err(), Refusal::ClaimShape);
        assert_eq!(access(json!({"iss": "anamnesis-development/"})).unwrap_err(), Refusal::Issuer);
    }
}
