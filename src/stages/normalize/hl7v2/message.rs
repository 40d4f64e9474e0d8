//! A message as segments, fields, repetitions, components: borrowed from its text, read with its own separators.
//!
//! Tolerant on purpose: any line end, blanks before a segment, lower-case names, a separator declaration that is
//! short or escaped twice, a field broken over lines. Nothing is unescaped before it is cut into its smallest parts.

use encoding_rs::{Encoding, UTF_8};

use crate::domain::{Finding, QuarantineReason, Severity, Unreadable};
use crate::stages::normalize::tidy;

use super::escapes;

/// Segments of one message, as far as they are read.
const MAX_SEGMENTS: usize = 200_000;

/// Lines that are told of as broken.
const MAX_FINDINGS: usize = 50;

/// Segments whose last field is text that senders break over lines.
const TEXT_SEGMENTS: [&str; 3] = ["OBX", "NTE", "TXA"];

/// What sets the parts of a message apart, and the character set that `\X..\` escapes are in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    pub field: char,
    pub component: char,
    pub repetition: char,
    pub escape: char,
    pub subcomponent: char,
    pub encoding: &'static Encoding,
}

impl Default for Syntax {
    fn default() -> Self {
        Self { field: '|', component: '^', repetition: '~', escape: '\\', subcomponent: '&', encoding: UTF_8 }
    }
}

impl Syntax {
    /// From the text that begins with `MSH`; `None` when no field separator can be told.
    fn read(text: &str, encoding: &'static Encoding) -> Option<Self> {
        let mut rest = text.get(3..)?.chars();
        let field = rest.next().filter(|c| !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control())?;
        let declared: Vec<char> = rest.take(8).take_while(|c| *c != field && !matches!(c, '\r' | '\n')).collect();
        let usual = Self { field, encoding, ..Self::default() };
        let sign = |position: usize, fallback: char| {
            declared.get(position).copied().filter(|c| !c.is_alphanumeric() && !c.is_whitespace()).unwrap_or(fallback)
        };
        let escape = sign(2, usual.escape);
        // `^~\\&`: an escape character that was itself escaped on the way.
        let last = if declared.get(3) == Some(&escape) { 4 } else { 3 };
        Some(Self {
            component: sign(0, usual.component),
            repetition: sign(1, usual.repetition),
            escape,
            subcomponent: sign(last, usual.subcomponent),
            ..usual
        })
    }
}

#[derive(Debug)]
pub(super) struct Message<'a> {
    /// The first is `MSH`.
    pub segments: Vec<Segment<'a>>,
    pub findings: Vec<Finding>,
}

#[derive(Debug)]
pub(super) struct Segment<'a> {
    /// Three letters or digits, in upper case.
    pub name: String,
    /// 1-based, counted over the whole message: stands in positions that are reported.
    pub position: usize,
    syntax: Syntax,
    /// `fields[0]` is the name.
    fields: Vec<&'a str>,
}

/// A field, or any part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    raw: &'a str,
    syntax: Syntax,
}

impl<'a> Message<'a> {
    /// Errors: no `MSH` to begin with, no separators, more segments than are read.
    pub fn parse(text: &'a str, encoding: &'static Encoding) -> Result<Self, Unreadable> {
        let malformed = |detail: &str| Unreadable::new(QuarantineReason::MalformedHl7, detail);
        let text =
            text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '"'));
        if !text.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("MSH")) {
            return Err(malformed("no segment MSH to begin with"));
        }
        let syntax = Syntax::read(text, encoding).ok_or_else(|| malformed("MSH-1: no field separator"))?;
        let mut findings = Vec::new();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (start, end) in lines(text, syntax) {
            let line = text.get(start..end).unwrap_or_default();
            if line.trim_matches(|c: char| c.is_whitespace() || c.is_control()).is_empty() {
                continue;
            }
            match spans.last_mut() {
                Some(last) if !begins_segment(line, syntax) => {
                    let broken = text.get(last.0..last.0 + 3).unwrap_or_default().to_ascii_uppercase();
                    let continues = TEXT_SEGMENTS.contains(&broken.as_str()) || line.contains(syntax.field);
                    let rule = if continues { "broken_segment" } else { "unread_line" };
                    let path = format!("{broken} (segment {})", spans.len());
                    if findings.len() < MAX_FINDINGS {
                        findings.push(Finding { rule: rule.to_owned(), severity: Severity::Warning, path });
                    }
                    if continues && let Some(last) = spans.last_mut() {
                        last.1 = end;
                    }
                }
                _ => spans.push((start + (line.len() - line.trim_start().len()), end)),
            }
            if spans.len() > MAX_SEGMENTS {
                return Err(Unreadable::new(QuarantineReason::TooLarge, format!("more than {MAX_SEGMENTS} segments")));
            }
        }
        findings.dedup();
        let segments = spans
            .into_iter()
            .enumerate()
            .map(|(index, (start, end))| Segment::read(text.get(start..end).unwrap_or_default(), index + 1, syntax))
            .collect();
        Ok(Self { segments, findings })
    }

    pub fn header(&self) -> Option<&Segment<'a>> {
        self.segments.first()
    }
}

/// Byte ranges of the lines, whatever ends them; a literal `\r` or `\n` ends one when a segment follows or nothing.
fn lines(text: &str, syntax: Syntax) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if matches!(c, '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{1c}') {
            ranges.push((start, at));
            start = at + c.len_utf8();
        } else if c == '\\' && matches!(characters.peek(), Some((_, 'r' | 'n'))) {
            let rest = text.get(at + 2..).unwrap_or_default();
            let blank = rest.starts_with(['\r', '\n', '"']) || rest.is_empty() || rest.starts_with("\\n");
            if blank || begins_segment(rest, syntax) {
                characters.next();
                ranges.push((start, at));
                start = at + 2;
            }
        }
    }
    ranges.push((start, text.len()));
    ranges
}

/// Three letters or digits, a letter first, then the field separator.
fn begins_segment(line: &str, syntax: Syntax) -> bool {
    let line = line.trim_start_matches([' ', '\t', '\u{feff}']);
    let mut characters = line.chars();
    let named = characters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && (0..2).all(|_| characters.next().is_some_and(|c| c.is_ascii_alphanumeric()));
    named && characters.next() == Some(syntax.field)
}

impl<'a> Segment<'a> {
    fn read(line: &'a str, position: usize, syntax: Syntax) -> Self {
        let line = line.trim_start_matches([' ', '\t', '\u{feff}']);
        let fields: Vec<&str> = line.split(syntax.field).collect();
        let name = line.chars().take(3).collect::<String>().to_ascii_uppercase();
        Self { name, position, syntax, fields }
    }

    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Field `number`, counted from 1 as in `PID-3`; absent ones are empty.
    pub fn field(&self, number: usize) -> Part<'a> {
        // MSH-1 is the separator itself, so its fields stand one place further left.
        let index = if self.is("MSH") { number.saturating_sub(1) } else { number };
        Part { raw: self.fields.get(index).copied().unwrap_or_default(), syntax: self.syntax }
    }

    /// The first word of a field: first repetition, component and subcomponent.
    pub fn text(&self, field: usize) -> Option<String> {
        self.field(field).text()
    }

    /// `text_at(3, 4)` is `PID-3.4` of the first repetition.
    pub fn text_at(&self, field: usize, component: usize) -> Option<String> {
        self.field(field).component(component).text()
    }

    /// Every repetition of a field that says something.
    pub fn repetitions(&self, field: usize) -> Vec<Part<'a>> {
        self.field(field).repetitions()
    }
}

impl<'a> Part<'a> {
    pub fn raw(self) -> &'a str {
        self.raw
    }

    /// Absent, or said to be empty.
    pub fn is_empty(self) -> bool {
        let raw = self.raw.trim();
        raw.is_empty() || raw == "\"\""
    }

    /// `""`: said to be empty, so what was known before no longer holds.
    pub fn is_null(self) -> bool {
        self.raw.trim() == "\"\""
    }

    pub fn repetitions(self) -> Vec<Part<'a>> {
        let parts = self.raw.split(self.syntax.repetition).map(|raw| Part { raw, ..self });
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// Of the first repetition, counted from 1.
    pub fn component(self, number: usize) -> Part<'a> {
        let first = self.raw.split(self.syntax.repetition).next().unwrap_or_default();
        let raw = first.split(self.syntax.component).nth(number.saturating_sub(1)).unwrap_or_default();
        Part { raw, ..self }
    }

    pub fn components(self) -> Vec<Part<'a>> {
        let first = self.raw.split(self.syntax.repetition).next().unwrap_or_default();
        first.split(self.syntax.component).map(|raw| Part { raw, ..self }).collect()
    }

    pub fn subcomponent(self, number: usize) -> Part<'a> {
        let raw = self.raw.split(self.syntax.subcomponent).nth(number.saturating_sub(1)).unwrap_or_default();
        Part { raw, ..self }
    }

    /// The first leaf as one tidy line; a composite is taken as its first component.
    pub fn text(self) -> Option<String> {
        self.component(1).subcomponent(1).line()
    }

    /// All of it as one tidy line, separators included: for text that holds them unescaped.
    pub fn line(self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let text = tidy::line(&escapes::unescape(self.raw, self.syntax));
        (!text.is_empty() && text != "\"\"").then_some(text)
    }

    /// Text of several lines: each repetition and each `\.br\` begins a new one.
    pub fn paragraphs(self) -> String {
        let lines = self.raw.split(self.syntax.repetition);
        let lines =
            lines.map(|raw| if raw.trim() == "\"\"" { String::new() } else { escapes::unescape(raw, self.syntax) });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// All leaves as words, for types that have no form of their own.
    pub fn words(self) -> Option<String> {
        let leaf = |c: char| c == self.syntax.component || c == self.syntax.subcomponent || c == self.syntax.repetition;
        let words: Vec<String> = self.raw.split(leaf).filter_map(|raw| Part { raw, ..self }.line()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Message<'_> {
        Message::parse(text, UTF_8).unwrap()
    }

    #[test]
    fn the_separators_are_the_message_s_own() {
        let message = parse("MSH#*!?@#APP\rPID#1##7*2*M11*NORTH@1.2@ISO!8");
        let pid = &message.segments[1];
        assert_eq!(message.segments[0].text(3).as_deref(), Some("APP"));
        assert_eq!(pid.text(3).as_deref(), Some("7"));
        assert_eq!(pid.field(3).component(4).subcomponent(2).line().as_deref(), Some("1.2"));
        assert_eq!(pid.repetitions(3).len(), 2);
    }

    #[test]
    fn a_declaration_that_is_short_or_escaped_twice_is_read() {
        let short = parse("MSH|^|A\rPID|||1&2^3~4");
        assert_eq!(short.segments[1].field(3).component(2).text().as_deref(), Some("3"));
        let twice = parse("MSH|^~\\\\&|A\rPID|||1&2^3");
        assert_eq!(twice.segments[1].text(3).as_deref(), Some("1"));
    }

    #[test]
    fn any_line_end_ends_a_segment() {
        for end in ["\r", "\n", "\r\n", "\\r", "\\r\\n", "\\n", "\r\r\n", "\\r\n"] {
            let text = ["MSH|^~\\&|A", "PID|1||7", "PV1|1|I", ""].join(end);
            let message = parse(&text);
            let names: Vec<&str> = message.segments.iter().map(|segment| segment.name.as_str()).collect();
            assert_eq!(names, ["MSH", "PID", "PV1"], "{end:?}");
            assert_eq!(message.segments[2].text(2).as_deref(), Some("I"), "{end:?}");
        }
    }

    #[test]
    fn a_field_broken_over_lines_is_put_together() {
        let message = parse("MSH|^~\\&|A\nOBX|1|TX|A||first\nsecond||||||F\nxyz");
        assert_eq!(message.segments.len(), 2);
        assert_eq!(message.segments[1].text(11).as_deref(), Some("F xyz"));
        assert_eq!(message.segments[1].text(5).as_deref(), Some("first second"));
        assert_eq!(message.findings[0].rule, "broken_segment");
    }

    #[test]
    fn what_follows_the_last_segment_and_is_none_is_left_out() {
        let message = parse("MSH|^~\\&|A\rPID|||7\rPV1|1|I|W\rthe end");
        assert_eq!(message.segments[2].text(3).as_deref(), Some("W"));
        assert_eq!(message.findings[0].rule, "unread_line");
    }

    #[test]
    fn absent_and_said_to_be_empty_are_told_apart() {
        let message = parse("MSH|^~\\&|A\rPID|\"\"||7");
        let pid = &message.segments[1];
        assert!(pid.field(1).is_null() && pid.field(1).is_empty());
        assert!(!pid.field(2).is_null() && pid.field(2).is_empty());
        assert_eq!(pid.text(1), None);
    }

    #[test]
    fn lower_case_names_are_names() {
        let message = parse("msh|^~\\&|A\rpid|||7");
        assert_eq!(message.segments[1].name, "PID");
        assert_eq!(message.segments[0].text(3).as_deref(), Some("A"));
    }

    #[test]
    fn bytes_without_a_header_are_refused() {
        for text in ["", "PID|1", "MSHA^~", "MSH", "MSH\r"] {
            assert!(Message::parse(text, UTF_8).is_err(), "{text:?}");
        }
    }
}
