//! A mapping as it is written down: several objects, or the settings of a single one at the top.

use std::collections::{BTreeMap, BTreeSet};

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{Condition, CsvForm, MappedFact, MappedLine, MappedObject, Mapping, Missing, Template};

/// Most times that a line is repeated.
const MAX_REPEAT: u32 = 1_000;

/// Why a mapping can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnusableMapping {
    #[error("settings at the top and objects beside them: {0}")]
    Both(String),
    #[error("{0}")]
    Syntax(String),
    #[error("object {object}: {why}")]
    Object { object: String, why: String },
    #[error("unknown time zone `{0}`")]
    TimeZone(String),
    #[error("unusable time format `{0}`")]
    TimeFormat(String),
    #[error("{0} is no single character below 128")]
    Character(&'static str),
}

/// The written form; what it doesn't name itself is of the single object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MappingFile {
    #[serde(default)]
    records: Pointers,
    #[serde(default, skip_serializing_if = "is_default")]
    csv: CsvForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    time_formats: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    missing: Missing,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    empty: Vec<String>,
    #[serde(default, rename = "table", skip_serializing_if = "BTreeMap::is_empty")]
    tables: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default, rename = "object", skip_serializing_if = "Vec::is_empty")]
    objects: Vec<MappedObject>,
    #[serde(flatten)]
    single: Map<String, Json>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Pointers {
    One(String),
    Several(Vec<String>),
}

impl Default for Pointers {
    fn default() -> Self {
        Self::One(String::new())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TryFrom<MappingFile> for Mapping {
    type Error = UnusableMapping;

    fn try_from(file: MappingFile) -> Result<Self, UnusableMapping> {
        let objects = if file.objects.is_empty() {
            let single = serde_json::from_value(Json::Object(file.single));
            vec![single.map_err(|error| UnusableMapping::Syntax(error.to_string()))?]
        } else if file.single.is_empty() {
            file.objects
        } else {
            return Err(UnusableMapping::Both(file.single.keys().cloned().collect::<Vec<_>>().join(", ")));
        };
        let mapping = Self {
            records: match file.records {
                Pointers::One(pointer) => vec![pointer],
                Pointers::Several(pointers) => pointers,
            },
            csv: file.csv,
            time_zone: file.time_zone,
            time_formats: file.time_formats,
            missing: file.missing,
            empty: file.empty,
            tables: file.tables,
            objects,
        };
        mapping.check()?;
        Ok(mapping)
    }
}

impl From<Mapping> for MappingFile {
    fn from(mapping: Mapping) -> Self {
        let Mapping { mut records, csv, time_zone, time_formats, missing, empty, tables, objects } = mapping;
        let is_single = matches!(objects.as_slice(), [only] if only.when.is_empty() && only.name.is_empty());
        let (objects, single) = match serde_json::to_value(objects.first()) {
            Ok(Json::Object(single)) if is_single => (Vec::new(), single),
            _ => (objects, Map::new()),
        };
        let records = if records.len() == 1 {
            Pointers::One(records.pop().unwrap_or_default())
        } else {
            Pointers::Several(records)
        };
        Self { records, csv, time_zone, time_formats, missing, empty, tables, objects, single }
    }
}

impl Mapping {
    fn check(&self) -> Result<(), UnusableMapping> {
        if let Some(zone) = self.time_zone.as_ref().filter(|zone| TimeZone::get(zone).is_err()) {
            return Err(UnusableMapping::TimeZone(zone.clone()));
        }
        if let Some(format) = self.time_formats.iter().find(|format| !is_time_format(format)) {
            return Err(UnusableMapping::TimeFormat(format.clone()));
        }
        for (setting, character) in [("csv.delimiter", self.csv.delimiter), ("csv.escape", self.csv.escape)] {
            if character.is_some_and(|character| !character.is_ascii() || matches!(character, '\n' | '\r' | '"')) {
                return Err(UnusableMapping::Character(setting));
            }
        }
        self.objects.iter().enumerate().try_for_each(|(position, object)| {
            object.check(&self.tables).map_err(|why| {
                let name = if object.name.is_empty() { (position + 1).to_string() } else { object.name.clone() };
                UnusableMapping::Object { object: name, why }
            })
        })
    }
}

/// A format that a time can be written in can be read in.
fn is_time_format(format: &str) -> bool {
    let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    matches!(format, "epoch_s" | "epoch_ms")
        || (format.contains('%')
            && strtime::format(format, &sample).is_ok_and(|written| strtime::parse(format, &written).is_ok()))
}

impl MappedObject {
    fn check(&self, tables: &BTreeMap<String, BTreeMap<String, String>>) -> Result<(), String> {
        if self.conditions().any(Condition::is_incomplete) {
            return Err("a condition that tests nothing".to_owned());
        }
        if self.ignore {
            return Ok(());
        }
        if self.key.is_none() || self.resource_type.is_empty() {
            return Err("key and resource_type are needed".to_owned());
        }
        let repeats = self.full_lines().filter_map(|line| line.repeat);
        if repeats.chain(self.labels.codes.iter().filter_map(|code| code.repeat)).any(|times| times > MAX_REPEAT) {
            return Err(format!("repeat is more than {MAX_REPEAT}"));
        }
        let named: BTreeSet<&str> = self.templates().flat_map(Template::tables).collect();
        match named.into_iter().find(|name| !tables.contains_key(*name)) {
            Some(missing) => Err(format!("there is no table `{missing}`")),
            None => Ok(()),
        }
    }

    fn full_lines(&self) -> impl Iterator<Item = &super::FullLine> {
        self.lines.iter().filter_map(|line| match line {
            MappedLine::Full(line) => Some(line.as_ref()),
            MappedLine::Plain(_) => None,
        })
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.when.as_slice().iter().chain(self.full_lines().flat_map(|line| line.when.as_slice()))
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let values = [
            &self.key,
            &self.encounter,
            &self.version,
            &self.author,
            &self.effective,
            &self.source_time,
            &self.status,
            &self.deleted,
        ];
        let references = self.patient.each().into_iter().chain(self.alias.each()).map(|(value, _)| value.template());
        let lines = self.lines.iter().map(|line| match line {
            MappedLine::Plain(text) => text,
            MappedLine::Full(line) => &line.text,
        });
        let facts = self.full_lines().filter_map(|line| line.fact.as_ref()).flat_map(MappedFact::templates);
        let codes = self.labels.codes.iter().flat_map(|code| [&code.system, &code.code]);
        let labels = self.labels.confidentiality.iter().chain(&self.labels.sensitivity).chain(codes);
        values
            .into_iter()
            .flatten()
            .map(super::Value::template)
            .chain(references)
            .chain([&self.title])
            .chain(lines)
            .chain(facts)
            .chain(labels)
    }
}

impl MappedFact {
    fn templates(&self) -> impl Iterator<Item = &Template> {
        [&self.system, &self.code, &self.display, &self.value, &self.unit, &self.status]
            .into_iter()
            .flatten()
            .chain(self.effective.as_ref().map(super::Value::template))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE: &str = r#"
        records = "/tasks"
        key = "id"
        kind = "task"
        resource_type = "Task"
        title = "{type}: {subject}"
        lines = ["{subject}"]
        deleted = "gone""#;

    fn refusal(text: &str) -> String {
        toml::from_str::<Mapping>(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn a_single_object_stands_at_the_top_and_is_written_back_so() {
        let mapping: Mapping = toml::from_str(SINGLE).unwrap();
        assert_eq!((mapping.objects.len(), mapping.records.as_slice()), (1, ["/tasks".to_owned()].as_slice()));
        let written = serde_json::to_value(&mapping).unwrap();
        assert_eq!(written["title"], "{type}: {subject}");
        assert_eq!(serde_json::from_value::<Mapping>(written).unwrap(), mapping);
    }

    #[test]
    fn several_objects_are_written_back_as_such() {
        let text = r#"
            records = ["/records", ""]
            time_zone = "Europe/Berlin"
            time_formats = ["%d.%m.%Y %H:%M", "epoch_ms"]
            table.status = { 1 = "booked" }
            [csv]
            delimiter = "|"
            quote = "none"
            [[object]]
            name = "visit"
            when = [{ field = "type", one_of = ["visit"] }, { file = "visits*.csv" }]
            key = "{a}-{b}"
            patient = [{ value = "person" }, { value = "id", namespace = "crm" }]
            kind = "appointment"
            resource_type = "Appointment"
            lines = ["{a}", { text = "{status|table:status}", fact = { kind = "appointment", code = "{a}" } }]
            [[object]]
            name = "rest"
            ignore = true"#;
        let mapping: Mapping = toml::from_str(text).unwrap();
        let written = serde_json::to_value(&mapping).unwrap();
        assert_eq!(written["object"].as_array().unwrap().len(), 2);
        assert_eq!(serde_json::from_value::<Mapping>(written).unwrap(), mapping);
    }

    #[test]
    fn what_would_fail_on_every_row_is_refused_at_once() {
        for (change, expected) in [
            ("status = \"{a|table:status}\"", "no table `status`"),
            ("time_zone = \"Mars/Olympus\"", "time zone"),
            ("time_formats = [\"%Y %!\"]", "time format"),
            ("surprise = 1", "unknown field `surprise`"),
            ("author = \"{a|shout}\"", "unknown filter `shout`"),
            ("csv.delimiter = \"ä\"", "csv.delimiter"),
            ("when = { equals = \"x\" }", "tests nothing"),
            ("object = [{ ignore = true }]", "settings at the top"),
        ] {
            let message = refusal(&format!("{SINGLE}\n{change}"));
            assert!(message.contains(expected), "{change}: {message}");
        }
        assert!(refusal("kind = \"task\"").contains("key and resource_type"));
    }
}
