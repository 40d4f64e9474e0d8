//! Words of a text, as names are looked for in them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// One capital letter.
    Initial,
    Capitalized,
    Upper,
    Lower,
    /// `eGFR`, `A1c`: no name is written so.
    Mixed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub start: usize,
    pub end: usize,
    /// Without `'s`.
    pub word: &'a str,
    pub case: Case,
    /// First in its sentence or line.
    pub begins: bool,
}

fn is_inner(c: char) -> bool {
    c.is_alphabetic() || is_mark(c)
}

/// Accents that are written as characters of their own.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn is_joint(c: char) -> bool {
    matches!(c, '-' | '\'' | '’' | '‑')
}

pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    tokens(text).into_iter().map(|token| token.word)
}

/// Runs of letters, joined by single hyphens and apostrophes. What touches a digit is no word.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut characters = text.char_indices().peekable();
    let mut begins = true;
    let mut before = ' ';
    while let Some((start, first)) = characters.next() {
        if !first.is_alphabetic() {
            begins |= matches!(first, '\n' | '.' | '!' | '?' | ':' | '•' | '*' | '"' | '“' | '>' | '|');
            begins &= !first.is_ascii_digit();
            before = first;
            continue;
        }
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = characters.peek().copied() {
            let next = text[at + c.len_utf8()..].chars().next();
            let goes_on = is_inner(c) || is_joint(c) && next.is_some_and(is_inner);
            if !goes_on {
                break;
            }
            end = at + c.len_utf8();
            characters.next();
        }
        let touches = |c: char| c.is_ascii_digit() || c == '_';
        let after = text[end..].chars().next().unwrap_or(' ');
        let word = without_possessive(&text[start..end]);
        let numbered = numbered(word, &text[end..]).filter(|_| !touches(before));
        let case = match numbered {
            None if touches(before) || touches(after) => Case::Mixed,
            _ => case(word),
        };
        found.push(Token { start, end: start + word.len() + numbered.unwrap_or_default(), word, case, begins });
        begins = false;
        before = text[..end].chars().next_back().unwrap_or(' ');
    }
    found
}

/// How many digits follow a name that is numbered, as test systems number theirs: `Walker122`.
fn numbered(word: &str, after: &str) -> Option<usize> {
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let goes_on = after[digits..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (matches!(digits, 1..=3) && !goes_on && word.chars().count() > 2 && case(word) == Case::Capitalized)
        .then_some(digits)
}

fn without_possessive(word: &str) -> &str {
    ["'s", "’s", "'S", "’S"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word)
}

fn case(word: &str) -> Case {
    let letters: Vec<char> = word.chars().filter(|c| c.is_alphabetic()).collect();
    let first_is_upper = letters.first().is_some_and(|c| !c.is_lowercase());
    let uppers = letters.iter().filter(|c| !c.is_lowercase()).count();
    match (first_is_upper, uppers) {
        (true, 1) if letters.len() == 1 => Case::Initial,
        (_, count) if count == letters.len() => Case::Upper,
        (false, 0) => Case::Lower,
        (true, 1) => Case::Capitalized,
        (true, _) if is_of_parts(word) => Case::Capitalized,
        _ => Case::Mixed,
    }
}

/// Whether each part is a capital and small letters, as in names, and not as brands are written: `NexGen`.
fn is_of_parts(word: &str) -> bool {
    const PREFIXES: [&str; 13] = ["Mc", "Mac", "De", "Di", "Da", "La", "Le", "Du", "Del", "Van", "Von", "Fitz", "St"];
    let is_simple = |part: &str| {
        let mut letters = part.chars();
        letters.next().is_some_and(|first| !first.is_lowercase()) && letters.all(|c| c.is_lowercase() || is_mark(c))
    };
    let is_prefixed = |part: &str| PREFIXES.iter().any(|prefix| part.strip_prefix(prefix).is_some_and(is_simple));
    word.split(is_joint).all(|part| is_simple(part) || is_prefixed(part))
}

#[cfg(test)]
mod tests {
    use super::{Case, tokens};

    #[test]
    fn words_are_told_by_how_they_are_written() {
        let cases = |text| tokens(text).iter().map(|token| (token.word, token.case)).collect::<Vec<_>>();
        assert_eq!(
            cases("Ana's eGFR, B. O'Brien-McKay SODIUM A1c p53 şahin"),
            [
                ("Ana", Case::Capitalized),
                ("eGFR", Case::Mixed),
                ("B", Case::Initial),
                ("O'Brien-McKay", Case::Capitalized),
                ("SODIUM", Case::Upper),
                ("A", Case::Mixed),
                ("c", Case::Mixed),
                ("p", Case::Mixed),
                ("şahin", Case::Lower),
            ]
        );
    }
}
