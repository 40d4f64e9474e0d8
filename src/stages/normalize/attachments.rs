//! Inline attachments to text: plain, markdown, HTML, in the character set they declare.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};

use super::json::Json;
use super::{charset, html, tidy};

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
    pub guessed_charset: bool,
}

/// A FHIR Attachment's text, or what hinders: a media type or a position, never content.
pub(super) fn read_json(attachment: &Json) -> Result<Readable, String> {
    let Some(data) = attachment.text("data") else {
        return Err(if attachment.get("url").is_some() { "by url only" } else { "no data" }.to_owned());
    };
    read_base64(attachment.text("contentType").unwrap_or_default(), data)
}

/// `content_type` may carry a character set: `text/plain; charset=ISO-8859-1`.
pub(super) fn read_base64(content_type: &str, data: &str) -> Result<Readable, String> {
    let declared = content_type.to_ascii_lowercase();
    let mut parts = declared.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=").map(str::trim));
    let compact: String = data.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = BASE64.decode(compact).map_err(|_| "data is not base64".to_owned())?;
    read(media_type, charset, &bytes)
}

/// What a file says as text, or what hinders; `media_type` in lower case, empty when it isn't known.
pub(super) fn read(media_type: &str, charset: Option<&str>, bytes: &[u8]) -> Result<Readable, String> {
    let form = Form::of(media_type).ok_or_else(|| known_type(media_type))?;
    let decoded = charset::decode(bytes, charset).ok_or("unknown character set")?;
    if form == Form::Undeclared && looks_binary(&decoded) {
        return Err("no content type, and no text".to_owned());
    }
    let text = match form {
        Form::Html => html::to_text(&decoded.text),
        Form::Plain | Form::Undeclared => tidy::text(&decoded.text),
    };
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    Ok(Readable { text, guessed_charset: decoded.guessed })
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Html,
    Undeclared,
}

impl Form {
    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "text/plain" | "text/markdown" | "text/x-markdown" | "text/csv" | "text/tab-separated-values" => {
                Some(Self::Plain)
            }
            "text/html" | "application/xhtml+xml" | "text/xhtml" => Some(Self::Html),
            "" => Some(Self::Undeclared),
            _ => None,
        }
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
        assert_eq!(read_json(&attachment("application/pdf", b"%PDF")).unwrap_err(), "application/pdf");
        assert_eq!(read_json(&attachment("", b"\x00\xff\x01")).unwrap_err(), "no content type, and no text");
        assert_eq!(read_json(&attachment("text/plain", b"  \n")).unwrap_err(), "empty");
        let linked = Json::parse(r#"{"contentType":"text/plain","url":"Binary/1"}"#).unwrap();
        assert_eq!(read_json(&linked).unwrap_err(), "by url only");
        let broken = Json::parse(r#"{"contentType":"text/plain","data":"%%%"}"#).unwrap();
        assert_eq!(read_json(&broken).unwrap_err(), "data is not base64");
    }

    #[test]
    fn wrapped_and_unpadded_base64_is_read() {
        let wrapped = Json::parse(r#"{"contentType":"text/plain","data":"aGVs\n bG8"}"#).unwrap();
        assert_eq!(read_json(&wrapped).unwrap().text, "hello");
    }
}
