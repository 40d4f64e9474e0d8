//! TLS for what listens: our certificate, and whose certificate a sender must show.
//!
//! Nothing older than TLS 1.2 is spoken: the library knows nothing older.

mod renewed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};

use renewed::Renewed;

/// The one protocol that is spoken inside: the server knows no other, so none is agreed on.
const HTTP: &[u8] = b"http/1.1";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} can't be read", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the {what} is not PEM, or holds nothing")]
    Unreadable { what: &'static str },
    #[error("the certificate and the key can't be used")]
    Unusable(#[source] Error),
    #[error("the authority for senders can't be used")]
    Authority,
}

/// PEM contents. The key is a secret: it is never shown.
pub struct TlsFiles {
    pub certificate: Vec<u8>,
    pub private_key: Vec<u8>,
    /// With it, only senders that show a certificate of this authority are let in.
    pub client_authority: Option<Vec<u8>>,
}

impl TlsFiles {
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let pair = SingleCertAndKey::from(pair(&self.certificate, &self.private_key)?);
        Ok(Arc::new(config(self.client_authority.as_deref(), Arc::new(pair))?))
    }
}

/// For HTTP, by files that are read again once they change; what can't be used then leaves the pair before in place.
pub fn renewed_config(certificate: &Path, private_key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = config(None, Arc::new(Renewed::read(certificate, private_key)?))?;
    config.alpn_protocols = vec![HTTP.to_vec()];
    Ok(Arc::new(config))
}

fn config(client_authority: Option<&[u8]>, pair: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Unusable)?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let (_, refused) = roots.add_parsable_certificates(certificates(authority, "authority for senders")?);
            if refused > 0 {
                return Err(TlsError::Authority);
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|_| TlsError::Authority)?)
        }
    };
    Ok(builder.with_cert_resolver(pair))
}

/// A certificate and its own key; one with another's key is refused.
fn pair(certificate: &[u8], private_key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let certificates = certificates(certificate, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|_| TlsError::Unreadable { what: "private key" })?;
    CertifiedKey::from_der(certificates, key, &provider()).map_err(TlsError::Unusable)
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or(TlsError::Unreadable { what })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider())
}
