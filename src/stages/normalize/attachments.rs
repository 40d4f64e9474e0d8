//! Inline attachments to text: plain, markdown, HTML in the character set they declare; PDF, RTF, DOCX and CDA.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};

use super::json::Json;
use super::reading::Reading;
use super::{cda, charset, file, html, tidy};
use crate::domain::{Format, Labels, QuarantineReason, Unreadable};
use crate::stages::detect;

/// Senders forget padding, or wrap lines; both can be read without doubt.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Debug, PartialEq)]
pub(super) struct Readable {
    pub text: String,
    /// Where each page begins in `text`; empty when the form has no pages.
    pub pages: Vec<usize>,
    pub guessed_charset: bool,
    /// What the file itself says of its sensitivity.
    pub labels: Labels,
}

/// Why an attachment can't be read.
#[derive(Debug, PartialEq)]
pub(super) struct Hindrance {
    pub reason: QuarantineReason,
    /// A media type or a position, never content.
    pub words: String,
}

impl Hindrance {
    fn new(words: impl Into<String>) -> Self {
        Self { reason: QuarantineReason::UnreadableAttachment, words: words.into() }
    }

    /// Scans and oversize keep their own reason; that a file is damaged is one of many an attachment can have.
    fn of_file(form: Format, unreadable: &Unreadable) -> Self {
        let reason = match unreadable.reason {
            QuarantineReason::NoTextLayer | QuarantineReason::TooLarge => unreadable.reason,
            _ => QuarantineReason::UnreadableAttachment,
        };
        Self { reason, words: format!("{}: {}", form.as_str(), unreadable.detail) }
    }

    /// The reason for the whole, when nothing of it can be read: the one that all of them share.
    pub fn common(hindrances: &[&Self]) -> QuarantineReason {
        let first = hindrances.first().map(|hindrance| hindrance.reason);
        let shared = first.filter(|reason| hindrances.iter().all(|hindrance| hindrance.reason == *reason));
        shared.unwrap_or(QuarantineReason::UnreadableAttachment)
    }
}

/// A FHIR Attachment's text, or a Binary's: both have `contentType` and `data`.
pub(super) fn read_json(attachment: &Json) -> Result<Readable, Hindrance> {
    let Some(data) = attachment.text("data") else {
        return Err(Hindrance::new(if attachment.get("url").is_some() { "by url only" } else { "no data" }));
    };
    read(attachment.text("contentType").unwrap_or_default(), &decode(data)?)
}

/// A file within a CDA document, which can't be a CDA document again.
pub(super) fn read_base64(content_type: &str, data: &str) -> Result<Readable, Hindrance> {
    let bytes = decode(data)?;
    match Form::of_bytes(content_type, &bytes)? {
        Form::Cda => Err(Hindrance::new("a document within a document")),
        form => read_as(form, content_type, &bytes),
    }
}

/// What a file says as text; no type when it isn't known. It may carry a character set:
/// `text/plain; charset=ISO-8859-1`.
///
/// What the bytes show to be a PDF, RTF, DOCX or CDA is read as one, whatever text it was declared to be.
pub(super) fn read(content_type: &str, bytes: &[u8]) -> Result<Readable, Hindrance> {
    match Form::of_bytes(content_type, bytes)? {
        Form::Cda => cda::attached(bytes).map_err(|unreadable| Hindrance::of_file(Format::Cda, &unreadable)),
        form => read_as(form, content_type, bytes),
    }
}

fn decode(data: &str) -> Result<Vec<u8>, Hindrance> {
    let compact: String = data.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(compact).map_err(|_| Hindrance::new("data is not base64"))
}

fn read_as(form: Form, content_type: &str, bytes: &[u8]) -> Result<Readable, Hindrance> {
    if let Form::File(format) = form {
        let reading = file::read(bytes, format).map_err(|unreadable| Hindrance::of_file(format, &unreadable))?;
        let Reading { text, pages, .. } = reading;
        return Ok(Readable { text, pages, guessed_charset: false, labels: Labels::default() });
    }
    let unknown = || Hindrance::new("unknown character set");
    let decoded = charset::decode(bytes, declared_charset(content_type).as_deref()).ok_or_else(unknown)?;
    if matches!(form, Form::Undeclared | Form::Disguised) && (decoded.guessed || decoded.looks_binary()) {
        let words = match form {
            Form::Disguised => known_type(&media_type(content_type)),
            _ => "no content type, and no text".to_owned(),
        };
        return Err(Hindrance::new(words));
    }
    let text = match form {
        Form::Html => html::to_text(&decoded.text),
        _ => tidy::text(&decoded.text),
    };
    if text.is_empty() {
        return Err(Hindrance::new("empty"));
    }
    Ok(Readable { text, pages: Vec::new(), guessed_charset: decoded.guessed, labels: Labels::default() })
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Html,
    /// PDF, RTF or DOCX.
    File(Format),
    Cda,
    Undeclared,
    /// A type that says nothing, or that senders use for other things.
    Disguised,
}

impl Form {
    /// What the bytes show wins over what was declared.
    fn of_bytes(content_type: &str, bytes: &[u8]) -> Result<Self, Hindrance> {
        let media_type = media_type(content_type);
        let declared = Self::of(&media_type).ok_or_else(|| Hindrance::new(known_type(&media_type)))?;
        Ok(detect::by_content(bytes).and_then(Self::shown).unwrap_or(declared))
    }

    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "text/plain" | "text/markdown" | "text/x-markdown" | "text/csv" | "text/tab-separated-values" => {
                Some(Self::Plain)
            }
            "text/html" | "application/xhtml+xml" | "text/xhtml" => Some(Self::Html),
            "" => Some(Self::Undeclared),
            "application/octet-stream"
            | "binary/octet-stream"
            | "application/unknown"
            | "application/msword"
            | "application/zip" => Some(Self::Disguised),
            "application/x-pdf" => Some(Self::File(Format::Pdf)),
            "application/x-rtf" | "text/richtext" => Some(Self::File(Format::Rtf)),
            other => Format::of_media_type(other).and_then(Self::shown),
        }
    }

    /// A form that bytes or a media type show without doubt.
    fn shown(format: Format) -> Option<Self> {
        match format {
            Format::Pdf | Format::Rtf | Format::Docx => Some(Self::File(format)),
            Format::Cda => Some(Self::Cda),
            _ => None,
        }
    }
}

/// In lower case, without parameters.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn declared_charset(content_type: &str) -> Option<String> {
    let declared = content_type.to_ascii_lowercase();
    declared.split(';').find_map(|part| part.trim().strip_prefix("charset=").map(|name| name.trim().to_owned()))
}

/// A media type is repeated only in its usual shape, so that nothing else slips into a log.
fn known_type(media_type: &str) -> String {
    let shaped = media_type.len() <= 80
        && media_type.split('/').count() == 2
        && media_type.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+.-".contains(&b));
    if shaped { media_type.to_owned() } else { "unknown media type".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::docx;
    use crate::stages::normalize::pdf::writer::PdfWriter;

    fn attachment(content_type: &str, bytes: &[u8]) -> Json {
        Json::parse(&format!(r#"{{"contentType":"{content_type}","data":"{}"}}"#, BASE64.encode(bytes))).unwrap()
    }

    #[test]
    fn text_and_html_are_read() {
        assert_eq!(read_json(&attachment("text/plain; charset=ISO-8859-1", b"38 \xb0C\r\n")).unwrap().text, "38 °C");
        assert_eq!(read_json(&attachment("text/html", b"<p>a</p><p>b</p>")).unwrap().text, "a\n\nb");
        assert_eq!(read_json(&attachment("", b"just words")).unwrap().text, "just words");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let words = |attachment: &Json| read_json(attachment).unwrap_err().words;
        assert_eq!(words(&attachment("image/png", b"x")), "image/png");
        assert_eq!(words(&attachment("application/octet-stream", b"\x00\xff\x01")), "application/octet-stream");
        assert_eq!(words(&attachment("", b"\x00\xff\x01")), "no content type, and no text");
        assert_eq!(words(&attachment("text/plain", b"  \n")), "empty");
        let linked = Json::parse(r#"{"contentType":"text/plain","url":"Binary/1"}"#).unwrap();
        assert_eq!(words(&linked), "by url only");
        let broken = Json::parse(r#"{"contentType":"text/plain","data":"%%%"}"#).unwrap();
        assert_eq!(words(&broken), "data is not base64");
    }

    #[test]
    fn documents_are_read_by_their_type_or_their_bytes() {
        let pdf = PdfWriter::new().page_of_lines(&["Seen today."]).page_of_lines(&["Well."]).write();
        let word = docx::tests::document("<w:p><w:r><w:t>Seen today.</w:t></w:r></w:p>");
        for content_type in ["application/pdf", "", "application/octet-stream", "text/plain"] {
            let readable = read_json(&attachment(content_type, &pdf)).unwrap();
            assert_eq!((readable.text.as_str(), readable.pages.as_slice()), ("Seen today.\n\nWell.", &[0, 13][..]));
        }
        for (content_type, bytes) in [
            ("application/rtf", b"{\\rtf1 Seen today.}".as_slice()),
            ("application/msword", b"{\\rtf1 Seen today.}"),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &word),
            ("application/octet-stream", &word),
            ("application/octet-stream", b"Seen today."),
        ] {
            assert_eq!(read_json(&attachment(content_type, bytes)).unwrap().text, "Seen today.", "{content_type}");
        }
    }

    #[test]
    fn a_scan_has_its_own_reason_and_damage_has_not() {
        let scan = read_json(&attachment("application/rtf", b"{\\rtf1{\\pict 00}}")).unwrap_err();
        let damaged = read_json(&attachment("application/pdf", b"%PDF-1.7")).unwrap_err();
        assert_eq!(scan.reason, QuarantineReason::NoTextLayer);
        assert_eq!(damaged.reason, QuarantineReason::UnreadableAttachment);
        assert_eq!(Hindrance::common(&[&scan, &scan]), QuarantineReason::NoTextLayer);
        assert_eq!(Hindrance::common(&[&scan, &damaged]), QuarantineReason::UnreadableAttachment);
        assert_eq!(Hindrance::common(&[]), QuarantineReason::UnreadableAttachment);
    }

    #[test]
    fn wrapped_and_unpadded_base64_is_read() {
        let wrapped = Json::parse(r#"{"contentType":"text/plain","data":"aGVs\n bG8"}"#).unwrap();
        assert_eq!(read_json(&wrapped).unwrap().text, "hello");
    }
}
