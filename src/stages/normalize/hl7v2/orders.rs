//! ORC with OBR, RXO, RXE, RXD or RXA: what was ordered, dispensed or given.

use crate::domain::{FactKind, FactValue, Finding, Kind};

use super::draft::{Claim, Draft};
use super::groups::Group;
use super::message::Segment;
use super::observation;
use super::subject::{Subject, level};
use super::times::Moment;
use super::types::{self, Concept, joined};

/// Types of messages whose `OBR` asks for something, whatever observations come along.
const ORDER_TYPES: [&str; 14] =
    ["ORM", "OML", "OMG", "OMI", "OMP", "OMS", "OMN", "OMD", "OMB", "OMQ", "ORR", "ORL", "ORG", "ORI"];

pub(super) fn is_order(subject: &Subject<'_>, group: &Group<'_>) -> bool {
    let has_result = group.rest.iter().any(|segment| segment.is("OBX"));
    ORDER_TYPES.contains(&subject.header.kind.as_str()) || !has_result && !reports(subject)
}

/// Types of messages that report results, also where none has come yet.
fn reports(subject: &Subject<'_>) -> bool {
    ["ORU", "OUL", "OPU", "ORF", "ORA"].contains(&subject.header.kind.as_str())
}

/// ORC-1, else ORC-5: what became of the order.
fn standing(order: Option<&Segment<'_>>) -> Option<&'static str> {
    let order = order?;
    let of_control = match order.text(1).unwrap_or_default().to_ascii_uppercase().as_str() {
        "CA" | "OC" | "CR" => Some("cancelled"),
        "DC" | "OD" | "DR" => Some("discontinued"),
        "HD" | "OH" | "HR" => Some("on hold"),
        "UA" | "OR" => Some("not accepted"),
        "DE" => Some("entered in error"),
        _ => None,
    };
    let of_status = || match order.text(5).unwrap_or_default().to_ascii_uppercase().as_str() {
        "CM" => Some("completed"),
        "CA" => Some("cancelled"),
        "DC" => Some("discontinued"),
        "HD" => Some("on hold"),
        "IP" => Some("in progress"),
        "SC" => Some("scheduled"),
        "A" => Some("some results available"),
        "ER" => Some("error, order not found"),
        "RP" => Some("replaced"),
        _ => None,
    };
    of_control.or_else(of_status).or(match order.text(1).unwrap_or_default().to_ascii_uppercase().as_str() {
        "NW" | "OK" | "SN" | "NA" => Some("ordered"),
        "XO" | "XX" | "XR" => Some("changed"),
        "RP" | "RU" | "RO" | "RQ" => Some("replaced"),
        "RL" | "OE" => Some("released"),
        _ => None,
    })
}

/// The placer's number, else the filler's: an order is placed before anyone fills it.
fn number(group: &Group<'_>) -> Option<String> {
    let of = |segment: Option<&Segment<'_>>, field: usize| segment.and_then(|s| types::identifier(s.field(field)));
    let request = group.head.filter(|head| head.is("OBR"));
    of(group.order, 2).or_else(|| of(request, 2)).or_else(|| of(group.order, 3)).or_else(|| of(request, 3))
}

fn key(subject: &Subject<'_>, group: &Group<'_>, resource_type: &str, concept: &Concept) -> String {
    let code = concept.code().unwrap_or(&concept.words);
    match number(group) {
        Some(number) => subject.item_key(resource_type, &format!("{number}/{code}")),
        None => {
            let message = subject.header.control_id.as_deref().unwrap_or("unnumbered");
            let place = group.head.or(group.order).map(|segment| segment.position).unwrap_or_default();
            format!("{resource_type}/{}/{code}/{message}/{place}", subject.local)
        }
    }
}

/// A request for a service: its own document, with the questions answered when it was placed.
pub(super) fn request(subject: &Subject<'_>, group: &Group<'_>, findings: &mut Vec<Finding>) -> Option<Draft> {
    let head = group.head.filter(|head| head.is("OBR") || head.is("ODS") || head.is("RQD"));
    let service = match head {
        Some(head) if head.is("OBR") => Concept::read(head.field(4)).or_else(|| Concept::read(head.field(44))),
        Some(head) if head.is("ODS") => Concept::read(head.field(3)).or_else(|| Concept::read(head.field(1))),
        Some(head) => [2, 3, 4].into_iter().find_map(|field| Concept::read(head.field(field))),
        None => None,
    };
    let named = number(group).map(|number| Concept::named(format!("order {number}")));
    let service = service.or(named.filter(|_| group.order.is_some() && standing(group.order).is_some()))?;
    let key = key(subject, group, "ServiceRequest", &service);
    let mut draft = Draft::new(key, Kind::Other, "ServiceRequest", &service.words);
    let status = standing(group.order).unwrap_or("ordered");
    let header = subject.header;
    let of_order = |field: usize| group.order.and_then(|order| header.moment(order.field(field)));
    let of_head = |field: usize| head.filter(|head| head.is("OBR")).and_then(|head| header.moment(head.field(field)));
    let placed = of_order(9).or_else(|| of_head(6));
    let wanted = timing(subject, group).or_else(|| of_head(7)).or_else(|| of_head(36));
    draft.effective = placed.as_ref().or(wanted.as_ref()).map(|moment| moment.instant);
    let parts = [
        Some(status.to_owned()),
        placed.map(|placed| format!("placed {}", placed.words())),
        wanted.map(|wanted| format!("wanted {}", wanted.words())),
        priority(group),
    ];
    let aside = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let claim = Claim { value: None, status: Some(status.to_owned()), effective: draft.effective };
    let line = format!("Order: {} ({aside}){}", service.words, service.aside());
    draft.state(&line, FactKind::CarePlan, &service, claim);
    people(group, &mut draft);
    if let Some(head) = head.filter(|head| head.is("OBR")) {
        draft.lines.labelled("Clinical information", head.field(13).line());
        draft.concepts("Reason", &Concept::all(head.field(31)));
    }
    for diagnosis in group.rest.iter().filter(|segment| segment.is("DG1")) {
        let concept = Concept::read(diagnosis.field(3));
        draft.concepts("Diagnosis", &concept.into_iter().collect::<Vec<_>>());
    }
    let observed: Vec<&Segment<'_>> = group.rest.iter().filter(|s| s.is("OBX") || s.is("NTE")).copied().collect();
    findings.extend(observation::state(subject, &observed, None, &mut draft).findings);
    Some(draft)
}

fn timing(subject: &Subject<'_>, group: &Group<'_>) -> Option<Moment> {
    let of_timing = group.first("TQ1").and_then(|timing| subject.header.moment(timing.field(7)));
    of_timing.or_else(|| subject.header.moment(group.order?.field(7).component(4)))
}

/// HL7 table 0485.
fn priority(group: &Group<'_>) -> Option<String> {
    let of_timing = group.first("TQ1").and_then(|timing| timing.text(9));
    let of_order = || group.order.and_then(|order| order.text_at(7, 6));
    let code = of_timing.or_else(of_order)?;
    let known = match code.to_ascii_uppercase().as_str() {
        "S" => "stat",
        "A" => "as soon as possible",
        "R" => "routine",
        "P" => "preoperative",
        "T" => "timing critical",
        _ => return None,
    };
    Some(known.to_owned())
}

fn people(group: &Group<'_>, draft: &mut Draft) {
    let request = group.head.filter(|head| head.is("OBR"));
    let ordered_by = group.order.and_then(|order| types::clinicians(order.field(12)));
    let ordered_by = ordered_by.or_else(|| request.and_then(|request| types::clinicians(request.field(16))));
    draft.author.clone_from(&ordered_by);
    draft.lines.labelled("Ordered by", ordered_by);
    draft.lines.labelled("Order number", number(group));
    if let Some(order) = group.order {
        draft.concepts("Reason for the change", &Concept::all(order.field(16)));
        draft.confidential(level(order.text(28)));
    }
}

/// A drug ordered, dispensed or given.
pub(super) fn medication(subject: &Subject<'_>, group: &Group<'_>, findings: &mut Vec<Finding>) -> Option<Draft> {
    let given = group.first("RXA");
    let dispensed = group.first("RXD");
    let (segment, field, resource_type, heading) = match (given, dispensed, group.first("RXE"), group.first("RXO")) {
        (Some(given), ..) => (given, 5, "MedicationAdministration", "Medication given"),
        (None, Some(dispensed), ..) => (dispensed, 2, "MedicationDispense", "Medication dispensed"),
        (None, None, Some(encoded), _) => (encoded, 2, "MedicationRequest", "Medication order"),
        (None, None, None, Some(ordered)) => (ordered, 1, "MedicationRequest", "Medication order"),
        _ => (group.first("RXG")?, 4, "MedicationAdministration", "Medication to be given"),
    };
    let drug = Concept::read(segment.field(field)).or_else(|| Concept::read(group.first("RXO")?.field(1)))?;
    let when = taken(subject, group, segment);
    let key = match (resource_type, &when) {
        // One order is dispensed and given many times.
        ("MedicationRequest", _) | (_, None) => key(subject, group, resource_type, &drug),
        (_, Some(when)) => format!("{}/{}", key(subject, group, resource_type, &drug), when.instant),
    };
    let mut draft = Draft::new(key, Kind::Medication, resource_type, &drug.words);
    draft.effective = when.as_ref().map(|when| when.instant);
    let status = match segment.name.as_str() {
        "RXA" => given_status(segment),
        "RXD" => "dispensed",
        _ => standing(group.order).unwrap_or("ordered"),
    };
    let (amount, unit) = dose(segment);
    let dose = amount.map(|amount| [Some(amount), unit.clone()].into_iter().flatten().collect::<Vec<_>>().join(" "));
    let route = group.first("RXR").and_then(|route| Concept::read(route.field(1))).map(|concept| concept.words);
    let parts = [dose.clone(), route, frequency(group), when.as_ref().map(Moment::words)];
    let aside = parts.into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let value = dose.map(FactValue::Text);
    let claim = Claim { value, status: Some(status.to_owned()), effective: draft.effective };
    let line = format!("{heading} ({status}): {}{aside}{}", drug.words, drug.aside());
    draft.state(&line, FactKind::Medication, &drug, claim);
    directions(segment, group, &mut draft);
    people(group, &mut draft);
    let observed: Vec<&Segment<'_>> = group.rest.iter().filter(|s| s.is("OBX") || s.is("NTE")).copied().collect();
    findings.extend(observation::state(subject, &observed, when.as_ref(), &mut draft).findings);
    Some(draft)
}

fn given_status(given: &Segment<'_>) -> &'static str {
    match given.text(20).unwrap_or_default().to_ascii_uppercase().as_str() {
        "RE" => "refused",
        "NA" => "not given",
        "PA" => "partially given",
        _ => "given",
    }
}

fn taken(subject: &Subject<'_>, group: &Group<'_>, segment: &Segment<'_>) -> Option<Moment> {
    let own = match segment.name.as_str() {
        "RXA" | "RXD" => subject.header.moment(segment.field(3)),
        _ => None,
    };
    let placed = || subject.header.moment(group.order?.field(9));
    own.or_else(|| timing(subject, group)).or_else(placed)
}

fn dose(segment: &Segment<'_>) -> (Option<String>, Option<String>) {
    let (amount, most, unit) = match segment.name.as_str() {
        "RXO" => (2, Some(3), 4),
        "RXE" => (3, Some(4), 5),
        "RXG" => (5, Some(6), 7),
        "RXD" => (4, None, 5),
        _ => (6, None, 7),
    };
    let least = segment.text(amount).filter(|amount| amount != "999");
    let most = most.and_then(|field| segment.text(field)).filter(|most| Some(most) != least.as_ref());
    let unit_field = segment.field(unit);
    let unit = unit_field.component(2).line().or_else(|| types::unit(unit_field));
    match (least, most) {
        (Some(least), Some(most)) => (Some(format!("{least} to {most}")), unit),
        (least, most) => (least.or(most), unit),
    }
}

/// TQ1-3, else the old timing of ORC-7 or RXE-1: `BID`.
fn frequency(group: &Group<'_>) -> Option<String> {
    let of_timing = group.first("TQ1").and_then(|timing| Concept::read(timing.field(3))).map(|concept| concept.words);
    let old = |segment: Option<&Segment<'_>>, field: usize| segment.and_then(|s| s.text_at(field, 2));
    of_timing.or_else(|| old(group.first("RXE"), 1)).or_else(|| old(group.order, 7))
}

fn directions(segment: &Segment<'_>, group: &Group<'_>, draft: &mut Draft) {
    let ordered = group.first("RXO");
    let words = |segment: Option<&Segment<'_>>, field: usize| {
        let concepts = segment.map(|segment| Concept::all(segment.field(field))).unwrap_or_default();
        joined(concepts.into_iter().map(|concept| concept.words))
    };
    let encoded = Some(segment).filter(|segment| segment.is("RXE"));
    let instructions = words(encoded, 7).or_else(|| words(ordered, 7));
    let lines = &mut draft.lines;
    lines.labelled("Instructions", instructions);
    lines.labelled("Pharmacy instructions", words(encoded, 21).or_else(|| words(ordered, 6)));
    if let Some(encoded) = encoded {
        let unit = types::unit(encoded.field(11)).map(|unit| format!(" {unit}")).unwrap_or_default();
        lines.labelled("Quantity", encoded.text(10).map(|quantity| format!("{quantity}{unit}")));
        lines.labelled("Refills", encoded.text(12));
        lines.labelled("Prescription number", types::identifier(encoded.field(15)));
    }
    if segment.is("RXA") {
        lines.labelled("Lot", segment.text(15));
        lines.labelled("Given by", types::clinicians(segment.field(10)));
    }
    for component in group.rest.iter().filter(|segment| segment.is("RXC")).take(50) {
        let name = Concept::read(component.field(2)).map(|concept| concept.words);
        let unit = types::unit(component.field(4)).map(|unit| format!(" {unit}")).unwrap_or_default();
        let amount = component.text(3).map(|amount| format!(", {amount}{unit}")).unwrap_or_default();
        lines.labelled("Component", name.map(|name| format!("{name}{amount}")));
    }
    if let Some(form) = encoded.and_then(|encoded| Concept::read(encoded.field(6))) {
        lines.labelled("Dosage form", Some(form.words));
    }
}
