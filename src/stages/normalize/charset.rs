//! Bytes of an attachment to text, by the character set it declares.

/// What the bytes 0x80 to 0x9F mean in Windows-1252; the five unassigned ones stay control characters.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    pub text: String,
    /// The bytes aren't what they were declared to be, and were read as Windows-1252.
    pub guessed: bool,
}

/// `None` for a character set that isn't known.
///
/// Latin-1 is read as Windows-1252, as browsers do, since that is what senders mean by it.
pub(super) fn decode(bytes: &[u8], declared: Option<&str>) -> Option<Decoded> {
    let name = declared.unwrap_or("utf-8").trim_matches(['"', '\'', ' ']).to_ascii_lowercase();
    let exact = |text| Some(Decoded { text, guessed: false });
    match name.as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" | "" => match std::str::from_utf8(bytes) {
            Ok(text) => exact(text.to_owned()),
            Err(_) if has_byte_order_mark(bytes) => decode_utf16_by_mark(bytes).and_then(exact),
            Err(_) => Some(Decoded { text: windows_1252(bytes), guessed: true }),
        },
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" | "windows-1252" | "cp1252" => {
            exact(windows_1252(bytes))
        }
        "iso-8859-15" | "latin9" => exact(latin_9(bytes)),
        "utf-16le" => exact(utf16(bytes, u16::from_le_bytes)),
        "utf-16be" => exact(utf16(bytes, u16::from_be_bytes)),
        "utf-16" | "utf16" => {
            decode_utf16_by_mark(bytes).or_else(|| Some(utf16(bytes, u16::from_be_bytes))).and_then(exact)
        }
        _ => None,
    }
}

fn has_byte_order_mark(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

fn decode_utf16_by_mark(bytes: &[u8]) -> Option<String> {
    let rest = bytes.get(2..)?;
    match bytes.get(..2)? {
        [0xff, 0xfe] => Some(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff] => Some(utf16(rest, u16::from_be_bytes)),
        _ => None,
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

pub(super) fn windows_1252(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            0x80..=0x9f => WINDOWS_1252.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
            other => char::from(*other),
        })
        .collect()
}

fn latin_9(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            0xa4 => '€',
            0xa6 => 'Š',
            0xa8 => 'š',
            0xb4 => 'Ž',
            0xb8 => 'ž',
            0xbc => 'Œ',
            0xbd => 'œ',
            0xbe => 'Ÿ',
            other => char::from(*other),
        })
        .collect()
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
            (b"\xff\xfe3\08\0 \0\xb0\0C\0", Some("utf-16")),
            (b"3\08\0 \0\xb0\0C\0", Some("UTF-16LE")),
        ] {
            let decoded = decode(bytes, declared).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.guessed), ("38 °C", false), "{declared:?}");
        }
    }

    #[test]
    fn bytes_that_belie_their_declaration_are_guessed_and_marked() {
        let decoded = decode(b"it\x92s 38 \xb0C", Some("utf-8")).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.guessed), ("it’s 38 °C", true));
    }

    #[test]
    fn an_unknown_set_is_refused() {
        assert_eq!(decode(b"abc", Some("ebcdic")), None);
    }
}
