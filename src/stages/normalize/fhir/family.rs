//! FamilyMemberHistory: which relative had what; never a finding of the patient's own.

use crate::domain::{FactKind, FactValue, Kind};

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, value, when};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let relation = body.get("relationship").and_then(concept).unwrap_or_else(|| "Relative".to_owned());
    let taken = when(body, "date");
    let mut lines = Lines::default();
    let details = vec![
        body.text("name").map(tidy::line).filter(|name| *name != relation),
        taken.words,
        body.get("sex").and_then(concept).map(|sex| sex.to_lowercase()),
        when(body, "born").words.map(|born| format!("born {born}")),
        aged(body),
        deceased(body),
    ];
    let status = body.text("status");
    Headline {
        status,
        details,
        concept: body.get("relationship"),
        effective: taken.instant,
        ..Headline::new(FactKind::Observation, "Family member history", &relation)
    }
    .state(&mut lines);
    for condition in body.list("condition") {
        let Some(name) = condition.get("code").and_then(concept) else { continue };
        let display = format!("{name} ({})", relation.to_lowercase());
        Headline {
            details: vec![
                value(condition, "onset").map(|(words, _)| format!("onset {words}")),
                condition.get("outcome").and_then(concept).map(|outcome| format!("outcome {outcome}")),
                (condition.flag("contributedToDeath") == Some(true)).then(|| "contributed to death".to_owned()),
                condition.list("note").iter().find_map(|note| note.text("text").map(tidy::line)),
            ],
            concept: condition.get("code"),
            value: Some(FactValue::Text(format!("{relation}: {name}"))),
            effective: taken.instant,
            ..Headline::new(FactKind::Observation, "Family history", &display)
        }
        .state(&mut lines);
    }
    lines.labelled("Reason", concepts(body.list("reasonCode")));
    lines.labelled("Not known", body.get("dataAbsentReason").and_then(concept));
    notes(&mut lines, body);
    Page {
        kind: Kind::Other,
        title: format!("Family history: {relation}"),
        lines,
        effective: taken.instant,
        author: None,
    }
}

fn aged(body: &Json) -> Option<String> {
    value(body, "age").map(|(words, _)| format!("age {words}"))
}

fn deceased(body: &Json) -> Option<String> {
    match body.flag("deceasedBoolean") {
        Some(true) => Some("deceased".to_owned()),
        Some(false) => None,
        None => value(body, "deceased").map(|(words, _)| format!("deceased {words}")),
    }
}
