//! RTF as a row of tokens: braces, control words, bytes; every input is one.

/// One step of an RTF file.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// `\b0` is `("b", Some(0))`.
    Word(&'a str, Option<i32>),
    /// `\'e9`
    Byte(u8),
    /// `\~`, `\*`, `\{`: a backslash and what isn't a letter.
    Symbol(u8),
    Plain(&'a [u8]),
}

pub(super) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, keep: impl Fn(&u8) -> bool) -> &'a [u8] {
        self.take(self.rest.iter().take_while(|byte| keep(byte)).count())
    }

    /// Leaves out `length` bytes that `\bin` announced.
    pub fn leave_out(&mut self, length: usize) {
        self.take(length);
    }

    fn control(&mut self) -> Option<Token<'a>> {
        self.take(1);
        let first = *self.rest.first()?;
        if first.is_ascii_alphabetic() {
            let word = std::str::from_utf8(self.take_while(u8::is_ascii_alphabetic)).unwrap_or_default();
            let sign = if self.rest.first() == Some(&b'-') { self.take(1) } else { b"" };
            let digits = std::str::from_utf8(self.take_while(u8::is_ascii_digit)).unwrap_or_default();
            let number = digits.parse::<i32>().ok().map(|number| if sign.is_empty() { number } else { -number });
            if self.rest.first() == Some(&b' ') {
                self.take(1);
            }
            return Some(Token::Word(word, number));
        }
        self.take(1);
        if first == b'\'' {
            let digits = self.rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                self.take(2);
                return Some(Token::Byte(byte));
            }
        }
        Some(Token::Symbol(first))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            return match *self.rest.first()? {
                b'{' => {
                    self.take(1);
                    Some(Token::Open)
                }
                b'}' => {
                    self.take(1);
                    Some(Token::Close)
                }
                b'\\' => self.control(),
                b'\r' | b'\n' | 0 => {
                    self.take_while(|byte| matches!(byte, b'\r' | b'\n' | 0));
                    continue;
                }
                _ => Some(Token::Plain(self.take_while(|byte| !b"{}\\\r\n\0".contains(byte)))),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, Tokens};

    #[test]
    fn words_take_their_number_and_one_space() {
        let tokens: Vec<Token<'_>> = Tokens::new(b"{\\rtf1\\b  x\\u-3913?\\'e9\\~\\par\r\n}\\").collect();
        assert_eq!(
            tokens,
            [
                Token::Open,
                Token::Word("rtf", Some(1)),
                Token::Word("b", None),
                Token::Plain(b" x"),
                Token::Word("u", Some(-3913)),
                Token::Plain(b"?"),
                Token::Byte(0xe9),
                Token::Symbol(b'~'),
                Token::Word("par", None),
                Token::Close,
            ]
        );
    }
}
