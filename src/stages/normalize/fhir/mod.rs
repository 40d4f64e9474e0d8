//! FHIR R4 resources to documents: one readable line per statement, one renderer per type that matters.
//!
//! Every renderer returns a [`Page`]; what all documents share (key, patient, labels, times, status) is read
//! once, into an [`Envelope`].

mod allergy;
mod appointment;
mod assessment;
mod billing;
mod care;
mod care_plan;
pub mod care_team_rules;
mod claim_parts;
mod claims;
mod communication;
mod composition;
mod condition;
mod consent;
pub mod consent_rules;
mod coverage;
pub(super) mod definitions;
mod device;
mod diagnostic_report;
mod document_reference;
pub(super) mod elements;
mod encounter;
mod family;
mod headline;
mod imaging;
mod immunization;
mod inlined;
pub(super) mod labels;
mod medication;
pub(super) mod names;
mod observation;
mod other;
mod patient;
mod procedure;
mod questionnaire;
mod references;
mod related_person;
mod scheduling;
mod search_codes;
mod work;
pub(in crate::stages) mod xml;
mod xml_elements;

use crate::domain::{
    Changes, Document, DocumentStatus, Finding, Kind, Labels, Normalized, Outcome, PatientId, PatientMerge,
    QuarantineReason, RawRecord, Severity, Times, Timestamp, Unreadable,
};
use crate::stages::sections;

use super::json::Json;
use super::lines::Lines;
use super::{checks, html, tidy};
use names::Treatment;
pub(super) use references::{Resource, Target};

/// A rendered resource: its lines, and what only its renderer knows about the document.
struct Page {
    kind: Kind,
    title: String,
    lines: Lines,
    effective: Option<Timestamp>,
    author: Option<String>,
}

pub(super) fn normalize(record: &RawRecord, namespace: &str) -> Result<Normalized, Unreadable> {
    if record.bytes.is_empty() {
        return Ok(Normalized { findings: record.findings.clone(), ..carries_nothing("empty Bundle entry") });
    }
    let text = std::str::from_utf8(&record.bytes)
        .map_err(|error| Unreadable::new(QuarantineReason::InvalidUtf8, format!("byte {}", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let body = Json::parse(text).map_err(|error| Unreadable::new(QuarantineReason::MalformedJson, error.0))?;
    read(&body, record, namespace)
}

/// One resource, already a tree, whatever form it came in.
fn read(body: &Json, record: &RawRecord, namespace: &str) -> Result<Normalized, Unreadable> {
    if !body.is_object() {
        return Err(Unreadable::new(QuarantineReason::InvalidResource, "not an object"));
    }
    let name = match body.get("resourceType") {
        Some(Json::Text(name)) => name.trim(),
        Some(_) => return Err(Unreadable::new(QuarantineReason::NotFhir, "resourceType is not text")),
        None => return Err(Unreadable::new(QuarantineReason::NotFhir, "no resourceType")),
    };
    let Some(treatment) = names::treatment(name) else {
        return Err(Unreadable::new(QuarantineReason::UnknownResource, "resourceType is none of FHIR R4"));
    };
    if name == "Bundle" {
        return bundle(body);
    }
    checks::shape(name, body)?;
    let resource = Resource {
        name,
        body,
        full_url: record.full_url.as_deref(),
        links: &record.links,
        companions: &record.companions,
        changed_at: record.changed_at,
        is_closed: record.is_closed,
        namespace,
    };
    let complete = inlined::inlined(&resource);
    let body = complete.as_ref().unwrap_or(body);
    documents(&Resource { body, ..resource }, treatment, record)
}

/// A Bundle is taken apart before it gets here; only one without entries is left whole.
fn bundle(body: &Json) -> Result<Normalized, Unreadable> {
    if body.list("entry").is_empty() {
        return Ok(carries_nothing("empty Bundle"));
    }
    Err(Unreadable::new(QuarantineReason::InvalidResource, "Bundle.entry must be split first"))
}

fn carries_nothing(name: &str) -> Normalized {
    Normalized { outcome: Outcome::CarriesNothing { name: name.to_owned() }, findings: Vec::new() }
}

fn documents(resource: &Resource<'_>, treatment: Treatment, record: &RawRecord) -> Result<Normalized, Unreadable> {
    let patient = resource.patient();
    let mut findings = record.findings.clone();
    findings.extend(checks::check(resource));
    let says_nothing = match treatment {
        Treatment::Nothing => true,
        Treatment::GenericWithPatient(..) | Treatment::OwnWithPatient => patient.is_none(),
        Treatment::Own | Treatment::Generic(..) => false,
    };
    if says_nothing {
        return Ok(Normalized { findings, ..carries_nothing(resource.name) });
    }
    let envelope = Envelope::read(resource, patient, &record.bytes, &mut findings);
    let documents = if resource.name == "DocumentReference" {
        document_reference::documents(resource, &envelope, &mut findings)?
    } else {
        vec![envelope.page(page(resource, treatment, &mut findings)?)]
    };
    let merges = merges(resource, &envelope);
    let outcome = match merges.is_empty() {
        true => Outcome::Documents(documents),
        false => Outcome::Changes(Changes { merges, documents, ..Changes::default() }),
    };
    Ok(Normalized { outcome, findings })
}

/// A Patient says that another record of the same person took its place, or that it took another's.
fn merges(resource: &Resource<'_>, envelope: &Envelope) -> Vec<PatientMerge> {
    let Some(own) = envelope.patient.as_ref().filter(|_| resource.name == "Patient") else { return Vec::new() };
    let links = resource.body.list("link").iter().filter_map(|link| {
        let other = resource.patient_at(link.get("other")?).filter(|other| other != own)?;
        let (merged, survivor) = match link.text("type")? {
            "replaced-by" => (own.clone(), other),
            "replaces" => (other, own.clone()),
            _ => return None,
        };
        Some(PatientMerge { merged, survivor, at: envelope.written })
    });
    links.collect()
}

fn page(resource: &Resource<'_>, treatment: Treatment, findings: &mut Vec<Finding>) -> Result<Page, Unreadable> {
    if let Treatment::Generic(kind, fact) | Treatment::GenericWithPatient(kind, fact) = treatment {
        return Ok(other::render(resource, kind, fact));
    }
    Ok(match resource.name {
        "Condition" => condition::render(resource)?,
        "AllergyIntolerance" => allergy::render(resource)?,
        "Observation" => observation::render(resource)?,
        "Procedure" => procedure::render(resource)?,
        "Immunization" => immunization::render(resource)?,
        "DiagnosticReport" => diagnostic_report::render(resource, findings)?,
        name if name.starts_with("Medication") => medication::render(resource)?,
        "Patient" => patient::render(resource),
        "RelatedPerson" => related_person::render(resource),
        "Encounter" => encounter::render(resource),
        "CarePlan" => care_plan::render(resource),
        "CareTeam" | "Goal" | "EpisodeOfCare" => care::render(resource),
        "Appointment" => appointment::render(resource),
        "AppointmentResponse" | "Schedule" | "Slot" => scheduling::render(resource),
        "Communication" | "CommunicationRequest" => communication::render(resource),
        "Composition" => composition::render(resource),
        "Claim" | "ClaimResponse" | "ExplanationOfBenefit" => claims::render(resource),
        "Coverage" | "CoverageEligibilityRequest" | "CoverageEligibilityResponse" => coverage::render(resource),
        "Account" | "ChargeItem" | "Invoice" | "PaymentNotice" => billing::render(resource),
        "Task" | "ServiceRequest" | "ReferralRequest" | "NutritionOrder" => work::render(resource),
        "FamilyMemberHistory" => family::render(resource),
        "QuestionnaireResponse" => questionnaire::render(resource),
        "Consent" => consent::render(resource),
        "Device" | "DeviceUseStatement" => device::render(resource),
        "ImagingStudy" | "Specimen" => imaging::render(resource),
        "AdverseEvent" | "ClinicalImpression" | "DetectedIssue" | "Flag" | "RiskAssessment" => {
            assessment::render(resource)
        }
        _ => other::render(resource, Kind::Other, None),
    })
}

/// What every document of a resource has in common.
struct Envelope {
    key: String,
    version: Option<String>,
    resource_type: String,
    patient: Option<PatientId>,
    encounter: Option<String>,
    labels: Labels,
    status: DocumentStatus,
    written: Option<Timestamp>,
}

/// One document's own part.
struct Content {
    /// 0 for the resource itself; further ones get `#2`, `#3` behind the key.
    position: usize,
    kind: Kind,
    title: String,
    author: Option<String>,
    text: String,
    /// Where each page begins in `text`, if it has pages.
    pages: Vec<usize>,
    facts: Vec<crate::domain::Fact>,
    effective: Option<Timestamp>,
}

/// Where a resource says when it was written, if `meta.lastUpdated` doesn't.
const WRITTEN: [&str; 10] = [
    "lastModified",
    "issued",
    "recorded",
    "recordedDate",
    "authoredOn",
    "dateAsserted",
    "date",
    "created",
    "authored",
    "sent",
];

impl Envelope {
    fn read(resource: &Resource<'_>, patient: Option<PatientId>, bytes: &[u8], findings: &mut Vec<Finding>) -> Self {
        let body = resource.body;
        let meta = |name: &str| body.get("meta").and_then(|meta| meta.scalar(name));
        let stated = WRITTEN.iter().filter_map(|name| body.text(name));
        let updated = meta("lastUpdated").and_then(Timestamp::parse).or(resource.changed_at);
        Self {
            key: key(resource, bytes, findings),
            version: meta("versionId").map(str::to_owned),
            resource_type: resource.name.to_owned(),
            patient,
            encounter: resource.encounter(),
            labels: Labels { codes: search_codes::codes(resource.name, body), ..labels::labels(body) },
            status: status(body),
            written: updated.or_else(|| stated.filter_map(Timestamp::parse).next()),
        }
    }

    fn page(&self, page: Page) -> Document {
        let Page { kind, title, lines, effective, author } = page;
        let pages = lines.pages().to_vec();
        let (text, facts) = lines.into_parts();
        self.document(Content { position: 0, kind, title, author, text, pages, facts, effective })
    }

    fn document(&self, content: Content) -> Document {
        let source_key = match content.position {
            0 => self.key.clone(),
            position => format!("{}#{}", self.key, position + 1),
        };
        let titled = matches!(content.kind, Kind::Note | Kind::Report);
        Document {
            source_key,
            source_version: self.version.clone(),
            kind: content.kind,
            resource_type: self.resource_type.clone(),
            patient: self.patient.clone(),
            encounter: self.encounter.clone(),
            title: tidy::bounded(&content.title, 200),
            author: content.author.map(|author| tidy::bounded(&author, 200)),
            times: Times { effective: content.effective, source: self.written },
            labels: self.labels.clone(),
            status: self.status,
            sections: if titled { sections::detect(&content.text) } else { Vec::new() },
            pages: content.pages,
            text: content.text,
            facts: content.facts,
        }
    }
}

/// `Type/id`, else the entry's `fullUrl`, else the type and a hash of the bytes.
fn key(resource: &Resource<'_>, bytes: &[u8], findings: &mut Vec<Finding>) -> String {
    if let Some(id) = resource.body.text("id") {
        return format!("{}/{id}", resource.name);
    }
    findings.push(Finding {
        rule: "missing_id".to_owned(),
        severity: Severity::Warning,
        path: format!("{}.id", resource.name),
    });
    resource.full_url.map(str::to_owned).unwrap_or_else(|| format!("{}/{}", resource.name, super::fingerprint(bytes)))
}

/// Whatever a type calls its status: `status`, `docStatus`, `lifecycleStatus`, `verificationStatus`.
fn status(body: &Json) -> DocumentStatus {
    let mut standings = body.members().iter().filter(|(name, _)| name.ends_with("tatus"));
    if standings.any(|(_, value)| elements::code(value) == Some("entered-in-error")) {
        DocumentStatus::EnteredInError
    } else {
        DocumentStatus::Current
    }
}

/// ` (active)`, or nothing without a status.
fn status_words(status: Option<&str>) -> String {
    status.map(|status| format!(" ({})", status.replace('-', " "))).unwrap_or_default()
}

/// `Note: ...` for each annotation.
fn notes(lines: &mut Lines, body: &Json) {
    for note in body.list("note") {
        lines.labelled("Note", note.text("text").or_else(|| note.as_text()));
    }
}

/// What the resource is about: its code's words, else the first line of its narrative or its note.
///
/// A resource without any of them means nothing to a reader.
fn subject_matter(resource: &Resource<'_>, element: &str) -> Result<String, Unreadable> {
    let named = resource.body.get(element).and_then(|code| resource.concept_or_called(code));
    let noted =
        || resource.body.list("note").iter().find_map(|note| note.text("text")).map(|text| tidy::bounded(text, 300));
    named.or_else(|| narrative(resource.body)).or_else(noted).ok_or_else(|| {
        Unreadable::new(QuarantineReason::InvalidResource, format!("{}.{element} names nothing", resource.name))
    })
}

/// The first line of the human-readable narrative.
fn narrative(body: &Json) -> Option<String> {
    let text = html::to_text(body.at("text.div")?.as_text()?);
    text.lines().map(|line| tidy::bounded(line, 300)).find(|line| !line.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    static NO_LINKS: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    static NO_COMPANIONS: std::collections::BTreeMap<String, Arc<[u8]>> = std::collections::BTreeMap::new();

    /// A resource outside of any Bundle.
    pub fn alone<'a>(name: &'a str, body: &'a Json) -> Resource<'a> {
        Resource {
            name,
            body,
            full_url: None,
            links: &NO_LINKS,
            companions: &NO_COMPANIONS,
            changed_at: None,
            is_closed: false,
            namespace: "main",
        }
    }
}
