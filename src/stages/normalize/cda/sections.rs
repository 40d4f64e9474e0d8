//! Sections of a structured body: the narrative as it was signed, the entries cited by it or listed below it.

use std::cell::Cell;

use crate::domain::Span;
use crate::stages::normalize::attachments;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::concept::{Concept, null_words};
use super::entries::{self, Entry, Scene};
use super::kinds;
use super::narrative::Narrative;
use super::page::Page;
use super::references::{References, is_large, plain};
use crate::domain::Timestamp;

/// Series and instance numbers of pictures: nothing to read.
const OBJECT_CATALOG: &str = "121181";

/// An id that stands for this many lines or more is no citation of one statement.
const MANY_LINES: usize = 4;

/// Lines that are longer aren't searched for what they call a thing.
const MAX_SEARCHED_BYTES: usize = 4000;

pub(super) struct Body<'p, 't> {
    pub page: &'p mut Page,
    pub references: &'p mut References<'t>,
    pub written: Option<Timestamp>,
    /// Bytes that tables may still repeat.
    pub repeats: Cell<usize>,
}

impl<'t> Body<'_, 't> {
    /// Every section below an element, nested ones below their parents, in order.
    pub fn sections(&mut self, parent: Element<'t>, level: usize, above: &str) {
        for element in parent.elements() {
            match element.name() {
                "section" => self.section(element, level, above),
                "component" | "structuredBody" => self.sections(element, level, above),
                _ => {}
            }
        }
    }

    fn section(&mut self, section: Element<'t>, level: usize, above: &str) {
        let code = Concept::at(section, "code", self.references);
        if code.has(&[OBJECT_CATALOG]) {
            return self.sections(section, level + 1, above);
        }
        let title = title(section, &code);
        let path = if above.is_empty() { title.clone() } else { tidy::bounded(&format!("{above} > {title}"), 200) };
        let narrative = section.child("text").map(|text| Narrative::read(text, &self.repeats)).unwrap_or_default();
        self.references.enter(section.child("text"));
        let found = self.entries(section, &code);
        let null = section.attribute("nullFlavor").filter(|_| narrative.is_empty() && found.is_empty());
        let about = subject(section);
        let nested = section.all("component").any(|component| component.child("section").is_some());
        if !narrative.is_empty() || !found.is_empty() || null.is_some() || nested {
            self.page.heading(level, &path);
        }
        if let Some(who) = &about {
            self.page.line(&format!("This section is about another person: {who}"));
        }
        if let Some(flavor) = null {
            self.page.line(&capitalized(null_words(flavor)));
        }
        let spans: Vec<Option<Span>> = narrative.lines.iter().map(|line| self.page.line(line)).collect();
        self.cite(&narrative, &spans, found, about.is_some());
        self.embedded(section, &narrative);
        self.sections(section, level + 1, &path);
    }

    fn entries(&self, section: Element<'t>, code: &Concept) -> Vec<Entry<'t>> {
        let own =
            code.codes.iter().find(|code| kinds::section_name(&code.code).is_some()).map(|code| code.code.as_str());
        let templated =
            || section.all("templateId").filter_map(|id| id.attribute("root")).find_map(kinds::section_code);
        let scene = Scene {
            references: self.references,
            section: own.or_else(templated),
            written: self.written,
            relative: None,
        };
        section.all("entry").flat_map(|entry| entries::read(entry, &scene)).collect()
    }

    /// Facts go to the narrative's line that they point at; the others get a line of their own below.
    fn cite(&mut self, narrative: &Narrative<'t>, spans: &[Option<Span>], found: Vec<Entry<'t>>, of_another: bool) {
        let mut below: Vec<Entry<'t>> = Vec::new();
        for mut entry in found {
            if of_another {
                entry.statement = None;
            }
            match self.cited(narrative, spans, &entry) {
                Some(span) => entry.statement.into_iter().for_each(|statement| self.page.state(span, statement)),
                None => below.push(entry),
            }
        }
        if below.is_empty() {
            return;
        }
        if !narrative.is_empty() {
            self.page.gap();
        }
        self.page.line(if narrative.is_empty() { "From coded data:" } else { "Structured entries:" });
        let mut listed = std::collections::HashMap::<String, Span>::new();
        for entry in below {
            let line = format!("- {}", tidy::line(&entry.line));
            let span = listed.get(&line).copied().or_else(|| self.page.line(&line));
            let Some(span) = span else { continue };
            listed.insert(line, span);
            entry.statement.into_iter().for_each(|statement| self.page.state(span, statement));
        }
    }

    /// The line of the narrative that an entry points at, if it points at one statement and not at many.
    fn cited(&self, narrative: &Narrative<'t>, spans: &[Option<Span>], entry: &Entry<'t>) -> Option<Span> {
        let display = entry.statement.as_ref().map(|statement| statement.display.to_lowercase()).unwrap_or_default();
        entry.anchors.iter().find_map(|id| {
            let (first, last) = *narrative.ids.get(id)?;
            let is_row = self.references.find(id).is_some_and(|target| target.name() == "tr");
            if !is_row && self.references.find(id).is_some_and(is_large) {
                return None;
            }
            let lines = spans.get(first..=last)?.iter().copied().flatten();
            let says = |span: &Span| {
                let line = self.page.at(*span);
                !display.is_empty() && line.len() <= MAX_SEARCHED_BYTES && line.to_lowercase().contains(&display)
            };
            lines.clone().take(MANY_LINES * 4).find(says).or_else(|| {
                let mut lines = lines;
                if last - first < MANY_LINES { lines.next() } else { None }
            })
        })
    }

    /// Notes that stand in entries as files and that the narrative doesn't show.
    fn embedded(&mut self, section: Element<'t>, narrative: &Narrative<'t>) {
        for entry in section.all("entry") {
            for text in entry.descendants().filter(|text| text.attribute("representation") == Some("B64")) {
                let target = text.child("reference").and_then(|reference| reference.attribute("value"));
                let shown = target.and_then(super::references::local).is_some_and(|id| narrative.ids.contains_key(id));
                if shown || text.name() != "text" {
                    continue;
                }
                if let Ok(readable) =
                    attachments::read_base64(text.attribute("mediaType").unwrap_or_default(), &text.text())
                {
                    self.page.gap();
                    for line in readable.text.lines() {
                        self.page.line(line);
                    }
                }
            }
        }
    }
}

/// The section's own title, else what its code or template calls it.
fn title(section: Element<'_>, code: &Concept) -> String {
    let own = section.child("title").map(plain).filter(|title| !title.is_empty());
    let known = || code.codes.iter().find_map(|code| kinds::section_name(&code.code)).map(str::to_owned);
    let templates = || section.all("templateId").filter_map(|id| id.attribute("root"));
    let templated = || templates().find_map(|root| kinds::section_name(kinds::section_code(root)?)).map(str::to_owned);
    let title = own.or_else(known).or_else(|| code.display.clone()).or_else(templated);
    tidy::bounded(&title.unwrap_or_else(|| "Section".to_owned()), 120)
}

/// Whom a section is about, when not about the patient: a newborn in the mother's document.
fn subject(section: Element<'_>) -> Option<String> {
    let related = section.at("subject/relatedSubject")?;
    let name = related.child("subject").and_then(super::people::person);
    let relation = related.child("code").and_then(|code| code.attribute("displayName")).map(tidy::line);
    Some(match (name, relation) {
        (Some(name), Some(relation)) => format!("{name} ({relation})"),
        (name, relation) => name.or(relation).unwrap_or_else(|| "not named".to_owned()),
    })
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
