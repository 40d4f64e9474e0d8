//! HTTP as we speak it with servers that we don't trust: encrypted, bounded in time and size, tried again with pauses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Method, Response, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two parts of a body.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// For an answer that is taken whole.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const MOST_REDIRECTS: usize = 3;

/// Why a server could not be asked, or did not answer as it should. Holds nothing of what it sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FhirError {
    #[error("an address can't be read")]
    NotAnAddress,
    #[error("an address is neither https nor on this machine")]
    NotHttps,
    #[error("the server names an address that we don't follow: {0}")]
    AnotherHost(&'static str),
    #[error("the server can't be reached: {0}")]
    Unreachable(&'static str),
    #[error("the server answers {0}")]
    Status(u16),
    #[error("the server asks for patience")]
    Busy(Duration),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the answer can't be read: {0}")]
    Unreadable(&'static str),
    #[error("no token can be had: {0}")]
    Token(&'static str),
    #[error("the private key can't be used: {0}")]
    Key(&'static str),
}

impl FhirError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy(pause) => Some(*pause),
            _ => None,
        }
    }
}

/// What to ask of a server.
#[derive(Clone, Debug)]
pub struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) form: Option<String>,
    /// The longest body taken, in bytes.
    pub(super) longest: usize,
    pub(super) is_elsewhere: bool,
}

/// What a server answered, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Ask {
    pub fn new(method: Method, url: Url, longest: usize) -> Self {
        Self { method, url, headers: HeaderMap::new(), form: None, longest, is_elsewhere: false }
    }

    /// Adds a header; a value that can't stand in one is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl Answer {
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        text_header(&self.headers, name)
    }

    /// The answer, if it is a success.
    pub fn success(self) -> Result<Self, FhirError> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(FhirError::Status(self.status)) }
    }
}

pub(super) fn text_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The pause that `Retry-After` asks for, in seconds or until a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text_header(headers, &RETRY_AFTER)?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let seconds = until.as_second().saturating_sub(jiff::Timestamp::now().as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// How often and how fast we ask again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub attempts: u32,
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 6, first: Duration::from_millis(200), longest: Duration::from_secs(30) }
    }
}

impl Patience {
    /// Before the next attempt after `failures` in a row: doubled each time, with full jitter above its half.
    pub fn pause(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        doubled.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    /// For hosts that the server sent us to: these must not lie within our own network.
    elsewhere: Client,
    allow_http: bool,
    patience: Patience,
}

impl Transport {
    /// Errors: the TLS library could not be set up.
    pub fn new(allow_http: bool, patience: Patience) -> Result<Self, FhirError> {
        let build = |client: reqwest::ClientBuilder| client.build().map_err(|_| FhirError::Unreachable("client"));
        let settings = || {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .redirect(Policy::custom(stay_at_origin))
                .referer(false)
        };
        let elsewhere = build(settings().dns_resolver(PublicNames))?;
        Ok(Self { client: build(settings())?, elsewhere, allow_http, patience })
    }

    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Whether this may be asked at all: https, or this machine, or plain HTTP where its owner allows it.
    pub fn check(&self, url: &Url) -> Result<(), FhirError> {
        let is_plain_allowed = url.scheme() == "http" && (self.allow_http || is_loopback(url));
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        match url.scheme() {
            _ if url.host_str().is_none() || has_credentials => Err(FhirError::NotAnAddress),
            "https" => Ok(()),
            _ if is_plain_allowed => Ok(()),
            _ => Err(FhirError::NotHttps),
        }
    }

    /// Asks once; the body is still to be read.
    pub async fn open(&self, ask: &Ask) -> Result<Response, FhirError> {
        self.check(&ask.url)?;
        let client = if ask.is_elsewhere { &self.elsewhere } else { &self.client };
        let mut request = client.request(ask.method.clone(), ask.url.clone()).headers(ask.headers.clone());
        if let Some(form) = &ask.form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form.clone());
        }
        request.send().await.map_err(failure)
    }

    /// Asks once and reads the answer to its end.
    pub async fn ask_once(&self, ask: &Ask) -> Result<Answer, FhirError> {
        let whole = async {
            let response = self.open(ask).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Answer { status, headers, bytes: bounded_body(response, ask.longest).await? })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, whole).await.unwrap_or(Err(FhirError::Unreachable("timeout")))
    }

    /// Waits before the next attempt. Errors: there have been enough, or the server wants to be left alone for long.
    pub async fn wait(&self, failures: u32, failed: FhirError, asked: Option<Duration>) -> Result<(), FhirError> {
        if let Some(pause) = asked.filter(|pause| *pause > self.patience.longest) {
            return Err(FhirError::Busy(pause));
        }
        if failures >= self.patience.attempts {
            return Err(failed);
        }
        tokio::time::sleep(asked.unwrap_or_default().max(self.patience.pause(failures))).await;
        Ok(())
    }
}

/// Whether asking again may help.
pub(super) fn is_transient(result: &Result<Answer, FhirError>) -> bool {
    match result {
        Ok(answer) => matches!(answer.status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
        Err(error) => error.is_transient(),
    }
}

pub(super) fn failure(error: reqwest::Error) -> FhirError {
    if error.is_timeout() {
        FhirError::Unreachable("timeout")
    } else if error.is_redirect() {
        FhirError::AnotherHost("a redirect")
    } else if error.is_connect() {
        FhirError::Unreachable("connect")
    } else {
        FhirError::Unreachable("read")
    }
}

async fn bounded_body(mut response: Response, longest: usize) -> Result<Vec<u8>, FhirError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if bytes.len() + chunk.len() > longest {
            return Err(FhirError::TooLong(longest));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A redirect elsewhere would show the token, or our network, to whoever it names.
fn stay_at_origin(attempt: Attempt) -> Action {
    let origin = attempt.previous().first().map(Url::origin);
    if attempt.previous().len() > MOST_REDIRECTS || origin != Some(attempt.url().origin()) {
        return attempt.error("redirected elsewhere");
    }
    attempt.follow()
}

fn literal_address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || literal_address(url).is_some_and(|address| address.is_loopback())
}

/// Whether a host that others named may be asked: a name (whose addresses are looked at later) or a public address.
pub(super) fn may_be_public(url: &Url) -> bool {
    match literal_address(url) {
        Some(address) => is_public(address),
        None => url.host_str().is_some_and(|host| host != "localhost" && !host.ends_with(".localhost")),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_carrier_grade = first == 100 && (64..128).contains(&second);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast()
                || is_carrier_grade)
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public(IpAddr::V4(mapped)),
            None => {
                let first = address.segments()[0];
                let is_local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
                !(is_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
            }
        },
    }
}

/// Looks names up, and forgets the addresses that lie within our own network.
#[derive(Debug)]
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Url;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{FhirError, Patience, Transport, may_be_public, retry_after};

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn plain_http_is_for_this_machine_or_where_it_is_allowed() {
        let strict = Transport::new(false, Patience::default()).unwrap();
        let lenient = Transport::new(true, Patience::default()).unwrap();
        for (address, closed, open) in [
            ("https://ehr.example/fhir", true, true),
            ("http://127.0.0.1:8080/fhir", true, true),
            ("http://localhost/fhir", true, true),
            ("http://ehr.example/fhir", false, true),
            ("http://10.0.0.1/fhir", false, true),
            ("ftp://127.0.0.1/fhir", false, false),
            ("https://user:word@ehr.example/fhir", false, false),
        ] {
            assert_eq!(strict.check(&url(address)).is_ok(), closed, "{address}");
            assert_eq!(lenient.check(&url(address)).is_ok(), open, "{address}");
        }
        assert_eq!(strict.check(&url("http://ehr.example/")), Err(FhirError::NotHttps));
    }

    #[test]
    fn addresses_within_our_own_network_are_not_public() {
        for (address, expected) in [
            ("https://files.example/a", true),
            ("https://93.184.216.34/a", true),
            ("https://[2606:2800::1]/a", true),
            ("https://localhost/a", false),
            ("https://x.localhost/a", false),
            ("https://127.0.0.1/a", false),
            ("https://10.1.2.3/a", false),
            ("https://192.168.0.1/a", false),
            ("https://169.254.169.254/latest", false),
            ("https://100.64.0.1/a", false),
            ("https://[::1]/a", false),
            ("https://[fd00::1]/a", false),
            ("https://[fe80::1]/a", false),
            ("https://[::ffff:10.0.0.1]/a", false),
        ] {
            assert_eq!(may_be_public(&url(address)), expected, "{address}");
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
        let asked =
            |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]));
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(asked("Tue, 06 Nov 2085 08:49:37 GMT").unwrap() > Duration::from_secs(86_400));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn pauses_grow_differ_and_stay_within_bounds() {
        let patience = Patience { attempts: 3, first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        for (failures, top) in [(1, 100), (2, 200), (3, 400), (5, 1_000), (60, 1_000)] {
            for _ in 0..50 {
                let pause = patience.pause(failures);
                let top = Duration::from_millis(top);
                assert!(pause <= top && pause >= top / 2, "{pause:?} after {failures}");
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_wants_to_be_left_alone_for_long_is() {
        let patience = Patience { attempts: 2, first: Duration::ZERO, longest: Duration::from_secs(1) };
        let transport = Transport::new(false, patience).unwrap();
        let long = Duration::from_secs(600);
        let busy = transport.wait(1, FhirError::Status(503), Some(long)).await.unwrap_err();
        assert_eq!(busy.retry_after(), Some(long));
        assert_eq!(transport.wait(1, FhirError::Status(503), None).await, Ok(()));
        assert_eq!(transport.wait(2, FhirError::Status(503), None).await, Err(FhirError::Status(503)));
    }
}
