//! Plain-text and markdown notes: front matter apart, headings as sections.
//!
//! Front matter is a first line `---`, lines of `key: value`, and a line `---`. Keys: `id`, `patient`,
//! `title`, `kind`, `type` (free words), `author`, `date`, `updated`, `encounter`, `version`, `confidentiality`,
//! `sensitivity` (comma list), `status`.

use crate::domain::{
    Confidentiality, Document, DocumentStatus, Finding, Kind, Labels, Normalized, Outcome, PatientId, QuarantineReason,
    Severity, Times, Timestamp, Unreadable,
};
use crate::stages::sections;

use super::{charset, tidy};

const MAX_TITLE_CHARACTERS: usize = 120;
const KEYS: [&str; 13] = [
    "id",
    "patient",
    "title",
    "kind",
    "type",
    "author",
    "date",
    "updated",
    "encounter",
    "version",
    "confidentiality",
    "sensitivity",
    "status",
];

/// Bytes that are neither UTF-8 nor marked as UTF-16 are read as Windows-1252, and a finding says so.
///
/// Errors: no text at all, or nothing but white space.
pub(super) fn normalize(bytes: &[u8], name: Option<&str>, namespace: &str) -> Result<Normalized, Unreadable> {
    let not_text = |at: usize| Unreadable::new(QuarantineReason::InvalidUtf8, format!("byte {at}"));
    let valid_up_to = || std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let decoded = charset::decode(bytes, None).ok_or_else(|| not_text(0))?;
    if decoded.guessed && decoded.looks_binary() {
        return Err(not_text(valid_up_to()));
    }
    let whole = tidy::text(&decoded.text);
    let (matter, body) = front_matter(&whole);
    let text = tidy::text(body);
    let key = matter.get("id").or(name).map(str::to_owned).unwrap_or_else(|| super::fingerprint(bytes));
    if matter.get("status").is_some_and(|status| matches!(status.to_lowercase().as_str(), "deleted" | "removed")) {
        return Ok(Normalized { outcome: Outcome::Removed { source_key: key }, findings: Vec::new() });
    }
    if text.is_empty() {
        return Err(Unreadable::new(QuarantineReason::EmptyNote, "no text"));
    }
    let mut findings = matter.findings();
    if decoded.guessed {
        findings.push(Finding { rule: "charset_guessed".into(), severity: Severity::Warning, path: "text".into() });
    }
    let kind = matter.kind(&mut findings);
    let document = Document {
        source_key: key,
        source_version: matter.get("version").map(str::to_owned),
        kind,
        resource_type: resource_type(kind).to_owned(),
        patient: matter.get("patient").map(|local| PatientId::in_namespace(namespace, local_id(local, "Patient/"))),
        encounter: matter.get("encounter").map(|local| format!("Encounter/{}", local_id(local, "Encounter/"))),
        title: title(&matter, &text, name),
        author: matter.get("author").map(|author| tidy::bounded(author, 200)),
        times: Times { effective: matter.time("date", &mut findings), source: matter.time("updated", &mut findings) },
        labels: matter.labels(&mut findings),
        status: matter.status(&mut findings),
        sections: sections::detect(&text),
        pages: Vec::new(),
        text,
        facts: Vec::new(),
    };
    Ok(Normalized { outcome: Outcome::Documents(vec![document]), findings })
}

fn local_id<'a>(given: &'a str, prefix: &str) -> &'a str {
    given.strip_prefix(prefix).unwrap_or(given)
}

/// The FHIR type that a note of this kind would have.
fn resource_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Note | Kind::Other => "DocumentReference",
        Kind::Report => "DiagnosticReport",
        Kind::Patient => "Patient",
        Kind::Encounter => "Encounter",
        Kind::Problem => "Condition",
        Kind::Medication => "MedicationRequest",
        Kind::Allergy => "AllergyIntolerance",
        Kind::Result => "Observation",
        Kind::Procedure => "Procedure",
        Kind::Immunization => "Immunization",
        Kind::CarePlan => "CarePlan",
        Kind::Appointment => "Appointment",
        Kind::Contact => "Communication",
        Kind::Task => "Task",
        Kind::Claim => "Claim",
        Kind::Coverage => "Coverage",
    }
}

/// The front matter's title, the first heading, the first line, or the file's name.
fn title(matter: &FrontMatter<'_>, text: &str, name: Option<&str>) -> String {
    let heading =
        || text.lines().find_map(|line| line.trim_start().strip_prefix('#')).map(|line| line.trim_matches(['#', ' ']));
    let first = || text.lines().next().map(|line| line.trim_matches(['*', '_', ' ', ':']));
    let candidates = [matter.get("title"), heading(), first(), name];
    let best = candidates.into_iter().flatten().map(|title| tidy::bounded(title, MAX_TITLE_CHARACTERS));
    best.into_iter().find(|title| !title.is_empty()).unwrap_or_else(|| "Note".to_owned())
}

#[derive(Default)]
struct FrontMatter<'a> {
    entries: Vec<(String, &'a str)>,
}

/// Text that merely begins with a rule (`---`) has no front matter: every line must read `key: value`.
fn front_matter(text: &str) -> (FrontMatter<'_>, &str) {
    let none = (FrontMatter::default(), text);
    let Some(rest) = text.strip_prefix("---\n") else { return none };
    let mut entries = Vec::new();
    let mut consumed = 0;
    for line in rest.split_inclusive('\n') {
        consumed += line.len();
        let line = line.trim();
        if line == "---" {
            return (FrontMatter { entries }, rest.get(consumed..).unwrap_or_default());
        }
        if line.is_empty() {
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { return none };
        let key = key.trim().to_lowercase();
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return none;
        }
        entries.push((key, value.trim().trim_matches(['"', '\''])));
    }
    none
}

impl<'a> FrontMatter<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    fn findings(&self) -> Vec<Finding> {
        let unknown = self.entries.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()));
        unknown.take(1).map(|_| finding("unknown_field", Severity::Warning, "?")).collect()
    }

    fn time(&self, key: &str, findings: &mut Vec<Finding>) -> Option<Timestamp> {
        let given = self.get(key)?;
        let time = Timestamp::parse(given);
        if time.is_none() {
            findings.push(finding("invalid_date", Severity::Error, key));
        }
        time
    }

    /// `kind` is one of ours; `type` is the author's own word for it, which may happen to be one.
    fn kind(&self, findings: &mut Vec<Finding>) -> Kind {
        let parse = |given: &str| Kind::parse(&given.to_lowercase().replace([' ', '-'], "_"));
        match (self.get("kind"), self.get("type")) {
            (Some(kind), _) => parse(kind).unwrap_or_else(|| {
                findings.push(finding("unknown_value", Severity::Warning, "kind"));
                Kind::Note
            }),
            (None, Some(own)) if own.to_lowercase().ends_with("report") => Kind::Report,
            (None, Some(own)) => parse(own).unwrap_or(Kind::Note),
            (None, None) => Kind::Note,
        }
    }

    /// A label that can't be understood counts as restricted: closed, not open.
    fn labels(&self, findings: &mut Vec<Finding>) -> Labels {
        let confidentiality = match self.get("confidentiality").map(str::to_lowercase).as_deref() {
            None => Confidentiality::N,
            Some("n" | "normal") => Confidentiality::N,
            Some("u" | "unrestricted") => Confidentiality::U,
            Some("l" | "low") => Confidentiality::L,
            Some("m" | "moderate") => Confidentiality::M,
            Some("r" | "restricted") => Confidentiality::R,
            Some("v" | "very restricted") => Confidentiality::V,
            Some(_) => {
                findings.push(finding("unknown_value", Severity::Error, "confidentiality"));
                Confidentiality::R
            }
        };
        let given = self.get("sensitivity").unwrap_or_default().trim_matches(['[', ']']);
        let mut sensitivity: Vec<String> =
            given.split(',').map(|code| code.trim().to_uppercase()).filter(|code| !code.is_empty()).collect();
        sensitivity.sort_unstable();
        sensitivity.dedup();
        Labels { confidentiality, sensitivity, codes: Vec::new() }
    }

    fn status(&self, findings: &mut Vec<Finding>) -> DocumentStatus {
        match self.get("status").map(|status| status.to_lowercase().replace([' ', '_'], "-")).as_deref() {
            Some("entered-in-error") => DocumentStatus::EnteredInError,
            None | Some("current" | "final" | "draft" | "preliminary" | "amended" | "signed") => {
                DocumentStatus::Current
            }
            Some(_) => {
                findings.push(finding("unknown_value", Severity::Warning, "status"));
                DocumentStatus::Current
            }
        }
    }
}

fn finding(rule: &str, severity: Severity, key: &str) -> Finding {
    Finding { rule: rule.to_owned(), severity, path: format!("front_matter.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Document {
        match normalize(text.as_bytes(), Some("visits/one.md"), "main").unwrap().outcome {
            Outcome::Documents(mut documents) => documents.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn front_matter_describes_the_note_and_is_no_part_of_it() {
        let note = note(
            "---\r\nid: n-1\r\npatient: p-7\r\ntitle: Clinic visit\r\ndate: 2024-02-03\r\nencounter: 5\r\n\
             confidentiality: R\r\nsensitivity: SUD, PSY, SUD\r\n---\r\n\r\nPLAN:\r\nRest.\r\n",
        );
        assert_eq!(note.source_key, "n-1");
        assert_eq!(note.text, "PLAN:\nRest.");
        assert_eq!(note.patient, Some(PatientId::new("p-7")));
        assert_eq!(note.encounter.as_deref(), Some("Encounter/5"));
        assert_eq!(note.labels.confidentiality, Confidentiality::R);
        assert_eq!(note.labels.sensitivity, ["PSY", "SUD"]);
        assert_eq!(note.times.effective, Timestamp::parse("2024-02-03"));
        assert_eq!(note.sections[0].title, "PLAN");
    }

    #[test]
    fn without_front_matter_the_name_is_the_key_and_the_first_heading_the_title() {
        let note = note("\u{feff}Seen today.\n\n# Follow-up visit\nWell.");
        assert_eq!(note.source_key, "visits/one.md");
        assert_eq!(note.title, "Follow-up visit");
        assert_eq!(note.patient, None);
    }

    #[test]
    fn a_rule_at_the_top_is_no_front_matter() {
        let note = note("---\nShe feels well\n---\nToday.");
        assert_eq!(note.text, "---\nShe feels well\n---\nToday.");
    }

    #[test]
    fn what_holds_no_text_is_refused() {
        for (bytes, reason) in [
            (b" \n\t\n".as_slice(), QuarantineReason::EmptyNote),
            (b"---\npatient: 1\n---\n", QuarantineReason::EmptyNote),
            (b"caf\xe9 \x81\x02", QuarantineReason::InvalidUtf8),
        ] {
            assert_eq!(normalize(bytes, None, "main").unwrap_err().reason, reason);
        }
    }

    #[test]
    fn an_older_character_set_is_read_and_told() {
        let read = normalize(b"caf\xe9, 38 \xb0C", None, "main").unwrap();
        let Outcome::Documents(documents) = read.outcome else { panic!("no document") };
        assert_eq!(documents[0].text, "café, 38 °C");
        assert_eq!(read.findings[0].rule, "charset_guessed");
        let wide = normalize(b"\xff\xfec\0a\0f\0\xe9\0", None, "main").unwrap();
        assert!(wide.findings.is_empty());
    }

    #[test]
    fn a_label_that_is_not_understood_closes() {
        let note = note("---\nconfidentiality: secret-ish\n---\nText.");
        assert_eq!(note.labels.confidentiality, Confidentiality::R);
    }

    #[test]
    fn a_note_can_be_taken_back() {
        let outcome = normalize(b"---\nid: n-1\nstatus: deleted\n---\n", None, "main").unwrap().outcome;
        assert_eq!(outcome, Outcome::Removed { source_key: "n-1".into() });
    }
}
