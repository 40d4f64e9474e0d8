//! SMART Backend Services: a signed assertion for a short-lived token, kept until shortly before it ends.

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::ACCEPT;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::fhir_server::Token;
use super::transport::{Ask, FhirError, Transport, is_transient, retry_after};

/// The longest an assertion may live is five minutes; clocks differ, so ours live four.
const ASSERTION_LIFETIME_S: i64 = 240;
/// What the guide recommends, for a server that doesn't say.
const DEFAULT_LIFETIME_S: u64 = 300;
const LONGEST_LIFETIME_S: u64 = 24 * 3600;
const LONGEST_ANSWER: usize = 256 * 1024;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who we are to an authorization server.
#[derive(Clone, Debug)]
pub struct BackendSettings {
    pub client_id: String,
    /// `None`: the one that the FHIR server's `.well-known/smart-configuration` names.
    pub token_url: Option<String>,
    pub key_id: String,
    /// Default `system/*.rs`.
    pub scope: Option<String>,
}

/// Gets tokens by `private_key_jwt`, signed by RS384 or ES384 as the key is.
pub struct SmartBackend {
    settings: BackendSettings,
    algorithm: Algorithm,
    key: EncodingKey,
    /// Locked while one is fetched, so that many requests ask for one token.
    held: Mutex<Option<Held>>,
}

struct Held {
    token: Token,
    good_until: Instant,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

#[derive(Deserialize)]
struct SmartConfiguration {
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_signing_alg_values_supported: Vec<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl std::fmt::Debug for SmartBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmartBackend").field("client_id", &self.settings.client_id).finish_non_exhaustive()
    }
}

impl SmartBackend {
    /// Errors: the PEM holds neither an RSA key nor one on P-384.
    pub fn new(settings: BackendSettings, pem: &[u8]) -> Result<Self, FhirError> {
        let (algorithm, key) = match EncodingKey::from_rsa_pem(pem) {
            Ok(key) => (Algorithm::RS384, key),
            Err(_) => (Algorithm::ES384, EncodingKey::from_ec_pem(pem).map_err(|_| NOT_A_KEY)?),
        };
        let backend = Self { settings, algorithm, key, held: Mutex::new(None) };
        // A key of another curve is only found out by signing.
        backend.assertion("https://token.example/").map_err(|_| NOT_A_KEY)?;
        Ok(backend)
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self, transport: &Transport, base: &Url) -> Result<Token, FhirError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.good_until) {
            return Ok(held.token.clone());
        }
        let token_url = self.token_url(transport, base).await?;
        let begun = Instant::now();
        let answer = self.fetch(transport, &token_url).await?;
        let lifetime = answer.expires_in.unwrap_or(DEFAULT_LIFETIME_S).min(LONGEST_LIFETIME_S);
        let token = Token(answer.access_token);
        // A fifth is left for requests that are under way when it ends.
        let good_until = begun + Duration::from_secs(lifetime) * 4 / 5;
        *held = Some(Held { token: token.clone(), good_until });
        Ok(token)
    }

    /// Lets go of a token that was refused, unless another took its place already.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token == *refused) {
            *held = None;
        }
    }

    async fn token_url(&self, transport: &Transport, base: &Url) -> Result<Url, FhirError> {
        if let Some(url) = &self.settings.token_url {
            return Url::parse(url).map_err(|_| FhirError::NotAnAddress);
        }
        let url = base.join(".well-known/smart-configuration").map_err(|_| FhirError::NotAnAddress)?;
        let ask = Ask::new(Method::GET, url, LONGEST_ANSWER).header(ACCEPT, "application/json");
        let answer = patiently(transport, || ask.clone()).await?;
        let found: SmartConfiguration =
            serde_json::from_slice(&answer).map_err(|_| FhirError::Unreadable("smart-configuration"))?;
        let algorithms = &found.token_endpoint_auth_signing_alg_values_supported;
        if !algorithms.is_empty() && !algorithms.iter().any(|name| name == self.algorithm_name()) {
            return Err(FhirError::Key("the server doesn't take its kind of signature"));
        }
        base.join(&found.token_endpoint).map_err(|_| FhirError::NotAnAddress)
    }

    async fn fetch(&self, transport: &Transport, token_url: &Url) -> Result<TokenAnswer, FhirError> {
        // Each attempt brings a new assertion: one that was seen before is refused as replayed.
        let sign = || self.assertion(token_url.as_str());
        sign()?;
        let ask = || {
            let mut ask = Ask::new(Method::POST, token_url.clone(), LONGEST_ANSWER).header(ACCEPT, "application/json");
            ask.form = sign().ok().map(|assertion| self.form(token_url, &assertion));
            ask
        };
        let bytes = patiently(transport, ask).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes).map_err(|_| FhirError::Token("not an answer"))?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") || answer.access_token.is_empty() {
            return Err(FhirError::Token("not a bearer token"));
        }
        Ok(answer)
    }

    /// The request's form; the address parser does the escaping.
    fn form(&self, token_url: &Url, assertion: &str) -> String {
        let mut url = token_url.clone();
        url.query_pairs_mut()
            .clear()
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", self.settings.scope.as_deref().unwrap_or("system/*.rs"))
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion);
        url.query().unwrap_or_default().to_owned()
    }

    fn assertion(&self, token_url: &str) -> Result<String, FhirError> {
        let now = jiff::Timestamp::now().as_second();
        let claims = Claims {
            iss: &self.settings.client_id,
            sub: &self.settings.client_id,
            aud: self.settings.token_url.as_deref().unwrap_or(token_url),
            iat: now,
            exp: now + ASSERTION_LIFETIME_S,
            jti: Uuid::new_v4().to_string(),
        };
        let header = Header { kid: Some(self.settings.key_id.clone()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| FhirError::Key("signing"))
    }

    fn algorithm_name(&self) -> &'static str {
        if self.algorithm == Algorithm::RS384 { "RS384" } else { "ES384" }
    }
}

const NOT_A_KEY: FhirError = FhirError::Key("the secret is no PEM of an RSA key or an EC key on P-384");

/// Asks until there is an answer or enough attempts were made.
async fn patiently(transport: &Transport, ask: impl Fn() -> Ask) -> Result<Vec<u8>, FhirError> {
    let mut failures = 0;
    loop {
        let result = transport.ask_once(&ask()).await;
        if !is_transient(&result) {
            return match result?.success() {
                Ok(answer) => Ok(answer.bytes),
                Err(FhirError::Status(400 | 401 | 403)) => Err(FhirError::Token("refused")),
                Err(error) => Err(error),
            };
        }
        failures += 1;
        let (failed, asked) = match result {
            Ok(answer) => (FhirError::Status(answer.status), retry_after(&answer.headers)),
            Err(error) => (error, None),
        };
        transport.wait(failures, failed, asked).await?;
    }
}
