//! Results, vital signs, social history, assessments: what was found, with all it takes to judge it.

use crate::domain::{FactKind, FactValue};
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::super::concept::Concept;
use super::super::references::plain;
use super::super::time::Period;
use super::super::value::{self, Value};
use super::{Entry, Scene, anchors, has_template, is_negated, is_planned, related, stated, status};

pub(super) fn read<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    // Pictures and their frames have no words.
    if matches!(element.attribute("classCode"), Some("DGIMG" | "ROIBND" | "ROIOVL")) {
        return;
    }
    let own = Period::of(element, "effectiveTime");
    let period = if own.is_empty() { outer.clone() } else { own };
    found.extend(entry(element, scene, &period));
    related(element, scene, &period, found);
}

fn entry<'t>(element: Element<'t>, scene: &Scene<'_, 't>, period: &Period) -> Option<Entry<'t>> {
    let concept = Concept::at(element, "code", scene.references);
    let mut values: Vec<Value> =
        element.all("value").filter_map(|value| value::read(value, scene.references)).collect();
    let value = Concept::at(element, "value", scene.references);
    let unnamed = concept.has(&["ASSERTION"]) || concept.display.is_none();
    let said = || element.child("text").and_then(|text| scene.references.text_of(text));
    // Without a name of its own, an observation is called by what it found.
    let (display, concept) = match (unnamed, value.display.clone()) {
        (true, Some(found)) => {
            values.clear();
            (found, value)
        }
        (false, Some(found)) if concept.is_bare() && !value.codes.is_empty() => {
            values.clear();
            (found, concept)
        }
        (true, None) if values.is_empty() => (said()?, value),
        (true, None) => (said().unwrap_or_else(|| "Observation".to_owned()), value),
        (false, _) => (concept.display.clone()?, concept),
    };
    let planned = is_planned(element);
    let negated = is_negated(element);
    let standing = if negated { Some("refuted") } else { standing(element, planned) };
    let words: Vec<&str> = values.iter().map(|value| value.words.as_str()).collect();
    let words = if words.is_empty() { String::new() } else { format!(": {}", words.join("; ")) };
    let day = [period.words(), standing.filter(|_| !negated).map(|word| word.replace('-', " "))];
    let day = day.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let judged = [Some(day).filter(|day| !day.is_empty()), interpretation(element, scene), reference(element, scene)];
    let judged = judged.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let judged = if judged.is_empty() { String::new() } else { format!(" ({judged})") };
    let (before, kind) = match (negated, planned) {
        (true, _) => ("Absent: ", FactKind::Observation),
        (_, true) if has_template(element, &["121"]) => ("Goal: ", FactKind::CarePlan),
        (_, true) => ("Planned: ", FactKind::CarePlan),
        _ => ("", FactKind::Observation),
    };
    let mut statement = stated(kind, &display, &concept, standing, period.start());
    statement.value = match values.len() {
        0 => None,
        1 => values.pop().map(|value| value.fact),
        _ => Some(FactValue::Text(words.trim_start_matches(": ").to_owned())),
    };
    let line = tidy::bounded(&format!("{before}{display}{words}{judged}"), 2000);
    Some(Entry { line: format!("{line}{}", concept.suffix()), statement: Some(statement), anchors: anchors(element) })
}

fn standing(element: Element<'_>, planned: bool) -> Option<&str> {
    match status(element) {
        _ if planned => Some("planned"),
        Some("completed") => Some("final"),
        Some("active") => Some("preliminary"),
        Some("aborted" | "cancelled") => Some("cancelled"),
        _ => None,
    }
}

fn interpretation(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    let words = element.all("interpretationCode").filter_map(|given| {
        let known = match given.attribute("code") {
            Some("H" | "HU" | ">") => "high",
            Some("HH") => "critically high",
            Some("L" | "LU" | "<") => "low",
            Some("LL") => "critically low",
            Some("N") => "normal",
            Some("A") => "abnormal",
            Some("AA") => "critically abnormal",
            Some("POS") => "positive",
            Some("NEG") => "negative",
            Some("R") => "resistant",
            Some("S") => "susceptible",
            Some("I") => "intermediate",
            _ => return Concept::read(given, scene.references).display.map(|words| words.to_lowercase()),
        };
        Some(known.to_owned())
    });
    let words = words.collect::<Vec<_>>().join(", ");
    (!words.is_empty()).then_some(words)
}

/// `reference 4.0-5.6 %`
fn reference(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    let ranges = element.all("referenceRange").take(4).filter_map(|given| {
        let range = given.child("observationRange")?;
        let limits = range.child("value").and_then(value::interval);
        limits
            .or_else(|| range.child("text").and_then(|text| scene.references.text_of(text)))
            .or_else(|| range.child("value").map(plain).filter(|words| !words.is_empty()))
    });
    let words = ranges.collect::<Vec<_>>().join("; ");
    (!words.is_empty()).then(|| format!("reference {}", tidy::bounded(&words, 200)))
}
