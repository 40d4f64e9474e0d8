//! Identifiers as newtypes, so that a patient's id can't be passed for a document's.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(value: impl Into<String>) -> Self {
                Self(value.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// An organisation whose data never mixes with another's.
    TenantId
);
text_id!(
    /// A feed: one system that sends records.
    SourceId
);
text_id!(
    /// A person, as the tenant's primary system numbers them; `namespace:local` for other systems.
    PatientId
);
text_id!(
    /// One record of one source for ever, whatever its version.
    DocumentId
);
text_id!(
    /// What a sender holds to ask how a delivery fared.
    ReceiptId
);
text_id!(QuarantineId);
text_id!(JobId);

impl DocumentId {
    /// The id of what `source` calls `source_key`: the same record sent twice finds itself.
    pub fn derive(source: &SourceId, source_key: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(source.as_str().as_bytes());
        hasher.update([0]);
        hasher.update(source_key.as_bytes());
        Self(hex::encode(&hasher.finalize()[..16]))
    }
}

impl SourceId {
    /// Lower-case letters, digits and dashes, 1 to 64: it stands in paths, logs and metric labels.
    pub fn parse(value: &str) -> Option<Self> {
        let fits = (1..=64).contains(&value.len())
            && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits.then(|| Self(value.to_owned()))
    }
}

impl PatientId {
    /// The namespace whose local ids are used as they are.
    pub const PRIMARY_NAMESPACE: &'static str = "main";

    pub fn in_namespace(namespace: &str, local: &str) -> Self {
        if namespace == Self::PRIMARY_NAMESPACE { Self(local.to_owned()) } else { Self(format!("{namespace}:{local}")) }
    }
}

/// Time-ordered, so that rows written together lie together.
fn fresh() -> String {
    Uuid::now_v7().to_string()
}

impl ReceiptId {
    pub fn fresh() -> Self {
        Self(fresh())
    }
}

impl QuarantineId {
    pub fn fresh() -> Self {
        Self(fresh())
    }
}

impl JobId {
    pub fn fresh() -> Self {
        Self(fresh())
    }
}
