//! A FHIR server as its client sees it: addresses below its base, links it gives, and our credentials.
//!
//! A link of the server is followed at its own origin only. Files of an export may lie elsewhere, without the
//! token, or at origins that the feed's owner named.

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderName, IF_NONE_MATCH, RANGE};
use reqwest::{Method, Response, Url};

use super::smart_backend::SmartBackend;
pub use super::transport::{Answer, FhirError, Patience, retry_after};
use super::transport::{Ask, Transport, failure, is_loopback, is_transient, may_be_public};

const FHIR_JSON: &str = "application/fhir+json";
const FHIR_NDJSON: &str = "application/fhir+ndjson";
/// A page or a resource; a page with scans in it may be large.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// How we prove who we are.
#[derive(Debug, Default)]
pub enum Credentials {
    #[default]
    None,
    Bearer(Token),
    Backend(Box<SmartBackend>),
}

/// A bearer token; prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A link that may be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub url: Url,
    pub with_token: bool,
    /// Neither the server's own origin nor one that its owner named.
    is_elsewhere: bool,
}

/// One server, for one feed.
#[derive(Debug)]
pub struct FhirServer {
    transport: Transport,
    base: Url,
    credentials: Credentials,
    token_also_for: Vec<url_origin::Origin>,
}

/// `reqwest::Url` gives origins without naming their type.
mod url_origin {
    use reqwest::Url;

    /// Scheme, host and port.
    #[derive(Debug, PartialEq, Eq)]
    pub struct Origin(String);

    impl Origin {
        pub fn of(url: &Url) -> Self {
            Self(url.origin().ascii_serialization())
        }
    }
}
use url_origin::Origin;

impl FhirServer {
    /// Errors: the address can't be read, or isn't one that may be asked.
    pub fn new(base: &str, credentials: Credentials, allow_http: bool, patience: Patience) -> Result<Self, FhirError> {
        let mut base = Url::parse(base).map_err(|_| FhirError::NotAnAddress)?;
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let transport = Transport::new(allow_http, patience)?;
        transport.check(&base)?;
        Ok(Self { transport, base, credentials, token_also_for: Vec::new() })
    }

    /// Origins besides its own that may see its token.
    pub fn token_also_for(mut self, origins: &[String]) -> Result<Self, FhirError> {
        let read = |text: &String| Url::parse(text).map(|url| Origin::of(&url)).map_err(|_| FhirError::NotAnAddress);
        self.token_also_for = origins.iter().map(read).collect::<Result<_, _>>()?;
        Ok(self)
    }

    pub fn patience(&self) -> Patience {
        self.transport.patience()
    }

    /// An address below the base: `Patient`, `Group/5/$export`, with these parameters.
    pub fn address(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Url, FhirError> {
        let mut url = self.base.join(path).map_err(|_| FhirError::NotAnAddress)?;
        if url.origin() != self.base.origin() {
            return Err(FhirError::NotAnAddress);
        }
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }

    /// A link that the server gave for its own pages.
    pub fn link(&self, text: &str) -> Result<Link, FhirError> {
        let url = self.base.join(text).map_err(|_| FhirError::NotAnAddress)?;
        self.transport.check(&url)?;
        if self.is_trusted(&url) {
            return Ok(Link { url, with_token: true, is_elsewhere: false });
        }
        Err(FhirError::AnotherHost("a page"))
    }

    /// A link to a file of an export, which may lie elsewhere when it needs no token.
    pub fn file(&self, text: &str, requires_token: bool) -> Result<Link, FhirError> {
        let url = self.base.join(text).map_err(|_| FhirError::NotAnAddress)?;
        self.transport.check(&url)?;
        if self.is_trusted(&url) {
            return Ok(Link { url, with_token: requires_token, is_elsewhere: false });
        }
        if requires_token {
            return Err(FhirError::AnotherHost("a file that needs our token"));
        }
        // A server on this machine is one of its owner's trials: its files may lie here too.
        if is_loopback(&self.base) && is_loopback(&url) {
            return Ok(Link { url, with_token: false, is_elsewhere: false });
        }
        if !may_be_public(&url) {
            return Err(FhirError::AnotherHost("a file within our own network"));
        }
        Ok(Link { url, with_token: false, is_elsewhere: true })
    }

    fn is_trusted(&self, url: &Url) -> bool {
        url.origin() == self.base.origin() || self.token_also_for.contains(&Origin::of(url))
    }

    /// Gets a page or a resource; asks again while that may help. 304 when `etag` still holds.
    pub async fn get(&self, url: &Url, etag: Option<&str>) -> Result<Answer, FhirError> {
        let mut ask = Ask::new(Method::GET, url.clone(), LONGEST_ANSWER).header(ACCEPT, FHIR_JSON);
        if let Some(etag) = etag {
            ask = ask.header(IF_NONE_MATCH, etag);
        }
        self.ask(ask, true).await
    }

    /// Asks for an export to be begun.
    pub async fn kick_off(&self, url: &Url) -> Result<Answer, FhirError> {
        let ask = Ask::new(Method::GET, url.clone(), LONGEST_ANSWER)
            .header(ACCEPT, FHIR_JSON)
            .header(HeaderName::from_static("prefer"), "respond-async");
        self.ask(ask, true).await
    }

    /// Asks once how an export fares: its "not yet" and "too often" are answers too.
    pub async fn status_of(&self, link: &Link) -> Result<Answer, FhirError> {
        let ask = Ask::new(Method::GET, link.url.clone(), LONGEST_ANSWER).header(ACCEPT, "application/json");
        self.ask_once(ask, link.with_token).await
    }

    /// Tells the server that an export isn't needed any more.
    pub async fn discard(&self, link: &Link) -> Result<Answer, FhirError> {
        self.ask(Ask::new(Method::DELETE, link.url.clone(), LONGEST_ANSWER), link.with_token).await
    }

    /// Opens a file from byte `from` on, once; the caller looks at the status and reads on.
    pub async fn open_file(&self, link: &Link, from: u64) -> Result<Response, FhirError> {
        let mut ask = Ask::new(Method::GET, link.url.clone(), 0).header(ACCEPT, FHIR_NDJSON);
        ask.is_elsewhere = link.is_elsewhere;
        // A range of a compressed file would be a range of other bytes.
        ask = match from {
            0 => ask.header(ACCEPT_ENCODING, "gzip"),
            from => ask.header(ACCEPT_ENCODING, "identity").header(RANGE, &format!("bytes={from}-")),
        };
        for is_last_try in [false, true] {
            let token = if link.with_token { self.token().await? } else { None };
            let response = self.transport.open(&with_token(ask.clone(), token.as_ref())).await?;
            if is_last_try || response.status().as_u16() != 401 || !self.may_renew(token.as_ref()).await {
                return Ok(response);
            }
        }
        Err(FhirError::Status(401))
    }

    async fn ask(&self, ask: Ask, with_credentials: bool) -> Result<Answer, FhirError> {
        let mut failures = 0;
        loop {
            let result = self.ask_once(ask.clone(), with_credentials).await;
            if !is_transient(&result) {
                return result;
            }
            failures += 1;
            let (failed, asked) = match result {
                Ok(answer) => (FhirError::Status(answer.status), retry_after(&answer.headers)),
                Err(error) => (error, None),
            };
            self.transport.wait(failures, failed, asked).await?;
        }
    }

    /// Once, or twice when the token was refused and another can be had.
    async fn ask_once(&self, ask: Ask, with_credentials: bool) -> Result<Answer, FhirError> {
        let token = if with_credentials { self.token().await? } else { None };
        let answer = self.transport.ask_once(&with_token(ask.clone(), token.as_ref())).await?;
        if answer.status != 401 || !self.may_renew(token.as_ref()).await {
            return Ok(answer);
        }
        let token = self.token().await?;
        self.transport.ask_once(&with_token(ask, token.as_ref())).await
    }

    async fn token(&self) -> Result<Option<Token>, FhirError> {
        match &self.credentials {
            Credentials::None => Ok(None),
            Credentials::Bearer(token) => Ok(Some(token.clone())),
            Credentials::Backend(backend) => backend.token(&self.transport, &self.base).await.map(Some),
        }
    }

    /// Forgets a refused token, if another can be had.
    async fn may_renew(&self, refused: Option<&Token>) -> bool {
        match (&self.credentials, refused) {
            (Credentials::Backend(backend), Some(refused)) => {
                backend.forget(refused).await;
                true
            }
            _ => false,
        }
    }
}

/// The next part of a body that is read bit by bit.
pub async fn next_part(response: &mut Response) -> Result<Option<Vec<u8>>, FhirError> {
    Ok(response.chunk().await.map_err(failure)?.map(Vec::from))
}

fn with_token(ask: Ask, token: Option<&Token>) -> Ask {
    match token {
        Some(Token(token)) => ask.header(AUTHORIZATION, &format!("Bearer {token}")),
        None => ask,
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, FhirError, FhirServer, Patience, Token};

    fn server(base: &str) -> FhirServer {
        FhirServer::new(base, Credentials::None, false, Patience::default()).unwrap()
    }

    #[test]
    fn addresses_lie_below_the_base() {
        for base in ["https://ehr.example/fhir", "https://ehr.example/fhir/", "https://ehr.example/fhir?x=1"] {
            let url = server(base).address("Patient", &[("_lastUpdated", "ge2024-01-01T00:00:00Z")]).unwrap();
            assert_eq!(url.as_str(), "https://ehr.example/fhir/Patient?_lastUpdated=ge2024-01-01T00%3A00%3A00Z");
        }
        assert_eq!(server("https://ehr.example/fhir").address("//evil.example/x", &[]), Err(FhirError::NotAnAddress));
        assert!(FhirServer::new("http://ehr.example", Credentials::None, false, Patience::default()).is_err());
    }

    #[test]
    fn pages_are_followed_at_their_own_origin_only() {
        let server = server("https://ehr.example/fhir");
        assert_eq!(server.link("?page=2").unwrap().url.as_str(), "https://ehr.example/fhir/?page=2");
        assert!(server.link("https://ehr.example/other?page=2").unwrap().with_token);
        for text in ["https://evil.example/fhir?page=2", "https://ehr.example:8443/fhir", "//evil.example/"] {
            assert_eq!(server.link(text), Err(FhirError::AnotherHost("a page")), "{text}");
        }
        assert_eq!(server.link("http://ehr.example/fhir?page=2"), Err(FhirError::NotHttps));
    }

    #[test]
    fn a_file_elsewhere_never_sees_the_token_unless_its_origin_was_named() {
        let server = server("https://ehr.example/fhir");
        assert!(server.file("https://ehr.example/files/1", true).unwrap().with_token);
        assert!(!server.file("https://ehr.example/files/1", false).unwrap().with_token);
        let elsewhere = server.file("https://files.example/1", false).unwrap();
        assert!(!elsewhere.with_token && elsewhere.is_elsewhere);
        assert!(server.file("https://files.example/1", true).is_err());
        for inside in ["https://10.0.0.7/1", "https://127.0.0.1/1", "https://169.254.169.254/1"] {
            assert!(server.file(inside, false).is_err(), "{inside}");
        }
        let named = server.token_also_for(&["https://files.example".to_owned()]).unwrap();
        assert!(named.file("https://files.example/1", true).unwrap().with_token);
        assert!(named.file("https://other.example/1", true).is_err());
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Credentials::Bearer(Token("s3cret".to_owned()))), "Bearer([redacted])");
    }
}
