//! How the records of a source come in: pushed, watched for, asked for, streamed.

use serde::{Deserialize, Serialize};

/// A secret by name only: its value comes from the operator's secrets folder or environment, never from here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(pub String);

/// The way a source's records come in.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Feed {
    /// Senders post them, with a token.
    #[default]
    Push,
    /// Signed posts of a system that can't hold a token.
    Webhook(WebhookFeed),
    /// Files that appear below a folder or an object store's prefix.
    Files(FilesFeed),
    /// A FHIR server, asked for what changed since the last time.
    Poll(PollFeed),
    /// A FHIR server's bulk export.
    Bulk(BulkFeed),
    /// A FHIR server that sends notifications.
    Subscription(SubscriptionFeed),
    /// HL7 v2 messages over a connection that stays open.
    Mllp(MllpFeed),
}

impl Feed {
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Webhook(_) => "webhook",
            Self::Files(_) => "files",
            Self::Poll(_) => "poll",
            Self::Bulk(_) => "bulk",
            Self::Subscription(_) => "subscription",
            Self::Mllp(_) => "mllp",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookFeed {
    pub signature: WebhookSignature,
    pub secret: SecretName,
    /// Posts older than this are refused as replayed; default 300 s.
    #[serde(default = "five_minutes")]
    pub tolerance_s: u64,
}

/// Who signs, and so how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSignature {
    /// HMAC-SHA256 over `{timestamp}.{body}`, hex, in `x-anamnesis-signature`, with `x-anamnesis-timestamp`.
    Generic,
    /// HubSpot's version 3.
    Hubspot,
    /// A Salesforce outbound relay: HMAC-SHA256 over the body, base64, in `x-salesforce-signature`.
    Salesforce,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesFeed {
    /// `file:///srv/drop` or `s3://bucket/prefix`.
    pub url: String,
    #[serde(default = "half_minute")]
    pub every_s: u64,
    /// A file is taken once its size and time have stood still this long; default 10 s.
    #[serde(default = "ten_seconds")]
    pub settle_s: u64,
    /// For an object store; default none.
    #[serde(default)]
    pub access_key: Option<SecretName>,
    #[serde(default)]
    pub secret_key: Option<SecretName>,
    /// The object store's address, when it isn't the provider's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
}

/// How we prove who we are to a FHIR server.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FhirCredentials {
    #[default]
    None,
    Bearer {
        token: SecretName,
    },
    /// SMART Backend Services: a signed assertion (`private_key_jwt`) for a short-lived token.
    Backend {
        client_id: String,
        /// Default: what the server's `.well-known/smart-configuration` names.
        #[serde(default)]
        token_url: Option<String>,
        /// PEM, RSA or EC P-384.
        private_key: SecretName,
        key_id: String,
        #[serde(default)]
        scope: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollFeed {
    /// The server's base address.
    pub url: String,
    /// The types asked for, each by its own search.
    pub types: Vec<String>,
    #[serde(default = "one_minute")]
    pub every_s: u64,
    #[serde(default)]
    pub credentials: FhirCredentials,
    /// Searches at once; default 2.
    #[serde(default = "two")]
    pub concurrency: usize,
    /// Records a page; default 200.
    #[serde(default = "two_hundred")]
    pub page_size: u32,
    /// How far each search reaches back before the newest record seen, for writes that commit late; default 60 s.
    #[serde(default = "one_minute")]
    pub overlap_s: u64,
    /// Whether the server's history is asked for what was deleted; default true.
    #[serde(default = "yes")]
    pub deletions: bool,
    /// Whether plain HTTP may be spoken with other than this machine; default false.
    #[serde(default)]
    pub allow_http: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkFeed {
    pub url: String,
    /// `Group/5`, `Patient`, or empty for the whole system.
    #[serde(default)]
    pub level: String,
    #[serde(default)]
    pub types: Vec<String>,
    #[serde(default = "one_day")]
    pub every_s: u64,
    #[serde(default)]
    pub credentials: FhirCredentials,
    /// Files fetched at once; default 2.
    #[serde(default = "two")]
    pub concurrency: usize,
    /// Other origins (`https://files.example`) that the server's token may be shown to; default none.
    #[serde(default)]
    pub token_also_for: Vec<String>,
    #[serde(default)]
    pub allow_http: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionFeed {
    /// The server that notifies; missed events and resources that are only named are fetched from it.
    pub url: String,
    /// What the server sends as `Authorization: Bearer ...` with each notification.
    pub secret: SecretName,
    /// Types fetched again when events were missed and the server can't list them.
    #[serde(default)]
    pub types: Vec<String>,
    #[serde(default)]
    pub credentials: FhirCredentials,
    /// How often the server is asked whether anything was missed; default 300 s.
    #[serde(default = "five_minutes")]
    pub every_s: u64,
    #[serde(default)]
    pub allow_http: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MllpFeed {
    /// `0.0.0.0:2575`
    pub listen: String,
    /// PEM; with them the listener speaks TLS only.
    #[serde(default)]
    pub certificate: Option<SecretName>,
    #[serde(default)]
    pub private_key: Option<SecretName>,
    /// PEM of who may connect: with it a client must show a certificate.
    #[serde(default)]
    pub client_authority: Option<SecretName>,
    #[serde(default = "sixty_four")]
    pub max_connections: usize,
    #[serde(default = "sixteen_mebibytes")]
    pub max_message_bytes: usize,
    /// Whether messages for training and debugging (MSH-11 `T`, `D`) are taken; default no: they are refused.
    #[serde(default)]
    pub takes_tests: bool,
}

fn five_minutes() -> u64 {
    300
}

fn half_minute() -> u64 {
    30
}

fn ten_seconds() -> u64 {
    10
}

fn one_minute() -> u64 {
    60
}

fn one_day() -> u64 {
    86_400
}

fn two() -> usize {
    2
}

fn two_hundred() -> u32 {
    200
}

fn yes() -> bool {
    true
}

fn sixty_four() -> usize {
    64
}

fn sixteen_mebibytes() -> usize {
    16 * 1024 * 1024
}
