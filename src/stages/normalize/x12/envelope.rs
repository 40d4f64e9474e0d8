//! The envelope around transactions: `ISA` to `IEA`, `GS` to `GE`, `ST` to `SE`, its times and its sums.

use crate::domain::{Finding, Severity, Timestamp};

use super::dates;
use super::segments::{Segment, Separators};

/// Segments that belong to the envelope, whatever stands around them.
pub(in crate::stages) const NAMES: [&[u8]; 7] = [b"ISA", b"TA1", b"GS", b"ST", b"SE", b"GE", b"IEA"];

/// What of its envelope a transaction set has with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub isa: Segment<'a>,
    pub gs: Option<Segment<'a>>,
    pub st: Segment<'a>,
}

impl Envelope<'_> {
    /// The implementation: `005010X222A1`.
    pub fn implementation(&self) -> &str {
        self.st.given(3).or_else(|| self.gs.as_ref().and_then(|gs| gs.given(8))).unwrap_or_default()
    }

    /// When the group was made, else the interchange.
    pub fn made_at(&self) -> Option<Timestamp> {
        let group = self.gs.as_ref().and_then(|gs| dates::moment(gs.get(4), gs.get(5)));
        group.or_else(|| dates::moment(self.isa.get(9), self.isa.get(10)))
    }
}

pub(super) fn finding(rule: &str, severity: Severity, path: impl Into<String>) -> Finding {
    Finding { rule: rule.to_owned(), severity, path: path.into() }
}

fn mismatch(path: &str) -> Finding {
    finding("envelope_mismatch", Severity::Warning, path)
}

/// What is wrong with one set's own envelope; its segments run from `ST` to `SE`, both included.
pub(super) fn check_set(envelope: &Envelope<'_>, separators: Separators, segments: &[Segment<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !separators.fixed_width {
        findings.push(finding("envelope_width", Severity::Warning, "ISA"));
    }
    if envelope.gs.is_none() {
        findings.push(finding("envelope_missing", Severity::Warning, "GS"));
    }
    if envelope.isa.get(15) == "T" {
        findings.push(finding("test_interchange", Severity::Warning, "ISA15"));
    }
    match segments.last().filter(|last| last.is("SE")) {
        None => findings.push(finding("envelope_missing", Severity::Warning, "SE")),
        Some(trailer) => {
            if trailer.get(1).parse::<usize>().ok() != Some(segments.len()) {
                findings.push(mismatch("SE01"));
            }
            if trailer.get(2) != envelope.st.get(2) {
                findings.push(mismatch("SE02"));
            }
        }
    }
    for segment in segments.iter().filter(|segment| !segment.is_well_named()) {
        let path = format!("segment {}", segment.position);
        findings.push(finding("segment_name", Severity::Error, path));
    }
    findings
}

/// What is wrong with an interchange by its envelope segments alone.
pub(in crate::stages) fn check_interchange(segments: &[(&[u8], &str)], element: u8) -> Vec<Finding> {
    let mut check = InterchangeCheck { element: char::from(element), ..InterchangeCheck::default() };
    segments.iter().for_each(|(id, text)| check.take(id, text));
    check.end()
}

#[derive(Default)]
struct InterchangeCheck<'a> {
    element: char,
    header: Option<&'a str>,
    group: Option<&'a str>,
    groups: usize,
    sets: usize,
    closed: bool,
    findings: Vec<Finding>,
}

impl<'a> InterchangeCheck<'a> {
    fn get(&self, text: &'a str, element: usize) -> &'a str {
        text.split(self.element).nth(element).unwrap_or_default().trim()
    }

    fn count(&self, text: &'a str) -> Option<usize> {
        self.get(text, 1).parse().ok()
    }

    fn take(&mut self, id: &[u8], text: &'a str) {
        match id {
            b"ISA" => self.header = Some(text),
            b"GS" => {
                self.end_group();
                self.group = Some(text);
                self.groups += 1;
                self.sets = 0;
            }
            b"ST" => self.sets += 1,
            b"GE" => self.group_trailer(text),
            b"IEA" => self.trailer(text),
            _ => {}
        }
    }

    fn group_trailer(&mut self, text: &'a str) {
        if self.count(text) != Some(self.sets) {
            self.findings.push(mismatch("GE01"));
        }
        match self.group.take() {
            Some(group) if self.get(group, 6) != self.get(text, 2) => self.findings.push(mismatch("GE02")),
            Some(_) => {}
            None => self.findings.push(finding("envelope_missing", Severity::Warning, "GS")),
        }
    }

    fn trailer(&mut self, text: &'a str) {
        self.end_group();
        self.closed = true;
        if self.count(text) != Some(self.groups) {
            self.findings.push(mismatch("IEA01"));
        }
        if self.header.is_some_and(|header| self.get(header, 13) != self.get(text, 2)) {
            self.findings.push(mismatch("IEA02"));
        }
    }

    fn end_group(&mut self) {
        if self.group.take().is_some() {
            self.findings.push(finding("envelope_missing", Severity::Warning, "GE"));
        }
    }

    fn end(mut self) -> Vec<Finding> {
        if !self.closed {
            self.end_group();
            self.findings.push(finding("envelope_missing", Severity::Error, "IEA"));
        }
        self.findings
    }
}
