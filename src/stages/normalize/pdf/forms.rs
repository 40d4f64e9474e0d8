//! The fields of a filled-in PDF form: `label: value`, page by page.

use std::collections::HashSet;

use lopdf::{Dictionary, Document, Object, ObjectId, decode_text_string};

use super::super::tidy;
use super::fonts::{array, name, resolved};

const MAX_FIELDS: usize = 5_000;

/// What was filled in on this page, in the page's own order.
pub(super) fn filled(document: &Document, page: ObjectId) -> Vec<String> {
    let Ok(page) = document.get_dictionary(page) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut seen = HashSet::new();
    for annotation in array(document, page, b"Annots").into_iter().flatten().take(MAX_FIELDS) {
        let Ok(annotation) = resolved(document, annotation).as_dict() else { continue };
        let line = match name(document, annotation, b"Subtype").as_deref() {
            Some("Widget") => field(document, annotation),
            Some("FreeText") => words(document, annotation, b"Contents"),
            _ => None,
        };
        if let Some(line) = line.filter(|line| seen.insert(line.clone())) {
            lines.push(line);
        }
    }
    lines
}

fn field(document: &Document, widget: &Dictionary) -> Option<String> {
    let value = value(document, inherited(document, widget, b"V")?)?;
    let label = ["TU", "T"]
        .iter()
        .find_map(|key| words(document, inherited_holder(document, widget, key.as_bytes())?, key.as_bytes()));
    Some(match label {
        Some(label) => format!("{}: {value}", label.trim_end_matches(':')),
        None => value,
    })
}

/// Passwords and signatures are no text; a box that isn't ticked says nothing.
fn value(document: &Document, value: &Object) -> Option<String> {
    let text = match resolved(document, value) {
        Object::Name(name) if name == b"Off" => return None,
        Object::Name(name) => String::from_utf8_lossy(name).into_owned(),
        text @ Object::String(..) => decode_text_string(text).ok()?,
        Object::Array(choices) => choices
            .iter()
            .filter_map(|choice| decode_text_string(resolved(document, choice)).ok())
            .collect::<Vec<_>>()
            .join(", "),
        _ => return None,
    };
    Some(tidy::line(&text)).filter(|text| !text.is_empty())
}

fn words(document: &Document, of: &Dictionary, key: &[u8]) -> Option<String> {
    let text = decode_text_string(resolved(document, of.get(key).ok()?)).ok()?;
    Some(tidy::line(&text)).filter(|text| !text.is_empty())
}

fn inherited<'a>(document: &'a Document, field: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    inherited_holder(document, field, key)?.get(key).ok()
}

/// The field itself, or the nearest of those it belongs to, that has this entry.
fn inherited_holder<'a>(document: &'a Document, field: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    let mut holder = field;
    for _ in 0..32 {
        if holder.has(key) {
            return Some(holder);
        }
        holder = resolved(document, holder.get(b"Parent").ok()?).as_dict().ok()?;
    }
    None
}
