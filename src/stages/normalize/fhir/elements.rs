//! FHIR data types as words: codes, quantities, dates, periods, names.

use crate::domain::{FactValue, Timestamp};

use super::super::json::Json;
use super::super::tidy;

/// Code systems by URI (or OID), as people call them.
const SYSTEMS: [(&str, &str); 20] = [
    ("http://snomed.info/sct", "SNOMED"),
    ("urn:oid:2.16.840.1.113883.6.96", "SNOMED"),
    ("http://loinc.org", "LOINC"),
    ("urn:oid:2.16.840.1.113883.6.1", "LOINC"),
    ("http://www.nlm.nih.gov/research/umls/rxnorm", "RxNorm"),
    ("urn:oid:2.16.840.1.113883.6.88", "RxNorm"),
    ("http://hl7.org/fhir/sid/icd-10-cm", "ICD-10-CM"),
    ("urn:oid:2.16.840.1.113883.6.90", "ICD-10-CM"),
    ("http://hl7.org/fhir/sid/icd-10", "ICD-10"),
    ("urn:oid:2.16.840.1.113883.6.3", "ICD-10"),
    ("http://hl7.org/fhir/sid/icd-10-gm", "ICD-10-GM"),
    ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "ICD-10-GM"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "ICD-9-CM"),
    ("http://hl7.org/fhir/sid/cvx", "CVX"),
    ("urn:oid:2.16.840.1.113883.12.292", "CVX"),
    ("http://www.ama-assn.org/go/cpt", "CPT"),
    ("http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "HCPCS"),
    ("https://bluebutton.cms.gov/resources/codesystem/hcpcs", "HCPCS"),
    ("http://hl7.org/fhir/sid/ndc", "NDC"),
    ("http://www.whocc.no/atc", "ATC"),
];

/// A concept's first code, by choice one of a system people know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::stages) struct Coded {
    pub system: Option<String>,
    pub code: Option<String>,
}

pub(in crate::stages) fn system_name(system: &str) -> Option<&'static str> {
    SYSTEMS.iter().find(|(uri, _)| *uri == system).map(|(_, name)| *name)
}

/// What a CodeableConcept, Coding or plain code calls itself: its text, a display, at last its code.
pub(super) fn concept(concept: &Json) -> Option<String> {
    if let Some(text) = concept.as_text() {
        return Some(tidy::line(text));
    }
    let codings = concept.list("coding");
    let display = concept.text("text").or_else(|| codings.iter().find_map(|coding| coding.text("display")));
    let own = display.or_else(|| concept.text("display"));
    let known = || codings.iter().find(|coding| coding.text("system").and_then(system_name).is_some());
    let coded = || known().into_iter().chain(codings).chain([concept]).find_map(code_as_words);
    own.map(tidy::line).or_else(coded)
}

fn code_as_words(coding: &Json) -> Option<String> {
    let code = tidy::line(coding.text("code")?);
    Some(match coding.text("system").and_then(system_name) {
        Some(system) => format!("{system} {code}"),
        None => code,
    })
}

/// The names of all concepts, `; ` between them.
pub(super) fn concepts(list: &[Json]) -> Option<String> {
    joined(list.iter().filter_map(concept))
}

pub(in crate::stages::normalize) fn joined(parts: impl Iterator<Item = String>) -> Option<String> {
    let mut unique: Vec<String> = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        if !unique.contains(&part) {
            unique.push(part);
        }
    }
    (!unique.is_empty()).then(|| unique.join("; "))
}

pub(super) fn coded(concept: &Json) -> Coded {
    let codings = || concept.list("coding").iter().filter(|coding| coding.text("code").is_some());
    let known = codings().find(|coding| coding.text("system").and_then(system_name).is_some());
    let Some(coding) = known.or_else(|| codings().next()).or((concept.text("code").is_some()).then_some(concept))
    else {
        return Coded::default();
    };
    Coded { system: coding.text("system").map(str::to_owned), code: coding.text("code").map(tidy::line) }
}

/// ` [SNOMED 44054006; ICD-10-CM E11.9]`, or nothing when no code is of a system people know.
pub(super) fn codes(concept: &Json) -> String {
    let known = concept
        .list("coding")
        .iter()
        .filter(|coding| coding.text("display").is_some() || concept.get("text").is_some());
    let named = known.filter(|coding| coding.text("system").and_then(system_name).is_some()).filter_map(code_as_words);
    joined(named.take(4)).map(|codes| format!(" [{codes}]")).unwrap_or_default()
}

/// The last part of a code: `active` of a concept or a plain code.
pub(super) fn code(concept: &Json) -> Option<&str> {
    concept.as_text().or_else(|| concept.at("coding.code")?.as_text()).or_else(|| concept.text("code"))
}

/// `> 6.30 %`, digits as written.
pub(super) fn quantity(quantity: &Json) -> Option<String> {
    let value = quantity.scalar("value")?;
    let comparator = quantity.text("comparator").map(|sign| format!("{sign} ")).unwrap_or_default();
    let unit = unit(quantity).map(|unit| format!(" {unit}")).unwrap_or_default();
    Some(tidy::line(&format!("{comparator}{value}{unit}")))
}

pub(super) fn unit(quantity: &Json) -> Option<&str> {
    quantity.text("unit").or_else(|| quantity.text("code")).filter(|unit| *unit != "1")
}

/// The number behind a quantity; one with a comparator stays text, for `< 5` is not 5.
pub(super) fn quantity_value(quantity_element: &Json) -> Option<FactValue> {
    let number = quantity_element.scalar("value")?.parse::<f64>().ok().filter(|number| number.is_finite());
    match number {
        Some(value) if quantity_element.get("comparator").is_none() => {
            Some(FactValue::Quantity { value, unit: unit(quantity_element).map(str::to_owned) })
        }
        _ => quantity(quantity_element).map(FactValue::Text),
    }
}

/// `4.0-5.6 %`, `>= 4.0 %`, `<= 5.6 %`.
pub(super) fn range(range: &Json) -> Option<String> {
    let (low, high) = (range.get("low"), range.get("high"));
    match (low.and_then(|low| low.scalar("value")), high.and_then(|high| high.scalar("value"))) {
        (Some(low_value), Some(high_value)) => {
            let unit =
                high.and_then(unit).or_else(|| low.and_then(unit)).map(|unit| format!(" {unit}")).unwrap_or_default();
            Some(tidy::line(&format!("{low_value}-{high_value}{unit}")))
        }
        (Some(_), None) => low.and_then(quantity).map(|low| format!(">= {low}")),
        (None, Some(_)) => high.and_then(quantity).map(|high| format!("<= {high}")),
        (None, None) => None,
    }
}

/// `1 : 128`, or `5 mg / 2 mL`.
pub(super) fn ratio(ratio: &Json) -> Option<String> {
    let numerator = quantity(ratio.get("numerator")?)?;
    match ratio.get("denominator").and_then(quantity) {
        Some(denominator) if numerator.contains(' ') => Some(format!("{numerator} / {denominator}")),
        Some(denominator) => Some(format!("{numerator} : {denominator}")),
        None => Some(numerator),
    }
}

/// `255.00 USD`
pub(super) fn money(money: &Json) -> Option<String> {
    let value = money.scalar("value")?;
    let currency = money.text("currency").or_else(|| unit(money)).unwrap_or_default();
    Some(tidy::line(&format!("{value} {currency}")))
}

/// The date of a date or time, as precise as it was written: `2019`, `2019-03`, `2019-03-01`.
pub(super) fn date(text: &str) -> String {
    tidy::bounded(text.split('T').next().unwrap_or(text), 40)
}

/// Date, time of day and offset: `2024-05-01 09:00 +02:00`.
pub(super) fn moment(text: &str) -> String {
    let Some((day, time)) = text.split_once('T') else { return date(text) };
    let clock = tidy::bounded(time.get(..5).unwrap_or(time), 5);
    let offset = match time.rfind(['+', '-']).and_then(|at| time.get(at..)) {
        Some("+00:00" | "-00:00") => " UTC".to_owned(),
        Some(offset) => format!(" {}", tidy::bounded(offset, 6)),
        None if time.ends_with('Z') => " UTC".to_owned(),
        None => String::new(),
    };
    format!("{} {clock}{offset}", date(day))
}

/// `2019-03-01 to 2019-03-04`, `since 2019-03-01`, `until 2019-03-04`.
pub(super) fn period(period: &Json) -> Option<String> {
    match (period.text("start").map(date), period.text("end").map(date)) {
        (Some(start), Some(end)) if start == end => Some(start),
        (Some(start), Some(end)) => Some(format!("{start} to {end}")),
        (Some(start), None) => Some(format!("since {start}")),
        (None, Some(end)) => Some(format!("until {end}")),
        (None, None) => None,
    }
}

/// A time in any of its forms, as words and as an instant where it has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct When {
    pub words: Option<String>,
    pub instant: Option<Timestamp>,
}

/// Reads `stem[x]`: `onsetDateTime`, `onsetPeriod`, `onsetAge`, `onsetRange`, `onsetString`, or a plain `stem`.
pub(super) fn when(element: &Json, stem: &str) -> When {
    for suffix in ["DateTime", "Instant", "Date", ""] {
        if let Some(text) = element.text(&format!("{stem}{suffix}")) {
            return When { words: Some(date(text)), instant: Timestamp::parse(text) };
        }
    }
    for suffix in ["Period", ""] {
        if let Some(span) = element.get(&format!("{stem}{suffix}")).filter(|span| span.is_object())
            && let Some(words) = period(span)
        {
            let instant = span.text("start").or_else(|| span.text("end")).and_then(Timestamp::parse);
            return When { words: Some(words), instant };
        }
    }
    let loose = element
        .get(&format!("{stem}Age"))
        .and_then(|age| Some(format!("at age {}", quantity(age)?)))
        .or_else(|| element.get(&format!("{stem}Range")).and_then(|ages| Some(format!("at age {}", range(ages)?))))
        .or_else(|| element.text(&format!("{stem}String")).map(tidy::line))
        .or_else(|| element.at(&format!("{stem}Timing.event")).and_then(Json::as_text).map(date));
    let instant = element.at(&format!("{stem}Timing.event")).and_then(Json::as_text).and_then(Timestamp::parse);
    When { words: loose, instant }
}

/// The name to call a person by, of all HumanNames given.
pub(super) fn best_name(names: &[Json]) -> Option<&Json> {
    ["official", "usual"]
        .into_iter()
        .find_map(|wanted| names.iter().find(|name| name.text("use") == Some(wanted)))
        .or_else(|| names.iter().find(|name| !matches!(name.text("use"), Some("old" | "maiden"))))
        .or_else(|| names.first())
}

pub(super) fn human_name(name: &Json) -> Option<String> {
    if let Some(text) = name.text("text").or_else(|| name.as_text()) {
        return Some(tidy::line(text));
    }
    let parts = ["prefix", "given", "family", "suffix"];
    let words = parts.iter().flat_map(|part| name.list(part)).filter_map(Json::as_text).collect::<Vec<_>>();
    (!words.is_empty()).then(|| tidy::line(&words.join(" ")))
}

pub(super) fn address(address: &Json) -> Option<String> {
    if let Some(text) = address.text("text") {
        return Some(tidy::line(text));
    }
    let street = address.list("line").iter().filter_map(Json::as_text);
    let place = ["city", "district", "state", "postalCode", "country"].iter().filter_map(|part| address.text(part));
    let words = street.chain(place).collect::<Vec<_>>();
    (!words.is_empty()).then(|| tidy::line(&words.join(", ")))
}

/// `value[x]` in whatever form it came, as words and as a value to compute with.
pub(super) fn value(element: &Json, stem: &str) -> Option<(String, FactValue)> {
    let text = |words: String| Some((words.clone(), FactValue::Text(words)));
    let (name, value) = element
        .members()
        .iter()
        .find_map(|(name, value)| Some((name.strip_prefix(stem)?, value)).filter(|(rest, _)| begins_upper(rest)))?;
    match name {
        "Quantity" | "Age" | "Duration" | "Count" | "Distance" => Some((quantity(value)?, quantity_value(value)?)),
        "Integer" | "Decimal" | "PositiveInt" | "UnsignedInt" => {
            let written = value.as_scalar()?;
            let number = written.parse::<f64>().ok().filter(|number| number.is_finite());
            let fact = number.map(|value| FactValue::Quantity { value, unit: None });
            Some((tidy::line(written), fact.unwrap_or_else(|| FactValue::Text(tidy::line(written)))))
        }
        "Boolean" => text(match value {
            Json::Bool(true) => "yes".to_owned(),
            Json::Bool(false) => "no".to_owned(),
            other => tidy::line(other.as_text()?),
        }),
        "CodeableConcept" | "Coding" => text(concept(value)?),
        "Range" => text(range(value)?),
        "Ratio" => text(ratio(value)?),
        "Period" => text(period(value)?),
        "DateTime" | "Instant" => text(moment(value.as_text()?)),
        "Date" => text(date(value.as_text()?)),
        "Money" => text(money(value)?),
        "SampledData" => text(sampled(value)?),
        "Attachment" => text(tidy::line(value.text("title").or_else(|| value.text("contentType"))?)),
        "Reference" => text(tidy::line(value.text("display").or_else(|| value.text("reference"))?)),
        "Identifier" => text(tidy::line(value.text("value")?)),
        _ => text(tidy::line(value.as_scalar()?)),
    }
}

fn begins_upper(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_uppercase())
}

fn sampled(sampled: &Json) -> Option<String> {
    let count = sampled.text("data")?.split_whitespace().count();
    let unit = sampled.get("origin").and_then(unit).map(|unit| format!(" in {unit}")).unwrap_or_default();
    Some(format!("{count} sampled values{unit}"))
}

/// Upper-cases the first letter.
pub(super) fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn quantities_read_as_written() {
        assert_eq!(quantity(&json(r#"{"value": 6.30, "unit": "%"}"#)).as_deref(), Some("6.30 %"));
        let below = json(r#"{"value": 5, "comparator": "<", "code": "mg/L"}"#);
        assert_eq!(quantity(&below).as_deref(), Some("< 5 mg/L"));
        assert_eq!(quantity_value(&below), Some(FactValue::Text("< 5 mg/L".into())));
    }

    #[test]
    fn ranges_may_be_open() {
        assert_eq!(
            range(&json(r#"{"low":{"value":4.0},"high":{"value":5.6,"unit":"%"}}"#)).as_deref(),
            Some("4.0-5.6 %")
        );
        assert_eq!(range(&json(r#"{"high":{"value":5,"unit":"U"}}"#)).as_deref(), Some("<= 5 U"));
    }

    #[test]
    fn moments_keep_the_offset() {
        assert_eq!(moment("2024-05-01T09:00:00+02:00"), "2024-05-01 09:00 +02:00");
        assert_eq!(moment("2024-05-01T09:00:00.000Z"), "2024-05-01 09:00 UTC");
        assert_eq!(moment("2024-05"), "2024-05");
    }

    #[test]
    fn every_form_of_value_has_words() {
        for (form, words) in [
            (r#"{"valueQuantity":{"value":1.0,"unit":"kg"}}"#, "1.0 kg"),
            (r#"{"valueBoolean":false}"#, "no"),
            (r#"{"valueInteger":7}"#, "7"),
            (r#"{"valueString":"clear"}"#, "clear"),
            (r#"{"valueTime":"10:30:00"}"#, "10:30:00"),
            (r#"{"valueDateTime":"2020-01-02T03:04:05Z"}"#, "2020-01-02 03:04 UTC"),
            (r#"{"valueCodeableConcept":{"coding":[{"display":"Never smoker"}]}}"#, "Never smoker"),
            (r#"{"valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}}"#, "1 : 128"),
            (r#"{"valueRange":{"low":{"value":1},"high":{"value":2}}}"#, "1-2"),
            (r#"{"valuePeriod":{"start":"2020-01-01","end":"2020-01-03"}}"#, "2020-01-01 to 2020-01-03"),
            (r#"{"valueSampledData":{"data":"1 2 E","origin":{"value":0,"unit":"mV"}}}"#, "3 sampled values in mV"),
        ] {
            assert_eq!(value(&json(form), "value").map(|(words, _)| words).as_deref(), Some(words), "{form}");
        }
    }

    #[test]
    fn a_concept_prefers_its_text_and_a_known_system() {
        let both = json(
            r#"{"coding":[{"system":"local","code":"x"},{"system":"http://loinc.org","code":"1-8","display":"L"}],"text":"T"}"#,
        );
        assert_eq!(concept(&both).as_deref(), Some("T"));
        assert_eq!(codes(&both), " [LOINC 1-8]");
        assert_eq!(coded(&both).code.as_deref(), Some("1-8"));
    }
}
