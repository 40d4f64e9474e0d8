//! An HTML file of its own: in which characters it is written, and what its head says of it.

use std::sync::LazyLock;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use scraper::{Html, Selector};

use crate::domain::{QuarantineReason, Unreadable};

use super::html;
use super::reading::{About, MAX_TEXT_BYTES, Reading};

/// Where browsers look for the declaration, and some more for long heads.
const DECLARED_WITHIN: usize = 8 * 1024;

static DESCRIPTIONS: LazyLock<Selector> =
    LazyLock::new(|| Selector::parse("meta[name][content]").expect("a fixed selector"));
static TITLE: LazyLock<Selector> = LazyLock::new(|| Selector::parse("head title").expect("a fixed selector"));

/// Errors: too large, or without text.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(Unreadable::new(QuarantineReason::TooLarge, format!("HTML of {} bytes", bytes.len())));
    }
    let (page, guessed) = decode(bytes);
    let text = html::to_text(&page);
    if text.is_empty() {
        return Err(Unreadable::new(QuarantineReason::EmptyNote, "no text"));
    }
    let findings = if guessed { vec![("charset_guessed", "text".to_owned())] } else { Vec::new() };
    Ok(Reading { text, pages: Vec::new(), about: about(&page), findings })
}

/// By the mark at its beginning, else as declared, else UTF-8; what isn't is read as Windows-1252, as browsers do.
fn decode(bytes: &[u8]) -> (String, bool) {
    if let Some((marked, length)) = Encoding::for_bom(bytes) {
        let content = bytes.get(length..).unwrap_or_default();
        return (marked.decode_without_bom_handling(content).0.into_owned(), false);
    }
    let declared = declared(bytes);
    if declared.is_none_or(|encoding| encoding == UTF_8) {
        return match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(), true),
        };
    }
    let (text, damaged) = declared.unwrap_or(UTF_8).decode_without_bom_handling(bytes);
    (text.into_owned(), damaged)
}

/// `<meta charset=...>`, `<meta http-equiv ... charset=...>` or an XML declaration's `encoding=`.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..DECLARED_WITHIN.min(bytes.len()))?.to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    let after = ["charset=", "encoding="].iter().find_map(|word| head.split_once(word).map(|(_, after)| after))?;
    let label: String = after
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c))
        .collect();
    // A file that could be searched for its declaration isn't UTF-16, whatever it says.
    Encoding::for_label(label.as_bytes()).map(|found| found.output_encoding())
}

fn about(page: &str) -> About {
    let mut about = About::default();
    let document = Html::parse_document(page);
    if let Some(title) = document.select(&TITLE).next() {
        about.put("title", &title.text().collect::<String>());
    }
    for element in document.select(&DESCRIPTIONS).take(200) {
        if let (Some(name), Some(content)) = (element.attr("name"), element.attr("content")) {
            about.put(name, content);
        }
    }
    about
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn the_head_describes_the_page_and_is_no_part_of_it() {
        let reading = read(
            b"<html><head><title>Visit</title><meta name=Patient content='p-7'><meta name='author' content='Dr. Ito'>\
              <meta name=date content=2024-02-03><meta name=encounter content=5></head><body><h2>Plan</h2>Rest</body></html>",
        )
        .unwrap();
        assert_eq!(reading.text, "## Plan\nRest");
        let about = reading.about;
        assert_eq!((about.title.as_deref(), about.author.as_deref()), (Some("Visit"), Some("Dr. Ito")));
        assert_eq!((about.patient.as_deref(), about.encounter.as_deref()), (Some("p-7"), Some("5")));
        assert_eq!(about.date, Timestamp::parse("2024-02-03"));
    }

    #[test]
    fn characters_are_read_as_marked_declared_or_guessed() {
        let utf16: Vec<u8> = [0xfeff].into_iter().chain("<p>38 °C".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for (bytes, findings) in [
            ("<p>38 °C".as_bytes(), 0),
            (b"<meta charset='iso-8859-1'><p>38 \xb0C", 0),
            (b"<meta http-equiv=Content-Type content=\"text/html; charset=windows-1252\"><p>38 \xb0C", 0),
            (b"<meta charset=utf-8><p>38 \xb0C", 1),
            (&utf16, 0),
        ] {
            let reading = read(bytes).unwrap();
            assert_eq!((reading.text.as_str(), reading.findings.len()), ("38 °C", findings));
        }
    }

    #[test]
    fn a_page_without_text_is_empty() {
        assert_eq!(read(b"<script>x</script>").unwrap_err().reason, QuarantineReason::EmptyNote);
    }
}
