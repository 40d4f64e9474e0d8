//! A document in the making: its lines and facts, and the labels that its content calls for.

use crate::domain::{Confidentiality, Document, DocumentStatus, FactKind, FactValue, Kind, Labels, Times, Timestamp};
use crate::stages::normalize::lines::{Lines, Statement};
use crate::stages::normalize::tidy;
use crate::stages::sections;

use super::subject::Subject;
use super::types::Concept;

pub(super) struct Draft {
    key: String,
    kind: Kind,
    resource_type: &'static str,
    pub title: String,
    pub lines: Lines,
    pub author: Option<String>,
    pub effective: Option<Timestamp>,
    /// When the source wrote it; the message's own time where it is left out.
    pub written: Option<Timestamp>,
    pub status: DocumentStatus,
    labels: Labels,
}

/// What a line states, for [`Draft::state`].
#[derive(Default)]
pub(super) struct Claim {
    pub value: Option<FactValue>,
    pub status: Option<String>,
    pub effective: Option<Timestamp>,
}

impl Draft {
    /// `key` is the source's own, `resource_type` the FHIR type that scopes are checked against.
    pub fn new(key: String, kind: Kind, resource_type: &'static str, title: &str) -> Self {
        Self {
            key,
            kind,
            resource_type,
            title: title.to_owned(),
            lines: Lines::default(),
            author: None,
            effective: None,
            written: None,
            status: DocumentStatus::Current,
            labels: Labels::default(),
        }
    }

    pub fn with_kind(self, kind: Kind, resource_type: &'static str) -> Self {
        Self { kind, resource_type, ..self }
    }

    pub fn keyed(self, key: String) -> Self {
        Self { key, ..self }
    }

    /// Adds a line that states something coded.
    pub fn state(&mut self, line: &str, kind: FactKind, concept: &Concept, claim: Claim) {
        let (system, code) = concept.coded();
        self.mark(concept);
        let Claim { value, status, effective } = claim;
        let display = concept.words.clone();
        self.lines.state(line, Statement { kind, system, code, display, value, status, effective });
    }

    /// Adds `label: value` as a fact of that name.
    pub fn detail(&mut self, kind: FactKind, code: Option<&str>, label: &str, value: Option<String>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        let statement = Statement {
            kind,
            system: None,
            code: code.map(str::to_owned),
            display: label.to_owned(),
            value: Some(FactValue::Text(value.clone())),
            status: None,
            effective: None,
        };
        self.lines.state(&format!("{label}: {value}"), statement);
    }

    /// Adds `label: names`, and counts their codes towards the labels.
    pub fn concepts(&mut self, label: &str, concepts: &[Concept]) {
        concepts.iter().for_each(|concept| self.mark(concept));
        let named = concepts.iter().map(|concept| format!("{}{}", concept.words, concept.aside()));
        self.lines.labelled(label, super::types::joined(named));
    }

    /// Counts a code towards the labels.
    pub fn mark(&mut self, concept: &Concept) {
        self.labels.sensitivity.extend(concept.sensitivity());
    }

    pub fn sensitive(&mut self, subject: &str) {
        self.labels.sensitivity.push(subject.to_owned());
    }

    /// Raises the confidentiality; it is never lowered.
    pub fn confidential(&mut self, level: Option<Confidentiality>) {
        self.labels.confidentiality = self.labels.confidentiality.max(level.unwrap_or_default());
    }

    /// Takes over what a part says of itself.
    pub fn label(&mut self, labels: &Labels) {
        self.labels.add(labels);
    }

    pub fn finish(self, subject: &Subject<'_>) -> Document {
        let (text, facts) = self.lines.into_parts();
        let mut labels = Labels { confidentiality: subject.confidentiality, ..Labels::default() };
        labels.add(&self.labels);
        let titled = matches!(self.kind, Kind::Note | Kind::Report);
        Document {
            source_key: self.key,
            source_version: None,
            kind: self.kind,
            resource_type: self.resource_type.to_owned(),
            patient: Some(subject.patient.clone()),
            encounter: subject.encounter.clone().filter(|_| self.kind != Kind::Patient),
            title: tidy::bounded(&self.title, 200),
            author: self.author.map(|author| tidy::bounded(&author, 200)),
            times: Times { effective: self.effective, source: subject.header.version(self.written) },
            labels,
            status: self.status,
            sections: if titled { sections::detect(&text) } else { Vec::new() },
            pages: Vec::new(),
            text,
            facts,
        }
    }
}
