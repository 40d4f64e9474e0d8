//! Entries of a section to statements: which kind each is, by its element, its templates and its codes.

mod allergy;
mod event;
mod family;
mod medication;
mod observation;
mod problem;

use crate::domain::{FactKind, FactValue, Timestamp};
use crate::stages::normalize::lines::Statement;
use crate::stages::normalize::xml::Element;

use super::concept::Concept;
use super::references::{References, local};
use super::time::Period;

const TEMPLATE_ROOT: &str = "2.16.840.1.113883.10.20.22.4.";

/// Observations that only qualify what they stand in: severity, standing, priority, criticality, reaction.
const REMARKS: [&str; 7] = ["5", "6", "8", "9", "28", "143", "145"];
const REMARK_CODES: [&str; 4] = ["SEV", "33999-4", "225773000", "82606-5"];

/// What one entry says: a line of its own, the fact in it, and the ids of narrative that say the same.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    pub line: String,
    /// `None` for what is no fact about the patient.
    pub statement: Option<Statement>,
    pub anchors: Vec<&'t str>,
}

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(super) struct Scene<'s, 't> {
    pub references: &'s References<'t>,
    /// The section's LOINC code.
    pub section: Option<&'s str>,
    /// When the document was made.
    pub written: Option<Timestamp>,
    /// Whom it is about, when not about the patient.
    pub relative: Option<&'s str>,
}

impl Scene<'_, '_> {
    fn is_section(&self, codes: &[&str]) -> bool {
        self.section.is_some_and(|section| codes.contains(&section))
    }
}

/// All statements of an `entry`, in order.
pub(super) fn read<'t>(entry: Element<'t>, scene: &Scene<'_, 't>) -> Vec<Entry<'t>> {
    let mut found = Vec::new();
    for statement in entry.elements() {
        any(statement, scene, &Period::default(), &mut found);
    }
    found
}

/// One clinical statement; `outer` is the time of what holds it.
fn any<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    if status(element) == Some("nullified") {
        return;
    }
    if element.child("subject").is_some() && scene.relative.is_none() {
        return family::read(element, scene, outer, found);
    }
    match element.name() {
        "act" => event::act(element, scene, outer, found),
        "observation" => observation(element, scene, outer, found),
        "organizer" => organizer(element, scene, outer, found),
        "substanceAdministration" => medication::read(element, scene, outer, found),
        "supply" => event::supply(element, scene, found),
        "procedure" => event::procedure(element, scene, outer, found),
        "encounter" => event::encounter(element, scene, outer, found),
        _ => {}
    }
}

fn observation<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    if has_template(element, &REMARKS) || code_of(element).is_some_and(|code| REMARK_CODES.contains(&code)) {
        return;
    }
    if allergy::is_one(element) {
        found.extend(allergy::read(element, None, scene));
    } else if problem::is_one(element, scene) {
        found.extend(problem::read(element, None, "problem", scene));
    } else {
        observation::read(element, scene, outer, found);
    }
}

fn organizer<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    if has_template(element, &["500"]) {
        return event::care_team(element, found);
    }
    let own = Period::of(element, "effectiveTime");
    let period = if own.is_empty() { outer.clone() } else { own };
    for part in element.all("component").flat_map(|component| component.elements()) {
        any(part, scene, &period, found);
    }
}

/// What stands in the relations of a statement.
fn related<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    for relation in element.all("entryRelationship").filter(|relation| relation.attribute("typeCode") != Some("RSON")) {
        for inner in relation.elements() {
            any(inner, scene, outer, found);
        }
    }
}

/// Statements in the relations that carry one of C-CDA's templates.
fn with_template<'t>(element: Element<'t>, numbers: &'static [&'static str]) -> impl Iterator<Item = Element<'t>> {
    let inner = element.all("entryRelationship").flat_map(|relation| relation.elements());
    inner.filter(move |inner| has_template(*inner, numbers))
}

/// Whether an element claims one of C-CDA's entry templates, by the last part of its id.
fn has_template(element: Element<'_>, numbers: &[&str]) -> bool {
    let roots = element.all("templateId").filter_map(|template| template.attribute("root"));
    roots.filter_map(|root| root.strip_prefix(TEMPLATE_ROOT)).any(|number| numbers.contains(&number))
}

fn status(element: Element<'_>) -> Option<&str> {
    element.at("statusCode")?.attribute("code")
}

fn code_of(element: Element<'_>) -> Option<&str> {
    element.at("code")?.attribute("code")
}

fn is_negated(element: Element<'_>) -> bool {
    element.attribute("negationInd").is_some_and(|flag| matches!(flag, "true" | "1"))
}

/// Intended, asked for or promised, but not done.
fn is_planned(element: Element<'_>) -> bool {
    element.attribute("moodCode").is_some_and(|mood| !matches!(mood, "EVN" | "DEF" | "EVN.CRT"))
}

/// Ids of the narrative that says what the element says: of the whole, of its code, of its value.
fn anchors<'t>(element: Element<'t>) -> Vec<&'t str> {
    let own = ["text/reference", "code/originalText/reference"].iter().filter_map(|path| element.at(path));
    let values = element
        .all("value")
        .filter_map(|value| value.at("originalText/reference").or_else(|| value.child("reference")));
    let material = "consumable/manufacturedProduct/manufacturedMaterial/code/originalText/reference";
    let references = own.chain(values).chain(element.at(material));
    references.filter_map(|reference| local(reference.attribute("value")?)).collect()
}

/// A statement without a value, coded by a concept.
fn stated(
    kind: FactKind,
    display: &str,
    concept: &Concept,
    status: Option<&str>,
    effective: Option<Timestamp>,
) -> Statement {
    let best = concept.best();
    Statement {
        kind,
        system: best.and_then(|code| code.system.clone()),
        code: best.map(|code| code.code.clone()),
        display: display.to_owned(),
        value: None::<FactValue>,
        status: status.map(str::to_owned),
        effective,
    }
}

/// `, a, b`, of the parts that are there.
fn details(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().filter(|part| !part.is_empty()).map(|part| format!(", {part}")).collect()
}

/// ` (active)`
fn aside(status: Option<&str>) -> String {
    status.map(|status| format!(" ({})", status.replace('-', " "))).unwrap_or_default()
}
