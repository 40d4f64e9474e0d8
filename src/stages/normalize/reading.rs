//! What a file of text pages was read as, before it becomes a document.

use crate::domain::Timestamp;

use super::tidy;

/// More text than this is no single document.
pub(super) const MAX_TEXT_BYTES: usize = 32 * 1024 * 1024;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Tidy, as [`tidy::text`] leaves it.
    pub text: String,
    /// Where each page begins in `text`; empty when the form has no pages.
    pub pages: Vec<usize>,
    pub about: About,
    /// Rules of quality that it didn't pass, with where: `page_without_text`, `page[3]`.
    pub findings: Vec<(&'static str, String)>,
}

/// What a file says of itself, each as it stands there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct About {
    pub title: Option<String>,
    pub author: Option<String>,
    /// When the content was true.
    pub date: Option<Timestamp>,
    /// When the file was last written.
    pub written: Option<Timestamp>,
    pub patient: Option<String>,
    pub encounter: Option<String>,
}

impl About {
    /// Takes one named property, as files of every form carry them.
    pub fn put(&mut self, name: &str, value: &str) {
        let value = tidy::line(value);
        if value.is_empty() {
            return;
        }
        match name.trim().to_ascii_lowercase().as_str() {
            "patient" | "patient-id" | "patientid" | "patient_id" => self.patient = Some(value),
            "encounter" | "encounter-id" | "encounterid" | "encounter_id" => self.encounter = Some(value),
            "title" | "dc.title" => self.title = Some(value),
            "author" | "creator" | "dc.creator" => self.author = Some(value),
            "date" | "dc.date" => self.date = Timestamp::parse(&value).or(self.date),
            "updated" | "modified" | "last-modified" | "dcterms.modified" => {
                self.written = Timestamp::parse(&value).or(self.written);
            }
            _ => {}
        }
    }
}

/// Pages to one text, and where each begins; an empty page begins where the next one does.
///
/// A sentence that runs over the page's end goes on in the next line, everything else after a blank one.
pub(super) fn join_pages(pages: &[String]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut starts = Vec::with_capacity(pages.len());
    let mut waiting = 0;
    for page in pages {
        let page = tidy::text(page);
        waiting += 1;
        if page.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push_str(if runs_on(&text, &page) { "\n" } else { "\n\n" });
        }
        starts.extend(std::iter::repeat_n(text.len(), waiting));
        waiting = 0;
        text.push_str(&page);
    }
    starts.extend(std::iter::repeat_n(text.len(), waiting));
    (text, starts)
}

fn runs_on(before: &str, after: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || c == ',') && after.starts_with(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_page_begins_where_the_next_one_does() {
        let pages = ["One ends, and".to_owned(), " \n".to_owned(), "goes on.\r\n".to_owned(), "Two".to_owned()];
        let (text, starts) = join_pages(&pages);
        assert_eq!(text, "One ends, and\ngoes on.\n\nTwo");
        assert_eq!(starts, [0, 14, 14, 24]);
        assert_eq!(join_pages(&["a".to_owned(), String::new()]), ("a".to_owned(), vec![0, 1]));
    }

    #[test]
    fn a_property_is_known_by_any_of_its_names() {
        let mut about = About::default();
        about.put("Patient-ID", " p-7 ");
        about.put("DC.Creator", "Dr. Ito");
        about.put("date", "2024-02-03");
        about.put("date", "some day");
        assert_eq!((about.patient.as_deref(), about.author.as_deref()), (Some("p-7"), Some("Dr. Ito")));
        assert_eq!(about.date, Timestamp::parse("2024-02-03"));
    }
}
