//! Which form a file has, by its first bytes and, where they leave it open, by its name.
//!
//! What the bytes say for sure wins over the name: an HL7 message in a `.txt` is a message. A name counts where
//! the bytes are silent, so that a damaged `.json` still goes to the reader that says what is wrong with it.

#[cfg(test)]
mod data_sets;
mod xml;

use crate::domain::Format;

/// As much of a file's beginning as is worth looking at.
pub const HEAD_BYTES: usize = 64 * 1024;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    Known(Format),
    /// Rows or objects that only a source's mapping makes sense of: `MappedCsv`, `MappedJson`.
    NeedsMapping(Format),
    Compressed(Compression),
    Unknown(Unknown),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zip,
    Zstd,
}

/// Why a file is of no form that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Empty,
    Binary,
    /// Neither FHIR nor CDA.
    OtherXml,
    /// Lines of JSON, none of which is a FHIR resource.
    OtherJsonLines,
    /// Text, but of nothing that its name or content tells.
    OtherText,
}

impl Unknown {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Binary => "binary",
            Self::OtherXml => "other_xml",
            Self::OtherJsonLines => "other_json_lines",
            Self::OtherText => "other_text",
        }
    }
}

/// `head`: the first [`HEAD_BYTES`] of the file, or all of a shorter one.
pub fn detect(name: Option<&str>, head: &[u8]) -> Detected {
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    let extension = name.map(extension).unwrap_or_default();
    if let Some(format) = by_content(head) {
        return Detected::Known(format);
    }
    if let Some(compression) = compression(head, &extension) {
        return Detected::Compressed(compression);
    }
    if head.is_empty() {
        return by_name(&extension).map_or(Detected::Unknown(Unknown::Empty), Detected::Known);
    }
    let text = Text::read(head);
    match extension.as_str() {
        // A part of a page looks like XML; so does a page in XHTML.
        "html" | "htm" | "xhtml" if !text.is_binary => Detected::Known(Format::Html),
        _ if text.is_xml() => xml::detect(&text.content),
        "json" if has_lines_of_resources(&text.content) => Detected::Known(Format::FhirNdjson),
        "json" => json(&text.content, head.len() < HEAD_BYTES),
        "ndjson" | "jsonl" => json_lines(&text.content),
        "csv" | "tsv" | "psv" | "rif" => Detected::NeedsMapping(Format::MappedCsv),
        "txt" | "text" | "md" | "markdown" if text.is_binary => Detected::Unknown(Unknown::Binary),
        "txt" | "text" if is_x12_without_envelope(&text.content) => Detected::Known(Format::X12),
        "txt" | "text" if has_rows(&text.content) => Detected::NeedsMapping(Format::MappedCsv),
        "xml" | "ccda" | "cda" => Detected::Unknown(Unknown::OtherXml),
        other => match by_name(other) {
            Some(format) => Detected::Known(format),
            None if text.is_binary => Detected::Unknown(Unknown::Binary),
            None if is_fhir_json(&text.content) => Detected::Known(Format::FhirJson),
            None => Detected::Unknown(Unknown::OtherText),
        },
    }
}

/// What the bytes alone leave no doubt about.
pub fn by_content(head: &[u8]) -> Option<Format> {
    let beginning = head.get(..1024).unwrap_or(head);
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = text.strip_prefix(b"\x0b").unwrap_or(text).trim_ascii_start();
    let follows = |word: &[u8]| text.strip_prefix(word).and_then(|rest| rest.first());
    let separated = |word: &[u8]| follows(word).is_some_and(|byte| byte.is_ascii_punctuation());
    if contains(beginning, b"%PDF-1") || contains(beginning, b"%PDF-2") {
        return Some(Format::Pdf);
    }
    if text.starts_with(b"{\\rtf") {
        return Some(Format::Rtf);
    }
    if head.starts_with(b"PK\x03\x04") && contains(head, b"word/") && !contains(head, b"xl/") {
        return Some(Format::Docx);
    }
    if [b"MSH".as_slice(), b"FHS", b"BHS"].iter().any(|segment| separated(segment)) {
        return Some(Format::Hl7v2);
    }
    if separated(b"ISA") {
        return Some(Format::X12);
    }
    let lower = text.get(..64).unwrap_or(text).to_ascii_lowercase();
    (lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html")).then_some(Format::Html)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The last part of a name, in lower case; a name may be a path.
fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

fn compression(head: &[u8], extension: &str) -> Option<Compression> {
    match (head, extension) {
        ([0x1f, 0x8b, ..], _) | (_, "gz" | "tgz") => Some(Compression::Gzip),
        ([0x28, 0xb5, 0x2f, 0xfd, ..], _) | (_, "zst") => Some(Compression::Zstd),
        // A damaged DOCX goes to its reader, which says so.
        (_, "docx" | "docm" | "xlsx" | "pptx" | "odt") => None,
        ([b'P', b'K', 3, 4, ..], _) | (_, "zip") => Some(Compression::Zip),
        _ => None,
    }
}

/// The form that a name promises.
fn by_name(extension: &str) -> Option<Format> {
    Some(match extension {
        "json" => Format::FhirJson,
        "ndjson" | "jsonl" => Format::FhirNdjson,
        "hl7" | "er7" | "hl7v2" => Format::Hl7v2,
        "x12" | "edi" | "270" | "271" | "276" | "277" | "278" | "834" | "835" | "837" | "999" => Format::X12,
        "txt" | "text" => Format::Text,
        "md" | "markdown" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "pdf" => Format::Pdf,
        "rtf" => Format::Rtf,
        "docx" | "docm" => Format::Docx,
        _ => return None,
    })
}

/// The head as characters, however they are written.
struct Text {
    content: String,
    is_binary: bool,
}

impl Text {
    fn read(head: &[u8]) -> Self {
        let (content, _, _) = match encoding_rs::Encoding::for_bom(head) {
            Some((encoding, _)) => encoding.decode(head),
            None => encoding_rs::UTF_8.decode(head),
        };
        let content = content.trim_start().to_owned();
        let controls = content.chars().filter(|c| c.is_control() && !c.is_whitespace() && *c != '\u{1b}').count();
        Self { is_binary: content.contains('\0') || controls * 20 > content.len(), content }
    }

    fn is_xml(&self) -> bool {
        let mut characters = self.content.chars();
        characters.next() == Some('<')
            && characters.next().is_some_and(|c| c.is_alphabetic() || matches!(c, '?' | '!' | '_'))
    }
}

fn is_fhir_json(text: &str) -> bool {
    text.starts_with(['{', '[']) && text.contains("\"resourceType\"")
}

/// Several resources, a line each: NDJSON under the name of JSON.
fn has_lines_of_resources(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_resource =
        |line: &str| line.contains("\"resourceType\"") && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    lines.next().is_some_and(is_resource) && lines.next().is_some_and(|line| line.trim_start().starts_with('{'))
}

/// A resource may say what it is behind all its text; only a file seen whole can be told to say nothing.
fn json(text: &str, whole: bool) -> Detected {
    let is_structure = text.starts_with(['{', '[']);
    if is_structure && !text.contains("\"resourceType\"") && (whole || text.starts_with('[')) {
        return Detected::NeedsMapping(Format::MappedJson);
    }
    Detected::Known(Format::FhirJson)
}

fn json_lines(text: &str) -> Detected {
    let is_other = text.starts_with('{') && !text.contains("\"resourceType\"");
    if is_other { Detected::Unknown(Unknown::OtherJsonLines) } else { Detected::Known(Format::FhirNdjson) }
}

/// `ST*837*` or `GS*HC*` without the `ISA` that should come before them.
fn is_x12_without_envelope(text: &str) -> bool {
    let mut parts = text.splitn(3, '*');
    let segment = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or_default();
    parts.next().is_some()
        && match segment {
            "ST" => second.len() == 3 && second.bytes().all(|byte| byte.is_ascii_digit()),
            "GS" => second.len() == 2 && second.bytes().all(|byte| byte.is_ascii_uppercase()),
            _ => false,
        }
}

/// Upper-case column names between bars or tabs, and a second line with as many (many exports end rows in one more).
fn has_rows(text: &str) -> bool {
    let mut lines = text.lines();
    let (Some(header), Some(row)) = (lines.next(), lines.next()) else { return false };
    ['|', '\t'].into_iter().any(|separator| {
        let columns: Vec<&str> = header.split(separator).collect();
        let is_name = |column: &&str| {
            !column.is_empty() && column.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        columns.len() > 3 && columns.iter().all(is_name) && row.split(separator).count().abs_diff(columns.len()) <= 1
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(name: &str, head: &[u8]) -> Option<Format> {
        match detect(Some(name), head) {
            Detected::Known(format) => Some(format),
            _ => None,
        }
    }

    #[test]
    fn what_the_bytes_say_wins_over_the_name() {
        for (name, head, format) in [
            ("a.txt", b"\xef\xbb\xbfMSH|^~\\&|".as_slice(), Format::Hl7v2),
            ("a", b"\x0bFHS|^~\\&|", Format::Hl7v2),
            ("a.dat", b"BHS#^~\\&#", Format::Hl7v2),
            ("a.txt", b"ISA*00*", Format::X12),
            ("a.txt", b"ST*837*0021~", Format::X12),
            ("scan.bin", b"junk\n%PDF-1.4", Format::Pdf),
            ("a.doc", b"{\\rtf1 a}", Format::Rtf),
            ("a.zip", b"PK\x03\x04...word/document.xml", Format::Docx),
            ("a.txt", b"<!DOCTYPE HTML><p>", Format::Html),
            ("part.html", b"<h1>Visit</h1>", Format::Html),
            ("a.txt", b"Seen today.", Format::Text),
            ("a.MD", b"# Plan", Format::Markdown),
            ("dir.x/a.json", b"{\"resourceType\":\"Flag\"}", Format::FhirJson),
            ("a.json", b"oops", Format::FhirJson),
            ("export", b"{ \"id\":1, \"resourceType\":\"Flag\"}", Format::FhirJson),
            ("a.jsonl", b"{\"resourceType\":\"Flag\"}\n", Format::FhirNdjson),
            ("a.json", b"{\"resourceType\":\"Flag\"}\n{\"resourceType\":\"Flag\"}\n", Format::FhirNdjson),
            ("a.json", b"{\n\"resourceType\":\"Flag\"}\n", Format::FhirJson),
            ("a.ndjson", b"{oops\n", Format::FhirNdjson),
            ("a.hl7", b"PID|1", Format::Hl7v2),
            ("a.docx", b"PK\x03\x04", Format::Docx),
            ("a.pdf", b"damaged", Format::Pdf),
            ("a.pdf", b"", Format::Pdf),
        ] {
            let expected = if head == b"{oops\n" { None } else { Some(format) };
            assert_eq!(known(name, head), expected, "{name}");
        }
    }

    #[test]
    fn what_needs_a_mapping_says_so() {
        let json = Detected::NeedsMapping(Format::MappedJson);
        let csv = Detected::NeedsMapping(Format::MappedCsv);
        for (name, head, detected) in [
            ("a.json", b"[{\"Id\":1}]".as_slice(), json),
            ("a.json", b"{\"records\":[]}", json),
            ("a.csv", b"id,name", csv),
            ("a.txt", b"BENE_ID|CLM_ID|FROM_DT|THRU_DT\n1|2|3|4\n", csv),
        ] {
            assert_eq!(detect(Some(name), head), detected, "{name}");
        }
        assert_eq!(detect(Some("a.txt"), b"NAME|DOSE\nx|y"), Detected::Known(Format::Text));
    }

    #[test]
    fn a_long_object_may_say_what_it_is_at_its_end() {
        let head = format!("{{\"text\":\"{}", "x".repeat(HEAD_BYTES));
        assert_eq!(known("a.json", head.as_bytes()), Some(Format::FhirJson));
    }

    #[test]
    fn what_is_not_read_has_a_reason() {
        for (name, head, detected) in [
            ("a.dcm", b"\0\0\0DICM".as_slice(), Detected::Unknown(Unknown::Binary)),
            ("a.txt", b"\0\x01\x02", Detected::Unknown(Unknown::Binary)),
            ("README", b"words", Detected::Unknown(Unknown::OtherText)),
            ("a.jsonl", b"{\"_id\":1}\n", Detected::Unknown(Unknown::OtherJsonLines)),
            ("a.dat", b"", Detected::Unknown(Unknown::Empty)),
            ("a.ndjson.gz", b"\x1f\x8b\x08", Detected::Compressed(Compression::Gzip)),
            ("a.ndjson", b"\x28\xb5\x2f\xfd", Detected::Compressed(Compression::Zstd)),
            ("a.zip", b"PK\x03\x04fhir/", Detected::Compressed(Compression::Zip)),
        ] {
            assert_eq!(detect(Some(name), head), detected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(name in ".{0,12}", head in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = detect(Some(&name), &head);
        }
    }
}
