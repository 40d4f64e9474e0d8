//! What a CRM or launch page may show of a patient: short lists of cited, aged lines.

use super::{DocumentKey, PatientId, SourceId, Span, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub struct ContextLine {
    pub text: String,
    pub key: DocumentKey,
    pub span: Span,
    pub source: SourceId,
    pub effective: Option<Timestamp>,
    pub source_time: Option<Timestamp>,
    pub received_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PatientContext {
    pub patient: PatientId,
    pub demographics: Vec<ContextLine>,
    pub problems: Vec<ContextLine>,
    pub medications: Vec<ContextLine>,
    pub allergies: Vec<ContextLine>,
    pub results: Vec<ContextLine>,
    pub contacts: Vec<ContextLine>,
    pub appointments: Vec<ContextLine>,
}
