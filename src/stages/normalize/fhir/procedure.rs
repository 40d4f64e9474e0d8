//! Procedure: what was done, or expressly not done.

use crate::domain::{FactKind, Kind, Unreadable};

use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{coded, codes, concept, concepts, joined, when};
use super::{Page, Resource, notes, status_words, subject_matter};

pub(super) fn render(resource: &Resource<'_>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let display = subject_matter(resource, "code")?;
    let performed =
        Some(when(body, "performed")).filter(|time| time.words.is_some()).unwrap_or_else(|| when(body, "occurrence"));
    let details = performed.words.as_ref().map(|words| format!(", {words}")).unwrap_or_default();
    let heading = match body.text("status") {
        Some("not-done") => "Procedure not done".to_owned(),
        status => format!("Procedure{}", status_words(status)),
    };
    let element = body.get("code");
    let coded = element.map(coded).unwrap_or_default();
    let mut lines = Lines::default();
    lines.state(
        &format!("{heading}: {display}{details}{}", element.map(codes).unwrap_or_default()),
        Statement {
            kind: FactKind::Procedure,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: body.text("status").map(tidy::line),
            effective: performed.instant,
        },
    );
    lines.labelled("Status reason", body.get("statusReason").and_then(concept));
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons);
    lines.labelled("Body site", concepts(body.list("bodySite")));
    lines.labelled("Outcome", body.get("outcome").and_then(concept));
    lines.labelled("Complication", concepts(body.list("complication")));
    lines.labelled("Follow-up", concepts(body.list("followUp")));
    lines.labelled("Location", body.get("location").and_then(|place| resource.called(place)));
    let performers =
        joined(body.list("performer").iter().filter_map(|performer| resource.called(performer.get("actor")?)));
    lines.labelled("Performed by", performers.clone());
    notes(&mut lines, body);
    Ok(Page { kind: Kind::Procedure, title: display, lines, effective: performed.instant, author: performers })
}
