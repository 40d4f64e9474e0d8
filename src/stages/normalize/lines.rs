//! Builds a document's text line by line, and the facts that point at those lines.

use crate::domain::{Fact, FactKind, FactValue, Span, Timestamp};

use super::tidy;

/// What a line states, before it has a place in the text.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub kind: FactKind,
    pub system: Option<String>,
    pub code: Option<String>,
    pub display: String,
    pub value: Option<FactValue>,
    pub status: Option<String>,
    pub effective: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    facts: Vec<Fact>,
    pages: Vec<usize>,
    paged_blocks: usize,
}

impl Lines {
    /// Adds one line and says where it stands; a blank line is left out.
    pub fn push(&mut self, line: &str) -> Option<Span> {
        let line = tidy::line(line);
        if line.is_empty() {
            return None;
        }
        self.break_line();
        let start = self.text.len();
        self.text.push_str(&line);
        Some(Span::new(start, self.text.len()))
    }

    /// Adds `label: value`, if there is a value.
    pub fn labelled(&mut self, label: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value.as_ref().map(|value| value.as_ref().trim()).filter(|value| !value.is_empty()) {
            self.push(&format!("{label}: {value}"));
        }
    }

    /// Adds a line together with the fact it states.
    pub fn state(&mut self, line: &str, statement: Statement) {
        let Some(span) = self.push(line) else { return };
        let Statement { kind, system, code, display, value, status, effective } = statement;
        self.facts.push(Fact { kind, system, code, display, value, status, effective, span });
    }

    /// Adds a text of several lines, set apart by a blank line.
    pub fn block(&mut self, text: &str) {
        let text = tidy::text(text);
        if text.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(&text);
    }

    /// Adds a tidy text that has pages; a second one has no page numbers of its own, so then neither has any.
    pub fn paged_block(&mut self, text: &str, pages: &[usize]) {
        let before = if self.text.is_empty() { 0 } else { self.text.len() + 2 };
        self.block(text);
        self.paged_blocks += usize::from(!pages.is_empty());
        match self.paged_blocks {
            1 if !pages.is_empty() => self.pages = pages.iter().map(|page| before + page).collect(),
            0 | 1 => {}
            _ => self.pages.clear(),
        }
    }

    /// Where each page begins.
    pub fn pages(&self) -> &[usize] {
        &self.pages
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn into_parts(self) -> (String, Vec<Fact>) {
        (self.text, self.facts)
    }

    fn break_line(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_points_at_exactly_its_line() {
        let mut lines = Lines::default();
        lines.push("Überschrift");
        let statement = Statement {
            kind: FactKind::Observation,
            system: None,
            code: None,
            display: "Pulse".into(),
            value: None,
            status: None,
            effective: None,
        };
        lines.state("Pulse:\n 70", statement);
        lines.labelled("Note", Some("calm"));
        lines.labelled("Method", None::<&str>);
        let (text, facts) = lines.into_parts();
        assert_eq!(text, "Überschrift\nPulse: 70\nNote: calm");
        assert_eq!(facts[0].span.of(&text), Some("Pulse: 70"));
    }

    #[test]
    fn pages_are_counted_from_the_beginning_of_the_whole_text() {
        let mut lines = Lines::default();
        lines.push("Report: CT");
        lines.paged_block("One\n\nTwo", &[0, 5]);
        let begins: Vec<usize> = lines.pages().to_vec();
        let (text, _) = lines.into_parts();
        assert_eq!(begins.iter().map(|page| &text[*page..*page + 3]).collect::<Vec<_>>(), ["One", "Two"]);
    }

    #[test]
    fn page_numbers_of_two_files_would_be_confused() {
        let mut lines = Lines::default();
        (0..3).for_each(|_| lines.paged_block("One\n\nTwo", &[0, 5]));
        assert!(lines.pages().is_empty());
    }
}
