//! Schedule, Slot and AppointmentResponse: whose time, which part of it is free, and who comes.

use crate::domain::{FactKind, Kind, Timestamp};

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::appointment::span;
use super::elements::{concept, concepts, joined, period};
use super::headline::Headline;
use super::{Page, Resource};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    match resource.name {
        "Slot" => slot(resource),
        "AppointmentResponse" => response(resource),
        _ => schedule(resource),
    }
}

/// What may be booked: its services, else its kind of appointment, else the specialty.
fn purpose(body: &Json) -> Option<String> {
    concepts(body.list("serviceType"))
        .or_else(|| body.get("appointmentType").and_then(concept))
        .or_else(|| concepts(body.list("specialty")))
        .or_else(|| concepts(body.list("serviceCategory")))
}

fn more(lines: &mut Lines, body: &Json, display: &str) {
    let new = |words: Option<String>| words.filter(|words| words != display);
    lines.labelled("Type", new(body.get("appointmentType").and_then(concept)));
    lines.labelled("Service category", new(concepts(body.list("serviceCategory"))));
    lines.labelled("Specialty", new(concepts(body.list("specialty"))));
    lines.labelled("Comment", body.text("comment").map(tidy::line));
}

fn schedule(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let of = resource.all_called(body.list("actor"));
    let purpose = purpose(body);
    let display = of.clone().or_else(|| purpose.clone()).unwrap_or_else(|| "Schedule".to_owned());
    let horizon = body.get("planningHorizon");
    let effective = horizon.and_then(|span| span.text("start")).and_then(Timestamp::parse);
    let mut lines = Lines::default();
    Headline {
        status: body.flag("active").map(|active| if active { "active" } else { "not in use" }),
        details: vec![horizon.and_then(period), purpose.filter(|purpose| *purpose != display)],
        concept: body.list("serviceType").first(),
        effective,
        ..Headline::new(FactKind::Appointment, "Schedule", &display)
    }
    .state(&mut lines);
    more(&mut lines, body, &display);
    Page { kind: Kind::Appointment, title: format!("Schedule: {display}"), lines, effective, author: None }
}

fn slot(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let purpose = purpose(body);
    let display = span(body.text("start"), body.text("end")).unwrap_or_else(|| "no time set".to_owned());
    let effective = body.text("start").and_then(Timestamp::parse);
    let whose = body.get("schedule").and_then(|schedule| {
        let named = || {
            joined(
                resource
                    .looked_up(schedule)?
                    .list("actor")
                    .iter()
                    .filter_map(|actor| actor.text("display").map(tidy::line)),
            )
        };
        resource.called(schedule).or_else(named)
    });
    let title = purpose.as_ref().map(|purpose| format!("Slot: {purpose}")).unwrap_or_else(|| "Slot".to_owned());
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![purpose.clone(), (body.flag("overbooked") == Some(true)).then(|| "overbooked".to_owned())],
        concept: body.get("appointmentType").or_else(|| body.list("serviceType").first()),
        effective,
        ..Headline::new(FactKind::Appointment, "Slot", &display)
    }
    .state(&mut lines);
    lines.labelled("Schedule", whose);
    more(&mut lines, body, purpose.as_deref().unwrap_or_default());
    Page { kind: Kind::Appointment, title, lines, effective, author: None }
}

fn response(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let actor =
        body.get("actor").and_then(|actor| resource.called(actor)).or_else(|| concepts(body.list("participantType")));
    let display = actor.unwrap_or_else(|| "Appointment response".to_owned());
    let effective = body.text("start").and_then(Timestamp::parse);
    let mut lines = Lines::default();
    Headline {
        status: body.text("participantStatus"),
        details: vec![
            span(body.text("start"), body.text("end")),
            body.get("appointment")
                .and_then(|appointment| resource.called(appointment))
                .map(|words| format!("to {words}")),
        ],
        effective,
        ..Headline::new(FactKind::Appointment, "Appointment response", &display)
    }
    .state(&mut lines);
    lines.labelled("Taking part as", concepts(body.list("participantType")).filter(|words| *words != display));
    lines.labelled("Comment", body.text("comment").map(tidy::line));
    Page { kind: Kind::Appointment, title: "Appointment response".to_owned(), lines, effective, author: None }
}
