//! Bytes of an XML document to text: by byte-order mark, by declaration, at last by what the bytes are.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::domain::{QuarantineReason, Unreadable};

/// As far as a declaration is looked for.
const DECLARATION_BYTES: usize = 256;

#[derive(Debug)]
pub(in crate::stages) struct Decoded<'a> {
    pub text: Cow<'a, str>,
    /// The bytes aren't what they were declared to be, and were read as Windows-1252.
    pub guessed: bool,
}

/// Errors: a character set that isn't known, of bytes that aren't UTF-8 either.
pub(in crate::stages) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Unreadable> {
    let (encoding, content) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (Some(encoding), bytes.get(length..).unwrap_or_default()),
        None => (without_mark(bytes), bytes),
    };
    let declared = match encoding {
        Some(encoding) => Some(encoding),
        None => match declaration(content) {
            Some(label) => Encoding::for_label(label).map(eight_bit),
            None => Some(UTF_8),
        },
    };
    if declared.is_none_or(|encoding| encoding == UTF_8) {
        return match std::str::from_utf8(content) {
            Ok(text) => Ok(Decoded { text: Cow::Borrowed(text), guessed: false }),
            Err(error) if declared.is_none() => {
                let detail = format!("unknown character set, byte {}", error.valid_up_to());
                Err(Unreadable::new(QuarantineReason::InvalidUtf8, detail))
            }
            Err(_) => {
                let (text, _) = WINDOWS_1252.decode_without_bom_handling(content);
                Ok(Decoded { text, guessed: true })
            }
        };
    }
    let (text, damaged) = declared.unwrap_or(UTF_8).decode_without_bom_handling(content);
    Ok(Decoded { text, guessed: damaged })
}

/// A declaration that could be read byte by byte is not of a set of two bytes a character, whatever it says.
fn eight_bit(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding }
}

/// UTF-16 shows by its `<`.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes.get(..2)? {
        [b'<', 0] => Some(UTF_16LE),
        [0, b'<'] => Some(UTF_16BE),
        _ => None,
    }
}

/// The label in `<?xml version="1.0" encoding="..."?>`.
fn declaration(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.trim_ascii_start();
    let head = start.get(..DECLARATION_BYTES.min(start.len()))?;
    let head = head.strip_prefix(b"<?xml")?;
    let head = head.get(..head.windows(2).position(|pair| pair == b"?>")?)?;
    let name = b"encoding";
    let at = head.windows(name.len()).position(|window| window == name)?;
    let value = head.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let quote = value.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let value = value.get(1..)?;
    value.get(..value.iter().position(|byte| byte == quote)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> (String, bool) {
        let decoded = decode(bytes).unwrap();
        (decoded.text.into_owned(), decoded.guessed)
    }

    #[test]
    fn marks_and_declarations_are_honoured() {
        assert_eq!(text(b"\xef\xbb\xbf<a>\xc3\xbc</a>"), ("<a>ü</a>".into(), false));
        assert_eq!(text(b"\xff\xfe<\0a\0/\0>\0"), ("<a/>".into(), false));
        assert_eq!(text(b"\0<\0a\0/\0>"), ("<a/>".into(), false));
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xfc</a>";
        assert!(text(latin).0.ends_with("<a>ü</a>"));
    }

    #[test]
    fn a_declaration_that_the_bytes_belie_is_passed_over() {
        assert_eq!(text(b"<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>").0.len(), 43);
        assert_eq!(text(b"<a>\xfc</a>"), ("<a>ü</a>".into(), true));
    }

    #[test]
    fn an_unknown_set_is_refused_unless_it_is_utf_8_after_all() {
        assert!(decode(b"<?xml version=\"1.0\" encoding=\"x-secret\"?><a>\xfc</a>").is_err());
        assert!(!text(b"<?xml version=\"1.0\" encoding=\"x-secret\"?><a/>").1);
    }
}
