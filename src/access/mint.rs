//! Development tokens: a shared secret, and tokens signed with it for the command line and for tests.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::issuer::SettingsError;
use crate::domain::{PatientId, SourceId, TenantId, Timestamp};

/// A shared secret for HS256.
#[derive(Clone)]
pub struct DevelopmentKey {
    secret: Vec<u8>,
}

/// What a minted token says. A field left empty leaves its claim out.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    pub subject: String,
    pub tenant: TenantId,
    /// Space-separated.
    pub scopes: String,
    /// The launch patient.
    pub patient: Option<PatientId>,
    /// The FHIR resource that stands for the caller: `Practitioner/7`.
    pub fhir_user: Option<String>,
    /// The roster that bounds `user/` scopes. `Some` of nothing is an empty roster: nobody.
    pub patients: Option<Vec<PatientId>>,
    /// The sources that may be sent to. `Some` of nothing: none.
    pub sources: Option<Vec<SourceId>>,
    /// Sensitivity codes the caller may see; `R` and `V` raise the confidentiality.
    pub sensitivity: Vec<String>,
    pub purpose: Option<String>,
    pub client: Option<String>,
    pub lifetime: Duration,
}

impl DevelopmentKey {
    pub const MINIMUM_BYTES: usize = 32;
    pub const ISSUER: &'static str = "anamnesis-development";
    pub const AUDIENCE: &'static str = "anamnesis";
    pub(super) const TENANT_CLAIM: &'static str = "tenant";
    pub(super) const CLEARANCE_CLAIM: &'static str = "sensitivity";

    pub fn new(secret: &[u8]) -> Result<Self, SettingsError> {
        if secret.len() < Self::MINIMUM_BYTES {
            return Err(SettingsError::SecretTooShort);
        }
        Ok(Self { secret: secret.to_vec() })
    }

    /// A key nobody knows: its tokens end with the process.
    pub fn random() -> Self {
        let secret = (0..3).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
        Self { secret }
    }

    /// A signed token that `IssuerSettings::development` of the same key accepts.
    pub fn mint(&self, grant: &TokenGrant) -> String {
        self.sign(&Value::Object(grant.claims(Timestamp::now())))
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(&self.secret))
            .expect("a JSON value always serializes and HS256 takes a key of any length")
    }

    pub(super) fn decoding_key(&self) -> DecodingKey {
        DecodingKey::from_secret(&self.secret)
    }
}

impl fmt::Debug for DevelopmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevelopmentKey([redacted])")
    }
}

impl TokenGrant {
    /// An hour's token with these scopes and nothing else.
    pub fn new(subject: impl Into<String>, tenant: TenantId, scopes: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            tenant,
            scopes: scopes.into(),
            patient: None,
            fhir_user: None,
            patients: None,
            sources: None,
            sensitivity: Vec::new(),
            purpose: None,
            client: None,
            lifetime: Duration::from_secs(3600),
        }
    }

    pub(super) fn claims(&self, now: Timestamp) -> Map<String, Value> {
        let issued_at = now.as_micros().div_euclid(1_000_000);
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let optional = [
            ("patient", self.patient.as_ref().map(|patient| json!(patient))),
            ("fhirUser", self.fhir_user.as_ref().map(|user| json!(user))),
            ("patients", self.patients.as_ref().map(|patients| json!(patients))),
            ("sources", self.sources.as_ref().map(|sources| json!(sources))),
            (DevelopmentKey::CLEARANCE_CLAIM, (!self.sensitivity.is_empty()).then(|| json!(self.sensitivity))),
            ("purpose_of_use", self.purpose.as_ref().map(|purpose| json!(purpose))),
            ("client_id", self.client.as_ref().map(|client| json!(client))),
        ];
        let mut claims = Map::from_iter([
            ("iss".to_owned(), json!(DevelopmentKey::ISSUER)),
            ("aud".to_owned(), json!(DevelopmentKey::AUDIENCE)),
            ("sub".to_owned(), json!(self.subject)),
            ("iat".to_owned(), json!(issued_at)),
            ("exp".to_owned(), json!(issued_at.saturating_add(lifetime))),
            ("jti".to_owned(), json!(Uuid::now_v7().to_string())),
            (DevelopmentKey::TENANT_CLAIM.to_owned(), json!(self.tenant)),
            ("scope".to_owned(), json!(self.scopes)),
        ]);
        claims.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::{DevelopmentKey, SettingsError, TokenGrant};
    use crate::domain::{TenantId, Timestamp};

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(DevelopmentKey::new(&[7; 31]).unwrap_err(), SettingsError::SecretTooShort);
        assert!(DevelopmentKey::new(&[7; 32]).is_ok());
    }

    #[test]
    fn two_random_keys_differ() {
        assert_ne!(DevelopmentKey::random().secret, DevelopmentKey::random().secret);
        assert!(DevelopmentKey::random().secret.len() >= DevelopmentKey::MINIMUM_BYTES);
    }

    #[test]
    fn what_a_grant_leaves_open_has_no_claim_and_an_empty_roster_has_one() {
        let mut grant = TokenGrant::new("dr-grey", TenantId::new("north"), "user/*.rs");
        let names = |grant: &TokenGrant| grant.claims(Timestamp::from_micros(0)).keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&grant), ["iss", "aud", "sub", "iat", "exp", "jti", "tenant", "scope"]);
        grant.patients = Some(Vec::new());
        assert_eq!(grant.claims(Timestamp::from_micros(0))["patients"], serde_json::json!([]));
    }
}
