//! ED: a file inside a message. What can be read is read; of any other it is said that it is there.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::domain::{Labels, QuarantineReason};
use crate::stages::normalize::attachments::{self, Readable};

use super::message::Part;

/// Senders leave the padding out, or cut a file in the middle of a group of four.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) enum Attachment {
    /// Read in full, with what it says of its sensitivity.
    Text(String, Labels),
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
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    let (name, content_type) = match () {
        () if says(&["pdf"]) || begins(b"%PDF") => ("PDF document", "application/pdf"),
        () if says(&["rtf", "richtext"]) || begins(b"{\\rtf") => ("RTF document", "application/rtf"),
        () if says(&["html"]) || is_page(bytes) => ("HTML document", "text/html"),
        () if says(&["xml", "cda"]) || begins(b"<?xml") => ("XML document", "application/xml"),
        () if begins(b"PK\x03\x04") => ("packed document", ""),
        () if is_picture(kind) || begins(b"\x89PNG") || begins(b"\xff\xd8\xff") || begins(b"GIF8") => {
            return file("picture");
        }
        () if says(&["text", "plain", "txt", " ft ", " tx "]) => ("text", ""),
        () => ("file", ""),
    };
    match attachments::read(content_type, bytes) {
        Ok(Readable { text, labels, .. }) => Attachment::Text(text, labels),
        Err(hindrance) if hindrance.reason == QuarantineReason::NoTextLayer => {
            Attachment::File(format!("{name} without a text layer, {} bytes", bytes.len()))
        }
        Err(_) => file(name),
    }
}

fn is_page(bytes: &[u8]) -> bool {
    let start = bytes.get(..bytes.len().min(256)).unwrap_or_default().trim_ascii_start();
    let begins = |mark: &[u8]| start.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
    begins(b"<html") || begins(b"<!doctype html")
}

fn is_picture(kind: &str) -> bool {
    ["jpeg", "jpg", "png", "gif", "tiff", "pict", "dicom", "image", "bmp"].iter().any(|word| kind.contains(word))
}

/// Line breaks, also escaped ones, stand within the data.
fn packed(part: Part<'_>) -> String {
    part.paragraphs().chars().filter(|c| !c.is_whitespace()).collect()
}

fn base64(part: Part<'_>) -> Option<Vec<u8>> {
    let data = packed(part);
    // As bytes: what isn't base64 at all may end within a letter here.
    let data = data.trim_end_matches('=').as_bytes();
    // A last sign by itself is no byte.
    let whole = if data.len() % 4 == 1 { data.len() - 1 } else { data.len() };
    LENIENT.decode(data.get(..whole)?).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::super::message::Message;
    use super::*;
    use crate::domain::Confidentiality;
    use crate::stages::normalize::pdf::writer::PdfWriter;

    fn shown(field: &str) -> String {
        let text = format!("MSH|^~\\&|\rOBX|{field}");
        let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
        match read(message.segments[1].field(1)) {
            Attachment::Text(text, _) => text,
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
    fn documents_are_read_whatever_they_are_declared() {
        let pdf = BASE64.encode(PdfWriter::new().page_of_lines(&["Heart size normal."]).write());
        let rtf = BASE64.encode(b"{\\rtf1 Heart size normal.}");
        for field in [
            format!("^application^pdf^Base64^{pdf}"),
            format!("^application^octet-stream^Base64^{pdf}"),
            format!("^TEXT^RTF^Base64^{rtf}"),
            format!("^application^^Base64^{rtf}"),
        ] {
            assert_eq!(shown(&field), "Heart size normal.", "{field}");
        }
    }

    #[test]
    fn an_attached_cda_is_read_and_brings_its_labels() {
        let cda = BASE64.encode(
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><confidentialityCode code=\"R\"/><component><structuredBody>\
             <component><section><title>Plan</title><text>Rest.</text></section></component>\
             </structuredBody></component></ClinicalDocument>",
        );
        let text = format!("MSH|^~\\&|\rOBX|^multipart^x-hl7-cda-level-one^Base64^{cda}");
        let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
        let Attachment::Text(text, labels) = read(message.segments[1].field(1)) else { panic!() };
        assert!(text.contains("## Plan\nRest."), "{text}");
        assert_eq!(labels.confidentiality, Confidentiality::R);
    }

    #[test]
    fn other_files_are_named_by_kind_and_size() {
        assert_eq!(shown("^application^pdf^Base64^JVBERi0xLjQK"), "[PDF document, 9 bytes]");
        assert_eq!(shown("^application^octet-stream^Base64^JVBERi0xLjQK"), "[PDF document, 9 bytes]");
        assert_eq!(shown("^IM^JPEG^Base64^/9j/4A=="), "[picture, 4 bytes]");
        assert_eq!(shown("^application^pdf^Base64^"), "-");
        for data in ["***", "abcé", "abc\u{fffd}=="] {
            assert_eq!(shown(&format!("^application^pdf^Base64^{data}")), "[damaged file]");
        }
    }
}
