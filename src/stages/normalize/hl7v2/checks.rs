//! What is wrong with a message that is read all the same: missing fields, times that are none, malformed codes.

use crate::domain::{Finding, Severity};

use super::header::Header;
use super::message::{Message, Segment};
use super::types::Concept;

/// Fields that hold a time.
const TIMES: [(&str, usize); 18] = [
    ("MSH", 7),
    ("EVN", 2),
    ("PID", 7),
    ("PID", 29),
    ("PV1", 44),
    ("PV1", 45),
    ("OBR", 7),
    ("OBR", 22),
    ("OBX", 14),
    ("ORC", 9),
    ("TXA", 4),
    ("TXA", 8),
    ("RXA", 3),
    ("DG1", 5),
    ("PR1", 5),
    ("FT1", 4),
    ("AIS", 4),
    ("PRB", 7),
];

/// Fields that hold a code whose system may give it a shape.
const CODES: [(&str, usize); 8] =
    [("OBX", 3), ("OBR", 4), ("DG1", 3), ("PR1", 3), ("AL1", 3), ("RXA", 5), ("PRB", 3), ("FT1", 7)];

/// Findings of one message, as many as are told.
const MAX_FINDINGS: usize = 100;

pub(super) fn check(message: &Message<'_>, header: &Header) -> Vec<Finding> {
    let mut findings = Vec::new();
    if header.control_id.is_none() {
        findings.push(finding("required_field", "MSH-10".to_owned()));
    }
    if header.sent.is_none() {
        findings.push(finding("required_field", "MSH-7".to_owned()));
    }
    let processing = message.header().and_then(|header| header.text(11));
    if matches!(processing.as_deref(), Some("T" | "D")) {
        findings.push(finding("test_message", "MSH-11".to_owned()));
    }
    for segment in &message.segments {
        if findings.len() >= MAX_FINDINGS {
            break;
        }
        if segment.is("PID") && segment.field(5).is_empty() {
            findings.push(finding("required_field", at(segment, 5)));
        }
        findings.extend(
            fields(segment, &TIMES)
                .filter(|(_, field)| is_no_time(segment, *field, header))
                .map(|(_, field)| finding("invalid_date", at(segment, field))),
        );
        findings.extend(
            fields(segment, &CODES)
                .filter(|(_, field)| Concept::read(segment.field(*field)).is_some_and(|concept| concept.is_malformed()))
                .map(|(_, field)| finding("code_format", at(segment, field))),
        );
    }
    findings
}

fn fields<'t>(
    segment: &Segment<'_>,
    table: &'t [(&'static str, usize)],
) -> impl Iterator<Item = (&'static str, usize)> + use<'t> {
    let name = segment.name.clone();
    table.iter().copied().filter(move |(of, _)| *of == name)
}

fn is_no_time(segment: &Segment<'_>, field: usize, header: &Header) -> bool {
    let part = segment.field(field);
    let is_placeholder = part.text().is_none_or(|text| text.starts_with("0000") || text.starts_with("9999"));
    !part.is_empty() && !is_placeholder && header.moment(part).is_none() && part.text().as_deref() != Some("19000101")
}

fn at(segment: &Segment<'_>, field: usize) -> String {
    format!("{}-{field} (segment {})", segment.name, segment.position)
}

fn finding(rule: &str, path: String) -> Finding {
    Finding { rule: rule.to_owned(), severity: Severity::Warning, path }
}
