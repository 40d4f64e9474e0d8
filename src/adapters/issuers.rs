//! Brings an issuer's key set over the network or from disk, within bounds on transport, size and time.

mod introspection;

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::CACHE_CONTROL;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, Url};
use tokio::io::AsyncReadExt;

use crate::access::{FetchFailed, FetchJwks, FetchedJwks};
pub use introspection::IntrospectionEndpoint;

const TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_DOCUMENT: usize = 256 * 1024;
const MOST_REDIRECTS: usize = 3;

/// Fetches key sets by HTTPS (plain HTTP on loopback only).
#[derive(Clone, Debug)]
pub struct JwksFetcher {
    client: Client,
}

impl JwksFetcher {
    /// Errors: the TLS library could not be set up.
    pub fn new() -> Result<Self, FetchFailed> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::custom(stay_on_host))
            .referer(false)
            .build()
            .map_err(|_| FetchFailed { reason: "client" })?;
        Ok(Self { client })
    }

    async fn get(&self, url: &str) -> Result<FetchedJwks, FetchFailed> {
        let url = Url::parse(url).map_err(|_| FetchFailed { reason: "not_a_url" })?;
        if !is_trustworthy(&url) {
            return Err(FetchFailed { reason: "not_https" });
        }
        let response = self.client.get(url).send().await.map_err(failure)?;
        if !response.status().is_success() {
            return Err(FetchFailed { reason: "status" });
        }
        let max_age = max_age(&response);
        Ok(FetchedJwks { bytes: bounded_body(response).await?, max_age })
    }
}

impl FetchJwks for JwksFetcher {
    fn fetch<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<FetchedJwks, FetchFailed>> {
        self.get(url).boxed()
    }

    fn read_file<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<FetchedJwks, FetchFailed>> {
        read_bounded(path).boxed()
    }
}

/// A redirect to another host would hand the choice of keys to whoever runs it.
fn stay_on_host(attempt: Attempt) -> reqwest::redirect::Action {
    let origin = attempt.previous().first().map(Url::origin);
    if attempt.previous().len() > MOST_REDIRECTS || origin != Some(attempt.url().origin()) {
        return attempt.error("redirected elsewhere");
    }
    attempt.follow()
}

fn is_trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

fn failure(error: reqwest::Error) -> FetchFailed {
    let reason = if error.is_timeout() {
        "timeout"
    } else if error.is_redirect() {
        "redirect"
    } else if error.is_connect() {
        "connect"
    } else {
        "read"
    };
    FetchFailed { reason }
}

async fn bounded_body(mut response: Response) -> Result<Vec<u8>, FetchFailed> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if bytes.len() + chunk.len() > LONGEST_DOCUMENT {
            return Err(FetchFailed { reason: "too_long" });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// `None` where nothing is said. What must not be kept has an age of nothing.
fn max_age(response: &Response) -> Option<Duration> {
    let directives = response.headers().get(CACHE_CONTROL)?.to_str().ok()?.to_ascii_lowercase();
    let mut directives = directives.split(',').map(str::trim);
    directives.find_map(|directive| match directive {
        "no-store" | "no-cache" => Some(Duration::ZERO),
        _ => directive.strip_prefix("max-age=")?.parse().ok().map(Duration::from_secs),
    })
}

async fn read_bounded(path: &Path) -> Result<FetchedJwks, FetchFailed> {
    let unreadable = |_| FetchFailed { reason: "unreadable_file" };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(LONGEST_DOCUMENT as u64 + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() > LONGEST_DOCUMENT {
        return Err(FetchFailed { reason: "too_long" });
    }
    Ok(FetchedJwks { bytes, max_age: None })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{FetchFailed, FetchJwks, FetchedJwks, JwksFetcher, LONGEST_DOCUMENT, Url, is_trustworthy};

    /// A server on loopback that answers one request after another from `answers`, then ends.
    fn serving(answers: Vec<String>) -> String {
        serving_and_heard(answers).0
    }

    /// The same, and each request that it heard.
    pub(super) fn serving_and_heard(answers: Vec<String>) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (hear, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut request = String::new();
                while reader.read_line(&mut request).is_ok_and(|read| read > 2) {}
                let length = |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.trim().parse().ok();
                let mut body = vec![0; request.lines().find_map(length).unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                let _ = hear.send(request + &String::from_utf8(body).unwrap());
                // A client that has read enough may close first.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        (format!("http://{address}/jwks"), heard)
    }

    pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
    }

    async fn fetch(url: &str) -> Result<FetchedJwks, FetchFailed> {
        JwksFetcher::new().unwrap().fetch(url).await
    }

    async fn failure_of(url: &str) -> &'static str {
        fetch(url).await.unwrap_err().reason
    }

    #[tokio::test]
    async fn a_document_comes_with_the_age_stated() {
        for (headers, seconds) in [
            ("", None),
            ("Cache-Control: public\r\n", None),
            ("Cache-Control: public, max-age=900\r\n", Some(900)),
            ("Cache-Control: Max-Age=900\r\n", Some(900)),
            ("Cache-Control: max-age=soon\r\n", None),
            ("Cache-Control: no-store\r\n", Some(0)),
        ] {
            let url = serving(vec![answer("200 OK", headers, "{\"keys\":[]}")]);
            let fetched = fetch(&url).await.unwrap();
            assert_eq!(fetched.bytes, b"{\"keys\":[]}");
            assert_eq!(fetched.max_age, seconds.map(Duration::from_secs), "{headers}");
        }
    }

    #[tokio::test]
    async fn an_error_page_is_no_document() {
        for status in ["404 Not Found", "500 Oops", "304 Not Modified"] {
            assert_eq!(failure_of(&serving(vec![answer(status, "", "{\"keys\":[]}")])).await, "status");
        }
    }

    #[tokio::test]
    async fn a_document_too_long_is_not_read_to_its_end() {
        let fits = serving(vec![answer("200 OK", "", &" ".repeat(LONGEST_DOCUMENT))]);
        assert_eq!(fetch(&fits).await.unwrap().bytes.len(), LONGEST_DOCUMENT);
        let too_long = serving(vec![answer("200 OK", "", &" ".repeat(LONGEST_DOCUMENT + 1))]);
        assert_eq!(failure_of(&too_long).await, "too_long");
    }

    #[tokio::test]
    async fn a_redirect_is_followed_on_the_same_host_only() {
        let moved = answer("302 Found", "Location: /keys\r\n", "");
        let url = serving(vec![moved, answer("200 OK", "", "{}")]);
        assert_eq!(fetch(&url).await.unwrap().bytes, b"{}");

        let elsewhere = serving(vec![answer("200 OK", "", "{}")]);
        let url = serving(vec![answer("302 Found", &format!("Location: {elsewhere}\r\n"), "")]);
        assert_eq!(failure_of(&url).await, "redirect");

        let around = vec![answer("302 Found", "Location: /jwks\r\n", ""); 8];
        assert_eq!(failure_of(&serving(around)).await, "redirect");
    }

    #[tokio::test]
    async fn only_https_or_loopback_is_asked() {
        for url in ["http://issuer.example/jwks", "ftp://127.0.0.1/jwks", "file:///etc/keys"] {
            assert_eq!(failure_of(url).await, "not_https");
        }
        assert_eq!(failure_of("no url").await, "not_a_url");
        for (url, expected) in [
            ("https://issuer.example/jwks", true),
            ("http://localhost:8080/jwks", true),
            ("http://127.0.0.1/jwks", true),
            ("http://[::1]/jwks", true),
            ("http://localhost.evil.example/jwks", false),
            ("http://127.0.0.1.evil.example/jwks", false),
            ("http://10.0.0.1/jwks", false),
        ] {
            assert_eq!(is_trustworthy(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_a_failure() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(failure_of(&format!("http://{unused}/jwks")).await, "connect");
    }

    #[tokio::test]
    async fn a_file_is_read_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        let fetcher = JwksFetcher::new().unwrap();
        assert_eq!(fetcher.read_file(&path).await.unwrap_err().reason, "unreadable_file");
        std::fs::write(&path, "{\"keys\":[]}").unwrap();
        assert_eq!(fetcher.read_file(&path).await.unwrap().bytes, b"{\"keys\":[]}");
        std::fs::write(&path, vec![b' '; LONGEST_DOCUMENT + 1]).unwrap();
        assert_eq!(fetcher.read_file(&path).await.unwrap_err().reason, "too_long");
    }
}
