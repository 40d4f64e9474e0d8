//! RF1 with its providers: who sends the patient to whom, and why.

use crate::domain::{FactKind, Kind};

use super::draft::{Claim, Draft};
use super::subject::Subject;
use super::types::{self, Concept, joined};

pub(super) fn draft(subject: &Subject<'_>) -> Option<Draft> {
    let referral = subject.first("RF1")?;
    let header = subject.header;
    let number = types::identifier(referral.field(6)).or_else(|| types::identifier(referral.field(11)));
    if !header.is("REF") && !header.is("RRI") {
        return None;
    }
    let number = number.or_else(|| header.control_id.clone()).unwrap_or_else(|| subject.local.clone());
    let kind = Concept::read(referral.field(3)).filter(|kind| kind.words.len() > 2);
    let concept = kind.unwrap_or_else(|| Concept::named("Referral".to_owned()));
    let key = subject.item_key("ServiceRequest", &format!("referral/{number}"));
    let mut draft = Draft::new(key, Kind::Other, "ServiceRequest", &concept.words);
    let status = match header.trigger.as_str() {
        "I14" => Some("cancelled".to_owned()),
        _ => Concept::read(referral.field(1)).map(|status| status.words.to_lowercase()),
    };
    let from = header.moment(referral.field(7));
    let to = header.moment(referral.field(8));
    draft.effective = from.as_ref().map(|from| from.instant);
    let period = match (&from, &to) {
        (Some(from), Some(to)) => Some(from.until(to)),
        (Some(from), None) => Some(format!("from {}", from.words())),
        _ => None,
    };
    let priority = Concept::read(referral.field(2)).map(|priority| format!("priority {}", priority.words));
    let parts = status.clone().into_iter().chain(period).chain(priority).collect::<Vec<_>>();
    let aside = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let claim = Claim { value: None, status, effective: draft.effective };
    let line = format!("Referral: {}{aside}{}", concept.words, concept.aside());
    draft.state(&line, FactKind::CarePlan, &concept, claim);
    draft.concepts("Reason", &Concept::all(referral.field(10)));
    for provider in subject.segments.iter().filter(|segment| segment.is("PRD")).take(50) {
        let role = joined(Concept::all(provider.field(1)).into_iter().map(|concept| concept.words));
        let name = provider.repetitions(2).into_iter().find_map(types::name);
        let Some(name) = name.or_else(|| types::organization(provider.field(7))) else { continue };
        draft.lines.labelled(role.as_deref().unwrap_or("Provider"), Some(name));
    }
    draft.lines.labelled("Referral number", Some(number));
    Some(draft)
}
