//! Condition: a problem or diagnosis, with its standing spelled out.

use crate::domain::{FactKind, Kind, Unreadable};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::elements::{code, coded, codes, concept, concepts, joined, when};
use super::{Page, Resource, notes, subject_matter};

pub(super) fn render(resource: &Resource<'_>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let display = subject_matter(resource, "code")?;
    let onset = when(body, "onset");
    let abatement = when(body, "abatement");
    let recorded = when(body, "recordedDate");
    let clinical = body.get("clinicalStatus").and_then(code);
    let verification = body.get("verificationStatus").and_then(code);
    let details = [
        onset.words.as_ref().map(|onset| format!("onset {onset}")),
        abatement.words.as_ref().map(|end| format!("ended {end}")),
        (body.flag("abatementBoolean") == Some(true)).then(|| "ended".to_owned()),
        body.get("severity").and_then(concept).map(|severity| format!("severity {}", severity.to_lowercase())),
        onset.words.is_none().then(|| recorded.words.as_ref().map(|day| format!("recorded {day}"))).flatten(),
    ];
    let details = details.into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let element = body.get("code");
    let coded = element.map(coded).unwrap_or_default();
    let mut lines = Lines::default();
    let effective = onset.instant.or(recorded.instant);
    lines.state(
        &format!(
            "{}: {display}{details}{}",
            heading(body, clinical, verification),
            element.map(codes).unwrap_or_default()
        ),
        Statement {
            kind: FactKind::Condition,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: standing(clinical, verification),
            effective,
        },
    );
    lines.labelled("Body site", concepts(body.list("bodySite")));
    for stage in body.list("stage") {
        lines.labelled("Stage", stage.get("summary").and_then(concept));
    }
    let evidence = body.list("evidence").iter().flat_map(|evidence| evidence.list("code")).filter_map(concept);
    lines.labelled("Evidence", joined(evidence));
    notes(&mut lines, body);
    let author = body.get("asserter").or_else(|| body.get("recorder")).and_then(|person| resource.called(person));
    Ok(Page { kind: Kind::Problem, title: display, lines, effective, author })
}

/// A refuted condition isn't active, whatever its clinical status still says.
fn standing(clinical: Option<&str>, verification: Option<&str>) -> Option<String> {
    match verification {
        Some(denied @ ("refuted" | "entered-in-error")) => Some(denied.to_owned()),
        _ => clinical.map(str::to_owned),
    }
}

fn heading(body: &Json, clinical: Option<&str>, verification: Option<&str>) -> String {
    let codes = || body.list("category").iter().filter_map(code);
    let noun = if codes().any(|code| code == "encounter-diagnosis") { "diagnosis" } else { "problem" };
    match verification {
        Some("refuted") => return format!("Refuted {noun} (patient does not have it)"),
        Some("entered-in-error") => return format!("Entered in error, {noun}"),
        _ => {}
    }
    let doubt = match verification {
        Some("confirmed") | None => String::new(),
        Some(doubt) => format!(" ({doubt})"),
    };
    match clinical {
        Some("active") => format!("Active {noun}{doubt}"),
        Some("inactive") => format!("Inactive {noun}{doubt}"),
        Some("resolved") => format!("Resolved {noun}{doubt}"),
        Some("remission") => format!("In remission, {noun}{doubt}"),
        Some("recurrence") => format!("Recurring {noun}{doubt}"),
        Some("relapse") => format!("Relapsed {noun}{doubt}"),
        Some(other) => format!("{} {noun}{doubt}", super::elements::capitalized(other)),
        None => format!("{}{doubt}", super::elements::capitalized(noun)),
    }
}
