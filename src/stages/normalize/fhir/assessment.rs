//! ClinicalImpression, RiskAssessment, DetectedIssue, AdverseEvent and Flag: what somebody judged or warns of.

use crate::domain::{FactKind, Kind};

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{When, concept, concepts, joined, value, when};
use super::headline::Headline;
use super::{Page, Resource, notes, other};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let (label, display) = heading(resource);
    let display = display.unwrap_or_else(|| label.to_owned());
    let time = time(body);
    let mut lines = Lines::default();
    Headline {
        status: body.text("status").or_else(|| body.text("actuality")),
        details: vec![time.words.clone(), body.text("severity").map(|word| format!("severity {}", tidy::line(word)))],
        concept: body.get("code").or_else(|| body.get("event")),
        effective: time.instant,
        ..Headline::new(FactKind::Observation, label, &display)
    }
    .state(&mut lines);
    let new = |words: Option<String>| words.filter(|words| *words != display);
    let told = |name: &str| body.get(name).and_then(|element| other::words(resource, element));
    lines.labelled("Category", new(told("category")));
    lines.labelled("Description", new(body.text("description").map(tidy::line)));
    lines.labelled("Detail", new(body.text("detail").map(tidy::line)));
    lines.labelled("Problem", told("problem"));
    lines.labelled("Condition", told("condition"));
    lines.labelled("Method", body.get("method").and_then(concept));
    lines.labelled("Basis", told("basis"));
    lines.labelled("Implicated", told("implicated"));
    let reasons = body.get("reasonCode").and_then(|element| other::words(resource, element));
    lines.labelled("Reason", reasons);
    lines.labelled("Resulting condition", told("resultingCondition"));
    lines.labelled("Location", told("location"));
    lines.labelled("Seriousness", told("seriousness"));
    if body.text("severity").is_none() {
        lines.labelled("Severity", told("severity"));
    }
    lines.labelled("Outcome", told("outcome"));
    evidence(&mut lines, resource);
    predictions(&mut lines, body, &time);
    lines.labelled("Mitigation", body.text("mitigation").map(tidy::line));
    for mitigation in body.list("mitigation").iter().filter(|mitigation| mitigation.is_object()) {
        let parts = [mitigation.get("action").and_then(concept), mitigation.text("date").map(super::elements::date)];
        lines.labelled("Mitigation", joined(parts.into_iter().flatten()).map(|words| words.replace("; ", ", ")));
    }
    lines.labelled("Summary", new(body.text("summary").map(tidy::line)));
    lines.labelled(
        "Prognosis",
        concepts(body.list("prognosisCodeableConcept"))
            .or_else(|| resource.all_called(body.list("prognosisReference"))),
    );
    notes(&mut lines, body);
    let people = ["assessor", "performer", "author", "recorder"];
    let author = people.iter().find_map(|name| resource.called(body.get(name)?.first()?));
    Page { kind: Kind::Other, title: display, lines, effective: time.instant, author }
}

fn heading(resource: &Resource<'_>) -> (&'static str, Option<String>) {
    let body = resource.body;
    let code = body.get("code").and_then(concept);
    match resource.name {
        "ClinicalImpression" => (
            "Clinical impression",
            code.or_else(|| {
                body.text("summary").or_else(|| body.text("description")).map(|text| tidy::bounded(text, 300))
            }),
        ),
        "RiskAssessment" => {
            let outcomes = body.list("prediction").iter().filter_map(|prediction| concept(prediction.get("outcome")?));
            ("Risk assessment", code.or_else(|| joined(outcomes)))
        }
        "DetectedIssue" => {
            ("Detected issue", code.or_else(|| body.text("detail").map(|text| tidy::bounded(text, 300))))
        }
        "AdverseEvent" => {
            let event = body.get("event").and_then(concept).or_else(|| concepts(body.list("category")));
            ("Adverse event", event)
        }
        _ => ("Flag", code),
    }
}

fn time(body: &Json) -> When {
    let stems = ["period", "effective", "occurrence", "identified", "date", "recordedDate"];
    stems.iter().map(|stem| when(body, stem)).find(|time| time.words.is_some()).unwrap_or_default()
}

/// What was looked at, what was found, and what may have caused it.
fn evidence(lines: &mut Lines, resource: &Resource<'_>) {
    let body = resource.body;
    for investigation in body.list("investigation") {
        let name = investigation.get("code").and_then(concept).unwrap_or_else(|| "Investigation".to_owned());
        lines.labelled(&name, resource.all_called(investigation.list("item")));
    }
    for finding in body.list("finding") {
        let element = finding.get("itemCodeableConcept");
        let name = element.and_then(concept).or_else(|| resource.called(finding.get("itemReference")?));
        let Some(name) = name else { continue };
        let details = vec![finding.text("basis").map(tidy::line)];
        Headline { details, concept: element, ..Headline::new(FactKind::Observation, "Finding", &name) }.state(lines);
    }
    for suspect in body.list("suspectEntity") {
        lines.labelled("Suspected", suspect.get("instance").and_then(|instance| resource.called(instance)));
    }
    for evidence in body.list("evidence") {
        lines.labelled(
            "Evidence",
            concepts(evidence.list("code")).or_else(|| resource.all_called(evidence.list("detail"))),
        );
    }
}

fn predictions(lines: &mut Lines, body: &Json, time: &When) {
    for prediction in body.list("prediction") {
        let Some(outcome) = prediction.get("outcome").and_then(concept) else { continue };
        let probability = value(prediction, "probability");
        let details = vec![
            probability.as_ref().map(|(words, _)| format!("probability {words}")),
            prediction.get("qualitativeRisk").and_then(concept).map(|risk| format!("risk {}", risk.to_lowercase())),
            prediction.scalar("relativeRisk").map(|risk| format!("relative risk {}", tidy::line(risk))),
            when(prediction, "when").words.or_else(|| super::elements::range(prediction.get("whenRange")?)),
            prediction.text("rationale").map(tidy::line),
        ];
        Headline {
            details,
            concept: prediction.get("outcome"),
            value: probability.map(|(_, value)| value),
            effective: time.instant,
            ..Headline::new(FactKind::Observation, "Predicted", &outcome)
        }
        .state(lines);
    }
}
