//! ED: a file inside a message. Text and HTML are read, of other files it is said that they are there.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::stages::normalize::{charset, html, tidy};

use super::message::Part;

/// Senders leave the padding out, or cut a file in the middle of a group of four.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) enum Attachment {
    /// Read in full.
    Text(String),
    /// `PDF document, 12345 bytes`
    File(String),
    /// Declared, but nothing of it was sent.
    Nothing,
}

/// Reads `application^type^subtype^encoding^data`, whichever of the first ones are left out.
pub(super) fn read(part: Part<'_>) -> Attachment {
    let components = part.components();
    let word = |at: usize| components.get(at).and_then(|part| part.line()).unwrap_or_default();
    let is_encoding = |at: &usize| matches!(word(*at).to_ascii_lowercase().as_str(), "base64" | "hex" | "a");
    let encoding_at = (1..components.len().min(6)).find(is_encoding);
    let data_at = encoding_at.map_or(4, |at| at + 1);
    let Some(data) = components.get(data_at).filter(|part| !part.is_empty()) else { return Attachment::Nothing };
    let kind = (0..data_at).map(word).collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    let encoding = encoding_at.map(word).unwrap_or_default().to_ascii_lowercase();
    let bytes = match encoding.as_str() {
        "base64" => base64(*data),
        "hex" => hex::decode(packed(*data)).ok(),
        _ => Some(data.paragraphs().into_bytes()),
    };
    let Some(bytes) = bytes else { return Attachment::File("damaged file".to_owned()) };
    if bytes.is_empty() {
        return Attachment::Nothing;
    }
    content(&kind, &bytes)
}

fn content(kind: &str, bytes: &[u8]) -> Attachment {
    let says = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    let file = |name: &str| Attachment::File(format!("{name}, {} bytes", bytes.len()));
    let start = bytes.get(..bytes.len().min(256)).unwrap_or_default().trim_ascii_start();
    let begins = |mark: &[u8]| start.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
    if begins(b"%PDF") || says(&["pdf"]) {
        return file("PDF document");
    }
    if begins(b"{\\rtf") || says(&["rtf", "richtext"]) {
        return file("RTF document");
    }
    let decoded = || charset::decode(bytes, None).map(|decoded| decoded.text);
    if begins(b"<html") || begins(b"<!doctype html") || says(&["html"]) {
        return readable(decoded().map(|text| html::to_text(&text))).unwrap_or_else(|| file("HTML document"));
    }
    if begins(b"<?xml") || begins(b"<clinicaldocument") || says(&["xml", "cda"]) {
        return file("XML document");
    }
    if begins(b"PK\x03\x04") {
        return file("packed document");
    }
    let is_picture = says(&["jpeg", "jpg", "png", "gif", "tiff", "pict", "dicom", "image", "bmp"]);
    if is_picture || begins(b"\x89PNG") || begins(b"\xff\xd8\xff") || begins(b"GIF8") {
        return file("picture");
    }
    let is_binary = start.contains(&0);
    if !is_binary && (says(&["text", "plain", "txt", " ft ", " tx "]) || std::str::from_utf8(bytes).is_ok()) {
        return readable(decoded()).unwrap_or_else(|| file("text"));
    }
    file("file")
}

fn readable(text: Option<String>) -> Option<Attachment> {
    let text = tidy::text(&text?);
    (!text.is_empty()).then_some(Attachment::Text(text))
}

/// Line breaks, also escaped ones, stand within the data.
fn packed(part: Part<'_>) -> String {
    part.paragraphs().chars().filter(|c| !c.is_whitespace()).collect()
}

fn base64(part: Part<'_>) -> Option<Vec<u8>> {
    let mut data = packed(part);
    if data.trim_end_matches('=').len() % 4 == 1 {
        data.truncate(data.trim_end_matches('=').len().saturating_sub(1));
    }
    LENIENT.decode(data.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;

    fn shown(field: &str) -> String {
        let text = format!("MSH|^~\\&|\rOBX|{field}");
        let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
        match read(message.segments[1].field(1)) {
            Attachment::Text(text) => text,
            Attachment::File(words) => format!("[{words}]"),
            Attachment::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn text_is_read_wherever_its_parts_stand() {
        for field in [
            "^TEXT^^Base64^SGVhcnQgc2l6ZSBub3JtYWwu",
            "APP^TEXT^plain^Base64^SGVhcnQgc2l6\\.br\\ZSBub3JtYWwu",
            "^TEXT^Base64^SGVhcnQgc2l6ZSBub3JtYWwu",
            "^application^octet-stream^hex^48656172742073697A65206E6F726D616C2E",
            "^TEXT^plain^A^Heart size normal.",
            "^text^html^Base64^PGh0bWw+PGI+SGVhcnQ8L2I+IHNpemUgbm9ybWFsLjwvaHRtbD4=",
        ] {
            assert_eq!(shown(field), "Heart size normal.", "{field}");
        }
    }

    #[test]
    fn other_files_are_named_by_kind_and_size() {
        assert_eq!(shown("^application^pdf^Base64^JVBERi0xLjQK"), "[PDF document, 9 bytes]");
        assert_eq!(shown("^application^octet-stream^Base64^JVBERi0xLjQK"), "[PDF document, 9 bytes]");
        assert_eq!(shown("^IM^JPEG^Base64^/9j/4A=="), "[picture, 4 bytes]");
        assert_eq!(shown("^application^pdf^Base64^"), "-");
        assert_eq!(shown("^application^pdf^Base64^***"), "[damaged file]");
    }
}
