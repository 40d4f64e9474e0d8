//! Whether a primitive value has the form that R4 gives its type.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::Timestamp;

use super::super::json::Json;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed pattern")
}

static DATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\d{4}(-\d{2}(-\d{2})?)?$"));
static DATE_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?)?)?$"));
static INSTANT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$"));
static DECIMAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE](0|[+-]?[1-9][0-9]{0,9}))?$"));
static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>|<[a-z]{1,10}$"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?$"));
static ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9.\-]{1,64}$"));
static OID: LazyLock<Regex> = LazyLock::new(|| pattern(r"^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$"));
static UUID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"));

/// What is wrong with a value of this primitive type, as a rule's name.
pub(super) fn fault(kind: &str, value: &Json) -> Option<&'static str> {
    let fits = match (kind, value) {
        ("boolean", Json::Bool(_)) => return None,
        ("integer" | "positiveInt" | "unsignedInt", Json::Number(digits)) => {
            return (!is_integer(kind, digits)).then_some("value_format");
        }
        ("decimal", Json::Number(digits)) => return (!DECIMAL.is_match(digits)).then_some("value_format"),
        ("boolean" | "integer" | "positiveInt" | "unsignedInt" | "decimal", _) => false,
        (_, Json::Text(_)) => true,
        _ => false,
    };
    let (true, Json::Text(text)) = (fits, value) else { return Some("wrong_type") };
    if text.is_empty() {
        return Some("empty_element");
    }
    if matches!(kind, "date" | "dateTime" | "instant") {
        return (!is_moment(kind, text)).then_some("invalid_date");
    }
    if matches!(kind, "markdown" | "string") && text.contains('<') && TAG.is_match(text) {
        return Some("embedded_html");
    }
    (!is_formed(kind, text)).then_some("value_format")
}

fn is_integer(kind: &str, digits: &str) -> bool {
    let Ok(number) = digits.parse::<i64>() else { return false };
    match kind {
        "positiveInt" => (1..=i64::from(i32::MAX)).contains(&number),
        "unsignedInt" => (0..=i64::from(i32::MAX)).contains(&number),
        _ => i32::try_from(number).is_ok(),
    }
}

fn is_moment(kind: &str, text: &str) -> bool {
    let shaped = match kind {
        "date" => DATE.is_match(text),
        "instant" => INSTANT.is_match(text),
        _ => DATE_TIME.is_match(text),
    };
    shaped && Timestamp::parse(text).is_some()
}

fn is_formed(kind: &str, text: &str) -> bool {
    match kind {
        "id" => ID.is_match(text),
        "time" => TIME.is_match(text),
        "oid" => OID.is_match(text),
        "uuid" => UUID.is_match(text),
        "uri" | "url" | "canonical" => is_uri(text),
        "code" => text.trim() == text && !text.contains("  ") && !text.contains(['\n', '\t', '\r']),
        "base64Binary" => is_base64(text),
        _ => true,
    }
}

fn is_uri(text: &str) -> bool {
    if text.chars().any(char::is_whitespace) {
        return false;
    }
    match text {
        _ if text.starts_with("urn:oid:") => OID.is_match(text),
        _ if text.starts_with("urn:uuid:") => UUID.is_match(text),
        _ => true,
    }
}

/// Digits of the alphabet and padding; white space between them can be lived with.
fn is_base64(text: &str) -> bool {
    let mut count = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    padding <= 2 && count.is_multiple_of(4)
}

/// How many bytes a base64 text stands for.
pub(super) fn decoded_length(data: &str) -> usize {
    let digits = data.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
    digits * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, json: &str) -> Option<&'static str> {
        fault(kind, &Json::parse(json).unwrap())
    }

    #[test]
    fn well_formed_values_pass() {
        for (kind, json) in [
            ("date", "\"2020-02\""),
            ("dateTime", "\"2020-02-29T10:00:00.5+01:00\""),
            ("instant", "\"2020-02-29T10:00:00Z\""),
            ("id", "\"a-1.B\""),
            ("uri", "\"urn:oid:1.2.840\""),
            ("positiveInt", "3"),
            ("decimal", "1.50e3"),
            ("base64Binary", "\"aGk=\""),
            ("code", "\"in progress\""),
            ("time", "\"23:59:60\""),
        ] {
            assert_eq!(of(kind, json), None, "{kind} {json}");
        }
    }

    #[test]
    fn each_fault_has_its_rule() {
        for (kind, json, rule) in [
            ("date", "\"2020-02-30\"", "invalid_date"),
            ("dateTime", "\"2020-02-29T10:00\"", "invalid_date"),
            ("instant", "\"2020-02-29\"", "invalid_date"),
            ("id", "\"a_b\"", "value_format"),
            ("uri", "\"has space\"", "value_format"),
            ("uri", "\"urn:oid:x\"", "value_format"),
            ("positiveInt", "0", "value_format"),
            ("integer", "1.5", "value_format"),
            ("boolean", "\"true\"", "wrong_type"),
            ("string", "5", "wrong_type"),
            ("string", "\"\"", "empty_element"),
            ("decimal", "1.000000000000000000", "value_format"),
            ("markdown", "\"a <b>bold</b> word\"", "embedded_html"),
            ("base64Binary", "\"a$=\"", "value_format"),
            ("code", "\" x\"", "value_format"),
        ] {
            assert_eq!(of(kind, json), Some(rule), "{kind} {json}");
        }
    }
}
