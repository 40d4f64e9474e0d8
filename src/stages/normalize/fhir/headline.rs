//! A record's first line, and every other line that states a fact, in one form.

use crate::domain::{FactKind, FactValue, Timestamp};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{Coded, coded, codes};

/// `Label (status): display, detail, detail [CODE 1]`, with the fact it states.
pub(super) struct Headline<'a> {
    pub kind: FactKind,
    pub label: &'a str,
    pub display: &'a str,
    pub status: Option<&'a str>,
    pub details: Vec<Option<String>>,
    /// The concept that codes it.
    pub concept: Option<&'a Json>,
    pub value: Option<FactValue>,
    pub effective: Option<Timestamp>,
}

impl<'a> Headline<'a> {
    pub fn new(kind: FactKind, label: &'a str, display: &'a str) -> Self {
        Self { kind, label, display, status: None, details: Vec::new(), concept: None, value: None, effective: None }
    }

    pub fn state(self, lines: &mut Lines) {
        let subject = if self.display == self.label { String::new() } else { format!(": {}", self.display) };
        let details = self.details.into_iter().flatten().map(|detail| format!(", {detail}")).collect::<String>();
        let codes = self.concept.map(codes).unwrap_or_default();
        let Coded { system, code } = self.concept.map(coded).unwrap_or_default();
        lines.state(
            &format!("{}{}{subject}{details}{codes}", self.label, super::status_words(self.status)),
            Statement {
                kind: self.kind,
                system,
                code,
                display: tidy::bounded(self.display, 300),
                value: self.value,
                status: self.status.map(tidy::line),
                effective: self.effective,
            },
        );
    }
}

/// An amount of money as a value to compute with.
pub(super) fn money_value(money: &Json) -> Option<FactValue> {
    let value = money.scalar("value")?.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(FactValue::Quantity { value, unit: money.text("currency").map(tidy::line) })
}
