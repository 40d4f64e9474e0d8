//! Invoice, ChargeItem, Account and PaymentNotice: what is billed, to whom, and what was paid.

use crate::domain::{FactKind, Kind};

use super::super::lines::Lines;
use super::super::tidy;
use super::claim_parts as parts;
use super::elements::{concept, concepts, joined, money, quantity, when};
use super::headline::{Headline, money_value};
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    match resource.name {
        "Invoice" => invoice(resource),
        "ChargeItem" => charge(resource),
        "PaymentNotice" => paid(resource),
        _ => account(resource),
    }
}

fn invoice(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let display = body.get("type").and_then(concept).unwrap_or_else(|| "Invoice".to_owned());
    let day = when(body, "date");
    let total = body.get("totalNet").or_else(|| body.get("totalGross"));
    let issuer = body.get("issuer").and_then(|issuer| resource.called(issuer));
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![day.words, total.and_then(money).map(|total| format!("total {total}"))],
        concept: body.get("type"),
        value: total.and_then(money_value),
        effective: day.instant,
        ..Headline::new(FactKind::Claim, "Invoice", &display)
    }
    .state(&mut lines);
    parts::numbers(&mut lines, body);
    lines.labelled("Issuer", issuer.clone());
    lines.labelled("To", body.get("recipient").and_then(|person| resource.called(person)));
    for item in body.list("lineItem") {
        let name = item
            .get("chargeItemCodeableConcept")
            .and_then(concept)
            .or_else(|| resource.called(item.get("chargeItemReference")?));
        let prices = item.list("priceComponent").iter().filter_map(|price| {
            let amount = money(price.get("amount")?)?;
            let sort = price.get("code").and_then(concept).or_else(|| price.text("type").map(tidy::line));
            Some(sort.map(|sort| format!("{sort} {amount}")).unwrap_or(amount))
        });
        lines.labelled("Item", joined([name, joined(prices)].into_iter().flatten()));
    }
    lines.labelled("Total net", body.get("totalNet").and_then(money));
    lines.labelled("Total gross", body.get("totalGross").and_then(money));
    lines.labelled("Payment terms", body.text("paymentTerms"));
    notes(&mut lines, body);
    Page { kind: Kind::Claim, title: display, lines, effective: day.instant, author: issuer }
}

fn charge(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let display = body.get("code").and_then(concept).unwrap_or_else(|| "Charge item".to_owned());
    let day = when(body, "occurrence");
    let entered = when(body, "enteredDate");
    let effective = day.instant.or(entered.instant);
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![
            day.words.or(entered.words),
            body.get("quantity").and_then(quantity).map(|count| format!("quantity {count}")),
            body.get("priceOverride").and_then(money).map(|price| format!("price {price}")),
        ],
        concept: body.get("code"),
        value: body.get("priceOverride").and_then(money_value),
        effective,
        ..Headline::new(FactKind::Claim, "Charge item", &display)
    }
    .state(&mut lines);
    lines.labelled("Body site", concepts(body.list("bodysite")));
    for performer in body.list("performer") {
        lines.labelled("Performed by", performer.get("actor").and_then(|actor| resource.called(actor)));
    }
    lines.labelled("Reason", concepts(body.list("reason")));
    lines.labelled("Price changed because", body.text("overrideReason").map(tidy::line));
    lines.labelled("Account", resource.all_called(body.list("account")));
    notes(&mut lines, body);
    let author = body.get("enterer").and_then(|person| resource.called(person));
    Page { kind: Kind::Claim, title: display, lines, effective, author }
}

fn account(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let display = body
        .text("name")
        .map(tidy::line)
        .or_else(|| body.get("type").and_then(concept))
        .unwrap_or_else(|| "Account".to_owned());
    let span = when(body, "servicePeriod");
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![span.words],
        concept: body.get("type"),
        effective: span.instant,
        ..Headline::new(FactKind::Claim, "Account", &display)
    }
    .state(&mut lines);
    parts::numbers(&mut lines, body);
    lines.labelled("Type", body.get("type").and_then(concept).filter(|words| *words != display));
    lines.labelled("Description", body.text("description").map(tidy::line));
    for coverage in body.list("coverage") {
        lines.labelled("Coverage", coverage.get("coverage").and_then(|coverage| resource.called(coverage)));
    }
    for guarantor in body.list("guarantor") {
        lines.labelled("Guarantor", guarantor.get("party").and_then(|party| resource.called(party)));
    }
    lines.labelled("Owner", body.get("owner").and_then(|owner| resource.called(owner)));
    Page { kind: Kind::Claim, title: display, lines, effective: span.instant, author: None }
}

fn paid(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let day = when(body, "paymentDate");
    let created = when(body, "created");
    let effective = day.instant.or(created.instant);
    let amount = body.get("amount");
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![
            amount.and_then(money),
            body.get("paymentStatus").and_then(concept).map(|words| words.to_lowercase()),
            day.words.or(created.words),
        ],
        value: amount.and_then(money_value),
        effective,
        ..Headline::new(FactKind::Claim, "Payment notice", "Payment notice")
    }
    .state(&mut lines);
    lines.labelled("From", body.get("provider").and_then(|provider| resource.called(provider)));
    lines.labelled("To", body.get("recipient").and_then(|recipient| parts::party(resource, recipient)));
    lines.labelled("For", body.get("request").and_then(|request| resource.called(request)));
    Page { kind: Kind::Claim, title: "Payment notice".to_owned(), lines, effective, author: None }
}
