//! Templates: text with fields in braces, each through filters: `Due {due|date}`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What is made of a field's text before it stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `date`: `2024-03-01`, in the mapping's time zone.
    Date,
    /// `time`: `14:05`
    Time,
    /// `datetime`: `2024-03-01 14:05`
    DateTime,
    /// `money`, `money:USD`: two decimals, and the currency.
    Money(Option<String>),
    /// `default:none`: this text when there is none so far.
    Default(String),
    /// `or:other_field`: that field when there is nothing so far.
    Or(String),
    /// `table:status`: the meaning of a code; a code that the table lacks stays.
    Table(String),
    /// `words`: `no_show` becomes `no show`.
    Words,
    Lower,
    Upper,
    /// `html`: markup to text.
    Html,
    /// `label`: a field's name for people: `Care_Level__c` becomes `Care Level`.
    Label,
    /// `icd`: the dot that claims leave out: `E1122` becomes `E11.22`.
    Icd,
}

/// One field and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// A name, or a dotted path; `#` stands for the number of a repeated line.
    pub field: String,
    /// `{field?}`: a row without the field counts as one where it is empty.
    pub optional: bool,
    pub filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Field(Placeholder),
}

/// Text with fields in braces; text without braces is a constant.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown filter `{0}`")]
pub struct UnknownFilter(String);

impl Template {
    /// Errors: a filter that doesn't exist. A brace that is never closed stands for itself.
    pub fn parse(written: &str) -> Result<Self, UnknownFilter> {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((inside, behind)) = after.split_once('}') else { break };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Field(Placeholder::parse(inside)?));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { written: written.to_owned(), parts })
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Every table that its filters look into.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        let filters = self.parts.iter().flat_map(|part| match part {
            Part::Field(placeholder) => placeholder.filters.as_slice(),
            Part::Text(_) => &[],
        });
        filters.filter_map(|filter| match filter {
            Filter::Table(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

impl Placeholder {
    fn parse(inside: &str) -> Result<Self, UnknownFilter> {
        let mut steps = inside.split('|');
        let name = steps.next().unwrap_or_default().trim();
        Ok(Self {
            field: name.strip_suffix('?').unwrap_or(name).to_owned(),
            optional: name.ends_with('?'),
            filters: steps.map(Filter::parse).collect::<Result<_, _>>()?,
        })
    }
}

impl Filter {
    fn parse(step: &str) -> Result<Self, UnknownFilter> {
        let (name, argument) = match step.split_once(':') {
            Some((name, argument)) => (name.trim(), Some(argument.trim().to_owned())),
            None => (step.trim(), None),
        };
        Ok(match (name, argument) {
            ("date", None) => Self::Date,
            ("time", None) => Self::Time,
            ("datetime", None) => Self::DateTime,
            ("money", currency) => Self::Money(currency),
            ("default", Some(text)) => Self::Default(text),
            ("or", Some(field)) => Self::Or(field),
            ("table", Some(table)) => Self::Table(table),
            ("words", None) => Self::Words,
            ("lower", None) => Self::Lower,
            ("upper", None) => Self::Upper,
            ("html", None) => Self::Html,
            ("label", None) => Self::Label,
            ("icd", None) => Self::Icd,
            _ => return Err(UnknownFilter(step.trim().to_owned())),
        })
    }
}

/// A field's name, or a template: `id`, `"{CLM_ID}-{LINE_NUM}"`, `created|or:updated`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    written: String,
    template: Template,
}

impl Value {
    pub fn parse(written: &str) -> Result<Self, UnknownFilter> {
        let template =
            if written.contains('{') { Template::parse(written)? } else { Template::parse(&format!("{{{written}}}"))? };
        Ok(Self { written: written.to_owned(), template })
    }

    pub fn template(&self) -> &Template {
        &self.template
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_and_fields_with_filters() {
        let template = Template::parse("Due {due? | date | default: none} by {owner}.").unwrap();
        let field =
            |field: &str, optional, filters| Part::Field(Placeholder { field: field.into(), optional, filters });
        assert_eq!(
            template.parts(),
            [
                Part::Text("Due ".into()),
                field("due", true, vec![Filter::Date, Filter::Default("none".into())]),
                Part::Text(" by ".into()),
                field("owner", false, vec![]),
                Part::Text(".".into()),
            ]
        );
    }

    #[test]
    fn a_filter_that_does_not_exist_is_refused() {
        for written in ["{a|shout}", "{a|date:x}", "{a|or}", "{a|}"] {
            assert!(Template::parse(written).is_err(), "{written}");
        }
        assert!(Template::parse("open { brace").unwrap().parts().len() == 1);
    }

    #[test]
    fn a_value_without_braces_names_a_field() {
        assert_eq!(Value::parse("id").unwrap().template(), &Template::parse("{id}").unwrap());
        assert_eq!(Value::parse("{a}-{b}").unwrap().template().parts().len(), 3);
    }
}
