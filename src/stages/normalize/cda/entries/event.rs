//! What was done or is planned: acts, procedures, visits, supplies, coverage, care teams.

use crate::domain::FactKind;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::super::concept::Concept;
use super::super::references::plain;
use super::super::time::Period;
use super::super::{kinds, people};
use super::{
    Entry, Scene, allergy, anchors, any, aside, details, has_template, is_negated, is_planned, problem, related,
    stated, status,
};

/// SNOMED for an intervention as such.
const INTERVENTION: &str = "362956003";
/// Code systems whose codes only say what sort of act an element is.
const STRUCTURE: [&str; 2] = ["2.16.840.1.113883.5.4", "2.16.840.1.113883.5.6"];

pub(super) fn act<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    let code = element.child("code");
    if has_template(element, &["3", "30"]) || code.and_then(|code| code.attribute("code")) == Some("CONC") {
        return concern(element, scene, outer, found);
    }
    if has_template(element, &["80", "33", "34"]) {
        return diagnoses(element, scene, outer, found);
    }
    if has_template(element, &["60", "61", "129"]) {
        return coverage(element, scene, found);
    }
    if has_template(element, &["136"]) {
        return risk(element, scene, outer, found);
    }
    if has_template(element, &["122"]) {
        return;
    }
    let own = Period::of(element, "effectiveTime");
    let period = if own.is_empty() { outer.clone() } else { own };
    if has_template(element, &["20", "64", "202"]) {
        found.extend(remark(element, scene));
    } else if code.is_some_and(|code| !is_frame(code)) {
        found.extend(done(element, scene, &period, "Procedure"));
    }
    related(element, scene, &period, found);
}

/// An act that only holds others together and is nothing done: named for its section or its sort.
fn is_frame(code: Element<'_>) -> bool {
    let names_section = |code: &str| code == INTERVENTION || kinds::section_name(code).is_some();
    code.attribute("codeSystem").is_some_and(|system| STRUCTURE.contains(&system))
        || code.attribute("code").is_none_or(names_section)
}

/// What a patient is at risk of is no problem that they have.
fn risk<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    let mut risks = Vec::new();
    concern(element, scene, outer, &mut risks);
    for mut entry in risks {
        if let Some(statement) = entry.statement.as_mut().filter(|statement| statement.kind == FactKind::Condition) {
            statement.kind = FactKind::Observation;
            statement.display = format!("At risk of {}", statement.display);
            statement.status = None;
            entry.line =
                entry.line.split_once(": ").map_or(entry.line.clone(), |(_, rest)| format!("At risk of: {rest}"));
            entry.anchors.clear();
        }
        found.push(entry);
    }
}

/// A problem or an allergy that is being tracked; its standing is the concern's.
fn concern<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    for inner in element.all("entryRelationship").flat_map(|relation| relation.elements()) {
        if inner.name() != "observation" || inner.child("subject").is_some() {
            any(inner, scene, outer, found);
        } else if allergy::is_one(inner) {
            found.extend(allergy::read(inner, Some(element), scene));
        } else if problem::is_one(inner, scene) {
            found.extend(problem::read(inner, Some(element), "problem", scene));
        } else {
            any(inner, scene, outer, found);
        }
    }
}

fn diagnoses<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    for inner in element.all("entryRelationship").flat_map(|relation| relation.elements()) {
        if inner.name() == "observation" {
            found.extend(problem::read(inner, Some(element), "diagnosis", scene));
        } else {
            any(inner, scene, outer, found);
        }
    }
}

/// An instruction, comment or note: its own words, unless the narrative has them.
fn remark<'t>(element: Element<'t>, scene: &Scene<'_, 't>) -> Option<Entry<'t>> {
    let text = element.child("text")?;
    if text.attribute("representation") == Some("B64") {
        return None;
    }
    let words = scene.references.text_of(text)?;
    let noun = if has_template(element, &["20"]) { "Instruction" } else { "Note" };
    Some(Entry { line: format!("{noun}: {words}"), statement: None, anchors: anchors(element) })
}

/// A procedure or act, done, not done, or planned.
fn done<'t>(element: Element<'t>, scene: &Scene<'_, 't>, period: &Period, noun: &str) -> Option<Entry<'t>> {
    let concept = Concept::at(element, "code", scene.references);
    let said = || element.child("text").and_then(|text| scene.references.text_of(text));
    let display = concept.display.clone().or_else(said)?;
    let negated = is_negated(element);
    let planned = is_planned(element);
    let (heading, standing, kind) = if negated {
        (format!("{noun} not done"), Some("not-done"), FactKind::Procedure)
    } else if planned {
        (format!("Planned {}", noun.to_lowercase()), Some("planned"), FactKind::CarePlan)
    } else {
        let standing = match status(element) {
            Some("aborted" | "cancelled") => Some("stopped"),
            Some("active") => Some("in-progress"),
            other => other,
        };
        (format!("{noun}{}", aside(standing)), standing, FactKind::Procedure)
    };
    let more = details([
        period.words(),
        Concept::at(element, "targetSiteCode", scene.references)
            .display
            .map(|site| format!("site {}", site.to_lowercase())),
        Concept::at(element, "methodCode", scene.references)
            .display
            .map(|method| format!("method {}", method.to_lowercase())),
        performers(element).map(|people| format!("by {people}")),
        place(element).map(|place| format!("at {place}")),
        device(element, scene).map(|device| format!("device {device}")),
    ]);
    let standing = standing.map(|word| tidy::bounded(word, 40));
    Some(Entry {
        line: format!("{heading}: {display}{more}{}", concept.suffix()),
        statement: Some(stated(kind, &display, &concept, standing.as_deref(), period.start())),
        anchors: anchors(element),
    })
}

pub(super) fn procedure<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    let own = Period::of(element, "effectiveTime");
    let period = if own.is_empty() { outer.clone() } else { own };
    found.extend(done(element, scene, &period, "Procedure"));
    related(element, scene, &period, found);
}

pub(super) fn encounter<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    let concept = Concept::at(element, "code", scene.references);
    let own = Period::of(element, "effectiveTime");
    let period = if own.is_empty() { outer.clone() } else { own };
    // A visit without a name or a time of its own merely says where something else took place.
    if concept.display.is_none() && Period::of(element, "effectiveTime").is_empty() {
        return related(element, scene, outer, found);
    }
    let display = concept.display.clone().unwrap_or_else(|| "Visit".to_owned());
    let more = details([
        period.words(),
        performers(element).map(|people| format!("with {people}")),
        place(element).map(|place| format!("at {place}")),
    ]);
    let (heading, standing, kind) = if is_negated(element) {
        ("Encounter that did not take place", Some("cancelled"), FactKind::Encounter)
    } else if is_planned(element) {
        ("Planned encounter", Some("planned"), FactKind::Appointment)
    } else {
        (
            "Encounter",
            status(element).filter(|word| matches!(*word, "completed" | "active" | "cancelled")),
            FactKind::Encounter,
        )
    };
    found.push(Entry {
        line: format!("{heading}: {display}{more}{}", concept.suffix()),
        statement: Some(stated(kind, &display, &concept, standing, period.start())),
        anchors: anchors(element),
    });
    related(element, scene, &period, found);
}

/// A supply is a fact only where it is of a drug; a device is named, no more.
pub(super) fn supply<'t>(element: Element<'t>, scene: &Scene<'_, 't>, found: &mut Vec<Entry<'t>>) {
    let material = element.at("product/manufacturedProduct/manufacturedMaterial");
    let drug = material.and_then(|material| material.child("code")).map(|code| Concept::read(code, scene.references));
    let concept = drug.clone().unwrap_or_default();
    let display = concept.display.clone().or_else(|| device(element, scene));
    let display = display.or_else(|| Concept::at(element, "code", scene.references).display);
    let Some(display) = display else { return };
    let period = Period::of(element, "effectiveTime");
    let amount = element.child("quantity").and_then(super::super::value::interval);
    let heading = match (is_negated(element), is_planned(element)) {
        (true, _) => "Supply not given",
        (_, true) => "Planned supply",
        _ => "Supply",
    };
    let is_drug =
        drug.is_some_and(|drug| drug.codes.iter().any(|code| matches!(code.known_system(), Some("RxNorm" | "NDC"))));
    let kind = if is_planned(element) { FactKind::CarePlan } else { FactKind::Medication };
    let standing = if is_negated(element) { Some("not-done") } else { status(element).filter(|word| word.len() < 20) };
    let more = details([amount, period.words()]);
    let statement = (is_drug).then(|| stated(kind, &display, &concept, standing, period.start()));
    found.push(Entry {
        line: format!("{heading}: {display}{more}{}", concept.suffix()),
        statement,
        anchors: anchors(element),
    });
}

/// Who pays: the payer's name and the sort of cover. Member numbers and holders stay out.
fn coverage<'t>(element: Element<'t>, scene: &Scene<'_, 't>, found: &mut Vec<Entry<'t>>) {
    let policies = element.all("entryRelationship").flat_map(|relation| relation.all("act"));
    let policies: Vec<Element<'t>> = policies.filter(|act| has_template(*act, &["61"])).collect();
    let policies = if policies.is_empty() { vec![element] } else { policies };
    for policy in policies {
        let concept = Concept::at(policy, "code", scene.references);
        let payers = policy.all("performer").filter_map(|performer| performer.child("assignedEntity"));
        let payer = payers.filter_map(people::organization).next();
        let Some(display) = payer.clone().or_else(|| concept.display.clone()) else { continue };
        let period = Period::of(policy, "effectiveTime");
        let more = details([concept.display.clone().filter(|sort| *sort != display), period.words()]);
        let mut anchors = anchors(policy);
        anchors.extend(super::anchors(element));
        found.push(Entry {
            line: format!("Coverage: {display}{more}"),
            statement: Some(stated(FactKind::Coverage, &display, &concept, None, period.start())),
            anchors,
        });
    }
}

pub(super) fn care_team<'t>(element: Element<'t>, found: &mut Vec<Entry<'t>>) {
    for member in element.all("component").flat_map(|component| component.all("act")) {
        let performer = member.child("performer");
        let person = performer.and_then(|performer| performer.child("assignedEntity")).and_then(people::assigned);
        let role = performer.and_then(|performer| performer.child("functionCode"));
        let role = role.and_then(|role| role.attribute("displayName")).map(tidy::line);
        let Some(person) = person else { continue };
        let role = role.map(|role| format!(" ({role})")).unwrap_or_default();
        found.push(Entry { line: format!("Care team: {person}{role}"), statement: None, anchors: anchors(member) });
    }
}

fn performers(element: Element<'_>) -> Option<String> {
    let people =
        element.all("performer").filter_map(|performer| performer.child("assignedEntity")).filter_map(people::assigned);
    let people = people.take(4).collect::<Vec<_>>().join("; ");
    (!people.is_empty()).then_some(people)
}

fn place(element: Element<'_>) -> Option<String> {
    let places = element.all("participant").filter(|participant| participant.attribute("typeCode") == Some("LOC"));
    places.filter_map(|place| people::person(place.at("participantRole/playingEntity")?)).next()
}

fn device(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    element.all("participant").find_map(|participant| {
        let role = participant.child("participantRole")?;
        let device = role.child("playingDevice")?;
        let name = device.child("code").and_then(|code| Concept::read(code, scene.references).display);
        let name = name.or_else(|| device.child("manufacturerModelName").map(plain))?;
        let number = role.all("id").find_map(|id| id.attribute("extension"));
        let number = number.map(|number| format!(" (UDI {})", tidy::bounded(number, 150))).unwrap_or_default();
        Some(format!("{name}{number}"))
    })
}
