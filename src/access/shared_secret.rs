//! Leave to send to one source, proved by the secret that was declared for it.

use sha2::{Digest, Sha256};

use super::{Operation, Permit};
use crate::domain::{SourceId, TenantId};

/// The secret of one source of one tenant; what it opens is sending to that source, and nothing else.
pub struct SharedSecret {
    tenant: TenantId,
    source: SourceId,
    secret: Vec<u8>,
}

impl SharedSecret {
    /// Shorter ones could be guessed.
    pub const MINIMUM_BYTES: usize = 16;

    /// `None` when the secret is too short to prove anything.
    pub fn new(tenant: TenantId, source: SourceId, secret: Vec<u8>) -> Option<Self> {
        (secret.len() >= Self::MINIMUM_BYTES).then_some(Self { tenant, source, secret })
    }

    /// Leave to send, for whoever shows the secret itself.
    pub fn verify(&self, shown: &[u8]) -> Option<Permit> {
        is_same(&self.secret, shown).then(|| {
            let caller = format!("source:{}", self.source);
            Permit::new(self.tenant.clone(), caller, Operation::Ingest(self.source.clone()))
        })
    }
}

/// Compares digests, byte by byte to the end: the time taken tells nothing of the secret.
fn is_same(secret: &[u8], shown: &[u8]) -> bool {
    let (secret, shown) = (Sha256::digest(secret), Sha256::digest(shown));
    secret.iter().zip(shown.iter()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::{Operation, SharedSecret};
    use crate::domain::{SourceId, TenantId};

    fn secret(bytes: &[u8]) -> Option<SharedSecret> {
        SharedSecret::new(TenantId::new("north"), SourceId::new("ehr"), bytes.to_vec())
    }

    #[test]
    fn the_secret_and_nothing_like_it_opens_one_source() {
        let declared = b"sixteen bytes long, and then some";
        let held = secret(declared).unwrap();
        let permit = held.verify(declared).unwrap();
        assert_eq!(permit.tenant().as_str(), "north");
        assert_eq!(permit.operation(), &Operation::Ingest(SourceId::new("ehr")));
        for other in [&declared[1..], b"", b"sixteen bytes long, and then somE"] {
            assert!(held.verify(other).is_none());
        }
    }

    #[test]
    fn a_short_secret_proves_nothing() {
        assert!(secret(&[7; 15]).is_none());
        assert!(secret(&[7; 16]).is_some());
    }
}
