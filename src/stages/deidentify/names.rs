//! Names of people: those that the record knows, those that a title or another cue tells, and any capitalised word that
//! is neither everyday nor clinical.
//!
//! A run of such words is one name. The patient's own becomes `[PATIENT]`; another's becomes a mark by its last word that
//! isn't the patient's, so `Dr. Priya Chen` and `Dr. Chen` are one.

use std::sync::LazyLock;

use regex::Regex;

use super::cues::{LANDSCAPE, is_article, is_credential, is_deed, is_leading, is_particle, is_title};
use super::numbers::{UNIT, rule};
use super::tokens::{Case, Token, tokens};
use super::vocabulary::{is_acronym, is_city, is_eponym, is_given, is_plain, is_region, is_surname};
use super::{Category, Findings, Subject};

/// How much a word by itself looks like a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    No,
    /// Goes with a name beside it: an initial, a particle.
    Joins,
    /// Is a name as well as a word.
    Maybe,
    Sure,
}

/// Shorter words in capitals are abbreviations unless a list says that they are names.
const SHORTEST_UPPER: usize = 5;
const SHORTEST_PLACE: usize = 4;

pub(super) fn find(findings: &mut Findings<'_>, subject: &Subject) {
    let words: Vec<Token<'_>> = tokens(findings.text);
    let is_small = !findings.text.contains(char::is_uppercase);
    let mut looks: Vec<Look> = words.iter().map(|token| look(token, subject, is_small)).collect();
    for (at, token) in words.iter().enumerate() {
        if !findings.is_free(token.start, token.end) {
            looks[at] = Look::No;
        }
    }
    leave_regions(findings.text, &words, &mut looks);
    raise_small_names(findings.text, &words, &mut looks);
    raise_by_cues(findings.text, &words, &mut looks, subject);
    raise_surnames(findings.text, &words, &mut looks);
    let mut at = 0;
    while at < words.len() {
        let end = run_end(findings.text, &words, &looks, at);
        if end > at {
            take(findings, subject, &words[at..end], &looks[at..end]);
            take_code_after(findings, words[end - 1].end);
            take_house_number(findings, subject, words[at].start, words[end - 1].end);
        }
        at = end.max(at + 1);
    }
}

fn look(token: &Token<'_>, subject: &Subject, is_small: bool) -> Look {
    let word = token.word;
    if token.case == Case::Mixed || is_title(word) {
        return Look::No;
    }
    if subject.knows_name(word) && (token.case != Case::Lower || !is_plain(word)) {
        return Look::Sure;
    }
    if token.case == Case::Initial || is_small && word.chars().count() == 1 || is_particle(word) {
        return Look::Joins;
    }
    if is_region(word) {
        return if is_given(word) { Look::Maybe } else { Look::No };
    }
    let is_named = is_given(word) || is_surname(word);
    match token.case {
        Case::Capitalized if !is_plain(word) => Look::Sure,
        Case::Capitalized if is_named => Look::Maybe,
        Case::Upper if is_acronym(word) && !word.contains('-') => Look::No,
        Case::Upper if !is_plain(word) => upper_look(word, is_named),
        Case::Upper if is_named => Look::Maybe,
        Case::Lower if is_plain(word) => {
            if is_small && is_given(word) {
                Look::Joins
            } else {
                Look::No
            }
        }
        Case::Lower if !word.is_ascii() && word.chars().count() >= SHORTEST_UPPER => Look::Sure,
        Case::Lower if is_small && (is_named || !word.is_ascii() || word.len() >= SHORTEST_UPPER) => Look::Sure,
        Case::Lower => Look::Joins,
        _ => Look::No,
    }
}

fn upper_look(word: &str, is_named: bool) -> Look {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let is_long = letters >= SHORTEST_UPPER || !word.is_ascii() && letters > 2;
    if is_long || is_given(word) && letters > 3 {
        Look::Sure
    } else if is_named {
        Look::Maybe
    } else {
        Look::No
    }
}

/// `New Zealand`, `West Virginia`: the words of a region are no names.
fn leave_regions(text: &str, words: &[Token<'_>], looks: &mut [Look]) {
    for length in 2..=4 {
        for at in 0..(words.len() + 1).saturating_sub(length) {
            let name = &text[words[at].start..words[at + length - 1].end];
            if words[at].case != Case::Lower && is_region(&name.split_whitespace().collect::<Vec<_>>().join(" ")) {
                looks[at..at + length].fill(Look::No);
            }
        }
    }
}

/// `frank freud`, `emidio p lombardo`: a given name and, maybe after an initial, a word that is none.
fn raise_small_names(text: &str, words: &[Token<'_>], looks: &mut [Look]) {
    let is_small = |at: usize| words.get(at).is_some_and(|token| token.case == Case::Lower);
    let follows = |at: usize| matches!(&text[words[at - 1].end..words[at].start], " " | ". ");
    for at in 0..words.len() {
        if !is_small(at) || !is_given(words[at].word) {
            continue;
        }
        let has_initial = is_small(at + 1) && words[at + 1].word.chars().count() == 1;
        let last = at + 1 + usize::from(has_initial);
        let is_name = is_small(last)
            && (at + 1..=last).all(follows)
            && !is_plain(words[last].word)
            && (is_surname(words[last].word) || !is_plain(words[at].word));
        if is_name {
            looks[at..=last].fill(Look::Sure);
        }
    }
}

fn raise_by_cues(text: &str, words: &[Token<'_>], looks: &mut [Look], subject: &Subject) {
    for at in 0..words.len() {
        let gap = |from: usize| words.get(from + 1).map(|next| &text[words[from].end..next.start]);
        if is_title(words[at].word)
            && looks[at] < Look::Sure
            && gap(at).is_some_and(|gap| matches!(gap, " " | ". " | "."))
        {
            raise_titled(text, words, looks, at + 1);
        }
        let leads = is_leading(words[at].word)
            && gap(at)
                .is_some_and(|gap| matches!(gap.trim(), "" | ":" | "," | "is" | "by" | "by:" | "-") && gap.len() < 6);
        if leads && let Some(next) = looks.get_mut(at + 1).filter(|look| **look == Look::Maybe) {
            *next = Look::Sure;
        }
        if is_credential(words[at].word) && at > 0 && matches!(gap(at - 1), Some(", ") | Some(" ")) {
            raise_credited(text, words, looks, at - 1);
        }
        let pairs = looks[at] == Look::Maybe
            && is_given(words[at].word)
            && !is_eponym(words[at].word)
            && !subject.knows_place(words[at].word)
            && gap(at) == Some(" ")
            && words.get(at + 1).is_some_and(|next| {
                words[at].case == Case::Capitalized
                    && next.case == Case::Capitalized
                    && is_surname(next.word)
                    && looks[at + 1] == Look::Maybe
            });
        if pairs {
            looks[at] = Look::Sure;
        }
        if looks[at] == Look::Maybe && words[at].case == Case::Capitalized && is_beside_a_name(text, words, looks, at) {
            looks[at] = Look::Sure;
        }
    }
}

/// `Muslija and Brown`; `flew to Coles`; `Destiny:` at the head of a line.
fn is_beside_a_name(text: &str, words: &[Token<'_>], looks: &[Look], at: usize) -> bool {
    let (token, before, after) = (words[at], at.checked_sub(1), words.get(at + 1));
    let joined = |from: usize, to: usize| matches!(&text[words[from].end..words[to].start], " and " | ", " | " & ");
    let second = |at: usize| text[words[at].start..].starts_with("and ");
    let with_one_before = before.is_some_and(|before| {
        let name = if second(before) { before.checked_sub(1) } else { Some(before) };
        name.is_some_and(|name| {
            looks[name] == Look::Sure && (joined(name, at) || text[words[name].end..token.start].trim() == "and")
        })
    });
    let is_apart = |other: Option<&Token<'_>>| other.is_none_or(|other| other.case == Case::Lower || other.begins);
    let is_told = |before: usize| {
        let word = words[before];
        word.case == Case::Lower && !is_article(word.word)
            || word.begins && (word.word == "Per" || is_leading(word.word))
    };
    let stands_alone = !token.begins && !is_eponym(token.word) && is_apart(after) && before.is_some_and(is_told);
    let owns = !token.begins && !is_eponym(token.word) && text[token.end..].starts_with(['\'', '’']);
    let acts = token.begins && is_given(token.word) && after.is_some_and(|after| is_deed(after.word));
    let leads = before
        .is_some_and(|before| matches!(words[before].word, "from" | "to" | "in" | "near" | "by" | "with"))
        && !token.begins
        && after.is_none_or(|after| after.case == Case::Lower || after.begins);
    let speaks = token.begins && is_given(token.word) && !is_eponym(token.word) && text[token.end..].starts_with(':');
    let is_called = is_given(token.word)
        && before.is_some_and(|before| &text[words[before].end..token.start] == ", ")
        && text[token.end..].starts_with(['?', '!']);
    with_one_before || leads || speaks || is_called || stands_alone || owns || acts
}

/// `Rebecca Hides`, `Jildau S. Bouts`: a plain word that ends a name.
fn raise_surnames(text: &str, words: &[Token<'_>], looks: &mut [Look]) {
    for at in 1..words.len() {
        let (before, token) = (words[at - 1], words[at]);
        let gap = &text[before.end..token.start];
        if looks[at] >= Look::Maybe || token.case != Case::Capitalized || is_region(token.word) || is_title(token.word)
        {
            continue;
        }
        let after_initial = before.case == Case::Initial
            && matches!(gap, " " | ". ")
            && at
                .checked_sub(2)
                .is_some_and(|first| looks[first] == Look::Sure && text[words[first].end..before.start] == *" ");
        let after_given = gap == " "
            && looks[at - 1] == Look::Sure
            && before.case == Case::Capitalized
            && !is_eponym(before.word)
            && (!text[token.end..].starts_with(' ') || words.get(at + 1).is_some_and(|next| next.case == Case::Lower))
            && !text[token.end..].starts_with(':');
        if after_initial || after_given {
            looks[at] = Look::Sure;
        }
    }
    // `flew to DOLE`: capitals within a sentence of small letters.
    for at in 1..words.len() {
        let (before, token) = (words[at - 1], words[at]);
        let is_named = !is_plain(token.word) || is_surname(token.word) || is_given(token.word) || is_city(token.word);
        let is_place = token.case == Case::Upper
            && looks[at] < Look::Sure
            && token.word.chars().count() >= SHORTEST_PLACE
            && before.case == Case::Lower
            && matches!(before.word, "from" | "to" | "in" | "near" | "visit")
            && words.get(at + 1).is_none_or(|after| after.case != Case::Upper || after.begins)
            && is_named
            && !is_acronym(token.word)
            && !is_region(token.word);
        if is_place {
            looks[at] = Look::Sure;
        }
    }
    // `Port Whangarei`, `Quarto Angelo`: a capital within a sentence goes with the name after it.
    for at in (1..words.len()).rev() {
        let (token, name) = (words[at - 1], words[at]);
        let is_of_name = token.case == Case::Capitalized
            && (!token.begins || LANDSCAPE.contains(&token.word))
            && looks[at - 1] < Look::Sure
            && looks[at] == Look::Sure
            && name.case == Case::Capitalized
            && text[token.end..name.start] == *" "
            && !is_region(token.word)
            && !is_title(token.word)
            && !is_leading(token.word);
        if is_of_name {
            looks[at - 1] = Look::Sure;
        }
    }
}

/// After a title any capitalised word is a name, and one more after it unless it is everyday.
fn raise_titled(text: &str, words: &[Token<'_>], looks: &mut [Look], first: usize) {
    for at in first..words.len().min(first + 3) {
        let (token, is_first) = (words[at], at == first);
        let follows = is_first || matches!(&text[words[at - 1].end..token.start], " " | ". " | "-");
        let is_written_so =
            matches!(token.case, Case::Capitalized | Case::Upper) || token.case == Case::Lower && !is_plain(token.word);
        let may_be = is_first || looks[at] != Look::No || is_given(words[first].word);
        if !follows || !is_written_so || !may_be {
            if looks[at] == Look::Joins && follows {
                continue;
            }
            return;
        }
        looks[at] = Look::Sure;
    }
}

/// `Grace Park, MD`: up to three capitalised words before a credential.
fn raise_credited(text: &str, words: &[Token<'_>], looks: &mut [Look], last: usize) {
    for at in (last.saturating_sub(2)..=last).rev() {
        let follows = at == last || matches!(&text[words[at].end..words[at + 1].start], " " | ". ");
        if !follows
            || !matches!(words[at].case, Case::Capitalized | Case::Initial)
            || looks[at] == Look::No && !is_given(words[at].word) && at != last
        {
            return;
        }
        if words[at].case == Case::Capitalized && looks[at] >= Look::Maybe {
            looks[at] = Look::Sure;
        }
    }
}

/// Where the name that begins here ends; here, if none does.
fn run_end(text: &str, words: &[Token<'_>], looks: &[Look], from: usize) -> usize {
    if looks[from] == Look::No {
        return from;
    }
    let mut end = from + 1;
    while end < words.len() && looks[end] != Look::No {
        let gap = &text[words[end - 1].end..words[end].start];
        let is_one =
            matches!(gap, " " | "-" | "  ") || matches!(gap, ". " | ".") && words[end - 1].word.chars().count() == 1;
        if !is_one {
            break;
        }
        end += 1;
    }
    let is_sure = |at: &usize| looks[*at] == Look::Sure;
    let Some(first) = (from..end).find(is_sure) else { return from };
    // What only joins counts within a name, and an initial before or after it.
    let joins = |at: usize| looks[at] == Look::Maybe || words[at].case == Case::Initial || looks[at] == Look::Sure;
    let begins = (from..first).rev().take_while(|at| looks[*at] != Look::No).last().unwrap_or(first);
    let last = (first..end)
        .rev()
        .find(|at| joins(*at) || words[*at].case == Case::Lower && !is_particle(words[*at].word))
        .unwrap_or(first);
    if begins > from { from } else { last + 1 }
}

fn take(findings: &mut Findings<'_>, subject: &Subject, run: &[Token<'_>], looks: &[Look]) {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
    let telling = run.iter().zip(looks).filter(|(_, look)| **look >= Look::Maybe).map(|(token, _)| token.word);
    let others: Vec<&str> = telling.clone().filter(|word| !subject.is_own_name(word)).collect();
    let mark = match others.last() {
        Some(word) => subject.mark(Category::Name, word),
        None => "[PATIENT]".to_owned(),
    };
    findings.take(first.start, last.end, Category::Name, &mark);
}

/// A postal code after a place that was taken for a name: `Odense 5000`, and no year.
fn take_code_after(findings: &mut Findings<'_>, end: usize) {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| rule(r"^,? (\d{4}-\d{3}|\d{3} \d{2}|\d{4,5}(?:-\d{4})?)(?:[\s,;.?!]|$)"));
    let Some(code) = CODE.captures(&findings.text[end..]).and_then(|captures| captures.get(1)) else { return };
    let is_year = code.len() == 4 && (code.as_str().starts_with("19") || code.as_str().starts_with("20"));
    let after = &findings.text[end + code.end()..];
    if !is_year && !UNIT.is_match(after) {
        findings.take(end + code.start(), end + code.end(), Category::Place, "[ZIP 000]");
    }
}

/// `Zuidhove 188`, `214 Pavlou Drandaki`: the number of a house whose street was taken for a name.
fn take_house_number(findings: &mut Findings<'_>, subject: &Subject, start: usize, end: usize) {
    static AFTER: LazyLock<Regex> = LazyLock::new(|| rule(r"^ (\d{1,5}[a-z]?(?:/\d{1,4})?)(?:[,;.?!\n]|$| [a-z]+)"));
    // A single digit after a name is a score as well.
    static TOWARDS: LazyLock<Regex> = LazyLock::new(|| rule(r"\b(?:at|to|on|from|near|past|outside|of|for|is) $|: $"));
    static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
        rule(
            r"(?i)^ (?:minutes?|hours?|days?|nights?|weeks?|months?|years?|times?|mins?|hrs?|wks?|units?|tab\w*|cap\w*|puffs?|drops?|doses?|daily|twice|once|every|q\w*|bid|tid|po|mg|mcg|ml|g|kg|lbs?|(?:to|and|or|of|on)\s+\d+|degrees?|percent|years|out|points?|french|cm|mm)\b",
        )
    });
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        rule(r"(?:^|[\n>,:;]|\b(?:at|to|as|is|with|on|from|past|near|outside) )\s*((?:\d{1,6}[a-z]? )?\d{2,6}) $")
    });
    // Between two numbers a name is a street's, whatever stands before.
    static BETWEEN: LazyLock<Regex> = LazyLock::new(|| rule(r"(?:^|\s)(\d{1,6}[a-z]?) $"));
    let text = findings.text;
    let after = AFTER.captures(&text[end..]).and_then(|captures| captures.get(1));
    let is_amount = |number: &regex::Match<'_>| COUNTED.is_match(&text[end + number.end()..]);
    let is_score = |number: &regex::Match<'_>| number.len() == 1 && !TOWARDS.is_match(&text[..start]);
    let after = after
        .filter(|number| !is_amount(number) && !is_score(number))
        .map(|number| (end + number.start(), end + number.end()));
    let line = text[..start].rfind('\n').unwrap_or(0);
    let before = BEFORE.captures(&text[line..start]);
    let before = before.or_else(|| after.and_then(|_| BETWEEN.captures(&text[line..start])));
    let before = before.and_then(|captures| captures.get(1));
    let before = before.map(|number| (line + number.start(), line + number.end()));
    for (start, end) in after.into_iter().chain(before) {
        let is_year = end - start == 4 && (text[start..].starts_with("19") || text[start..].starts_with("20"));
        if !is_year {
            let mark = subject.mark(Category::Place, &text[start..end]);
            findings.take(start, end, Category::Place, &mark);
        }
    }
}
