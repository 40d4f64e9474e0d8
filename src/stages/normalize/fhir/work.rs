//! Task, ServiceRequest, ReferralRequest and NutritionOrder: what somebody is asked to do.

use crate::domain::{FactKind, Kind};

use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, joined, quantity, value, when};
use super::headline::Headline;
use super::other::words;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    match resource.name {
        "Task" => task(resource),
        "NutritionOrder" => nutrition(resource),
        _ => service(resource),
    }
}

/// `priority urgent`, unless it is the usual one.
fn priority(body: &Json) -> Option<String> {
    body.text("priority")
        .filter(|priority| *priority != "routine")
        .map(|priority| format!("priority {}", tidy::line(priority)))
}

fn reasons(resource: &Resource<'_>) -> Option<String> {
    let body = resource.body;
    concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")))
}

fn task(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let described = body.text("description").map(tidy::line);
    let display = described
        .or_else(|| body.get("code").and_then(concept))
        .or_else(|| body.get("focus").and_then(|focus| resource.called(focus)));
    let display = display.unwrap_or_else(|| "Task".to_owned());
    let span = when(body, "executionPeriod");
    let authored = when(body, "authoredOn");
    let due = body.at("restriction.period.end").and_then(Json::as_text).map(super::elements::date);
    let effective = span.instant.or(authored.instant);
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![span.words.or(authored.words), due.map(|due| format!("due {due}")), priority(body)],
        concept: body.get("code"),
        effective,
        ..Headline::new(FactKind::CarePlan, "Task", &display)
    }
    .state(&mut lines);
    lines.labelled("Sort", body.get("code").and_then(concept).filter(|words| *words != display));
    lines.labelled("Business status", body.get("businessStatus").and_then(concept));
    lines.labelled("Status reason", body.get("statusReason").and_then(concept));
    lines.labelled("Intent", body.text("intent").map(tidy::line));
    lines.labelled(
        "About",
        body.get("focus").and_then(|focus| resource.called(focus)).filter(|words| *words != display),
    );
    lines.labelled(
        "Reason",
        body.get("reasonCode").and_then(concept).or_else(|| resource.called(body.get("reasonReference")?)),
    );
    let requester = body.get("requester").and_then(|person| resource.called(person));
    lines.labelled("Requested by", requester.clone());
    lines.labelled("Owner", body.get("owner").and_then(|owner| resource.called(owner)));
    lines.labelled("Performed by", concepts(body.list("performerType")));
    for (list, label) in [("input", "Input"), ("output", "Output")] {
        for part in body.list(list) {
            let told = value(part, "value").map(|(words, _)| words);
            let told = told.or_else(|| resource.called(part.get("valueReference")?));
            lines.labelled(
                label,
                joined([part.get("type").and_then(concept), told].into_iter().flatten())
                    .map(|told| told.replacen("; ", ": ", 1)),
            );
        }
    }
    notes(&mut lines, body);
    Page { kind: Kind::Task, title: display, lines, effective, author: requester }
}

fn service(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let referral = resource.name == "ReferralRequest";
    let label = match (referral, body.text("intent")) {
        (true, _) => "Referral request",
        (_, Some("plan")) => "Service plan",
        (_, Some("proposal")) => "Service proposal",
        _ => "Service request",
    };
    let code = body.get("code").or_else(|| body.list("serviceRequested").first()).or_else(|| body.get("type"));
    let display = code
        .and_then(concept)
        .or_else(|| concepts(body.list("orderDetail")))
        .or_else(|| concepts(body.list("category")));
    let display = display.or_else(|| body.text("description").map(tidy::line)).or_else(|| super::narrative(body));
    let display = display.unwrap_or_else(|| label.to_owned());
    let occurrence = when(body, "occurrence");
    let authored = when(body, "authoredOn");
    let effective = occurrence.instant.or(authored.instant);
    let ordered =
        authored.words.filter(|day| occurrence.words.as_ref() != Some(day)).map(|day| format!("ordered {day}"));
    let requester = body.get("requester").map(|person| person.get("agent").unwrap_or(person));
    let requester = requester.and_then(|person| resource.called(person));
    let forbidden = body.flag("doNotPerform") == Some(true);
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![forbidden.then(|| "not to be done".to_owned()), occurrence.words, ordered, priority(body)],
        concept: code,
        effective,
        ..Headline::new(FactKind::CarePlan, label, &display)
    }
    .state(&mut lines);
    lines.labelled("Intent", body.text("intent").map(tidy::line));
    lines.labelled("Category", concepts(body.list("category")).filter(|words| *words != display));
    lines.labelled("Details", concepts(body.list("orderDetail")).filter(|words| *words != display));
    lines.labelled("Quantity", body.get("quantityQuantity").and_then(quantity));
    lines.labelled("Reason", reasons(resource));
    lines.labelled("Body site", concepts(body.list("bodySite")));
    lines.labelled("As needed", body.get("asNeededCodeableConcept").and_then(concept));
    lines.labelled("Requested by", requester.clone());
    let performers =
        resource.all_called(body.list("performer")).or_else(|| resource.all_called(body.list("recipient")));
    lines.labelled("Performed by", performers.or_else(|| body.get("performerType").and_then(concept)));
    lines.labelled(
        "Place",
        concepts(body.list("locationCode")).or_else(|| resource.all_called(body.list("locationReference"))),
    );
    lines.labelled("Specimen", resource.all_called(body.list("specimen")));
    lines.labelled("Supporting information", resource.all_called(body.list("supportingInfo")));
    lines.labelled("Description", body.text("description").map(tidy::line).filter(|words| *words != display));
    lines.labelled("Instructions", body.text("patientInstruction").map(tidy::line));
    notes(&mut lines, body);
    Page { kind: Kind::Other, title: display, lines, effective, author: requester }
}

fn nutrition(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let diets = body.get("oralDiet").map(|diet| diet.list("type")).unwrap_or_default();
    let supplements = || {
        joined(body.list("supplement").iter().filter_map(|supplement| {
            supplement.get("type").and_then(concept).or_else(|| supplement.text("productName").map(tidy::line))
        }))
    };
    let formula = || {
        body.at("enteralFormula.baseFormulaType").and_then(concept).map(|formula| format!("enteral formula {formula}"))
    };
    let display = concepts(diets).or_else(supplements).or_else(formula).unwrap_or_else(|| "Nutrition order".to_owned());
    let ordered = when(body, "dateTime");
    let orderer = body.get("orderer").and_then(|person| resource.called(person));
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![ordered.words],
        concept: diets.first(),
        effective: ordered.instant,
        ..Headline::new(FactKind::CarePlan, "Nutrition order", &display)
    }
    .state(&mut lines);
    lines.labelled("Intent", body.text("intent").map(tidy::line));
    lines.labelled("Preferences", concepts(body.list("foodPreferenceModifier")));
    lines.labelled("To leave out", concepts(body.list("excludeFoodModifier")));
    if let Some(diet) = body.get("oralDiet") {
        for nutrient in diet.list("nutrient") {
            let parts = [nutrient.get("modifier").and_then(concept), nutrient.get("amount").and_then(quantity)];
            lines.labelled("Nutrient", joined(parts.into_iter().flatten()));
        }
        for texture in diet.list("texture") {
            let parts = [texture.get("modifier").and_then(concept), texture.get("foodType").and_then(concept)];
            lines.labelled("Texture", joined(parts.into_iter().flatten()));
        }
        lines.labelled("Fluids", concepts(diet.list("fluidConsistencyType")));
        lines.labelled("Diet instructions", diet.text("instruction").map(tidy::line));
    }
    for supplement in body.list("supplement") {
        let parts = ["type", "productName", "quantity", "instruction"];
        lines.labelled("Supplement", joined(parts.iter().filter_map(|part| words(resource, supplement.get(part)?))));
    }
    if let Some(formula) = body.get("enteralFormula") {
        let parts = [
            "baseFormulaType",
            "baseFormulaProductName",
            "additiveType",
            "routeofAdministration",
            "maxVolumeToDeliver",
            "administrationInstruction",
        ];
        lines.labelled("Enteral formula", joined(parts.iter().filter_map(|part| words(resource, formula.get(part)?))));
    }
    notes(&mut lines, body);
    Page { kind: Kind::CarePlan, title: display, lines, effective: ordered.instant, author: orderer }
}
