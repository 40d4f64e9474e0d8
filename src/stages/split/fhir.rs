//! FHIR JSON to its records: resources, Bundle entries, parts of Parameters, lines of resources.
//!
//! A history is listed newest first and comes out oldest first, so that the last word is said last.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::domain::{Finding, QuarantineReason, RecordAction, Timestamp};
use crate::stages::normalize::checks::bundle::{self, Shell, ShellEntry};
use crate::stages::normalize::json::Json;

use super::{Piece, Pieces, Place, Slice, Surroundings, masked, member, text, without_mark};

/// Bundles within Bundles, as deep as they are taken apart.
pub(super) const MAX_BUNDLE_DEPTH: usize = 8;

/// Links that an inner Bundle takes over from the one around it.
const MAX_INHERITED: usize = 200;

/// Entries whose content other entries show as their own: an attachment's bytes, the name of a drug or a person.
const COMPANIONS: [&str; 10] = [
    "Binary",
    "Condition",
    "Device",
    "HealthcareService",
    "Location",
    "Medication",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "Schedule",
];

/// One resource, a Bundle, or an array of either; `line` when it stands in a file of lines.
pub(super) fn split(bytes: &[u8], line: Option<usize>, pieces: &mut Pieces) {
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
        items.into_iter().for_each(|item| root.inner(item.get()).resource(&Place::default(), 0, pieces));
    } else {
        root.resource(&Place::default(), 0, pieces);
    }
    if let Some(line) = line {
        pieces.pieces.iter_mut().skip(first).for_each(|piece| add_line(piece, line));
    }
}

pub(super) fn lines(bytes: &[u8], pieces: &mut Pieces) {
    for (number, line) in without_mark(bytes).split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.trim_ascii().is_empty() {
            split(line, Some(number + 1), pieces);
        }
    }
}

fn add_line(piece: &mut Piece, line: usize) {
    if let Piece::Unreadable { unreadable, .. } = piece
        && !unreadable.detail.starts_with("line ")
    {
        unreadable.detail = format!("line {line}: {}", unreadable.detail);
    }
}

impl<'a> Slice<'a> {
    /// One resource, or every entry of a Bundle.
    fn resource(self, place: &Place, depth: usize, pieces: &mut Pieces) {
        let name =
            if self.raw.starts_with('{') { member(&self.members(), "resourceType").and_then(text) } else { None };
        self.named(name.as_deref(), place, depth, pieces);
    }

    /// As `resource`, its type already read.
    fn named(self, name: Option<&str>, place: &Place, depth: usize, pieces: &mut Pieces) {
        let exact = self.exact();
        let wraps = name.and_then(Wrapper::of);
        if let Err(error) = std::str::from_utf8(exact) {
            // A Bundle can be taken apart around the entry that isn't UTF-8.
            if wraps.is_none() || depth >= MAX_BUNDLE_DEPTH {
                let detail = format!("byte {}", error.valid_up_to());
                return pieces.unreadable(exact, QuarantineReason::InvalidUtf8, detail);
            }
        }
        let Some(wrapper) = wraps else { return self.put(place, pieces) };
        if depth >= MAX_BUNDLE_DEPTH {
            let detail = format!("Bundles nested more than {MAX_BUNDLE_DEPTH} deep");
            return pieces.unreadable(exact, QuarantineReason::InvalidResource, detail);
        }
        match wrapper {
            Wrapper::Bundle => self.bundle(place, depth, pieces),
            Wrapper::Parameters => self.parameters(place, depth, pieces),
        }
    }

    fn put(self, place: &Place, pieces: &mut Pieces) {
        pieces.place(self.exact(), RecordAction::Put, place.clone());
    }

    fn bundle(self, place: &Place, depth: usize, pieces: &mut Pieces) {
        let members = self.members();
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(member(&members, "entry").unwrap_or("[]")) else {
            let detail = "Bundle.entry is not an array";
            return pieces.unreadable(self.exact(), QuarantineReason::InvalidResource, detail);
        };
        if entries.is_empty() {
            return self.put(place, pieces);
        }
        let sort = member(&members, "type").and_then(text).unwrap_or_default();
        let written = bundle_time(self, &members);
        let entries = entries.into_iter().enumerate();
        let entries = entries.map(|(position, raw)| Entry::read(self.inner(raw.get()), position));
        let mut entries: Vec<Entry<'a>> = entries.collect();
        let surroundings = surroundings(&entries, &place.surroundings, &sort);
        let findings = bundle::check(&shell(&members, &entries));
        entries.iter_mut().zip(findings).for_each(|(entry, findings)| entry.findings = findings);
        if sort == "history" {
            oldest_first(&mut entries);
        }
        // When a history was asked for says nothing about when its records changed.
        let written = if sort == "history" { None } else { written };
        for entry in entries {
            entry.split(&surroundings, written, depth, pieces);
        }
    }

    /// Every resource in a Parameters, as a record of its own; without any it is left whole.
    fn parameters(self, place: &Place, depth: usize, pieces: &mut Pieces) {
        let mut found = Vec::new();
        wrapped(self, "parameter", 0, &mut found);
        if found.is_empty() {
            return self.put(place, pieces);
        }
        for resource in found {
            let place = Place { full_url: None, ..place.clone() };
            resource.resource(&place, depth + 1, pieces);
        }
    }
}

enum Wrapper {
    Bundle,
    Parameters,
}

impl Wrapper {
    fn of(name: &str) -> Option<Self> {
        match name {
            "Bundle" => Some(Self::Bundle),
            "Parameters" => Some(Self::Parameters),
            _ => None,
        }
    }
}

fn wrapped<'a>(node: Slice<'a>, list: &str, depth: usize, found: &mut Vec<Slice<'a>>) {
    if depth >= MAX_BUNDLE_DEPTH {
        return;
    }
    let members = node.members();
    let parts = member(&members, list).and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok());
    for part in parts.unwrap_or_default().into_iter().map(|raw| node.inner(raw.get())) {
        if !part.raw.starts_with('{') {
            continue;
        }
        if let Some(resource) = member(&part.members(), "resource").filter(|raw| raw.starts_with('{')) {
            found.push(node.inner(resource));
        }
        wrapped(part, "part", depth + 1, found);
    }
}

fn bundle_time(bundle: Slice<'_>, members: &[(String, &str)]) -> Option<Timestamp> {
    let updated = || {
        let meta = bundle.inner(member(members, "meta")?);
        member(&meta.members(), "lastUpdated").and_then(text)
    };
    member(members, "timestamp").and_then(text).or_else(updated).as_deref().and_then(Timestamp::parse)
}

/// By their times where all have one, else as listed but backwards; a notification's own status leads and stays.
fn oldest_first(entries: &mut [Entry<'_>]) {
    let notification = entries.first().is_some_and(|entry| entry.names_one_of(&["Parameters", "SubscriptionStatus"]));
    if notification {
        return;
    }
    entries.reverse();
    if entries.iter().all(|entry| entry.changed_at.is_some()) {
        entries.sort_by_key(|entry| entry.changed_at);
    }
}

struct Entry<'a> {
    whole: Slice<'a>,
    position: usize,
    full_url: Option<String>,
    resource: Option<Slice<'a>>,
    /// The resource's type and id.
    name: Option<String>,
    id: Option<String>,
    method: Option<String>,
    url: Option<String>,
    changed_at: Option<Timestamp>,
    version: Option<String>,
    /// The entry's own members, its resource left out.
    body: Option<Json>,
    findings: Vec<Finding>,
}

impl<'a> Entry<'a> {
    fn read(whole: Slice<'a>, position: usize) -> Self {
        let members = if whole.raw.starts_with('{') { whole.members() } else { Vec::new() };
        let inner = |name: &str| {
            let raw = member(&members, name).filter(|raw| raw.starts_with('{'));
            raw.map(|raw| whole.inner(raw).members()).unwrap_or_default()
        };
        let (request, response, resource) = (inner("request"), inner("response"), inner("resource"));
        let meta = member(&resource, "meta").filter(|raw| raw.starts_with('{'));
        let meta = meta.map(|raw| whole.inner(raw).members()).unwrap_or_default();
        let changed = member(&response, "lastModified").or_else(|| member(&meta, "lastUpdated"));
        Self {
            whole,
            position,
            full_url: member(&members, "fullUrl").and_then(text),
            resource: member(&members, "resource").map(|raw| whole.inner(raw)),
            name: member(&resource, "resourceType").and_then(text),
            id: member(&resource, "id").and_then(text),
            method: member(&request, "method").and_then(text).map(|method| method.to_ascii_uppercase()),
            url: member(&request, "url").and_then(text),
            changed_at: changed.and_then(text).as_deref().and_then(Timestamp::parse),
            version: member(&meta, "versionId").and_then(text),
            body: whole.raw.starts_with('{').then(|| without(&members, "resource")),
            findings: Vec::new(),
        }
    }

    fn names_one_of(&self, names: &[&str]) -> bool {
        self.name.as_deref().is_some_and(|name| names.contains(&name))
    }

    /// `Type/id`; a resource without an id counts its `fullUrl` as one.
    fn key(&self) -> Option<String> {
        let id = self.id.as_ref().or(self.full_url.as_ref())?;
        Some(format!("{}/{id}", self.name.as_ref()?))
    }

    fn split(self, surroundings: &Surroundings, written: Option<Timestamp>, depth: usize, pieces: &mut Pieces) {
        if !self.whole.raw.starts_with('{') {
            let detail = format!("Bundle.entry[{}] is not an object", self.position);
            return pieces.unreadable(self.whole.exact(), QuarantineReason::InvalidResource, detail);
        }
        match self.method.as_deref() {
            Some("DELETE") => return self.delete(surroundings, written, pieces),
            Some("PATCH") => {
                let detail = format!("Bundle.entry[{}] changes a part of a record only", self.position);
                return pieces.unreadable(self.whole.exact(), QuarantineReason::UnsupportedMessage, detail);
            }
            _ => {}
        }
        let place = Place {
            full_url: self.full_url,
            changed_at: self.changed_at,
            findings: self.findings,
            surroundings: surroundings.clone(),
        };
        match self.resource {
            Some(resource) => resource.named(self.name.as_deref(), &place, depth + 1, pieces),
            None => pieces.place(&[], RecordAction::Put, place),
        }
    }

    fn delete(self, surroundings: &Surroundings, written: Option<Timestamp>, pieces: &mut Pieces) {
        let bytes = self.whole.exact();
        match self.url.as_deref().and_then(record_key) {
            Some(key) => {
                let at = self.changed_at.or(written);
                let surroundings = surroundings.clone();
                let place = Place { full_url: self.full_url, changed_at: at, findings: self.findings, surroundings };
                pieces.place(bytes, RecordAction::Delete { key, at }, place);
            }
            None => {
                let detail = format!("Bundle.entry[{}].request.url names no record", self.position);
                pieces.unreadable(bytes, QuarantineReason::InvalidResource, detail);
            }
        }
    }
}

/// The Bundle with all but what its entries hold.
fn shell(members: &[(String, &str)], entries: &[Entry<'_>]) -> Shell {
    let entries = entries.iter().map(|entry| ShellEntry {
        body: entry.body.clone(),
        full_url: entry.full_url.clone(),
        name: entry.name.clone(),
        id: entry.id.clone(),
        version: entry.version.clone(),
        has_resource: entry.resource.is_some(),
    });
    Shell { body: without(members, "entry"), entries: entries.collect() }
}

/// All members but one, as a tree.
fn without(members: &[(String, &str)], left_out: &str) -> Json {
    let kept = members.iter().filter(|(name, _)| name != left_out);
    Json::Object(kept.filter_map(|(name, raw)| Some((name.clone(), Json::parse(raw).ok()?))).collect())
}

/// `Type/id` of a relative or absolute URL; a conditional one names no record.
pub(super) fn record_key(url: &str) -> Option<String> {
    let bare = url.split("/_history").next().unwrap_or(url);
    if bare.contains('?') {
        return None;
    }
    let mut parts = bare.rsplit('/');
    let (id, name) = (parts.next()?, parts.next()?);
    let typed = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphabetic());
    (typed && !id.is_empty()).then(|| format!("{name}/{id}"))
}

/// Where each `fullUrl` leads, and the entries that others quote.
///
/// An inner Bundle sees the outer's too while they are few: each copy costs what the outer holds.
fn surroundings(entries: &[Entry<'_>], outer: &Surroundings, sort: &str) -> Surroundings {
    let is_closed = sort == "document";
    let few = outer.links.len() + outer.companions.len() <= MAX_INHERITED;
    let Surroundings { links, companions, .. } = if few { outer.clone() } else { Surroundings::default() };
    let mut links = Arc::unwrap_or_clone(links);
    let mut companions = Arc::unwrap_or_clone(companions);
    for entry in entries {
        let Some(key) = entry.key() else { continue };
        if let Some(resource) = entry.resource.filter(|_| entry.names_one_of(&COMPANIONS)) {
            companions.insert(key.clone(), resource.exact().into());
        }
        if is_closed {
            links.insert(key.clone(), key.clone());
        }
        if let Some(url) = &entry.full_url {
            links.insert(url.clone(), key);
        }
    }
    Surroundings { links: Arc::new(links), companions: Arc::new(companions), is_closed }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{pieces, reason, record};
    use super::*;
    use crate::domain::{Format, RawRecord};

    fn keys(bundle: &str) -> Vec<String> {
        let pieces = pieces(Format::FhirJson, bundle.as_bytes());
        pieces.iter().map(|piece| String::from_utf8_lossy(&record(piece).bytes).into_owned()).collect()
    }

    fn at(text: &str) -> Option<Timestamp> {
        Timestamp::parse(text)
    }

    #[test]
    fn a_history_comes_out_oldest_first() {
        let entry = |version: &str| {
            format!(
                r#"{{"resource":{{"resourceType":"Flag","id":"{version}"}},"request":{{"method":"PUT","url":"Flag/1"}}}}"#
            )
        };
        let bundle = |sort: &str| {
            format!(r#"{{"resourceType":"Bundle","type":"{sort}","entry":[{},{}]}}"#, entry("2"), entry("1"))
        };
        assert!(keys(&bundle("history"))[0].contains(r#""id":"1""#));
        assert!(keys(&bundle("collection"))[0].contains(r#""id":"2""#));
    }

    #[test]
    fn a_removal_has_its_own_time_or_else_the_bundles() {
        let bundle = |sort: &str, response: &str| {
            let json = format!(
                r#"{{"resourceType":"Bundle","type":"{sort}","timestamp":"2024-05-02T00:00:00Z","entry":[
                    {{"request":{{"method":"DELETE","url":"Flag/1"}}{response}}}]}}"#
            );
            record(&pieces(Format::FhirJson, json.as_bytes())[0]).action.clone()
        };
        let of = |at| RecordAction::Delete { key: "Flag/1".into(), at };
        let dated = r#","response":{"lastModified":"2024-05-01T10:00:00Z"}"#;
        assert_eq!(bundle("history", dated), of(at("2024-05-01T10:00:00Z")));
        assert_eq!(bundle("history", ""), of(None));
        assert_eq!(bundle("transaction", ""), of(at("2024-05-02")));
    }

    #[test]
    fn a_patch_waits_for_somebody() {
        let bundle = br#"{"resourceType":"Bundle","entry":[
            {"request":{"method":"PATCH","url":"Flag/1"},"resource":{"resourceType":"Binary"}}]}"#;
        assert_eq!(reason(&pieces(Format::FhirJson, bundle)[0]), QuarantineReason::UnsupportedMessage);
    }

    #[test]
    fn resources_in_parameters_are_records() {
        let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Flag","id":"1"}},
            {"name":"b","part":[{"name":"c","resource":{"resourceType":"Flag","id":"2"}}]}, 5, {"name":"d","valueCode":"x"}]}"#;
        assert_eq!(keys(parameters).len(), 2);
        assert_eq!(keys(r#"{"resourceType":"Parameters","parameter":[]}"#).len(), 1);
    }

    #[test]
    fn files_and_names_go_with_their_bundle() {
        let bundle = br#"{"resourceType":"Bundle","entry":[
            {"fullUrl":"urn:uuid:b","resource":{"resourceType":"Binary","data":"aGk="}},
            {"resource":{"resourceType":"DocumentReference","id":"d"}}]}"#;
        let pieces = pieces(Format::FhirJson, bundle);
        let document: &RawRecord = record(&pieces[1]);
        assert_eq!(document.companions.keys().collect::<Vec<_>>(), ["Binary/urn:uuid:b"]);
    }
}
