//! Bytes of a text to characters, by the character set it declares.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, WINDOWS_1252};

#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    pub text: String,
    /// The bytes aren't what they were declared to be, and were read as Windows-1252.
    pub guessed: bool,
}

impl Decoded {
    /// Control characters that no text has: what was decoded is something else.
    pub fn looks_binary(&self) -> bool {
        self.text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{b}' | '\u{c}'))
    }
}

/// `None` for a character set that isn't known. A byte-order mark wins over what is declared.
///
/// Latin-1 is read as Windows-1252, as browsers do, since that is what senders mean by it.
pub(super) fn decode(bytes: &[u8], declared: Option<&str>) -> Option<Decoded> {
    let label = declared.unwrap_or_default().trim_matches(['"', '\'', ' ']);
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if label.is_empty() || label.to_ascii_lowercase().ends_with("ascii") => UTF_8,
        // Without a mark the standard says big-endian; browsers say otherwise.
        None if label.eq_ignore_ascii_case("utf-16") => UTF_16BE,
        None => Encoding::for_label(label.as_bytes())?,
    };
    let (text, damaged) = encoding.decode_with_bom_removal(bytes);
    if damaged && encoding == UTF_8 {
        return Some(Decoded { text: windows_1252(bytes), guessed: true });
    }
    Some(Decoded { text: text.into_owned(), guessed: false })
}

pub(super) fn windows_1252(bytes: &[u8]) -> String {
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn declared_sets_are_honoured() {
        for (bytes, declared) in [
            ("38 °C".as_bytes(), None),
            (b"38 \xb0C".as_slice(), Some("ISO-8859-1")),
            (b"38 \xb0C", Some("\"windows-1252\"")),
            (b"38 \xb0C", Some("iso-8859-15")),
            (b"\xff\xfe3\08\0 \0\xb0\0C\0", Some("utf-16")),
            (b"\xff\xfe3\08\0 \0\xb0\0C\0", None),
            (b"3\08\0 \0\xb0\0C\0", Some("UTF-16LE")),
            (b"\x003\x008\0 \0\xb0\0C", Some("utf-16")),
        ] {
            let decoded = decode(bytes, declared).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.guessed), ("38 °C", false), "{declared:?}");
        }
    }

    #[test]
    fn bytes_that_belie_their_declaration_are_guessed_and_marked() {
        for declared in [Some("utf-8"), Some("us-ascii"), None] {
            let decoded = decode(b"it\x92s 38 \xb0C", declared).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.guessed), ("it’s 38 °C", true));
            assert!(!decoded.looks_binary());
        }
        assert!(decode(b"\x80\x81\x02", None).unwrap().looks_binary());
    }

    #[test]
    fn an_unknown_set_is_refused() {
        assert_eq!(decode(b"abc", Some("ebcdic")), None);
    }
}
