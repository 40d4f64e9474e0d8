//! A delivery to its records: Bundle entries, lines, rows, each with its exact bytes.
//!
//! Nothing is dropped: every entry, line and row is a [`Piece`], readable or not. Three records are not
//! simply a slice of the delivery:
//! - a Bundle entry without a resource has no bytes, which [`super::normalize`] knows as an empty entry;
//! - an entry that deletes holds the whole entry;
//! - a CSV row has its header's line before it, since it can't be read without.

mod hl7v2;
mod mapped;
mod x12;
mod xml;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::domain::{Delivery, Format, Mapping, QuarantineReason, RawRecord, RecordAction, Unreadable};

use crate::stages::normalize::json;

/// Bundles within Bundles, as deep as they are taken apart.
const MAX_BUNDLE_DEPTH: usize = 8;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

type Links = Arc<BTreeMap<String, String>>;

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
        Format::FhirJson => fhir(bytes, None, &mut pieces),
        Format::FhirNdjson => lines(bytes, &mut pieces),
        Format::Text
        | Format::Markdown
        | Format::Html
        | Format::Pdf
        | Format::Rtf
        | Format::Docx
        | Format::Unknown => pieces.put(bytes, None, &Links::default()),
        Format::Cda | Format::FhirXml => xml::split(bytes, &mut pieces),
        Format::MappedCsv => mapped::rows(bytes, mapping, &mut pieces),
        Format::MappedJson => mapped::objects(bytes, mapping, &mut pieces),
        Format::Hl7v2 => hl7v2::messages(bytes, &mut pieces),
        Format::X12 => x12::sets(bytes, &mut pieces),
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

    fn put(&mut self, bytes: &[u8], full_url: Option<String>, links: &Links) {
        self.record(bytes, RecordAction::Put, full_url, links);
    }

    fn record(&mut self, bytes: &[u8], action: RecordAction, full_url: Option<String>, links: &Links) {
        let ordinal = self.next_ordinal();
        let links = Arc::clone(links);
        self.pieces.push(Piece::Record(RawRecord { ordinal, bytes: bytes.to_vec(), action, full_url, links }));
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
fn masked(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// One resource, a Bundle, or an array of either; `line` when it stands in a file of lines.
fn fhir(bytes: &[u8], line: Option<usize>, pieces: &mut Pieces) {
    let content = without_mark(bytes);
    let masked = masked(content);
    let root = match serde_json::from_str::<&RawValue>(&masked) {
        Ok(root) => Slice { raw: root.get(), masked: &masked, bytes: content },
        Err(error) => {
            let reason = match std::str::from_utf8(content) {
                Ok(_) => QuarantineReason::MalformedJson,
                Err(_) => QuarantineReason::InvalidUtf8,
            };
            let position = match line {
                Some(line) => format!("line {line} column {}", error.column()),
                None => format!("line {} column {}", error.line(), error.column()),
            };
            return pieces.unreadable(bytes, reason, position);
        }
    };
    let first = pieces.pieces.len();
    if root.raw.starts_with('[') {
        let items = serde_json::from_str::<Vec<&RawValue>>(root.raw).unwrap_or_default();
        if items.is_empty() {
            return pieces.unreadable(bytes, QuarantineReason::NotFhir, "an empty array");
        }
        items.into_iter().for_each(|item| root.inner(item.get()).resource(None, &Links::default(), 0, pieces));
    } else {
        root.resource(None, &Links::default(), 0, pieces);
    }
    if let Some(line) = line {
        pieces.pieces.iter_mut().skip(first).for_each(|piece| add_line(piece, line));
    }
}

fn add_line(piece: &mut Piece, line: usize) {
    if let Piece::Unreadable { unreadable, .. } = piece
        && !unreadable.detail.starts_with("line ")
    {
        unreadable.detail = format!("line {line}: {}", unreadable.detail);
    }
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

    /// One resource, or every entry of a Bundle.
    fn resource(self, full_url: Option<String>, links: &Links, depth: usize, pieces: &mut Pieces) {
        let exact = self.exact();
        if let Err(error) = std::str::from_utf8(exact) {
            // A Bundle can be taken apart around the entry that isn't UTF-8.
            if !self.is_bundle() || depth >= MAX_BUNDLE_DEPTH {
                let detail = format!("byte {}", error.valid_up_to());
                return pieces.unreadable(exact, QuarantineReason::InvalidUtf8, detail);
            }
        }
        if !self.is_bundle() {
            return pieces.put(exact, full_url, links);
        }
        if depth >= MAX_BUNDLE_DEPTH {
            let detail = format!("Bundles nested more than {MAX_BUNDLE_DEPTH} deep");
            return pieces.unreadable(exact, QuarantineReason::InvalidResource, detail);
        }
        let entry = member(&self.members(), "entry").unwrap_or("[]");
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(entry) else {
            return pieces.unreadable(exact, QuarantineReason::InvalidResource, "Bundle.entry is not an array");
        };
        if entries.is_empty() {
            return pieces.put(exact, full_url, links);
        }
        let entries: Vec<Entry<'a>> = entries.into_iter().map(|raw| Entry::read(self.inner(raw.get()))).collect();
        let links = Arc::new(link(&entries, links));
        for (position, entry) in entries.into_iter().enumerate() {
            entry.split(position, &links, depth, pieces);
        }
    }

    fn is_bundle(self) -> bool {
        self.raw.starts_with('{')
            && member(&self.members(), "resourceType").and_then(text).is_some_and(|name| name == "Bundle")
    }
}

/// The last member of that name, as everywhere.
fn member<'a>(members: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value).filter(|value| *value != "null")
}

fn text(raw: &str) -> Option<String> {
    serde_json::from_str::<String>(raw).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

struct Entry<'a> {
    whole: Slice<'a>,
    full_url: Option<String>,
    resource: Option<Slice<'a>>,
    method: Option<String>,
    url: Option<String>,
}

impl<'a> Entry<'a> {
    fn read(whole: Slice<'a>) -> Self {
        let members = if whole.raw.starts_with('{') { whole.members() } else { Vec::new() };
        let request = member(&members, "request").map(|raw| whole.inner(raw).members()).unwrap_or_default();
        Self {
            whole,
            full_url: member(&members, "fullUrl").and_then(text),
            resource: member(&members, "resource").map(|raw| whole.inner(raw)),
            method: member(&request, "method").and_then(text),
            url: member(&request, "url").and_then(text),
        }
    }

    fn split(self, position: usize, links: &Links, depth: usize, pieces: &mut Pieces) {
        if !self.whole.raw.starts_with('{') {
            let detail = format!("Bundle.entry[{position}] is not an object");
            return pieces.unreadable(self.whole.exact(), QuarantineReason::InvalidResource, detail);
        }
        if self.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("DELETE")) {
            return self.delete(position, links, pieces);
        }
        match self.resource {
            Some(resource) => resource.resource(self.full_url, links, depth + 1, pieces),
            None => pieces.put(&[], self.full_url, links),
        }
    }

    fn delete(self, position: usize, links: &Links, pieces: &mut Pieces) {
        let bytes = self.whole.exact();
        match self.url.as_deref().and_then(record_key) {
            Some(key) => pieces.record(bytes, RecordAction::Delete(key), self.full_url, links),
            None => {
                let detail = format!("Bundle.entry[{position}].request.url names no record");
                pieces.unreadable(bytes, QuarantineReason::InvalidResource, detail);
            }
        }
    }
}

/// `Type/id` of a relative or absolute URL; a conditional one names no record.
fn record_key(url: &str) -> Option<String> {
    let bare = url.split("/_history").next().unwrap_or(url);
    if bare.contains('?') {
        return None;
    }
    let mut parts = bare.rsplit('/');
    let (id, name) = (parts.next()?, parts.next()?);
    let typed = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphabetic());
    (typed && !id.is_empty()).then(|| format!("{name}/{id}"))
}

/// `fullUrl` to `Type/id`; a resource without an id counts its `fullUrl` as one. An inner Bundle sees the outer's too.
fn link(entries: &[Entry<'_>], outer: &Links) -> BTreeMap<String, String> {
    let mut links = outer.as_ref().clone();
    for entry in entries {
        let (Some(url), Some(resource)) = (&entry.full_url, entry.resource) else { continue };
        if !resource.raw.starts_with('{') {
            continue;
        }
        let members = resource.members();
        let Some(name) = member(&members, "resourceType").and_then(text) else { continue };
        let id = member(&members, "id").and_then(text).unwrap_or_else(|| url.clone());
        links.insert(url.clone(), format!("{name}/{id}"));
    }
    links
}

fn lines(bytes: &[u8], pieces: &mut Pieces) {
    for (number, line) in without_mark(bytes).split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.trim_ascii().is_empty() {
            fhir(line, Some(number + 1), pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ReceiptId, SourceId, TenantId, Timestamp};

    fn pieces(format: Format, bytes: &[u8]) -> Vec<Piece> {
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

    fn record(piece: &Piece) -> &RawRecord {
        match piece {
            Piece::Record(record) => record,
            Piece::Unreadable { unreadable, .. } => panic!("{unreadable:?}"),
        }
    }

    fn reason(piece: &Piece) -> QuarantineReason {
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
        assert_eq!(record(&pieces(Format::FhirJson, bundle)[0]).action, RecordAction::Delete("Observation/5".into()));
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
