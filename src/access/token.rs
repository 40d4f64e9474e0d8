//! Verifies a bearer token and makes an `Access` of it.
//!
//! Order matters: nothing in a token is believed before its signature holds, save `iss`, which only
//! chooses one of the configured issuers. Keys, algorithms, audience and tenant are that issuer's settings.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;

use super::Access;
use super::claims::{Claims, LEEWAY_S};
use super::introspection::Answers;
use super::issuer::{IssuerSettings, KeySource, SettingsError, SigningAlgorithm, check_all};
use super::key_cache::{Clock, FetchJwks, KeyCache, KeyFault, Location};
use super::mint::DevelopmentKey;
use super::policy::Policy;
use super::token_error::{Refusal, TokenError};
use crate::domain::Timestamp;

/// Many proxies cap a header there.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Turns tokens of the configured issuers into `Access`.
pub struct Verifier {
    issuers: BTreeMap<String, Issuer>,
}

struct Issuer {
    settings: IssuerSettings,
    keys: Keys,
    /// What it said of tokens, where it is asked.
    answers: Option<Answers>,
}

enum Keys {
    Development(DecodingKey),
    Public(Arc<KeyCache>),
    None,
}

#[derive(Deserialize)]
struct UnverifiedIssuer {
    iss: String,
}

impl Verifier {
    /// No issuers is a valid setting: then every token is refused.
    ///
    /// Errors: settings that contradict themselves. Nothing is fetched yet.
    pub fn new(issuers: Vec<IssuerSettings>, fetch: Arc<dyn FetchJwks>) -> Result<Self, SettingsError> {
        Self::with_clock(issuers, fetch, Arc::new(Instant::now))
    }

    /// Accepts what `key` mints and nothing else.
    pub fn development(key: DevelopmentKey) -> Self {
        let keys = Keys::Development(key.decoding_key());
        let issuer = Issuer { settings: IssuerSettings::development(key), keys, answers: None };
        Self { issuers: BTreeMap::from([(DevelopmentKey::ISSUER.to_owned(), issuer)]) }
    }

    pub(super) fn with_clock(
        issuers: Vec<IssuerSettings>,
        fetch: Arc<dyn FetchJwks>,
        clock: Clock,
    ) -> Result<Self, SettingsError> {
        check_all(&issuers)?;
        let issuers = issuers.into_iter().map(|settings| {
            let name = settings.issuer.clone();
            (name, Issuer::new(settings, &fetch, &clock))
        });
        Ok(Self { issuers: issuers.collect() })
    }

    /// Fetches each key set that is absent or past four fifths of its lifetime: once at start, then every
    /// minute or so in the background. Returns the issuers that have no fresh set after it.
    pub async fn refresh_keys(&self) -> Vec<String> {
        let mut without = Vec::new();
        for keys in self.key_caches() {
            if !keys.refresh_if_ageing().await {
                without.push(keys.issuer().to_owned());
            }
        }
        without
    }

    /// Whether every issuer has keys to verify with, fresh or within grace.
    pub fn is_ready(&self) -> bool {
        self.key_caches().all(|keys| keys.is_ready())
    }

    fn key_caches(&self) -> impl Iterator<Item = &Arc<KeyCache>> {
        self.issuers.values().filter_map(|issuer| match &issuer.keys {
            Keys::Public(keys) => Some(keys),
            Keys::Development(_) | Keys::None => None,
        })
    }

    /// What the bearer of `token` may do, bound by the policy as it is now.
    pub async fn verify(&self, token: &str, policy: &Policy) -> Result<Access, TokenError> {
        if self.issuers.is_empty() {
            return Err(TokenError::NotConfigured);
        }
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Malformed);
        }
        let (issuer, claims) = match token.split('.').count() {
            3 => self.read_jwt(token).await?,
            _ => self.read_opaque(token).await?,
        };
        Ok(claims.into_access(&issuer.settings, policy, Timestamp::now())?)
    }

    async fn read_jwt(&self, token: &str) -> Result<(&Issuer, Claims), TokenError> {
        let header = decode_header(token).map_err(|_| Refusal::Header)?;
        check_header(&header)?;
        let claimed: UnverifiedIssuer = insecure_decode_claims(token).map_err(|_| Refusal::UnknownIssuer)?;
        let issuer = self.issuers.get(&claimed.iss).ok_or(Refusal::UnknownIssuer)?;
        let said = async |answers: &Answers| answers.claims(token, &issuer.settings).await;
        if matches!(issuer.keys, Keys::None) {
            let answers = issuer.answers.as_ref().ok_or(Refusal::UnknownKey)?;
            return Ok((issuer, said(answers).await?));
        }
        let key = issuer.key(&header).await?;
        let claims = issuer.decode(token, &header, &key)?;
        if let Some(answers) = issuer.answers.as_ref().filter(|answers| answers.are_about_all())
            && !said(answers).await?.is_of_caller(&claims)
        {
            return Err(Refusal::Inactive.into());
        }
        Ok((issuer, claims))
    }

    /// What is no JWT says nothing by itself: the one issuer that has such tokens is asked.
    async fn read_opaque(&self, token: &str) -> Result<(&Issuer, Claims), TokenError> {
        let issuer = self.issuers.values().find(|issuer| issuer.settings.takes_opaque());
        let issuer = issuer.ok_or(TokenError::Malformed)?;
        let answers = issuer.answers.as_ref().ok_or(TokenError::Malformed)?;
        Ok((issuer, answers.claims(token, &issuer.settings).await?))
    }
}

impl Issuer {
    fn new(settings: IssuerSettings, fetch: &Arc<dyn FetchJwks>, clock: &Clock) -> Self {
        let location = match &settings.keys {
            KeySource::Development(key) => {
                return Self::without_key_set(Keys::Development(key.decoding_key()), settings, clock);
            }
            KeySource::Introspection => return Self::without_key_set(Keys::None, settings, clock),
            KeySource::JwksFile(path) => Location::File(path.clone()),
            KeySource::JwksUrl(url) => Location::Url(url.clone()),
            KeySource::Discovery(url) => Location::Discovery(url.clone()),
        };
        let keys = KeyCache::new(settings.issuer.clone(), location, Arc::clone(fetch), Arc::clone(clock));
        let answers = Self::answers(&settings, clock);
        Self { settings, keys: Keys::Public(keys), answers }
    }

    fn without_key_set(keys: Keys, settings: IssuerSettings, clock: &Clock) -> Self {
        let answers = Self::answers(&settings, clock);
        Self { settings, keys, answers }
    }

    fn answers(settings: &IssuerSettings, clock: &Clock) -> Option<Answers> {
        settings.introspection.clone().map(|introspection| Answers::new(introspection, Arc::clone(clock)))
    }

    async fn key(&self, header: &Header) -> Result<DecodingKey, TokenError> {
        match &self.keys {
            Keys::Development(key) if header.alg == Algorithm::HS256 => Ok(key.clone()),
            Keys::Development(_) => Err(Refusal::Algorithm.into()),
            Keys::None => Err(Refusal::UnknownKey.into()),
            Keys::Public(keys) => {
                let algorithm = SigningAlgorithm::of(header.alg)
                    .filter(|algorithm| self.settings.algorithms.contains(algorithm))
                    .ok_or(Refusal::Algorithm)?;
                Ok(keys.key(algorithm, header.kid.as_deref()).await?)
            }
        }
    }

    fn decode(&self, token: &str, header: &Header, key: &DecodingKey) -> Result<Claims, Refusal> {
        // Only the one algorithm that the key was chosen for.
        let mut validation = Validation::new(header.alg);
        // The library checks these claims only where they are present, unless they are named here.
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_S;
        let claims: Claims = decode(token, key, &validation)?.claims;
        // An id_token of the same issuer has no scope and is no access token.
        if claims.has_scope() || is_access_token_type(header) { Ok(claims) } else { Err(Refusal::Type) }
    }
}

/// A token brings no key of its own, no address to fetch one from, and no extension we'd have to know.
fn check_header(header: &Header) -> Result<(), Refusal> {
    let brings_keys = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some();
    if brings_keys || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Refusal::Header);
    }
    let is_jwt = header.typ.as_ref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    if is_jwt || is_access_token_type(header) { Ok(()) } else { Err(Refusal::Type) }
}

/// RFC 9068
fn is_access_token_type(header: &Header) -> bool {
    header
        .typ
        .as_ref()
        .is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt"))
}

impl From<KeyFault> for TokenError {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::Unknown => Refusal::UnknownKey.into(),
            KeyFault::Ambiguous => Refusal::AmbiguousKey.into(),
            KeyFault::Unavailable { retry_after_s } => Self::KeysUnavailable { retry_after_s },
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("issuers", &self.issuers.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
