//! CareTeam, Goal and EpisodeOfCare: who looks after somebody, to what end, for how long.

use crate::domain::{FactKind, Kind};

use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, date, joined, period, value, when};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    match resource.name {
        "Goal" => goal(resource),
        "EpisodeOfCare" => episode(resource),
        _ => team(resource),
    }
}

fn team(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let display = body
        .text("name")
        .map(tidy::line)
        .or_else(|| concepts(body.list("category")))
        .unwrap_or_else(|| "Care team".to_owned());
    let span = when(body, "period");
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![span.words],
        concept: body.list("category").first(),
        effective: span.instant,
        ..Headline::new(FactKind::CarePlan, "Care team", &display)
    }
    .state(&mut lines);
    lines.labelled("Category", concepts(body.list("category")).filter(|words| *words != display));
    for participant in body.list("participant") {
        let member = participant.get("member").and_then(|member| resource.called(member));
        let role = concepts(participant.list("role"));
        let during = participant.get("period").and_then(period);
        let Some(name) = member.or_else(|| role.clone()) else { continue };
        let of = participant.get("onBehalfOf").and_then(|organization| resource.called(organization));
        let details = vec![role.filter(|role| *role != name), of.map(|of| format!("for {of}")), during];
        Headline { details, ..Headline::new(FactKind::CarePlan, "Member", &name) }.state(&mut lines);
    }
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons);
    lines.labelled("Organization", resource.all_called(body.list("managingOrganization")));
    for contact in body.list("telecom") {
        lines.labelled("Reached by", contact.text("value").map(tidy::line));
    }
    notes(&mut lines, body);
    Page { kind: Kind::CarePlan, title: display, lines, effective: span.instant, author: None }
}

fn goal(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let described = body.get("description").and_then(concept);
    let display = described.or_else(|| super::narrative(body)).unwrap_or_else(|| "Goal".to_owned());
    let start = when(body, "start");
    let since = start.words.clone().map(|day| format!("since {day}"));
    let achieved = body.get("achievementStatus").and_then(concept).map(|words| words.to_lowercase());
    let mut lines = Lines::default();
    Headline {
        status: body.text("lifecycleStatus").or_else(|| body.text("status")),
        details: vec![since, achieved, body.get("priority").and_then(concept).map(|words| words.to_lowercase())],
        concept: body.get("description"),
        effective: start.instant,
        ..Headline::new(FactKind::CarePlan, "Goal", &display)
    }
    .state(&mut lines);
    for target in body.list("target") {
        let due = target.text("dueDate").map(date).or_else(|| super::elements::quantity(target.get("dueDuration")?));
        let measure = target.get("measure").and_then(concept);
        let Some((name, sought)) =
            measure.clone().or(Some(display.clone())).zip(value(target, "detail").map(Some).or(Some(None)))
        else {
            continue;
        };
        if sought.is_none() && due.is_none() && measure.is_none() {
            continue;
        }
        let words = sought.as_ref().map(|(words, _)| words.clone());
        Headline {
            details: vec![words, due.map(|due| format!("due {due}"))],
            concept: target.get("measure"),
            value: sought.map(|(_, value)| value),
            effective: target.text("dueDate").and_then(crate::domain::Timestamp::parse),
            ..Headline::new(FactKind::CarePlan, "Target", &name)
        }
        .state(&mut lines);
    }
    lines.labelled("Category", concepts(body.list("category")));
    lines.labelled("Addresses", resource.all_called(body.list("addresses")));
    lines.labelled("Status reason", body.text("statusReason").map(tidy::line));
    let outcome = concepts(body.list("outcomeCode")).or_else(|| resource.all_called(body.list("outcomeReference")));
    lines.labelled("Outcome", outcome);
    notes(&mut lines, body);
    let author = body.get("expressedBy").and_then(|person| resource.called(person));
    Page { kind: Kind::CarePlan, title: display, lines, effective: start.instant, author }
}

fn episode(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let display = concepts(body.list("type")).unwrap_or_else(|| "Episode of care".to_owned());
    let span = when(body, "period");
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![span.words],
        concept: body.list("type").first(),
        effective: span.instant,
        ..Headline::new(FactKind::Encounter, "Episode of care", &display)
    }
    .state(&mut lines);
    for diagnosis in body.list("diagnosis") {
        let role = diagnosis.get("role").and_then(concept).map(|role| format!(" ({role})")).unwrap_or_default();
        let condition = diagnosis.get("condition").and_then(|condition| resource.called(condition));
        lines.labelled("Diagnosis", condition.map(|condition| format!("{condition}{role}")));
    }
    for past in body.list("statusHistory") {
        let parts = [past.text("status").map(tidy::line), past.get("period").and_then(period)];
        lines.labelled("Earlier status", joined(parts.into_iter().flatten()).map(|words| words.replace("; ", ", ")));
    }
    lines.labelled("Care manager", body.get("careManager").and_then(|person| resource.called(person)));
    lines.labelled("Care team", resource.all_called(body.list("team")));
    lines.labelled("Organization", body.get("managingOrganization").and_then(|place| resource.called(place)));
    Page { kind: Kind::Encounter, title: display, lines, effective: span.instant, author: None }
}
