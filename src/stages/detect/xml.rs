//! XML by its root: FHIR, CDA or a fragment of it, a web page, or something else.

use crate::domain::Format;

use super::{Detected, Unknown};

/// Elements of CDA that examples and interfaces send without the document around them.
const FRAGMENTS: [&str; 41] = [
    "act",
    "addr",
    "assignedAuthor",
    "authenticator",
    "author",
    "authorization",
    "component",
    "componentOf",
    "criterion",
    "custodian",
    "dataEnterer",
    "documentationOf",
    "encounter",
    "encounterParticipant",
    "entry",
    "entryRelationship",
    "externalDocument",
    "inFulfillmentOf",
    "informant",
    "informationRecipient",
    "legalAuthenticator",
    "manufacturedProduct",
    "observation",
    "observationMedia",
    "organizer",
    "participant",
    "participantRole",
    "patientRole",
    "performer",
    "procedure",
    "recordTarget",
    "relatedDocument",
    "relatedSubject",
    "section",
    "serviceEvent",
    "signatureText",
    "structuredBody",
    "subject",
    "substanceAdministration",
    "supply",
    "templateId",
];

pub(super) fn detect(text: &str) -> Detected {
    let Some(root) = root(text) else { return Detected::Unknown(Unknown::OtherXml) };
    let (prefix, name) = root.name.split_once(':').unwrap_or(("", root.name));
    let namespace = namespace(root.attributes, prefix);
    let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
    match namespace {
        Some("http://hl7.org/fhir") => Detected::Known(Format::FhirXml),
        Some("http://www.w3.org/1999/xhtml") => Detected::Known(Format::Html),
        _ if name == "ClinicalDocument" => Detected::Known(Format::Cda),
        // Nearly the right address: its reader can say what is wrong with it.
        Some(other) if other.starts_with("http://hl7.org/fhir") && is_type => Detected::Known(Format::FhirXml),
        Some("urn:hl7-org:v3" | "urn:hl7-org:sdtc") => Detected::Known(Format::Cda),
        Some(_) => Detected::Unknown(Unknown::OtherXml),
        None if name.eq_ignore_ascii_case("html") => Detected::Known(Format::Html),
        None if FRAGMENTS.contains(&name) => Detected::Known(Format::Cda),
        None => Detected::Unknown(Unknown::OtherXml),
    }
}

struct Root<'a> {
    name: &'a str,
    attributes: &'a str,
}

/// The first element, behind declarations, comments and a document type.
fn root(text: &str) -> Option<Root<'_>> {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(inner) = rest.strip_prefix("<?") {
            inner.split_once("?>")?.1
        } else if let Some(inner) = rest.strip_prefix("<!--") {
            inner.split_once("-->")?.1
        } else if rest.starts_with("<!") {
            behind_document_type(rest)?
        } else {
            break;
        };
        rest = after.trim_start();
    }
    let element = rest.strip_prefix('<')?;
    let end = element.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(element.len());
    let (name, after) = element.split_at(end);
    let attributes = after.split('>').next().unwrap_or(after);
    (!name.is_empty()).then_some(Root { name, attributes })
}

/// A document type may hold declarations in brackets, with angle brackets of their own.
fn behind_document_type(text: &str) -> Option<&str> {
    let end = text.find('>')?;
    match text.find('[').filter(|bracket| *bracket < end) {
        Some(bracket) => {
            let inner = text.get(bracket..)?;
            let close = inner.find(']')?;
            inner.get(close..)?.split_once('>').map(|(_, rest)| rest)
        }
        None => text.get(end + 1..),
    }
}

fn namespace<'a>(attributes: &'a str, prefix: &str) -> Option<&'a str> {
    let declaration = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
    let mut rest = attributes;
    while let Some(at) = rest.find(&declaration) {
        let before = rest.get(..at).unwrap_or_default();
        let after = rest.get(at + declaration.len()..)?.trim_start();
        if (before.is_empty() || before.ends_with(char::is_whitespace))
            && let Some(value) = after.strip_prefix('=').map(str::trim_start)
        {
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            return value.get(1..)?.split(quote).next();
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_decides() {
        let cda = Detected::Known(Format::Cda);
        let fhir = Detected::Known(Format::FhirXml);
        let other = Detected::Unknown(Unknown::OtherXml);
        for (text, detected) in [
            ("<?xml version='1.0'?><!-- <a> --><ClinicalDocument xmlns='urn:hl7-org:v3'>", cda),
            ("<section><templateId root='1'/>", cda),
            ("<v3:act xmlns:v3=\"urn:hl7-org:v3\"/>", cda),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><Patient xmlns = \"http://hl7.org/fhir\">", fhir),
            ("<f:List xmlns:f='http://hl7.org/fhir' xmlns='x'>", fhir),
            ("<List xmlns='http://hl7.org/fhir1'>", fhir),
            ("<section xmlns='urn:something-else'/>", other),
            ("<ucum:root xmlns:ucum='http://unitsofmeasure.org/ucum-essence'/>", other),
            ("<note/>", other),
            ("<?xml", other),
            ("<HTML>", Detected::Known(Format::Html)),
        ] {
            assert_eq!(detect(text), detected, "{text}");
        }
    }
}
