//! CRM rows and objects to documents, by the source's mapping alone.
//!
//! A row is read together with its header: its record holds the header's line and the row's own.

use crate::domain::{
    Document, DocumentStatus, Fact, FactKind, Finding, Kind, Labels, Mapping, Normalized, Outcome, PatientId,
    QuarantineReason, Severity, SourceDescription, Span, Times, Timestamp, Unreadable,
};
use crate::stages::sections;

use super::json::Json;
use super::tidy;

/// What separates the fields of this header: the commonest of comma, semicolon, tab and bar.
pub(in crate::stages) fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| header.iter().filter(|b| **b == wanted).count();
    // Of equals the last is taken, so the comma stands last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|candidate| count(*candidate)).unwrap_or(b',')
}

/// `bytes`: the header's line, then one row.
pub(super) fn normalize_row(bytes: &[u8], source: &SourceDescription) -> Result<Normalized, Unreadable> {
    let malformed = |detail: &str| Unreadable::new(QuarantineReason::MalformedCsv, detail);
    let text = utf8(bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .has_headers(true)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| malformed("header"))?.clone();
    let row = reader.records().next().ok_or_else(|| malformed("no row below the header"))?;
    let row = row.map_err(|_| malformed("row"))?;
    if row.len() != header.len() {
        return Err(malformed(&format!("{} fields, header has {}", row.len(), header.len())));
    }
    let members =
        header.iter().zip(row.iter()).map(|(name, value)| (name.trim().to_owned(), Json::Text(value.to_owned())));
    read(&Json::Object(members.collect()), source)
}

pub(super) fn normalize_object(bytes: &[u8], source: &SourceDescription) -> Result<Normalized, Unreadable> {
    let object =
        Json::parse(utf8(bytes)?).map_err(|error| Unreadable::new(QuarantineReason::MalformedJson, error.0))?;
    if !object.is_object() {
        return Err(Unreadable::new(QuarantineReason::InvalidResource, "not an object"));
    }
    read(&object, source)
}

fn utf8(bytes: &[u8]) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Unreadable::new(QuarantineReason::InvalidUtf8, format!("byte {}", error.valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn read(object: &Json, source: &SourceDescription) -> Result<Normalized, Unreadable> {
    let mapping = source
        .mapping
        .as_ref()
        .ok_or_else(|| Unreadable::new(QuarantineReason::Unmapped, "the source has no mapping"))?;
    let row = Row { object };
    let key = row.required(&mapping.key)?;
    if row.optional(mapping.deleted.as_deref())?.is_some_and(|word| is_true(&word)) {
        return Ok(Normalized { outcome: Outcome::Removed { source_key: key }, findings: Vec::new() });
    }
    let mut findings = Vec::new();
    let document = row.document(key, mapping, &source.patients, &mut findings)?;
    Ok(Normalized { outcome: Outcome::Documents(vec![document]), findings })
}

fn is_true(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "true" | "1" | "yes")
}

struct Row<'a> {
    object: &'a Json,
}

impl Row<'_> {
    /// The field's text, empty when it is null or blank. Errors: the row has no such field.
    fn field(&self, path: &str) -> Result<String, Unreadable> {
        let missing = || Unreadable::new(QuarantineReason::Unmapped, format!("the row has no field `{path}`"));
        let whole = self.object.members().iter().rev().find(|(name, _)| name == path);
        if let Some((_, value)) = whole {
            return Ok(value_text(value));
        }
        let mut node = self.object;
        for name in path.split('.') {
            let (_, value) = node.members().iter().rev().find(|(key, _)| key == name).ok_or_else(missing)?;
            // A null relation has none of its fields; they are empty, not missing.
            if *value == Json::Null {
                return Ok(String::new());
            }
            node = value;
        }
        Ok(value_text(node))
    }

    fn required(&self, path: &str) -> Result<String, Unreadable> {
        let value = tidy::line(&self.field(path)?);
        if value.is_empty() {
            return Err(Unreadable::new(QuarantineReason::InvalidResource, format!("the key field `{path}` is empty")));
        }
        Ok(value)
    }

    fn optional(&self, path: Option<&str>) -> Result<Option<String>, Unreadable> {
        let Some(path) = path else { return Ok(None) };
        Ok(Some(tidy::line(&self.field(path)?)).filter(|value| !value.is_empty()))
    }

    /// `None` when the template names fields and all of them are empty.
    fn fill(&self, template: &str) -> Result<Option<String>, Unreadable> {
        let mut filled = String::new();
        let (mut names_fields, mut any_value) = (false, false);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else { break };
            filled.push_str(before);
            let value = self.field(name.trim())?;
            names_fields = true;
            any_value |= !value.trim().is_empty();
            filled.push_str(value.trim());
            rest = behind;
        }
        filled.push_str(rest);
        Ok((any_value || !names_fields).then_some(filled))
    }

    fn time(
        &self,
        path: Option<&str>,
        element: &str,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Timestamp>, Unreadable> {
        let Some(text) = self.optional(path)? else { return Ok(None) };
        let time = timestamp(&text);
        if time.is_none() {
            findings.push(Finding {
                rule: "invalid_date".to_owned(),
                severity: Severity::Error,
                path: format!("mapping.{element}"),
            });
        }
        Ok(time)
    }

    fn document(
        &self,
        key: String,
        mapping: &Mapping,
        namespace: &str,
        findings: &mut Vec<Finding>,
    ) -> Result<Document, Unreadable> {
        let lines = mapping.lines.iter().map(|template| self.fill(template)).collect::<Result<Vec<_>, _>>()?;
        let title = self.fill(&mapping.title)?.map(|title| tidy::bounded(&title, 200)).unwrap_or_default();
        let text = tidy::text(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        let text = if text.is_empty() { title.clone() } else { text };
        if text.is_empty() {
            return Err(Unreadable::new(QuarantineReason::InvalidResource, "every mapped field is empty"));
        }
        let title = if title.is_empty() { tidy::bounded(text.lines().next().unwrap_or_default(), 200) } else { title };
        let times = Times {
            effective: self.time(mapping.effective.as_deref(), "effective", findings)?,
            source: self.time(mapping.source_time.as_deref(), "source_time", findings)?,
        };
        let status = self.optional(mapping.status.as_deref())?;
        let facts = fact(mapping.kind, &title, &text, status.as_deref(), times.effective);
        Ok(Document {
            source_key: key,
            source_version: None,
            kind: mapping.kind,
            resource_type: mapping.resource_type.clone(),
            patient: self.optional(mapping.patient.as_deref())?.map(|local| PatientId::in_namespace(namespace, &local)),
            encounter: None,
            author: self.optional(mapping.author.as_deref())?.map(|author| tidy::bounded(&author, 200)),
            times,
            labels: Labels::default(),
            status: match status.map(|status| status.to_lowercase().replace([' ', '_'], "-")).as_deref() {
                Some("entered-in-error") => DocumentStatus::EnteredInError,
                _ => DocumentStatus::Current,
            },
            sections: if mapping.kind == Kind::Note { sections::detect(&text) } else { Vec::new() },
            pages: Vec::new(),
            title,
            text,
            facts,
        })
    }
}

fn value_text(value: &Json) -> String {
    match value {
        Json::List(items) => items.iter().filter_map(Json::as_scalar).collect::<Vec<_>>().join(", "),
        other => other.as_scalar().unwrap_or_default().to_owned(),
    }
}

/// RFC 3339 and its parts; also `2024-03-01 10:00:00` and `+0000`, which many CRMs write.
fn timestamp(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| {
        let iso = text.replacen(' ', "T", 1);
        Timestamp::parse(&iso).or_else(|| {
            let (time, offset) = iso.split_at_checked(iso.len().checked_sub(5)?)?;
            let (sign, digits) = offset.split_at_checked(1)?;
            let fits = matches!(sign, "+" | "-") && digits.bytes().all(|b| b.is_ascii_digit());
            let (hours, minutes) = digits.split_at_checked(2)?;
            fits.then(|| Timestamp::parse(&format!("{time}{sign}{hours}:{minutes}")))?
        })
    })
}

/// The first line states the row, for kinds that have facts.
fn fact(kind: Kind, title: &str, text: &str, status: Option<&str>, effective: Option<Timestamp>) -> Vec<Fact> {
    let kind = match kind {
        Kind::Contact => FactKind::Contact,
        Kind::Appointment => FactKind::Appointment,
        Kind::Claim => FactKind::Claim,
        Kind::Coverage => FactKind::Coverage,
        Kind::Encounter => FactKind::Encounter,
        Kind::Problem => FactKind::Condition,
        Kind::Medication => FactKind::Medication,
        Kind::Allergy => FactKind::Allergy,
        Kind::Result => FactKind::Observation,
        Kind::Procedure => FactKind::Procedure,
        Kind::Immunization => FactKind::Immunization,
        Kind::CarePlan => FactKind::CarePlan,
        Kind::Patient => FactKind::Demographic,
        Kind::Note | Kind::Report | Kind::Task | Kind::Other => return Vec::new(),
    };
    let line = text.lines().next().unwrap_or_default();
    vec![Fact {
        kind,
        system: None,
        code: None,
        display: title.to_owned(),
        value: None,
        status: status.map(str::to_owned),
        effective,
        span: Span::new(0, line.len()),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Feed, SourceId};

    fn source() -> SourceDescription {
        SourceDescription {
            name: SourceId::new("crm"),
            patients: "main".into(),
            warn_after_s: 60,
            error_after_s: 120,
            feed: Feed::default(),
            mapping: Some(Mapping {
                records: String::new(),
                key: "id".into(),
                patient: Some("contact.patient".into()),
                kind: Kind::Contact,
                resource_type: "Communication".into(),
                title: "{channel}: {subject}".into(),
                lines: vec!["{channel} on {day}: {subject}".into(), "Remark: {remark}".into()],
                author: None,
                effective: Some("day".into()),
                source_time: None,
                status: Some("state".into()),
                deleted: Some("gone".into()),
            }),
        }
    }

    const OBJECT: &str = r#"{"id": 17, "contact": {"patient": "p-1"}, "channel": "Call", "subject": "Refill",
        "day": "2024-03-01T10:00:00.000+0000", "remark": null, "state": "closed", "gone": false}"#;

    fn document(json: &str) -> Document {
        match normalize_object(json.as_bytes(), &source()).unwrap().outcome {
            Outcome::Documents(mut documents) => documents.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mapping_makes_a_document_of_an_object() {
        let document = document(OBJECT);
        assert_eq!(document.source_key, "17");
        assert_eq!(document.patient, Some(PatientId::new("p-1")));
        assert_eq!(document.text, "Call on 2024-03-01T10:00:00.000+0000: Refill");
        assert_eq!(document.times.effective, Timestamp::parse("2024-03-01T10:00:00Z"));
        assert_eq!(document.facts[0].span.of(&document.text), Some(document.text.as_str()));
        assert_eq!(document.facts[0].status.as_deref(), Some("closed"));
    }

    #[test]
    fn a_field_the_row_lacks_is_unmapped() {
        let refused = normalize_object(br#"{"id": "1", "gone": "no"}"#, &source()).unwrap_err();
        assert_eq!(refused.reason, QuarantineReason::Unmapped);
        let unmapped = SourceDescription { mapping: None, ..source() };
        assert_eq!(normalize_object(OBJECT.as_bytes(), &unmapped).unwrap_err().reason, QuarantineReason::Unmapped);
    }

    #[test]
    fn a_deleted_row_is_removed_and_a_null_relation_is_empty() {
        let gone = OBJECT.replace("\"gone\": false", "\"gone\": \"Yes\"");
        let outcome = normalize_object(gone.as_bytes(), &source()).unwrap().outcome;
        assert_eq!(outcome, Outcome::Removed { source_key: "17".into() });
        let unrelated = OBJECT.replace(r#"{"patient": "p-1"}"#, "null");
        assert_eq!(document(&unrelated).patient, None);
    }

    #[test]
    fn a_row_is_read_with_its_header() {
        let bytes =
            b"id;contact.patient;channel;subject;day;remark;state;gone\n9;p-2;Mail;\"Two\nlines\";2024-01-02;;open;0\n";
        let outcome = normalize_row(bytes, &source()).unwrap().outcome;
        let Outcome::Documents(documents) = outcome else { panic!() };
        assert_eq!(documents[0].text, "Mail on 2024-01-02: Two\nlines");
        assert_eq!(documents[0].patient, Some(PatientId::new("p-2")));
    }

    #[test]
    fn an_empty_key_is_refused() {
        let keyless = OBJECT.replace("17", "\" \"");
        assert_eq!(
            normalize_object(keyless.as_bytes(), &source()).unwrap_err().reason,
            QuarantineReason::InvalidResource
        );
    }
}
