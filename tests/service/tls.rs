//! The port with a certificate of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anamnesis::app::StartError;
use anamnesis::config::Config;
use reqwest::{Certificate, Client, tls};
use tempfile::TempDir;

use crate::harness::{Reply, Server};
use crate::tokens::{self, READER};

/// A certificate for this machine and its key, as files.
struct Pair {
    folder: TempDir,
    certificate: String,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Self { folder, certificate: String::new() };
        pair.renewed()
    }

    /// Another certificate and key in the same place.
    fn renewed(self) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        std::fs::write(self.path("certificate.pem"), &certificate).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        Self { certificate, ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&self, config: &mut Config) {
        config.http.certificate = Some(self.path("certificate.pem"));
        config.http.private_key = Some(self.path("key.pem"));
        // For those that never get as far as to speak TLS.
        config.http.head_timeout_ms = 500;
    }

    /// A client that trusts this certificate and no other.
    fn client(&self, newest: tls::Version) -> Client {
        let authority = Certificate::from_pem(self.certificate.as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([authority]).tls_version_max(newest).build().unwrap()
    }
}

async fn secured(pair: &Pair) -> Server {
    let mut server = Server::idle(|config| pair.set(config)).await;
    server.client = pair.client(tls::Version::TLS_1_3);
    server
}

/// What comes back for these bytes until the server ends the connection.
async fn talk(address: SocketAddr, bytes: &'static [u8]) -> Vec<u8> {
    let talking = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    });
    talking.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_said_by_tls_and_browsers_are_told_to_keep_to_it() {
    let pair = Pair::new();
    let mut server = secured(&pair).await;
    assert!(server.base.starts_with("https://"));
    for newest in [tls::Version::TLS_1_2, tls::Version::TLS_1_3] {
        server.client = pair.client(newest);
        let reply = server.get(&tokens::mint(READER), "/v1/whoami").await.expect(200);
        assert_eq!(reply.headers["strict-transport-security"], "max-age=31536000");
        assert_eq!(server.get("bad", "/v1/whoami").await.status, 401);
    }
    let live = Reply::read(server.client.get(format!("{}/health/live", server.base))).await.expect(200);
    assert_eq!(live.headers["strict-transport-security"], "max-age=31536000");
    let stranger = Pair::new().client(tls::Version::TLS_1_3);
    assert!(stranger.get(format!("{}/health/live", server.base)).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_gets_no_answer() {
    let pair = Pair::new();
    let server = secured(&pair).await;
    let plain = talk(server.address, b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert!(!plain.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&plain));
    assert_eq!(talk(server.address, b"").await, b"", "who says nothing is let go");
    Reply::read(server.client.get(format!("{}/health/live", server.base))).await.expect(200);
}

/// A whole TLS 1.1 greeting: version 3.2, a random of zeros, one cipher suite (RSA, AES-128-CBC, SHA), no compression,
/// and the signatures that are understood (RSA, SHA-256).
const TLS_1_1: &[u8] = &[
    22, 3, 1, 0, 55, // a handshake record of 55 bytes
    1, 0, 0, 51, 3, 2, // a ClientHello of 51 bytes
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // its random
    0, 0, 2, 0, 47, 1, 0, // no session, one suite, one compression: none
    0, 8, 0, 13, 0, 4, 0, 2, 4, 1, // extensions of 8 bytes
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_tls_1_2_is_refused() {
    let pair = Pair::new();
    let server = secured(&pair).await;
    let answer = talk(server.address, TLS_1_1).await;
    // A fatal alert, in which 70 is `protocol_version`.
    assert_eq!(answer.first(), Some(&21), "{answer:?}");
    assert_eq!(answer.get(5..7), Some([2, 70].as_slice()), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let pair = Pair::new();
    let server = secured(&pair).await;
    let live = format!("{}/health/live", server.base);
    Reply::read(server.client.get(&live)).await.expect(200);
    let renewed = pair.renewed();
    let client = renewed.client(tls::Version::TLS_1_3);
    Reply::read(client.get(&live)).await.expect(200);
    std::fs::write(renewed.path("certificate.pem"), "not a certificate").unwrap();
    Reply::read(renewed.client(tls::Version::TLS_1_3).get(&live)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_cannot_be_used_keeps_the_service_from_starting() {
    let (one, other) = (Pair::new(), Pair::new());
    let refusal = Server::refusal(|config| {
        one.set(config);
        config.http.private_key = Some(other.path("key.pem"));
    });
    assert!(matches!(refusal.await, StartError::Tls(_)), "another's key");
    let refusal = Server::refusal(|config| {
        one.set(config);
        config.http.certificate = Some(one.path("absent.pem"));
    });
    assert!(matches!(refusal.await, StartError::Tls(_)), "no file");
    type Forget = fn(&mut Config);
    let halves: [(&str, Forget); 2] = [
        ("private_key", |config| config.http.private_key = None),
        ("certificate", |config| config.http.certificate = None),
    ];
    for (name, forget) in halves {
        let refusal = Server::refusal(|config| {
            one.set(config);
            forget(config);
        });
        assert!(matches!(refusal.await, StartError::Configuration(_)), "without {name}");
    }
}
