//! One transaction set with its envelope, and what every reader needs of it.

use std::collections::BTreeSet;

use crate::domain::{Finding, PatientId, QuarantineReason, Severity, Timestamp, Unreadable};

use super::dates;
use super::envelope::{Envelope, finding};
use super::segments::Segment;

#[derive(Debug)]
pub(super) struct Transaction<'a> {
    pub envelope: Envelope<'a>,
    /// Between `ST` and `SE`.
    pub body: Vec<Segment<'a>>,
    pub namespace: &'a str,
    /// Digits of every social security number that the set declares as one; none may show anywhere.
    pub secrets: BTreeSet<String>,
    /// Its beginning: `BHT`, or `BGN` of an enrolment.
    beginning: Option<Segment<'a>>,
}

impl<'a> Transaction<'a> {
    pub fn new(envelope: Envelope<'a>, body: Vec<Segment<'a>>, namespace: &'a str) -> Self {
        let secrets = body.iter().filter_map(secret).filter(|digits| digits.len() == 9).collect();
        let beginning = body.iter().find(|segment| matches!(segment.id(), "BHT" | "BGN")).copied();
        Self { envelope, body, namespace, secrets, beginning }
    }

    /// The set: `837`.
    pub fn set(&self) -> &'a str {
        self.envelope.st.get(1)
    }

    pub fn first(&self, id: &str) -> Option<&Segment<'a>> {
        self.body.iter().find(|segment| segment.is(id))
    }

    /// When the sender made it: the set's own time, else the group's, else the interchange's.
    pub fn written(&self) -> Option<Timestamp> {
        let beginning = self.beginning.and_then(|segment| match segment.id() {
            "BHT" => dates::moment(segment.get(4), segment.get(5)),
            _ => dates::moment(segment.get(3), segment.get(4)),
        });
        beginning.or_else(|| self.envelope.made_at())
    }

    /// `BHT06`: `RP` reports what was done and asks for no payment.
    pub fn reports_only(&self) -> bool {
        self.beginning.is_some_and(|segment| segment.is("BHT") && segment.get(6) == "RP")
    }

    /// `BHT02`, what the set is for; and `BHT03`, its number.
    pub fn purpose(&self) -> (&'a str, &'a str) {
        let beginning = self.beginning.filter(|segment| segment.is("BHT"));
        beginning.map(|segment| (segment.get(2), segment.get(3))).unwrap_or_default()
    }

    /// A value fit for a key or an id: without blanks and separators of ours, and never a secret.
    pub fn key_part(&self, value: &str) -> String {
        if self.secrets.contains(&digits(value)) {
            return "-".to_owned();
        }
        let part: String =
            value.chars().filter(|c| !c.is_whitespace() && !c.is_control() && *c != '/').take(80).collect();
        if part.is_empty() { "-".to_owned() } else { part }
    }

    /// Parts joined to a source key; an empty part is `-`.
    pub fn key(&self, parts: &[&str]) -> String {
        let mut whole = self.set().to_owned();
        for part in parts {
            whole.push('/');
            whole.push_str(&self.key_part(part));
        }
        whole
    }

    pub fn patient(&self, local: &str) -> PatientId {
        PatientId::in_namespace(self.namespace, local)
    }

    pub fn path(&self, segment: &Segment<'_>, element: usize) -> String {
        format!("{} segment {} {}{element:02}", self.set(), segment.position, plain_id(segment))
    }

    pub fn warning(&self, rule: &str, segment: &Segment<'_>, element: usize) -> Finding {
        finding(rule, Severity::Warning, self.path(segment, element))
    }

    pub fn error(&self, rule: &str, segment: &Segment<'_>, element: usize) -> Finding {
        finding(rule, Severity::Error, self.path(segment, element))
    }

    /// The whole set says nothing that can be read.
    pub fn unreadable(&self, missing: &str) -> Unreadable {
        Unreadable::new(QuarantineReason::MalformedX12, format!("{} without {missing}", self.set()))
    }
}

/// A segment's name, if it is one: a damaged one could hold anything.
fn plain_id<'a>(segment: &Segment<'a>) -> &'a str {
    if segment.is_well_named() { segment.id() } else { "?" }
}

pub(super) fn digits(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).collect()
}

/// A value that is declared to be a social security number.
fn secret(segment: &Segment<'_>) -> Option<String> {
    match segment.id() {
        "REF" if segment.get(1) == "SY" => Some(digits(segment.get(2))),
        "NM1" if segment.get(8) == "34" => Some(digits(segment.get(9))),
        "N1" if segment.get(3) == "34" => Some(digits(segment.get(4))),
        _ => None,
    }
}
