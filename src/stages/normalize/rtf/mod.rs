//! RTF to text: paragraphs as lines, table rows as `cell | cell`, deleted and hidden text left out.
//!
//! Nothing is refused for being unusual: unknown control words are passed over, missing braces are closed.

mod charsets;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;

use encoding_rs::Encoding;

use crate::domain::{QuarantineReason, Timestamp, Unreadable};

use super::reading::{About, MAX_TEXT_BYTES, Reading, join_pages};
use tokens::{Token, Tokens};

const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;
/// Groups within groups; deeper ones are read as part of the last that counts.
const MAX_DEPTH: usize = 4_000;
const MAX_FONTS: usize = 20_000;

/// Groups whose text is not the document's.
const SKIPPED: [&str; 36] = [
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "generator",
    "pict",
    "object",
    "objdata",
    "themedata",
    "colorschememapping",
    "datastore",
    "latentstyles",
    "xmlnstbl",
    "mmathPr",
    "filetbl",
    "fldinst",
    "ftnsep",
    "ftnsepc",
    "aftnsep",
    "aftnsepc",
    "bkmkstart",
    "bkmkend",
    "atnid",
    "atnref",
    "atntime",
    "atndate",
    "atnparent",
    "do",
    "pnseclvl",
    "private",
    "template",
    "userprops",
    "docvar",
    "listpicture",
];

/// Errors: not RTF, too large, or nothing but blanks (pictures, if there are any).
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    let content = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if !content.starts_with(b"{\\rtf") {
        return Err(Unreadable::new(QuarantineReason::UnreadableFile, "no RTF header"));
    }
    if content.len() > MAX_FILE_BYTES {
        return Err(Unreadable::new(QuarantineReason::TooLarge, format!("RTF of {} bytes", content.len())));
    }
    let mut reader = Reader::new();
    let mut tokens = Tokens::new(content);
    while let Some(token) = tokens.next() {
        if let Token::Word("bin", Some(length)) = token {
            tokens.leave_out(usize::try_from(length).unwrap_or(0));
            continue;
        }
        reader.take(token);
        if reader.written > MAX_TEXT_BYTES {
            return Err(Unreadable::new(QuarantineReason::TooLarge, "text"));
        }
    }
    reader.finish()
}

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Body,
    Nowhere,
    Fonts,
    About(&'static str),
}

/// What a group inherits and gives back at its end.
#[derive(Clone, Debug)]
struct Group {
    target: Target,
    encoding: &'static Encoding,
    /// Characters that stand for one `\u`, for readers that don't know it.
    fallback: usize,
    hidden: bool,
    in_table: bool,
    /// A note or comment that stands within the text, in brackets.
    is_aside: bool,
}

struct Reader {
    group: Group,
    outer: Vec<Group>,
    /// Groups opened beyond those that are kept.
    beyond: usize,
    document_encoding: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    defined_font: i32,
    default_font: Option<i32>,
    /// Bytes that wait for the rest of their character.
    bytes: Vec<u8>,
    /// Characters still to be left out behind a `\u`.
    to_skip: usize,
    surrogate: Option<u16>,
    star: bool,
    page: String,
    pages: Vec<String>,
    about: About,
    property: String,
    moment: [i32; 5],
    has_picture: bool,
    has_page_breaks: bool,
    written: usize,
}

impl Reader {
    fn new() -> Self {
        let encoding = encoding_rs::WINDOWS_1252;
        Self {
            group: Group {
                target: Target::Body,
                encoding,
                fallback: 1,
                hidden: false,
                in_table: false,
                is_aside: false,
            },
            outer: Vec::new(),
            beyond: 0,
            document_encoding: encoding,
            fonts: HashMap::new(),
            defined_font: 0,
            default_font: None,
            bytes: Vec::new(),
            to_skip: 0,
            surrogate: None,
            star: false,
            page: String::new(),
            pages: Vec::new(),
            about: About::default(),
            property: String::new(),
            moment: [0; 5],
            has_picture: false,
            has_page_breaks: false,
            written: 0,
        }
    }

    fn take(&mut self, token: Token<'_>) {
        match token {
            Token::Plain(bytes) => bytes.iter().for_each(|byte| self.byte(*byte)),
            Token::Byte(byte) => self.byte(byte),
            other => {
                self.flush();
                match other {
                    Token::Open => self.open(),
                    Token::Close => self.close(),
                    Token::Symbol(symbol) => self.symbol(symbol),
                    Token::Word(word, number) => {
                        let starred = std::mem::take(&mut self.star);
                        self.word(word, number, starred);
                    }
                    Token::Plain(_) | Token::Byte(_) => {}
                }
            }
        }
    }

    fn open(&mut self) {
        self.to_skip = 0;
        if self.outer.len() < MAX_DEPTH {
            self.outer.push(self.group.clone());
        } else {
            self.beyond += 1;
        }
    }

    fn close(&mut self) {
        self.to_skip = 0;
        self.star = false;
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        let Some(outer) = self.outer.pop() else { return };
        let ended = std::mem::replace(&mut self.group, outer);
        if ended.is_aside && !self.group.is_aside {
            self.end_aside();
        }
        if ended.target != self.group.target
            && let Target::About(name) = ended.target
        {
            self.about_ended(name);
        }
    }

    fn about_ended(&mut self, name: &'static str) {
        let value = std::mem::take(&mut self.property);
        match name {
            "creatim" | "revtim" => {
                let [year, month, day, hour, minute] = std::mem::take(&mut self.moment);
                let time = Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z"));
                self.about.written =
                    if name == "revtim" { time.or(self.about.written) } else { self.about.written.or(time) };
            }
            name => self.about.put(name, &value),
        }
    }

    fn byte(&mut self, byte: u8) {
        self.star = false;
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        self.bytes.push(byte);
    }

    /// Turns the bytes that were collected into characters.
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let (text, _) = self.group.encoding.decode_without_bom_handling(&bytes);
        // Senders that write UTF-8 without saying so are understood; real Windows-1252 is hardly ever valid UTF-8.
        let text = match std::str::from_utf8(&bytes) {
            Ok(unicode) if !bytes.is_ascii() => unicode.to_owned(),
            _ => text.into_owned(),
        };
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        self.surrogate = None;
        match self.group.target {
            Target::Body if !self.group.hidden => {
                self.written += text.len();
                self.page.push_str(text);
            }
            Target::About(_) if self.property.len() < 4_000 => self.property.push_str(text),
            _ => {}
        }
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'*' => self.star = true,
            b'~' => self.character(" "),
            b'_' => self.character("-"),
            b'-' => {}
            b'\\' | b'{' | b'}' => self.character(char::from(symbol).encode_utf8(&mut [0; 4])),
            b'\r' | b'\n' => self.paragraph(),
            b'\t' => self.character("\t"),
            _ => {}
        }
    }

    /// A character written as a control: it too may be what stands for a `\u`.
    fn character(&mut self, text: &str) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
        } else {
            self.write(text);
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>, starred: bool) {
        if word != "u" && !matches!(word, "uc" | "f" | "plain" | "lang") && self.is_character(word) {
            return;
        }
        match word {
            "u" => self.unicode(number.unwrap_or(0)),
            "uc" => self.group.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(64),
            "ansicpg" => self.code_page(number),
            "mac" => self.set_document_encoding(encoding_rs::MACINTOSH),
            "deff" => self.default_font = number,
            "f" | "af" if self.group.target == Target::Fonts => self.defined_font = number.unwrap_or(0),
            "f" => self.choose_font(number),
            "plain" => {
                self.group.hidden = false;
                self.choose_font(self.default_font);
            }
            "fcharset" | "cpg" => self.define_font(word, number.unwrap_or(0)),
            "v" | "deleted" => self.group.hidden = number != Some(0),
            "par" | "sect" => self.paragraph(),
            "line" | "softline" => self.character("\n"),
            "page" | "pagebb" | "sbkpage" => self.page_break(word),
            "pard" => self.group.in_table = false,
            "intbl" => self.group.in_table = true,
            "cell" | "nestcell" => self.cell(),
            "row" | "nestrow" => self.row(),
            "yr" | "mo" | "dy" | "hr" | "min" => self.moment(word, number.unwrap_or(0)),
            _ => self.destination(word, starred),
        }
    }

    fn is_character(&mut self, word: &str) -> bool {
        let text = match word {
            "tab" => "\t",
            "emdash" => "—",
            "endash" => "–",
            "bullet" => "•",
            "lquote" => "‘",
            "rquote" => "’",
            "ldblquote" => "“",
            "rdblquote" => "”",
            "emspace" | "enspace" | "qmspace" => " ",
            _ => return false,
        };
        self.character(text);
        true
    }

    fn destination(&mut self, word: &str, starred: bool) {
        if word == "pict" || word == "object" {
            self.has_picture |= self.group.target == Target::Body;
        }
        let target = match word {
            "fonttbl" => Target::Fonts,
            "info" => Target::About(""),
            "title" if matches!(self.group.target, Target::About(_)) => Target::About("title"),
            "author" if matches!(self.group.target, Target::About(_)) => Target::About("author"),
            "creatim" if matches!(self.group.target, Target::About(_)) => Target::About("creatim"),
            "revtim" if matches!(self.group.target, Target::About(_)) => Target::About("revtim"),
            // Texts of their own that stand in the document: a note is set apart by brackets.
            "footnote" => return self.aside(" [Footnote: "),
            "annotation" => return self.aside(" [Comment: "),
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf" => {
                return self.paragraph();
            }
            "shptxt" | "nonshppict" | "shpinst" | "shp" | "fldrslt" | "result" if starred || word != "nonshppict" => {
                return;
            }
            "nonesttables" | "nonshppict" => Target::Nowhere,
            word if SKIPPED.contains(&word) => Target::Nowhere,
            _ if starred => Target::Nowhere,
            _ if matches!(self.group.target, Target::About(_)) && !word.is_empty() => Target::About(""),
            _ => return,
        };
        if self.group.target != Target::Nowhere {
            self.group.target = target;
        }
    }

    fn aside(&mut self, label: &str) {
        if self.group.target == Target::Body && !self.group.is_aside {
            self.group.is_aside = true;
            self.write(label);
        }
    }

    fn end_aside(&mut self) {
        self.page.truncate(self.page.trim_end().len());
        self.page.push(']');
    }

    fn unicode(&mut self, number: i32) {
        let unit = u16::try_from(number.rem_euclid(0x1_0000)).unwrap_or(0xfffd);
        let first = self.surrogate.take();
        let decoded = match (first, unit) {
            (_, 0xd800..=0xdbff) => {
                self.surrogate = Some(unit);
                self.to_skip = self.group.fallback;
                return;
            }
            (Some(first), 0xdc00..=0xdfff) => char::decode_utf16([first, unit]).next(),
            (_, unit) => char::decode_utf16([unit]).next(),
        };
        if let Some(Ok(c)) = decoded {
            self.to_skip = 0;
            // Symbol fonts put their bullets into the private area.
            let c = if ('\u{f000}'..='\u{f0ff}').contains(&c) { '•' } else { c };
            self.write(c.encode_utf8(&mut [0; 4]));
        }
        self.to_skip = self.group.fallback;
    }

    fn code_page(&mut self, number: Option<i32>) {
        if let Some(encoding) = number.and_then(charsets::by_code_page) {
            self.set_document_encoding(encoding);
        }
    }

    fn set_document_encoding(&mut self, encoding: &'static Encoding) {
        self.document_encoding = encoding;
        self.group.encoding = encoding;
        self.outer.iter_mut().for_each(|group| group.encoding = encoding);
    }

    fn define_font(&mut self, word: &str, number: i32) {
        let encoding = if word == "cpg" { charsets::by_code_page(number) } else { charsets::by_font(number) };
        if self.group.target == Target::Fonts
            && self.fonts.len() < MAX_FONTS
            && let Some(encoding) = encoding
        {
            self.fonts.insert(self.defined_font, encoding);
        }
    }

    fn choose_font(&mut self, font: Option<i32>) {
        let named = font.and_then(|font| self.fonts.get(&font).copied());
        self.group.encoding = named.unwrap_or(self.document_encoding);
    }

    /// Within a cell a paragraph is a space, so that a row stays one line.
    fn paragraph(&mut self) {
        self.to_skip = 0;
        self.write(if self.group.in_table { " " } else { "\n" });
    }

    fn cell(&mut self) {
        if self.group.target == Target::Body {
            self.page.truncate(self.page.trim_end_matches([' ', '\t']).len());
            self.page.push_str(" | ");
        }
    }

    fn row(&mut self) {
        if self.group.target == Target::Body {
            self.page.truncate(self.page.trim_end_matches([' ', '|', '\t']).len());
            self.page.push('\n');
        }
    }

    fn page_break(&mut self, word: &str) {
        if word == "page" && self.group.target == Target::Body {
            self.has_page_breaks = true;
            self.pages.push(std::mem::take(&mut self.page));
        }
    }

    fn moment(&mut self, word: &str, number: i32) {
        let position = ["yr", "mo", "dy", "hr", "min"].iter().position(|part| *part == word);
        if let Some(part) = position.and_then(|position| self.moment.get_mut(position)) {
            *part = number;
        }
    }

    fn finish(mut self) -> Result<Reading, Unreadable> {
        self.flush();
        self.pages.push(std::mem::take(&mut self.page));
        let (text, pages) = join_pages(&self.pages);
        if !text.chars().any(char::is_alphanumeric) {
            let reason = if self.has_picture { QuarantineReason::NoTextLayer } else { QuarantineReason::EmptyNote };
            return Err(Unreadable::new(reason, "no text"));
        }
        let pages = if self.has_page_breaks { pages } else { Vec::new() };
        Ok(Reading { text, pages, about: self.about, findings: Vec::new() })
    }
}
