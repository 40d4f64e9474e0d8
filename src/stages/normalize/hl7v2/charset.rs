//! Bytes of a message to text, by what MSH-18 declares.
//!
//! Nothing declared means ASCII by the standard; in practice it is UTF-8 or Windows-1252.

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::domain::{Finding, QuarantineReason, Severity, Unreadable};

/// Bytes of the header that are looked at to find MSH-18.
const MAX_HEADER: usize = 8 * 1024;

pub(super) struct Decoded {
    pub text: String,
    /// What `\X..\` escapes are in.
    pub encoding: &'static Encoding,
    pub finding: Option<Finding>,
}

/// Errors: a character set that can't be read here, and bytes that need it.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Unreadable> {
    if let Some(encoding) = wide(bytes) {
        let (text, _) = encoding.decode_with_bom_removal(bytes);
        return Ok(Decoded { text: text.into_owned(), encoding: UTF_8, finding: None });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let sets: Vec<CharacterSet> = declared(bytes).iter().map(|name| character_set(name)).collect();
    let encoding = sets.iter().find_map(|set| set.encoding());
    if bytes.is_ascii() && !bytes.contains(&0x1b) {
        return Ok(exact(bytes, encoding.unwrap_or(UTF_8)));
    }
    if sets.contains(&CharacterSet::NotRead) {
        let detail = "MSH-18: a character set that is not read";
        return Err(Unreadable::new(QuarantineReason::UnsupportedMessage, detail));
    }
    // The first set is the default; a later one may be switched to by escape sequences.
    let switches = sets.iter().any(|set| set.encoding() == Some(ISO_2022_JP));
    Ok(match encoding {
        _ if switches && bytes.contains(&0x1b) => exact(bytes, ISO_2022_JP),
        Some(encoding) if encoding != UTF_8 => exact(bytes, encoding),
        _ => guessed(bytes, encoding.is_some()),
    })
}

fn exact(bytes: &[u8], encoding: &'static Encoding) -> Decoded {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    Decoded { text: text.into_owned(), encoding, finding: None }
}

/// UTF-8 where it is, else Windows-1252, unless most of it is UTF-8 as declared and only a few bytes are damaged.
fn guessed(bytes: &[u8], is_declared: bool) -> Decoded {
    if std::str::from_utf8(bytes).is_ok() {
        return exact(bytes, UTF_8);
    }
    let mut multibyte = 0_usize;
    let mut damaged = 0_usize;
    for chunk in bytes.utf8_chunks() {
        multibyte += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        damaged += usize::from(!chunk.invalid().is_empty());
    }
    let encoding = if is_declared && multibyte > damaged { UTF_8 } else { WINDOWS_1252 };
    let finding = Finding { rule: "character_set".to_owned(), severity: Severity::Warning, path: "MSH-18".to_owned() };
    Decoded { finding: Some(finding), ..exact(bytes, encoding) }
}

/// UTF-16, by its mark or by the zero bytes of `MSH`; such messages come in files only.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"M\0S\0H\0") {
        Some(UTF_16LE)
    } else if bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\0M\0S\0H") {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// The repetitions of MSH-18, read as bytes: all sets but UTF-16 keep ASCII for the header.
fn declared(bytes: &[u8]) -> Vec<String> {
    let blank = bytes.iter().take_while(|b| !b.is_ascii_alphanumeric()).count();
    let header = bytes.get(blank..).unwrap_or_default();
    let header = header.get(..header.len().min(MAX_HEADER)).unwrap_or_default();
    let header = header.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let Some(field) = header.get(3) else { return Vec::new() };
    let repetition = header.get(5).copied().unwrap_or(b'~');
    let set = header.split(|b| b == field).nth(17).unwrap_or_default();
    let names = set.split(|b| *b == repetition).map(|name| String::from_utf8_lossy(name).trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum CharacterSet {
    Known(&'static Encoding),
    /// ASCII, or a name that means nothing: what the bytes are has to be guessed.
    Guess,
    /// Known to be none that can be read.
    NotRead,
}

impl CharacterSet {
    fn encoding(self) -> Option<&'static Encoding> {
        match self {
            Self::Known(encoding) => Some(encoding),
            Self::Guess | Self::NotRead => None,
        }
    }
}

/// HL7 table 0211, and what senders write instead.
fn character_set(name: &str) -> CharacterSet {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let known = match plain.as_str() {
        "" | "ASCII" | "USASCII" | "ISOIR6" => return CharacterSet::Guess,
        "CNS116431992" | "UNICODEUTF32" | "UTF32" => return CharacterSet::NotRead,
        // UTF-16 is told by its bytes before this is read, so what is only called so is UTF-8.
        "UNICODE" | "UNICODEUTF8" | "UTF8" | "UNICODEUTF16" | "UTF16" => UTF_8,
        "GB180302000" | "GB18030" | "GB2312" | "GBK" => GB18030,
        "BIG5" => BIG5,
        "KSX1001" | "KSC5601" | "ISOIR149" => EUC_KR,
        "ISOIR13" | "ISOIR14" | "ISOIR87" | "ISOIR159" | "JISX0201" | "JISX0208" | "JISX0212" => ISO_2022_JP,
        "EUCJP" => EUC_JP,
        "ISOIR100" => WINDOWS_1252,
        _ => {
            let part = plain.trim_start_matches("ISO").strip_prefix("8859").map(|part| format!("iso-8859-{part}"));
            let label = part.unwrap_or_else(|| name.to_owned());
            return Encoding::for_label(label.as_bytes()).map_or(CharacterSet::Guess, CharacterSet::Known);
        }
    };
    CharacterSet::Known(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(set: &str, name: &[u8]) -> Vec<u8> {
        let mut bytes = format!("MSH|^~\\&|A|B|C|D|2024||ADT^A08|1|P|2.5||||||{set}\rPID|||7||").into_bytes();
        bytes.extend_from_slice(name);
        bytes
    }

    fn name(set: &str, name: &[u8]) -> (String, bool) {
        let decoded = decode(&message(set, name)).unwrap();
        (decoded.text.rsplit('|').next().unwrap().to_owned(), decoded.finding.is_some())
    }

    #[test]
    fn declared_sets_are_honoured() {
        for (set, bytes, text) in [
            ("8859/1", b"M\xfcller".as_slice(), "Müller"),
            ("8859/2", b"Nov\xe1k \xb9", "Novák š"),
            ("8859/15", b"\xa4", "€"),
            ("UNICODE UTF-8", "Müller".as_bytes(), "Müller"),
            ("UTF-8", "Müller".as_bytes(), "Müller"),
            ("GB 18030-2000", b"\xcd\xf5", "王"),
            ("BIG-5", b"\xa4\xfd", "王"),
            ("KS X 1001", b"\xb1\xe8", "김"),
            ("~ISO IR87", b"\x1b$B;3ED\x1b(B", "山田"),
            ("ASCII~ISO IR87", b"\x1b$B;3ED\x1b(B", "山田"),
        ] {
            assert_eq!(name(set, bytes), (text.to_owned(), false), "{set}");
        }
    }

    #[test]
    fn nothing_declared_is_utf_8_or_else_guessed_and_found() {
        assert_eq!(name("", "Müller".as_bytes()), ("Müller".to_owned(), false));
        assert_eq!(name("ASCII", b"M\xfcller"), ("Müller".to_owned(), true));
        assert_eq!(name("UNICODE UTF-8", b"M\xfcller"), ("Müller".to_owned(), true));
    }

    #[test]
    fn damaged_utf_8_keeps_what_is_whole() {
        let (text, found) = name("UTF-8", b"\xc3\xbc\xc3\xbc\xc3\xbc\xff");
        assert_eq!((text.as_str(), found), ("üüü\u{fffd}", true));
    }

    #[test]
    fn utf_16_is_told_by_its_bytes() {
        let plain = "MSH|^~\\&|A\rPID|||ü";
        let little: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = [0xfeff].into_iter().chain(plain.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            assert_eq!(decode(&bytes).unwrap().text, plain);
        }
    }

    #[test]
    fn a_set_that_is_not_read_matters_only_where_it_is_used() {
        assert!(decode(&message("CNS 11643-1992", b"\xc4\xe3")).is_err());
        assert!(decode(&message("CNS 11643-1992", b"plain")).is_ok());
    }
}
