//! Appointment: when, what for, with whom, and whether they come.

use crate::domain::{FactKind, Kind, Timestamp};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{coded, codes, concept, concepts, joined, moment};
use super::{Page, Resource, notes, status_words};

/// What it is called when it names neither a purpose nor a service.
const UNNAMED: &str = "Appointment";

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let start = body.text("start").or_else(|| body.at("requestedPeriod.start").and_then(Json::as_text));
    let effective = start.and_then(Timestamp::parse);
    let element = body.get("appointmentType").or_else(|| body.list("serviceType").first());
    let display = body
        .text("description")
        .map(tidy::line)
        .or_else(|| concepts(body.list("serviceType")))
        .or_else(|| body.get("appointmentType").and_then(concept))
        .or_else(|| concepts(body.list("specialty")))
        .unwrap_or_else(|| UNNAMED.to_owned());
    let status = body.text("status");
    let time = span(start, body.text("end")).unwrap_or_else(|| "no time set".to_owned());
    let subject = if display == UNNAMED { String::new() } else { format!(", {display}") };
    let coded = element.map(coded).unwrap_or_default();
    let mut lines = Lines::default();
    lines.state(
        &format!("Appointment{}: {time}{subject}{}", status_words(status), element.map(codes).unwrap_or_default()),
        Statement {
            kind: FactKind::Appointment,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: status.map(tidy::line),
            effective,
        },
    );
    lines.labelled("Type", body.get("appointmentType").and_then(concept).filter(|words| *words != display));
    lines.labelled("Service", concepts(body.list("serviceType")).filter(|words| *words != display));
    lines.labelled("Specialty", concepts(body.list("specialty")).filter(|words| *words != display));
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons);
    lines.labelled("Cancellation reason", body.get("cancelationReason").and_then(concept));
    for participant in body.list("participant") {
        lines.labelled("With", participant_words(resource, participant));
    }
    lines.labelled("Duration", body.scalar("minutesDuration").map(|minutes| format!("{minutes} minutes")));
    lines.labelled("Instructions", body.text("patientInstruction").map(tidy::line));
    lines.labelled("Comment", body.text("comment").map(tidy::line));
    notes(&mut lines, body);
    Page { kind: Kind::Appointment, title: display, lines, effective, author: None }
}

/// `2024-05-01 09:00 to 09:30 UTC`
pub(super) fn span(start: Option<&str>, end: Option<&str>) -> Option<String> {
    let start = moment(start?);
    let Some(end) = end.map(moment) else { return Some(start) };
    let (start_day, _) = start.split_once(' ').unwrap_or((&start, ""));
    let Some((end_day, end_time)) = end.split_once(' ') else { return Some(format!("{start} to {end}")) };
    if start_day != end_day {
        return Some(format!("{start} to {end}"));
    }
    let offset = end_time.split_once(' ').map(|(_, offset)| format!(" {offset}")).unwrap_or_default();
    let bare = start.strip_suffix(&offset).unwrap_or(&start);
    Some(format!("{bare} to {end_time}"))
}

fn participant_words(resource: &Resource<'_>, participant: &Json) -> Option<String> {
    let actor = participant.get("actor");
    let name = actor.and_then(|actor| resource.called(actor));
    let role = concepts(participant.list("type"));
    let name = name.or_else(|| role.clone())?;
    let role = role.filter(|role| *role != name);
    let aside = joined([role, participant.text("status").map(tidy::line)].into_iter().flatten());
    Some(format!("{name}{}", aside.map(|aside| format!(" ({aside})")).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn one_day_and_offset_is_named_once() {
        let (start, end) = ("2024-05-01T09:00:00+02:00", "2024-05-01T09:30:00+02:00");
        assert_eq!(span(Some(start), Some(end)).as_deref(), Some("2024-05-01 09:00 to 09:30 +02:00"));
        assert_eq!(span(Some("2024-05-01T09:00:00Z"), None).as_deref(), Some("2024-05-01 09:00 UTC"));
        assert_eq!(span(None, Some(end)), None);
    }
}
