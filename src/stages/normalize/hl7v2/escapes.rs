//! Escape sequences of text: `\F\`, `\X0D\`, `\.br\`. A lone or unknown one stays as it stands.

use super::message::Syntax;

/// Longest of the sequences whose end isn't told by their own form.
const MAX_COMMAND: usize = 24;

/// Undoes the escapes of one leaf, once; line breaks become `\n`.
pub(super) fn unescape(raw: &str, syntax: Syntax) -> String {
    if !raw.contains(syntax.escape) {
        return raw.to_owned();
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(syntax.escape) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let inner = from.get(syntax.escape.len_utf8()..).unwrap_or_default();
        match sequence(inner, syntax) {
            Some((meaning, length)) => {
                text.push_str(&meaning);
                rest = inner.get(length..).unwrap_or_default();
            }
            None => {
                text.push(syntax.escape);
                rest = inner;
            }
        }
    }
    text.push_str(rest);
    text
}

/// What the sequence after an escape character means, and its length with the one that closes it.
fn sequence(inner: &str, syntax: Syntax) -> Option<(String, usize)> {
    let first = inner.chars().next()?;
    if matches!(first, 'X' | 'x') {
        return hexadecimal(inner, syntax);
    }
    let length = inner.char_indices().take(MAX_COMMAND).find(|(_, c)| *c == syntax.escape).map(|(at, _)| at)?;
    let command = inner.get(..length)?;
    let meaning = match command {
        "F" => syntax.field.to_string(),
        "S" => syntax.component.to_string(),
        "T" => syntax.subcomponent.to_string(),
        "R" => syntax.repetition.to_string(),
        "E" => syntax.escape.to_string(),
        "P" => "#".to_owned(),
        "H" | "N" => String::new(),
        _ => formatting(command)?,
    };
    Some((meaning, length + syntax.escape.len_utf8()))
}

/// `\.br\` and its like; `\Cxxyy\`, `\Mxxyyzz\` and `\Zdd\` are dropped.
fn formatting(command: &str) -> Option<String> {
    if let Some(name) = command.strip_prefix('.') {
        let name = name.to_ascii_lowercase();
        return match name.get(..2)? {
            "br" | "sp" | "ce" | "in" | "ti" => Some("\n".to_owned()),
            "sk" => {
                let count = name.get(2..)?.trim().trim_start_matches('+').parse::<usize>().unwrap_or(1);
                Some(" ".repeat(count.min(80)))
            }
            "fi" | "nf" => Some(String::new()),
            _ => None,
        };
    }
    let code = command.get(1..)?;
    let switches = command.starts_with(['C', 'M', 'Z']) && !code.is_empty();
    (switches && code.bytes().all(|b| b.is_ascii_hexdigit())).then(String::new)
}

/// `X0D0A\`: bytes in the message's character set.
fn hexadecimal(inner: &str, syntax: Syntax) -> Option<(String, usize)> {
    let digits = inner.get(1..)?;
    let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    let after = digits.get(length..)?;
    if length < 2 || length % 2 != 0 || !after.starts_with(syntax.escape) {
        return None;
    }
    let bytes = hex::decode(digits.get(..length)?).ok()?;
    let (text, _) = syntax.encoding.decode_without_bom_handling(&bytes);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    Some((text, 1 + length + syntax.escape.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(raw: &str) -> String {
        unescape(raw, Syntax::default())
    }

    #[test]
    fn separators_come_back() {
        assert_eq!(plain(r"a\F\b\S\c\T\d\R\e\E\f\P\g"), "a|b^c&d~e\\f#g");
    }

    #[test]
    fn hexadecimal_bytes_are_in_the_message_s_character_set() {
        assert_eq!(plain(r"38 \XC2B0\C\X0D\next\X0D0A\"), "38 °C\nnext\n");
        let latin = Syntax { encoding: encoding_rs::WINDOWS_1252, ..Syntax::default() };
        assert_eq!(unescape(r"38 \XB0\C", latin), "38 °C");
    }

    #[test]
    fn formatting_breaks_lines_and_highlights_go() {
        assert_eq!(plain(r"\H\one\N\\.br\two\.sp 2\three\.sk 3\four\.in+4\\.nf\five"), "one\ntwo\nthree   four\nfive");
        assert_eq!(plain(r"a\Z01\b\C2842\c"), "abc");
    }

    #[test]
    fn what_is_no_sequence_stays_as_it_stands() {
        for text in [r"C:\temp\new", r"5\6", r"end\", r"\X0\", r"\Xzz\", r"\unknown\", r"\"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn it_is_undone_once() {
        assert_eq!(plain(r"\E\.br\E\"), r"\.br\");
    }
}
