//! Asks an issuer's introspection endpoint, with our own name and secret, under the same bounds as for key sets.

use std::fmt;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::{TIMEOUT, bounded_body, failure, is_trustworthy};
use crate::access::{AskIssuer, FetchFailed};

/// The secret is never shown.
pub struct IntrospectionEndpoint {
    client: Client,
    url: Url,
    name: String,
    secret: String,
}

impl IntrospectionEndpoint {
    /// `name` and `secret` are those that the issuer knows us by.
    ///
    /// Errors: an address that isn't HTTPS (or HTTP on loopback), a secret that is no text.
    pub fn new(url: &str, name: &str, secret: Vec<u8>) -> Result<Self, FetchFailed> {
        let url = Url::parse(url).map_err(|_| FetchFailed { reason: "not_a_url" })?;
        if !is_trustworthy(&url) {
            return Err(FetchFailed { reason: "not_https" });
        }
        let secret = String::from_utf8(secret).map_err(|_| FetchFailed { reason: "secret" })?;
        // A token and our secret go where we were told to send them, and nowhere else.
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).referer(false).build();
        let client = client.map_err(|_| FetchFailed { reason: "client" })?;
        Ok(Self { client, url, name: name.to_owned(), secret })
    }

    async fn post(&self, token: &str) -> Result<Vec<u8>, FetchFailed> {
        let request = self
            .client
            .post(self.url.clone())
            .basic_auth(encoded(&self.name), Some(encoded(&self.secret)))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("token={}&token_type_hint=access_token", encoded(token)));
        let response = request.send().await.map_err(failure)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchFailed { reason: "status" });
        }
        bounded_body(response).await
    }
}

impl AskIssuer for IntrospectionEndpoint {
    fn ask<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Vec<u8>, FetchFailed>> {
        self.post(token).boxed()
    }
}

impl fmt::Debug for IntrospectionEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionEndpoint").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// As a form has it; names and secrets are also written so (RFC 6749, section 2.3.1).
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answer, serving_and_heard};
    use super::*;

    fn endpoint(url: &str) -> Result<IntrospectionEndpoint, FetchFailed> {
        IntrospectionEndpoint::new(url, "ana mnesis", b"s:cret/1".to_vec())
    }

    #[tokio::test]
    async fn a_token_is_sent_as_a_form_with_our_name_and_secret() {
        let (url, heard) = serving_and_heard(vec![answer("200 OK", "", "{\"active\":false}")]);
        assert_eq!(endpoint(&url).unwrap().ask("a+b/c&d=e").await.unwrap(), b"{\"active\":false}");
        let heard = heard.recv().unwrap();
        assert!(heard.starts_with("POST /jwks HTTP/1.1"), "{heard}");
        let lower = heard.to_lowercase();
        assert!(lower.contains("content-type: application/x-www-form-urlencoded"), "{heard}");
        // ana%20mnesis:s%3Acret%2F1
        assert!(heard.contains("Basic YW5hJTIwbW5lc2lzOnMlM0FjcmV0JTJGMQ=="), "{heard}");
        assert!(heard.ends_with("token=a%2Bb%2Fc%26d%3De&token_type_hint=access_token"), "{heard}");
    }

    #[tokio::test]
    async fn what_is_no_plain_answer_is_a_failure() {
        let failure = async |answers: Vec<String>| {
            let (url, _) = serving_and_heard(answers);
            endpoint(&url).unwrap().ask("t").await.unwrap_err().reason
        };
        assert_eq!(failure(vec![answer("401 Unauthorized", "", "{\"active\":true}")]).await, "status");
        assert_eq!(failure(vec![answer("201 Created", "", "{\"active\":true}")]).await, "status");
        let moved = answer("307 Temporary Redirect", "Location: /elsewhere\r\n", "");
        assert_eq!(failure(vec![moved, answer("200 OK", "", "{\"active\":true}")]).await, "status");
        let long = answer("200 OK", "", &" ".repeat(super::super::LONGEST_DOCUMENT + 1));
        assert_eq!(failure(vec![long]).await, "too_long");
    }

    #[test]
    fn only_https_or_loopback_is_told_a_token() {
        for url in ["http://issuer.example/introspect", "ftp://127.0.0.1/", "http://10.0.0.1/introspect"] {
            assert_eq!(endpoint(url).unwrap_err().reason, "not_https", "{url}");
        }
        assert_eq!(endpoint("no url").unwrap_err().reason, "not_a_url");
        let shown = format!("{:?}", endpoint("https://issuer.example/introspect").unwrap());
        assert!(!shown.contains("cret"), "{shown}");
    }
}
