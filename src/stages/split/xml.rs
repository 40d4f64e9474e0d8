//! A Bundle in XML to its entries' resources, an envelope to its CDA documents; any other XML is one record.
//!
//! Of a delivery in UTF-8 each record is exactly its part; in other character sets it stands in UTF-8.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{QuarantineReason, RecordAction, Timestamp};
use crate::stages::normalize::fhir::xml::held;
use crate::stages::normalize::xml::{Element, Tree, decode};

use super::fhir::{MAX_BUNDLE_DEPTH, record_key};
use super::{Pieces, Place, Surroundings};

type Links = Arc<BTreeMap<String, String>>;

const DOCUMENT: &str = "ClinicalDocument";

pub(super) fn split(bytes: &[u8], pieces: &mut Pieces) {
    let whole = |pieces: &mut Pieces| pieces.put(bytes);
    if bytes.trim_ascii().is_empty() {
        return pieces.unreadable(bytes, QuarantineReason::MalformedXml, "no element");
    }
    let Some(decoded) = decode(bytes).ok().filter(|decoded| may_hold_several(&decoded.text)) else {
        return whole(pieces);
    };
    match Tree::parse(&decoded.text) {
        Ok(tree) if documents(tree.root()).nth(1).is_some() => {
            documents(tree.root()).for_each(|one| pieces.put(one.slice().as_bytes()));
        }
        Ok(tree) if is_bundle(tree.root()) && tree.root().child("entry").is_some() => {
            bundle(tree.root(), &Links::default(), 0, pieces);
        }
        _ => whole(pieces),
    }
}

fn may_hold_several(text: &str) -> bool {
    text.contains("Bundle") || text.matches("ClinicalDocument").nth(2).is_some()
}

/// CDA documents in an envelope; a document itself is one, whatever it holds.
fn documents<'t>(root: Element<'t>) -> impl Iterator<Item = Element<'t>> {
    let is_envelope = root.name() != DOCUMENT;
    root.descendants().filter(move |element| is_envelope && element.name() == DOCUMENT)
}

fn is_bundle(element: Element<'_>) -> bool {
    element.name() == "Bundle"
}

/// Every entry, in order; a Bundle among them is taken apart too.
fn bundle(element: Element<'_>, outer: &Links, depth: usize, pieces: &mut Pieces) {
    let links = Arc::new(link(element, outer));
    for (position, entry) in element.all("entry").enumerate() {
        let full_url = entry.value_at("fullUrl").map(str::to_owned);
        let method = entry.value_at("request/method").unwrap_or_default();
        if method.eq_ignore_ascii_case("DELETE") {
            delete(entry, position, full_url, &links, pieces);
            continue;
        }
        match entry.child("resource").and_then(held) {
            Some(inner) if is_bundle(inner) && inner.child("entry").is_some() => {
                if depth + 1 >= MAX_BUNDLE_DEPTH {
                    let detail = format!("Bundles nested more than {MAX_BUNDLE_DEPTH} deep");
                    pieces.unreadable(inner.slice().as_bytes(), QuarantineReason::InvalidResource, detail);
                } else {
                    bundle(inner, &links, depth + 1, pieces);
                }
            }
            Some(inner) => pieces.place(inner.slice().as_bytes(), RecordAction::Put, place(full_url, &links)),
            None => pieces.place(&[], RecordAction::Put, place(full_url, &links)),
        }
    }
}

fn delete(entry: Element<'_>, position: usize, full_url: Option<String>, links: &Links, pieces: &mut Pieces) {
    let bytes = entry.slice().as_bytes();
    match entry.value_at("request/url").and_then(record_key) {
        Some(key) => {
            let at = entry.value_at("response/lastModified").and_then(Timestamp::parse);
            pieces.place(bytes, RecordAction::Delete { key, at }, place(full_url, links));
        }
        None => {
            let detail = format!("Bundle.entry[{position}].request.url names no record");
            pieces.unreadable(bytes, QuarantineReason::InvalidResource, detail);
        }
    }
}

fn place(full_url: Option<String>, links: &Links) -> Place {
    let surroundings = Surroundings { links: links.clone(), ..Surroundings::default() };
    Place { full_url, surroundings, ..Place::default() }
}

/// `fullUrl` to `Type/id`; a resource without an id counts its `fullUrl` as one. An inner Bundle sees the outer's too.
fn link(element: Element<'_>, outer: &Links) -> BTreeMap<String, String> {
    let mut links = outer.as_ref().clone();
    for entry in element.all("entry") {
        let (Some(url), Some(inner)) = (entry.value_at("fullUrl"), entry.child("resource").and_then(held)) else {
            continue;
        };
        let id = inner.value_at("id").unwrap_or(url);
        links.insert(url.to_owned(), format!("{}/{id}", inner.name()));
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::split::Piece;

    fn pieces(xml: &[u8]) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        split(xml, &mut pieces);
        pieces.pieces
    }

    #[test]
    fn each_entry_is_a_record_with_its_own_bytes() {
        let xml = "<Bundle xmlns='http://hl7.org/fhir'>\
            <entry><fullUrl value='urn:uuid:a'/><resource><Patient><id value='1'/></Patient></resource></entry>\
            <entry><request><method value='DELETE'/><url value='Condition/7'/></request></entry><entry/>\
            <entry><resource><Bundle><entry><resource><Flag/></resource></entry></Bundle></resource></entry></Bundle>";
        let found: Vec<(Vec<u8>, RecordAction)> = pieces(xml.as_bytes())
            .into_iter()
            .map(|piece| match piece {
                Piece::Record(record) => (record.bytes, record.action),
                Piece::Unreadable { unreadable, .. } => panic!("{unreadable:?}"),
            })
            .collect();
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].0, b"<Patient><id value='1'/></Patient>");
        assert_eq!(found[1].1, RecordAction::Delete { key: "Condition/7".into(), at: None });
        assert_eq!((found[2].0.len(), found[3].0.as_slice()), (0, b"<Flag/>".as_slice()));
    }

    #[test]
    fn documents_in_one_envelope_are_records_of_their_own() {
        let found = pieces(b"<set><ClinicalDocument><id/></ClinicalDocument><x><ClinicalDocument/></x></set>");
        assert!(matches!(found.as_slice(), [Piece::Record(first), Piece::Record(_)]
            if first.bytes == b"<ClinicalDocument><id/></ClinicalDocument>"));
    }

    #[test]
    fn an_empty_delivery_is_no_entry() {
        assert!(matches!(pieces(b" \n").as_slice(), [Piece::Unreadable { .. }]));
    }

    #[test]
    fn what_is_no_bundle_or_damaged_stays_whole() {
        for xml in ["<ClinicalDocument/>", "<Bundle><entry>", "<Bundle/>", "\u{feff}"] {
            assert_eq!(pieces(xml.as_bytes()).len(), 1, "{xml}");
        }
    }
}
