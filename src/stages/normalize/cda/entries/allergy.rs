//! Allergies and intolerances, or that none are known.

use crate::domain::FactKind;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::super::concept::Concept;
use super::super::people;
use super::super::time::Period;
use super::{Entry, Scene, anchors, aside, details, has_template, is_negated, stated, status, with_template};

/// Kinds of sensitivity: SNOMED's propensities, allergies and intolerances.
const KINDS: [&str; 12] = [
    "419199007",
    "416098002",
    "414285001",
    "59037007",
    "235719002",
    "420134006",
    "419511003",
    "418471000",
    "232347008",
    "418038007",
    "426232007",
    "609328004",
];

/// Codes that state the absence of an allergy by themselves.
const NONE_KNOWN: [&str; 7] =
    ["716186003", "409137002", "428607008", "429625007", "716184000", "428197003", "160244002"];

pub(super) fn is_one(element: Element<'_>) -> bool {
    if has_template(element, &["7", "90"]) {
        return true;
    }
    let kinds = element.all("value").filter_map(|value| value.attribute("code"));
    kinds.into_iter().any(|code| KINDS.contains(&code) || NONE_KNOWN.contains(&code)) && substance(element).is_some()
        || element.all("value").filter_map(|value| value.attribute("code")).any(|code| NONE_KNOWN.contains(&code))
}

fn substance(element: Element<'_>) -> Option<Element<'_>> {
    element.all("participant").find_map(|participant| participant.at("participantRole/playingEntity"))
}

pub(super) fn read<'t>(element: Element<'t>, concern: Option<Element<'t>>, scene: &Scene<'_, 't>) -> Option<Entry<'t>> {
    let sort = Concept::at(element, "value", scene.references);
    let entity = substance(element);
    let substance = entity.and_then(|entity| entity.child("code")).map(|code| Concept::read(code, scene.references));
    let substance = substance.unwrap_or_default();
    let named = || entity.and_then(people::person);
    let said = || element.child("text").and_then(|text| scene.references.text_of(text));
    let negated = is_negated(element);
    let none_known = sort.has(&NONE_KNOWN) || substance.has(&NONE_KNOWN);
    let substance_name = substance.display.clone().or_else(named);
    let display = match substance_name {
        Some(name) if !(negated && substance.null.is_some()) => name,
        _ if none_known && !negated => sort.display.clone().unwrap_or_else(|| "No known allergies".to_owned()),
        _ if negated => none_of(&sort).0.to_owned(),
        _ => sort.display.clone().or_else(said)?,
    };
    let absent = none_known || (negated && display.starts_with("No known"));
    let period = Period::of(element, "effectiveTime");
    let standing = if negated && !absent { Some("refuted") } else { standing(element, concern, &period, scene) };
    let reactions: Vec<String> = reactions(element, scene);
    let more = details([
        sort.display.clone().filter(|words| *words != display && !absent).map(|words| words.to_lowercase()),
        (!reactions.is_empty()).then(|| format!("reaction {}", reactions.join("; "))),
        severity(element, scene).filter(|_| reactions.is_empty()).map(|severity| format!("severity {severity}")),
        with_template(element, &["145"])
            .find_map(|part| Concept::at(part, "value", scene.references).display)
            .map(|words| format!("criticality {}", words.to_lowercase())),
        period.low.as_ref().or(period.point.as_ref()).map(|onset| format!("onset {}", onset.words)),
    ]);
    let heading = if negated && !absent {
        "Refuted allergy (patient does not have it)".to_owned()
    } else {
        format!("Allergy{}", aside(standing))
    };
    let nothing = Concept::snomed(none_of(&sort).1);
    let coded = match (absent && !none_known, substance.codes.is_empty() || absent) {
        (true, _) => &nothing,
        (_, true) => &sort,
        _ => &substance,
    };
    let mut anchors = anchors(element);
    let original = entity.and_then(|entity| entity.at("code/originalText/reference"));
    anchors.extend(original.and_then(|reference| super::local(reference.attribute("value")?)));
    anchors.extend(concern.into_iter().flat_map(super::anchors));
    Some(Entry {
        line: format!("{heading}: {display}{more}{}", coded.suffix()),
        statement: Some(stated(FactKind::Allergy, &display, coded, standing, period.start())),
        anchors,
    })
}

/// A negated sensitivity to nothing in particular: none is known. It has a code of its own, for its sort alone
/// would say the opposite.
fn none_of(sort: &Concept) -> (&'static str, &'static str) {
    if sort.has(&["416098002", "59037007"]) {
        ("No known drug allergies", "409137002")
    } else if sort.has(&["414285001", "235719002"]) {
        ("No known food allergies", "429625007")
    } else if sort.has(&["426232007"]) {
        ("No known environmental allergies", "428607008")
    } else {
        ("No known allergies", "716186003")
    }
}

fn reactions(element: Element<'_>, scene: &Scene<'_, '_>) -> Vec<String> {
    let manifested = element.all("entryRelationship").filter(|relation| relation.attribute("typeCode") == Some("MFST"));
    let inner = manifested.flat_map(|relation| relation.elements());
    let words = inner.filter_map(|reaction| {
        let name = Concept::at(reaction, "value", scene.references).display;
        let name = name.or_else(|| reaction.child("text").and_then(|text| scene.references.text_of(text)))?;
        let severity = severity(reaction, scene).map(|severity| format!(" ({severity})")).unwrap_or_default();
        Some(tidy::bounded(&format!("{}{severity}", name.to_lowercase()), 200))
    });
    words.collect()
}

fn severity(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    let inner = element.all("entryRelationship").flat_map(|relation| relation.elements());
    let is_severity = |part: &Element<'_>| {
        has_template(*part, &["8"]) || part.child("code").and_then(|code| code.attribute("code")) == Some("SEV")
    };
    let words = inner.filter(is_severity).find_map(|part| Concept::at(part, "value", scene.references).display);
    words.map(|words| words.to_lowercase())
}

fn standing(
    element: Element<'_>,
    concern: Option<Element<'_>>,
    period: &Period,
    scene: &Scene<'_, '_>,
) -> Option<&'static str> {
    let observed = with_template(element, &["28"]).find_map(|part| {
        match Concept::at(part, "value", scene.references).display?.to_lowercase().as_str() {
            "active" => Some("active"),
            "inactive" => Some("inactive"),
            "resolved" => Some("resolved"),
            _ => None,
        }
    });
    if period.high.as_ref().is_some_and(|end| scene.written.is_none_or(|now| end.instant <= now)) {
        return Some("resolved");
    }
    observed.or_else(|| match concern.and_then(status) {
        Some("active" | "new") => Some("active"),
        Some("completed" | "aborted" | "suspended" | "cancelled" | "obsolete") => Some("inactive"),
        _ => None,
    })
}
