//! The listener against clients that cut, mix and flood.

use std::sync::Mutex;

use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::adapters::tls::{TlsError, TlsFiles};

const LIMITS: Limits =
    Limits { connections: 4, message_bytes: 1_000, unanswered_bytes: 1_000_000, message_time: Duration::from_secs(20) };

/// A listener that answers with what it got, and what it got.
struct Echo {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    running: tokio::task::JoinHandle<()>,
}

async fn echo(tls: Option<&TlsFiles>) -> Echo {
    let tls = tls.map(|files| files.server_config().unwrap());
    let listener = Listener::bind("127.0.0.1:0", tls, LIMITS).await.unwrap();
    let address = listener.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let seen = arrived.clone();
    let answer = move |message: Arrived| {
        let reply = match &message {
            Arrived::Message(bytes) if bytes == b"close" => None,
            Arrived::Message(bytes) if bytes == b"silent" => Some(Vec::new()),
            Arrived::Message(bytes) => Some(vec![bytes.clone()]),
            Arrived::TooLong(_) => Some(vec![b"too long".to_vec()]),
            Arrived::NoRoom(_) => Some(vec![b"no room".to_vec()]),
        };
        seen.lock().unwrap().push(message);
        async move { reply }
    };
    Echo { address, stop, arrived, running: tokio::spawn(listener.run(answer, stopped)) }
}

/// Reads until `count` frames have ended.
async fn replies(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<String> {
    let mut read = Vec::new();
    let mut byte = [0];
    while read.iter().filter(|byte| **byte == END[0]).count() < count && stream.read(&mut byte).await.unwrap() == 1 {
        read.push(byte[0]);
    }
    let text = String::from_utf8(read).unwrap();
    text.split('\u{b}').skip(1).map(|frame| frame.trim_end_matches(['\u{1c}', '\r']).to_owned()).collect()
}

#[tokio::test]
async fn messages_are_told_apart_however_they_are_cut() {
    let echo = echo(None).await;
    let mut stream = TcpStream::connect(echo.address).await.unwrap();
    let bytes = b"\r\nnoise\x0bMSH|one\r\x1c\r\x0bMSH|two\x1c\x0bMSH|three\n\x1c\r\n";
    for byte in bytes {
        stream.write_all(&[*byte]).await.unwrap();
    }
    assert_eq!(replies(&mut stream, 3).await, ["MSH|one", "MSH|two", "MSH|three\n"]);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_answered_and_the_next_one_is_read() {
    let echo = echo(None).await;
    let mut stream = TcpStream::connect(echo.address).await.unwrap();
    let mut bytes = vec![START];
    bytes.extend(std::iter::repeat_n(b'x', 100_000));
    bytes.extend_from_slice(b"\x1c\r\x0bnext\x1c\r");
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(replies(&mut stream, 2).await, ["too long", "next"]);
    let arrived = echo.arrived.lock().unwrap();
    assert!(matches!(&arrived[0], Arrived::TooLong(head) if head.len() <= 4_096 && head.starts_with(b"xxx")));
}

#[tokio::test]
async fn half_a_message_is_none() {
    let echo = echo(None).await;
    let mut stream = TcpStream::connect(echo.address).await.unwrap();
    stream.write_all(b"\x0bMSH|half").await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(replies(&mut stream, 1).await.is_empty());
    assert!(echo.arrived.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_answer_closes_the_connection() {
    let echo = echo(None).await;
    let mut stream = TcpStream::connect(echo.address).await.unwrap();
    stream.write_all(b"\x0bclose\x1c\r\x0bnever\x1c\r").await.unwrap();
    assert!(replies(&mut stream, 1).await.is_empty());
    assert_eq!(echo.arrived.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_that_wants_no_answer_gets_none_and_the_connection_stays() {
    let echo = echo(None).await;
    let mut stream = TcpStream::connect(echo.address).await.unwrap();
    stream.write_all(b"\x0bsilent\x1c\r\x0bnext\x1c\r").await.unwrap();
    assert_eq!(replies(&mut stream, 1).await, ["next"]);
}

#[tokio::test]
async fn many_connections_at_once_are_all_answered_and_a_stop_ends_them() {
    let echo = echo(None).await;
    let talks: Vec<_> = (0..40)
        .map(|number| {
            let address = echo.address;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for turn in 0..5 {
                    let message = format!("{number}-{turn}");
                    stream.write_all(format!("\u{b}{message}\u{1c}\r").as_bytes()).await.unwrap();
                    assert_eq!(replies(&mut stream, 1).await, [message]);
                }
            })
        })
        .collect();
    for talk in talks {
        talk.await.unwrap();
    }
    assert_eq!(echo.arrived.lock().unwrap().len(), 200);
    let _idle = TcpStream::connect(echo.address).await.unwrap();
    echo.stop.send(true).unwrap();
    echo.running.await.unwrap();
}

/// An authority, and a certificate and key that it signed for `localhost`.
fn certified() -> (String, String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (authority.pem(), certificate.pem(), key.serialize_pem())
}

fn connector(authority: &str, own: Option<(&str, &str)>) -> TlsConnector {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    TlsConnector::from(Arc::new(config))
}

async fn talk_in_secret(address: SocketAddr, connector: TlsConnector) -> std::io::Result<Vec<String>> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    stream.write_all(b"\x0bin secret\x1c\r").await?;
    stream.flush().await?;
    let mut first = [0];
    if stream.read(&mut first).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let mut rest = vec![0; 11];
    stream.read_exact(&mut rest).await?;
    Ok(vec![String::from_utf8_lossy(rest.get(..9).unwrap()).into_owned()])
}

#[tokio::test]
async fn tls_lets_in_who_shows_the_right_certificate() {
    let (authority, certificate, key) = certified();
    let (other_authority, other_certificate, other_key) = certified();
    let files = TlsFiles {
        certificate: certificate.clone().into_bytes(),
        private_key: key.clone().into_bytes(),
        client_authority: Some(authority.clone().into_bytes()),
    };
    let echo = echo(Some(&files)).await;
    let known = connector(&authority, Some((&certificate, &key)));
    assert_eq!(talk_in_secret(echo.address, known).await.unwrap(), ["in secret"]);
    assert!(talk_in_secret(echo.address, connector(&authority, None)).await.is_err());
    let stranger = connector(&authority, Some((&other_certificate, &other_key)));
    assert!(talk_in_secret(echo.address, stranger).await.is_err());
    assert!(talk_in_secret(echo.address, connector(&other_authority, Some((&certificate, &key)))).await.is_err());
    let mut plain = TcpStream::connect(echo.address).await.unwrap();
    plain.write_all(b"\x0bin the open\x1c\r").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.contains(&START));
    assert_eq!(echo.arrived.lock().unwrap().len(), 1);
}

#[test]
fn what_is_no_certificate_is_refused_at_the_start() {
    let files = TlsFiles { certificate: b"nothing".to_vec(), private_key: Vec::new(), client_authority: None };
    assert!(matches!(files.server_config(), Err(TlsError::Unreadable { what: "certificate" })));
}
