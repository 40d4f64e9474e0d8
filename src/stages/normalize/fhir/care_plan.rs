//! CarePlan: what is intended for a patient, activity by activity.

use crate::domain::{FactKind, Kind};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{Coded, coded, codes, concept, concepts, joined, when};
use super::{Page, Resource, notes, status_words};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let period = when(body, "period");
    let created = when(body, "created");
    let categories = concepts(body.list("category"));
    let display =
        body.text("title").map(tidy::line).or_else(|| categories.clone()).unwrap_or_else(|| "Care plan".to_owned());
    let details = match (&period.words, &created.words) {
        (Some(words), _) => format!(", {words}"),
        (None, Some(words)) => format!(", created {words}"),
        (None, None) => String::new(),
    };
    let element = body.list("category").first();
    let coded = element.map(coded).unwrap_or_default();
    let effective = period.instant.or(created.instant);
    let statement = |coded: Coded, display: &str, status: Option<&str>| Statement {
        kind: FactKind::CarePlan,
        system: coded.system,
        code: coded.code,
        display: display.to_owned(),
        value: None,
        status: status.map(tidy::line),
        effective,
    };
    let status = body.text("status");
    let mut lines = Lines::default();
    lines.state(
        &format!("Care plan{}: {display}{details}{}", status_words(status), element.map(codes).unwrap_or_default()),
        statement(coded, &display, status),
    );
    lines.labelled("Category", categories.filter(|categories| *categories != display));
    lines.labelled("Description", body.text("description").map(tidy::line));
    lines.labelled("Addresses", resource.all_called(body.list("addresses")));
    lines.labelled("Goal", goals(resource));
    for activity in body.list("activity") {
        let Some((name, detail)) = activity_words(resource, activity) else { continue };
        let status = detail.and_then(|detail| detail.text("status"));
        let forbidden = detail.and_then(|detail| detail.flag("doNotPerform")) == Some(true);
        let heading = if forbidden { "To avoid" } else { "Activity" };
        let scheduled = detail.map(|detail| when(detail, "scheduled")).unwrap_or_default();
        let scheduled = scheduled.words.map(|words| format!(", {words}")).unwrap_or_else(|| details.clone());
        let element = detail.and_then(|detail| detail.get("code"));
        lines.state(
            &format!("{heading}{}: {name}{scheduled}{}", status_words(status), element.map(codes).unwrap_or_default()),
            statement(
                element.map(super::elements::coded).unwrap_or_default(),
                &name,
                if forbidden { Some("do-not-perform") } else { status },
            ),
        );
    }
    notes(&mut lines, body);
    let author = body.get("author").and_then(|author| resource.called(author));
    Page { kind: Kind::CarePlan, title: display, lines, effective, author }
}

fn activity_words<'a>(resource: &Resource<'a>, activity: &'a Json) -> Option<(String, Option<&'a Json>)> {
    let Some(detail) = activity.get("detail") else {
        return Some((resource.called(activity.get("reference")?)?, None));
    };
    let name = detail.get("code").and_then(concept);
    let description = detail.text("description").map(tidy::line);
    let name = joined([name, description].into_iter().flatten())?.replacen("; ", " - ", 1);
    Some((name, Some(detail)))
}

/// Goals by their display, or by the description of a contained Goal.
fn goals(resource: &Resource<'_>) -> Option<String> {
    joined(resource.body.list("goal").iter().filter_map(|goal| {
        let contained = || resource.contained_at(goal)?.get("description").and_then(concept);
        contained().or_else(|| resource.called(goal))
    }))
}
