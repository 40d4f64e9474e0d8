//! RelatedPerson: who stands by a patient, and how to reach them.

use crate::domain::{FactKind, FactValue, Kind};

use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{address, best_name, concepts, date, human_name, joined, period};
use super::headline::Headline;
use super::{Page, Resource};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let name = best_name(body.list("name")).and_then(human_name);
    let relation = concepts(body.list("relationship"));
    let display = name.clone().or_else(|| relation.clone()).unwrap_or_else(|| "Related person".to_owned());
    let mut lines = Lines::default();
    Headline {
        status: body.flag("active").filter(|active| !active).map(|_| "not in use"),
        details: vec![relation.clone().filter(|relation| *relation != display), body.get("period").and_then(period)],
        value: Some(FactValue::Text(display.clone())),
        ..Headline::new(FactKind::Demographic, "Related person", &display)
    }
    .state(&mut lines);
    lines.labelled("Sex", body.text("gender").map(tidy::line));
    lines.labelled("Born", body.text("birthDate").map(date));
    for contact in body.list("telecom") {
        let usage = contact.text("use").map(|usage| format!(" ({})", tidy::line(usage))).unwrap_or_default();
        lines.labelled("Reached by", contact.text("value").map(|value| format!("{}{usage}", tidy::line(value))));
    }
    lines.labelled("Address", joined(body.list("address").iter().filter_map(address)));
    let title = format!("Related person: {display}");
    Page { kind: Kind::Other, title, lines, effective: None, author: None }
}
