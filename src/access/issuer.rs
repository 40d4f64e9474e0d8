//! What is configured about each token issuer: whose tokens are taken, for which tenant, by which keys.

use std::path::PathBuf;
use std::str::FromStr;

use super::introspection::Introspection;
use super::mint::DevelopmentKey;
use crate::domain::TenantId;

/// Public-key signatures only: a shared secret can't be named here, so it can't stand beside public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Rs384,
    Es256,
    Es384,
    EdDsa,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A JWKS document on disk, read again as a fetched one would be.
    JwksFile(PathBuf),
    /// Must be HTTPS, except on loopback.
    JwksUrl(String),
    /// The issuer's metadata document, which names the key set's address; the same holds for both.
    Discovery(String),
    /// It has none that we know of: it is asked about each token.
    Introspection,
    /// HS256 with a shared secret, for development.
    Development(DevelopmentKey),
}

/// How a token's tenant is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSource {
    /// All of this issuer's tokens belong to one tenant.
    Fixed(TenantId),
    /// The claim of this name; a token without it is refused.
    Claim(String),
}

/// One issuer whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Compared with `iss` character by character; a trailing slash counts.
    pub issuer: String,
    /// What `aud` must contain.
    pub audience: String,
    pub tenant: TenantSource,
    /// Not looked at for a development key, which is HS256 and nothing else.
    pub algorithms: Vec<SigningAlgorithm>,
    pub keys: KeySource,
    /// The claim that holds the launch patient's id.
    pub patient_claim: String,
    /// The claim that lists sensitivity codes the caller may see; `None`: none beyond the ordinary.
    pub clearance_claim: Option<String>,
    /// Longest `exp - iat` accepted, in seconds; a token without `iat` is then refused.
    pub max_lifetime_s: Option<u64>,
    /// How it is asked about tokens; `None`: its keys say all.
    pub introspection: Option<Introspection>,
}

/// Why a set of issuers can't be used. All are found before the first request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    #[error("an issuer has an empty {0}")]
    Empty(&'static str),
    #[error("issuer {0} is configured twice")]
    DuplicateIssuer(String),
    #[error("issuer {0} allows no signing algorithm")]
    NoAlgorithms(String),
    #[error("issuer {0} has no keys, and isn't asked about its tokens either")]
    NoKeys(String),
    #[error("tokens that are no JWT can't be taken of two issuers")]
    SeveralOpaque,
    #[error("a development key can't be used beside issuers with public keys")]
    DevelopmentBesidePublicKeys,
    #[error("a development secret needs at least {} bytes", DevelopmentKey::MINIMUM_BYTES)]
    SecretTooShort,
    #[error("no signing algorithm is called that; known are RS256, RS384, ES256, ES384 and EdDSA")]
    UnknownAlgorithm,
}

impl SigningAlgorithm {
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Rs384, Self::Es256, Self::Es384, Self::EdDsa];

    /// As a token's header writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// `None` for what is not accepted from anyone.
    pub(super) fn of(algorithm: jsonwebtoken::Algorithm) -> Option<Self> {
        Self::ALL.into_iter().find(|known| jsonwebtoken::Algorithm::from(*known) == algorithm)
    }
}

impl From<SigningAlgorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Rs256 => Self::RS256,
            SigningAlgorithm::Rs384 => Self::RS384,
            SigningAlgorithm::Es256 => Self::ES256,
            SigningAlgorithm::Es384 => Self::ES384,
            SigningAlgorithm::EdDsa => Self::EdDSA,
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or(SettingsError::UnknownAlgorithm)
    }
}

impl IssuerSettings {
    /// An issuer with public keys: every public-key algorithm, the `patient` claim, no clearance claim.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, tenant: TenantSource, keys: KeySource) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            tenant,
            algorithms: SigningAlgorithm::ALL.to_vec(),
            keys,
            patient_claim: "patient".to_owned(),
            clearance_claim: None,
            max_lifetime_s: None,
            introspection: None,
        }
    }

    /// The issuer of tokens that `key` mints.
    pub fn development(key: DevelopmentKey) -> Self {
        Self {
            algorithms: Vec::new(),
            clearance_claim: Some(DevelopmentKey::CLEARANCE_CLAIM.to_owned()),
            ..Self::new(
                DevelopmentKey::ISSUER,
                DevelopmentKey::AUDIENCE,
                TenantSource::Claim(DevelopmentKey::TENANT_CLAIM.to_owned()),
                KeySource::Development(key),
            )
        }
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let tenant = match &self.tenant {
            TenantSource::Fixed(tenant) => tenant.as_str(),
            TenantSource::Claim(claim) => claim,
        };
        let required = [
            ("issuer", self.issuer.as_str()),
            ("audience", &self.audience),
            ("tenant", tenant),
            ("patient_claim", &self.patient_claim),
        ];
        if let Some((name, _)) = required.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(SettingsError::Empty(name));
        }
        if self.algorithms.is_empty() && !self.is_development() {
            return Err(SettingsError::NoAlgorithms(self.issuer.clone()));
        }
        if matches!(self.keys, KeySource::Introspection) && self.introspection.is_none() {
            return Err(SettingsError::NoKeys(self.issuer.clone()));
        }
        Ok(())
    }

    pub(super) fn takes_opaque(&self) -> bool {
        self.introspection.as_ref().is_some_and(|introspection| introspection.takes_opaque)
    }

    pub(super) fn is_development(&self) -> bool {
        matches!(self.keys, KeySource::Development(_))
    }
}

/// What can be seen to be wrong before any token comes.
pub(super) fn check_all(issuers: &[IssuerSettings]) -> Result<(), SettingsError> {
    for (position, settings) in issuers.iter().enumerate() {
        settings.check()?;
        if issuers.iter().skip(position + 1).any(|other| other.issuer == settings.issuer) {
            return Err(SettingsError::DuplicateIssuer(settings.issuer.clone()));
        }
    }
    if issuers.iter().filter(|settings| settings.takes_opaque()).count() > 1 {
        return Err(SettingsError::SeveralOpaque);
    }
    let development = issuers.iter().filter(|settings| settings.is_development()).count();
    if development > 0 && development < issuers.len() {
        return Err(SettingsError::DevelopmentBesidePublicKeys);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DevelopmentKey, IssuerSettings, KeySource, SettingsError, SigningAlgorithm, TenantSource, check_all};
    use crate::domain::TenantId;

    fn an_issuer(name: &str) -> IssuerSettings {
        let keys = KeySource::JwksUrl("https://issuer.example/jwks".to_owned());
        IssuerSettings::new(name, "https://here.example", TenantSource::Fixed(TenantId::new("north")), keys)
    }

    fn development() -> IssuerSettings {
        IssuerSettings::development(DevelopmentKey::random())
    }

    #[test]
    fn sound_settings_pass() {
        assert_eq!(check_all(&[]), Ok(()));
        assert_eq!(check_all(&[an_issuer("https://a.example"), an_issuer("https://a.example/")]), Ok(()));
        assert_eq!(check_all(&[development()]), Ok(()));
    }

    #[test]
    fn a_development_key_never_stands_beside_public_keys() {
        for pair in [[an_issuer("https://a.example"), development()], [development(), an_issuer("https://a.example")]] {
            assert_eq!(check_all(&pair), Err(SettingsError::DevelopmentBesidePublicKeys));
        }
    }

    #[test]
    fn settings_that_could_accept_too_much_are_refused() {
        let twice = [an_issuer("https://a.example"), an_issuer("https://a.example")];
        assert_eq!(check_all(&twice), Err(SettingsError::DuplicateIssuer("https://a.example".to_owned())));

        let no_audience = IssuerSettings { audience: String::new(), ..an_issuer("https://a.example") };
        assert_eq!(check_all(&[no_audience]), Err(SettingsError::Empty("audience")));

        let tenant = TenantSource::Fixed(TenantId::new(""));
        let no_tenant = IssuerSettings { tenant, ..an_issuer("https://a.example") };
        assert_eq!(check_all(&[no_tenant]), Err(SettingsError::Empty("tenant")));

        let no_algorithms = IssuerSettings { algorithms: Vec::new(), ..an_issuer("https://a.example") };
        assert_eq!(check_all(&[no_algorithms]), Err(SettingsError::NoAlgorithms("https://a.example".to_owned())));
    }

    #[test]
    fn algorithms_are_read_as_headers_write_them_and_no_symmetric_one_is_known() {
        for known in SigningAlgorithm::ALL {
            assert_eq!(known.as_str().parse(), Ok(known));
            assert_eq!(SigningAlgorithm::of(known.into()), Some(known));
        }
        for unknown in ["HS256", "none", "rs256", "PS256", "RS512", ""] {
            assert_eq!(unknown.parse::<SigningAlgorithm>(), Err(SettingsError::UnknownAlgorithm), "{unknown}");
        }
        assert_eq!(SigningAlgorithm::of(jsonwebtoken::Algorithm::HS256), None);
    }

    #[test]
    fn printed_settings_hide_the_secret() {
        let key = DevelopmentKey::new(b"a secret of thirty-two bytes, ok").unwrap();
        let printed = format!("{:?}", IssuerSettings::development(key));
        assert!(printed.contains("[redacted]"));
        assert!(!printed.contains("thirty-two") && !printed.contains("97, 32"));
    }
}
