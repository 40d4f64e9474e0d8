//! Character maps of a PDF font: which codes a string holds, and what each means in Unicode.

use std::collections::HashMap;

/// Entries read of one map; a font that means more than this is not read further.
const MAX_ENTRIES: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct CharacterMap {
    pub meaning: HashMap<u32, String>,
    /// `(bytes, low, high)` of the codes that the map speaks of.
    pub codespaces: Vec<(usize, u32, u32)>,
}

impl CharacterMap {
    /// Reads `codespacerange`, `bfchar` and `bfrange`; what isn't understood is passed over.
    pub fn read(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut operands: Vec<Token> = Vec::new();
        for token in (Tokens { rest: bytes }) {
            match token {
                Token::Word(word) => {
                    match word.as_slice() {
                        b"endcodespacerange" => map.codespaces(&operands),
                        b"endbfchar" => map.characters(&operands),
                        b"endbfrange" => map.ranges(&operands),
                        _ => {}
                    }
                    operands.clear();
                }
                other if operands.len() < MAX_ENTRIES => operands.push(other),
                _ => {}
            }
        }
        map
    }

    fn codespaces(&mut self, operands: &[Token]) {
        let (pairs, _) = operands.as_chunks::<2>();
        for [low, high] in pairs {
            if let (Token::Bytes(low), Token::Bytes(high)) = (low, high)
                && (1..=4).contains(&low.len())
                && self.codespaces.len() < 256
            {
                self.codespaces.push((low.len(), code(low), code(high)));
            }
        }
    }

    fn characters(&mut self, operands: &[Token]) {
        let (pairs, _) = operands.as_chunks::<2>();
        for [from, to] in pairs {
            if let (Token::Bytes(from), Token::Bytes(to)) = (from, to) {
                self.put(code(from), utf16(to));
            }
        }
    }

    fn ranges(&mut self, operands: &[Token]) {
        let mut operands = operands.iter();
        while let (Some(low), Some(high)) = (operands.next(), operands.next()) {
            let (Token::Bytes(low), Token::Bytes(high)) = (low, high) else { return };
            let codes = code(low)..=code(high).min(code(low).saturating_add(0xffff));
            match operands.next() {
                Some(Token::Bytes(first)) => {
                    for (step, code) in (0..=u16::MAX).zip(codes) {
                        if self.meaning.len() >= MAX_ENTRIES {
                            return;
                        }
                        self.put(code, stepped(first, step));
                    }
                }
                Some(Token::Open) => {
                    let mut codes = codes;
                    for operand in operands.by_ref() {
                        match operand {
                            Token::Bytes(to) => {
                                if let Some(code) = codes.next() {
                                    self.put(code, utf16(to));
                                }
                            }
                            Token::Close => break,
                            _ => {}
                        }
                    }
                }
                _ => return,
            }
        }
    }

    fn put(&mut self, code: u32, meaning: String) {
        if self.meaning.len() < MAX_ENTRIES && !meaning.is_empty() {
            self.meaning.insert(code, meaning);
        }
    }
}

fn code(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |code, byte| (code << 8) | u32::from(*byte))
}

fn units(bytes: &[u8]) -> Vec<u16> {
    if let [single] = bytes {
        return vec![u16::from(*single)];
    }
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

fn utf16(bytes: &[u8]) -> String {
    let decoded = char::decode_utf16(units(bytes)).flatten();
    decoded.filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// The meaning `step` behind the first of a range: only its last unit counts on.
fn stepped(first: &[u8], step: u16) -> String {
    let mut units = units(first);
    if let Some(last) = units.last_mut() {
        *last = last.wrapping_add(step);
    }
    char::decode_utf16(units).flatten().filter(|c| !c.is_control()).collect()
}

#[derive(Debug)]
enum Token {
    Bytes(Vec<u8>),
    Open,
    Close,
    Word(Vec<u8>),
    /// A number or a name: counted, never needed.
    Other,
}

struct Tokens<'a> {
    rest: &'a [u8],
}

impl Tokens<'_> {
    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> Vec<u8> {
        let length = self.rest.iter().take_while(|byte| keep(**byte)).count();
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken.to_vec()
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            self.take_while(|byte| byte.is_ascii_whitespace() || byte == 0);
            let first = *self.rest.first()?;
            match first {
                b'%' => {
                    self.take_while(|byte| byte != b'\n' && byte != b'\r');
                }
                b'<' if self.rest.get(1) == Some(&b'<') => {
                    self.skip();
                    self.skip();
                }
                b'<' => {
                    self.skip();
                    let digits = self.take_while(|byte| byte != b'>');
                    self.skip();
                    return Some(Token::Bytes(hexadecimal(&digits)));
                }
                b'[' | b']' => {
                    self.skip();
                    return Some(if first == b'[' { Token::Open } else { Token::Close });
                }
                b'/' => {
                    self.skip();
                    self.take_while(is_regular);
                    return Some(Token::Other);
                }
                byte if is_regular(byte) => {
                    let word = self.take_while(is_regular);
                    let number = word.iter().all(|byte| byte.is_ascii_digit() || b"+-.".contains(byte));
                    return Some(if number { Token::Other } else { Token::Word(word) });
                }
                _ => self.skip(),
            }
        }
    }
}

fn is_regular(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && byte != 0 && !b"()<>[]{}/%".contains(&byte)
}

fn hexadecimal(digits: &[u8]) -> Vec<u8> {
    let mut nibbles: Vec<u8> = digits
        .iter()
        .filter_map(|digit| char::from(*digit).to_digit(16))
        .filter_map(|d| u8::try_from(d).ok())
        .collect();
    if nibbles.len() % 2 == 1 {
        nibbles.push(0);
    }
    let (pairs, _) = nibbles.as_chunks::<2>();
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

#[cfg(test)]
mod tests {
    use super::CharacterMap;

    #[test]
    fn characters_ranges_and_lists_are_read() {
        let map = CharacterMap::read(
            b"/CIDInit /ProcSet findresource begin 1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
              2 beginbfchar <0003> <0020> <0004> <00660069> endbfchar % a ligature\n\
              2 beginbfrange <0010> <0012> <0041> <0020> <0021> [<03B1> <03B2>] endbfrange",
        );
        assert_eq!(map.codespaces, [(2, 0, 0xffff)]);
        let meaning = |code| map.meaning.get(&code).map(String::as_str);
        assert_eq!([3, 4, 0x12, 0x21].map(meaning), [Some(" "), Some("fi"), Some("C"), Some("β")]);
        assert_eq!(meaning(0x13), None);
    }

    #[test]
    fn a_hostile_range_ends() {
        let map = CharacterMap::read(b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange <");
        assert!(map.meaning.len() <= 0x10000);
    }
}
