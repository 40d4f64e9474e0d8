//! Signed posts of systems that can't hold a token: a signature that verifies is leave to send to one source.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Operation, Permit};
use crate::domain::{Feed, SourceDescription, TenantId, Timestamp, WebhookFeed, WebhookSignature};

/// Whoever signs without a time can be replayed at any time, so such posts are remembered this long.
const REMEMBERED_WITHOUT_TIME_S: u64 = 30 * 86_400;

const GENERIC_SIGNATURE: &str = "x-anamnesis-signature";
const GENERIC_TIME: &str = "x-anamnesis-timestamp";
const HUBSPOT_SIGNATURE: &str = "x-hubspot-signature-v3";
const HUBSPOT_TIME: &str = "x-hubspot-request-timestamp";
const SALESFORCE_SIGNATURE: &str = "x-salesforce-signature";

/// Why a post is refused: for the operator's counts. Its sender is told the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    #[error("no such source takes signed posts")]
    UnknownSource,
    #[error("the source's secret isn't configured")]
    NoSecret,
    #[error("the public address isn't configured")]
    NoAddress,
    #[error("a signature or its time is missing, repeated or not readable")]
    Unsigned,
    #[error("the signature is of another time")]
    Stale,
    #[error("the signature doesn't fit")]
    Wrong,
}

impl WebhookRefusal {
    /// For a metric's label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownSource => "webhook_unknown_source",
            Self::NoSecret => "webhook_no_secret",
            Self::NoAddress => "webhook_no_address",
            Self::Unsigned => "webhook_unsigned",
            Self::Stale => "webhook_stale",
            Self::Wrong => "webhook_wrong_signature",
        }
    }
}

/// A post as it came.
#[derive(Clone, Copy)]
pub struct SignedPost<'a> {
    /// Upper case.
    pub method: &'a str,
    /// The address that the sender calls, as the world sees it; `None` when that isn't configured.
    pub address: Option<&'a str>,
    /// Each header with its value; names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// Exactly the bytes that came.
    pub body: &'a [u8],
}

/// A verified signature: leave to send this one post to the one source whose secret signed it.
///
/// Fields are private and only [`verify_webhook`] makes one.
#[derive(Clone, Debug)]
pub struct WebhookProof {
    permit: Permit,
    digest: String,
    expires_at: Timestamp,
}

impl WebhookProof {
    /// To ingest into that source, and nothing else.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The same for the same post, sent however often.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Until when the digest must be remembered, so that the post can't take effect twice.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Checks a post against the source it is sent to. `secret` finds the value of a secret's name.
///
/// A source that doesn't exist costs the same time as one that does.
pub fn verify_webhook(
    tenant: &TenantId,
    source: Option<&SourceDescription>,
    secret: impl Fn(&str) -> Option<Vec<u8>>,
    post: SignedPost<'_>,
    now: Timestamp,
) -> Result<WebhookProof, WebhookRefusal> {
    let feed = source.and_then(|source| match &source.feed {
        Feed::Webhook(feed) => Some((source, feed)),
        _ => None,
    });
    let Some((source, feed)) = feed else {
        let _ = is_signed_by(b"no source has this secret", &[post.body], &[0; 32]);
        return Err(WebhookRefusal::UnknownSource);
    };
    let secret = secret(&feed.secret.0).ok_or(WebhookRefusal::NoSecret)?;
    let signed = Signed::read(feed.signature, post)?;
    if let Some(time) = signed.time
        && now.seconds_since(time).unsigned_abs() > feed.tolerance_s
    {
        return Err(WebhookRefusal::Stale);
    }
    let parts: Vec<&[u8]> = signed.parts.iter().map(AsRef::as_ref).collect();
    if !is_signed_by(&secret, &parts, &signed.signature) {
        return Err(WebhookRefusal::Wrong);
    }
    Ok(WebhookProof {
        permit: Permit::new(tenant.clone(), format!("webhook {}", source.name), Operation::Ingest(source.name.clone())),
        digest: hex::encode(Sha256::digest(&signed.signature)),
        expires_at: expiry(feed, signed.time, now),
    })
}

fn expiry(feed: &WebhookFeed, time: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let seconds = match time {
        // A time ahead of ours stays fresh for longer than the tolerance from now.
        Some(_) => feed.tolerance_s.saturating_mul(2).saturating_add(1),
        None => REMEMBERED_WITHOUT_TIME_S,
    };
    now.plus(jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000)))
}

/// Compares in constant time.
fn is_signed_by(secret: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(signature).is_ok()
}

/// What was signed, by the scheme of its sender.
struct Signed<'a> {
    parts: Vec<std::borrow::Cow<'a, [u8]>>,
    signature: Vec<u8>,
    time: Option<Timestamp>,
}

impl<'a> Signed<'a> {
    fn read(scheme: WebhookSignature, post: SignedPost<'a>) -> Result<Self, WebhookRefusal> {
        let unsigned = WebhookRefusal::Unsigned;
        match scheme {
            WebhookSignature::Generic => {
                let written = header(post, GENERIC_SIGNATURE)?;
                let time = header(post, GENERIC_TIME)?;
                Ok(Self {
                    parts: vec![time.as_bytes().into(), b".".into(), post.body.into()],
                    signature: hex::decode(written.strip_prefix("sha256=").unwrap_or(written)).map_err(|_| unsigned)?,
                    time: Some(moment(time, 1_000_000)?),
                })
            }
            WebhookSignature::Hubspot => {
                let written = header(post, HUBSPOT_SIGNATURE)?;
                let time = header(post, HUBSPOT_TIME)?;
                let address = hubspot_address(post.address.ok_or(WebhookRefusal::NoAddress)?);
                Ok(Self {
                    parts: vec![
                        post.method.as_bytes().into(),
                        address.into_bytes().into(),
                        post.body.into(),
                        time.as_bytes().into(),
                    ],
                    signature: STANDARD.decode(written).map_err(|_| unsigned)?,
                    time: Some(moment(time, 1_000)?),
                })
            }
            WebhookSignature::Salesforce => Ok(Self {
                parts: vec![post.body.into()],
                signature: STANDARD.decode(header(post, SALESFORCE_SIGNATURE)?).map_err(|_| unsigned)?,
                time: None,
            }),
        }
    }
}

/// The header's value, when it is there exactly once.
fn header<'a>(post: SignedPost<'a>, name: &str) -> Result<&'a str, WebhookRefusal> {
    let mut values = post.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.trim());
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(WebhookRefusal::Unsigned),
    }
}

fn moment(text: &str, micros: i64) -> Result<Timestamp, WebhookRefusal> {
    let count = text.parse::<i64>().ok().and_then(|count| count.checked_mul(micros));
    // Within the range of dates, so that differences can be taken.
    let in_range = |micros: &i64| jiff::Timestamp::from_microsecond(*micros).is_ok();
    count.filter(in_range).map(Timestamp::from_micros).ok_or(WebhookRefusal::Unsigned)
}

/// HubSpot signs the address with these characters written out. Source: HubSpot, Validating requests, version 3.
fn hubspot_address(address: &str) -> String {
    const WRITTEN_OUT: [(&str, &str); 12] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    WRITTEN_OUT.iter().fold(address.to_owned(), |address, (encoded, plain)| {
        address.replace(encoded, plain).replace(&encoded.to_ascii_lowercase(), plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SecretName, SourceId};

    const SECRET: &[u8] = b"a secret of the tests";
    const NOW: i64 = 1_714_557_600;

    fn now() -> Timestamp {
        Timestamp::from_micros(NOW * 1_000_000)
    }

    fn source(signature: WebhookSignature) -> SourceDescription {
        SourceDescription {
            name: SourceId::new("crm"),
            patients: "main".into(),
            warn_after_s: 1,
            error_after_s: 2,
            mapping: None,
            feed: Feed::Webhook(WebhookFeed { signature, secret: SecretName("crm".into()), tolerance_s: 300 }),
        }
    }

    fn mac(parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }

    fn check(
        source: Option<&SourceDescription>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<WebhookProof, WebhookRefusal> {
        let address = Some("https://hooks.example/v1/webhooks/crm?tenant=north%2Cside");
        let post = SignedPost { method: "POST", address, headers, body };
        let secret = |name: &str| (name == "crm").then(|| SECRET.to_vec());
        verify_webhook(&TenantId::new("north"), source, secret, post, now())
    }

    fn generic(time: &str, body: &[u8]) -> String {
        hex::encode(mac(&[time.as_bytes(), b".", body]))
    }

    #[test]
    fn a_good_signature_is_leave_for_exactly_its_source() {
        let time = NOW.to_string();
        let signature = generic(&time, b"{}");
        let source = source(WebhookSignature::Generic);
        let proof = check(Some(&source), &[(GENERIC_SIGNATURE, &signature), (GENERIC_TIME, &time)], b"{}").unwrap();
        assert_eq!(proof.permit().tenant(), &TenantId::new("north"));
        assert_eq!(proof.permit().operation(), &Operation::Ingest(SourceId::new("crm")));
        let prefixed = format!("sha256={signature}");
        assert!(check(Some(&source), &[(GENERIC_SIGNATURE, &prefixed), (GENERIC_TIME, &time)], b"{}").is_ok());
    }

    #[test]
    fn every_changed_part_is_refused() {
        let source = source(WebhookSignature::Generic);
        let time = NOW.to_string();
        let other = (NOW + 1).to_string();
        let good = generic(&time, b"{}");
        let refused = |headers: &[(&str, &str)], body: &[u8]| check(Some(&source), headers, body).unwrap_err();
        assert_eq!(refused(&[(GENERIC_SIGNATURE, &good), (GENERIC_TIME, &time)], b"{} "), WebhookRefusal::Wrong);
        assert_eq!(refused(&[(GENERIC_SIGNATURE, &good), (GENERIC_TIME, &other)], b"{}"), WebhookRefusal::Wrong);
        assert_eq!(refused(&[(GENERIC_SIGNATURE, "00"), (GENERIC_TIME, &time)], b"{}"), WebhookRefusal::Wrong);
        assert_eq!(refused(&[(GENERIC_SIGNATURE, "xyz"), (GENERIC_TIME, &time)], b"{}"), WebhookRefusal::Unsigned);
        assert_eq!(refused(&[(GENERIC_SIGNATURE, &good)], b"{}"), WebhookRefusal::Unsigned);
        let twice = [(GENERIC_SIGNATURE, good.as_str()), (GENERIC_SIGNATURE, "00"), (GENERIC_TIME, time.as_str())];
        assert_eq!(refused(&twice, b"{}"), WebhookRefusal::Unsigned);
    }

    #[test]
    fn another_time_is_stale_on_both_sides() {
        let source = source(WebhookSignature::Generic);
        for (offset, expected) in
            [(-300, None), (300, None), (-301, Some(WebhookRefusal::Stale)), (301, Some(WebhookRefusal::Stale))]
        {
            let time = (NOW + offset).to_string();
            let signature = generic(&time, b"{}");
            let found = check(Some(&source), &[(GENERIC_SIGNATURE, &signature), (GENERIC_TIME, &time)], b"{}");
            assert_eq!(found.err(), expected, "{offset}");
        }
        for time in ["9223372036854775807", "-9223372036854775808", "soon", ""] {
            let signature = generic(time, b"{}");
            let found = check(Some(&source), &[(GENERIC_SIGNATURE, &signature), (GENERIC_TIME, time)], b"{}");
            assert_eq!(found.err(), Some(WebhookRefusal::Unsigned), "{time}");
        }
    }

    #[test]
    fn hubspot_signs_method_address_body_and_time() {
        let source = source(WebhookSignature::Hubspot);
        let time = (NOW * 1_000).to_string();
        let sign = |address: &str| STANDARD.encode(mac(&[b"POST", address.as_bytes(), b"[]", time.as_bytes()]));
        let good = sign("https://hooks.example/v1/webhooks/crm?tenant=north,side");
        assert!(check(Some(&source), &[(HUBSPOT_SIGNATURE, &good), (HUBSPOT_TIME, &time)], b"[]").is_ok());
        let elsewhere = sign("https://hooks.example/v1/webhooks/other");
        let found = check(Some(&source), &[(HUBSPOT_SIGNATURE, &elsewhere), (HUBSPOT_TIME, &time)], b"[]");
        assert_eq!(found.err(), Some(WebhookRefusal::Wrong));
    }

    #[test]
    fn salesforce_signs_the_body_and_is_remembered_for_long() {
        let source = source(WebhookSignature::Salesforce);
        let signature = STANDARD.encode(mac(&[b"{}"]));
        let proof = check(Some(&source), &[(SALESFORCE_SIGNATURE, &signature)], b"{}").unwrap();
        assert_eq!(proof.expires_at().seconds_since(now()), 30 * 86_400);
        assert_eq!(
            check(Some(&source), &[(SALESFORCE_SIGNATURE, &signature)], b"[]").err(),
            Some(WebhookRefusal::Wrong)
        );
    }

    #[test]
    fn a_source_without_webhook_or_secret_takes_nothing() {
        let mut other = source(WebhookSignature::Generic);
        assert_eq!(check(None, &[], b"{}").err(), Some(WebhookRefusal::UnknownSource));
        other.feed = Feed::Push;
        assert_eq!(check(Some(&other), &[], b"{}").err(), Some(WebhookRefusal::UnknownSource));
        let feed =
            WebhookFeed { signature: WebhookSignature::Generic, secret: SecretName("absent".into()), tolerance_s: 300 };
        other.feed = Feed::Webhook(feed);
        assert_eq!(check(Some(&other), &[], b"{}").err(), Some(WebhookRefusal::NoSecret));
    }
}
