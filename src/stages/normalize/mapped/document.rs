//! A row to its document: key, patient, lines with their facts, labels, times.

use crate::domain::mapping::{FullLine, MappedFact, MappedLine, MappedObject, References, Template, Value, is_like};
use crate::domain::{
    Changes, Confidentiality, Document, DocumentStatus, Fact, FactKind, FactValue, Finding, Kind, Labels, Outcome,
    PatientId, PatientMerge, QuarantineReason, Removal, Severity, Span, Times, Timestamp, Unreadable,
};
use crate::stages::sections;

use super::super::fhir::labels;
use super::super::json::Json;
use super::super::tidy;
use super::row::{Row, value_text};

const ENTERED_IN_ERROR: &str = "entered-in-error";

/// One row in the hands of the object that fits it.
pub(super) struct Reading<'a> {
    pub row: Row<'a>,
    pub object: &'a MappedObject,
    /// The source's patient namespace.
    pub namespace: &'a str,
    pub findings: Vec<Finding>,
}

/// What all lines of a row share.
struct Frame {
    status: Option<String>,
    times: Times,
}

impl Reading<'_> {
    pub fn outcome(&mut self) -> Result<Outcome, Unreadable> {
        let source_key = self.key()?;
        let source = self.time(self.object.source_time.as_ref(), "source_time")?;
        if self.is_deleted()? {
            let removal = Removal { source_key, at: source };
            return Ok(match source {
                None => Outcome::Removed { source_key: removal.source_key },
                Some(_) => Outcome::Changes(Changes { removals: vec![removal], ..Changes::default() }),
            });
        }
        let document = self.document(source_key, source)?;
        let merges = self.merges(&document)?;
        if merges.is_empty() {
            return Ok(Outcome::Documents(vec![document]));
        }
        Ok(Outcome::Changes(Changes { merges, documents: vec![document], ..Changes::default() }))
    }

    fn key(&self) -> Result<String, Unreadable> {
        let key = self.object.key.as_ref();
        let filled = key.map(|key| self.row.whole(key.template())).transpose()?.flatten();
        filled.ok_or_else(|| {
            let written = key.map(Value::as_str).unwrap_or_default();
            Unreadable::new(QuarantineReason::InvalidResource, format!("the key field `{written}` is empty"))
        })
    }

    fn is_deleted(&self) -> Result<bool, Unreadable> {
        let Some(word) = self.value(self.object.deleted.as_ref())? else { return Ok(false) };
        let listed = &self.object.deleted_values;
        Ok(match listed.as_slice() {
            [] => matches!(word.to_lowercase().as_str(), "true" | "1" | "yes"),
            listed => listed.iter().any(|value| value.eq_ignore_ascii_case(&word)),
        })
    }

    fn value(&self, value: Option<&Value>) -> Result<Option<String>, Unreadable> {
        self.row.line(value.map(Value::template))
    }

    fn time(&mut self, value: Option<&Value>, element: &str) -> Result<Option<Timestamp>, Unreadable> {
        let Some(text) = self.value(value)? else { return Ok(None) };
        let time = self.row.clock.timestamp(&text);
        if time.is_none() {
            self.findings.push(Finding {
                rule: "invalid_date".to_owned(),
                severity: Severity::Error,
                path: format!("mapping.{element}"),
            });
        }
        Ok(time)
    }

    /// Each id that is there, in order.
    fn references(&self, references: &References) -> Result<Vec<PatientId>, Unreadable> {
        let mut found = Vec::new();
        for (value, namespace) in references.each() {
            let namespace = namespace.or(self.object.patient_namespace.as_deref()).unwrap_or(self.namespace);
            let local = self.row.whole(value.template())?;
            found.extend(local.map(|local| PatientId::in_namespace(namespace, &local)));
        }
        Ok(found)
    }

    fn merges(&self, document: &Document) -> Result<Vec<PatientMerge>, Unreadable> {
        let Some(survivor) = &document.patient else { return Ok(Vec::new()) };
        let aliases = self.references(&self.object.alias)?.into_iter().filter(|alias| alias != survivor);
        let at = document.times.source;
        Ok(aliases.map(|merged| PatientMerge { merged, survivor: survivor.clone(), at }).collect())
    }

    fn document(&mut self, source_key: String, source: Option<Timestamp>) -> Result<Document, Unreadable> {
        let object = self.object;
        let effective = self.time(object.effective.as_ref(), "effective")?;
        let frame = Frame { status: self.value(object.status.as_ref())?, times: Times { effective, source } };
        let title = self.row.line(Some(&object.title))?.map(|title| tidy::bounded(&title, 200)).unwrap_or_default();
        let mut page = Page::default();
        for line in &object.lines {
            self.write(line, &frame, &mut page)?;
        }
        let Page { mut text, mut facts } = page;
        if text.is_empty() {
            text.clone_from(&title);
        }
        if text.is_empty() {
            return Err(Unreadable::new(QuarantineReason::InvalidResource, "every mapped field is empty"));
        }
        let first_line = text.lines().next().unwrap_or_default();
        let title = if title.is_empty() { tidy::bounded(first_line, 200) } else { title };
        if !object.lines.iter().any(|line| matches!(line, MappedLine::Full(line) if line.fact.is_some())) {
            facts.extend(row_fact(object.kind, &title, first_line, &frame));
        }
        let word = |name: &Option<Value>| self.value(name.as_ref());
        Ok(Document {
            source_version: word(&object.version)?,
            patient: self.references(&object.patient)?.into_iter().next(),
            encounter: object.encounter.as_ref().map(|value| self.row.whole(value.template())).transpose()?.flatten(),
            author: word(&object.author)?.map(|author| tidy::bounded(&author, 200)),
            labels: self.labels(&facts)?,
            status: self.status(frame.status.as_deref()),
            sections: if object.kind == Kind::Note { sections::detect(&text) } else { Vec::new() },
            source_key,
            kind: object.kind,
            resource_type: object.resource_type.clone(),
            times: frame.times,
            pages: Vec::new(),
            title,
            text,
            facts,
        })
    }

    fn status(&self, word: Option<&str>) -> DocumentStatus {
        let Some(word) = word else { return DocumentStatus::Current };
        let is_listed = self.object.entered_in_error.iter().any(|listed| listed.eq_ignore_ascii_case(word));
        if is_listed || word.to_lowercase().replace([' ', '_'], "-") == ENTERED_IN_ERROR {
            DocumentStatus::EnteredInError
        } else {
            DocumentStatus::Current
        }
    }

    fn write(&mut self, line: &MappedLine, frame: &Frame, page: &mut Page) -> Result<(), Unreadable> {
        let line = match line {
            MappedLine::Plain(text) => return self.write_once(&self.row, text, None, frame, page),
            MappedLine::Full(line) => line.as_ref(),
        };
        let FullLine { text, when, fact, .. } = line;
        let named = named_values(&self.row, line);
        let rows = match (line.repeat, &line.each) {
            _ if line.fields.is_some() => within(&self.row, &named),
            (None, None) => vec![self.row.clone()],
            (Some(times), _) => (1..=times).map(|number| Row { number: Some(number), ..self.row.clone() }).collect(),
            (None, Some(list)) => elements(&self.row, list),
        };
        let mut written = Vec::new();
        for row in rows.iter().filter(|row| row.fits(when)) {
            let line = row.line(Some(text))?;
            // Systems repeat themselves in numbered fields; a reader needs it once.
            if line.is_some() && !written.contains(&line) {
                self.write_once(row, text, fact.as_ref(), frame, page)?;
                written.push(line);
            }
        }
        Ok(())
    }

    fn write_once(
        &self,
        row: &Row<'_>,
        text: &Template,
        fact: Option<&MappedFact>,
        frame: &Frame,
        page: &mut Page,
    ) -> Result<(), Unreadable> {
        let filled = row.fill(text)?;
        if !filled.says_something {
            return Ok(());
        }
        let Some(span) = page.push(&filled.text) else { return Ok(()) };
        if let Some(fact) = fact {
            let fact = stated(row, fact, span, page, frame)?;
            page.facts.push(fact);
        }
        Ok(())
    }

    fn labels(&self, facts: &[Fact]) -> Result<Labels, Unreadable> {
        let declared = &self.object.labels;
        let confidentiality = self.row.line(declared.confidentiality.as_ref())?;
        let mut sensitivity = Vec::new();
        for subject in &declared.sensitivity {
            sensitivity.extend(self.row.line(Some(subject))?);
        }
        let mut betray = |system: Option<&str>, code: Option<&str>| {
            let subject = system.zip(code).and_then(|(system, code)| labels::by_code(system, code));
            sensitivity.extend(subject.map(str::to_owned));
        };
        facts.iter().for_each(|fact| betray(fact.system.as_deref(), fact.code.as_deref()));
        for code in &declared.codes {
            for number in 1..=code.repeat.unwrap_or(1) {
                let row = Row { number: code.repeat.map(|_| number), ..self.row.clone() };
                betray(row.whole(&code.system)?.as_deref(), row.whole(&code.code)?.as_deref());
            }
        }
        let named = facts.iter().filter(|fact| fact.code.is_some()).filter_map(|fact| labels::by_name(&fact.display));
        sensitivity.extend(named.map(str::to_owned));
        sensitivity.sort_unstable();
        sensitivity.dedup();
        let confidentiality = confidentiality.as_deref().and_then(Confidentiality::parse).unwrap_or_default();
        Ok(Labels { confidentiality, sensitivity, codes: Vec::new() })
    }
}

/// The row once for each element of a list field, which is searched first.
fn elements<'a>(row: &Row<'a>, list: &str) -> Vec<Row<'a>> {
    let items: &[Json] = match row.find(list) {
        Some(Json::List(items)) => items,
        Some(Json::Null) | None => &[],
        Some(single) => std::slice::from_ref(single),
    };
    within(row, items)
}

fn within<'a>(row: &Row<'a>, items: &'a [Json]) -> Vec<Row<'a>> {
    let scopes = |item| std::iter::once(item).chain(row.scopes.iter().copied()).collect();
    items.iter().map(|item| Row { scopes: scopes(item), ..row.clone() }).collect()
}

/// `{@name}` and `{@value}` of each field that the line asks for.
fn named_values(row: &Row<'_>, line: &FullLine) -> Vec<Json> {
    let Some(pattern) = &line.fields else { return Vec::new() };
    let is_left_out = |name: &str| line.except.iter().any(|except| is_like(except, name));
    let fields = row.scopes.first().map(|scope| scope.members()).unwrap_or_default();
    fields
        .iter()
        .filter(|(name, _)| is_like(pattern, name) && !is_left_out(name))
        .map(|(name, value)| (name, value_text(value)))
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(name, text)| {
            Json::Object(vec![("@name".to_owned(), Json::Text(name.clone())), ("@value".to_owned(), Json::Text(text))])
        })
        .collect()
}

/// The text so far, and the facts that point into it.
#[derive(Default)]
struct Page {
    text: String,
    facts: Vec<Fact>,
}

impl Page {
    /// Adds a text, often of one line, and says where its first line stands.
    fn push(&mut self, text: &str) -> Option<Span> {
        let text = tidy::text(text);
        let text = text.trim_start();
        if text.is_empty() {
            return None;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(text);
        let first_line = text.lines().next().unwrap_or_default();
        Some(Span::new(start, start + first_line.len()))
    }
}

fn stated(row: &Row<'_>, fact: &MappedFact, span: Span, page: &Page, frame: &Frame) -> Result<Fact, Unreadable> {
    let code = row.line(fact.code.as_ref())?;
    let system = if code.is_some() { row.line(fact.system.as_ref())? } else { None };
    let display = row.line(fact.display.as_ref())?.or_else(|| span.of(&page.text).map(tidy::line));
    let unit = row.line(fact.unit.as_ref())?;
    let is_amount = unit.is_some() || fact.kind == FactKind::Observation;
    let value = row.line(fact.value.as_ref())?.map(|text| match text.parse::<f64>() {
        // A number without a unit is more often a name: a telephone's, a house's.
        Ok(value) if value.is_finite() && is_amount => FactValue::Quantity { value, unit },
        _ => FactValue::Text(text),
    });
    let effective = row.line(fact.effective.as_ref().map(Value::template))?;
    Ok(Fact {
        kind: fact.kind,
        system,
        code,
        display: display.unwrap_or_default(),
        value,
        status: row.line(fact.status.as_ref())?.or_else(|| frame.status.clone()),
        effective: match effective {
            Some(text) => row.clock.timestamp(&text),
            None => frame.times.effective,
        },
        span,
    })
}

/// Where no fact is declared the first line states the row, for kinds that have facts.
fn row_fact(kind: Kind, title: &str, first_line: &str, frame: &Frame) -> Option<Fact> {
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
        Kind::Note | Kind::Report | Kind::Task | Kind::Other => return None,
    };
    Some(Fact {
        kind,
        system: None,
        code: None,
        display: title.to_owned(),
        value: None,
        status: frame.status.clone(),
        effective: frame.times.effective,
        span: Span::new(0, first_line.len()),
    })
}
