//! Problems and diagnoses, in their standing.

use crate::domain::FactKind;
use crate::stages::normalize::xml::Element;

use super::super::concept::Concept;
use super::super::time::Period;
use super::{Entry, Scene, anchors, aside, details, has_template, is_negated, stated, status, with_template};

/// What an observation of a problem calls itself: problem, diagnosis, finding, symptom, complaint, condition.
const PROBLEM_CODES: [&str; 10] = [
    "55607006",
    "282291009",
    "404684003",
    "418799008",
    "409586006",
    "64572001",
    "75326-9",
    "29308-4",
    "75325-1",
    "75323-6",
];

/// Sections whose observations are problems unless they say otherwise.
const PROBLEM_SECTIONS: [&str; 7] = ["11450-4", "46241-6", "42347-5", "11535-2", "78375-3", "11348-0", "10219-4"];

/// SNOMED for a problem as such, which negated means that there is none.
const ANY_PROBLEM: [&str; 2] = ["55607006", "64572001"];
const NO_PROBLEM: [&str; 1] = ["160245001"];

pub(super) fn is_one(element: Element<'_>, scene: &Scene<'_, '_>) -> bool {
    if has_template(element, &["4"]) {
        return true;
    }
    let code = element.child("code").and_then(|code| code.attribute("code")).unwrap_or_default();
    let coded = element
        .child("value")
        .is_some_and(|value| value.attribute("code").is_some() || value.child("translation").is_some());
    let templated = element.child("templateId").is_some();
    coded
        && (PROBLEM_CODES.contains(&code) || (!templated && code == "ASSERTION" && scene.is_section(&PROBLEM_SECTIONS)))
}

/// `concern` is the act that tracks the problem; `noun` what to call it: `problem`, `diagnosis`.
pub(super) fn read<'t>(
    element: Element<'t>,
    concern: Option<Element<'t>>,
    noun: &str,
    scene: &Scene<'_, 't>,
) -> Option<Entry<'t>> {
    let value = Concept::at(element, "value", scene.references);
    let said = || element.child("text").and_then(|text| scene.references.text_of(text));
    let display = value.display.clone().or_else(said)?;
    let negated = is_negated(element);
    let period = Period::of(element, "effectiveTime");
    let none_at_all = value.has(&NO_PROBLEM) || (negated && value.has(&ANY_PROBLEM));
    let display = if none_at_all { "No known problems".to_owned() } else { display };
    let coded = if none_at_all { &Concept::snomed(NO_PROBLEM[0]) } else { &value };
    let standing = if none_at_all {
        None
    } else if negated {
        Some("refuted")
    } else {
        standing(element, concern, &period, scene)
    };
    let severity = with_template(element, &["8"]).find_map(|part| Concept::at(part, "value", scene.references).display);
    let more = details([
        period.low.as_ref().or(period.point.as_ref()).map(|onset| format!("onset {}", onset.words)),
        period.high.as_ref().map(|end| format!("ended {}", end.words)),
        severity.map(|severity| format!("severity {}", severity.to_lowercase())),
        Concept::at(element, "targetSiteCode", scene.references)
            .display
            .map(|site| format!("site {}", site.to_lowercase())),
    ]);
    let heading = if negated && !none_at_all {
        format!("Refuted {noun} (patient does not have it)")
    } else {
        format!("{}{}", capitalized(noun), aside(standing))
    };
    let mut anchors = anchors(element);
    anchors.extend(concern.into_iter().flat_map(super::anchors));
    Some(Entry {
        line: format!("{heading}: {display}{more}{}", coded.suffix()),
        statement: Some(stated(FactKind::Condition, &display, coded, standing, period.start())),
        anchors,
    })
}

/// The observation's own statusCode says only that it was made; what counts is its end, its status observation,
/// and whether it is still tracked.
fn standing(
    element: Element<'_>,
    concern: Option<Element<'_>>,
    period: &Period,
    scene: &Scene<'_, '_>,
) -> Option<&'static str> {
    let observed = with_template(element, &["6"]).find_map(|part| {
        let value = Concept::at(part, "value", scene.references);
        let word = value.display.as_deref().unwrap_or_default().to_lowercase();
        if value.has(&["413322009"]) || word == "resolved" {
            Some("resolved")
        } else if value.has(&["73425007"]) || word == "inactive" {
            Some("inactive")
        } else if value.has(&["55561003"]) || word == "active" {
            Some("active")
        } else {
            None
        }
    });
    let tracked = concern.and_then(status) == Some("active");
    match &period.high {
        Some(end) if scene.written.is_none_or(|now| end.instant <= now) => {
            return Some(observed.filter(|word| *word != "active").unwrap_or("resolved"));
        }
        // An end that isn't known says that there was one, unless the problem is tracked all the same.
        None if period.has_end && tracked => return observed,
        None if period.has_end => return Some(observed.filter(|word| *word != "active").unwrap_or("resolved")),
        _ => {}
    }
    observed.or_else(|| match concern.and_then(status) {
        Some("active" | "new") => Some("active"),
        Some("completed" | "aborted" | "suspended" | "cancelled" | "obsolete") => Some("inactive"),
        _ => None,
    })
}

fn capitalized(noun: &str) -> String {
    let mut letters = noun.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
