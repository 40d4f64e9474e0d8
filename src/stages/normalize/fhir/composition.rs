//! Composition: a document in FHIR's own form, its narrative section by section.

use crate::domain::Kind;

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::{html, tidy};
use super::elements::{When, concept, when};
use super::{Page, Resource, status_words};

/// Sections within sections, as deep as any real document goes.
const MAX_DEPTH: usize = 8;

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let written = when(body, "date");
    let title = body.text("title").map(tidy::line).or_else(|| body.get("type").and_then(concept));
    let title = title.unwrap_or_else(|| "Composition".to_owned());
    let mut lines = Lines::default();
    for section in body.list("section") {
        add(section, 1, &mut lines);
    }
    if lines.is_empty() {
        let narrative = body.at("text.div").and_then(Json::as_text).map(html::to_text).unwrap_or_default();
        lines.block(&narrative);
    }
    if lines.is_empty() {
        contents(resource, &title, &written, &mut lines);
    }
    let author = resource.all_called(body.list("author"));
    Page { kind: Kind::Note, title, lines, effective: written.instant, author }
}

/// Without any narrative, what it is and which entries its sections name.
fn contents(resource: &Resource<'_>, title: &str, written: &When, lines: &mut Lines) {
    let day = written.words.as_ref().map(|day| format!(", {day}")).unwrap_or_default();
    lines.push(&format!("Document{}: {title}{day}", status_words(resource.body.text("status"))));
    for section in resource.body.list("section") {
        let name = section.text("title").map(tidy::line).or_else(|| section.get("code").and_then(concept));
        let entries = resource.all_called(section.list("entry"));
        lines.labelled(name.as_deref().unwrap_or("Section"), entries);
    }
}

fn add(section: &Json, depth: usize, lines: &mut Lines) {
    if depth > MAX_DEPTH {
        return;
    }
    let title = section.text("title").map(tidy::line).or_else(|| section.get("code").and_then(concept));
    let narrative = section.at("text.div").and_then(Json::as_text).map(html::to_text).unwrap_or_default();
    let empty = section.get("emptyReason").and_then(concept).map(|reason| format!("Empty: {reason}"));
    let narrative = if narrative.is_empty() { empty.unwrap_or_default() } else { narrative };
    match title {
        Some(title) if !narrative.is_empty() || section.get("section").is_some() => {
            lines.block(&format!("{} {title}\n{narrative}", "#".repeat(depth)));
        }
        _ => lines.block(&narrative),
    }
    for inner in section.list("section") {
        add(inner, depth + 1, lines);
    }
}
