//! A document's header: its identity and versions, whom it is about, who wrote it, and when.

use crate::domain::{Kind, PatientId, QuarantineReason, Removal, Timestamp, Unreadable};
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::concept::Concept;
use super::references::References;
use super::time::Period;
use super::{kinds, people};

/// Registers that number people for other ends than a chart: social security, Medicare, driving.
const FOREIGN_REGISTERS: [&str; 3] = ["2.16.840.1.113883.4.1", "2.16.840.1.113883.4.572", "2.16.840.1.113883.4.3"];

pub(super) struct Header {
    pub key: Option<String>,
    pub version: Option<String>,
    pub kind: Kind,
    pub title: String,
    pub patient: Option<PatientId>,
    pub encounter: Option<String>,
    pub author: Option<String>,
    pub effective: Option<Timestamp>,
    pub written: Option<Timestamp>,
    /// What this document replaces.
    pub removals: Vec<Removal>,
}

/// Errors: about several people at once, whose facts can't be told apart.
pub(super) fn read(document: Element<'_>, references: &References<'_>, namespace: &str) -> Result<Header, Unreadable> {
    let code = Concept::at(document, "code", references);
    let written = Period::of(document, "effectiveTime");
    let own_title = document.child("title").map(super::references::plain).filter(|title| !title.is_empty());
    let known = code.codes.iter().find_map(|code| kinds::document_name(&code.code)).map(str::to_owned);
    let title = own_title.or(known).or_else(|| code.display.clone()).unwrap_or_else(|| "Clinical document".to_owned());
    let encounter = document.at("componentOf/encompassingEncounter");
    let stay = encounter.map(|encounter| Period::of(encounter, "effectiveTime")).unwrap_or_default();
    let service = document.at("documentationOf/serviceEvent").map(|event| Period::of(event, "effectiveTime"));
    let service_end = service.and_then(|period| period.high.or(period.point)).map(|moment| moment.instant);
    let is_snapshot = code.codes.iter().any(|code| kinds::is_snapshot(&code.code));
    let effective = if is_snapshot { written.start() } else { stay.start().or(service_end) };
    let key = key(document);
    Ok(Header {
        version: document.value_at("versionNumber").map(|version| tidy::bounded(version, 60)),
        kind: if code.codes.iter().any(|code| kinds::is_report(&code.code)) { Kind::Report } else { Kind::Note },
        title: tidy::bounded(&title, 200),
        patient: patient(document, namespace)?,
        encounter: encounter
            .and_then(|encounter| encounter.all("id").find_map(local_id))
            .map(|id| format!("Encounter/{id}")),
        author: author(document),
        effective: effective.or(written.start()),
        written: written.start(),
        removals: replaced(document, key.as_deref(), written.start()),
        key,
    })
}

/// The set that all versions share, else the document's own id. An addendum is no version of what it adds to.
///
/// The type of document is part of it: senders number by visit too, and an operative note is no version of the
/// discharge summary that was given the same set.
fn key(document: Element<'_>) -> Option<String> {
    let set = document.child("setId").and_then(instance);
    let added_to = related(document, "APND").filter_map(|parent| parent.child("setId").and_then(instance));
    let shared = added_to.into_iter().any(|parent| Some(parent) == set);
    let set = if shared { None } else { set };
    let own = set.or_else(|| document.child("id").and_then(instance));
    own.map(|instance| document_key(type_code(document).as_deref(), &instance))
}

fn document_key(type_code: Option<&str>, instance: &str) -> String {
    match type_code {
        Some(code) => format!("ClinicalDocument/{code}/{instance}"),
        None => format!("ClinicalDocument/{instance}"),
    }
}

fn type_code(document: Element<'_>) -> Option<String> {
    let code = document.child("code").and_then(|code| code.attribute("code"));
    code.map(str::trim).filter(|code| !code.is_empty()).map(|code| tidy::bounded(code, 40))
}

/// `root^extension`; a root alone is the whole id. UUIDs are compared without regard to letter case.
fn instance(id: Element<'_>) -> Option<String> {
    if id.attribute("nullFlavor").is_some() {
        return None;
    }
    let root = id.attribute("root").map(|root| tidy::bounded(root, 128).to_ascii_lowercase());
    let extension = id.attribute("extension").map(|extension| tidy::bounded(extension, 200));
    match (root, extension) {
        (Some(root), Some(extension)) => Some(format!("{root}^{extension}")),
        (root, extension) => root.or(extension),
    }
}

fn related<'t>(document: Element<'t>, kind: &'static str) -> impl Iterator<Item = Element<'t>> {
    let relations =
        document.all("relatedDocument").filter(move |relation| relation.attribute("typeCode") == Some(kind));
    relations.filter_map(|relation| relation.child("parentDocument"))
}

/// A replaced document that isn't an earlier version of the same set is taken back; it is taken to be of the same
/// type where its own isn't told.
fn replaced(document: Element<'_>, own: Option<&str>, at: Option<Timestamp>) -> Vec<Removal> {
    let keys = related(document, "RPLC").filter_map(|parent| {
        let set = parent.child("setId").and_then(instance);
        let type_code = type_code(parent).or_else(|| type_code(document));
        let instance = set.or_else(|| parent.child("id").and_then(instance))?;
        Some(document_key(type_code.as_deref(), &instance))
    });
    let mut removals: Vec<Removal> = Vec::new();
    for source_key in keys {
        if Some(source_key.as_str()) != own && removals.iter().all(|removal| removal.source_key != source_key) {
            removals.push(Removal { source_key, at });
        }
    }
    removals
}

/// The id that a chart goes by: the first of no foreign register.
fn patient(document: Element<'_>, namespace: &str) -> Result<Option<PatientId>, Unreadable> {
    let mut people: Vec<Option<String>> = document
        .all("recordTarget")
        .filter_map(|target| target.child("patientRole"))
        .map(|role| role.all("id").filter(is_chart_id).find_map(local_id))
        .collect();
    people.dedup();
    if people.len() > 1 {
        let detail = format!("{} record targets", people.len());
        return Err(Unreadable::new(QuarantineReason::InvalidResource, detail));
    }
    Ok(people.pop().flatten().map(|local| PatientId::in_namespace(namespace, &local)))
}

fn is_chart_id(id: &Element<'_>) -> bool {
    let root = id.attribute("root").unwrap_or_default();
    let within =
        |register: &str| root.strip_prefix(register).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    !FOREIGN_REGISTERS.iter().any(|register| within(register))
}

/// The extension, or of an id without one the root.
fn local_id(id: Element<'_>) -> Option<String> {
    if id.attribute("nullFlavor").is_some() {
        return None;
    }
    id.attribute("extension").or_else(|| id.attribute("root")).map(|local| tidy::bounded(local, 200))
}

fn author(document: Element<'_>) -> Option<String> {
    let authors = || document.all("author").filter_map(|author| author.child("assignedAuthor"));
    let person =
        authors().find(|author| author.child("assignedPerson").is_some_and(|one| people::person(one).is_some()));
    let signer = || document.at("legalAuthenticator/assignedEntity").and_then(people::assigned);
    person.and_then(people::assigned).or_else(signer).or_else(|| authors().find_map(people::assigned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    fn header(body: &str) -> Result<Header, Unreadable> {
        let xml = format!("<ClinicalDocument>{body}</ClinicalDocument>");
        let tree = Tree::parse(&xml).unwrap();
        read(tree.root(), &References::default(), "north")
    }

    #[test]
    fn all_versions_of_a_set_share_one_key() {
        let first = header("<id root='1.2' extension='a'/><setId root='1.3' extension='s'/><versionNumber value='1'/>")
            .unwrap();
        let second =
            header("<id root='1.2' extension='b'/><setId root='1.3' extension='s'/><versionNumber value='2'/>")
                .unwrap();
        assert_eq!(first.key.as_deref(), Some("ClinicalDocument/1.3^s"));
        assert_eq!((first.key, second.version.as_deref()), (second.key, Some("2")));
    }

    #[test]
    fn documents_of_two_types_are_no_versions_of_each_other_whatever_their_set() {
        let key = |code: &str| {
            let read = header(&format!("<id root='1'/><code code='{code}'/><setId root='1.3' extension='visit'/>"));
            read.unwrap().key.unwrap()
        };
        assert_eq!(key("11504-8"), "ClinicalDocument/11504-8/1.3^visit");
        assert_ne!(key("11504-8"), key("18842-5"));
        let replacement =
            "<relatedDocument typeCode='RPLC'><parentDocument><id root='1'/></parentDocument></relatedDocument>";
        let read = header(&format!("<id root='2'/><code code='11504-8'/>{replacement}")).unwrap();
        assert_eq!(read.removals[0].source_key, "ClinicalDocument/11504-8/1");
    }

    #[test]
    fn a_replacement_without_a_set_takes_its_parent_back() {
        let parent =
            "<relatedDocument typeCode='RPLC'><parentDocument><id root='AB-1'/></parentDocument></relatedDocument>";
        let read = header(&format!("<id root='ab-2'/><effectiveTime value='20240102'/>{parent}")).unwrap();
        let at = Timestamp::parse("2024-01-02");
        assert_eq!(read.removals, [Removal { source_key: "ClinicalDocument/ab-1".into(), at }]);
        let same_set = header(
            "<id root='2'/><setId root='s'/><relatedDocument typeCode='RPLC'><parentDocument><id root='1'/>\
             <setId root='s'/></parentDocument></relatedDocument>",
        );
        assert_eq!(same_set.unwrap().removals, []);
    }

    #[test]
    fn an_addendum_never_takes_the_place_of_its_parent() {
        let read = header(
            "<id root='2'/><setId root='s'/><relatedDocument typeCode='APND'><parentDocument><id root='1'/>\
             <setId root='s'/></parentDocument></relatedDocument>",
        )
        .unwrap();
        assert_eq!((read.key.as_deref(), read.removals.len()), (Some("ClinicalDocument/2"), 0));
    }

    #[test]
    fn a_social_security_number_is_nobodys_chart() {
        let target = |ids: &str| format!("<recordTarget><patientRole>{ids}</patientRole></recordTarget>");
        let ssn = "<id root='2.16.840.1.113883.4.1' extension='111-00-2330'/>";
        let read = header(&target(&format!("{ssn}<id root='1.2.3' extension='77'/>"))).unwrap();
        assert_eq!(read.patient, Some(PatientId::new("north:77")));
        assert_eq!(header(&target(ssn)).unwrap().patient, None);
        let two = header(&(target("<id extension='1'/>") + &target("<id extension='2'/>")));
        assert_eq!(two.map(|_| ()).unwrap_err().detail, "2 record targets");
    }

    #[test]
    fn a_snapshot_is_true_as_of_its_making_and_a_visit_when_it_took_place() {
        let rest = "<effectiveTime value='20240301'/><componentOf><encompassingEncounter><id extension='e'/>\
                    <effectiveTime><low value='20240201'/></effectiveTime></encompassingEncounter></componentOf>";
        let day = |code: &str| {
            let read = header(&format!("<code code='{code}'/>{rest}")).unwrap();
            (read.effective.unwrap().date(), read.encounter)
        };
        assert_eq!(day("34133-9"), ("2024-03-01".into(), Some("Encounter/e".into())));
        assert_eq!(day("11506-3").0, "2024-02-01");
    }
}
