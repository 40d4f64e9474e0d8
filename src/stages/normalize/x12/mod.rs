//! X12 transactions to documents: claims, remittances, eligibility, claim status, authorizations, enrolment.
//!
//! A record is one transaction set with the `ISA` and `GS` before it; a reader per kind makes one document of
//! each claim, payment, member or event. Published parsers hold a set to its grammar and refuse the whole of
//! it at the first deviation, without saying where; here one bad claim must not cost its neighbours, so the
//! readers take segments as they come and find what they know.

mod acknowledgement;
mod adjustments;
mod amounts;
mod authorization;
mod claim;
mod claim_lines;
mod claim_status;
mod codes;
mod dates;
mod eligibility;
mod enrolment;
mod envelope;
mod hierarchy;
mod page;
mod parties;
mod remittance;
mod segments;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Changes, Document, Finding, Normalized, Outcome, QuarantineReason, Removal, Severity, Unreadable};

use super::charset;
pub(in crate::stages) use envelope::{NAMES as ENVELOPE, check_interchange};
pub(in crate::stages) use segments::{Place, Separators, places, trimmed};

use envelope::{Envelope, finding};
use segments::Segment;
use transaction::Transaction;

/// What a reader made of one set.
#[derive(Debug, Default)]
struct Reading {
    documents: Vec<Document>,
    removals: Vec<Removal>,
    findings: Vec<Finding>,
}

/// `bytes`: `ISA`, `GS`, one set; or the envelope of an interchange alone.
pub(super) fn normalize(bytes: &[u8], namespace: &str) -> Result<Normalized, Unreadable> {
    let malformed = |detail: &str| Unreadable::new(QuarantineReason::MalformedX12, detail);
    let bytes = trimmed(bytes);
    let separators = Separators::read(bytes).ok_or_else(|| malformed("no ISA that names its separators"))?;
    let decoded = charset::decode(bytes, None).ok_or_else(|| malformed("not text"))?;
    let mut findings = Vec::new();
    if decoded.guessed {
        findings.push(finding("invalid_encoding", Severity::Warning, "ISA"));
    }
    let all: Vec<(&[u8], &str)> = places(decoded.text.as_bytes(), separators)
        .filter_map(|place| Some((place.id(separators), std::str::from_utf8(place.content).ok()?)))
        .collect();
    let is_envelope = all.iter().any(|(id, _)| matches!(*id, b"TA1" | b"GE" | b"IEA"));
    let first = all.iter().position(|(id, _)| *id == b"ST").filter(|_| !is_envelope);
    let Some(first) = first else {
        findings.extend(check_interchange(&all, separators.element));
        return Ok(acknowledgement::interchange(&all, separators, findings));
    };
    let segment = |at: usize, position: usize| all.get(at).map(|(_, text)| Segment::new(text, separators, position));
    let isa = segment(0, 0).ok_or_else(|| malformed("no ISA"))?;
    let gs = (1..first).filter_map(|at| segment(at, 0)).find(|segment| segment.is("GS"));
    let set: Vec<Segment<'_>> =
        (first..all.len()).zip(1..).filter_map(|(at, position)| segment(at, position)).collect();
    let st = *set.first().ok_or_else(|| malformed("no ST"))?;
    let envelope = Envelope { isa, gs, st };
    findings.extend(envelope::check_set(&envelope, separators, &set));
    let body = set.into_iter().skip(1).filter(|segment| !segment.is("SE")).collect();
    read(&Transaction::new(envelope, body, namespace), findings)
}

fn read(transaction: &Transaction<'_>, findings: Vec<Finding>) -> Result<Normalized, Unreadable> {
    let reading = match transaction.set() {
        "837" => claim::read(transaction)?,
        "835" => remittance::read(transaction)?,
        "270" | "271" => eligibility::read(transaction)?,
        "276" | "277" => claim_status::read(transaction)?,
        "278" => authorization::read(transaction)?,
        "834" => enrolment::read(transaction)?,
        "997" | "999" => return Ok(acknowledgement::set(transaction, findings)),
        "" => return Err(Unreadable::new(QuarantineReason::MalformedX12, "ST01 is empty")),
        _ => return Err(Unreadable::new(QuarantineReason::UnsupportedMessage, "ST01 names a set that is not read")),
    };
    Ok(outcome(reading, findings))
}

fn outcome(reading: Reading, mut findings: Vec<Finding>) -> Normalized {
    findings.extend(reading.findings);
    let documents = distinct(reading.documents, &mut findings);
    let changes = Changes { merges: Vec::new(), removals: reading.removals, documents };
    Normalized { outcome: Outcome::Changes(changes), findings }
}

/// Keys made distinct: what is said twice in one set is kept once, what only bears the same key gets `#2`.
fn distinct(documents: Vec<Document>, findings: &mut Vec<Finding>) -> Vec<Document> {
    let mut taken: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
    let mut kept = Vec::with_capacity(documents.len());
    for mut document in documents {
        let (count, contents) = taken.entry(document.source_key.clone()).or_default();
        if !contents.insert(document.content_hash().0) {
            findings.push(finding("said_twice", Severity::Warning, document.resource_type));
            continue;
        }
        *count += 1;
        if *count > 1 {
            document.source_key = format!("{}#{count}", document.source_key);
        }
        kept.push(document);
    }
    kept
}
