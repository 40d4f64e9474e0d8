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
        Builder { text: serde_json::from_str::<&RawValue>(text)?.get(), at: 0 }.value(0)
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

/// Builds the tree of a text that is known to be JSON, in one pass.
struct Builder<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Builder<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Past white space and what separates members and items.
    fn skip(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.skip();
        Ok(match self.peek() {
            Some(b'{') => Json::Object(self.members(depth)?),
            Some(b'[') => Json::List(self.items(depth)?),
            Some(b'"') => Json::Text(self.string()?),
            Some(b't') => self.word(Json::Bool(true)),
            Some(b'f') => self.word(Json::Bool(false)),
            Some(b'n') => self.word(Json::Null),
            _ => {
                let start = self.at;
                self.word(Json::Null);
                Json::Number(self.text.get(start..self.at).unwrap_or_default().to_owned())
            }
        })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(String, Json)>, JsonError> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            match self.peek() {
                Some(b'"') => {
                    let name = self.string()?;
                    members.push((name, self.value(depth + 1)?));
                }
                _ => {
                    self.at += 1;
                    return Ok(members);
                }
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Json>, JsonError> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            match self.peek() {
                Some(b']') | None => {
                    self.at += 1;
                    return Ok(items);
                }
                Some(_) => items.push(self.value(depth + 1)?),
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start + 1..).unwrap_or_default();
        let (mut length, mut escaped) = (0, false);
        while let Some(byte) = rest.get(length) {
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    length += 2;
                }
                _ => length += 1,
            }
        }
        self.at = start + length + 2;
        if escaped {
            let quoted = self.text.get(start..self.at).unwrap_or_default();
            return serde_json::from_str(quoted).map_err(|_| JsonError("invalid escape in a string".into()));
        }
        Ok(self.text.get(start + 1..start + 1 + length).unwrap_or_default().to_owned())
    }

    /// Past a literal or a number.
    fn word(&mut self, value: Json) -> Json {
        self.at += 1;
        while self.peek().is_some_and(|b| !matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        value
    }
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

    /// What another reader makes of the same text, numbers aside.
    fn plain(json: &Json) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(value) => (*value).into(),
            Json::Number(literal) => serde_json::from_str(literal).unwrap(),
            Json::Text(text) => text.as_str().into(),
            Json::List(items) => items.iter().map(plain).collect(),
            Json::Object(members) => {
                serde_json::Value::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
            }
        }
    }

    #[test]
    fn a_tree_is_what_any_other_reader_sees() {
        for text in [
            r#"{"a":[1,-2.50e+3, true ,null,"x\"y\\",{}, [ ]],"ü":"\u00fc\ud83d\ude00","":{"b":false}}"#,
            " [ \n 0 \t, \"a,b:c]}\" ] ",
            "\"\\\\\"",
            "7",
            "{}",
        ] {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(plain(&Json::parse(text).unwrap()), expected, "{text}");
        }
        assert!(Json::parse(r#""\ud800""#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_as_any_other_reader_would(text in r#"[\[\]{},:"a0-9.\-\\un tfrueals\n]{0,40}"#) {
            let ours = Json::parse(&text);
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(theirs) => proptest::prop_assert_eq!(plain(&ours.unwrap()), theirs),
                // Numbers beyond any machine's are JSON all the same.
                Err(_) => proptest::prop_assert!(ours.is_err() || text.contains('e')),
            }
        }
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
