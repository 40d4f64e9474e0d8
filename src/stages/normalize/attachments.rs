//! Inline attachments to text: plain, markdown, HTML in the character set they declare; PDF, RTF and DOCX.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};

use super::json::Json;
use super::{charset, file, html, tidy};
use crate::domain::{Format, QuarantineReason, Unreadable};
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
    read_base64(attachment.text("contentType").unwrap_or_default(), data)
}

/// `content_type` may carry a character set: `text/plain; charset=ISO-8859-1`.
pub(super) fn read_base64(content_type: &str, data: &str) -> Result<Readable, Hindrance> {
    let declared = content_type.to_ascii_lowercase();
    let mut parts = declared.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=").map(str::trim));
    let compact: String = data.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = BASE64.decode(compact).map_err(|_| Hindrance::new("data is not base64"))?;
    read(media_type, charset, &bytes)
}

/// What a file says as text; `media_type` in lower case, empty when it isn't known.
///
/// What the bytes show to be a PDF, RTF or DOCX is read as one, whatever text it was declared to be.
pub(super) fn read(media_type: &str, charset: Option<&str>, bytes: &[u8]) -> Result<Readable, Hindrance> {
    let declared = Form::of(media_type).ok_or_else(|| Hindrance::new(known_type(media_type)))?;
    let form = detect::by_content(bytes).and_then(Form::shown).unwrap_or(declared);
    if let Form::File(format) = form {
        let reading = file::read(bytes, format).map_err(|unreadable| Hindrance::of_file(format, &unreadable))?;
        return Ok(Readable { text: reading.text, pages: reading.pages, guessed_charset: false });
    }
    let unknown = || Hindrance::new("unknown character set");
    let decoded = charset::decode(bytes, charset).ok_or_else(unknown)?;
    if matches!(form, Form::Undeclared | Form::Disguised) && looks_binary(&decoded) {
        let words =
            if form == Form::Disguised { known_type(media_type) } else { "no content type, and no text".into() };
        return Err(Hindrance::new(words));
    }
    let text = match form {
        Form::Html => html::to_text(&decoded.text),
        _ => tidy::text(&decoded.text),
    };
    if text.is_empty() {
        return Err(Hindrance::new("empty"));
    }
    Ok(Readable { text, pages: Vec::new(), guessed_charset: decoded.guessed })
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Html,
    /// PDF, RTF or DOCX.
    File(Format),
    Undeclared,
    /// A type that says nothing, or that senders use for other things.
    Disguised,
}

impl Form {
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
        matches!(format, Format::Pdf | Format::Rtf | Format::Docx).then_some(Self::File(format))
    }
}

/// A media type is repeated only in its usual shape, so that nothing else slips into a log.
fn known_type(media_type: &str) -> String {
    let shaped = media_type.len() <= 80
        && media_type.split('/').count() == 2
        && media_type.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+.-".contains(&b));
    if shaped { media_type.to_owned() } else { "unknown media type".to_owned() }
}

fn looks_binary(decoded: &charset::Decoded) -> bool {
    decoded.guessed || decoded.text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
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
