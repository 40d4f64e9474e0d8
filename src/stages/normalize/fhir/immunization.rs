//! Immunization: a vaccine given, or expressly not given.

use crate::domain::{FactKind, Kind, Unreadable};

use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{coded, codes, concept, concepts, date, joined, quantity, when};
use super::{Page, Resource, notes, status_words, subject_matter};

pub(super) fn render(resource: &Resource<'_>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let display = subject_matter(resource, "vaccineCode")?;
    let given = when(body, "occurrence");
    let heading = match body.text("status") {
        Some("not-done") => "Immunization not given".to_owned(),
        status => format!("Immunization{}", status_words(status)),
    };
    let protocol = body.list("protocolApplied").first();
    let dose = protocol
        .and_then(|applied| applied.scalar("doseNumberPositiveInt").or_else(|| applied.scalar("doseNumberString")))
        .map(|number| format!("dose {number}"));
    let details = [given.words.clone(), dose].into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let element = body.get("vaccineCode");
    let coded = element.map(coded).unwrap_or_default();
    let mut lines = Lines::default();
    lines.state(
        &format!("{heading}: {display}{details}{}", element.map(codes).unwrap_or_default()),
        Statement {
            kind: FactKind::Immunization,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: body.text("status").map(tidy::line),
            effective: given.instant,
        },
    );
    lines.labelled("Status reason", body.get("statusReason").and_then(concept));
    lines.labelled("Reason", concepts(body.list("reasonCode")));
    lines.labelled("Against", protocol.and_then(|applied| concepts(applied.list("targetDisease"))));
    lines.labelled("Dose", body.get("doseQuantity").and_then(quantity));
    lines.labelled("Site", body.get("site").and_then(concept));
    lines.labelled("Route", body.get("route").and_then(concept));
    lines.labelled("Lot", body.text("lotNumber").map(tidy::line));
    lines.labelled("Expires", body.text("expirationDate").map(date));
    for reaction in body.list("reaction") {
        let detail = reaction.get("detail").and_then(|detail| resource.called(detail));
        let parts = [
            reaction.text("date").map(date),
            detail,
            (reaction.flag("reported") == Some(true)).then(|| "self-reported".into()),
        ];
        lines.labelled("Reaction", joined(parts.into_iter().flatten()));
    }
    let performers =
        joined(body.list("performer").iter().filter_map(|performer| resource.called(performer.get("actor")?)));
    lines.labelled("Given by", performers.clone());
    notes(&mut lines, body);
    Ok(Page { kind: Kind::Immunization, title: display, lines, effective: given.instant, author: performers })
}
