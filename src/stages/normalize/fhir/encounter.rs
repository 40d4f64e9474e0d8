//! Encounter: a visit, its reason, people and places.

use crate::domain::{FactKind, Kind};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{capitalized, coded, codes, concept, concepts, joined, when};
use super::{Page, Resource, status_words};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let period = when(body, "period");
    let setting = body.get("class").and_then(setting);
    let sort = concepts(body.list("type"));
    let display =
        sort.clone().or_else(|| setting.clone().map(|setting| capitalized(&setting))).unwrap_or_else(|| "Visit".into());
    let aside = setting.filter(|setting| sort.is_some() && !display.eq_ignore_ascii_case(setting));
    let details =
        [period.words.clone(), aside].into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let first_type = body.list("type").first();
    let coded = first_type.map(coded).unwrap_or_default();
    let mut lines = Lines::default();
    lines.state(
        &format!(
            "Encounter{}: {display}{details}{}",
            status_words(body.text("status")),
            first_type.map(codes).unwrap_or_default()
        ),
        Statement {
            kind: FactKind::Encounter,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: body.text("status").map(tidy::line),
            effective: period.instant,
        },
    );
    lines.labelled("Priority", body.get("priority").and_then(concept));
    lines.labelled(
        "Reason",
        concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference"))),
    );
    for diagnosis in body.list("diagnosis") {
        let usage = diagnosis.get("use").and_then(concept).map(|usage| format!(" ({usage})")).unwrap_or_default();
        let condition = diagnosis.get("condition").and_then(|condition| resource.called(condition));
        lines.labelled("Diagnosis", condition.map(|condition| format!("{condition}{usage}")));
    }
    let participants = participants(resource);
    lines.labelled("With", participants.clone());
    let places = body.list("location").iter().filter_map(|place| resource.called(place.get("location")?));
    lines.labelled("Location", joined(places));
    lines.labelled("Service", body.get("serviceType").and_then(concept));
    lines.labelled("Service provider", body.get("serviceProvider").and_then(|place| resource.called(place)));
    lines.labelled("Admitted from", body.at("hospitalization.admitSource").and_then(concept));
    lines.labelled("Discharged to", body.at("hospitalization.dischargeDisposition").and_then(concept));
    Page { kind: Kind::Encounter, title: display, lines, effective: period.instant, author: None }
}

fn participants(resource: &Resource<'_>) -> Option<String> {
    joined(resource.body.list("participant").iter().filter_map(|participant| {
        let name = resource.called(participant.get("individual").or_else(|| participant.get("actor"))?)?;
        let role = concepts(participant.list("type")).map(|role| format!(" ({role})")).unwrap_or_default();
        Some(format!("{name}{role}"))
    }))
}

/// The v3 class codes as words.
fn setting(class: &Json) -> Option<String> {
    let class = class.first()?;
    Some(match super::elements::code(class) {
        Some("AMB") => "ambulatory".to_owned(),
        Some("EMER") => "emergency".to_owned(),
        Some("IMP") => "inpatient".to_owned(),
        Some("ACUTE") => "inpatient acute".to_owned(),
        Some("NONAC") => "inpatient non-acute".to_owned(),
        Some("OBSENC") => "observation".to_owned(),
        Some("SS") => "short stay".to_owned(),
        Some("VR") => "virtual".to_owned(),
        Some("HH") => "home health".to_owned(),
        Some("FLD") => "field".to_owned(),
        Some("PRENC") => "pre-admission".to_owned(),
        _ => concept(class)?,
    })
}
