//! OBX: one line per value, long text as paragraphs, files by name.

use crate::domain::{FactKind, FactValue, Finding, Severity, Timestamp};
use crate::stages::normalize::tidy;

use super::attachments::{self, Attachment};
use super::draft::{Claim, Draft};
use super::message::{Part, Segment};
use super::subject::Subject;
use super::times::Moment;
use super::types::{self, Concept, joined};

/// Text of a single line up to here reads as a value, beyond as a paragraph.
const MAX_VALUE_CHARACTERS: usize = 200;

/// What became of a group's observations.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub stated: usize,
    pub paragraphs: usize,
    /// Declared wrong, or deleted.
    pub withdrawn: usize,
    pub findings: Vec<Finding>,
}

/// Adds every `OBX` and `NTE` of `segments`, in order; `taken` is the time of those that give none.
pub(super) fn state(
    subject: &Subject<'_>,
    segments: &[&Segment<'_>],
    taken: Option<&Moment>,
    draft: &mut Draft,
) -> Tally {
    let mut tally = Tally::default();
    let mut rest = segments;
    while let Some((segment, after)) = rest.split_first() {
        let length = match segment.name.as_str() {
            "NTE" => notes(rest, draft),
            "OBX" => match text_run(rest) {
                0 => {
                    value_line(subject, segment, taken, draft, &mut tally);
                    1
                }
                length => {
                    paragraphs(rest.get(..length).unwrap_or_default(), draft, &mut tally);
                    length
                }
            },
            _ => 1,
        };
        rest = rest.get(length.max(1)..).unwrap_or(after);
        if length == 0 {
            rest = after;
        }
    }
    tally
}

/// Consecutive notes as one; how many there were.
fn notes(segments: &[&Segment<'_>], draft: &mut Draft) -> usize {
    let run = segments.iter().take_while(|segment| segment.is("NTE")).count();
    let lines = segments.iter().take(run).map(|note| note.field(3).paragraphs()).collect::<Vec<_>>().join("\n");
    let text = tidy::text(&lines);
    if text.contains('\n') {
        draft.lines.block(&format!("Note:\n{text}"));
    } else {
        draft.lines.labelled("Note", Some(text));
    }
    run
}

fn status(segment: &Segment<'_>) -> Option<String> {
    segment.text(11).map(|status| status.to_ascii_uppercase())
}

fn is_withdrawn(segment: &Segment<'_>) -> bool {
    matches!(status(segment).as_deref(), Some("W" | "D"))
}

fn is_text(segment: &Segment<'_>) -> bool {
    let kind = segment.text(2).map(|kind| kind.to_ascii_uppercase());
    segment.is("OBX") && matches!(kind.as_deref(), Some("TX" | "FT" | "ST") | None) && !is_withdrawn(segment)
}

/// How many `OBX` from the first on make up one text; 0 when the first is a value of its own.
fn text_run(segments: &[&Segment<'_>]) -> usize {
    let Some(first) = segments.first().filter(|segment| is_text(segment)) else { return 0 };
    let is_string = |segment: &Segment<'_>| segment.text(2).is_some_and(|kind| kind.eq_ignore_ascii_case("ST"));
    let name = |segment: &Segment<'_>| segment.field(3).raw().trim().to_owned();
    let own = name(first);
    let same = |segment: &&&Segment<'_>| {
        let other = name(segment);
        let goes_on = other == own || other.is_empty();
        // Strings under sub-ids are several values: of two organisms, say.
        is_text(segment) && goes_on && !(is_string(segment) && is_string(first) && segment.text(4) != first.text(4))
    };
    let run = segments.iter().take_while(same).count();
    if run > 1 {
        return run;
    }
    let text = tidy::text(&first.field(5).paragraphs());
    let is_long = text.contains('\n') || text.chars().count() > MAX_VALUE_CHARACTERS;
    let is_part = section(first.field(3)).is_some() || own.is_empty();
    usize::from(is_long || is_part && !text.is_empty())
}

fn paragraphs(run: &[&Segment<'_>], draft: &mut Draft, tally: &mut Tally) {
    let Some(first) = run.first() else { return };
    let text = run.iter().map(|segment| segment.field(5).paragraphs()).collect::<Vec<_>>().join("\n");
    let text = tidy::text(&text);
    if text.is_empty() {
        return;
    }
    let corrected = run.iter().any(|segment| matches!(status(segment).as_deref(), Some("C" | "A")));
    let heading = Concept::read(first.field(3)).inspect(|concept| draft.mark(concept)).map(|concept| concept.words);
    let heading = section(first.field(3)).or(heading).filter(|heading| *heading != draft.title);
    let standing = if corrected { " (corrected)" } else { "" };
    match heading {
        Some(heading) => draft.lines.block(&format!("{heading}{standing}:\n{text}")),
        None => draft.lines.block(&text),
    }
    tally.paragraphs += 1;
    tally.stated += 1;
}

/// `71020&IMP`: the part of a report that a suffix names.
fn section(field: Part<'_>) -> Option<String> {
    let suffix = field.component(1).subcomponent(2).line()?;
    let known = match suffix.to_ascii_uppercase().as_str() {
        "IMP" => "Impression",
        "GDT" => "Description",
        "REC" => "Recommendation",
        "ADT" => "Addendum",
        "HIS" => "History",
        "DIA" => "Diagnosis",
        _ => return None,
    };
    Some(known.to_owned())
}

fn value_line(
    subject: &Subject<'_>,
    segment: &Segment<'_>,
    taken: Option<&Moment>,
    draft: &mut Draft,
    tally: &mut Tally,
) {
    let status = status(segment);
    let concept = Concept::read(segment.field(3)).unwrap_or_else(|| Concept::named("Observation".to_owned()));
    let own = subject.header.moment(segment.field(14));
    let moment = own.as_ref().or(taken);
    let day = moment.map(|moment| moment.day.clone());
    match status.as_deref() {
        Some("D") => {
            tally.withdrawn += 1;
            return;
        }
        Some("W") => {
            tally.withdrawn += 1;
            draft.mark(&concept);
            let aside = day.map(|day| format!(" ({day})")).unwrap_or_default();
            draft.lines.push(&format!("{}: result withdrawn as wrong{aside}", concept.words));
            return;
        }
        _ => {}
    }
    let is_the_text =
        concept.words == draft.title && segment.text(2).is_some_and(|kind| matches!(kind.as_str(), "TX" | "FT"));
    if is_the_text && !segment.field(5).is_empty() {
        return paragraphs(&[segment], draft, tally);
    }
    if attached_text(segment, &concept, draft) {
        tally.paragraphs += 1;
        tally.stated += 1;
        return;
    }
    let found = value(subject, segment, draft, tally);
    let standing = status.as_deref().map(status_words);
    let is_measured = segment.text(2).is_some_and(|kind| matches!(kind.as_str(), "NM" | "SN" | "CE" | "CWE" | "CNE"));
    let says_why = !matches!(status.as_deref(), None | Some("F" | "C" | "A" | "O"));
    if found.is_none() && !is_measured && !says_why {
        return;
    }
    let limits = segment.field(7).line().map(|range| format!("reference {range}"));
    let when = joined([day, standing.map(str::to_owned)].into_iter().flatten()).map(|when| when.replace("; ", ", "));
    let aside = joined([when, flags(segment.field(8)), limits].into_iter().flatten());
    let aside = aside.map(|aside| format!(" ({aside})")).unwrap_or_default();
    let part = segment.text(4).filter(|part| !part.chars().all(|c| c.is_ascii_digit()) && part.len() > 3);
    let part = part.map(|part| format!(", {part}")).unwrap_or_default();
    let words = match &found {
        Some((words, _)) => format!(": {words}"),
        None => missing(status.as_deref()).map(|reason| format!(": {reason}")).unwrap_or_default(),
    };
    let claim = Claim {
        value: found.map(|(_, value)| value),
        status: standing.map(str::to_owned),
        effective: moment.map(|moment| moment.instant),
    };
    let line = format!("{}{part}{words}{aside}{}", concept.words, concept.aside());
    draft.state(&line, FactKind::Observation, &concept, claim);
    tally.stated += 1;
    draft.lines.labelled("Method", Concept::read(segment.field(17)).map(|method| method.words));
}

/// Adds the text of a file that can be read, as a paragraph.
fn attached_text(segment: &Segment<'_>, concept: &Concept, draft: &mut Draft) -> bool {
    if !segment.text(2).is_some_and(|kind| kind.eq_ignore_ascii_case("ED")) {
        return false;
    }
    let Attachment::Text(text, labels) = attachments::read(segment.field(5)) else { return false };
    draft.mark(concept);
    draft.label(&labels);
    if concept.words == draft.title {
        draft.lines.block(&text);
    } else {
        draft.lines.block(&format!("{}:\n{text}", concept.words));
    }
    true
}

/// The value as words and to compute with; `None` where there is none to state.
fn value(
    subject: &Subject<'_>,
    segment: &Segment<'_>,
    draft: &mut Draft,
    tally: &mut Tally,
) -> Option<(String, FactValue)> {
    let field = segment.field(5);
    let kind = segment.text(2).unwrap_or_default().to_ascii_uppercase();
    let unit = types::unit(segment.field(6));
    let text = |words: String| Some((words.clone(), FactValue::Text(words)));
    let with_unit = |words: String| match &unit {
        Some(unit) => format!("{words} {unit}"),
        None => words,
    };
    match kind.as_str() {
        "NM" | "ST" | "TX" | "FT" | "SI" | "" => {
            let words = joined(field.repetitions().into_iter().filter_map(Part::line))?;
            match number(&words) {
                Some(value) => Some((with_unit(words), FactValue::Quantity { value, unit: unit.clone() })),
                None if kind == "NM" || unit.is_some() && words.starts_with(['<', '>']) => text(with_unit(words)),
                None => text(words),
            }
        }
        "SN" => text(with_unit(structured(field)?)),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => {
            let concepts = Concept::all(field);
            concepts.iter().for_each(|concept| draft.mark(concept));
            text(joined(concepts.into_iter().map(|concept| concept.words))?)
        }
        "DT" | "TM" | "TS" | "DTM" => {
            text(subject.header.moment(field).map(|moment| moment.words()).or_else(|| field.line())?)
        }
        "ED" => match attachments::read(field) {
            Attachment::File(words) => {
                let path = format!("OBX-5 (segment {})", segment.position);
                tally.findings.push(Finding {
                    rule: "attachment_not_read".to_owned(),
                    severity: Severity::Warning,
                    path,
                });
                text(format!("attached {words}, not read"))
            }
            Attachment::Text(..) | Attachment::Nothing => None,
        },
        "RP" => text("kept elsewhere, not fetched".to_owned()).filter(|_| !field.is_empty()),
        "XCN" => text(types::clinicians(field)?),
        "XPN" => text(types::name(field)?),
        "XAD" => text(types::address(field)?),
        "CX" | "EI" | "HD" => text(types::identifier(field)?),
        "PL" => text(types::place(field)?),
        "CP" | "MO" | "CQ" => text(types::amount(field)?),
        _ => text(tidy::bounded(&field.words()?, 1000)),
    }
}

/// A plain number; anything else stays text.
fn number(words: &str) -> Option<f64> {
    let is_plain = words.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && words.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
    if is_plain { words.parse::<f64>().ok().filter(|number| number.is_finite()) } else { None }
}

/// SN: `> 100`, `1:128`, `2-4`, `1+`.
fn structured(field: Part<'_>) -> Option<String> {
    let leaf = |number: usize| field.component(number).line();
    let comparator = leaf(1).filter(|sign| sign != "=").map(|sign| format!("{sign} ")).unwrap_or_default();
    let first = leaf(2)?;
    Some(format!("{comparator}{first}{}{}", leaf(3).unwrap_or_default(), leaf(4).unwrap_or_default()))
}

/// Why there is no value.
fn missing(status: Option<&str>) -> Option<&'static str> {
    match status {
        Some("X") => Some("no result could be obtained"),
        Some("N") => Some("not asked for"),
        Some("I" | "O") => None,
        Some("U") => Some("now final, the value is unchanged"),
        _ => Some("no value"),
    }
}

/// HL7 table 0085.
fn status_words(status: &str) -> &'static str {
    match status {
        "F" => "final",
        "P" => "preliminary",
        "R" => "not verified",
        "S" => "partial",
        "C" => "corrected",
        "A" => "amended",
        "B" => "appended",
        "U" => "final",
        "X" => "cancelled",
        "N" => "not asked",
        "I" => "pending",
        "O" => "order detail",
        "V" => "verified",
        _ => "status unknown",
    }
}

/// HL7 table 0078.
fn flags(field: Part<'_>) -> Option<String> {
    joined(field.repetitions().into_iter().filter_map(|flag| {
        let concept = Concept::read(flag)?;
        let known = match concept.code().unwrap_or_default() {
            "H" | "HU" => "high",
            "HH" | ">" | "HX" => "critically high",
            "L" | "LU" => "low",
            "LL" | "<" | "LX" => "critically low",
            "N" => "normal",
            "A" => "abnormal",
            "AA" => "critically abnormal",
            "S" => "susceptible",
            "R" => "resistant",
            "I" => "intermediate",
            "MS" => "moderately susceptible",
            "VS" => "very susceptible",
            "POS" => "positive",
            "NEG" => "negative",
            "DET" => "detected",
            "ND" => "not detected",
            "IND" => "indeterminate",
            "U" => "significantly up",
            "D" => "significantly down",
            "B" => "better",
            "W" => "worse",
            _ => return Some(concept.words.to_lowercase()),
        };
        Some(known.to_owned())
    }))
}

/// The time of the first observation, where the request gives none.
pub(super) fn first_taken(subject: &Subject<'_>, segments: &[&Segment<'_>]) -> Option<Timestamp> {
    let of = |segment: &&&Segment<'_>| subject.header.moment(segment.field(14)).map(|moment| moment.instant);
    segments.iter().filter(|segment| segment.is("OBX")).find_map(|segment| of(&segment))
}
