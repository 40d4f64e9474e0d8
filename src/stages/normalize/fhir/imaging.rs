//! ImagingStudy and Specimen: what was pictured or taken, where and how.

use crate::domain::{FactKind, Kind, Timestamp};

use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, joined, quantity, when};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    if resource.name == "Specimen" { specimen(resource) } else { study(resource) }
}

fn study(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let modalities = concepts(body.list("modality"));
    let described = body.text("description").map(tidy::line);
    let sites = body.list("series").iter().filter_map(|series| concept(series.get("bodySite")?));
    let display = described
        .or_else(|| concepts(body.list("procedureCode")))
        .or_else(|| modalities.clone())
        .or_else(|| joined(sites));
    let display = display.unwrap_or_else(|| "Imaging study".to_owned());
    let started = when(body, "started");
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![started.words],
        concept: body.list("procedureCode").first(),
        effective: started.instant,
        ..Headline::new(FactKind::Procedure, "Imaging study", &display)
    }
    .state(&mut lines);
    lines.labelled("Modality", modalities.filter(|words| *words != display));
    lines.labelled("Procedure", concepts(body.list("procedureCode")).filter(|words| *words != display));
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons);
    for series in body.list("series") {
        let parts = [
            series.get("modality").and_then(concept),
            series.get("bodySite").and_then(concept),
            series.get("laterality").and_then(concept),
            series.text("description").map(tidy::line),
            series.scalar("numberOfInstances").map(|count| format!("{} images", tidy::line(count))),
        ];
        lines.labelled("Series", joined(parts.into_iter().flatten()).map(|words| words.replace("; ", ", ")));
    }
    lines.labelled("Requested by", body.get("referrer").and_then(|person| resource.called(person)));
    lines.labelled("Location", body.get("location").and_then(|place| resource.called(place)));
    notes(&mut lines, body);
    let author = resource.all_called(body.list("interpreter"));
    Page { kind: Kind::Procedure, title: display, lines, effective: started.instant, author }
}

fn specimen(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let display = body.get("type").and_then(concept).unwrap_or_else(|| "Specimen".to_owned());
    let collection = body.get("collection");
    let collected = collection.map(|collection| when(collection, "collected")).unwrap_or_default();
    let received = body.text("receivedTime");
    let effective = collected.instant.or_else(|| received.and_then(Timestamp::parse));
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![collected.words.map(|day| format!("collected {day}"))],
        concept: body.get("type"),
        effective,
        ..Headline::new(FactKind::Observation, "Specimen", &display)
    }
    .state(&mut lines);
    lines.labelled("Number", body.at("accessionIdentifier.value").and_then(|number| number.as_text()).map(tidy::line));
    lines.labelled("Received", received.map(super::elements::moment));
    if let Some(collection) = collection {
        lines.labelled("Method", collection.get("method").and_then(concept));
        lines.labelled("Body site", collection.get("bodySite").and_then(concept));
        lines.labelled("Quantity", collection.get("quantity").and_then(quantity));
        lines.labelled("Fasting", collection.get("fastingStatusCodeableConcept").and_then(concept));
        lines.labelled("Collected by", collection.get("collector").and_then(|person| resource.called(person)));
    }
    for step in body.list("processing") {
        let parts = [step.text("description").map(tidy::line), step.get("procedure").and_then(concept)];
        lines.labelled("Processing", joined(parts.into_iter().flatten()));
    }
    for container in body.list("container") {
        let parts = [container.get("type").and_then(concept), container.text("description").map(tidy::line)];
        lines.labelled("Container", joined(parts.into_iter().flatten()));
    }
    lines.labelled("Condition", concepts(body.list("condition")));
    notes(&mut lines, body);
    Page { kind: Kind::Other, title: display, lines, effective, author: None }
}
