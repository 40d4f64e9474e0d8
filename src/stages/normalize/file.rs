//! A file that is one document (PDF, RTF, DOCX, HTML) to a note.
//!
//! Whose it is says the folder it was sent in (`.../patient=<id>/letter.pdf`) or the file itself (a property or
//! `<meta name="patient">`). When the two contradict each other it belongs to nobody until someone has looked: a
//! note in the wrong chart is worse than one in none.

use crate::domain::{
    Document, DocumentStatus, Finding, Format, Kind, Labels, Normalized, Outcome, PatientId, QuarantineReason,
    Severity, Times, Unreadable,
};
use crate::stages::sections;

use super::reading::Reading;
use super::{docx, html_page, pdf, rtf, tidy};

const MAX_TITLE_CHARACTERS: usize = 120;
const PATIENT_FOLDER: &str = "patient=";

/// Errors: as the reader of the format says.
pub(super) fn normalize(
    bytes: &[u8],
    format: Format,
    name: Option<&str>,
    namespace: &str,
) -> Result<Normalized, Unreadable> {
    let reading = read(bytes, format)?;
    let mut findings: Vec<Finding> =
        reading.findings.iter().map(|(rule, path)| finding(rule, Severity::Warning, path)).collect();
    let patient = patient(name, &reading, &mut findings);
    let Reading { text, pages, about, .. } = reading;
    let document = Document {
        source_key: name.map(str::to_owned).unwrap_or_else(|| super::fingerprint(bytes)),
        source_version: None,
        kind: Kind::Note,
        resource_type: "DocumentReference".to_owned(),
        patient: patient.map(|local| PatientId::in_namespace(namespace, &local)),
        encounter: about.encounter.as_deref().map(|local| format!("Encounter/{}", without(local, "Encounter/"))),
        title: title(about.title.as_deref(), &text, name),
        author: about.author.map(|author| tidy::bounded(&author, 200)),
        times: Times { effective: about.date, source: about.written },
        labels: Labels::default(),
        status: DocumentStatus::Current,
        sections: sections::detect(&text),
        pages,
        text,
        facts: Vec::new(),
    };
    Ok(Normalized { outcome: Outcome::Documents(vec![document]), findings })
}

/// The text of a file of one of these forms.
pub(super) fn read(bytes: &[u8], format: Format) -> Result<Reading, Unreadable> {
    match format {
        Format::Pdf => pdf::read(bytes),
        Format::Rtf => rtf::read(bytes),
        Format::Docx => docx::read(bytes),
        Format::Html => html_page::read(bytes),
        _ => Err(Unreadable::new(QuarantineReason::UnsupportedMessage, "no file of text")),
    }
}

fn patient(name: Option<&str>, reading: &Reading, findings: &mut Vec<Finding>) -> Option<String> {
    let by_folder = name.and_then(patient_folder);
    let by_file = reading.about.patient.as_deref().map(|local| without(local, "Patient/").to_owned());
    match (by_folder, by_file) {
        (Some(folder), Some(file)) if folder != file => {
            findings.push(finding("patient_conflict", Severity::Error, "patient"));
            None
        }
        (folder, file) => folder.or(file),
    }
}

/// The id in the last folder called `patient=<id>`, with `%2F` and the like resolved.
fn patient_folder(name: &str) -> Option<String> {
    let (folders, _) = name.rsplit_once('/')?;
    let id = folders.rsplit('/').find_map(|folder| folder.strip_prefix(PATIENT_FOLDER))?;
    let id = percent_decoded(id);
    let id = without(id.trim(), "Patient/").to_owned();
    (!id.is_empty()).then_some(id)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn without<'a>(given: &'a str, prefix: &str) -> &'a str {
    given.strip_prefix(prefix).unwrap_or(given)
}

/// The file's own title, its first heading, the first line that says something, or its name.
fn title(own: Option<&str>, text: &str, name: Option<&str>) -> String {
    let heading = text.lines().find_map(|line| line.strip_prefix('#')).map(|line| line.trim_matches(['#', ' ']));
    let lines = || text.lines().map(|line| line.trim_matches(['*', '_', ' ', ':', '|', '-']));
    let telling = lines().find(|line| says_something(line)).or_else(|| lines().find(|line| !line.is_empty()));
    let candidates = [own, heading, telling, name];
    let best = candidates.into_iter().flatten().map(|title| tidy::bounded(title, MAX_TITLE_CHARACTERS));
    best.into_iter().find(|title| !title.is_empty()).unwrap_or_else(|| "Document".to_owned())
}

/// `1 | P a g e` and `Page 2 of 7` don't.
fn says_something(line: &str) -> bool {
    let mut words = line.split(|c: char| !c.is_alphabetic()).filter(|word| word.chars().count() > 2);
    words.any(|word| !word.eq_ignore_ascii_case("page"))
}

fn finding(rule: &str, severity: Severity, path: &str) -> Finding {
    Finding { rule: rule.to_owned(), severity, path: format!("file.{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::pdf::writer::PdfWriter;

    fn normalized(bytes: &[u8], format: Format, name: &str) -> (Document, Vec<Finding>) {
        let Normalized { outcome, findings } = normalize(bytes, format, Some(name), "main").unwrap();
        match outcome {
            Outcome::Documents(mut documents) => (documents.remove(0), findings),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pdf_becomes_a_note_with_sections_and_pages() {
        let pdf = PdfWriter::new()
            .about("Author", "Dr. Ito")
            .page_of_lines(&["RIVERSIDE CLINIC", "PLAN: Rest."])
            .page_of_lines(&["ASSESSMENT: Well."])
            .write();
        let (note, findings) = normalized(&pdf, Format::Pdf, "2024/patient=p-7/letter.pdf");
        assert_eq!(note.source_key, "2024/patient=p-7/letter.pdf");
        assert_eq!(note.patient, Some(PatientId::new("p-7")));
        assert_eq!(note.title, "RIVERSIDE CLINIC");
        assert_eq!(note.author.as_deref(), Some("Dr. Ito"));
        assert_eq!(note.pages.len(), 2);
        assert_eq!(
            note.sections.iter().map(|section| section.title.as_str()).collect::<Vec<_>>(),
            ["PLAN", "ASSESSMENT"]
        );
        assert!(findings.is_empty());
    }

    #[test]
    fn a_folder_names_the_patient_only_when_it_says_so() {
        let of = |name: &str| patient_folder(name);
        assert_eq!(of("patient=12%2F3/a.pdf").as_deref(), Some("12/3"));
        assert_eq!(of("x/patient=Patient%2F7/2024/a.pdf").as_deref(), Some("7"));
        for none in ["12/a.pdf", "patient=7.pdf", "patient=/a.pdf", "a.pdf", "mypatient=7/a.pdf"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_file_that_contradicts_its_folder_belongs_to_nobody() {
        let page = b"<meta name=patient content=8><p>Seen.";
        let (note, findings) = normalized(page, Format::Html, "patient=7/a.html");
        assert_eq!((note.patient, findings[0].rule.as_str()), (None, "patient_conflict"));
        let (note, findings) = normalized(page, Format::Html, "patient=8/a.html");
        assert_eq!((note.patient, findings.len()), (Some(PatientId::new("8")), 0));
        let (note, _) = normalized(b"{\\rtf1 Seen.}", Format::Rtf, "a.rtf");
        assert_eq!((note.patient, note.title.as_str()), (None, "Seen."));
    }

    #[test]
    fn a_page_number_is_no_title() {
        assert_eq!(title(None, "1 | P a g e\nPage 1 of 7\n\nDischarge Summary", None), "Discharge Summary");
        assert_eq!(title(None, "7.2", Some("a.pdf")), "7.2");
    }

    #[test]
    fn without_a_name_the_content_is_the_key() {
        let key = |bytes: &[u8]| match normalize(bytes, Format::Rtf, None, "main").unwrap().outcome {
            Outcome::Documents(documents) => documents[0].source_key.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(key(b"{\\rtf1 a}"), key(b"{\\rtf1 a}"));
        assert_ne!(key(b"{\\rtf1 a}"), key(b"{\\rtf1 b}"));
    }
}
