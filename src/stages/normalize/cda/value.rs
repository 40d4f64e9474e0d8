//! `value` of an observation in any of its data types, as words and as something to compute with.

use crate::domain::FactValue;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::concept::{Concept, null_words};
use super::references::References;
use super::time::Period;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub words: String,
    pub fact: FactValue,
}

impl Value {
    fn text(words: String) -> Option<Self> {
        let words = tidy::bounded(&words, 1000);
        (!words.is_empty()).then(|| Self { fact: FactValue::Text(words.clone()), words })
    }
}

/// Reads by `xsi:type`, or by shape where the sender left it out; an absent value says why.
pub(super) fn read(element: Element<'_>, references: &References<'_>) -> Option<Value> {
    let declared = element.attribute("type").map(|name| name.rsplit(':').next().unwrap_or(name)).unwrap_or_default();
    let found = match declared {
        "BL" => element.attribute("value").and_then(|truth| match truth {
            "true" => Value::text("yes".into()),
            "false" => Value::text("no".into()),
            _ => None,
        }),
        "TS" | "IVL_TS" => Period::read(element).words().and_then(Value::text),
        "ST" | "ED" | "SC" => references.text_of(element).and_then(Value::text),
        _ => by_shape(element, references),
    };
    found.or_else(|| Value::text(null_words(element.attribute("nullFlavor")?).to_owned()))
}

fn by_shape(element: Element<'_>, references: &References<'_>) -> Option<Value> {
    if element.attribute("value").is_some() {
        return quantity(element);
    }
    if element.child("low").is_some() || element.child("high").is_some() || element.child("center").is_some() {
        return interval(element).and_then(Value::text);
    }
    if let (Some(numerator), Some(denominator)) = (element.child("numerator"), element.child("denominator")) {
        return ratio(numerator, denominator).and_then(Value::text);
    }
    if let Some(digits) = element.child("digits") {
        let count = digits.text().split_whitespace().count();
        return Value::text(format!("{count} sampled values"));
    }
    Concept::read(element, references).display.and_then(Value::text)
}

/// `6.30 %`; a comparator written into the number keeps it text.
fn quantity(element: Element<'_>) -> Option<Value> {
    let words = quantity_words(element)?;
    let written = element.attribute("value")?;
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() => {
            let unit = unit(element);
            Some(Value { words, fact: FactValue::Quantity { value, unit } })
        }
        _ => Value::text(words),
    }
}

/// A quantity's digits as written, and its unit.
pub(super) fn quantity_words(element: Element<'_>) -> Option<String> {
    let value = element.attribute("value")?;
    let unit = unit(element).map(|unit| format!(" {unit}")).unwrap_or_default();
    Some(tidy::bounded(&format!("{value}{unit}"), 200))
}

/// The unit as people write it, without UCUM's braces; `1` and fillers are none.
fn unit(element: Element<'_>) -> Option<String> {
    let unit = element.attribute("unit")?;
    if matches!(unit, "1" | "[null]" | "null") {
        return None;
    }
    let plain = match unit {
        "[in_us]" | "[in_i]" => "in",
        "[ft_us]" | "[ft_i]" => "ft",
        "[lb_av]" => "lb",
        "[oz_av]" => "oz",
        "[degF]" => "°F",
        "Cel" => "°C",
        "mm[Hg]" => "mmHg",
        _ => "",
    };
    if !plain.is_empty() {
        return Some(plain.to_owned());
    }
    let bare: String = unit.chars().filter(|c| !matches!(c, '{' | '}')).collect();
    Some(tidy::bounded(&bare, 60)).filter(|unit| !unit.is_empty())
}

/// `4.0-5.6 %`, `>= 4.0 %`, `< 5.6 %`; also a single quantity.
pub(super) fn interval(element: Element<'_>) -> Option<String> {
    let bound = |name: &str| element.child(name).filter(|bound| bound.attribute("value").is_some());
    let closed = |bound: Element<'_>| bound.attribute("inclusive") != Some("false");
    match (bound("low"), bound("high")) {
        (Some(low), Some(high)) => {
            let (from, to) = (low.attribute("value")?, high.attribute("value")?);
            let unit = unit(high).or_else(|| self::unit(low)).map(|unit| format!(" {unit}")).unwrap_or_default();
            let range = if from == to { from.to_owned() } else { format!("{from}-{to}") };
            Some(tidy::bounded(&format!("{range}{unit}"), 200))
        }
        (Some(low), None) => Some(format!("{} {}", if closed(low) { ">=" } else { ">" }, quantity_words(low)?)),
        (None, Some(high)) => Some(format!("{} {}", if closed(high) { "<=" } else { "<" }, quantity_words(high)?)),
        (None, None) => bound("center").or(Some(element)).and_then(quantity_words),
    }
}

fn ratio(numerator: Element<'_>, denominator: Element<'_>) -> Option<String> {
    let (over, under) = (interval(numerator)?, interval(denominator)?);
    let separator = if over.contains(' ') { "/" } else { ":" };
    Some(if under == "1" { over } else { format!("{over} {separator} {under}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    #[test]
    fn every_data_type_has_words() {
        for (xml, words) in [
            ("<value xsi:type='PQ' value='6.30' unit='%'/>", "6.30 %"),
            ("<value value='6.30' unit='{score}'/>", "6.30 score"),
            ("<value xsi:type='PQ' value='12' unit='1'/>", "12"),
            ("<value xsi:type='PQ' value='128' unit='mm[Hg]'/>", "128 mmHg"),
            ("<value xsi:type='PQ' value='&lt;0.1' unit='[null]'/>", "<0.1"),
            ("<value xsi:type='IVL_PQ'><low value='1' unit='mL'/><high value='3' unit='mL'/></value>", "1-3 mL"),
            ("<value xsi:type='IVL_PQ'><high value='5' unit='mg/dL' inclusive='false'/></value>", "< 5 mg/dL"),
            ("<value xsi:type='ST'>clear </value>", "clear"),
            ("<value xsi:type='BL' value='false'/>", "no"),
            ("<value xsi:type='INT' value='7'/>", "7"),
            ("<value xsi:type='CD' code='1' displayName='Never smoker'/>", "Never smoker"),
            ("<value xsi:type='TS' value='20130130'/>", "2013-01-30"),
            ("<value xsi:type='RTO'><numerator value='1'/><denominator value='128'/></value>", "1 : 128"),
            ("<value xsi:type='PQ' nullFlavor='MSK'/>", "withheld"),
        ] {
            let tree = Tree::parse(xml).unwrap();
            let value = read(tree.root(), &References::default());
            assert_eq!(value.map(|value| value.words).as_deref(), Some(words), "{xml}");
        }
    }

    #[test]
    fn a_number_is_one_to_compute_with_and_a_comparison_is_not() {
        let fact = |xml: &str| read(Tree::parse(xml).unwrap().root(), &References::default()).unwrap().fact;
        assert_eq!(fact("<value value='6.3' unit='%'/>"), FactValue::Quantity { value: 6.3, unit: Some("%".into()) });
        assert_eq!(fact("<value value='&lt;5'/>"), FactValue::Text("<5".into()));
        assert_eq!(fact("<value value='NaN'/>"), FactValue::Text("NaN".into()));
    }
}
