//! OBR with its OBX: a panel or a report is one document, keyed by the order's own number.

use crate::domain::{DocumentStatus, FactKind, Finding, Kind};

use super::draft::{Claim, Draft};
use super::groups::Group;
use super::message::Segment;
use super::observation::{self, Tally};
use super::subject::Subject;
use super::times::Moment;
use super::types::{self, Concept};

/// The document of one request and its results.
pub(super) fn draft(subject: &Subject<'_>, group: &Group<'_>, findings: &mut Vec<Finding>) -> Option<Draft> {
    let request = group.head.filter(|head| head.is("OBR"))?;
    let service = service(request, group)?;
    let moment = |field: usize| subject.header.moment(request.field(field));
    let taken = moment(7).or_else(|| specimen_taken(subject, group));
    let key = subject.item_key("DiagnosticReport", &key(subject, group, request, &service, taken.as_ref()));
    let mut draft = Draft::new(key, Kind::Result, "Observation", &service.words);
    let status = request.text(25).and_then(|status| report_status(&status));
    draft.written = moment(22).map(|moment| moment.instant);
    draft.effective =
        taken.as_ref().map(|taken| taken.instant).or_else(|| observation::first_taken(subject, &group.rest));
    draft.author = interpreter(request);
    heading(&mut draft, &service, status, taken.as_ref());
    let tally = observation::state(subject, &group.rest, taken.as_ref(), &mut draft);
    let Tally { stated, paragraphs, withdrawn, findings: found } = tally;
    findings.extend(found);
    if paragraphs > 0 || stated == 0 {
        draft = draft.with_kind(Kind::Report, "DiagnosticReport");
    }
    if withdrawn > 0 && stated == 0 {
        draft.status = DocumentStatus::EnteredInError;
    }
    details(request, group, &mut draft);
    if let Some(order) = group.order {
        draft.confidential(super::subject::level(order.text(28)));
    }
    Some(draft)
}

/// Observations that belong to no request: to the visit, or to the patient.
pub(super) fn loose(subject: &Subject<'_>, groups: &[Group<'_>], findings: &mut Vec<Finding>) -> Option<Draft> {
    let mut draft = Draft::new(subject.visit_key("Observation"), Kind::Result, "Observation", "Observations");
    let mut tally = Tally::default();
    for group in groups.iter().filter(|group| group.head.is_none()) {
        let own = observations(&group.rest);
        draft.effective = draft.effective.or_else(|| observation::first_taken(subject, &own));
        let of_group = observation::state(subject, &own, None, &mut draft);
        tally.stated += of_group.stated;
        tally.findings.extend(of_group.findings);
    }
    findings.extend(tally.findings);
    if tally.stated == 0 {
        return None;
    }
    // Of another time are other observations; ADT sends those of the visit again and again.
    let message_time = subject.header.at.filter(|_| !subject.header.is("ADT"));
    let key = subject.visit_key("Observation");
    Some(match draft.effective.or(message_time) {
        Some(taken) => draft.keyed(format!("{key}/{taken}")),
        None => draft,
    })
}

/// `OBX` and the notes that follow one; other notes belong to other segments.
fn observations<'a>(segments: &[&'a Segment<'a>]) -> Vec<&'a Segment<'a>> {
    let mut is_within = false;
    let mut kept = Vec::new();
    for segment in segments {
        is_within = segment.is("OBX") || is_within && segment.is("NTE");
        if is_within {
            kept.push(*segment);
        }
    }
    kept
}

/// What was asked for; a procedure code or an observation's name where the request itself is not named.
fn service(request: &Segment<'_>, group: &Group<'_>) -> Option<Concept> {
    let named = Concept::read(request.field(4)).or_else(|| Concept::read(request.field(44)));
    named.or_else(|| {
        let observed = group.rest.iter().find(|segment| segment.is("OBX"))?;
        Concept::read(observed.field(3)).or(Some(Concept::named("Result".to_owned())))
    })
}

/// The filler's number, else the placer's, with the service: one order may have several.
fn key(
    subject: &Subject<'_>,
    group: &Group<'_>,
    request: &Segment<'_>,
    service: &Concept,
    taken: Option<&Moment>,
) -> String {
    let of_order = |field: usize| group.order.and_then(|order| types::identifier(order.field(field)));
    let number = types::identifier(request.field(3))
        .or_else(|| of_order(3))
        .or_else(|| types::identifier(request.field(2)))
        .or_else(|| of_order(2));
    let code = service.code().unwrap_or(&service.words).to_owned();
    match (number, taken) {
        (Some(number), _) => format!("{number}/{code}"),
        (None, Some(taken)) => format!("{}/{code}/{}", subject.local, taken.instant),
        (None, None) => {
            let place = request.text(1).unwrap_or_else(|| request.position.to_string());
            let message = subject.header.control_id.as_deref().unwrap_or("unnumbered");
            format!("{}/{code}/{message}/{place}", subject.local)
        }
    }
}

fn specimen_taken(subject: &Subject<'_>, group: &Group<'_>) -> Option<Moment> {
    subject.header.moment(group.first("SPM")?.field(17))
}

fn heading(draft: &mut Draft, service: &Concept, status: Option<&'static str>, taken: Option<&Moment>) {
    let aside = taken.map(|taken| taken.words()).into_iter().chain(status.map(str::to_owned)).collect::<Vec<_>>();
    let aside = if aside.is_empty() { String::new() } else { format!(" ({})", aside.join(", ")) };
    let line = format!("{}{aside}{}", service.words, service.aside());
    let is_outcome = matches!(status, Some("cancelled, no result" | "no result yet"));
    if is_outcome {
        let claim = Claim { value: None, status: status.map(str::to_owned), effective: draft.effective };
        draft.state(&line, FactKind::Observation, service, claim);
    } else {
        draft.mark(service);
        draft.lines.push(&line);
    }
}

/// HL7 table 0123.
fn report_status(code: &str) -> Option<&'static str> {
    Some(match code.to_ascii_uppercase().as_str() {
        "F" => "final",
        "P" => "preliminary",
        "R" => "not verified",
        "A" => "partial",
        "C" => "corrected",
        "M" => "corrected, previously final",
        "X" => "cancelled, no result",
        "O" | "S" | "I" => "no result yet",
        _ => return None,
    })
}

fn details(request: &Segment<'_>, group: &Group<'_>, draft: &mut Draft) {
    let specimen = group.first("SPM");
    let material = specimen.and_then(|specimen| Concept::read(specimen.field(4)));
    let site = specimen.and_then(|specimen| Concept::read(specimen.field(8)));
    let old = request.field(15);
    let material = material.map(|concept| concept.words).or_else(|| old.component(1).subcomponent(2).line());
    let rejected = specimen.map(|specimen| Concept::all(specimen.field(21))).unwrap_or_default();
    let laboratory = group.rest.iter().filter(|segment| segment.is("OBX"));
    let laboratory = laboratory.filter_map(|segment| types::organization(segment.field(23)));
    let lines = &mut draft.lines;
    lines.labelled("Specimen", material);
    lines.labelled("Specimen site", site.map(|concept| concept.words));
    lines.labelled("Clinical information", request.field(13).line());
    lines.labelled("Ordered by", types::clinicians(request.field(16)));
    lines.labelled("Interpreted by", interpreter(request));
    lines.labelled("Performed by", types::joined(laboratory.take(20)));
    lines.labelled("Results of", types::identifier(request.field(29)).map(|parent| format!("order {parent}")));
    draft.concepts("Reason", &Concept::all(request.field(31)));
    draft.concepts("Specimen rejected", &rejected);
    let number = types::identifier(request.field(3)).or_else(|| types::identifier(request.field(2)));
    draft.lines.labelled("Order number", number);
}

/// OBR-32 holds its name in subcomponents: `id&family&given`.
fn interpreter(request: &Segment<'_>) -> Option<String> {
    let person = request.field(32).component(1);
    let leaf = |number: usize| person.subcomponent(number).line();
    let name = [leaf(3), leaf(2)].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if name.is_empty() { types::clinician(request.field(32)) } else { Some(name) }
}
