//! What claims, their responses and explanations of benefit have in common: who, why, what, how much.

use crate::domain::{FactKind, FactValue, Timestamp};

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::Resource;
use super::elements::{concept, concepts, date, joined, money, period, quantity, value, when};
use super::headline::{Headline, money_value};

/// Every distinct name that a concept's codings give it, the general before the particular.
pub(super) fn specific(element: &Json) -> Option<String> {
    if let Some(text) = element.text("text") {
        return Some(tidy::line(text));
    }
    let names = element.list("coding").iter().filter_map(|coding| coding.text("display").map(tidy::line));
    joined(names).map(|names| names.replace("; ", ", ")).or_else(|| concept(element))
}

/// What a person or organization is called, at last by the number it has in a register.
pub(super) fn party(resource: &Resource<'_>, reference: &Json) -> Option<String> {
    if let Some(name) = resource.called(reference) {
        return Some(name);
    }
    let contained = resource.looked_up(reference);
    let identifiers = contained.as_deref().map(|found| found.list("identifier")).unwrap_or_default();
    let national = identifiers.iter().find(|identifier| identifier.text("system").is_some_and(is_npi));
    let identifier = national.or_else(|| identifiers.first()).or_else(|| reference.get("identifier"))?;
    let number = tidy::line(identifier.text("value")?);
    Some(if identifier.text("system").is_some_and(is_npi) { format!("NPI {number}") } else { number })
}

fn is_npi(system: &str) -> bool {
    system == "http://hl7.org/fhir/sid/us-npi"
}

pub(super) fn named(resource: &Resource<'_>, element: &str) -> Option<String> {
    resource.body.list(element).iter().find_map(|reference| party(resource, reference))
}

/// The claim's own numbers, by which people ask for it.
pub(super) fn numbers(lines: &mut Lines, body: &Json) {
    let numbers = body.list("identifier").iter().filter(|identifier| !super::patient::is_social_security(identifier));
    lines.labelled("Number", joined(numbers.filter_map(|identifier| identifier.text("value").map(tidy::line))));
}

pub(super) fn care_team(lines: &mut Lines, resource: &Resource<'_>) {
    for member in resource.body.list("careTeam") {
        let name = member.get("provider").and_then(|provider| party(resource, provider));
        let role = member.get("role").and_then(concept);
        let qualification = member.get("qualification").and_then(concept);
        let aside = joined([role, qualification].into_iter().flatten());
        let Some(name) = name.or_else(|| aside.clone()) else { continue };
        let aside = aside.filter(|aside| *aside != name).map(|aside| format!(" ({aside})")).unwrap_or_default();
        lines.labelled("Care team", Some(format!("{name}{aside}")));
    }
}

pub(super) fn diagnoses(lines: &mut Lines, resource: &Resource<'_>, effective: Option<Timestamp>) {
    for diagnosis in resource.body.list("diagnosis") {
        let contained = diagnosis.get("diagnosisReference").and_then(|reference| resource.looked_up(reference));
        let coded = diagnosis.get("diagnosisCodeableConcept");
        let element = coded.or_else(|| contained.as_deref().and_then(|condition| condition.get("code")));
        let name = element.and_then(concept);
        let name = name.or_else(|| resource.called(diagnosis.get("diagnosisReference")?));
        let Some(name) = name else { continue };
        let sort = concepts(diagnosis.list("type")).map(|sort| sort.to_lowercase());
        let admission = diagnosis.get("onAdmission").and_then(concept).map(|words| format!("on admission: {words}"));
        let label = if sort.as_deref().is_some_and(|sort| sort.contains("admitting")) {
            "Admitting diagnosis"
        } else {
            "Diagnosis"
        };
        let sort = sort.filter(|sort| !sort.contains("admitting")).map(|sort| sort.replace(" diagnosis", ""));
        Headline {
            details: vec![sort, admission],
            concept: element,
            effective,
            ..Headline::new(FactKind::Claim, label, &name)
        }
        .state(lines);
    }
}

pub(super) fn procedures(lines: &mut Lines, resource: &Resource<'_>) {
    for procedure in resource.body.list("procedure") {
        let element = procedure.get("procedureCodeableConcept");
        let name = element.and_then(concept).or_else(|| resource.called(procedure.get("procedureReference")?));
        let Some(name) = name else { continue };
        let day = procedure.text("date");
        Headline {
            details: vec![day.map(date), concepts(procedure.list("type"))],
            concept: element,
            effective: day.and_then(Timestamp::parse),
            ..Headline::new(FactKind::Claim, "Procedure", &name)
        }
        .state(lines);
    }
}

pub(super) fn supporting(lines: &mut Lines, resource: &Resource<'_>) {
    for info in resource.body.list("supportingInfo") {
        let category = info.get("category").and_then(specific).unwrap_or_else(|| "Information".to_owned());
        let told = info.get("valueReference").map(|reference| measured(resource, reference));
        let told = told.unwrap_or_else(|| value(info, "value").map(|(words, _)| words));
        let parts = [
            info.get("code").and_then(concept),
            told,
            when(info, "timing").words,
            info.get("reason").and_then(concept),
        ];
        lines.labelled(&category, joined(parts.into_iter().flatten()));
    }
}

/// `Hematocrit: 41 %` of an Observation, else what the reference is called.
fn measured(resource: &Resource<'_>, reference: &Json) -> Option<String> {
    let name = resource.called(reference);
    let found = resource.looked_up(reference).and_then(|found| Some(value(&found, "value")?.0));
    match (name, found) {
        (Some(name), Some(found)) => Some(format!("{name}: {found}")),
        (name, found) => name.or(found),
    }
}

/// Each item with what it came to; below it the amounts it was broken down into.
pub(super) fn items(lines: &mut Lines, resource: &Resource<'_>, list: &str) {
    for (position, item) in resource.body.list(list).iter().enumerate() {
        let number = item.scalar("sequence").map(tidy::line).unwrap_or_else(|| (position + 1).to_string());
        let element = item.get("productOrService").or_else(|| item.get("service"));
        let name = element
            .and_then(concept)
            .or_else(|| specific(item.get("revenue")?))
            .or_else(|| concept(item.get("category")?));
        let label = format!("Item {number}");
        let served = when(item, "serviced");
        let name = match name {
            Some(name) => name,
            None if item.get("net").is_none() && item.list("adjudication").is_empty() => continue,
            None => label.clone(),
        };
        Headline {
            details: vec![
                served.words,
                item.get("quantity").and_then(quantity).map(|count| format!("quantity {count}")),
                concepts(item.list("modifier")).map(|words| format!("modifier {words}")),
                item.get("revenue")
                    .and_then(specific)
                    .filter(|words| *words != name)
                    .map(|words| format!("revenue center {words}")),
                item.get("locationCodeableConcept").and_then(concept).map(|place| format!("at {place}")),
                item.get("bodySite").and_then(concept),
                item.get("unitPrice").and_then(money).map(|price| format!("unit price {price}")),
                item.get("net").and_then(money).map(|net| format!("net {net}")),
            ],
            concept: element,
            value: item.get("net").and_then(money_value),
            effective: served.instant,
            ..Headline::new(FactKind::Claim, &label, &name)
        }
        .state(lines);
        lines.labelled(&format!("{label} amounts"), adjudicated(item));
    }
}

/// `Submitted Amount 120.00 USD; Deductible 20 USD`; what came to nothing is left out.
pub(super) fn adjudicated(item: &Json) -> Option<String> {
    joined(item.list("adjudication").iter().filter_map(|adjudication| {
        let category = adjudication.get("category").and_then(specific).unwrap_or_else(|| "Amount".to_owned());
        let amount = adjudication.get("amount").filter(|amount| !is_zero(amount)).and_then(money);
        let amount = amount
            .or_else(|| adjudication.get("amount").is_none().then(|| adjudication.scalar("value").map(tidy::line))?);
        let reason = adjudication.get("reason").and_then(concept);
        let told = joined([amount, reason].into_iter().flatten())?;
        Some(format!("{category} {told}"))
    }))
}

fn is_zero(money: &Json) -> bool {
    money.scalar("value").and_then(|value| value.parse::<f64>().ok()) == Some(0.0)
}

pub(super) fn totals(lines: &mut Lines, body: &Json, status: Option<&str>, effective: Option<Timestamp>) {
    for total in body.list("total") {
        let amount = total.get("amount").unwrap_or(total);
        let Some(words) = money(amount) else { continue };
        let category = total.get("category").and_then(specific);
        let display =
            category.as_ref().map(|category| format!("Total {category}")).unwrap_or_else(|| "Total".to_owned());
        let aside = category.map(|category| format!(" ({category})")).unwrap_or_default();
        lines.state(
            &format!("Total: {words}{aside}"),
            super::super::lines::Statement {
                kind: FactKind::Claim,
                system: None,
                code: None,
                display,
                value: money_value(amount),
                status: status.map(tidy::line),
                effective,
            },
        );
    }
}

pub(super) fn payment(lines: &mut Lines, body: &Json) {
    let Some(payment) = body.get("payment").filter(|payment| payment.is_object()) else { return };
    let day = payment.text("date").filter(|day| Timestamp::parse(day).is_some());
    let sort = payment.get("type").and_then(concept).map(|sort| format!(" ({sort})")).unwrap_or_default();
    let adjusted = payment.get("adjustment").filter(|amount| !is_zero(amount)).and_then(money);
    let reason =
        payment.get("adjustmentReason").and_then(concept).map(|reason| format!(" for {reason}")).unwrap_or_default();
    if let Some((amount, words)) = payment.get("amount").and_then(|amount| Some((amount, money(amount)?))) {
        let on = day.map(|day| format!(" on {}", date(day))).unwrap_or_default();
        lines.state(
            &format!("Paid: {words}{on}{sort}"),
            super::super::lines::Statement {
                kind: FactKind::Claim,
                system: None,
                code: None,
                display: "Paid".to_owned(),
                value: money_value(amount),
                status: None,
                effective: day.and_then(Timestamp::parse),
            },
        );
    }
    lines.labelled("Payment adjusted", adjusted.map(|adjusted| format!("{adjusted}{reason}")));
}

/// `Deductible: allowed 500 USD, used 120 USD`
pub(super) fn benefit(benefit: &Json) -> Option<String> {
    let side = |stem: &str| {
        let amount = benefit.get(&format!("{stem}Money"));
        if amount.is_some_and(is_zero) && stem == "used" && benefit.get("allowedMoney").is_none() {
            return None;
        }
        value(benefit, stem).map(|(words, _)| format!("{stem} {words}"))
    };
    let told = joined([side("allowed"), side("used")].into_iter().flatten())?.replace("; ", ", ");
    let sort = benefit.get("type").and_then(specific).unwrap_or_else(|| "Benefit".to_owned());
    Some(format!("{sort}: {told}"))
}

/// Codes with words that senders keep in extensions, once each.
pub(super) fn extended(lines: &mut Lines, body: &Json) {
    let told = body.list("extension").iter().filter_map(|extension| {
        let coding = extension.get("valueCoding").or_else(|| extension.at("valueCodeableConcept.coding"))?;
        coding.text("display").map(tidy::line)
    });
    lines.labelled("Further details", joined(told).map(|told| tidy::bounded(&told, 1500)));
}

/// Which coverages were asked to pay.
pub(super) fn insurance(lines: &mut Lines, resource: &Resource<'_>) {
    let coverages = resource.body.list("insurance").iter().filter_map(|insurance| {
        let coverage = insurance.get("coverage")?;
        let kind = || resource.looked_up(coverage).and_then(|found| concept(found.get("type")?));
        resource.called(coverage).or_else(kind)
    });
    lines.labelled("Insurance", joined(coverages));
}

pub(super) fn text_value(words: &str) -> Option<FactValue> {
    Some(FactValue::Text(words.to_owned()))
}

/// When a claim's services were given, else when it was made.
pub(super) fn served(body: &Json) -> (Option<String>, Option<Timestamp>) {
    let span = body.get("billablePeriod").filter(|span| span.is_object());
    let words = span.and_then(period);
    let instant = span.and_then(|span| span.text("start").or_else(|| span.text("end"))).and_then(Timestamp::parse);
    if words.is_some() {
        return (words, instant);
    }
    let created = body.text("created").filter(|day| Timestamp::parse(day).is_some());
    (created.map(date), created.and_then(Timestamp::parse))
}
