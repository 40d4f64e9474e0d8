//! One HL7 message from a connection: land it, and only then say so.

use crate::access::Upkeep;
use crate::adapters::sources::mllp::Arrived;
use crate::domain::{Format, SourceId, TenantId, Timestamp};
use crate::stages::normalize::hl7v2::acknowledgement::{
    Code, Reason, acknowledge, conditions, control_id, is_for_testing,
};

use super::ingest::{IngestError, IngestFlow};

/// Our own passing trouble, in table 0357.
const INTERNAL: u16 = 207;
const FIELD_MISSING: u16 = 101;
const PROCESSING_ID: u16 = 202;

#[derive(Clone)]
pub struct ReceiveMessageFlow {
    ingest: IngestFlow,
}

/// What came of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    pub is_landed: bool,
    /// What is sent back, in order: none when the sender wants none.
    pub answers: Vec<Vec<u8>>,
}

/// A fate, before it is put into the sender's words.
struct Verdict {
    code: Code,
    reason: Option<Reason<'static>>,
}

impl Verdict {
    const ACCEPTED: Self = Self { code: Code::ApplicationAccept, reason: None };

    /// The message is at fault: sending it again can't help.
    fn fault(condition: u16, location: Option<&'static str>, text: &'static str) -> Self {
        Self { code: Code::ApplicationError, reason: Some(Reason { condition, location, text }) }
    }

    /// Refused without being looked at: by what it is, or because of our own trouble.
    fn refusal(condition: u16, text: &'static str) -> Self {
        Self { code: Code::ApplicationReject, reason: Some(Reason { condition, location: None, text }) }
    }
}

impl ReceiveMessageFlow {
    pub fn new(ingest: IngestFlow) -> Self {
        Self { ingest }
    }

    /// Lands a message and makes its answer. The message is on disk when the answer says that it is accepted.
    ///
    /// A message whose content can't be read is accepted all the same: it waits in quarantine, and the sender's
    /// queue goes on. `takes_tests`: whether messages for training and debugging are taken.
    pub async fn run(
        &self,
        upkeep: &Upkeep,
        tenant: &TenantId,
        source: &SourceId,
        takes_tests: bool,
        arrived: Arrived,
    ) -> Received {
        let (head, verdict) = match arrived {
            Arrived::TooLong(head) => (head, Verdict::fault(INTERNAL, None, "the message is longer than is taken")),
            Arrived::NoRoom(head) => (head, Verdict::refusal(INTERNAL, "too much is waiting: send it again later")),
            Arrived::Message(bytes) => {
                let head = header_of(&bytes);
                let verdict = match objection(&head, takes_tests) {
                    Some(verdict) => verdict,
                    None => self.land(upkeep, tenant, source, bytes).await,
                };
                (head, verdict)
            }
        };
        Received { is_landed: verdict.code.is_accept(), answers: answers(&head, &verdict) }
    }

    async fn land(&self, upkeep: &Upkeep, tenant: &TenantId, source: &SourceId, bytes: Vec<u8>) -> Verdict {
        match self.ingest.accept_file(upkeep, tenant, source, Format::Hl7v2, None, bytes).await {
            Ok(_) => Verdict::ACCEPTED,
            Err(IngestError::Empty) => Verdict::fault(FIELD_MISSING, None, "the message is empty"),
            Err(error) => {
                tracing::error!(%source, %error, "a message could not be landed");
                Verdict::refusal(INTERNAL, "the message could not be kept: send it again later")
            }
        }
    }
}

/// Enough of a message to answer it.
fn header_of(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().skip(3).position(|byte| matches!(byte, b'\r' | b'\n')).map_or(bytes.len(), |end| end + 3);
    bytes.get(..end.min(8 * 1024)).unwrap_or_default().to_vec()
}

fn objection(header: &[u8], takes_tests: bool) -> Option<Verdict> {
    if control_id(header).is_none() {
        return Some(Verdict::fault(FIELD_MISSING, Some("MSH^1^10"), "no message header with a control id"));
    }
    (is_for_testing(header) && !takes_tests)
        .then(|| Verdict::refusal(PROCESSING_ID, "this address takes no messages for training or debugging"))
}

/// The answers that the sender wants: in the enhanced mode one for the bytes, one for the message, either or none.
fn answers(header: &[u8], verdict: &Verdict) -> Vec<Vec<u8>> {
    let wanted = conditions(header);
    let own = |code: Code| {
        let id = uuid::Uuid::now_v7().simple().to_string();
        acknowledge(header, code, verdict.reason.as_ref(), id.get(..20).unwrap_or(&id), Timestamp::now())
    };
    let commit = wanted.answer(verdict.code);
    let is_accept = verdict.code.is_accept();
    let application = wanted.is_enhanced() && wanted.application.is_some_and(|wanted| wanted.holds(is_accept));
    commit.into_iter().chain(application.then_some(verdict.code)).map(own).collect()
}
