//! AL1, IAM, DG1, PRB, PR1: what a patient must not get, suffers from, was operated for.
//!
//! Lists are snapshots: what a later message no longer names is no longer on the list, so a list is one document.
//! Items that carry an action code (add, update, delete) are documents of their own.

use crate::domain::{Changes, Confidentiality, FactKind, Kind};

use super::draft::{Claim, Draft};
use super::message::Segment;
use super::subject::Subject;
use super::types::{self, Concept, joined};

/// SNOMED codes that state the absence of an allergy.
const NO_ALLERGY: [&str; 8] =
    ["716186003", "160244002", "409137002", "428607008", "429625007", "716184000", "428197003", "716185004"];

pub(super) fn read(subject: &Subject<'_>, changes: &mut Changes) {
    allergy_list(subject, changes);
    allergy_updates(subject, changes);
    diagnoses(subject, changes);
    problems(subject, changes);
    procedures(subject, changes);
}

fn put(draft: Draft, subject: &Subject<'_>, changes: &mut Changes) {
    if !draft.lines.is_empty() {
        changes.documents.push(draft.finish(subject));
    }
}

fn allergy_list(subject: &Subject<'_>, changes: &mut Changes) {
    let mut allergies = subject.every("AL1").peekable();
    if allergies.peek().is_none() {
        return;
    }
    let key = subject.own_key("AllergyIntolerance");
    if subject.every("AL1").all(|segment| segment.field(3).is_empty()) {
        if subject.every("AL1").any(|segment| segment.field(3).is_null()) {
            changes.removals.push(subject.removal(key));
        }
        return;
    }
    let mut draft = Draft::new(key, Kind::Allergy, "AllergyIntolerance", "Allergies");
    for allergy in allergies {
        let Some(substance) = Concept::read(allergy.field(3)) else { continue };
        let identified = subject.header.moment(allergy.field(6));
        let reactions = joined(allergy.repetitions(5).into_iter().filter_map(|reaction| reaction.words()));
        let severity = allergy.field(4);
        state_allergy(
            &mut draft,
            &substance,
            Concept::read(allergy.field(2)),
            severity_words(severity),
            reactions,
            |claim| {
                claim.effective = identified.as_ref().map(|moment| moment.instant);
                identified.as_ref().map(|moment| format!("identified {}", moment.day))
            },
        );
    }
    put(draft, subject, changes);
}

fn severity_words(field: super::message::Part<'_>) -> Option<String> {
    let words = Concept::read(field)?.words;
    let known = match words.as_str() {
        "SV" => "severe",
        "MO" => "moderate",
        "MI" => "mild",
        "U" => return None,
        _ => return Some(words.to_lowercase()),
    };
    Some(known.to_owned())
}

fn state_allergy(
    draft: &mut Draft,
    substance: &Concept,
    kind: Option<Concept>,
    severity: Option<String>,
    reactions: Option<String>,
    dated: impl FnOnce(&mut Claim) -> Option<String>,
) {
    let plain = substance.words.to_lowercase();
    let is_none = ["no known", "no allerg", "nkda", "nka", "none known"].iter().any(|start| plain.starts_with(start))
        || substance.has_code(&NO_ALLERGY);
    let mut claim = Claim { status: Some("active".to_owned()), ..Claim::default() };
    let when = dated(&mut claim);
    let kind = kind.and_then(|kind| allergy_kind(&kind));
    let severity = severity.map(|severity| format!("severity {severity}"));
    let aside = [kind, severity, reactions.map(|words| format!("reaction {words}")), when];
    let aside = aside.into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let heading = if is_none { "Allergy status" } else { "Allergy" };
    let line = format!("{heading}: {}{aside}{}", substance.words, substance.aside());
    draft.state(&line, FactKind::Allergy, substance, claim);
}

/// HL7 table 0127.
fn allergy_kind(kind: &Concept) -> Option<String> {
    let known = match kind.code().unwrap_or_default() {
        "DA" | "DRUG" => "drug",
        "FA" => "food",
        "EA" => "environment",
        "AA" => "animal",
        "PA" => "plant",
        "LA" => "pollen",
        "MA" => return None,
        "MC" => "contraindication",
        _ => return Some(kind.words.to_lowercase()),
    };
    Some(known.to_owned())
}

/// IAM: each names its own action.
fn allergy_updates(subject: &Subject<'_>, changes: &mut Changes) {
    for update in subject.every("IAM") {
        let Some(substance) = Concept::read(update.field(3)) else { continue };
        let code = substance.coded().1.unwrap_or_else(|| substance.words.clone());
        let id = types::identifier(update.field(7)).unwrap_or_else(|| format!("{}/{code}", subject.local));
        let key = subject.item_key("AllergyIntolerance", &id);
        let action = update.text(6).unwrap_or_default().to_ascii_uppercase();
        if matches!(action.as_str(), "D" | "DE" | "DEL") {
            changes.removals.push(subject.removal(key));
            continue;
        }
        let mut draft = Draft::new(key, Kind::Allergy, "AllergyIntolerance", &substance.words);
        let onset = subject.header.moment(update.field(11)).or_else(|| subject.header.moment(update.field(13)));
        let reactions = joined(update.repetitions(5).into_iter().filter_map(|reaction| reaction.words()));
        let kind = Concept::read(update.field(2));
        state_allergy(&mut draft, &substance, kind, severity_words(update.field(4)), reactions, |claim| {
            if let Some(status) = Concept::read(update.field(17)) {
                claim.status = Some(status.words.to_lowercase());
            }
            claim.effective = onset.as_ref().map(|moment| moment.instant);
            onset.as_ref().map(|moment| format!("onset {}", moment.day))
        });
        draft.effective = onset.map(|moment| moment.instant);
        put(draft, subject, changes);
    }
}

fn diagnoses(subject: &Subject<'_>, changes: &mut Changes) {
    let mut list = Draft::new(subject.visit_key("Condition"), Kind::Problem, "Condition", "Diagnoses");
    for diagnosis in subject.every("DG1") {
        let id = acted_on(diagnosis, 20, 21);
        let Some(key) = id.map(|id| format!("Condition/{}/{id}", subject.local)) else {
            state_diagnosis(subject, diagnosis, &mut list);
            continue;
        };
        if diagnosis.text(21).as_deref() == Some("D") {
            changes.removals.push(subject.removal(key));
            continue;
        }
        let mut draft = Draft::new(key, Kind::Problem, "Condition", "Diagnosis");
        state_diagnosis(subject, diagnosis, &mut draft);
        put(draft, subject, changes);
    }
    put(list, subject, changes);
}

/// The identifier of an item that says what is to become of it.
fn acted_on(segment: &Segment<'_>, id: usize, action: usize) -> Option<String> {
    let action = segment.text(action)?;
    matches!(action.as_str(), "A" | "U" | "D").then(|| types::identifier(segment.field(id)))?
}

fn state_diagnosis(subject: &Subject<'_>, diagnosis: &Segment<'_>, draft: &mut Draft) {
    let text = diagnosis.field(4).line();
    let coded = Concept::read(diagnosis.field(3));
    let Some(mut concept) = coded.or_else(|| text.clone().map(Concept::named)) else {
        return;
    };
    if concept.aside().is_empty()
        && let Some(text) = text.filter(|text| text != &concept.words)
    {
        concept.words = match concept.code() {
            Some(code) if code == concept.words => format!("{text} ({code})"),
            _ => text,
        };
    }
    let when = subject.header.moment(diagnosis.field(5));
    let principal = (diagnosis.text(15).as_deref() == Some("1")).then(|| "principal".to_owned());
    let kind = diagnosis.field(6).component(1).text().map(|kind| match kind.as_str() {
        "A" => "admitting".to_owned(),
        "W" => "working".to_owned(),
        "F" => "final".to_owned(),
        _ => kind.to_lowercase(),
    });
    let by = types::clinicians(diagnosis.field(16)).map(|name| format!("by {name}"));
    let present = (diagnosis.text(26).as_deref() == Some("Y")).then(|| "present on admission".to_owned());
    let day = when.as_ref().map(|when| when.day.clone());
    let aside = [kind.clone(), principal, present, day, by].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let aside = if aside.is_empty() { String::new() } else { format!(" ({aside})") };
    let effective = when.map(|when| when.instant);
    let claim = Claim { value: None, status: kind, effective };
    if draft.title == "Diagnosis" {
        draft.title.clone_from(&concept.words);
        draft.effective = effective;
    }
    if types::is_yes(diagnosis.text(18)) {
        draft.confidential(Some(Confidentiality::R));
    }
    let line = format!("Diagnosis: {}{aside}{}", concept.words, concept.aside());
    draft.state(&line, FactKind::Condition, &concept, claim);
}

/// PRB of problem and pathway messages, each with its own action.
fn problems(subject: &Subject<'_>, changes: &mut Changes) {
    let segments = &subject.segments;
    for (at, problem) in segments.iter().enumerate().filter(|(_, segment)| segment.is("PRB")) {
        let Some(concept) = Concept::read(problem.field(3)) else { continue };
        let id = types::identifier(problem.field(4)).unwrap_or_else(|| format!("{}/{}", subject.local, concept.words));
        let key = subject.item_key("Condition", &format!("problem/{id}"));
        let action = problem.text(1).unwrap_or_default().to_ascii_uppercase();
        if action.starts_with('D') || subject.header.is_event("PPR", &["PC3"]) {
            changes.removals.push(subject.removal(key));
            continue;
        }
        let mut draft = Draft::new(key, Kind::Problem, "Condition", &concept.words);
        let moment = |field: usize| subject.header.moment(problem.field(field));
        let (onset, since, resolved) = (moment(16), moment(7), moment(9));
        let status = Concept::read(problem.field(14)).map(|status| status.words.to_lowercase());
        let start = onset.or(since);
        draft.effective = start.as_ref().map(|moment| moment.instant);
        let parts = [
            start.as_ref().map(|start| format!("since {}", start.day)),
            resolved.as_ref().map(|end| format!("resolved {}", end.day)),
            Concept::read(problem.field(13)).map(|certainty| certainty.words.to_lowercase()),
        ];
        let aside = status.iter().cloned().chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(", ");
        let aside = if aside.is_empty() { String::new() } else { format!(" ({aside})") };
        let status = status.or_else(|| resolved.map(|_| "resolved".to_owned()));
        let claim = Claim { value: None, status, effective: draft.effective };
        let line = format!("Problem: {}{aside}{}", concept.words, concept.aside());
        draft.state(&line, FactKind::Condition, &concept, claim);
        for note in segments.iter().skip(at + 1).take_while(|segment| segment.is("NTE")) {
            draft.lines.labelled("Note", note.field(3).line());
        }
        put(draft, subject, changes);
    }
}

fn procedures(subject: &Subject<'_>, changes: &mut Changes) {
    let mut list = Draft::new(subject.visit_key("Procedure"), Kind::Procedure, "Procedure", "Procedures");
    for procedure in subject.every("PR1") {
        let id = acted_on(procedure, 19, 20);
        let Some(key) = id.map(|id| format!("Procedure/{}/{id}", subject.local)) else {
            state_procedure(subject, procedure, &mut list);
            continue;
        };
        if procedure.text(20).as_deref() == Some("D") {
            changes.removals.push(subject.removal(key));
            continue;
        }
        let mut draft = Draft::new(key, Kind::Procedure, "Procedure", "Procedure");
        state_procedure(subject, procedure, &mut draft);
        put(draft, subject, changes);
    }
    put(list, subject, changes);
}

fn state_procedure(subject: &Subject<'_>, procedure: &Segment<'_>, draft: &mut Draft) {
    let text = procedure.field(4).line();
    let coded = Concept::read(procedure.field(3));
    let Some(concept) = coded.or_else(|| text.clone().map(Concept::named)) else {
        return;
    };
    let when = subject.header.moment(procedure.field(5));
    let surgeon = types::clinicians(procedure.field(11)).map(|name| format!("by {name}"));
    let detail = text.filter(|text| *text != concept.words);
    let day = when.as_ref().map(|when| when.words());
    let aside = [day, surgeon, detail].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let aside = if aside.is_empty() { String::new() } else { format!(" ({aside})") };
    let effective = when.map(|when| when.instant);
    if draft.title == "Procedure" {
        draft.title.clone_from(&concept.words);
        draft.effective = effective;
    }
    let claim = Claim { value: None, status: Some("completed".to_owned()), effective };
    let line = format!("Procedure: {}{aside}{}", concept.words, concept.aside());
    draft.state(&line, FactKind::Procedure, &concept, claim);
    draft.concepts("Reason for the procedure", &Concept::all(procedure.field(15)));
}
