//! Character references and the few named ones that senders use; any other entity stays as it was written.

use std::borrow::Cow;

/// XML's own, and those of HTML that find their way into narratives.
const NAMED: [(&str, &str); 31] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", "\u{a0}"),
    ("deg", "°"),
    ("micro", "µ"),
    ("plusmn", "±"),
    ("sup2", "²"),
    ("sup3", "³"),
    ("frac12", "½"),
    ("frac14", "¼"),
    ("frac34", "¾"),
    ("middot", "·"),
    ("bull", "•"),
    ("hellip", "…"),
    ("ndash", "–"),
    ("mdash", "—"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("le", "≤"),
    ("ge", "≥"),
    ("times", "×"),
    ("divide", "÷"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("eacute", "é"),
];

/// What `&name;` stands for. An entity that a document declares itself is not looked up: it stays `&name;`.
pub(super) fn resolve(name: &str) -> Cow<'static, str> {
    let character = name.strip_prefix('#').and_then(|number| {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        char::from_u32(code)
    });
    if let Some(character) = character {
        return Cow::Owned(character.to_string());
    }
    match NAMED.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Cow::Borrowed(text),
        None => Cow::Owned(format!("&{name};")),
    }
}

/// As [`resolve`], for text between tags: a line break that was written as a reference is meant as one, and
/// stands as U+2028 to be told from the breaks that merely lay out the document.
pub(super) fn in_text(name: &str) -> Cow<'static, str> {
    let resolved = resolve(name);
    match resolved.as_ref() {
        "\n" => Cow::Borrowed("\u{2028}"),
        "\r" => Cow::Borrowed(""),
        _ => resolved,
    }
}

/// An attribute's value with its references resolved; a bare `&` stays.
pub(super) fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut parts = value.split('&');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        match part.split_once(';') {
            Some((name, rest)) if is_reference(name) => {
                text.push_str(&resolve(name));
                text.push_str(rest);
            }
            _ => {
                text.push('&');
                text.push_str(part);
            }
        }
    }
    Cow::Owned(text)
}

fn is_reference(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"#_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_a_bare_ampersand_stays() {
        assert_eq!(unescape("A &amp; B & C &#x41;&#66; &quot;&unknown; &"), "A & B & C AB \"&unknown; &");
        assert_eq!(unescape("plain"), "plain");
    }

    #[test]
    fn a_number_that_is_no_character_stays_as_written() {
        assert_eq!(resolve("#xD800"), "&#xD800;");
        assert_eq!(resolve("#99999999999"), "&#99999999999;");
    }
}
