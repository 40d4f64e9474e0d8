//! Attachments that lie beside their record: a Binary of the same Bundle, put where its url stands.

use super::super::json::Json;
use super::{Resource, Target};

/// The lists and elements that hold attachments, by type.
const HOLDERS: [(&str, &str, &str); 4] = [
    ("DocumentReference", "content", "attachment"),
    ("DiagnosticReport", "presentedForm", ""),
    ("Communication", "payload", "contentAttachment"),
    ("Media", "content", ""),
];

/// The resource with the bytes of its attachments in place; `None` when there is nothing to put.
pub(super) fn inlined(resource: &Resource<'_>) -> Option<Json> {
    let (_, list, inner) = HOLDERS.iter().find(|(name, _, _)| *name == resource.name)?;
    if resource.companions.is_empty() {
        return None;
    }
    let mut body = resource.body.clone();
    let mut changed = false;
    let holders = match body.get_mut(list)? {
        Json::List(items) => items.as_mut_slice(),
        single => std::slice::from_mut(single),
    };
    for holder in holders {
        let attachment = if inner.is_empty() { Some(holder) } else { holder.get_mut(inner) };
        changed |= attachment.is_some_and(|attachment| fill(resource, attachment));
    }
    changed.then_some(body)
}

fn fill(resource: &Resource<'_>, attachment: &mut Json) -> bool {
    if attachment.text("data").is_some() {
        return false;
    }
    let Some(binary) = attachment.text("url").and_then(|url| binary(resource, url)) else { return false };
    let missing = ["contentType", "data"].into_iter().filter(|name| attachment.text(name).is_none());
    let found = missing.filter_map(|name| Some((name.to_owned(), binary.get(name)?.clone()))).collect::<Vec<_>>();
    let Json::Object(members) = attachment else { return false };
    let changed = !found.is_empty();
    members.extend(found);
    changed
}

fn binary(resource: &Resource<'_>, url: &str) -> Option<Json> {
    match resource.target(url) {
        Target::Record(key) if key.starts_with("Binary/") => resource.companion(&key),
        _ => None,
    }
}
