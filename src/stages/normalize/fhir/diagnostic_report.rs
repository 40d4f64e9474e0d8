//! DiagnosticReport: what it found, then the report's own text.

use crate::domain::{FactKind, FactValue, Finding, Kind, Severity, Unreadable};

use super::super::attachments;
use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{coded, codes, concepts, when};
use super::{Page, Resource, notes, status_words, subject_matter};

/// One page: the coded lines first, every readable presented form below them.
pub(super) fn render(resource: &Resource<'_>, findings: &mut Vec<Finding>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let display = subject_matter(resource, "code")?;
    let taken = when(body, "effective");
    let issued = when(body, "issued");
    let effective = taken.instant.or(issued.instant);
    let day = taken.words.or(issued.words).map(|day| format!(", {day}")).unwrap_or_default();
    let status = body.text("status").map(tidy::line);
    let element = body.get("code");
    let mut lines = Lines::default();
    lines.push(&format!(
        "Report{}: {display}{day}{}",
        status_words(status.as_deref()),
        element.map(codes).unwrap_or_default()
    ));
    lines.labelled("Category", concepts(body.list("category")));
    if let Some(conclusion) = body.text("conclusion").map(tidy::line) {
        let coded = element.map(coded).unwrap_or_default();
        lines.state(
            &format!("Conclusion{day}: {conclusion}"),
            Statement {
                kind: FactKind::Observation,
                system: coded.system,
                code: coded.code,
                display: display.clone(),
                value: Some(FactValue::Text(conclusion)),
                status,
                effective,
            },
        );
    }
    for code in body.list("conclusionCode") {
        lines.labelled("Concluded", super::elements::concept(code).map(|words| format!("{words}{}", codes(code))));
    }
    for result in body.list("result") {
        lines.labelled("Result", resource.called(result));
    }
    lines.labelled("Specimen", resource.all_called(body.list("specimen")));
    notes(&mut lines, body);
    presented_forms(body, &mut lines, findings);
    let people = || resource.all_called(body.list("performer"));
    let author = resource.all_called(body.list("resultsInterpreter")).or_else(people);
    Ok(Page { kind: Kind::Report, title: display, lines, effective, author })
}

fn presented_forms(body: &Json, lines: &mut Lines, findings: &mut Vec<Finding>) {
    let mut shown: Vec<String> = Vec::new();
    for (position, form) in body.list("presentedForm").iter().enumerate() {
        let mut add = |rule: &str| {
            findings.push(Finding {
                rule: rule.to_owned(),
                severity: Severity::Warning,
                path: format!("DiagnosticReport.presentedForm[{position}]"),
            });
        };
        match attachments::read_json(form) {
            Ok(readable) => {
                if readable.guessed_charset {
                    add("attachment_charset");
                }
                if !shown.contains(&readable.text) {
                    lines.paged_block(&readable.text, &readable.pages);
                    shown.push(readable.text);
                }
            }
            Err(_) => add("unreadable_attachment"),
        }
    }
}
