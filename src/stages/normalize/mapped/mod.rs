//! Rows and objects of any system to documents, by the source's mapping alone.
//!
//! A row is read together with its header: its record holds the header's line and the row's own.

pub(in crate::stages) mod cells;
mod document;
mod row;
mod times;

use crate::domain::{Mapping, Normalized, Outcome, QuarantineReason, Unreadable};

use super::Origin;
use super::json::Json;
use super::tidy;
use document::Reading;
use row::Row;
use times::Clock;

/// Field names that are shown of a row that no object fits.
const NAMES_SHOWN: usize = 40;

/// `bytes`: the header's line, then one row; a header alone carries nothing.
pub(super) fn normalize_row(bytes: &[u8], origin: &Origin<'_>) -> Result<Normalized, Unreadable> {
    let mapping = mapping(origin)?;
    match cells::object(&mapping.csv, bytes)? {
        Some(object) => read(&object, mapping, origin),
        None => Ok(nothing("header without rows")),
    }
}

/// `bytes`: one object; an empty list carries nothing.
pub(super) fn normalize_object(bytes: &[u8], origin: &Origin<'_>) -> Result<Normalized, Unreadable> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Unreadable::new(QuarantineReason::InvalidUtf8, format!("byte {}", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let object = Json::parse(text).map_err(|error| Unreadable::new(QuarantineReason::MalformedJson, error.0))?;
    match &object {
        Json::Object(_) => read(&object, mapping(origin)?, origin),
        Json::List(items) if items.is_empty() => Ok(nothing("list without objects")),
        _ => Err(Unreadable::new(QuarantineReason::InvalidResource, "not an object")),
    }
}

fn mapping<'a>(origin: &Origin<'a>) -> Result<&'a Mapping, Unreadable> {
    let mapping = origin.source.mapping.as_ref();
    mapping.ok_or_else(|| Unreadable::new(QuarantineReason::Unmapped, "the source has no mapping"))
}

fn nothing(name: &str) -> Normalized {
    Normalized { outcome: Outcome::CarriesNothing { name: name.to_owned() }, findings: Vec::new() }
}

fn read(body: &Json, mapping: &Mapping, origin: &Origin<'_>) -> Result<Normalized, Unreadable> {
    let clock = Clock::of(mapping);
    let row = Row { mapping, clock: &clock, file: origin.name, scopes: vec![body], number: None };
    let fitting = mapping.objects.iter().find(|object| {
        let within = object.within.as_deref().and_then(|within| row.find(within));
        let scopes = row.scopes.iter().copied().chain(within).collect();
        Row { scopes, ..row.clone() }.fits(&object.when)
    });
    let object = fitting.ok_or_else(|| Unreadable::new(QuarantineReason::Unmapped, unmatched(body)))?;
    if object.ignore {
        return Ok(nothing(if object.name.is_empty() { "ignored row" } else { &object.name }));
    }
    let within = object.within.as_deref().and_then(|within| row.find(within));
    let row = Row { scopes: row.scopes.iter().copied().chain(within).collect(), ..row };
    let mut reading = Reading { row, object, namespace: &origin.source.patients, findings: Vec::new() };
    let outcome = reading.outcome()?;
    Ok(Normalized { outcome, findings: reading.findings })
}

/// Names the row's fields, never a value. Where a header is missing its names are a row's values, so names that
/// look like values are only counted.
fn unmatched(body: &Json) -> String {
    let names: Vec<&str> = body.members().iter().map(|(name, _)| name.as_str()).collect();
    if !names.iter().all(|name| looks_like_a_name(name)) {
        return format!("no object of the mapping fits; {} fields that don't look like names", names.len());
    }
    let shown: Vec<&str> = names.iter().copied().take(NAMES_SHOWN).collect();
    let more = names.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    tidy::bounded(&format!("no object of the mapping fits; fields: {}{more}", shown.join(", ")), 1_000)
}

/// Letters, digits and what stands between words, not digits alone.
fn looks_like_a_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ' | ':' | '$' | '(' | ')');
    let digits = name.chars().filter(char::is_ascii_digit).count();
    (1..=60).contains(&name.chars().count())
        && name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'))
        && name.chars().all(allowed)
        && digits * 2 < name.len()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod fuzz_tests;
