//! HL7 v2 messages to documents: every segment that speaks of care is read, whatever message it comes in.
//!
//! What a message does to what is known depends on its trigger, so each part knows the triggers that matter to it:
//! merges first, then removals, then documents. A document stands for one thing of the real world (a visit, an
//! order's results, a written note, an appointment), under a key that the sender's own numbers make, so that the
//! next message about it replaces it.

pub mod acknowledgement;
mod appointments;
mod attachments;
mod charges;
mod charset;
mod checks;
mod coverage;
#[cfg(test)]
mod data_tests;
mod documents;
mod draft;
mod encounter;
mod escapes;
#[cfg(test)]
mod fuzz_tests;
mod groups;
mod header;
mod immunizations;
mod lists;
mod merges;
mod message;
mod observation;
mod orders;
mod patient;
mod referrals;
mod results;
mod subject;
#[cfg(test)]
mod tests;
mod times;
mod types;

use crate::domain::{Changes, Finding, Normalized, Outcome, QuarantineReason, RawRecord, Severity, Unreadable};

use draft::Draft;
use groups::Group;
use header::Header;
use message::{Message, Segment};
use subject::Subject;

/// Findings that are told of one message.
const MAX_FINDINGS: usize = 200;

/// Errors: no message, or one that names no patient where it speaks of care.
pub(super) fn normalize(record: &RawRecord, namespace: &str) -> Result<Normalized, Unreadable> {
    let decoded = charset::decode(&record.bytes)?;
    if is_envelope(&decoded.text) {
        return Ok(nothing("empty batch".to_owned(), Vec::new()));
    }
    let mut message = Message::parse(&decoded.text, decoded.encoding)?;
    let mut findings = std::mem::take(&mut message.findings);
    findings.extend(decoded.finding);
    let Some(header) = Header::read(&message) else {
        return Err(Unreadable::new(QuarantineReason::MalformedHl7, "no segment MSH"));
    };
    if header.carries_nothing() {
        return Ok(nothing(format!("{} message", header.name), findings));
    }
    findings.extend(checks::check(&message, &header));
    let mut changes = documents::removals(&message, &header);
    changes.removals.extend(appointments::removals(&message, &header));
    let subjects = match Subject::all(&message, &header, namespace, &mut findings) {
        Ok(subjects) => subjects,
        // What is withdrawn is named by its own number.
        Err(_) if !changes.removals.is_empty() => Vec::new(),
        Err(unreadable) => return Err(unread(&message, &header, unreadable)),
    };
    for subject in &subjects {
        read(subject, &message, namespace, &mut changes, &mut findings);
    }
    distinct(&mut changes, &mut findings);
    findings.truncate(MAX_FINDINGS);
    if changes.is_empty() {
        return if is_known(&header) {
            Ok(nothing(format!("{} message", header.name), findings))
        } else {
            Err(Unreadable::new(QuarantineReason::UnsupportedMessage, "MSH-9: nothing of this message is read"))
        };
    }
    Ok(Normalized { outcome: Outcome::Changes(changes), findings })
}

fn nothing(name: String, findings: Vec<Finding>) -> Normalized {
    Normalized { outcome: Outcome::CarriesNothing { name }, findings }
}

/// A batch's header or trailer, without any message.
fn is_envelope(text: &str) -> bool {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    let name = start.get(..3).unwrap_or_default().to_ascii_uppercase();
    matches!(name.as_str(), "FHS" | "BHS" | "BTS" | "FTS")
}

/// Why a message without a patient can't be read: a type that is not read at all, or one that needs a patient.
fn unread(message: &Message<'_>, header: &Header, reason: Unreadable) -> Unreadable {
    let speaks_of_care = message.segments.iter().any(|segment| {
        matches!(segment.name.as_str(), "PV1" | "OBR" | "OBX" | "TXA" | "SCH" | "RXA" | "FT1" | "ORC" | "MRG")
    });
    if is_known(header) || speaks_of_care || message.segments.iter().any(|segment| segment.is("PID")) {
        reason
    } else {
        Unreadable::new(QuarantineReason::UnsupportedMessage, "MSH-9: a type of message that is not read")
    }
}

/// Types of messages that are known to speak of care.
fn is_known(header: &Header) -> bool {
    const KNOWN: [&str; 34] = [
        "ADT", "BAR", "CRM", "CSU", "DFT", "MDM", "OMB", "OMD", "OMG", "OMI", "OML", "OMN", "OMP", "OMQ", "OMS", "OPU",
        "ORF", "ORL", "ORM", "ORR", "ORU", "OUL", "PGL", "PIN", "PPG", "PPP", "PPR", "RAS", "RDE", "RDS", "REF", "RGV",
        "SIU", "VXU",
    ];
    KNOWN.contains(&header.kind.as_str())
}

/// Everything that the message says of one patient.
fn read(
    subject: &Subject<'_>,
    message: &Message<'_>,
    namespace: &str,
    changes: &mut Changes,
    findings: &mut Vec<Finding>,
) {
    merges::read(subject, namespace, changes, findings);
    changes.removals.extend(patient::removal(subject));
    changes.removals.extend(encounter::removals(subject));
    let is_deleted = subject.header.is_event("ADT", &["A29"]);
    if is_deleted {
        let path = format!("PID (segment {})", subject.identity.position);
        findings.push(Finding { rule: "person_deleted".to_owned(), severity: Severity::Warning, path });
        return;
    }
    let mut put = |draft: Option<Draft>| changes.documents.extend(draft.map(|draft| draft.finish(subject)));
    put(patient::draft(subject));
    if !subject.header.is_event("ADT", &["A23"]) {
        put(encounter::draft(subject));
    }
    put(coverage::draft(subject));
    put(appointments::draft(subject, message));
    put(referrals::draft(subject));
    lists::read(subject, changes);
    charges::read(subject, changes);
    orders_and_results(subject, changes, findings);
}

fn orders_and_results(subject: &Subject<'_>, changes: &mut Changes, findings: &mut Vec<Finding>) {
    let groups = groups::groups(subject);
    if subject.header.is("MDM") {
        return written(subject, changes, findings);
    }
    for group in &groups {
        if let Some(draft) = of_group(subject, group, changes, findings) {
            changes.documents.push(draft.finish(subject));
        }
    }
    if let Some(draft) = results::loose(subject, &groups, findings) {
        changes.documents.push(draft.finish(subject));
    }
}

fn of_group(
    subject: &Subject<'_>,
    group: &Group<'_>,
    changes: &mut Changes,
    findings: &mut Vec<Finding>,
) -> Option<Draft> {
    if group.is("TXA") {
        return documents::draft(subject, group.head?, &group.rest, findings);
    }
    if let Some(given) = group.first("RXA")
        && immunizations::is_vaccination(subject, given)
    {
        immunizations::read(subject, group, given, changes);
        return None;
    }
    if group.is_medication() {
        return orders::medication(subject, group, findings);
    }
    if group.is("OBR") && !orders::is_order(subject, group) {
        return results::draft(subject, group, findings);
    }
    orders::request(subject, group, findings)
}

/// Of a document message, all observations and notes are the document.
fn written(subject: &Subject<'_>, changes: &mut Changes, findings: &mut Vec<Finding>) {
    let is_content = |segment: &&Segment<'_>| segment.is("OBX");
    let starts: Vec<usize> =
        subject.segments.iter().enumerate().filter(|(_, s)| s.is("TXA")).map(|(at, _)| at).collect();
    for (index, start) in starts.iter().copied().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(subject.segments.len());
        let Some(document) = subject.segments.get(start).copied() else { continue };
        let own = subject.segments.get(start..end).unwrap_or_default();
        let mut body: Vec<&Segment<'_>> = own.iter().filter(|s| s.is("OBX") || s.is("NTE")).copied().collect();
        if !body.iter().any(is_content) {
            // Some senders put the text before the document's header.
            body =
                subject.segments.iter().filter(|segment| starts.len() == 1 && is_content(segment)).copied().collect();
        }
        let draft = documents::draft(subject, document, &body, findings);
        changes.documents.extend(draft.map(|draft| draft.finish(subject)));
    }
}

/// Two documents of one message never share a key: the later one counts on.
fn distinct(changes: &mut Changes, findings: &mut Vec<Finding>) {
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for document in &mut changes.documents {
        let count = seen.entry(document.source_key.clone()).or_default();
        *count += 1;
        if *count > 1 {
            document.source_key = format!("{}#{count}", document.source_key);
            let path = document.resource_type.clone();
            findings.push(Finding { rule: "repeated_key".to_owned(), severity: Severity::Warning, path });
        }
    }
    changes.documents.retain(|document| !document.text.is_empty());
}
