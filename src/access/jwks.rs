//! A JWKS document as a set of keys that may verify signatures.
//!
//! A key that can't be used (another key type, a curve not accepted, meant for encryption, too short)
//! is left out; the rest of the set stands.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use super::issuer::SigningAlgorithm;

const MINIMUM_RSA_BITS: usize = 2048;

/// What a key is, which decides the algorithms it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyShape {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Clone, Debug)]
pub(super) struct VerificationKey {
    id: Option<String>,
    shape: KeyShape,
    /// The one algorithm that the document binds this key to, if it does.
    bound_to: Option<KeyAlgorithm>,
    decoding: DecodingKey,
}

#[derive(Clone, Debug)]
pub(super) struct KeySet {
    keys: Vec<VerificationKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// A newer set might have it.
    Unknown,
    /// Two keys fit, and choosing between them would be guessing.
    Ambiguous,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// `None` when the bytes are no JWKS document at all.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(bytes).ok()?;
        Some(Self { keys: document.keys.into_iter().filter_map(VerificationKey::read).collect() })
    }

    /// The key for a token's header. Without a `kid` the set must hold exactly one that fits.
    pub(super) fn find(&self, algorithm: SigningAlgorithm, id: Option<&str>) -> Result<&DecodingKey, NoKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| id.is_none() || key.id.as_deref() == id)
            .filter(|key| key.fits(algorithm))
            .map(|key| &key.decoding);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(NoKey::Unknown),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
        }
    }
}

impl VerificationKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let shape = KeyShape::of(&jwk.algorithm)?;
        if !is_for_verifying(&jwk) {
            return None;
        }
        Some(Self {
            decoding: DecodingKey::from_jwk(&jwk).ok()?,
            id: jwk.common.key_id,
            shape,
            bound_to: jwk.common.key_algorithm,
        })
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        let shape = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Rs384 => KeyShape::Rsa,
            SigningAlgorithm::Es256 => KeyShape::P256,
            SigningAlgorithm::Es384 => KeyShape::P384,
            SigningAlgorithm::EdDsa => KeyShape::Ed25519,
        };
        let named = KeyAlgorithm::from(jsonwebtoken::Algorithm::from(algorithm));
        self.shape == shape && self.bound_to.is_none_or(|bound_to| bound_to == named)
    }
}

fn is_for_verifying(jwk: &Jwk) -> bool {
    let used_to_sign = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let may_verify =
        jwk.common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    used_to_sign && may_verify
}

impl KeyShape {
    /// `None` for a key that no accepted algorithm uses; symmetric keys are among them.
    fn of(parameters: &AlgorithmParameters) -> Option<Self> {
        match parameters {
            AlgorithmParameters::RSA(rsa) => (modulus_bits(&rsa.n)? >= MINIMUM_RSA_BITS).then_some(Self::Rsa),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => Some(Self::P256),
                EllipticCurve::P384 => Some(Self::P384),
                _ => None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(Self::Ed25519),
            _ => None,
        }
    }
}

fn modulus_bits(encoded: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    let unused_bits = usize::try_from(significant.first()?.leading_zeros()).ok()?;
    Some(significant.len() * 8 - unused_bits)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::test_keys::{TestKey, jwks};
    use super::{KeySet, NoKey, SigningAlgorithm};

    fn set(keys: Vec<Value>) -> KeySet {
        KeySet::parse(&jwks(&keys)).unwrap()
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_key_fits_only_algorithms_of_its_own_shape() {
        for (key, fitting) in [
            (TestKey::Rsa, vec![SigningAlgorithm::Rs256, SigningAlgorithm::Rs384]),
            (TestKey::P256, vec![SigningAlgorithm::Es256]),
            (TestKey::P384, vec![SigningAlgorithm::Es384]),
            (TestKey::Ed25519, vec![SigningAlgorithm::EdDsa]),
        ] {
            let set = set(vec![key.jwk("k1")]);
            for algorithm in SigningAlgorithm::ALL {
                assert_eq!(set.find(algorithm, Some("k1")).is_ok(), fitting.contains(&algorithm), "{algorithm:?}");
            }
        }
    }

    #[test]
    fn a_key_bound_to_an_algorithm_serves_no_other() {
        let bound = set(vec![with(TestKey::Rsa.jwk("k1"), "alg", json!("RS384"))]);
        assert!(bound.find(SigningAlgorithm::Rs384, Some("k1")).is_ok());
        assert_eq!(bound.find(SigningAlgorithm::Rs256, Some("k1")).unwrap_err(), NoKey::Unknown);
        let unheard_of = set(vec![with(TestKey::Rsa.jwk("k1"), "alg", json!("RS1"))]);
        assert_eq!(unheard_of.find(SigningAlgorithm::Rs256, Some("k1")).unwrap_err(), NoKey::Unknown);
    }

    #[test]
    fn keys_for_other_purposes_are_left_out_and_the_rest_stands() {
        let mut keys: Vec<Value> = [
            with(TestKey::Rsa.jwk("k1"), "use", json!("enc")),
            with(TestKey::Rsa.jwk("k1"), "key_ops", json!(["sign"])),
            json!({"kty": "oct", "kid": "k1", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}),
            json!({"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "RSA", "kid": "k1"}),
            json!({"kty": "WHO", "kid": "k1"}),
            json!("k1"),
        ]
        .into();
        let without = set(keys.clone());
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(without.find(algorithm, Some("k1")).unwrap_err(), NoKey::Unknown);
        }
        keys.push(with(with(TestKey::Rsa.jwk("k1"), "use", json!("sig")), "key_ops", json!(["verify"])));
        assert!(set(keys).find(SigningAlgorithm::Rs256, Some("k1")).is_ok());
    }

    #[test]
    fn without_a_key_id_exactly_one_key_must_fit() {
        let one = set(vec![TestKey::Rsa.jwk("k1"), TestKey::P256.jwk("k2")]);
        assert!(one.find(SigningAlgorithm::Rs256, None).is_ok());
        let two = set(vec![TestKey::Rsa.jwk("k1"), TestKey::OtherRsa.jwk("k2")]);
        assert_eq!(two.find(SigningAlgorithm::Rs256, None).unwrap_err(), NoKey::Ambiguous);
        assert!(two.find(SigningAlgorithm::Rs256, Some("k2")).is_ok());
    }

    #[test]
    fn two_keys_of_one_id_are_not_chosen_between() {
        let two = set(vec![TestKey::Rsa.jwk("k1"), TestKey::OtherRsa.jwk("k1")]);
        assert_eq!(two.find(SigningAlgorithm::Rs256, Some("k1")).unwrap_err(), NoKey::Ambiguous);
    }

    #[test]
    fn what_is_no_key_set_is_told_from_an_empty_one() {
        for bytes in ["", "{}", "[]", "{\"keys\": 1}", "<html>"] {
            assert!(KeySet::parse(bytes.as_bytes()).is_none(), "{bytes}");
        }
        assert!(KeySet::parse(b"{\"keys\": []}").is_some());
    }
}
