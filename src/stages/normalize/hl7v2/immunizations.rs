//! RXA of vaccination messages: doses given, told of from elsewhere, or refused.

use crate::domain::{Changes, FactKind, Kind};

use super::draft::{Claim, Draft};
use super::groups::Group;
use super::message::Segment;
use super::observation;
use super::subject::Subject;
use super::types::{self, Concept, joined};

/// Codes of vaccines that mean that none was given.
const NO_VACCINE: [&str; 2] = ["998", "999"];

/// What registries send for the order number of a dose that nobody ordered.
const NO_ORDER: &str = "9999";

pub(super) fn is_vaccination(subject: &Subject<'_>, given: &Segment<'_>) -> bool {
    let system = given.text_at(5, 3).unwrap_or_default();
    subject.header.kind.starts_with('V') || system.eq_ignore_ascii_case("CVX")
}

pub(super) fn read(subject: &Subject<'_>, group: &Group<'_>, given: &Segment<'_>, changes: &mut Changes) {
    let Some(vaccine) = Concept::read(given.field(5)) else { return };
    let header = subject.header;
    let when = header.moment(given.field(3));
    let key = key(subject, group, &vaccine, given);
    if given.text(21).as_deref() == Some("D") {
        changes.removals.push(subject.removal(key));
        return;
    }
    let mut draft = Draft::new(key, Kind::Immunization, "Immunization", &vaccine.words);
    draft.effective = when.as_ref().map(|when| when.instant);
    let refusal = joined(Concept::all(given.field(18)).into_iter().map(|concept| concept.words));
    let completion = given.text(20).map(|code| code.to_ascii_uppercase());
    let status = match completion.as_deref() {
        Some("RE") => "refused",
        Some("NA") => "not given",
        Some("PA") => "partially given",
        _ if refusal.is_some() => "refused",
        _ if vaccine.has_code(&NO_VACCINE) => "not given",
        _ => "given",
    };
    let historical = Concept::all(given.field(9))
        .iter()
        .any(|note| note.code().is_some_and(|code| code.len() == 2 && code.starts_with('0') && code != "00"));
    let told = historical.then(|| "reported from elsewhere, not given here".to_owned());
    let parts =
        [when.as_ref().map(|when| when.day.clone()), dose(given), told, refusal.map(|why| format!("reason {why}"))];
    let aside = parts.into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let claim = Claim { value: None, status: Some(status.to_owned()), effective: draft.effective };
    let line = format!("Immunization ({status}): {}{aside}{}", vaccine.words, vaccine.aside());
    draft.state(&line, FactKind::Immunization, &vaccine, claim);
    details(subject, group, given, &mut draft);
    let observed: Vec<&Segment<'_>> = group.rest.iter().filter(|s| s.is("OBX") || s.is("NTE")).copied().collect();
    observation::state(subject, &observed, when.as_ref(), &mut draft);
    changes.documents.push(draft.finish(subject));
}

/// The filler's number; it is no key where it stands for none.
fn key(subject: &Subject<'_>, group: &Group<'_>, vaccine: &Concept, given: &Segment<'_>) -> String {
    let of_order = |field: usize| {
        let order = group.order?;
        types::identifier(order.field(field)).filter(|id| id != NO_ORDER)
    };
    match of_order(3).or_else(|| of_order(2)) {
        Some(id) => subject.item_key("Immunization", &id),
        None => {
            let code = vaccine.code().unwrap_or(&vaccine.words);
            let day: String = given.field(3).component(1).raw().trim().chars().take(8).collect();
            format!("Immunization/{}/{code}/{day}", subject.local)
        }
    }
}

fn dose(given: &Segment<'_>) -> Option<String> {
    let amount = given.text(6).filter(|amount| amount != "999" && amount != "0")?;
    let unit = types::unit(given.field(7)).map(|unit| format!(" {unit}")).unwrap_or_default();
    Some(format!("{amount}{unit}"))
}

fn details(subject: &Subject<'_>, group: &Group<'_>, given: &Segment<'_>, draft: &mut Draft) {
    let moment = |field: usize| subject.header.moment(given.field(field)).map(|moment| moment.day);
    let lines = &mut draft.lines;
    lines.labelled("Lot", joined(given.repetitions(15).into_iter().filter_map(|lot| lot.line())));
    lines.labelled("Expires", moment(16));
    lines.labelled("Manufacturer", joined(Concept::all(given.field(17)).into_iter().map(|concept| concept.words)));
    if let Some(route) = group.first("RXR") {
        lines.labelled("Route", Concept::read(route.field(1)).map(|concept| concept.words));
        lines.labelled("Site", Concept::read(route.field(2)).map(|concept| concept.words));
    }
    lines.labelled("Given by", types::clinicians(given.field(10)));
    lines.labelled("Given at", types::place(given.field(11)));
    let reasons = Concept::all(given.field(19));
    draft.concepts("Indication", &reasons);
}
