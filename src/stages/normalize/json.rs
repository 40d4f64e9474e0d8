//! A JSON tree that keeps numbers as they were written, because `6.30` is not `6.3` in a laboratory.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Levels of nesting that are read; real records stay below 20.
const MAX_DEPTH: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::stages) enum Json {
    Null,
    Bool(bool),
    /// The literal's own text.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// In the order written; of a name given twice the last counts.
    Object(Vec<(String, Json)>),
}

/// Why the bytes are no JSON: a position or a rule, never content.
#[derive(Debug)]
pub(in crate::stages) struct JsonError(pub String);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("line {} column {}", error.line(), error.column()))
    }
}

impl Json {
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        build(serde_json::from_str::<&RawValue>(text)?.get(), 0)
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The member `name`, unless it is missing or null.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let (_, value) = self.members().iter().rev().find(|(key, _)| key == name)?;
        (*value != Self::Null).then_some(value)
    }

    /// The member `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A dotted path; of a list on the way the first element is taken.
    pub fn at(&self, path: &str) -> Option<&Json> {
        path.split('.').try_fold(self, |node, name| node.get(name)?.first())
    }

    /// Itself, or of a list the first element.
    pub fn first(&self) -> Option<&Json> {
        match self {
            Self::List(items) => items.first().filter(|item| **item != Self::Null),
            other => Some(other),
        }
    }

    /// A list's elements; nothing of anything else.
    pub fn as_list(&self) -> &[Json] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Elements of the member `name`; a value where a list belongs counts as a list of one.
    pub fn list(&self, name: &str) -> &[Json] {
        match self.get(name) {
            Some(Self::List(items)) => items,
            Some(other) => std::slice::from_ref(other),
            None => &[],
        }
    }

    /// The member's text, unless blank.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Some(text.trim()),
            _ => None,
        }
    }

    /// Text or number, as written.
    pub fn as_scalar(&self) -> Option<&str> {
        match self {
            Self::Number(literal) => Some(literal),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            _ => self.as_text(),
        }
    }

    pub fn scalar(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_scalar()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

fn build(raw: &str, depth: usize) -> Result<Json, JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError(format!("nested more than {MAX_DEPTH} levels deep")));
    }
    Ok(match raw.as_bytes().first() {
        Some(b'{') => Json::Object(
            members(raw)?
                .into_iter()
                .map(|(name, value)| Ok((name, build(value.get(), depth + 1)?)))
                .collect::<Result<_, JsonError>>()?,
        ),
        Some(b'[') => Json::List(
            serde_json::from_str::<Vec<&RawValue>>(raw)?
                .into_iter()
                .map(|item| build(item.get(), depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Some(b'"') => {
            Json::Text(serde_json::from_str(raw).map_err(|_| JsonError("invalid escape in a string".into()))?)
        }
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'n') => Json::Null,
        _ => Json::Number(raw.to_owned()),
    })
}

/// An object's members with their exact texts, in the order written.
pub(in crate::stages) fn members(raw: &str) -> Result<Vec<(String, &RawValue)>, JsonError> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(raw);
    Ok(deserializer.deserialize_map(Members)?)
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn numbers_keep_their_digits() {
        let json = Json::parse(r#"{"value": 6.30, "list": [1e3, -0.0100]}"#).unwrap();
        assert_eq!(json.scalar("value"), Some("6.30"));
        assert_eq!(json.list("list")[1], Json::Number("-0.0100".into()));
    }

    #[test]
    fn nesting_without_end_is_an_error() {
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(Json::parse(&deep).is_err());
    }

    #[test]
    fn a_path_takes_the_first_of_a_list() {
        let json = Json::parse(r#"{"a": [{"b": "x"}, {"b": "y"}], "n": null}"#).unwrap();
        assert_eq!(json.at("a.b").and_then(Json::as_text), Some("x"));
        assert_eq!(json.get("n"), None);
    }

    #[test]
    fn errors_give_a_position_and_no_content() {
        let error = Json::parse("{\n \"name\": secret}").unwrap_err();
        assert_eq!(error.0, "line 2 column 10");
    }
}
