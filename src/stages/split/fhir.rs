//! FHIR JSON to its records: resources, Bundle entries, lines of resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::domain::{QuarantineReason, RecordAction};

use super::{Links, Piece, Pieces, Slice, masked, member, text, without_mark};

/// Bundles within Bundles, as deep as they are taken apart.
const MAX_BUNDLE_DEPTH: usize = 8;

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

impl<'a> Slice<'a> {
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

pub(super) fn lines(bytes: &[u8], pieces: &mut Pieces) {
    for (number, line) in without_mark(bytes).split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.trim_ascii().is_empty() {
            split(line, Some(number + 1), pieces);
        }
    }
}
