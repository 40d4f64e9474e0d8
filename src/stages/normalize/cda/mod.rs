//! CDA documents, C-CDA and looser ones: one document each, its text the signed narrative, its facts the entries.
//!
//! Templates and codes are hints, never a gate: whatever is there is read. A part without its document has no
//! patient and so no chart to go to.

mod checks;
mod concept;
mod entries;
mod header;
mod kinds;
mod labels;
mod narrative;
mod opening;
mod page;
mod people;
mod references;
mod sections;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod unstructured;
mod value;

use std::cell::Cell;

use crate::domain::{
    Changes, Document, DocumentStatus, Normalized, Outcome, QuarantineReason, RawRecord, Severity, Times, Unreadable,
};

use super::attachments::Readable;
use super::xml::{self, Element, Tree};
use page::Page;
use references::References;
use sections::Body;

/// What tables may repeat of a document, for each byte of it.
const REPEATS_PER_BYTE: usize = 3;
const REPEATS_AT_LEAST: usize = 64 * 1024;

/// Elements that stand only within a CDA document.
const FRAGMENTS: [&str; 40] = [
    "section",
    "component",
    "entry",
    "entryRelationship",
    "act",
    "observation",
    "organizer",
    "substanceAdministration",
    "supply",
    "procedure",
    "encounter",
    "structuredBody",
    "nonXMLBody",
    "recordTarget",
    "patientRole",
    "author",
    "participant",
    "participantRole",
    "performer",
    "informant",
    "authenticator",
    "legalAuthenticator",
    "dataEnterer",
    "custodian",
    "documentationOf",
    "serviceEvent",
    "componentOf",
    "encompassingEncounter",
    "encounterParticipant",
    "inFulfillmentOf",
    "informationRecipient",
    "relatedDocument",
    "relatedSubject",
    "authorization",
    "assignedAuthor",
    "manufacturedProduct",
    "externalDocument",
    "criterion",
    "addr",
    "signatureText",
];

pub(super) fn normalize(
    root: Element<'_>,
    source: &str,
    record: &RawRecord,
    namespace: &str,
) -> Result<Normalized, Unreadable> {
    let document = if root.name() == "ClinicalDocument" { Some(root) } else { enclosed(root) };
    match document {
        Some(document) => read(document, source, record, namespace),
        None => Err(no_document(root)),
    }
}

/// A document within an envelope, or a fragment that brings its patient and something to read.
fn enclosed(root: Element<'_>) -> Option<Element<'_>> {
    let within = root.descendants().find(|element| element.name() == "ClinicalDocument");
    let has = |name: &str| root.child(name).is_some();
    within.or_else(|| (has("recordTarget") && (has("component") || has("section") || has("entry"))).then_some(root))
}

fn no_document(root: Element<'_>) -> Unreadable {
    let detail = match FRAGMENTS.iter().find(|name| **name == root.name()) {
        Some(name) => format!("fragment: {name}"),
        None => "not a CDA document".to_owned(),
    };
    Unreadable::new(QuarantineReason::NotCda, detail)
}

fn read(document: Element<'_>, source: &str, record: &RawRecord, namespace: &str) -> Result<Normalized, Unreadable> {
    let mut references = References::of(document);
    let header = header::read(document, &references, namespace)?;
    let mut findings = checks::check(document);
    if header.key.is_none() {
        findings.push(checks::finding("missing_id", Severity::Warning, "id"));
    }
    if header.patient.is_none() {
        findings.push(checks::finding("required_field", Severity::Error, "recordTarget.patientRole.id"));
    }
    let mut page = Page::default();
    opening::write(document, &header, &references, &mut page);
    if let Some(body) = document.at("component/nonXMLBody") {
        unstructured::read(body, &mut page, &mut findings)?;
    }
    let repeats = Cell::new(source.len().saturating_mul(REPEATS_PER_BYTE).max(REPEATS_AT_LEAST));
    let mut body = Body { page: &mut page, references: &mut references, written: header.written, repeats };
    body.sections(document, 2, "");
    let (text, mut sections, facts) = page.into_parts();
    if document.at("component/nonXMLBody").is_some() {
        sections = crate::stages::sections::detect(&text);
    }
    let document = Document {
        source_key: header.key.unwrap_or_else(|| format!("ClinicalDocument/{}", super::fingerprint(&record.bytes))),
        source_version: header.version,
        kind: header.kind,
        resource_type: "DocumentReference".to_owned(),
        patient: header.patient,
        encounter: header.encounter,
        title: header.title,
        author: header.author,
        times: Times { effective: header.effective, source: header.written },
        labels: labels::labels(document, &text),
        status: status(document),
        text,
        sections,
        pages: Vec::new(),
        facts,
    };
    let documents = vec![document];
    let outcome = if header.removals.is_empty() {
        Outcome::Documents(documents)
    } else {
        Outcome::Changes(Changes { merges: Vec::new(), removals: header.removals, documents })
    };
    Ok(Normalized { outcome, findings })
}

/// The text of a document that is attached to a record, which says whose it is.
///
/// Its entries are left out: the sender of the record sends them as records. Errors: also a body that is a file
/// again, and a document that was taken back.
pub(super) fn attached(bytes: &[u8]) -> Result<Readable, Unreadable> {
    let refused = |why: &str| Unreadable::new(QuarantineReason::UnreadableAttachment, why);
    let decoded = xml::decode(bytes)?;
    let tree = Tree::parse(&decoded.text)?;
    let root = tree.root();
    let document = if root.name() == "ClinicalDocument" { Some(root) } else { enclosed(root) };
    let document = document.ok_or_else(|| no_document(root))?;
    if document.at("component/nonXMLBody").is_some() {
        return Err(refused("a file within a file"));
    }
    let normalized = read(document, &decoded.text, &RawRecord::default(), "")?;
    let mut documents = match normalized.outcome {
        Outcome::Documents(documents) | Outcome::Changes(Changes { documents, .. }) => documents,
        _ => Vec::new(),
    };
    let read = documents.pop().filter(|document| document.status == DocumentStatus::Current);
    let read = read.ok_or_else(|| refused("taken back"))?;
    Ok(Readable { text: read.text, pages: Vec::new(), guessed_charset: decoded.guessed, labels: read.labels })
}

fn status(document: Element<'_>) -> DocumentStatus {
    match document.at("statusCode").and_then(|status| status.attribute("code")) {
        Some("nullified") => DocumentStatus::EnteredInError,
        _ => DocumentStatus::Current,
    }
}
