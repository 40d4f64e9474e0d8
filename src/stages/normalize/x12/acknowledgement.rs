//! `TA1`, `997` and `999`: whether what was sent arrived. Health of a feed, never a chart's text.

use crate::domain::{Finding, Normalized, Outcome, Severity};

use super::codes;
use super::envelope::finding;
use super::segments::{Segment, Separators};
use super::transaction::Transaction;

fn nothing(name: String, findings: Vec<Finding>) -> Normalized {
    Normalized { outcome: Outcome::CarriesNothing { name }, findings }
}

/// The envelope of an interchange without its sets.
pub(super) fn interchange(all: &[(&[u8], &str)], separators: Separators, mut findings: Vec<Finding>) -> Normalized {
    let acknowledgement = all.iter().find(|(id, _)| *id == b"TA1");
    let Some((_, text)) = acknowledgement else { return nothing("X12 envelope".to_owned(), findings) };
    let ta1 = Segment::new(text, separators, 0);
    if ta1.get(4) != "A" {
        findings.push(finding("rejected_by_receiver", Severity::Error, "TA1"));
    }
    let answer = codes::ACKNOWLEDGED.meaning(ta1.get(4)).unwrap_or("answer unknown");
    nothing(format!("TA1: interchange {answer}"), findings)
}

/// A `997` or `999`: the group's answer names it, every set or segment complained of is a finding.
pub(super) fn set(transaction: &Transaction<'_>, mut findings: Vec<Finding>) -> Normalized {
    let group = transaction.first("AK9").or_else(|| transaction.first("IK5")).or_else(|| transaction.first("AK5"));
    let answer = group.and_then(|segment| codes::ACKNOWLEDGED.meaning(segment.get(1))).unwrap_or("answer unknown");
    for segment in &transaction.body {
        match segment.id() {
            "IK5" | "AK5" if segment.get(1) != "A" => {
                findings.push(transaction.error("rejected_by_receiver", segment, 1));
            }
            "IK3" | "AK3" | "IK4" | "AK4" => findings.push(transaction.warning("complaint_of_receiver", segment, 1)),
            _ => {}
        }
    }
    nothing(format!("{}: group {answer}", transaction.set()), findings)
}
