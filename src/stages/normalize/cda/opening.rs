//! The lines before the first section: what the document is, whom it is about, who made it, and why.

use crate::domain::{FactKind, FactValue};
use crate::stages::normalize::lines::Statement;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::concept::Concept;
use super::header::Header;
use super::page::Page;
use super::references::References;
use super::time::{Period, moment};
use super::{kinds, people};

/// Past this, a list of people is cut.
const MAX_PEOPLE: usize = 12;

pub(super) fn write(document: Element<'_>, header: &Header, references: &References<'_>, page: &mut Page) {
    page.heading(1, &header.title);
    let code = Concept::at(document, "code", references);
    let sort = code.codes.iter().find_map(|code| kinds::document_name(&code.code)).map(str::to_owned).or(code.display);
    page.labelled("Document", sort.filter(|sort| !sort.eq_ignore_ascii_case(&header.title)));
    patient(document, references, page);
    page.labelled("Date", Period::of(document, "effectiveTime").words());
    page.labelled("Author", header.author.as_deref());
    let signer = document.child("legalAuthenticator").and_then(|signer| {
        let name = people::assigned(signer.child("assignedEntity")?)?;
        let day = Period::of(signer, "time").words().map(|day| format!(", {day}")).unwrap_or_default();
        Some(format!("{name}{day}"))
    });
    page.labelled("Signed by", signer);
    let keeper = document.at("custodian/assignedCustodian/representedCustodianOrganization").and_then(people::person);
    page.labelled("Custodian", keeper);
    relations(document, page);
    encounter(document, references, page);
    services(document, references, page);
    contacts(document, references, page);
}

fn relations(document: Element<'_>, page: &mut Page) {
    for relation in document.all("relatedDocument") {
        match relation.attribute("typeCode") {
            Some("APND") => page.line("Addendum to an earlier document"),
            Some("RPLC") => page.line("Replaces an earlier document"),
            Some("XFRM") => page.line("Made from a document of another format"),
            _ => None,
        };
    }
}

fn patient(document: Element<'_>, references: &References<'_>, page: &mut Page) {
    let Some(role) = document.at("recordTarget/patientRole") else { return };
    let Some(patient) = role.child("patient") else { return };
    let born = patient.value_at("birthTime").and_then(moment);
    let word = |name: &str| Concept::at(patient, name, references).display;
    let sex = patient.child("administrativeGenderCode").and_then(|code| match code.attribute("code") {
        Some("M") => Some("male".to_owned()),
        Some("F") => Some("female".to_owned()),
        Some("UN") => Some("undifferentiated".to_owned()),
        _ => Concept::read(code, references).display.map(|words| words.to_lowercase()),
    });
    let died = patient.value_at("deceasedTime").and_then(moment).map(|moment| format!("died {}", moment.words));
    let dead = || (patient.value_at("deceasedInd") == Some("true")).then(|| "deceased".to_owned());
    let name = people::person(patient);
    let parts = [name.clone(), sex, born.as_ref().map(|born| format!("born {}", born.words)), died.or_else(dead)];
    let words = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if let (Some(span), Some(name)) = (page.labelled("Patient", Some(&words)), name) {
        page.state(
            span,
            Statement {
                kind: FactKind::Demographic,
                system: None,
                code: None,
                display: name,
                value: Some(FactValue::Text(words)),
                status: None,
                effective: None,
            },
        );
    }
    let spoken = patient.all("languageCommunication").filter_map(|one| one.child("languageCode")?.attribute("code"));
    let spoken = spoken.map(|code| tidy::bounded(code, 20)).collect::<Vec<_>>().join(", ");
    let traits = [
        word("maritalStatusCode"),
        word("raceCode"),
        word("ethnicGroupCode"),
        (!spoken.is_empty()).then(|| format!("language {spoken}")),
    ];
    page.labelled("About the patient", Some(traits.into_iter().flatten().collect::<Vec<_>>().join(", ")));
    let guardians = patient.all("guardian").filter_map(|one| people::person(one.child("guardianPerson")?));
    page.labelled("Guardian", Some(guardians.take(MAX_PEOPLE).collect::<Vec<_>>().join("; ")));
}

fn encounter(document: Element<'_>, references: &References<'_>, page: &mut Page) {
    let Some(visit) = document.at("componentOf/encompassingEncounter") else { return };
    let participants = visit.all("encounterParticipant").chain(visit.all("responsibleParty"));
    let people = participants.filter_map(|one| people::assigned(one.child("assignedEntity")?));
    let people = people.take(MAX_PEOPLE).collect::<Vec<_>>().join("; ");
    let place = visit.at("location/healthCareFacility").and_then(|facility| {
        let named = facility.child("location").and_then(people::person);
        named.or_else(|| facility.child("serviceProviderOrganization").and_then(people::person))
    });
    let disposition = Concept::at(visit, "dischargeDispositionCode", references).display;
    let parts = [
        Concept::at(visit, "code", references).display,
        Period::of(visit, "effectiveTime").words(),
        place.map(|place| format!("at {place}")),
        (!people.is_empty()).then(|| format!("with {people}")),
        disposition.map(|words| format!("discharged: {words}")),
    ];
    page.labelled("Encounter", Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", ")));
}

fn services(document: Element<'_>, references: &References<'_>, page: &mut Page) {
    for event in document.all("documentationOf").filter_map(|of| of.child("serviceEvent")) {
        let parts = [Concept::at(event, "code", references).display, Period::of(event, "effectiveTime").words()];
        page.labelled("Period covered", Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", ")));
        let team = event.all("performer").filter_map(|performer| {
            let name = people::assigned(performer.child("assignedEntity")?)?;
            let role = Concept::at(performer, "functionCode", references).display;
            Some(role.map(|role| format!("{name}, {}", role.to_lowercase())).unwrap_or(name))
        });
        let mut names: Vec<String> = Vec::new();
        for name in team.take(MAX_PEOPLE) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        page.labelled("Care team", Some(names.join("; ")));
    }
}

/// Relatives and other people that the document names, without how to reach them.
fn contacts(document: Element<'_>, references: &References<'_>, page: &mut Page) {
    let people = document.all("participant").filter_map(|participant| {
        let entity = participant.child("associatedEntity")?;
        let name = people::assigned(entity)?;
        let relation = Concept::at(entity, "code", references).display;
        Some(relation.map(|relation| format!("{name}, {}", relation.to_lowercase())).unwrap_or(name))
    });
    page.labelled("Contacts", Some(people.take(MAX_PEOPLE).collect::<Vec<_>>().join("; ")));
    let orders = document
        .all("inFulfillmentOf")
        .filter_map(|of| of.at("order/code"))
        .filter_map(|code| Concept::read(code, references).display);
    page.labelled("Ordered", Some(orders.take(MAX_PEOPLE).collect::<Vec<_>>().join("; ")));
}
