//! One document under way: its lines, facts and labels, with nothing secret in any of them.

use std::collections::BTreeSet;

use crate::domain::{Document, DocumentStatus, FactKind, Kind, Labels, PatientId, Times, Timestamp};
use crate::stages::normalize::fhir::labels;
use crate::stages::normalize::lines::{Lines, Statement};
use crate::stages::normalize::tidy;

use super::transaction::{Transaction, digits};

pub(super) const ICD_10: &str = "http://hl7.org/fhir/sid/icd-10-cm";
pub(super) const ICD_9: &str = "http://hl7.org/fhir/sid/icd-9-cm";
pub(super) const CPT: &str = "http://www.ama-assn.org/go/cpt";
pub(super) const HCPCS: &str = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets";

/// The longest line; free text within a claim is far shorter by the standard.
const MAX_LINE: usize = 1000;

#[derive(Debug)]
pub(super) struct Page<'t> {
    lines: Lines,
    subjects: BTreeSet<String>,
    secrets: &'t BTreeSet<String>,
}

/// What a document is beside its lines.
#[derive(Debug)]
pub(super) struct Cover {
    pub source_key: String,
    pub kind: Kind,
    pub resource_type: &'static str,
    pub patient: Option<PatientId>,
    pub title: String,
    pub author: Option<String>,
    pub effective: Option<Timestamp>,
}

pub(super) fn statement(kind: FactKind, display: impl Into<String>) -> Statement {
    Statement { kind, system: None, code: None, display: display.into(), value: None, status: None, effective: None }
}

impl<'t> Page<'t> {
    pub fn new(transaction: &'t Transaction<'_>) -> Self {
        Self { lines: Lines::default(), subjects: BTreeSet::new(), secrets: &transaction.secrets }
    }

    pub fn push(&mut self, line: &str) {
        let line = self.clean(line);
        self.lines.push(&line);
    }

    /// Adds `label: value`, if there is a value.
    pub fn labelled(&mut self, label: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value.as_ref().map(|value| value.as_ref().trim()).filter(|value| !value.is_empty()) {
            self.push(&format!("{label}: {value}"));
        }
    }

    /// Adds a line together with the fact it states.
    pub fn state(&mut self, line: &str, fact: Statement) {
        let line = self.clean(line);
        let display = self.clean(&fact.display);
        let code = fact.code.filter(|code| !code.is_empty());
        self.lines.state(&line, Statement { display, code, ..fact });
    }

    pub fn sensitive(&mut self, subject: Option<&'static str>) {
        self.subjects.extend(subject.map(str::to_owned));
    }

    /// Labels what a coded value or its name betrays.
    pub fn sensitive_code(&mut self, system: &str, code: &str, name: &str) {
        self.sensitive(labels::by_code(system, code));
        self.sensitive(labels::by_name(name));
    }

    pub fn finish(self, transaction: &Transaction<'_>, cover: Cover) -> Document {
        let title = tidy::bounded(&self.clean(&cover.title), 200);
        let author = cover.author.map(|author| self.clean(&author)).filter(|author| !author.is_empty());
        let (text, facts) = self.lines.into_parts();
        Document {
            source_key: cover.source_key,
            source_version: None,
            kind: cover.kind,
            resource_type: cover.resource_type.to_owned(),
            patient: cover.patient,
            encounter: None,
            text: if text.is_empty() { title.clone() } else { text },
            title,
            author,
            times: Times { effective: cover.effective, source: transaction.written() },
            labels: Labels { sensitivity: self.subjects.into_iter().collect(), ..Labels::default() },
            status: DocumentStatus::Current,
            sections: Vec::new(),
            pages: Vec::new(),
            facts,
        }
    }

    /// One bounded line, social security numbers blotted out.
    fn clean(&self, line: &str) -> String {
        without_secrets(&tidy::bounded(line, MAX_LINE), self.secrets)
    }
}

/// Blots out the numbers declared secret, and whatever has the shape `123-45-6789`.
fn without_secrets(line: &str, secrets: &BTreeSet<String>) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        clean.push_str(before);
        clean.push_str(if is_secret(run, secrets) { "[removed]" } else { run });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

fn is_secret(run: &str, secrets: &BTreeSet<String>) -> bool {
    let bare = run.trim_end_matches('-');
    let shaped = bare.len() == 11 && bare.split('-').map(str::len).eq([3, 2, 4]);
    shaped || secrets.contains(&digits(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn social_security_numbers_are_blotted_out() {
        let secrets = BTreeSet::from(["123456789".to_owned()]);
        for (line, clean) in [
            ("id 123456789.", "id [removed]."),
            ("SSN 987-65-4321, since 2026-10-03", "SSN [removed], since 2026-10-03"),
            ("123-45-6789", "[removed]"),
            ("claim 1234567890 of 2026-10-03 for $12.25", "claim 1234567890 of 2026-10-03 for $12.25"),
        ] {
            assert_eq!(without_secrets(line, &secrets), clean);
        }
    }
}
