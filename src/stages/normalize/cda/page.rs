//! Builds a document's text in sections, and the facts that point at its lines.

use crate::domain::{Fact, Section, Span};
use crate::stages::normalize::lines::Statement;
use crate::stages::normalize::tidy;

#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    facts: Vec<Fact>,
    sections: Vec<Section>,
    gap: bool,
}

impl Page {
    /// Adds a line, its indentation kept, and says where it stands; a blank one sets what follows apart.
    pub fn line(&mut self, line: &str) -> Option<Span> {
        let tidied = tidy::text(line);
        let mut parts = tidied.split('\n').filter(|part| !part.is_empty());
        let Some(first) = parts.next() else {
            self.gap = true;
            return None;
        };
        let span = self.add(first);
        parts.for_each(|part| {
            self.add(part);
        });
        Some(span)
    }

    fn add(&mut self, line: &str) -> Span {
        if !self.text.is_empty() {
            self.text.push_str(if self.gap { "\n\n" } else { "\n" });
        }
        self.gap = false;
        let start = self.text.len();
        self.text.push_str(line);
        Span::new(start, self.text.len())
    }

    pub fn gap(&mut self) {
        self.gap = true;
    }

    /// Adds `label: value`, if there is a value.
    pub fn labelled(&mut self, label: &str, value: Option<impl AsRef<str>>) -> Option<Span> {
        let value = tidy::line(value.as_ref()?.as_ref());
        if value.is_empty() { None } else { self.line(&format!("{label}: {value}")) }
    }

    /// Begins a section; the one before ends here.
    pub fn heading(&mut self, level: usize, title: &str) {
        self.end_section();
        self.gap();
        let title = tidy::bounded(title, 200);
        if let Some(span) = self.line(&format!("{} {title}", "#".repeat(level.clamp(1, 6)))) {
            self.sections.push(Section { title, span: Span::new(span.start, span.start) });
        }
        self.gap = false;
    }

    pub fn end_section(&mut self) {
        let end = self.text.len();
        if let Some(open) = self.sections.last_mut().filter(|section| section.span.is_empty()) {
            open.span.end = end;
        }
    }

    /// The line at `span` states this.
    pub fn state(&mut self, span: Span, statement: Statement) {
        let Statement { kind, system, code, display, value, status, effective } = statement;
        self.facts.push(Fact { kind, system, code, display, value, status, effective, span });
    }

    pub fn at(&self, span: Span) -> &str {
        span.of(&self.text).unwrap_or_default()
    }

    pub fn into_parts(mut self) -> (String, Vec<Section>, Vec<Fact>) {
        self.end_section();
        (self.text, self.sections, self.facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_their_heading_and_end_before_the_next() {
        let mut page = Page::default();
        page.line("First");
        page.heading(2, "Problems");
        page.line("- Asthma");
        page.line("");
        page.line("  - mild\u{7}");
        page.heading(2, "Plan");
        let (text, sections, _) = page.into_parts();
        assert_eq!(text, "First\n\n## Problems\n- Asthma\n\n  - mild\n\n## Plan");
        assert_eq!(sections[0].span.of(&text), Some("## Problems\n- Asthma\n\n  - mild"));
        assert_eq!(sections[1].span.of(&text), Some("## Plan"));
    }
}
