//! What is true of somebody else: relatives, a newborn in the mother's document. Never a fact about the patient.

use crate::stages::normalize::xml::Element;

use super::super::concept::Concept;
use super::super::time::Period;
use super::super::value;
use super::{Entry, Scene, anchors, any, has_template};

/// Everything below an element with a `subject` of its own, as lines that name the subject and state no fact.
pub(super) fn read<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    let related = element.at("subject/relatedSubject");
    let relation = related.map(|related| Concept::at(related, "code", scene.references)).and_then(|code| code.display);
    let who = relation.unwrap_or_else(|| "Another person".to_owned());
    let inner = Scene { relative: Some(&who), ..*scene };
    let mut theirs = Vec::new();
    if element.name() == "organizer" {
        for part in element.all("component").flat_map(|component| component.elements()) {
            if part.name() == "observation" {
                theirs.extend(observation(part, &inner));
            } else {
                any(part, &inner, outer, &mut theirs);
            }
        }
    } else if element.name() == "observation" {
        theirs.extend(observation(element, &inner));
    } else {
        any(element, &inner, outer, &mut theirs);
    }
    for mut entry in theirs {
        entry.line = format!("{who}: {}", entry.line);
        entry.statement = None;
        found.push(entry);
    }
}

/// `Diabetes mellitus, at age 57, cause of death`
fn observation<'t>(element: Element<'t>, scene: &Scene<'_, 't>) -> Option<Entry<'t>> {
    let value = element.child("value").and_then(|value| value::read(value, scene.references))?;
    let inner = || element.all("entryRelationship").flat_map(|relation| relation.elements());
    let age = inner().filter(|part| has_template(*part, &["31"])).find_map(|part| {
        let years = part.child("value").and_then(|value| value::read(value, scene.references))?;
        Some(format!(", at age {}", years.words.trim_end_matches(" a")))
    });
    let death = if inner().any(|part| has_template(part, &["47"])) { ", cause of death" } else { "" };
    let denied = if super::is_negated(element) { "does not have " } else { "" };
    let line = format!("{denied}{}{}{death}", value.words, age.unwrap_or_default());
    Some(Entry { line, statement: None, anchors: anchors(element) })
}
