//! One row with what its templates and conditions find in it.

use crate::domain::mapping::{Condition, Conditions, Filter, Missing, Part, Placeholder, Template, is_like};
use crate::domain::{Mapping, QuarantineReason, Unreadable};

use super::super::json::Json;
use super::super::{html, tidy};
use super::times::Clock;

/// A row, the places its fields are looked for in, and the number of a repeated line.
#[derive(Clone)]
pub(super) struct Row<'a> {
    pub mapping: &'a Mapping,
    pub clock: &'a Clock<'a>,
    /// The delivery's name.
    pub file: Option<&'a str>,
    /// Where fields are looked for, the first first.
    pub scopes: Vec<&'a Json>,
    pub number: Option<u32>,
}

/// A filled template.
pub(super) struct Filled {
    pub text: String,
    /// Some field held something, or there are no fields.
    pub says_something: bool,
    /// Every field held something.
    pub is_complete: bool,
}

impl<'a> Row<'a> {
    /// The field's value, `Null` when a relation on the way to it is; `None` when the row has no such field.
    pub fn find(&self, path: &str) -> Option<&'a Json> {
        let numbered = self.number.map(|number| path.replace('#', &number.to_string()));
        let path = numbered.as_deref().unwrap_or(path);
        self.scopes.iter().find_map(|scope| find_in(scope, path))
    }

    /// The field's text, empty when it is null or blank. Errors: the row has no such field.
    fn field(&self, path: &str, optional: bool) -> Result<String, Unreadable> {
        match self.find(path) {
            Some(value) => {
                let text = value_text(value);
                let is_empty = self.mapping.empty.iter().any(|empty| empty == text.trim());
                Ok(if is_empty { String::new() } else { text })
            }
            None if optional || self.mapping.missing == Missing::Empty => Ok(String::new()),
            None => Err(Unreadable::new(QuarantineReason::Unmapped, format!("the row has no field `{path}`"))),
        }
    }

    pub fn fill(&self, template: &Template) -> Result<Filled, Unreadable> {
        let mut filled = Filled { text: String::new(), says_something: true, is_complete: true };
        let mut any_value = None;
        let mut gapes = false;
        for part in template.parts() {
            match part {
                Part::Text(text) => {
                    // What stood between an empty field and its neighbours would leave a gap.
                    let gap = gapes && (filled.text.is_empty() || filled.text.ends_with(' '));
                    let text = if gap { text.strip_prefix(' ').unwrap_or(text) } else { text };
                    match self.number {
                        Some(number) => filled.text.push_str(&text.replace('#', &number.to_string())),
                        None => filled.text.push_str(text),
                    }
                    gapes = false;
                }
                Part::Field(placeholder) => {
                    let value = self.placeholder(placeholder)?;
                    gapes = value.is_empty();
                    filled.is_complete &= !value.is_empty();
                    any_value = Some(any_value.unwrap_or(false) || !value.is_empty());
                    filled.text.push_str(&value);
                }
            }
        }
        filled.says_something = any_value.unwrap_or(true);
        Ok(filled)
    }

    fn placeholder(&self, placeholder: &Placeholder) -> Result<String, Unreadable> {
        // What another field or a default stands in for may be missing.
        let has_stand_in =
            placeholder.filters.iter().any(|filter| matches!(filter, Filter::Or(_) | Filter::Default(_)));
        let mut text = self.field(&placeholder.field, placeholder.optional || has_stand_in)?.trim().to_owned();
        for filter in &placeholder.filters {
            text = self.apply(filter, text)?;
        }
        Ok(text)
    }

    fn apply(&self, filter: &Filter, text: String) -> Result<String, Unreadable> {
        Ok(match filter {
            Filter::Default(stand_in) if text.is_empty() => stand_in.clone(),
            Filter::Or(field) if text.is_empty() => self.field(field, true)?.trim().to_owned(),
            _ if text.is_empty() => text,
            Filter::Default(_) | Filter::Or(_) => text,
            Filter::Date => self.clock.date(&text),
            Filter::Time => self.clock.time(&text),
            Filter::DateTime => self.clock.date_and_time(&text),
            Filter::Money(currency) => money(&text, currency.as_deref()),
            Filter::Table(name) => {
                self.mapping.tables.get(name).and_then(|table| table.get(&text)).cloned().unwrap_or(text)
            }
            Filter::Words => tidy::line(&text.replace(['_', '-'], " ")),
            Filter::Label => tidy::line(&text.trim_end_matches("__c").replace('_', " ")),
            Filter::Lower => text.to_lowercase(),
            Filter::Upper => text.to_uppercase(),
            Filter::Html => html::to_text(&text).trim().to_owned(),
            Filter::Icd => dotted(&text),
        })
    }

    /// One line of text; `None` when a field of it is empty.
    pub fn whole(&self, template: &Template) -> Result<Option<String>, Unreadable> {
        let filled = self.fill(template)?;
        let text = tidy::line(&filled.text);
        Ok((filled.is_complete && !text.is_empty()).then_some(text))
    }

    /// One line of text; `None` when all of its fields are empty.
    pub fn line(&self, template: Option<&Template>) -> Result<Option<String>, Unreadable> {
        let Some(template) = template else { return Ok(None) };
        let filled = self.fill(template)?;
        let text = tidy::line(&filled.text);
        Ok((filled.says_something && !text.is_empty()).then_some(text))
    }

    /// None at all fit every row.
    pub fn fits(&self, conditions: &Conditions) -> bool {
        let conditions = conditions.as_slice();
        conditions.is_empty() || conditions.iter().any(|condition| self.meets(condition))
    }

    fn meets(&self, condition: &Condition) -> bool {
        let file = condition.file.as_ref().is_none_or(|pattern| self.is_from(pattern));
        let fields = condition.fields.iter().all(|field| self.find(field).is_some());
        let pointer = condition.pointer.as_ref().is_none_or(|pointer| self.points_somewhere(pointer));
        let field = condition.field.as_ref().is_none_or(|field| self.passes(field, condition));
        file && fields && pointer && field && condition.and.as_ref().is_none_or(|and| self.meets(and))
    }

    fn is_from(&self, pattern: &str) -> bool {
        let name = self.file.map(|file| file.rsplit(['/', '\\']).next().unwrap_or(file));
        name.is_some_and(|name| is_like(pattern, name))
    }

    fn points_somewhere(&self, pointer: &str) -> bool {
        let steps = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
        let root = self.scopes.first().copied();
        steps.fold(root, |node, step| member(node?, &step)).is_some_and(|value| *value != Json::Null)
    }

    fn passes(&self, field: &str, condition: &Condition) -> bool {
        let found = self.find(field);
        if let Some(exists) = condition.exists {
            return found.is_some() == exists;
        }
        let text = found.map(value_text).unwrap_or_default();
        let text = text.trim();
        let equals = condition.equals.as_ref().is_none_or(|wanted| wanted == text);
        let one_of = condition.one_of.is_empty() || condition.one_of.iter().any(|wanted| wanted == text);
        let like = condition.like.as_ref().is_none_or(|pattern| is_like(pattern, text));
        let has_test = condition.equals.is_some() || !condition.one_of.is_empty() || condition.like.is_some();
        if has_test { equals && one_of && like } else { !text.is_empty() }
    }
}

/// The member of that whole name, else a dotted path; a number on the way counts from 0 in a list.
fn find_in<'a>(scope: &'a Json, path: &str) -> Option<&'a Json> {
    if let Some(whole) = own_member(scope, path) {
        return Some(whole);
    }
    let mut node = scope;
    for step in path.split('.') {
        node = member(node, step)?;
        // A null relation has none of its fields; they are empty, not missing.
        if *node == Json::Null {
            return Some(node);
        }
    }
    Some(node)
}

fn member<'a>(node: &'a Json, step: &str) -> Option<&'a Json> {
    match node {
        Json::List(items) => match step.parse::<usize>() {
            Ok(position) => items.get(position),
            Err(_) => items.first().and_then(|first| own_member(first, step)),
        },
        other => own_member(other, step),
    }
}

fn own_member<'a>(node: &'a Json, name: &str) -> Option<&'a Json> {
    node.members().iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
}

pub(super) fn value_text(value: &Json) -> String {
    match value {
        Json::List(items) => items.iter().filter_map(Json::as_scalar).collect::<Vec<_>>().join(", "),
        other => other.as_scalar().unwrap_or_default().to_owned(),
    }
}

/// Two decimals, whatever sign or thousands are written; what is no amount stays as it is.
fn money(text: &str, currency: Option<&str>) -> String {
    let plain = text.replace([',', '$', ' '], "");
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !(all_digits(whole) && all_digits(fraction) && !digits.is_empty() && digits != ".") {
        return text.to_owned();
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction = fraction.trim_end_matches('0');
    let amount = format!("{sign}{whole}.{fraction:0<2}");
    match currency {
        Some(currency) => format!("{amount} {currency}"),
        None => amount,
    }
}

/// Puts the dot after the third character of a diagnosis code.
fn dotted(code: &str) -> String {
    let plain = code.trim();
    let fits = plain.len() > 3 && plain.bytes().all(|b| b.is_ascii_alphanumeric());
    match plain.split_at_checked(3) {
        Some((category, rest)) if fits => format!("{category}.{rest}"),
        _ => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_decimals_and_their_currency() {
        for (text, expected) in
            [("563.36", "563.36"), ("20", "20.00"), ("1,450.5", "1450.50"), ("-0.1", "-0.10"), ("0.1234", "0.1234")]
        {
            assert_eq!(money(text, None), expected);
        }
        assert_eq!((money("9", Some("USD")), money("none", Some("USD"))), ("9.00 USD".into(), "none".into()));
    }

    #[test]
    fn a_diagnosis_code_gets_its_dot() {
        for (code, expected) in [("E1122", "E11.22"), ("I10", "I10"), ("E11.9", "E11.9"), ("", "")] {
            assert_eq!(dotted(code), expected);
        }
    }
}
