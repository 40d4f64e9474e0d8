//! FT1 and accounts: what was charged, credited or paid.

use crate::domain::{Changes, FactKind, FactValue, Kind};

use super::draft::{Claim, Draft};
use super::message::Segment;
use super::subject::Subject;
use super::types::{self, Concept, joined};

pub(super) fn read(subject: &Subject<'_>, changes: &mut Changes) {
    for charge in subject.every("FT1") {
        if let Some(draft) = charge_draft(subject, charge) {
            changes.documents.push(draft.finish(subject));
        }
    }
    account(subject, changes);
}

/// HL7 table 0017.
fn kind_words(code: Option<&str>) -> &'static str {
    match code {
        Some("CD") => "Credit",
        Some("PY") => "Payment",
        Some("AJ") => "Adjustment",
        Some("CO") => "Co-payment",
        _ => "Charge",
    }
}

fn charge_draft(subject: &Subject<'_>, charge: &Segment<'_>) -> Option<Draft> {
    let procedure = Concept::read(charge.field(25));
    let coded = Concept::read(charge.field(7));
    let described = charge.field(8).line().map(Concept::named);
    let concept = coded.or(procedure.clone()).or(described)?;
    let kind = charge.text(6).map(|kind| kind.to_ascii_uppercase());
    let words = kind_words(kind.as_deref());
    let key = key(subject, charge, &concept, kind.as_deref());
    let mut draft = Draft::new(key, Kind::Claim, "ChargeItem", &format!("{words}: {}", concept.words));
    let moment = |component: usize| subject.header.moment(charge.field(4).component(component));
    let (from, to) = (moment(1), moment(2));
    draft.effective = from.as_ref().map(|from| from.instant);
    let when = match (&from, &to) {
        (Some(from), Some(to)) => Some(from.until(to)),
        (Some(from), None) => Some(from.words()),
        _ => None,
    };
    let quantity = charge.text(10).map(|quantity| format!("quantity {quantity}"));
    let total = types::amount(charge.field(11));
    let each = types::amount(charge.field(12)).map(|amount| format!("{amount} each"));
    let amount = joined([total.clone(), each].into_iter().flatten()).map(|amount| amount.replace("; ", ", "));
    let parts = [when, quantity, amount].into_iter().flatten().collect::<Vec<_>>();
    let aside = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let value = total.map(FactValue::Text);
    let claim = Claim { value, status: Some(words.to_lowercase()), effective: draft.effective };
    let line = format!("{words}: {}{aside}{}", concept.words, concept.aside());
    draft.state(&line, FactKind::Claim, &concept, claim);
    draft.concepts("Diagnosis", &Concept::all(charge.field(19)));
    let procedures: Vec<Concept> = procedure.into_iter().filter(|other| *other != concept).collect();
    draft.concepts("Procedure", &procedures);
    let lines = &mut draft.lines;
    lines.labelled("Description", charge.field(8).line().filter(|text| *text != concept.words));
    lines.labelled("Modifiers", joined(Concept::all(charge.field(26)).into_iter().map(|concept| concept.words)));
    lines.labelled("Performed by", types::clinicians(charge.field(20)));
    lines.labelled("Ordered by", types::clinicians(charge.field(21)));
    lines.labelled("Department", Concept::read(charge.field(13)).map(|concept| concept.words));
    lines.labelled("Posted", subject.header.moment(charge.field(5)).map(|posted| posted.day));
    Some(draft)
}

/// Within the visit, the transaction's own number; a credit doesn't replace the charge that it takes back.
fn key(subject: &Subject<'_>, charge: &Segment<'_>, concept: &Concept, kind: Option<&str>) -> String {
    let scope = subject.visit.as_deref().unwrap_or(&subject.local);
    let suffix = match kind {
        None | Some("CG") => String::new(),
        Some(kind) => format!("#{kind}"),
    };
    let id = types::identifier(charge.field(2)).unwrap_or_else(|| {
        let code = concept.code().unwrap_or(&concept.words);
        let day = charge.field(4).component(1).raw().trim();
        let place = charge.text(1).unwrap_or_else(|| charge.position.to_string());
        let message = subject.header.control_id.as_deref().unwrap_or_default();
        format!("{code}/{day}/{message}/{place}")
    });
    format!("ChargeItem/{scope}/{id}{suffix}")
}

/// BAR: the account itself.
fn account(subject: &Subject<'_>, changes: &mut Changes) {
    if !subject.header.is("BAR") {
        return;
    }
    let Some(number) = types::identifier(subject.identity.field(18)).or_else(|| subject.visit.clone()) else { return };
    let key = format!("Account/{number}");
    let status = match subject.header.trigger.as_str() {
        "P02" => {
            changes.removals.push(subject.removal(key));
            return;
        }
        "P01" => "opened",
        "P06" => "ended",
        _ => "updated",
    };
    let mut draft = Draft::new(key, Kind::Claim, "Account", &format!("Account {number}"));
    let concept = Concept::named(format!("Account {number}"));
    let claim = Claim { value: None, status: Some(status.to_owned()), effective: None };
    draft.state(&format!("Account {number} ({status})"), FactKind::Claim, &concept, claim);
    if let Some(visit) = subject.first("PV1") {
        let moment = |field: usize| subject.header.moment(visit.field(field)).map(|moment| moment.words());
        draft.lines.labelled("Financial class", Concept::read(visit.field(20)).map(|concept| concept.words));
        draft.lines.labelled("Admitted", moment(44));
        draft.lines.labelled("Discharged", moment(45));
        draft.lines.labelled("Total charges", visit.field(47).line());
        draft.lines.labelled("Balance", visit.field(46).line());
    }
    changes.documents.push(draft.finish(subject));
}
