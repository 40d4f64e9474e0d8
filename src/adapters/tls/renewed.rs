//! A certificate and its key by their files, looked at with each handshake.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{TlsError, pair};

/// What tells a file from the one that stood there before: inode, size, and when it was written.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The pair that is shown, and the files that it came from.
#[derive(Debug)]
pub(super) struct Renewed {
    certificate: PathBuf,
    private_key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    /// Of the files as they were last read, whether they could be used or not.
    seen: Mutex<[Stamp; 2]>,
}

impl Renewed {
    pub(super) fn read(certificate: &Path, private_key: &Path) -> Result<Self, TlsError> {
        // Taken first: what is written while the files are read is seen at the next look.
        let seen = [stamp(certificate), stamp(private_key)];
        Ok(Self {
            current: ArcSwap::from_pointee(read(certificate, private_key)?),
            seen: Mutex::new(seen),
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
        })
    }

    /// The pair as its files are now; one that can't be used, such as a half that was not replaced yet, changes
    /// nothing.
    fn current(&self) -> Arc<CertifiedKey> {
        // Whoever comes while another one looks gets the pair before.
        if let Ok(mut seen) = self.seen.try_lock() {
            let now = [stamp(&self.certificate), stamp(&self.private_key)];
            if *seen != now {
                *seen = now;
                match read(&self.certificate, &self.private_key) {
                    Ok(pair) => {
                        self.current.store(Arc::new(pair));
                        tracing::info!("the certificate was read anew");
                    }
                    Err(error) => tracing::error!(%error, "the new certificate can't be used: the one before stays"),
                }
            }
        }
        self.current.load_full()
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

fn read(certificate: &Path, private_key: &Path) -> Result<CertifiedKey, TlsError> {
    let file = |path: &Path| std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source });
    pair(&file(certificate)?, &file(private_key)?)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn a_pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    struct Files {
        folder: TempDir,
    }

    impl Files {
        fn new((certificate, key): &(String, String)) -> Self {
            let files = Self { folder: tempfile::tempdir().unwrap() };
            files.put("certificate", certificate);
            files.put("key", key);
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// As renewing programs do: a new file in the place of the old one.
        fn put(&self, name: &str, content: &str) {
            std::fs::write(self.path("new"), content).unwrap();
            std::fs::rename(self.path("new"), self.path(name)).unwrap();
        }

        fn read(&self) -> Result<Renewed, TlsError> {
            Renewed::read(&self.path("certificate"), &self.path("key"))
        }
    }

    #[test]
    fn a_renewed_pair_is_shown_once_both_halves_are_there() {
        let (before, after) = (a_pair(), a_pair());
        let files = Files::new(&before);
        let renewed = files.read().unwrap();
        let first = renewed.current();
        assert!(Arc::ptr_eq(&first, &renewed.current()));
        files.put("certificate", &after.0);
        assert!(Arc::ptr_eq(&first, &renewed.current()), "half a pair is none");
        files.put("key", &after.1);
        let second = renewed.current();
        assert_ne!(first.cert, second.cert);
        files.put("key", "not a key");
        std::fs::remove_file(files.path("certificate")).unwrap();
        assert!(Arc::ptr_eq(&second, &renewed.current()));
    }

    #[test]
    fn a_pair_that_is_none_is_refused() {
        let (one, other) = (a_pair(), a_pair());
        let mismatched = Files::new(&(one.0.clone(), other.1));
        assert!(matches!(mismatched.read(), Err(TlsError::Unusable(_))));
        let without_key = Files::new(&(one.0.clone(), one.0.clone()));
        assert!(matches!(without_key.read(), Err(TlsError::Unreadable { what: "private key" })));
        let without_certificate = Files::new(&(String::new(), one.1.clone()));
        assert!(matches!(without_certificate.read(), Err(TlsError::Unreadable { what: "certificate" })));
        let absent = Files::new(&one);
        std::fs::remove_file(absent.path("key")).unwrap();
        let Err(TlsError::File { path, .. }) = absent.read() else { panic!("read a file that is absent") };
        assert_eq!(path, absent.path("key"));
    }
}
