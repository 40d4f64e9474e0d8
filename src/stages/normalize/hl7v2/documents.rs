//! TXA: written documents, their addenda, edits, replacements and cancellations.

use crate::domain::{Changes, Finding, Kind, Removal, Severity};

use super::draft::Draft;
use super::header::Header;
use super::message::{Message, Segment};
use super::observation;
use super::subject::{Subject, level};
use super::types::{self, Concept, joined};

/// HL7 table 0270.
const TYPES: [(&str, &str); 15] = [
    ("AR", "Autopsy report"),
    ("CD", "Cardiodiagnostics"),
    ("CN", "Consultation"),
    ("DI", "Diagnostic imaging"),
    ("DS", "Discharge summary"),
    ("ED", "Emergency department report"),
    ("HP", "History and physical examination"),
    ("OP", "Operative report"),
    ("PC", "Psychiatric consultation"),
    ("PH", "Psychiatric history and physical examination"),
    ("PN", "Procedure note"),
    ("PR", "Progress note"),
    ("SP", "Surgical pathology"),
    ("TS", "Transfer summary"),
    ("LH", "Labor and delivery summary"),
];

/// T11 and a document that became unavailable: what is withdrawn, which takes no patient to say.
pub(super) fn removals(message: &Message<'_>, header: &Header) -> Changes {
    let mut changes = Changes::default();
    for document in message.segments.iter().filter(|segment| segment.is("TXA")) {
        let cancelled = header.is_event("MDM", &["T11"]);
        let replaces = header.is_event("MDM", &["T08", "T09", "T10"]);
        let withdrawn = matches!(document.text(19).as_deref(), Some("CA" | "UN" | "OB"));
        let own = identifier(document);
        let parent = types::identifier(document.field(13)).filter(|parent| Some(parent) != own.as_ref());
        let gone = own.filter(|_| cancelled || withdrawn).into_iter().chain(parent.filter(|_| replaces));
        let removal = |id: String| Removal { source_key: key(&id), at: header.at };
        changes.removals.extend(gone.map(removal));
    }
    changes
}

fn key(id: &str) -> String {
    format!("DocumentReference/{id}")
}

fn identifier(document: &Segment<'_>) -> Option<String> {
    types::identifier(document.field(12))
}

/// The document of one `TXA`; `body` holds its observations.
pub(super) fn draft(
    subject: &Subject<'_>,
    document: &Segment<'_>,
    body: &[&Segment<'_>],
    findings: &mut Vec<Finding>,
) -> Option<Draft> {
    let header = subject.header;
    let withdrawn = matches!(document.text(19).as_deref(), Some("CA" | "UN" | "OB"));
    if header.is_event("MDM", &["T11"]) || withdrawn {
        return None;
    }
    let kind = kind_of(document, subject);
    let title = document.field(25).line().or_else(|| kind.as_ref().map(|kind| kind.words.clone()));
    let title = title.or_else(|| of_observation(body)).unwrap_or_else(|| "Document".to_owned());
    let mut draft = Draft::new(String::new(), Kind::Note, "DocumentReference", &title);
    let written = [4, 6, 7, 8].into_iter().find_map(|field| header.moment(document.field(field)));
    draft.effective = written.as_ref().map(|moment| moment.instant);
    draft.author = author(document);
    draft.confidential(level(document.text(18)));
    if matches!(document.text(2).as_deref(), Some("PC" | "PH")) {
        draft.sensitive("PSY");
    }
    let status = completion(document.text(17));
    let when = written.as_ref().map(|written| written.words());
    let aside = joined(when.into_iter().chain(status.map(str::to_owned))).map(|words| words.replace("; ", ", "));
    let aside = aside.map(|aside| format!(" ({aside})")).unwrap_or_default();
    draft.lines.push(&format!("{title}{aside}"));
    draft.mark(&Concept::named(title));
    if let Some(kind) = &kind {
        draft.mark(kind);
    }
    metadata(subject, document, &mut draft);
    let is_purged = document.text(20).as_deref() == Some("PU");
    let mut has_text = false;
    if !is_purged {
        let tally = observation::state(subject, body, None, &mut draft);
        has_text = tally.stated > 0;
        findings.extend(tally.findings);
    }
    if !has_text {
        without_text(subject, document, is_purged, &mut draft, findings);
    }
    Some(draft.keyed(own_key(subject, document, has_text)))
}

/// An addendum that has no number of its own, and news of a document without its text, must not replace it.
fn own_key(subject: &Subject<'_>, document: &Segment<'_>, has_text: bool) -> String {
    let header = subject.header;
    let moment = header.at.map(|at| at.to_string()).unwrap_or_default();
    let parent = types::identifier(document.field(13));
    let Some(own) = identifier(document) else {
        let order = types::identifier(document.field(15)).or_else(|| types::identifier(document.field(14)));
        let order = order.unwrap_or_else(|| {
            let at = document.field(4).component(1).raw().trim().to_owned();
            let message = header.control_id.clone().unwrap_or_default();
            format!("{}/{}", subject.local, if at.is_empty() { message } else { at })
        });
        let kind = document.text(2).unwrap_or_default();
        return subject.item_key("DocumentReference", &format!("{order}/{kind}"));
    };
    let is_addendum = header.is_event("MDM", &["T05", "T06"]);
    let is_news = header.is_event("MDM", &["T03", "T07"]) && !has_text;
    if is_addendum && parent.as_ref().is_none_or(|parent| *parent == own) {
        format!("{}#addendum-{moment}", key(&own))
    } else if is_news {
        format!("{}#status", key(&own))
    } else {
        key(&own)
    }
}

fn without_text(
    subject: &Subject<'_>,
    document: &Segment<'_>,
    is_purged: bool,
    draft: &mut Draft,
    findings: &mut Vec<Finding>,
) {
    let is_expected = subject.header.is_event("MDM", &["T02", "T04", "T06", "T08", "T10"]);
    let words = match () {
        () if is_purged => "The sender has purged the text of this document",
        () if subject.header.is_event("MDM", &["T07"]) => {
            "The sender has edited this document; the new text was not sent"
        }
        () if subject.header.is_event("MDM", &["T03"]) => "The status of this document has changed",
        () => "Only this notice was sent, not the text of the document",
    };
    if is_expected && !is_purged {
        let path = format!("TXA (segment {})", document.position);
        findings.push(Finding { rule: "missing_text".to_owned(), severity: Severity::Warning, path });
    }
    draft.lines.push(words);
}

fn metadata(subject: &Subject<'_>, document: &Segment<'_>, draft: &mut Draft) {
    let header = subject.header;
    let parent = types::identifier(document.field(13));
    let relation = match header.trigger.as_str() {
        "T05" | "T06" => Some("Addendum to document"),
        "T08" | "T09" | "T10" => Some("Replaces document"),
        _ => Some("Belongs to document"),
    };
    let lines = &mut draft.lines;
    lines.labelled("Author", draft.author.as_ref());
    lines.labelled("Provider", types::clinicians(document.field(5)).filter(|name| Some(name) != draft.author.as_ref()));
    lines.labelled("Document number", identifier(document));
    if let (Some(relation), Some(parent)) = (relation, parent) {
        lines.labelled(relation, Some(parent));
    }
    lines.labelled("Signed by", signers(subject, document));
    lines.labelled("To be signed by", types::clinicians(document.field(10)));
    lines.labelled("Reason for the change", document.field(21).line());
}

fn signers(subject: &Subject<'_>, document: &Segment<'_>) -> Option<String> {
    joined(document.repetitions(22).into_iter().filter_map(|signer| {
        let name = types::clinician(signer)?;
        let when = subject.header.moment(signer.component(15)).map(|when| format!(" ({})", when.words()));
        Some(format!("{name}{}", when.unwrap_or_default()))
    }))
}

fn author(document: &Segment<'_>) -> Option<String> {
    types::clinicians(document.field(9)).or_else(|| types::clinicians(document.field(5)))
}

/// TXA-2, else what the order in the same message asked for.
fn kind_of(document: &Segment<'_>, subject: &Subject<'_>) -> Option<Concept> {
    let mut kind = Concept::read(document.field(2));
    if let Some(kind) = &mut kind
        && let Some((_, words)) = TYPES.iter().find(|(code, _)| kind.words == *code)
    {
        kind.words = (*words).to_owned();
        return Some(kind.clone());
    }
    let is_code = kind.as_ref().is_some_and(|kind| kind.words.len() <= 3);
    let ordered = || subject.first("OBR").and_then(|request| Concept::read(request.field(4)));
    if is_code || kind.is_none() { ordered().or(kind) } else { kind }
}

fn of_observation(body: &[&Segment<'_>]) -> Option<String> {
    let observed = body.iter().find(|segment| segment.is("OBX"))?;
    Concept::read(observed.field(3)).map(|concept| concept.words)
}

/// HL7 table 0271.
fn completion(code: Option<String>) -> Option<&'static str> {
    Some(match code?.to_ascii_uppercase().as_str() {
        "AU" => "authenticated",
        "LA" => "legally authenticated",
        "DI" => "dictated, unsigned",
        "DO" => "documented, unsigned",
        "IN" => "incomplete, unsigned",
        "IP" => "in progress, unsigned",
        "PA" => "pre-authenticated, unsigned",
        _ => return None,
    })
}
