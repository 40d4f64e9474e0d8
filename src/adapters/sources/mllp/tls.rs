//! TLS for the listener: our certificate, and whose certificate a sender must show.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the {what} is not PEM, or holds nothing")]
    Unreadable { what: &'static str },
    #[error("the certificate and the key can't be used")]
    Unusable(#[source] tokio_rustls::rustls::Error),
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
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let certificates = certificates(&self.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&self.private_key)
            .map_err(|_| TlsError::Unreadable { what: "private key" })?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?;
        let builder = match &self.client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let (_, refused) =
                    roots.add_parsable_certificates(self::certificates(authority, "authority for senders")?);
                if refused > 0 {
                    return Err(TlsError::Authority);
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|_| TlsError::Authority)?)
            }
        };
        let config = builder.with_single_cert(certificates, key).map_err(TlsError::Unusable)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or(TlsError::Unreadable { what })
}
