//! PV1 and PV2: the visit, its standing after the event that the message tells of.

use crate::domain::{FactKind, Kind, Removal};

use super::draft::{Claim, Draft};
use super::message::{Part, Segment};
use super::subject::{Subject, encounter_key};
use super::times::Moment;
use super::types::{self, Concept};

/// What an ADT event makes of the visit: status, and the event in words.
fn event(trigger: &str) -> Option<(Option<&'static str>, &'static str)> {
    Some(match trigger {
        "A01" => (Some("in-progress"), "admitted"),
        "A02" => (Some("in-progress"), "transferred"),
        "A03" => (Some("finished"), "discharged"),
        "A04" => (Some("in-progress"), "registered"),
        "A05" => (Some("planned"), "pre-admitted"),
        "A06" => (Some("in-progress"), "changed from outpatient to inpatient"),
        "A07" => (Some("in-progress"), "changed from inpatient to outpatient"),
        "A09" => (Some("in-progress"), "left the department"),
        "A10" => (Some("in-progress"), "arrived at the department"),
        "A11" => (Some("cancelled"), "admission cancelled"),
        "A12" => (Some("in-progress"), "transfer cancelled"),
        "A13" => (Some("in-progress"), "discharge cancelled"),
        "A14" => (Some("planned"), "admission pending"),
        "A15" => (Some("in-progress"), "transfer pending"),
        "A16" => (Some("in-progress"), "discharge pending"),
        "A17" => (Some("in-progress"), "bed swapped"),
        "A21" => (Some("onleave"), "left on leave of absence"),
        "A22" => (Some("in-progress"), "returned from leave of absence"),
        "A25" => (Some("in-progress"), "pending discharge cancelled"),
        "A26" => (Some("in-progress"), "pending transfer cancelled"),
        "A27" => (Some("cancelled"), "pending admission cancelled"),
        "A32" => (None, "arrival cancelled"),
        "A33" => (None, "departure cancelled"),
        "A38" => (Some("cancelled"), "pre-admission cancelled"),
        "A52" => (Some("in-progress"), "leave of absence cancelled"),
        "A53" => (Some("onleave"), "return from leave of absence cancelled"),
        "A54" => (None, "attending clinician changed"),
        _ => return None,
    })
}

/// The visit's document; `None` where the message tells of no visit.
pub(super) fn draft(subject: &Subject<'_>) -> Option<Draft> {
    let visit = subject.first("PV1")?;
    let class = visit.text(2);
    let (admitted, discharged) = (subject.header.moment(visit.field(44)), subject.header.moment(visit.field(45)));
    let is_adt = subject.header.is("ADT");
    let event = event(&subject.header.trigger).filter(|_| is_adt);
    if class.as_deref() == Some("N") || event.is_none() && (admitted.is_none() || subject.visit.is_none()) {
        return None;
    }
    let key = key(subject, admitted.as_ref())?;
    let discharged = discharged.filter(|_| subject.header.trigger != "A13");
    let status = match event {
        Some((Some("in-progress"), _)) if discharged.is_some() && subject.header.trigger != "A12" => Some("finished"),
        Some((status, _)) => status,
        None if discharged.is_some() => Some("finished"),
        None => None,
    };
    let subject_matter = class_words(class.as_deref());
    let concept = Concept::named(format!("{subject_matter} encounter"));
    let mut draft = Draft::new(key, Kind::Encounter, "Encounter", &title(&concept.words, visit));
    draft.effective = admitted.as_ref().or(discharged.as_ref()).map(|moment| moment.instant);
    let period = period(admitted.as_ref(), discharged.as_ref());
    let standing = status.map(|status| format!(" ({})", status.replace('-', " "))).unwrap_or_default();
    let place = types::place(visit.field(3)).map(|place| format!(", {place}")).unwrap_or_default();
    let line = format!("{}{standing}{}{place}", concept.words, period.map(|p| format!(": {p}")).unwrap_or_default());
    let claim = Claim { value: None, status: status.map(str::to_owned), effective: draft.effective };
    draft.state(&line, FactKind::Encounter, &concept, claim);
    details(subject, visit, event.map(|(_, words)| words), &mut draft);
    Some(draft)
}

/// A23 deletes the visit; a visit that was merged, moved or numbered anew loses its old number.
pub(super) fn removals(subject: &Subject<'_>) -> Vec<Removal> {
    let trigger = subject.header.trigger.as_str();
    if !subject.header.is("ADT") {
        return Vec::new();
    }
    let own = (trigger == "A23").then(|| subject.encounter.clone()).flatten();
    let merged = ["A06", "A07", "A41", "A42", "A49", "A50"].contains(&trigger).then(|| {
        let merge = subject.first("MRG")?;
        let account = || types::identifier(merge.field(3)).filter(|_| !matches!(trigger, "A06" | "A07"));
        let former = types::identifier(merge.field(5)).or_else(account)?;
        Some(encounter_key(&former)).filter(|former| Some(former) != subject.encounter.as_ref())
    });
    own.into_iter().chain(merged.flatten()).map(|key| subject.removal(key)).collect()
}

fn key(subject: &Subject<'_>, admitted: Option<&Moment>) -> Option<String> {
    let suffix = if subject.header.is("ADT") { String::new() } else { format!("#{}", subject.header.kind) };
    if let Some(encounter) = &subject.encounter {
        return Some(format!("{encounter}{suffix}"));
    }
    // Without a number, the patient's visit of that moment.
    let moment = admitted.map(|admitted| admitted.instant).or(subject.header.at)?;
    Some(format!("Encounter/{}@{moment}{suffix}", subject.local))
}

fn title(words: &str, visit: &Segment<'_>) -> String {
    match types::place(visit.field(3)) {
        Some(place) => format!("{words}, {place}"),
        None => words.to_owned(),
    }
}

fn period(admitted: Option<&Moment>, discharged: Option<&Moment>) -> Option<String> {
    match (admitted, discharged) {
        (Some(start), Some(end)) => Some(start.until(end)),
        (Some(start), None) => Some(format!("since {}", start.words())),
        (None, Some(end)) => Some(format!("until {}", end.words())),
        (None, None) => None,
    }
}

fn details(subject: &Subject<'_>, visit: &Segment<'_>, event: Option<&str>, draft: &mut Draft) {
    if let Some(event) = event {
        let when = subject.header.occurred.as_ref().map(|when| format!(" ({})", when.words()));
        draft.lines.labelled("Last event", Some(format!("{event}{}", when.unwrap_or_default())));
    }
    let is_psychiatric = visit.text(10).is_some_and(|service| service.to_ascii_uppercase().starts_with("PSY"));
    if is_psychiatric {
        draft.sensitive("PSY");
    }
    let more = subject.first("PV2");
    if let Some(more) = more {
        draft.concepts("Reason for admission", &Concept::all(more.field(3)));
        draft.lines.labelled("Visit", more.field(12).line());
        let expected = |field: usize| subject.header.moment(more.field(field)).map(|moment| moment.words());
        draft.lines.labelled("Expected admission", expected(8));
        draft.lines.labelled("Expected discharge", expected(9));
    }
    let lines = &mut draft.lines;
    lines.labelled("Visit number", types::identifier(visit.field(19)));
    lines.labelled("Previous location", types::place(visit.field(6)));
    lines.labelled("Attending", types::clinicians(visit.field(7)));
    lines.labelled("Referred by", types::clinicians(visit.field(8)));
    lines.labelled("Consulting", types::clinicians(visit.field(9)));
    lines.labelled("Admitted by", types::clinicians(visit.field(17)));
    lines.labelled("Type of admission", admission_type(visit.field(4)));
    lines.labelled("Hospital service", words(visit.field(10)).map(service));
    lines.labelled("Patient type", words(visit.field(18)));
    if subject.header.trigger != "A13" {
        lines.labelled("Disposition", words(visit.field(36)));
        lines.labelled("Discharged to", words(visit.field(37)));
    }
    for accident in subject.every("ACC") {
        let code = Concept::read(accident.field(2)).map(|concept| concept.words);
        let when = subject.header.moment(accident.field(1)).map(|when| when.words());
        let parts = [when, code, accident.field(3).line()].into_iter().flatten().collect::<Vec<_>>();
        lines.labelled("Accident", Some(parts.join(", ")));
    }
}

fn words(field: Part<'_>) -> Option<String> {
    Concept::read(field).map(|concept| concept.words)
}

/// HL7 table 0069, where only the code was sent.
fn service(code: String) -> String {
    let known = match code.as_str() {
        "MED" => "medical",
        "SUR" => "surgical",
        "CAR" => "cardiac",
        "PUL" => "pulmonary",
        "URO" => "urology",
        _ => return code,
    };
    known.to_owned()
}

/// HL7 table 0007.
fn admission_type(field: Part<'_>) -> Option<String> {
    let words = words(field)?;
    let known = match words.as_str() {
        "A" => "accident",
        "C" => "elective",
        "E" => "emergency",
        "L" => "labour and delivery",
        "N" => "newborn",
        "R" => "routine",
        "U" => "urgent",
        _ => return Some(words),
    };
    Some(known.to_owned())
}

/// HL7 table 0004.
fn class_words(code: Option<&str>) -> String {
    let known = match code.map(str::to_ascii_uppercase).as_deref() {
        Some("E" | "EMER") => "Emergency",
        Some("I" | "IMP") => "Inpatient",
        Some("O" | "AMB") => "Outpatient",
        Some("P") => "Pre-admission",
        Some("R") => "Recurring outpatient",
        Some("B") => "Obstetric",
        Some("C") => "Commercial account",
        Some("OBS") => "Observation",
        _ => "Hospital",
    };
    known.to_owned()
}
