//! Dates, moved back by the subject's days; and ages over 89.
//!
//! A moved date stands in a mark, `[DATE 2024-05-01]`, so that a reader sees that it was moved. A year by itself stays.
//! What lies more than 89 years back would tell an age over 89: of it nothing stays.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::{Captures, Regex};

use super::numbers::rule;
use super::{Category, Findings, Subject};

const MONTH: &str = r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
const TIME: &str =
    r"((?:T|,?\s+(?:at\s+)?)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[ap]\.?m\b\.?)?(?:Z|[+-]\d{2}:?\d{2})?)?";
const ORDINAL: &str = r"(?:st|nd|rd|th)?";
/// Ages over this are said as one.
const OLDEST: i16 = 89;

/// Reads what a rule caught: year, month, day where they were said.
type Read = fn(&Captures<'_>) -> Option<Parts>;

#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    year: Option<i16>,
    month: i8,
    day: Option<i8>,
}

static RULES: LazyLock<Vec<(Regex, Read)>> = LazyLock::new(|| {
    let of = |pattern: &str, read: Read| (rule(pattern), read);
    vec![
        of(&format!(r"\b(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){TIME}"), |c| parts(c, Some(1), 2, Some(3))),
        of(r"\b(\d{4})(\d{2})(\d{2})(?:\d{4}(?:\d{2}(?:\.\d+)?)?(?:[+-]\d{4})?)?\b", |c| parts(c, Some(1), 2, Some(3))),
        of(&format!(r"\b(\d{{1,2}})([-/.])(\d{{1,2}})[-/.](\d{{4}}|\d{{2}})\b{TIME}"), numeric),
        of(&format!(r"(?i)\b{MONTH}\.?[\s-]+(\d{{1,2}}){ORDINAL}\b(?:,?[\s-]+(\d{{4}})\b)?{TIME}"), |c| {
            parts(c, Some(3), 1, Some(2))
        }),
        of(
            &format!(r"(?i)\b(\d{{1,2}}){ORDINAL}[\s.-]+(?:of\s+)?{MONTH}\.?(?:,?[\s-]+(\d{{4}}|\d{{2}})\b)?{TIME}"),
            |c| parts(c, Some(3), 2, Some(1)),
        ),
        of(&format!(r"(?i)\b{MONTH}\.?(?:,|\s+of|\s*[-/])?\s*(\d{{4}})\b"), |c| parts(c, Some(2), 1, None)),
        of(r"\b(\d{1,2})[/-](\d{4})\b", |c| parts(c, Some(2), 1, None)),
        of(r"\b(\d{4})-(\d{2})\b", |c| parts(c, Some(1), 2, None)),
        of(
            r"(?i)\b(?:on|since|by|dated?|until|till|from|through|thru|due|seen|admitted|discharged|born|dob)[:\s]+(?P<date>(\d{1,2})/(\d{1,2}))\b",
            |c| parts(c, None, 2, Some(3)),
        ),
    ]
});

/// A month by itself, where a word before it says that it is one.
static MONTHS: LazyLock<Regex> = LazyLock::new(|| {
    rule(&format!(
        r"\b(?:[Ii]n|[Oo]f|[Ss]ince|[Uu]ntil|[Bb]y|[Ll]ast|[Nn]ext|[Tt]his|[Ee]arly|[Mm]id|[Ll]ate|[Ff]rom|[Tt]hrough|[Ee]very|[Aa]nd|[Dd]uring|[Aa]fter|[Bb]efore)[\s-]+((?i:{MONTH}))\b"
    ))
});
static SURE_MONTHS: LazyLock<Regex> =
    LazyLock::new(|| rule(r"\b(January|February|April|June|July|August|September|October|November|December)\b"));
static WEEKDAYS: LazyLock<Regex> = LazyLock::new(|| rule(r"(?i)\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"));
static AGES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    vec![
        rule(r"(?i)\b(9\d|1[0-2]\d)(?:\s|-)?(?:years?|yrs?|y)?(?:\s|-|/|\.)*(?:olds?|o\b|yo\b|y/o|of age)"),
        rule(r"(?i)\b(9\d|1[0-2]\d)(?:\s|-)?(?:years?|yrs?)\b"),
        rule(r"(?i)\b(?:aged?|age of|turn(?:s|ed|ing)?|age:|died at|until age|since age)\s*(9\d|1[0-2]\d)\b"),
        rule(r"\b(9\d|1[0-2]\d)(?:\s?|-)[MF]\b"),
    ]
});
static BIRTH_YEAR: LazyLock<Regex> =
    LazyLock::new(|| rule(r"(?i)\b(?:born|birth|dob|b\.)[^\d\n]{0,20}((?:18|19|20)\d{2})\b"));
static ANY: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(?:\d{2})?|\d{1,2}/\d{4}|(?:19|20)\d{2}\s*[-–]\s*(?:19|20)\d{2})(?:[T\s]+\d{1,2}(?:\D.*)?)?\s*$",
    )
});

/// Whether digits are a date rather than a number of somebody's.
pub(super) fn looks_like_one(text: &str) -> bool {
    ANY.is_match(text) || is_compact_date(text)
}

/// `20250310`, with a time or without.
pub(super) fn is_compact_date(text: &str) -> bool {
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i16>().ok());
    matches!(text.len(), 8 | 12 | 14)
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && part(0, 4).is_some_and(|year| (1880..2100).contains(&year))
        && part(4, 6).is_some_and(|month| (1..=12).contains(&month))
        && part(6, 8).is_some_and(|day| (1..=31).contains(&day))
}

pub(super) fn find(findings: &mut Findings<'_>, subject: &Subject, today: Date) {
    let text = findings.text;
    for (rule, read) in RULES.iter() {
        for captures in rule.captures_iter(text) {
            let whole = captures.name("date").or_else(|| captures.get(0)).expect("a match has a whole");
            let Some(parts) = read(&captures) else { continue };
            if findings.is_free(whole.start(), whole.end()) {
                let mark = moved(parts, &time_of(whole.as_str()), subject, today);
                findings.take(whole.start(), whole.end(), Category::Date, &mark);
            }
        }
    }
    for rule in [&MONTHS, &SURE_MONTHS] {
        for captures in rule.captures_iter(text) {
            let month = captures.get(1).expect("a group that always matches");
            findings.take(month.start(), month.end(), Category::Date, "[DATE]");
        }
    }
    for found in WEEKDAYS.find_iter(text) {
        findings.take(found.start(), found.end(), Category::Date, "[WEEKDAY]");
    }
    find_ages(findings, today);
}

fn find_ages(findings: &mut Findings<'_>, today: Date) {
    let text = findings.text;
    for rule in AGES.iter() {
        for captures in rule.captures_iter(text) {
            let age = captures.get(1).expect("a group that always matches");
            findings.take(age.start(), age.end(), Category::Date, "[AGE 90+]");
        }
    }
    for captures in BIRTH_YEAR.captures_iter(text) {
        let year = captures.get(1).expect("a group that always matches");
        if year.as_str().parse().is_ok_and(|year: i16| today.year() - year > OLDEST) {
            findings.take(year.start(), year.end(), Category::Date, "[DATE]");
        }
    }
}

fn parts(captures: &Captures<'_>, year: Option<usize>, month: usize, day: Option<usize>) -> Option<Parts> {
    let number = |group: usize| captures.get(group).map(|found| found.as_str());
    let year = match year.and_then(number) {
        Some(text) => Some(year_of(text)?),
        None => None,
    };
    let month = month_of(number(month)?)?;
    let day = match day.and_then(number) {
        Some(text) => Some(text.parse().ok().filter(|day| (1..=31).contains(day))?),
        None => None,
    };
    Some(Parts { year, month, day })
}

/// `3/10/2025` is the tenth of March, `31.12.2024` the last of December.
fn numeric(captures: &Captures<'_>) -> Option<Parts> {
    let american = parts(captures, Some(4), 1, Some(3));
    let european = || parts(captures, Some(4), 3, Some(1));
    if &captures[2] == "." { european().or(american) } else { american.or_else(european) }
}

fn year_of(text: &str) -> Option<i16> {
    let year: i16 = text.parse().ok()?;
    let year = if text.len() == 2 { year + if year < 50 { 2000 } else { 1900 } } else { year };
    (1800..2200).contains(&year).then_some(year)
}

fn month_of(text: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = match text.parse() {
        Ok(number) => number,
        Err(_) => {
            let start = text.get(..3)?.to_lowercase();
            i8::try_from(MONTHS.iter().position(|month| *month == start)? + 1).ok()?
        }
    };
    (1..=12).contains(&month).then_some(month)
}

/// The time of day as it was written, in one form.
fn time_of(text: &str) -> String {
    static CLOCK: LazyLock<Regex> = LazyLock::new(|| rule(r"(?i)(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s?([ap])?"));
    let Some(captures) = CLOCK.captures(text) else { return String::new() };
    let hour: u8 = captures[1].parse().unwrap_or(0);
    let hour = match captures.get(4).map(|half| half.as_str().to_ascii_lowercase()) {
        Some(half) if half == "p" && hour < 12 => hour + 12,
        Some(half) if half == "a" && hour == 12 => 0,
        _ => hour,
    };
    let seconds = captures.get(3).map(|seconds| format!(":{}", seconds.as_str())).unwrap_or_default();
    format!(" {hour:02}:{}{seconds}", &captures[2])
}

fn moved(parts: Parts, time: &str, subject: &Subject, today: Date) -> String {
    // A month and a day without their year are moved through a year that has no 29th of February but one that does
    // have it: nothing is lost of a date that exists.
    const ANY_YEAR: i16 = 2024;
    let middle = 15;
    let date = Date::new(parts.year.unwrap_or(ANY_YEAR), parts.month, parts.day.unwrap_or(middle)).ok();
    let Some(date) = date.and_then(|date| subject.shifted(date)) else { return "[DATE]".to_owned() };
    if parts.year.is_some_and(|year| today.year() - year > OLDEST) {
        return "[DATE]".to_owned();
    }
    match (parts.year, parts.day) {
        (Some(_), Some(_)) => format!("[DATE {date}{time}]"),
        (Some(_), None) => format!("[DATE {}]", date.strftime("%Y-%m")),
        (None, Some(_)) => format!("[DATE --{}]", date.strftime("%m-%d")),
        (None, None) => "[DATE]".to_owned(),
    }
}
