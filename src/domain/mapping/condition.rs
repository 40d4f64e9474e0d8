//! Which rows an object of a mapping is for.

use serde::{Deserialize, Serialize};

/// All that is set must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// The delivery's name without its folders fits this pattern of `*` and `?`: `*_CLM.csv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The row has all of these fields, empty or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// A JSON pointer that leads somewhere in the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The field that the tests below look at; alone, it must hold something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// A pattern of `*` and `?`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Whether the row has the field, empty or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// A further condition that must hold as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub and: Option<Box<Condition>>,
}

impl Condition {
    /// Says nothing, or tests a field without naming it.
    pub fn is_incomplete(&self) -> bool {
        let tests = self.equals.is_some() || !self.one_of.is_empty() || self.like.is_some() || self.exists.is_some();
        let says_nothing =
            self.file.is_none() && self.fields.is_empty() && self.pointer.is_none() && self.field.is_none();
        says_nothing || (tests && self.field.is_none()) || self.and.as_ref().is_some_and(|and| and.is_incomplete())
    }
}

/// One condition, or several of which one is enough; none at all fits every row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Conditions {
    One(Box<Condition>),
    AnyOf(Vec<Condition>),
}

impl Default for Conditions {
    fn default() -> Self {
        Self::AnyOf(Vec::new())
    }
}

impl Conditions {
    pub fn as_slice(&self) -> &[Condition] {
        match self {
            Self::One(condition) => std::slice::from_ref(condition.as_ref()),
            Self::AnyOf(conditions) => conditions,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// Whether `text` fits a pattern of `*` (any text) and `?` (one character), whatever the letters' case.
///
/// Time: at most the product of both lengths.
pub fn is_like(pattern: &str, text: &str) -> bool {
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (pattern, text) = (lower(pattern), lower(text));
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(at) {
        match pattern.get(place) {
            Some('*') => {
                star = Some((place, at));
                place += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((before, from)) => {
                    star = Some((before, from + 1));
                    at = from + 1;
                    place = before + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(place..).unwrap_or_default().iter().all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use super::{Condition, is_like};

    #[test]
    fn a_pattern_fits_whole_texts_only() {
        for (pattern, text, fits) in [
            ("*_CLM.csv", "SYNTHETIC_CLM.csv", true),
            ("*_CLM.csv", "SYNTHETIC_CLM_LINE.csv", false),
            ("*__c", "Resident__c", true),
            ("contact*.json", "Contact-2.JSON", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("", "a", false),
        ] {
            assert_eq!(is_like(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_condition_that_tests_no_field_is_incomplete() {
        let equals = Condition { equals: Some("x".into()), ..Condition::default() };
        assert!(equals.is_incomplete() && Condition::default().is_incomplete());
        assert!(!Condition { field: Some("a".into()), ..equals }.is_incomplete());
    }
}
