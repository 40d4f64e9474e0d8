//! Medications and immunizations: what, how taken or given, or expressly not.

use crate::domain::FactKind;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::super::concept::Concept;
use super::super::references::plain;
use super::super::time::{Period, frequency};
use super::super::value;
use super::{
    Entry, REMARK_CODES, Scene, anchors, aside, code_of, details, has_template, is_negated, is_planned, stated, status,
};

const CVX: &str = "2.16.840.1.113883.12.292";
const IMMUNIZATIONS: [&str; 1] = ["11369-6"];

pub(super) fn read<'t>(element: Element<'t>, scene: &Scene<'_, 't>, outer: &Period, found: &mut Vec<Entry<'t>>) {
    let material = element.at("consumable/manufacturedProduct/manufacturedMaterial");
    let code = material.and_then(|material| material.child("code"));
    let concept = code.map(|code| Concept::read(code, scene.references)).unwrap_or_default();
    let named = || material.and_then(|material| material.child("name")).map(plain).filter(|name| !name.is_empty());
    let said = || element.child("text").and_then(|text| scene.references.text_of(text));
    let display = concept.display.clone().or_else(named).or_else(said).map(|name| tidy::bounded(&name, 300));
    // An act of giving without a substance only groups the steps of a tapered dose.
    if let Some(display) = display {
        let period = Some(Period::of(element, "effectiveTime")).filter(|period| !period.is_empty());
        let dose = Dose { element, concept, display, period: period.unwrap_or_else(|| outer.clone()) };
        let is_vaccine = has_template(element, &["52", "120"])
            || code.is_some_and(|code| code.attribute("codeSystem") == Some(CVX))
            || scene.is_section(&IMMUNIZATIONS);
        found.push(if is_vaccine { dose.immunization(scene) } else { dose.medication(scene) });
    }
    for relation in element.all("entryRelationship").filter(|relation| relation.attribute("typeCode") == Some("COMP")) {
        for part in relation.all("substanceAdministration") {
            super::any(part, scene, outer, found);
        }
    }
}

struct Dose<'t> {
    element: Element<'t>,
    concept: Concept,
    display: String,
    period: Period,
}

impl<'t> Dose<'t> {
    fn medication(self, scene: &Scene<'_, 't>) -> Entry<'t> {
        let (element, planned) = (self.element, has_template(self.element, &["42"]));
        let standing = if is_negated(element) { Some("not-taken") } else { self.standing(scene) };
        let heading = match (is_negated(element), planned, element.attribute("moodCode")) {
            (true, _, _) => "Medication not taken".to_owned(),
            (_, true, _) => format!("Planned medication{}", aside(standing)),
            (_, _, Some("INT" | "RQO")) => format!("Medication order{}", aside(standing)),
            _ => format!("Medication{}", aside(standing)),
        };
        let more = details([
            quantity(element, "doseQuantity"),
            quantity(element, "rateQuantity").map(|rate| format!("rate {rate}")),
            frequency(element),
            route(element, scene),
            Concept::at(element, "approachSiteCode", scene.references).display.map(|site| site.to_lowercase()),
            self.period.words(),
            quantity(element, "maxDoseQuantity").map(|limit| format!("at most {limit}")),
            reasons(element, scene).map(|reason| format!("for {reason}")),
            self.sig(scene),
        ]);
        let kind = if planned { FactKind::CarePlan } else { FactKind::Medication };
        let standing = if planned { Some(standing.unwrap_or("planned")) } else { standing };
        Entry {
            line: format!("{heading}: {}{more}{}", self.display, self.concept.suffix()),
            statement: Some(stated(kind, &self.display, &self.concept, standing, self.period.start())),
            anchors: anchors(element),
        }
    }

    /// `completed` says that a course is over only where an end or a later edition of C-CDA says so too: older
    /// senders put it on every medication.
    fn standing(&self, scene: &Scene<'_, '_>) -> Option<&'static str> {
        let over = self.period.high.as_ref().is_some_and(|end| scene.written.is_some_and(|now| end.instant < now));
        let dated = self.element.all("templateId").any(|template| template.attribute("extension").is_some());
        match status(self.element) {
            Some("aborted") => Some("stopped"),
            Some("suspended" | "held") => Some("on-hold"),
            Some("cancelled") => Some("cancelled"),
            _ if over => Some("completed"),
            Some("active" | "new") => Some("active"),
            Some("completed") if self.period.point.is_some() || (dated && !is_planned(self.element)) => {
                Some("completed")
            }
            _ => None,
        }
    }

    fn immunization(self, scene: &Scene<'_, 't>) -> Entry<'t> {
        let element = self.element;
        let planned = is_planned(element);
        let (heading, standing, kind) = if is_negated(element) {
            ("Immunization not given".to_owned(), Some("not-done"), FactKind::Immunization)
        } else if planned {
            ("Planned immunization".to_owned(), Some("planned"), FactKind::CarePlan)
        } else {
            let standing = match status(element) {
                Some("aborted" | "cancelled") => Some("not-done"),
                other => other.filter(|word| matches!(*word, "completed" | "active")),
            };
            (format!("Immunization{}", aside(standing)), standing, FactKind::Immunization)
        };
        let lot = element.at("consumable/manufacturedProduct/manufacturedMaterial/lotNumberText").map(plain);
        let maker = element.at("consumable/manufacturedProduct/manufacturerOrganization/name").map(plain);
        let more = details([
            self.period.words(),
            element.value_at("repeatNumber").map(|number| format!("dose number {}", tidy::bounded(number, 20))),
            quantity(element, "doseQuantity"),
            route(element, scene),
            Concept::at(element, "approachSiteCode", scene.references).display.map(|site| site.to_lowercase()),
            lot.filter(|lot| !lot.is_empty()).map(|lot| format!("lot {}", tidy::bounded(&lot, 60))),
            maker.filter(|maker| !maker.is_empty()).map(|maker| tidy::bounded(&maker, 100)),
            refusal(element, scene).or_else(|| reasons(element, scene)).map(|reason| format!("reason: {reason}")),
        ]);
        Entry {
            line: format!("{heading}: {}{more}{}", self.display, self.concept.suffix()),
            statement: Some(stated(kind, &self.display, &self.concept, standing, self.period.start())),
            anchors: anchors(element),
        }
    }

    /// Directions in the prescriber's words, unless they are the narrative's and so are read there.
    fn sig(&self, scene: &Scene<'_, '_>) -> Option<String> {
        let text = self.element.child("text")?;
        let words = if text.child("reference").is_some() { scene.references.text_of(text)? } else { plain(text) };
        (!words.is_empty() && words != self.display).then(|| tidy::bounded(&words, 300))
    }
}

fn quantity(element: Element<'_>, name: &str) -> Option<String> {
    let given = element.child(name)?;
    let amount = match (given.child("numerator"), given.child("denominator")) {
        (Some(over), Some(under)) => format!("{} per {}", value::interval(over)?, value::interval(under)?),
        _ => value::interval(given)?,
    };
    let form = element.at("administrationUnitCode").and_then(|unit| unit.attribute("displayName"));
    let form = form
        .filter(|_| name == "doseQuantity" && !amount.contains(' '))
        .map(|form| format!(" {}", form.to_lowercase()));
    Some(tidy::bounded(&format!("{amount}{}", form.unwrap_or_default()), 120))
}

fn route(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    Concept::at(element, "routeCode", scene.references).display.map(|route| route.to_lowercase())
}

fn because<'t>(element: Element<'t>) -> impl Iterator<Item = Element<'t>> {
    let relations = element.all("entryRelationship").filter(|relation| relation.attribute("typeCode") == Some("RSON"));
    relations.flat_map(|relation| relation.elements())
}

fn reasons(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    let is_reason = |reason: &Element<'_>| !code_of(*reason).is_some_and(|code| REMARK_CODES.contains(&code));
    let words: Vec<String> = because(element)
        .filter(is_reason)
        .filter_map(|reason| Concept::at(reason, "value", scene.references).display)
        .collect();
    (!words.is_empty()).then(|| tidy::bounded(&words.join("; "), 300))
}

/// Why a vaccine was refused.
fn refusal(element: Element<'_>, scene: &Scene<'_, '_>) -> Option<String> {
    let inner = element.all("entryRelationship").flat_map(|relation| relation.elements());
    let words = inner
        .filter(|part| has_template(*part, &["53"]))
        .find_map(|part| Concept::at(part, "code", scene.references).display);
    words.map(|words| words.to_lowercase())
}
