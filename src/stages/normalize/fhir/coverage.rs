//! Coverage and eligibility: who is insured with whom, from when, for what.

use crate::domain::{FactKind, Kind};

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::claim_parts as parts;
use super::elements::{concept, concepts, joined, period, value, when};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    if resource.name == "Coverage" { coverage(resource) } else { eligibility(resource) }
}

fn coverage(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let span = when(body, "period");
    let payor = joined(body.list("payor").iter().filter_map(|payor| parts::party(resource, payor)));
    let classes = body
        .list("class")
        .iter()
        .filter_map(|class| class.text("name").or_else(|| class.text("value")).map(tidy::line));
    let sort = body.get("type").and_then(parts::specific);
    let worded = body.get("type").is_some_and(|sort| sort.get("text").is_some() || sort.at("coding.display").is_some());
    // A bare code says less than the plan's own name.
    let display = sort.clone().filter(|_| worded).or_else(|| joined(classes)).or(sort).or_else(|| payor.clone());
    let display = display.unwrap_or_else(|| "Coverage".to_owned());
    let mut lines = Lines::default();
    let by = payor.filter(|payor| *payor != display).map(|payor| format!("payor {payor}"));
    Headline {
        status: body.text("status"),
        details: vec![span.words, by],
        concept: body.get("type"),
        effective: span.instant,
        ..Headline::new(FactKind::Coverage, "Coverage", &display)
    }
    .state(&mut lines);
    lines.labelled("Member number", body.text("subscriberId").map(tidy::line));
    parts::numbers(&mut lines, body);
    lines.labelled("Dependent", body.text("dependent").map(tidy::line));
    lines.labelled("Subscriber", body.get("subscriber").and_then(|person| resource.called(person)));
    lines.labelled("Policy holder", body.get("policyHolder").and_then(|person| resource.called(person)));
    lines.labelled("Relationship to the subscriber", body.get("relationship").and_then(concept));
    for class in body.list("class") {
        let sort = class.get("type").and_then(concept);
        let named = [class.text("value").map(tidy::line), class.text("name").map(tidy::line)];
        let label = sort.map(|sort| super::elements::capitalized(&sort)).unwrap_or_else(|| "Class".to_owned());
        lines.labelled(&label, joined(named.into_iter().flatten()).map(|words| words.replace("; ", ", ")));
    }
    lines.labelled("Network", body.text("network").map(tidy::line));
    lines.labelled("Order among coverages", body.scalar("order").map(tidy::line));
    for cost in body.list("costToBeneficiary") {
        let sort = cost.get("type").and_then(concept).unwrap_or_else(|| "Cost to the beneficiary".to_owned());
        let excepted = joined(cost.list("exception").iter().filter_map(|exception| {
            let span = exception.get("period").and_then(period).map(|span| format!(" {span}")).unwrap_or_default();
            Some(format!("{}{span}", concept(exception.get("type")?)?))
        }));
        let told = value(cost, "value").map(|(words, _)| words);
        let excepted = excepted.map(|words| format!("except {words}"));
        lines.labelled(&sort, joined([told, excepted].into_iter().flatten()));
    }
    parts::extended(&mut lines, body);
    Page { kind: Kind::Coverage, title: format!("Coverage: {display}"), lines, effective: span.instant, author: None }
}

fn eligibility(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let response = resource.name == "CoverageEligibilityResponse";
    let label = if response { "Coverage eligibility response" } else { "Coverage eligibility request" };
    let served = when(body, "serviced");
    let created = when(body, "created");
    let effective = served.instant.or(created.instant);
    let insurer = parts::named(resource, "insurer");
    let purpose = joined(body.list("purpose").iter().filter_map(Json::as_text).map(|word| word.replace('-', " ")));
    let outcome = body.text("outcome").map(|outcome| format!("outcome {}", tidy::line(outcome)));
    let display = purpose.unwrap_or_else(|| label.to_owned());
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![
            served.words.or(created.words),
            outcome,
            insurer.clone().map(|insurer| format!("insurer {insurer}")),
        ],
        effective,
        ..Headline::new(FactKind::Coverage, label, &display)
    }
    .state(&mut lines);
    lines.labelled("Disposition", body.text("disposition"));
    lines.labelled("Prior authorization", body.text("preAuthRef").map(tidy::line));
    for insurance in body.list("insurance") {
        insured(&mut lines, resource, insurance);
    }
    for item in body.list("item") {
        benefits(&mut lines, item);
    }
    for error in body.list("error") {
        lines.labelled("Error", error.get("code").and_then(concept));
    }
    notes(&mut lines, body);
    let author = insurer.filter(|_| response);
    Page { kind: Kind::Coverage, title: label.to_owned(), lines, effective, author }
}

fn insured(lines: &mut Lines, resource: &Resource<'_>, insurance: &Json) {
    let name = insurance.get("coverage").and_then(|coverage| resource.called(coverage));
    let force = insurance.flag("inforce").map(|yes| if yes { "in force" } else { "not in force" }.to_owned());
    let span = insurance.get("benefitPeriod").and_then(period);
    let parts = [name, force, span].into_iter().flatten().collect::<Vec<_>>();
    if !parts.is_empty() {
        let display = parts.join(", ");
        let told = insurance.flag("inforce").map(|yes| if yes { "in force" } else { "not in force" });
        Headline {
            value: told.and_then(parts::text_value),
            ..Headline::new(FactKind::Coverage, "Insurance", &display)
        }
        .state(lines);
    }
    for item in insurance.list("item") {
        benefits(lines, item);
    }
}

fn benefits(lines: &mut Lines, item: &Json) {
    let names = [
        item.text("name").map(tidy::line),
        item.get("category").and_then(concept),
        item.get("productOrService").and_then(concept),
    ];
    let display = joined(names.into_iter().flatten()).map(|names| names.replace("; ", ", "));
    let display = display.or_else(|| item.text("description").map(tidy::line)).unwrap_or_else(|| "Benefit".to_owned());
    let needed = item
        .flag("authorizationRequired")
        .map(|yes| if yes { "authorization required" } else { "no authorization required" }.to_owned());
    Headline {
        details: vec![
            item.text("description").map(tidy::line).filter(|words| *words != display),
            (item.flag("excluded") == Some(true)).then(|| "excluded".to_owned()),
            item.get("network").and_then(concept),
            item.get("unit").and_then(concept),
            item.get("term").and_then(concept),
            needed,
            concepts(item.list("modifier")).map(|words| format!("modifier {words}")),
            joined(item.list("benefit").iter().filter_map(parts::benefit)),
        ],
        concept: item.get("productOrService").or_else(|| item.get("category")),
        ..Headline::new(FactKind::Coverage, "Benefit", &display)
    }
    .state(lines);
}
