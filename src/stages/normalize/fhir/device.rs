//! Device and DeviceUseStatement: what a patient carries or uses.

use crate::domain::{FactKind, Kind};

use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, date, joined, value, when};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    if resource.name == "Device" { device(resource) } else { usage(resource) }
}

fn device(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let names = joined(body.list("deviceName").iter().filter_map(|name| name.text("name").map(tidy::line)));
    let sort = body.get("type").and_then(concept);
    let display =
        sort.or_else(|| names.clone()).or_else(|| super::narrative(body)).unwrap_or_else(|| "Device".to_owned());
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        concept: body.get("type"),
        ..Headline::new(FactKind::Observation, "Device", &display)
    }
    .state(&mut lines);
    lines.labelled("Name", names.filter(|names| *names != display));
    lines.labelled("Status reason", concepts(body.list("statusReason")));
    lines.labelled("Manufacturer", body.text("manufacturer").map(tidy::line));
    lines.labelled("Model", body.text("modelNumber").map(tidy::line));
    lines.labelled("Serial number", body.text("serialNumber").map(tidy::line));
    lines.labelled("Lot", body.text("lotNumber").map(tidy::line));
    lines.labelled("Made", body.text("manufactureDate").map(date));
    lines.labelled("Expires", body.text("expirationDate").map(date));
    lines.labelled(
        "Identifier",
        joined(body.list("udiCarrier").iter().filter_map(|udi| udi.text("deviceIdentifier").map(tidy::line))),
    );
    lines.labelled("Owner", body.get("owner").and_then(|owner| resource.called(owner)));
    lines.labelled("Location", body.get("location").and_then(|place| resource.called(place)));
    lines.labelled("Safety", concepts(body.list("safety")));
    notes(&mut lines, body);
    Page { kind: Kind::Other, title: display, lines, effective: None, author: None }
}

fn usage(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let contained = body.get("device").and_then(|device| resource.looked_up(device));
    let element = contained.as_deref().and_then(|device| device.get("type"));
    let named = body.get("device").and_then(|device| resource.called(device));
    let display = named.or_else(|| element.and_then(concept)).unwrap_or_else(|| "Device in use".to_owned());
    let used = when(body, "timing");
    let recorded = when(body, "recordedOn");
    let effective = used.instant.or(recorded.instant);
    let words = used.words.or_else(|| value(body, "timing").map(|(words, _)| words));
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![words.or_else(|| recorded.words.map(|day| format!("recorded {day}")))],
        concept: element,
        effective,
        ..Headline::new(FactKind::Observation, "Device in use", &display)
    }
    .state(&mut lines);
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons);
    lines.labelled("Body site", body.get("bodySite").and_then(concept));
    notes(&mut lines, body);
    let author = body.get("source").and_then(|source| resource.called(source));
    Page { kind: Kind::Other, title: display, lines, effective, author }
}
