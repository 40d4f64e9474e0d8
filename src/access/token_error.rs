//! Why a token was not accepted: one text for the caller, a code word for the metrics.

/// Display never says which check failed, so a caller can't feel their way to a token that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// 401
    #[error("the token is not a well-formed JWT")]
    Malformed,
    /// 401
    #[error("the token is not valid")]
    Invalid(Refusal),
    /// 401: no issuer is configured, so nobody has access.
    #[error("no token issuer is configured")]
    NotConfigured,
    /// 503: nothing is known to be wrong with the token.
    #[error("the issuer's keys can't be had at the moment")]
    KeysUnavailable { retry_after_s: u64 },
    /// 503: the same, of a token that its issuer has to be asked about.
    #[error("the issuer can't be asked at the moment")]
    IssuerUnavailable { retry_after_s: u64 },
}

/// The check that refused a token. For counting, never for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Header,
    Algorithm,
    Type,
    UnknownIssuer,
    UnknownKey,
    AmbiguousKey,
    Signature,
    Expired,
    NotYetValid,
    Issuer,
    Audience,
    MissingClaim,
    IssuedInFuture,
    LivesTooLong,
    Tenant,
    ClaimShape,
    Revoked,
    Inactive,
    Purpose,
    Other,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey => "unknown_key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::MissingClaim => "missing_claim",
            Self::IssuedInFuture => "issued_in_future",
            Self::LivesTooLong => "lives_too_long",
            Self::Tenant => "tenant",
            Self::ClaimShape => "claim_shape",
            Self::Revoked => "revoked",
            Self::Inactive => "inactive",
            Self::Purpose => "purpose",
            Self::Other => "other",
        }
    }
}

impl TokenError {
    /// A stable code word for metrics and logs; holds nothing of the token.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid(refusal) => refusal.as_str(),
            Self::NotConfigured => "not_configured",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::IssuerUnavailable { .. } => "issuer_unavailable",
        }
    }
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        Self::Invalid(refusal)
    }
}

impl From<jsonwebtoken::errors::Error> for Refusal {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::MissingRequiredClaim(_) => Self::MissingClaim,
            ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => Self::ClaimShape,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => Self::Algorithm,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, TokenError};

    #[test]
    fn every_refusal_reads_alike_to_the_caller_and_differs_in_the_metrics() {
        let expired = TokenError::Invalid(Refusal::Expired);
        let forged = TokenError::Invalid(Refusal::Signature);
        assert_eq!(expired.to_string(), forged.to_string());
        assert_ne!(expired.reason(), forged.reason());
    }
}
