//! IN1, IN2, GT1: who pays for the patient's care.

use crate::domain::{FactKind, FactValue, Kind};

use super::draft::{Claim, Draft};
use super::message::Segment;
use super::subject::Subject;
use super::types::{self, Concept, joined};

/// All insurances that the message names; a list, so that what is no longer named is gone.
pub(super) fn draft(subject: &Subject<'_>) -> Option<Draft> {
    let mut draft = Draft::new(subject.own_key("Coverage"), Kind::Coverage, "Coverage", "Insurance");
    for insurance in subject.every("IN1") {
        state(subject, insurance, &mut draft);
    }
    for guarantor in subject.every("GT1") {
        let name = guarantor.repetitions(3).into_iter().find_map(types::name);
        let relationship = Concept::read(guarantor.field(11)).map(|concept| relationship(&concept));
        draft.lines.labelled("Guarantor", joined([name, relationship].into_iter().flatten()));
    }
    (!draft.lines.is_empty()).then_some(draft)
}

fn state(subject: &Subject<'_>, insurance: &Segment<'_>, draft: &mut Draft) {
    let plan = Concept::read(insurance.field(2));
    let company = types::organization(insurance.field(4));
    let Some(words) = joined([company, plan.as_ref().map(|plan| plan.words.clone())].into_iter().flatten()) else {
        return;
    };
    let words = words.replace("; ", ", ");
    let moment = |field: usize| subject.header.moment(insurance.field(field));
    let (from, to) = (moment(12), moment(13));
    let period = match (&from, &to) {
        (Some(from), Some(to)) => Some(from.until(to)),
        (Some(from), None) => Some(format!("since {}", from.day)),
        (None, Some(to)) => Some(format!("until {}", to.day)),
        (None, None) => None,
    };
    let number =
        |label: &str, field: usize| types::identifier(insurance.field(field)).map(|id| format!("{label} {id}"));
    let rank = insurance.text(22).or_else(|| insurance.text(1)).map(|rank| match rank.trim_start_matches('0') {
        "1" => "primary".to_owned(),
        "2" => "secondary".to_owned(),
        "3" => "tertiary".to_owned(),
        other => format!("priority {other}"),
    });
    let parts = [rank, number("policy", 36), number("member", 49), number("group", 8), period];
    let aside = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let aside = if aside.is_empty() { String::new() } else { format!(" ({aside})") };
    let concept = plan.unwrap_or_default().called(&words);
    let value = types::identifier(insurance.field(36)).map(FactValue::Text);
    let claim = Claim { value, status: None, effective: from.map(|from| from.instant) };
    draft.state(&format!("Insurance: {words}{aside}"), FactKind::Coverage, &concept, claim);
    draft.concepts("Type of plan", &Concept::all(insurance.field(15)));
    let insured = insurance.repetitions(16).into_iter().find_map(types::name);
    let related = Concept::read(insurance.field(17)).map(|concept| format!("({})", relationship(&concept)));
    let insured = insured.map(|name| [Some(name), related].into_iter().flatten().collect::<Vec<_>>().join(" "));
    draft.lines.labelled("Insured", insured);
}

/// HL7 table 0063, where only the code was sent.
fn relationship(concept: &Concept) -> String {
    let known = match concept.words.as_str() {
        "SEL" | "SLF" | "S" => "self",
        "SPO" => "spouse",
        "CHD" => "child",
        "MTH" => "mother",
        "FTH" => "father",
        "PAR" => "parent",
        "GRD" => "guardian",
        "BRO" => "brother",
        "SIS" => "sister",
        "EMC" => "emergency contact",
        _ => return concept.words.clone(),
    };
    known.to_owned()
}
