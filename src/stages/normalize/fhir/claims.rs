//! Claim, ClaimResponse and ExplanationOfBenefit: what was asked for, and what the payer made of it.

use crate::domain::{FactKind, Kind};

use super::super::lines::Lines;
use super::super::tidy;
use super::claim_parts as parts;
use super::elements::{concept, concepts, joined, money};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let (label, response) = match resource.name {
        "ExplanationOfBenefit" => ("Explanation of benefit", true),
        "ClaimResponse" => ("Claim response", true),
        _ => match body.text("use") {
            Some("preauthorization") => ("Prior authorization request", false),
            Some("predetermination") => ("Predetermination request", false),
            _ => ("Claim", false),
        },
    };
    let display = body.get("type").and_then(concept);
    let title = display.as_ref().map(|display| format!("{label}: {display}")).unwrap_or_else(|| label.to_owned());
    let (words, effective) = parts::served(body);
    let insurer = parts::named(resource, "insurer").map(|insurer| format!("insurer {insurer}"));
    let provider = parts::named(resource, "provider").map(|provider| format!("provider {provider}"));
    let outcome =
        response.then(|| body.text("outcome").map(|outcome| format!("outcome {}", tidy::line(outcome)))).flatten();
    let status = body.text("status");
    let mut lines = Lines::default();
    Headline {
        status,
        details: vec![words, outcome, insurer, provider],
        concept: body.get("type"),
        effective,
        ..Headline::new(FactKind::Claim, label, display.as_deref().unwrap_or(label))
    }
    .state(&mut lines);
    parts::numbers(&mut lines, body);
    lines.labelled("Disposition", body.text("disposition"));
    if response {
        lines.labelled("Use", body.text("use"));
    }
    lines.labelled(
        "Prior authorization",
        joined(body.list("preAuthRef").iter().filter_map(|number| number.as_text()).map(tidy::line)),
    );
    lines.labelled("Priority", body.get("priority").and_then(concept));
    lines.labelled("Subtype", body.get("subType").and_then(concept));
    lines.labelled("Facility", parts::named(resource, "facility"));
    lines.labelled("Payee", body.at("payee.party").and_then(|payee| resource.called(payee)));
    lines.labelled(
        "Related claim",
        body.get("request").or_else(|| body.get("claim")).and_then(|claim| resource.called(claim)),
    );
    parts::insurance(&mut lines, resource);
    lines.labelled("Accident", body.at("accident.date").and_then(|day| day.as_text()).map(super::elements::date));
    parts::care_team(&mut lines, resource);
    parts::diagnoses(&mut lines, resource, effective);
    parts::procedures(&mut lines, resource);
    parts::supporting(&mut lines, resource);
    parts::items(&mut lines, resource, "item");
    parts::items(&mut lines, resource, "addItem");
    lines.labelled("Amounts", parts::adjudicated(body));
    parts::totals(&mut lines, body, status, effective);
    parts::payment(&mut lines, body);
    balances(&mut lines, resource);
    for error in body.list("error") {
        lines.labelled("Error", error.get("code").and_then(concept));
    }
    for note in body.list("processNote") {
        lines.labelled("Note", note.text("text"));
    }
    notes(&mut lines, body);
    parts::extended(&mut lines, body);
    let author = parts::named(resource, if response { "insurer" } else { "provider" });
    Page { kind: Kind::Claim, title, lines, effective, author }
}

fn balances(lines: &mut Lines, resource: &Resource<'_>) {
    let body = resource.body;
    for balance in body.list("benefitBalance") {
        let category = balance.get("category").and_then(concept);
        let named = balance.text("name").map(tidy::line);
        let told = joined(balance.list("financial").iter().filter_map(parts::benefit));
        let label = joined([category, named].into_iter().flatten()).map(|words| format!("Benefit balance, {words}"));
        lines.labelled(label.as_deref().unwrap_or("Benefit balance"), told);
    }
    lines.labelled(
        "Funds reserved",
        body.get("fundsReserve").or_else(|| body.get("fundsReserveRequested")).and_then(concept),
    );
    lines.labelled("Form", body.get("formCode").and_then(concept));
    lines.labelled("Accounts", concepts(body.list("accountCode")));
    for (name, label) in [("totalCost", "Total cost"), ("totalBenefit", "Total benefit")] {
        lines.labelled(label, body.get(name).and_then(money));
    }
}
