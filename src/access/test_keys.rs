//! Key pairs and a stand-in for the network, for the tests of token verification.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::key_cache::{Clock, FetchFailed, FetchJwks, FetchedJwks};

/// The public half of `TestKey::Rsa`, as anyone could have it.
pub(super) const RSA_PUBLIC_PEM: &[u8] = include_bytes!("../../tests/keys/rsa-public.pem");

#[derive(Clone, Copy, Debug)]
pub(super) enum TestKey {
    Rsa,
    OtherRsa,
    P256,
    P384,
    Ed25519,
}

impl TestKey {
    fn encoding(self) -> EncodingKey {
        match self {
            Self::Rsa => EncodingKey::from_rsa_pem(include_bytes!("../../tests/keys/rsa.pem")),
            Self::OtherRsa => EncodingKey::from_rsa_pem(include_bytes!("../../tests/keys/other-rsa.pem")),
            Self::P256 => EncodingKey::from_ec_pem(include_bytes!("../../tests/keys/p256.pem")),
            Self::P384 => EncodingKey::from_ec_pem(include_bytes!("../../tests/keys/p384.pem")),
            Self::Ed25519 => EncodingKey::from_ed_pem(include_bytes!("../../tests/keys/ed25519.pem")),
        }
        .unwrap()
    }

    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            Self::Rsa | Self::OtherRsa => Algorithm::RS256,
            Self::P256 => Algorithm::ES256,
            Self::P384 => Algorithm::ES384,
            Self::Ed25519 => Algorithm::EdDSA,
        }
    }

    /// The public key as an issuer publishes it, bound to no algorithm.
    pub(super) fn jwk(self, id: &str) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.encoding(), self.algorithm()).unwrap()).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk["kid"] = json!(id);
        jwk
    }

    pub(super) fn sign(self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.encoding()).unwrap()
    }

    pub(super) fn header(self, id: &str) -> Header {
        Header { kid: Some(id.to_owned()), ..Header::new(self.algorithm()) }
    }
}

pub(super) fn jwks(keys: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"keys": keys})).unwrap()
}

pub(super) type Fetching<'a> = BoxFuture<'a, Result<FetchedJwks, FetchFailed>>;

/// A fetch that ends at once with these keys.
pub(super) fn fetched<'a>(keys: &[Value]) -> Fetching<'a> {
    std::future::ready(Ok(FetchedJwks { bytes: jwks(keys), max_age: None })).boxed()
}

/// An issuer's key endpoint: says what it is told to and counts how often it is asked.
pub(super) struct Endpoint {
    answer: Mutex<Result<FetchedJwks, FetchFailed>>,
    asked: AtomicUsize,
}

impl Endpoint {
    pub(super) fn serving(keys: &[Value]) -> Arc<Self> {
        let answer = Mutex::new(Ok(FetchedJwks { bytes: jwks(keys), max_age: None }));
        Arc::new(Self { answer, asked: AtomicUsize::new(0) })
    }

    pub(super) fn serve(&self, keys: &[Value]) {
        self.answer_with(Ok(FetchedJwks { bytes: jwks(keys), max_age: None }));
    }

    pub(super) fn fail(&self) {
        self.answer_with(Err(FetchFailed { reason: "connect" }));
    }

    pub(super) fn answer_with(&self, answer: Result<FetchedJwks, FetchFailed>) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl FetchJwks for Endpoint {
    fn fetch<'a>(&'a self, _url: &'a str) -> Fetching<'a> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            // Lets callers that arrive meanwhile find this fetch under way.
            tokio::task::yield_now().await;
            self.answer.lock().unwrap().clone()
        }
        .boxed()
    }

    fn read_file<'a>(&'a self, _path: &'a Path) -> Fetching<'a> {
        self.fetch("")
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(super) struct StillClock {
    now: Arc<Mutex<Instant>>,
}

impl StillClock {
    pub(super) fn new() -> Self {
        Self { now: Arc::new(Mutex::new(Instant::now())) }
    }

    pub(super) fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }

    pub(super) fn reader(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || *now.lock().unwrap())
    }
}
