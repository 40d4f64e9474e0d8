//! The key by which surrogates, pseudonyms and shifts are made.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Keys of one purpose each, made from the secret that is configured.
#[derive(Clone)]
pub struct Secret {
    surrogates: [u8; 32],
    shifts: [u8; 32],
    pub(super) pseudonyms: [u8; 32],
}

impl Secret {
    pub const MIN_BYTES: usize = 32;
    /// The farthest that dates are moved back, in days.
    const MOST_DAYS: u64 = 365;

    /// `None` for a secret that is too short to be one.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::MIN_BYTES).then(|| Self {
            surrogates: mac(bytes, &["anamnesis surrogates"]),
            shifts: mac(bytes, &["anamnesis shifts"]),
            pseudonyms: mac(bytes, &["anamnesis pseudonyms"]),
        })
    }

    /// A secret of this process alone, for marks that nobody has to recognize later.
    pub fn random() -> Self {
        let bytes: [[u8; 16]; 2] = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()];
        Self::new(bytes.as_flattened()).expect("32 bytes are enough")
    }

    /// Four digits that stand for `value` among what is said of `subject`.
    pub(super) fn surrogate(&self, subject: &str, category: &str, value: &str) -> String {
        hex::encode(&mac(&self.surrogates, &[subject, category, value])[..2])
    }

    /// Days that a subject's dates are moved back by, 1 to 365.
    pub(super) fn days(&self, subject: &str) -> i64 {
        let digest = mac(&self.shifts, &[subject]);
        let number = u64::from_be_bytes(digest[..8].try_into().expect("a digest has eight bytes"));
        1 + i64::try_from(number % Self::MOST_DAYS).expect("below 365")
    }
}

/// Parts are told apart by their lengths.
fn mac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}
