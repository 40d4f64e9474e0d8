//! A PDF font: the bytes of a string to characters and how far each moves on.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Encoding, Object};

use super::cmap::CharacterMap;
use super::widths;

const MAX_FONT_BYTES: usize = 4 * 1024 * 1024;
const MAX_WIDTHS: usize = 100_000;

#[derive(Debug)]
pub(super) struct Font {
    codes: Codes,
    map: CharacterMap,
    /// What a code of one byte means by the font's encoding.
    table: Vec<Option<String>>,
    widths: HashMap<u32, f64>,
    missing_width: Option<f64>,
    /// Glyph space to text space: a thousandth but for fonts drawn by the page itself.
    scale: f64,
    base_font: String,
}

#[derive(Debug, PartialEq)]
enum Codes {
    OneByte,
    TwoBytes,
    /// Two bytes that are UTF-16 themselves.
    Utf16,
    /// As the font's own character map divides them.
    Mapped,
}

/// One character shown.
#[derive(Debug, PartialEq)]
pub(super) struct Shown {
    /// `None`: the font doesn't say what it means.
    pub text: Option<String>,
    /// For a size of 1.
    pub width: f64,
    /// The single byte 32, which word spacing widens.
    pub is_word_space: bool,
}

impl Font {
    pub fn read(document: &Document, font: &Dictionary) -> Self {
        let subtype = name(document, font, b"Subtype").unwrap_or_default();
        let map = stream(document, font, b"ToUnicode").map(|bytes| CharacterMap::read(&bytes)).unwrap_or_default();
        let base_font = name(document, font, b"BaseFont").unwrap_or_default();
        if subtype == "Type0" {
            Self::composite(document, font, map, base_font)
        } else {
            Self::simple(document, font, map, base_font, subtype == "Type3")
        }
    }

    fn simple(document: &Document, font: &Dictionary, map: CharacterMap, base_font: String, drawn: bool) -> Self {
        let first = number(document, font, b"FirstChar").unwrap_or(0.0).clamp(0.0, 65_535.0) as u32;
        let widths = array(document, font, b"Widths").unwrap_or_default();
        let widths = (first..).zip(widths.iter().take(MAX_WIDTHS).map(|width| resolved(document, width)));
        let descriptor = dictionary(document, font, b"FontDescriptor");
        let missing = descriptor.and_then(|descriptor| number(document, descriptor, b"MissingWidth"));
        let matrix = array(document, font, b"FontMatrix").and_then(|matrix| matrix.first()?.as_float().ok());
        Self {
            codes: Codes::OneByte,
            map,
            table: table(document, font),
            widths: widths.filter_map(|(code, width)| Some((code, f64::from(width.as_float().ok()?)))).collect(),
            missing_width: missing.filter(|width| *width > 0.0),
            scale: if drawn { matrix.map_or(0.001, f64::from) } else { 0.001 },
            base_font,
        }
    }

    fn composite(document: &Document, font: &Dictionary, mut map: CharacterMap, base_font: String) -> Self {
        let encoding = name(document, font, b"Encoding");
        let own = stream(document, font, b"Encoding").map(|bytes| CharacterMap::read(&bytes));
        let codes = match (&encoding, own) {
            (Some(name), _) if name.contains("UCS2") || name.contains("UTF16") => Codes::Utf16,
            (_, Some(own)) if !own.codespaces.is_empty() => {
                map.codespaces = own.codespaces;
                Codes::Mapped
            }
            _ => Codes::TwoBytes,
        };
        let descendant = array(document, font, b"DescendantFonts")
            .and_then(|fonts| resolved(document, fonts.first()?).as_dict().ok());
        Self {
            codes,
            map,
            table: Vec::new(),
            widths: descendant.map(|font| composite_widths(document, font)).unwrap_or_default(),
            missing_width: Some(descendant.and_then(|font| number(document, font, b"DW")).unwrap_or(1000.0)),
            scale: 0.001,
            base_font,
        }
    }

    /// The characters of a string shown in this font, in order.
    pub fn shown(&self, bytes: &[u8]) -> Vec<Shown> {
        let mut shown = Vec::new();
        let mut rest = bytes;
        while let Some((code, length)) = self.next_code(rest) {
            rest = rest.get(length..).unwrap_or_default();
            let text = self.meaning(code);
            let width = self.width(code, text.as_deref());
            let is_word_space = length == 1 && code == 32;
            shown.push(Shown { text, width, is_word_space });
        }
        shown
    }

    fn next_code(&self, bytes: &[u8]) -> Option<(u32, usize)> {
        let of = |length: usize| {
            let bytes = bytes.get(..length)?;
            Some((bytes.iter().fold(0u32, |code, byte| (code << 8) | u32::from(*byte)), length))
        };
        let single = of(1)?;
        match self.codes {
            Codes::OneByte => Some(single),
            Codes::TwoBytes | Codes::Utf16 => of(2).or(Some(single)),
            Codes::Mapped => {
                let fits = |(length, low, high): &(usize, u32, u32)| {
                    of(*length).filter(|(code, _)| (low..=high).contains(&code))
                };
                self.map.codespaces.iter().find_map(fits).or(Some(single))
            }
        }
    }

    fn meaning(&self, code: u32) -> Option<String> {
        if let Some(meaning) = self.map.meaning.get(&code) {
            return Some(meaning.clone());
        }
        match self.codes {
            Codes::OneByte => usize::try_from(code).ok().and_then(|code| self.table.get(code)?.clone()),
            Codes::Utf16 => char::from_u32(code).map(String::from),
            Codes::TwoBytes | Codes::Mapped => None,
        }
    }

    fn width(&self, code: u32, text: Option<&str>) -> f64 {
        let standard = || widths::standard(&self.base_font, text.and_then(|text| text.chars().next()).unwrap_or('n'));
        let width = self.widths.get(&code).copied().or(self.missing_width).unwrap_or_else(standard);
        let width = width * self.scale;
        if width.is_finite() { width.clamp(-10.0, 10.0) } else { 0.5 }
    }
}

/// What each of the 256 codes means, by the encoding that the font names and its differences.
fn table(document: &Document, font: &Dictionary) -> Vec<Option<String>> {
    let encoding = font.get(b"Encoding").ok().map(|encoding| resolved(document, encoding));
    let (base, differences) = match encoding {
        Some(Object::Name(name)) => (Some(name.as_slice()), None),
        Some(Object::Dictionary(encoding)) => (
            encoding.get(b"BaseEncoding").ok().and_then(|base| resolved(document, base).as_name().ok()),
            array(document, encoding, b"Differences"),
        ),
        _ => (None, None),
    };
    let is_true_type = name(document, font, b"Subtype").is_some_and(|subtype| subtype == "TrueType");
    let base = base.unwrap_or(if is_true_type { b"WinAnsiEncoding" } else { b"StandardEncoding" });
    let mut table = base_table(base);
    let mut code = 0usize;
    for difference in differences.into_iter().flatten() {
        match resolved(document, difference) {
            Object::Integer(next) => code = usize::try_from(*next).unwrap_or(usize::MAX),
            Object::Name(glyph) => {
                if let Some(entry) = table.get_mut(code) {
                    *entry = glyph_meaning(glyph).or_else(|| entry.take().filter(|_| glyph.is_empty()));
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    table
}

fn base_table(name: &[u8]) -> Vec<Option<String>> {
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    let known: &[&[u8]] = &[b"WinAnsiEncoding", b"MacRomanEncoding", b"MacExpertEncoding", b"StandardEncoding"];
    let name = if known.contains(&name) { name } else { b"WinAnsiEncoding".as_slice() };
    font.set("Encoding", Object::Name(name.to_vec()));
    let empty = Document::new();
    let Ok(encoding) = font.get_font_encoding(&empty) else { return vec![None; 256] };
    (0..=255u8).map(|code| encoding.bytes_to_string(&[code]).ok().filter(|text| !text.is_empty())).collect()
}

/// A glyph's name to what it means: `eacute`, `uni00B5`, `u1F600`, `f_i`, `one.oldstyle`.
fn glyph_meaning(glyph: &[u8]) -> Option<String> {
    let glyph = glyph.split(|byte| *byte == b'.').next().unwrap_or_default();
    if glyph.is_empty() || glyph.len() > 64 {
        return None;
    }
    let parts = glyph.split(|byte| *byte == b'_').map(|part| by_number(part).or_else(|| by_list(part)));
    parts.collect::<Option<String>>().filter(|meaning| !meaning.is_empty())
}

fn by_number(glyph: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(glyph).ok()?;
    let digits = text.strip_prefix("uni").or_else(|| text.strip_prefix('u'))?;
    let shaped = (4..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    shaped.then(|| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)).flatten().map(String::from)
}

/// The library keeps the list of glyph names to itself, but applies it to a font's differences.
fn by_list(glyph: &[u8]) -> Option<String> {
    let mut encoding = Dictionary::new();
    encoding.set("Differences", Object::Array(vec![Object::Integer(1), Object::Name(glyph.to_vec())]));
    let mut font = Dictionary::new();
    font.set("Type", Object::Name(b"Font".to_vec()));
    font.set("Encoding", Object::Dictionary(encoding));
    let empty = Document::new();
    match font.get_font_encoding(&empty) {
        Ok(encoding @ Encoding::Differences(_)) => encoding.bytes_to_string(&[1]).ok(),
        _ => None,
    }
}

/// `W`: `first [w w w]` or `first last w`, as often as it likes.
fn composite_widths(document: &Document, font: &Dictionary) -> HashMap<u32, f64> {
    let mut widths = HashMap::new();
    let mut entries = array(document, font, b"W").unwrap_or_default().iter().map(|entry| resolved(document, entry));
    let code = |object: &Object| object.as_float().ok().map(|code| code.clamp(0.0, 65_535.0) as u32);
    while let Some(first) = entries.next().and_then(code) {
        match entries.next() {
            Some(Object::Array(list)) => {
                for (code, width) in (first..).zip(list.iter().take(MAX_WIDTHS)) {
                    if let Ok(width) = resolved(document, width).as_float() {
                        widths.insert(code, f64::from(width));
                    }
                }
            }
            Some(last) => {
                let width = entries.next().and_then(|width| width.as_float().ok());
                let (Some(last), Some(width)) = (code(last), width) else { break };
                widths.extend((first..=last).map(|code| (code, f64::from(width))));
            }
            None => break,
        }
    }
    widths
}

/// Follows references, but not in a circle.
pub(super) fn resolved<'a>(document: &'a Document, object: &'a Object) -> &'a Object {
    document.dereference(object).map_or(&Object::Null, |(_, object)| object)
}

fn get<'a>(document: &'a Document, of: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
    of.get(key).ok().map(|object| resolved(document, object))
}

pub(super) fn dictionary<'a>(document: &'a Document, of: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    get(document, of, key)?.as_dict().ok()
}

pub(super) fn array<'a>(document: &'a Document, of: &'a Dictionary, key: &[u8]) -> Option<&'a [Object]> {
    get(document, of, key)?.as_array().ok().map(Vec::as_slice)
}

pub(super) fn name(document: &Document, of: &Dictionary, key: &[u8]) -> Option<String> {
    get(document, of, key)?.as_name().ok().map(|name| String::from_utf8_lossy(name).into_owned())
}

fn number(document: &Document, of: &Dictionary, key: &[u8]) -> Option<f64> {
    get(document, of, key)?.as_float().ok().map(f64::from)
}

fn stream(document: &Document, of: &Dictionary, key: &[u8]) -> Option<Vec<u8>> {
    get(document, of, key)?.as_stream().ok()?.get_plain_content_with_limit(MAX_FONT_BYTES).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyph_names_mean_characters() {
        let of = |name: &[u8]| glyph_meaning(name);
        assert_eq!(of(b"eacute").as_deref(), Some("é"));
        assert_eq!(of(b"uni00B5").as_deref(), Some("µ"));
        assert_eq!(of(b"f_i").as_deref(), Some("fi"));
        assert_eq!(of(b"one.oldstyle").as_deref(), Some("1"));
        assert_eq!(of(b"g37"), None);
        assert_eq!(of(b".notdef"), None);
    }

    #[test]
    fn base_encodings_differ_where_they_should() {
        let at = |name: &[u8], code: usize| base_table(name)[code].clone();
        assert_eq!(at(b"WinAnsiEncoding", 0x92).as_deref(), Some("’"));
        assert_eq!(at(b"MacRomanEncoding", 0x8e).as_deref(), Some("é"));
        assert_eq!(at(b"StandardEncoding", 0x27).as_deref(), Some("’"));
        assert_eq!(at(b"Made-up", 0x41).as_deref(), Some("A"));
    }
}
