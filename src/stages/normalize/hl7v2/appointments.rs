//! SCH and its resources: one appointment, whatever becomes of it, under the scheduling system's own number.

use crate::domain::{FactKind, Kind, Removal};

use super::draft::{Claim, Draft};
use super::header::Header;
use super::message::{Message, Segment};
use super::subject::Subject;
use super::times::Moment;
use super::types::{self, Concept, joined};

/// Resources that are named of one appointment.
const MAX_RESOURCES: usize = 200;

/// S17: booked by mistake. It takes no patient to say so.
pub(super) fn removals(message: &Message<'_>, header: &Header) -> Vec<Removal> {
    if !header.is_event("SIU", &["S17"]) {
        return Vec::new();
    }
    let schedules = message.segments.iter().filter(|segment| segment.is("SCH"));
    let ids = schedules.filter_map(number).map(|id| format!("Appointment/{id}"));
    ids.map(|source_key| Removal { source_key, at: header.at }).collect()
}

/// The filler's number, else the placer's.
fn number(schedule: &Segment<'_>) -> Option<String> {
    types::identifier(schedule.field(2)).or_else(|| types::identifier(schedule.field(1)))
}

/// The appointment's document; resources stand behind all patients, so the whole message is looked at.
pub(super) fn draft(subject: &Subject<'_>, message: &Message<'_>) -> Option<Draft> {
    let schedule = subject.first("SCH")?;
    let header = subject.header;
    if header.is_event("SIU", &["S17"]) {
        return None;
    }
    let resources: Vec<&Segment<'_>> = message
        .segments
        .iter()
        .filter(|segment| matches!(segment.name.as_str(), "AIS" | "AIG" | "AIL" | "AIP"))
        .filter(|segment| segment.text(2).as_deref() != Some("D") || header.is_event("SIU", &["S15", "S16"]))
        .take(MAX_RESOURCES)
        .collect();
    let (start, end) = span(subject, schedule, &resources);
    let number = number(schedule);
    if number.is_none() && start.is_none() {
        return None;
    }
    let number = number.unwrap_or_else(|| {
        let start = start.as_ref().map(|start| start.instant.to_string());
        format!("{}/{}", subject.local, start.unwrap_or_default())
    });
    let status = status(header, schedule);
    let concept = subject_matter(schedule, &resources);
    let key = subject.item_key("Appointment", &number);
    let mut draft = Draft::new(key, Kind::Appointment, "Appointment", &concept.words);
    draft.effective = start.as_ref().map(|start| start.instant);
    let time = match (&start, &end) {
        (Some(start), Some(end)) => start.until(end),
        (Some(start), None) => start.words(),
        _ => "no time set".to_owned(),
    };
    let line = format!("Appointment ({status}): {time}, {}{}", concept.words, concept.aside());
    let is_off = matches!(status.as_str(), "cancelled" | "no show");
    let claim = Claim { value: None, status: Some(status), effective: draft.effective };
    draft.state(&line, FactKind::Appointment, &concept, claim);
    details(schedule, &resources, &concept, is_off, &mut draft);
    notes(message, &mut draft);
    Some(draft)
}

/// TQ1-7 and TQ1-8, else SCH-11, else the first resource that has a time.
fn span(subject: &Subject<'_>, schedule: &Segment<'_>, resources: &[&Segment<'_>]) -> (Option<Moment>, Option<Moment>) {
    let header = subject.header;
    let timing = subject.first("TQ1");
    let of_timing = |field: usize| timing.and_then(|timing| header.moment(timing.field(field)));
    let of_resource = resources.iter().find_map(|resource| {
        let (start, duration, unit) = match resource.name.as_str() {
            "AIS" => (4, 7, 8),
            "AIG" => (8, 11, 12),
            _ => (6, 9, 10),
        };
        let start = header.moment(resource.field(start))?;
        let end = minutes(resource.text(duration), resource.text(unit)).and_then(|minutes| start.later(minutes));
        Some((start, end))
    });
    let of_schedule = |component: usize| header.moment(schedule.field(11).component(component));
    let (first, last) = of_resource.unzip();
    // TQ1 took the place of SCH-11 in 2.5, and what is left in SCH-11 since is not kept up.
    let start = of_timing(7).or_else(|| of_schedule(4)).or(first);
    let lasts = minutes(schedule.text(9), schedule.text(10));
    let later = |start: &Moment| lasts.and_then(|minutes| start.later(minutes));
    let end = of_timing(8).or_else(|| of_schedule(5)).or_else(|| start.as_ref().and_then(later)).or(last.flatten());
    let is_after = |end: &Moment| start.as_ref().is_none_or(|start| end.instant > start.instant);
    (start.clone(), end.filter(is_after))
}

fn minutes(duration: Option<String>, unit: Option<String>) -> Option<i64> {
    let duration = duration?.parse::<f64>().ok().filter(|duration| (0.0..100_000.0).contains(duration))?;
    let unit = unit.unwrap_or_default().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "s" | "sec" | "seconds" => 1.0 / 60.0,
        "h" | "hr" | "hour" | "hours" => 60.0,
        "d" | "day" | "days" => 24.0 * 60.0,
        _ => 1.0,
    };
    // Bounded above, so nothing is cut off.
    Some((duration * factor).round() as i64).filter(|minutes| *minutes > 0)
}

/// What the event makes of it; else what SCH-25 says.
fn status(header: &Header, schedule: &Segment<'_>) -> String {
    if header.is("SIU") {
        match header.trigger.as_str() {
            "S15" | "S16" => return "cancelled".to_owned(),
            "S26" => return "no show".to_owned(),
            _ => {}
        }
    }
    let stated = Concept::read(schedule.field(25));
    let code = stated.as_ref().and_then(Concept::code).unwrap_or_default().to_ascii_lowercase();
    let known = match code.as_str() {
        "" | "booked" | "active" | "confirmed" | "scheduled" => "booked",
        "cancelled" | "canceled" | "dc" | "can" => "cancelled",
        "noshow" | "no show" | "no-show" => "no show",
        "complete" | "completed" => "fulfilled",
        "started" | "arrived" => "arrived",
        "pending" | "waitlist" | "proposed" => "pending",
        "deleted" => "cancelled",
        _ => return stated.map(|status| status.words.to_lowercase()).unwrap_or(code),
    };
    known.to_owned()
}

/// The service that was booked, else the reason, else the type of appointment.
fn subject_matter(schedule: &Segment<'_>, resources: &[&Segment<'_>]) -> Concept {
    let service = resources.iter().filter(|resource| resource.is("AIS")).find_map(|r| Concept::read(r.field(3)));
    let reason = || Concept::read(schedule.field(7)).filter(|reason| !is_general(&reason.words));
    let kind = || Concept::read(schedule.field(8)).filter(|kind| !is_general(&kind.words));
    service.or_else(reason).or_else(kind).unwrap_or_else(|| Concept::named("visit".to_owned()))
}

/// Words that stand for no reason in particular (HL7 tables 0276 and 0277).
fn is_general(words: &str) -> bool {
    matches!(words.to_ascii_lowercase().as_str(), "normal" | "routine" | "tentative" | "complete")
}

fn details(schedule: &Segment<'_>, resources: &[&Segment<'_>], concept: &Concept, is_off: bool, draft: &mut Draft) {
    let of = |field: usize| Concept::read(schedule.field(field)).filter(|given| given.words != concept.words);
    let label = if is_off { "Reason for the change" } else { "Event" };
    let reasons: Vec<Concept> = of(7).into_iter().collect();
    draft.concepts("Reason", &reasons);
    draft.lines.labelled(label, of(6).map(|concept| concept.words));
    draft.lines.labelled("Type", of(8).map(|concept| concept.words));
    let named = |name: &'static str| resources.iter().filter(move |resource| resource.is(name));
    let services: Vec<Concept> = named("AIS")
        .filter_map(|r| Concept::read(r.field(3)))
        .filter(|service| service.words != concept.words)
        .collect();
    draft.concepts("Further service", &services);
    let with_role = |name: Option<String>, role: Option<Concept>| {
        let role = role.map(|role| format!(" ({})", role.words)).unwrap_or_default();
        name.map(|name| format!("{name}{role}"))
    };
    let people = named("AIP").filter_map(|r| with_role(types::clinicians(r.field(3)), Concept::read(r.field(4))));
    draft.lines.labelled("With", joined(people));
    draft.lines.labelled("Where", joined(named("AIL").filter_map(|r| types::place(r.field(3)))));
    let things = named("AIG")
        .filter_map(|r| with_role(Concept::read(r.field(3)).map(|thing| thing.words), Concept::read(r.field(4))));
    draft.lines.labelled("Resource", joined(things));
    draft.lines.labelled("Booked by", types::clinicians(schedule.field(20)));
    draft.lines.labelled("Contact", types::clinicians(schedule.field(16)));
}

/// Every note of the message: they stand behind the schedule or one of its resources.
fn notes(message: &Message<'_>, draft: &mut Draft) {
    let text = message.segments.iter().filter(|segment| segment.is("NTE")).take(MAX_RESOURCES);
    for note in text {
        draft.lines.labelled("Note", note.field(3).line());
    }
}
