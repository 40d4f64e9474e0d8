//! PID, PD1, NK1: who the patient is, one demographic a line.

use crate::domain::{FactKind, Kind, Removal};

use super::draft::Draft;
use super::message::Part;
use super::subject::{Subject, identifiers};
use super::types::{self, Concept, joined};

/// Triggers that tell what is known of the person, by intent.
const UPDATES: [&str; 19] = [
    "A01", "A04", "A05", "A08", "A18", "A24", "A28", "A30", "A31", "A34", "A36", "A37", "A39", "A40", "A43", "A46",
    "A47", "A14", "A60",
];

/// What stands for "not said" in identifiers that are shown.
const SHOWN_KINDS: [(&str, &str); 5] = [
    ("MR", "Medical record number"),
    ("PI", "Patient id"),
    ("PT", "Patient id"),
    ("AN", "Account number"),
    ("VN", "Visit number"),
];

/// The patient's own document, where the message says enough of the person to stand for what was known before.
pub(super) fn draft(subject: &Subject<'_>) -> Option<Draft> {
    let pid = subject.identity;
    let names = pid.repetitions(5);
    let name = best_name(&names).and_then(types::name);
    let (born, sex) = (subject.header.moment(pid.field(7)), sex(pid.text(8)));
    let key = if subject.header.is("ADT") {
        let reached = !pid.field(11).is_empty() || !pid.field(13).is_empty();
        let is_full = name.is_some() && born.is_some() && sex.is_some() && reached;
        let is_update = UPDATES.contains(&subject.header.trigger.as_str());
        if !(is_full || is_update && name.is_some()) {
            return None;
        }
        format!("Patient/{}", subject.local)
    } else {
        // An excerpt: it must not replace what ADT told in full.
        if name.is_none() || born.is_none() && sex.is_none() {
            return None;
        }
        format!("Patient/{}#{}", subject.local, subject.header.kind)
    };
    let mut draft = Draft::new(key, Kind::Patient, "Patient", name.as_deref().unwrap_or("Patient"));
    let mut say = |code: Option<&str>, label: &str, value: Option<String>| {
        draft.detail(FactKind::Demographic, code, label, value);
    };
    say(None, "Name", name.clone());
    say(None, "Also known as", other_names(pid.field(5), pid.field(9), name.as_deref()));
    say(Some("birthDate"), "Born", born.map(|born| born.day));
    say(Some("gender"), "Sex", sex);
    let is_alive = pid.text(30).is_some_and(|flag| flag.eq_ignore_ascii_case("N"));
    let died = subject.header.moment(pid.field(29)).filter(|_| !is_alive).map(|died| died.words());
    say(None, "Deceased", died.or_else(|| types::is_yes(pid.text(30)).then(|| "yes".to_owned())));
    say(None, "Race", concepts(pid.field(10)));
    say(None, "Ethnicity", concepts(pid.field(22)));
    say(None, "Language", language(pid.field(15)));
    say(None, "Marital status", pid.field(16).component(1).text().and_then(|_| marital(pid.field(16))));
    say(None, "Religion", concepts(pid.field(17)).filter(|words| words.len() > 3));
    for place in pid.repetitions(11) {
        say(None, "Address", types::address(place));
    }
    for field in [13, 14, 40] {
        for number in pid.repetitions(field) {
            let Some((label, value)) = types::telecom(number) else { continue };
            say(None, if field == 14 && label == "Phone" { "Work phone" } else { label }, Some(value));
        }
    }
    for (kind, label) in SHOWN_KINDS {
        let of_kind = identifiers(pid.field(3)).into_iter().filter(|id| id.kind.as_deref() == Some(kind));
        say(None, label, joined(of_kind.map(|id| id.id)));
    }
    if types::is_yes(pid.text(31)) {
        say(None, "Identity", Some("not established".to_owned()));
    }
    people(subject, &mut draft);
    notes(subject, &mut draft);
    if subject.header.is_event("ADT", &["A24", "A37"]) {
        let words = if subject.header.trigger == "A24" { "linked to" } else { "no longer linked to" };
        draft.lines.push(&format!("Record {words} another record of the same person by the sender"));
    }
    Some(draft)
}

/// A29 takes a person back; what is known else of them stays until a person decides.
pub(super) fn removal(subject: &Subject<'_>) -> Option<Removal> {
    subject.header.is_event("ADT", &["A29"]).then(|| subject.removal(format!("Patient/{}", subject.local)))
}

/// Next of kin, and the clinician who cares for the patient.
fn people(subject: &Subject<'_>, draft: &mut Draft) {
    for kin in subject.every("NK1") {
        let name = kin.repetitions(2).into_iter().find_map(types::name);
        let role = joined([concepts(kin.field(3)), concepts(kin.field(7))].into_iter().flatten());
        let reached = joined(kin.repetitions(5).into_iter().filter_map(types::telecom).map(|(_, number)| number));
        let parts = [name, role, reached].into_iter().flatten().collect::<Vec<_>>();
        draft.detail(FactKind::Demographic, None, "Contact person", Some(parts.join(", ")));
    }
    if let Some(more) = subject.first("PD1") {
        let name = types::clinicians(more.field(4));
        draft.detail(FactKind::Demographic, None, "General practitioner", name);
        draft.detail(FactKind::Demographic, None, "Cared for by", types::organization(more.field(3)));
    }
}

/// Notes that stand between `PID` and the next segment.
fn notes(subject: &Subject<'_>, draft: &mut Draft) {
    let after = subject.segments.iter().skip_while(|segment| !segment.is("PID")).skip(1);
    let own = after.skip_while(|segment| segment.is("PD1")).take_while(|segment| segment.is("NTE"));
    for note in own {
        draft.lines.labelled("Note", note.field(3).line());
    }
}

fn best_name<'a>(names: &[Part<'a>]) -> Option<Part<'a>> {
    // The legal name comes first, whatever it is called; aliases and former names follow it.
    let is_other = |name: &&Part<'a>| matches!(types::name_type(**name).as_deref(), Some("A" | "M" | "N" | "S" | "B"));
    names.iter().find(|name| !is_other(name)).or_else(|| names.first()).copied()
}

fn other_names(names: Part<'_>, aliases: Part<'_>, best: Option<&str>) -> Option<String> {
    let all = names.repetitions().into_iter().chain(aliases.repetitions());
    joined(all.filter_map(types::name).filter(|name| Some(name.as_str()) != best))
}

fn concepts(field: Part<'_>) -> Option<String> {
    joined(Concept::all(field).into_iter().map(|concept| concept.words))
}

fn language(field: Part<'_>) -> Option<String> {
    let concept = Concept::read(field)?;
    let known = match concept.words.to_ascii_lowercase().as_str() {
        "en" | "eng" => "English",
        "es" | "spa" => "Spanish",
        "de" | "ger" | "deu" => "German",
        "fr" | "fre" | "fra" => "French",
        _ => return Some(concept.words),
    };
    Some(known.to_owned())
}

/// HL7 table 0002, where only the code was sent.
fn marital(field: Part<'_>) -> Option<String> {
    let concept = Concept::read(field)?;
    let known = match concept.words.as_str() {
        "A" => "separated",
        "D" => "divorced",
        "M" => "married",
        "S" => "single",
        "W" => "widowed",
        "C" => "common law",
        "P" | "G" => "domestic partner",
        "U" => "unknown",
        _ => return Some(concept.words),
    };
    Some(known.to_owned())
}

/// HL7 table 0001.
fn sex(code: Option<String>) -> Option<String> {
    let known = match code?.to_ascii_uppercase().as_str() {
        "M" | "MALE" => "male",
        "F" | "FEMALE" => "female",
        "U" | "UNKNOWN" => "unknown",
        _ => "other",
    };
    Some(known.to_owned())
}
