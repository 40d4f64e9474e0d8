//! A delivery to its records: Bundle entries, lines, rows, each with its exact bytes.
//!
//! Nothing is dropped: every entry, line and row is a [`Piece`], readable or not. Three records are not
//! simply a slice of the delivery:
//! - a Bundle entry without a resource has no bytes, which [`super::normalize`] knows as an empty entry;
//! - an entry that deletes holds the whole entry;
//! - a CSV row has its header's line before it, since it can't be read without.

mod fhir;
mod hl7v2;
mod mapped;
mod x12;
mod xml;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{
    Delivery, Finding, Format, Mapping, QuarantineReason, RawRecord, RecordAction, Timestamp, Unreadable,
};

use crate::stages::normalize::json;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the entries of one Bundle share.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    links: Arc<BTreeMap<String, String>>,
    companions: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// A document: its entries refer to each other only.
    is_closed: bool,
}

/// What the Bundle around a record says about it.
#[derive(Clone, Debug, Default)]
struct Place {
    full_url: Option<String>,
    changed_at: Option<Timestamp>,
    findings: Vec<Finding>,
    surroundings: Surroundings,
}

#[derive(Debug)]
pub enum Piece {
    Record(RawRecord),
    Unreadable { ordinal: u32, bytes: Vec<u8>, unreadable: Unreadable },
}

/// Every record of a delivery, in order; ordinals count from 0 and are the same however often it is split.
pub fn split(delivery: &Delivery, mapping: Option<&Mapping>) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    let bytes = delivery.bytes.as_slice();
    match delivery.format {
        Format::FhirJson => fhir::split(bytes, None, &mut pieces),
        Format::FhirNdjson => fhir::lines(bytes, &mut pieces),
        Format::Text | Format::Markdown | Format::Html | Format::Pdf | Format::Rtf | Format::Docx | Format::Unknown => {
            pieces.put(bytes)
        }
        Format::Cda | Format::FhirXml => xml::split(bytes, &mut pieces),
        Format::Hl7v2 => hl7v2::messages(bytes, &mut pieces),
        Format::X12 => x12::sets(bytes, &mut pieces),
        Format::MappedCsv => mapped::rows(bytes, mapping, &mut pieces),
        Format::MappedJson => mapped::objects(bytes, mapping, &mut pieces),
    }
    pieces.pieces
}

#[derive(Default)]
struct Pieces {
    pieces: Vec<Piece>,
}

impl Pieces {
    fn next_ordinal(&self) -> u32 {
        u32::try_from(self.pieces.len()).unwrap_or(u32::MAX)
    }

    /// A record that stands for itself.
    fn put(&mut self, bytes: &[u8]) {
        self.place(bytes, RecordAction::Put, Place::default());
    }

    fn place(&mut self, bytes: &[u8], action: RecordAction, place: Place) {
        let Place { full_url, changed_at, findings, surroundings } = place;
        self.pieces.push(Piece::Record(RawRecord {
            ordinal: self.next_ordinal(),
            bytes: bytes.to_vec(),
            action,
            full_url,
            links: surroundings.links,
            companions: surroundings.companions,
            changed_at,
            is_closed: surroundings.is_closed,
            findings,
        }));
    }

    fn unreadable(&mut self, bytes: &[u8], reason: QuarantineReason, detail: impl Into<String>) {
        let ordinal = self.next_ordinal();
        let unreadable = Unreadable::new(reason, detail);
        self.pieces.push(Piece::Unreadable { ordinal, bytes: bytes.to_vec(), unreadable });
    }
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Text to find the structure by: each byte that isn't UTF-8 stands as `?`, so positions stay the same.
fn masked(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

/// A JSON value within the masked text, and the true bytes it stands for.
#[derive(Clone, Copy)]
struct Slice<'a> {
    raw: &'a str,
    masked: &'a str,
    bytes: &'a [u8],
}

impl<'a> Slice<'a> {
    fn inner(self, raw: &'a str) -> Self {
        Self { raw, ..self }
    }

    /// The delivery's own bytes of this value.
    fn exact(self) -> &'a [u8] {
        let start = (self.raw.as_ptr() as usize).saturating_sub(self.masked.as_ptr() as usize);
        self.bytes.get(start..start.saturating_add(self.raw.len())).unwrap_or_default()
    }

    fn members(self) -> Vec<(String, &'a str)> {
        let members = json::members(self.raw).unwrap_or_default();
        members.into_iter().map(|(name, value)| (name, value.get())).collect()
    }
}

/// The last member of that name, as everywhere.
fn member<'a>(members: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value).filter(|value| *value != "null")
}

fn text(raw: &str) -> Option<String> {
    serde_json::from_str::<String>(raw).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ReceiptId, SourceId, TenantId, Timestamp};

    pub(super) fn pieces(format: Format, bytes: &[u8]) -> Vec<Piece> {
        let delivery = Delivery {
            receipt: ReceiptId::new("r"),
            tenant: TenantId::new("t"),
            source: SourceId::new("s"),
            format,
            name: None,
            bytes: bytes.to_vec(),
            received_at: Timestamp::from_micros(0),
        };
        split(&delivery, None)
    }

    pub(super) fn record(piece: &Piece) -> &RawRecord {
        match piece {
            Piece::Record(record) => record,
            Piece::Unreadable { unreadable, .. } => panic!("{unreadable:?}"),
        }
    }

    pub(super) fn reason(piece: &Piece) -> QuarantineReason {
        match piece {
            Piece::Unreadable { unreadable, .. } => unreadable.reason,
            Piece::Record(record) => panic!("{record:?}"),
        }
    }

    #[test]
    fn an_entry_keeps_its_exact_bytes_and_knows_its_neighbours() {
        let bundle = r#"{"resourceType":"Bundle","entry":[
            {"fullUrl":"urn:uuid:a","resource":{ "resourceType" : "Patient", "id":"1" }},
            {"fullUrl":"urn:uuid:b","resource":{"resourceType":"Patient"}}]}"#;
        let pieces = pieces(Format::FhirJson, bundle.as_bytes());
        let first = record(&pieces[0]);
        assert_eq!(first.bytes, br#"{ "resourceType" : "Patient", "id":"1" }"#);
        assert_eq!(first.full_url.as_deref(), Some("urn:uuid:a"));
        assert_eq!(first.links["urn:uuid:a"], "Patient/1");
        assert_eq!(first.links["urn:uuid:b"], "Patient/urn:uuid:b");
        assert_eq!(record(&pieces[1]).ordinal, 1);
    }

    #[test]
    fn an_entry_that_deletes_names_its_record() {
        let bundle = br#"{"resourceType":"Bundle","entry":[
            {"request":{"method":"DELETE","url":"https://ehr.example/fhir/Observation/5/_history/2"}}]}"#;
        assert_eq!(
            record(&pieces(Format::FhirJson, bundle)[0]).action,
            RecordAction::Delete { key: "Observation/5".into(), at: None }
        );
    }

    #[test]
    fn bundles_within_bundles_end_somewhere() {
        let mut json = r#"{"resourceType":"Flag"}"#.to_owned();
        for _ in 0..200 {
            json = format!(r#"{{"resourceType":"Bundle","entry":[{{"resource":{json}}}]}}"#);
        }
        let pieces = pieces(Format::FhirJson, json.as_bytes());
        assert_eq!(pieces.len(), 1);
        assert_eq!(reason(&pieces[0]), QuarantineReason::InvalidResource);
    }

    #[test]
    fn a_line_that_is_no_json_is_unreadable_alone_with_its_number() {
        let pieces = pieces(Format::FhirNdjson, b"{\"resourceType\":\"Flag\"}\r\n\n{oops}\n");
        assert_eq!(pieces.len(), 2);
        assert_eq!(record(&pieces[0]).bytes, b"{\"resourceType\":\"Flag\"}");
        let Piece::Unreadable { bytes, unreadable, .. } = &pieces[1] else { panic!() };
        assert_eq!((bytes.as_slice(), unreadable.detail.as_str()), (b"{oops}".as_slice(), "line 3 column 2"));
    }

    #[test]
    fn an_array_of_resources_is_split() {
        assert_eq!(pieces(Format::FhirJson, b" [ {\"resourceType\":\"Flag\"}, 1 ]").len(), 2);
    }

    #[test]
    fn a_row_keeps_quoted_line_ends_and_has_its_header() {
        let pieces = pieces(Format::MappedCsv, b"\xef\xbb\xbfid,text\r\n1,\"a\nb\"\r\n2\r\n3,c");
        assert_eq!(record(&pieces[0]).bytes, b"id,text\n1,\"a\nb\"");
        assert_eq!(reason(&pieces[1]), QuarantineReason::MalformedCsv);
        assert_eq!(record(&pieces[2]).bytes, b"id,text\n3,c");
    }

    #[test]
    fn crm_objects_without_a_mapping_wait_whole() {
        let pieces = pieces(Format::MappedJson, b"[{},{}]");
        assert_eq!((pieces.len(), reason(&pieces[0])), (1, QuarantineReason::Unmapped));
    }
}
