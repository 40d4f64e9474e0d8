//! Whom a part of a message is about: the patient, the visit, and how confidential all of it is.

use crate::domain::{Confidentiality, Finding, PatientId, QuarantineReason, Removal, Severity, Unreadable};

use super::header::Header;
use super::message::{Message, Part, Segment};
use super::types;

/// One patient's part of a message.
pub(super) struct Subject<'a> {
    pub header: &'a Header,
    /// The id within the source's namespace of patients.
    pub local: String,
    pub patient: PatientId,
    pub identity: &'a Segment<'a>,
    /// What stands before the first `PID`, then all from this patient's `PID` to the next.
    pub segments: Vec<&'a Segment<'a>>,
    /// The visit's number.
    pub visit: Option<String>,
    /// The key of the visit's own document.
    pub encounter: Option<String>,
    pub confidentiality: Confidentiality,
    /// Whether the message tells of this patient alone.
    pub is_only: bool,
}

/// Patients in one message; more are a register, not a message.
const MAX_SUBJECTS: usize = 200;

/// Segments before the first patient that each of several is given.
const MAX_SHARED: usize = 100;

/// An identifier as a message gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identifier {
    pub id: String,
    pub authority: Option<String>,
    pub kind: Option<String>,
}

/// Kinds of identifiers that name something else than the record: social security, licences, insurance, visits.
const OTHER_KINDS: [&str; 18] =
    ["SS", "SSN", "SSA", "DL", "PPN", "AN", "VN", "MC", "MA", "MB", "BC", "CZ", "NI", "NNUSA", "PC", "HC", "BA", "DLN"];

impl<'a> Subject<'a> {
    /// Every patient of a message, in order.
    ///
    /// Errors: no `PID`, or none that names a patient.
    pub fn all(
        message: &'a Message<'a>,
        header: &'a Header,
        namespace: &str,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<Self>, Unreadable> {
        let segments: Vec<&Segment<'_>> = message.segments.iter().collect();
        let starts: Vec<usize> =
            segments.iter().enumerate().filter(|(_, segment)| segment.is("PID")).map(|(at, _)| at).collect();
        let Some(first) = starts.first().copied() else {
            return Err(Unreadable::new(QuarantineReason::InvalidResource, "no segment PID"));
        };
        if starts.len() > MAX_SUBJECTS {
            return Err(Unreadable::new(QuarantineReason::TooLarge, format!("more than {MAX_SUBJECTS} patients")));
        }
        // Every patient gets what is shared, so of several only a part of a long one is.
        let limit = if starts.len() > 1 { MAX_SHARED } else { usize::MAX };
        let shared = segments.get(..first.min(limit)).unwrap_or_default();
        let mut subjects = Vec::new();
        let mut nameless = None;
        for (index, start) in starts.iter().copied().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(segments.len());
            let Some(own) = segments.get(start..end) else { continue };
            let Some(identity) = own.first().copied() else { continue };
            let Some(identifier) = patient_id(identity) else {
                let path = format!("PID-3 (segment {})", identity.position);
                let rule = "required_field".to_owned();
                nameless.get_or_insert_with(|| path.clone());
                findings.push(Finding { rule, severity: Severity::Error, path });
                continue;
            };
            let own: Vec<&Segment<'_>> = shared.iter().chain(own).copied().collect();
            let visit = visit(&own);
            subjects.push(Self {
                header,
                patient: PatientId::in_namespace(namespace, &identifier.id),
                local: identifier.id,
                identity,
                encounter: visit.as_deref().map(encounter_key),
                visit,
                confidentiality: confidentiality(&own),
                segments: own,
                is_only: starts.len() == 1,
            });
        }
        match (subjects.is_empty(), nameless) {
            (true, Some(path)) => {
                Err(Unreadable::new(QuarantineReason::InvalidResource, format!("{path}: no patient id")))
            }
            _ => Ok(subjects),
        }
    }

    pub fn first(&self, name: &str) -> Option<&'a Segment<'a>> {
        self.segments.iter().find(|segment| segment.is(name)).copied()
    }

    pub fn every<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a Segment<'a>> + 's {
        self.segments.iter().filter(move |segment| segment.is(name)).copied()
    }

    /// A key for what this patient has one of: `AllergyIntolerance/7`, with the kind of message where it isn't ADT.
    ///
    /// Other messages carry excerpts of what ADT tells in full, which must not replace it.
    pub fn own_key(&self, resource_type: &str) -> String {
        self.qualified(format!("{resource_type}/{}", self.local))
    }

    /// The same for the visit, or for the patient where there is none.
    pub fn visit_key(&self, resource_type: &str) -> String {
        match &self.visit {
            Some(visit) => self.qualified(format!("{resource_type}/visit/{visit}")),
            None => self.own_key(resource_type),
        }
    }

    fn qualified(&self, key: String) -> String {
        if self.header.is("ADT") { key } else { format!("{key}#{}", self.header.kind) }
    }

    /// A key that the sender's own identifier makes; the patient's, where one thing is told of several.
    pub fn item_key(&self, resource_type: &str, id: &str) -> String {
        if self.is_only { format!("{resource_type}/{id}") } else { format!("{resource_type}/{id}/{}", self.local) }
    }

    pub fn removal(&self, source_key: String) -> Removal {
        Removal { source_key, at: self.header.at }
    }
}

pub(super) fn encounter_key(visit: &str) -> String {
    format!("Encounter/{visit}")
}

/// PV1-19, else the account PID-18, else PV1-50.
fn visit(segments: &[&Segment<'_>]) -> Option<String> {
    let of = |name: &str, field: usize| {
        let segment = segments.iter().find(|segment| segment.is(name))?;
        types::identifier(segment.field(field))
    };
    of("PV1", 19).or_else(|| of("PID", 18)).or_else(|| of("PV1", 50))
}

/// The record number of `PID-3`, else the old places `PID-2` and `PID-4`, else the account `PID-18`.
pub(super) fn patient_id(identity: &Segment<'_>) -> Option<Identifier> {
    [3, 2, 4, 18].into_iter().find_map(|field| {
        let list = identifiers(identity.field(field));
        if field == 18 { list.into_iter().next() } else { preferred(list, None) }
    })
}

pub(super) fn identifiers(field: Part<'_>) -> Vec<Identifier> {
    let read = |part: Part<'_>| {
        Some(Identifier {
            id: types::identifier(part.component(1))?,
            authority: part.component(4).subcomponent(1).line(),
            kind: part.component(5).subcomponent(1).line().map(|kind| kind.to_ascii_uppercase()),
        })
    };
    field.repetitions().into_iter().filter_map(read).collect()
}

/// The one that names the record: like `model` where that is given, else the record number, else what names no other thing.
pub(super) fn preferred(list: Vec<Identifier>, model: Option<&Identifier>) -> Option<Identifier> {
    let like = |other: &&Identifier| model.is_some_and(|m| m.authority == other.authority && m.kind == other.kind);
    let is_record = |identifier: &&Identifier| {
        identifier.kind.as_deref() == Some("MR")
            || identifier.authority.as_deref().is_some_and(|authority| matches!(authority, "MR" | "MRN"))
    };
    let is_internal = |identifier: &&Identifier| matches!(identifier.kind.as_deref(), Some("PI" | "PT"));
    let names_person = |identifier: &&Identifier| {
        !identifier.kind.as_deref().is_some_and(|kind| OTHER_KINDS.contains(&kind))
            && !identifier.authority.as_deref().is_some_and(|authority| authority.contains("SSA"))
    };
    let found = list.iter().find(like).filter(names_person);
    let found = found.or_else(|| list.iter().find(is_record)).or_else(|| list.iter().find(is_internal));
    found.or_else(|| list.iter().find(names_person)).cloned()
}

/// A VIP, a protected person, or a restriction of access in force.
fn confidentiality(segments: &[&Segment<'_>]) -> Confidentiality {
    let of = |name: &str, field: usize| segments.iter().find(|segment| segment.is(name))?.text(field);
    let is_no = |text: &str| matches!(text.to_ascii_uppercase().as_str(), "N" | "NO" | "0" | "F" | "FALSE");
    let vip = of("PV1", 16).is_some_and(|text| !is_no(&text));
    let protected = types::is_yes(of("PD1", 12));
    let restricted = segments
        .iter()
        .any(|segment| segment.is("ARV") && segment.text(3).is_some() && segment.text(2).as_deref() != Some("D"));
    if vip || protected || restricted { Confidentiality::R } else { Confidentiality::N }
}

/// TXA-18 and ORC-28: `V`, `R`, `U` (usual control).
pub(super) fn level(code: Option<String>) -> Option<Confidentiality> {
    match code?.to_ascii_uppercase().as_str() {
        "V" | "VR" => Some(Confidentiality::V),
        "R" => Some(Confidentiality::R),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(pid: &str) -> Option<String> {
        let text = format!("MSH|^~\\&|\r{pid}");
        let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
        patient_id(&message.segments[1]).map(|identifier| identifier.id)
    }

    #[test]
    fn the_record_number_is_preferred_and_social_security_never_taken() {
        assert_eq!(id("PID|1||999^^^X^PI~7^^^NORTH^MR").as_deref(), Some("7"));
        assert_eq!(id("PID|1||123456789^^^USSSA^SS~7").as_deref(), Some("7"));
        assert_eq!(id("PID|1||123456789^^^USSSA^SS"), None);
        assert_eq!(id("PID|1|8||").as_deref(), Some("8"));
        assert_eq!(id("PID|1|||9^^^ALT").as_deref(), Some("9"));
        assert_eq!(id("PID|1|||||||||||||||||ACC5").as_deref(), Some("ACC5"));
        assert_eq!(id("PID|1||\"\"||"), None);
    }

    #[test]
    fn a_restriction_or_a_vip_raises_confidentiality() {
        let of = |text: &str| {
            let text = format!("MSH|^~\\&|\r{text}");
            let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
            confidentiality(&message.segments.iter().collect::<Vec<_>>())
        };
        assert_eq!(of("PV1|1|I||||||||||||||VIP"), Confidentiality::R);
        assert_eq!(of("PV1|1|I||||||||||||||N"), Confidentiality::N);
        assert_eq!(of("ARV|1|A|DEM"), Confidentiality::R);
        assert_eq!(of("ARV|1|D|DEM"), Confidentiality::N);
        assert_eq!(of("PD1||||||||||||Y"), Confidentiality::R);
    }
}
