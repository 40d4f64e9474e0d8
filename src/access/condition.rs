//! The granular part of a SMART v2 scope: `?category=system|code&_security=code`, as conditions on a row.
//!
//! What can't be held to is no condition at all: the scope that bears it is dropped, never the condition.

use crate::domain::{Labels, decoded, resource_types};

/// `parameter=value,value`: one of the values must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    parameter: &'static str,
    values: Vec<Token>,
}

/// A value of a FHIR token search: `code`, `system|code`, `|code` or `system|`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    /// `None`: whatever the system; `Some` of nothing: without one.
    system: Option<String>,
    /// `None`: every code of the system.
    code: Option<String>,
}

impl Condition {
    /// All conditions of a scope's query (what stands behind the `?`); `None` when one of them isn't understood.
    pub(super) fn parse_all(query: &str, resource_type: Option<&str>) -> Option<Vec<Self>> {
        query.split('&').map(|part| Self::parse(part, resource_type)).collect()
    }

    fn parse(part: &str, resource_type: Option<&str>) -> Option<Self> {
        let (name, values) = part.split_once('=')?;
        let name = percent_decoded(name)?;
        let (parameter, _) = resource_types::parameters_of(resource_type).find(|(known, _)| *known == name)?;
        let values = values.split(',').map(Token::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { parameter, values })
    }

    pub(super) fn holds_for(&self, labels: &Labels) -> bool {
        labels.codes.iter().filter_map(|text| decoded(text)).any(|(parameter, system, code)| {
            parameter == self.parameter && self.values.iter().any(|value| value.matches(system, code))
        })
    }
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let text = percent_decoded(text)?;
        // FHIR's own escapes (`\,` and others) and white space stand in no code that we hold.
        if text.contains(['\\', ' ', '\t', '\r', '\n']) {
            return None;
        }
        match text.split_once('|') {
            None if text.is_empty() => None,
            None => Some(Self { system: None, code: Some(text) }),
            Some(("", "")) => None,
            Some((system, "")) => Some(Self { system: Some(system.to_owned()), code: None }),
            Some((_, code)) if code.contains('|') => None,
            Some((system, code)) => Some(Self { system: Some(system.to_owned()), code: Some(code.to_owned()) }),
        }
    }

    fn matches(&self, system: &str, code: &str) -> bool {
        self.system.as_deref().is_none_or(|wanted| wanted == system)
            && self.code.as_deref().is_none_or(|wanted| wanted == code)
    }
}

/// `None` for a broken escape, or for bytes that are no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(codes: &[&str]) -> Labels {
        Labels { codes: codes.iter().map(|code| (*code).to_owned()).collect(), ..Labels::default() }
    }

    fn holds(query: &str, codes: &[&str]) -> Option<bool> {
        let conditions = Condition::parse_all(query, Some("Observation"))?;
        Some(conditions.iter().all(|condition| condition.holds_for(&labels(codes))))
    }

    #[test]
    fn values_are_read_as_token_searches_are() {
        let lab = &["category=http://c.example|laboratory"][..];
        for (query, expected) in [
            ("category=laboratory", Some(true)),
            ("category=http://c.example|laboratory", Some(true)),
            ("category=http%3A%2F%2Fc.example%7Claboratory", Some(true)),
            ("category=http://c.example|", Some(true)),
            ("category=|laboratory", Some(false)),
            ("category=http://other.example|laboratory", Some(false)),
            ("category=vital-signs,laboratory", Some(true)),
            ("category=vital-signs", Some(false)),
            ("category=Laboratory", Some(false)),
            ("category=laboratory&category=vital-signs", Some(false)),
            ("category=laboratory&code=x", Some(false)),
            ("code=laboratory", Some(false)),
        ] {
            assert_eq!(holds(query, lab), expected, "{query}");
        }
        assert_eq!(holds("status=|final", &["status=|final"]), Some(true));
    }

    #[test]
    fn what_cannot_be_held_to_is_refused_whole() {
        for query in [
            "",
            "category",
            "category=",
            "category=a,",
            "category=|",
            "category:in=x",
            "category=a|b|c",
            "category=%4",
            "category=%zz",
            "category=%ff",
            "category=a\\,b",
            "subject.name=x",
            "_filter=x",
            "vaccine-code=x",
            "_id=1",
            "category=a&",
            "&category=a",
            "category=a&date=gt2020",
            "category=%20a",
        ] {
            assert_eq!(Condition::parse_all(query, Some("Observation")), None, "{query}");
        }
        assert_eq!(Condition::parse_all("category=a", None), None);
        assert!(Condition::parse_all("_security=R", None).is_some());
    }
}
