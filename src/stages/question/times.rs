//! Times within a question: taken out of its text, as a window.

use std::sync::LazyLock;

use jiff::{ToSpan, civil::Date, tz::TimeZone};
use regex::{Captures, Regex};

use super::Window;
use crate::domain::Timestamp;

const MONTHS: &str = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|\
    oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";

static DATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        r"(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{4}}-\d{{2}}|\d{{1,2}}/\d{{1,2}}/\d{{4}}|(?:{MONTHS})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{MONTHS})\.?,?\s+\d{{4}}|(?:{MONTHS})\.?,?\s+(?:of\s+)?\d{{4}}|(?:19|20)\d{{2}})"
    )
});

static BETWEEN: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"\b(?:between|from)\s+({0})\s+(?:and|to|until|through|till)\s+({0})\b", *DATE)));
static BOUNDED: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"\b(since|after|from|starting|before|until|till|prior to|by|up to|as of|in|on|during|of|for|at|around)?\s*(?:the\s+(?:year|date)\s+(?:of\s+)?)?\b({})\b(\s+(?:onwards?|on))?",
        *DATE
    ))
});
static LAST: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(?:(?:in|over|within|during|for)\s+)?(?:the\s+)?(?:last|past|previous)\s+(\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve)?\s*(day|week|month|year)s?\b",
    )
});
static NEAR: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(this year|this month|today|yesterday)\b"));

static ANY: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"\b{}\b", *DATE)));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// The window, and the text without the words that say it. `now` is what `last year` is counted from.
pub(super) fn read(text: &str, now: Timestamp) -> (Window, String) {
    let lower = text.to_lowercase();
    if let Some(found) = BETWEEN.captures(&lower)
        && let (Some(from), Some(to)) = (bounds(&found[1]), bounds(&found[2]))
    {
        return (Window { from: Some(from.0), to: Some(to.1) }, without(&lower, &found));
    }
    if let Some(found) = LAST.captures(&lower)
        && let Some(window) = lasting(found.get(1).map(|count| count.as_str()), &found[2], now)
    {
        return (window, without(&lower, &found));
    }
    if let Some(found) = BOUNDED.captures(&lower)
        && let Some((start, end)) = bounds(&found[2])
    {
        let word = found.get(1).map_or("in", |word| word.as_str());
        let word = if found.get(3).is_some() { "since" } else { word };
        return (bounded(word, start, end), without(&lower, &found));
    }
    if let Some(found) = NEAR.captures(&lower)
        && let Some(window) = near(&found[1], now)
    {
        return (window, without(&lower, &found));
    }
    (Window::default(), lower)
}

/// Whether a text names a day, month or year that lies in the window.
pub fn names_a_time_in(text: &str, window: Window) -> bool {
    let lower = text.to_lowercase();
    let lies_in = |(start, end): (Timestamp, Timestamp)| window.holds(Some(start)) && window.holds(Some(end));
    ANY.find_iter(&lower).filter_map(|found| bounds(found.as_str())).any(lies_in)
}

fn without(text: &str, found: &Captures<'_>) -> String {
    let range = found.get(0).map(|whole| whole.range()).unwrap_or_default();
    format!("{} {}", &text[..range.start], &text[range.end..])
}

fn bounded(word: &str, start: Timestamp, end: Timestamp) -> Window {
    let just = |time: Timestamp, micros: i64| Some(Timestamp::from_micros(time.as_micros() + micros));
    match word {
        "since" | "from" | "starting" => Window { from: Some(start), to: None },
        "after" => Window { from: just(end, 1), to: None },
        "before" | "prior to" => Window { from: None, to: just(start, -1) },
        "until" | "till" | "by" | "up to" | "as of" => Window { from: None, to: Some(end) },
        _ => Window { from: Some(start), to: Some(end) },
    }
}

/// `last year` is the calendar year before this one; `the last 2 years` reach back from now.
fn lasting(count: Option<&str>, unit: &str, now: Timestamp) -> Option<Window> {
    let today = day(now)?;
    if count.is_none() && matches!(unit, "year" | "month") {
        let this = if unit == "year" { today.first_of_year() } else { today.first_of_month() };
        let before = if unit == "year" { 1.year() } else { 1.month() };
        let first = this.checked_sub(before).ok()?;
        return Some(Window {
            from: instant(first),
            to: instant(this).map(|end| Timestamp::from_micros(end.as_micros() - 1)),
        });
    }
    let count = match count.unwrap_or("one") {
        "a" | "an" | "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "twelve" => 12,
        digits => digits.parse::<i32>().ok()?,
    };
    let back = match unit {
        "day" => count.days(),
        "week" => count.weeks(),
        "month" => count.months(),
        _ => count.years(),
    };
    Some(Window { from: instant(today.checked_sub(back).ok()?), to: Some(now) })
}

fn near(word: &str, now: Timestamp) -> Option<Window> {
    let today = day(now)?;
    let (first, end) = match word {
        "this year" => (today.first_of_year(), today.last_of_year()),
        "this month" => (today.first_of_month(), today.last_of_month()),
        "yesterday" => (today.yesterday().ok()?, today.yesterday().ok()?),
        _ => (today, today),
    };
    let after = instant(end.tomorrow().ok()?)?;
    Some(Window { from: instant(first), to: Some(Timestamp::from_micros(after.as_micros() - 1)) })
}

fn day(time: Timestamp) -> Option<Date> {
    Some(TimeZone::UTC.to_datetime(jiff::Timestamp::from_microsecond(time.as_micros()).ok()?).date())
}

fn instant(date: Date) -> Option<Timestamp> {
    Timestamp::parse(&date.to_string())
}

/// First and last instant of a date, a month or a year as it is written in a question.
fn bounds(text: &str) -> Option<(Timestamp, Timestamp)> {
    let iso = iso(text)?;
    Some((Timestamp::parse(&iso)?, Timestamp::parse_end(&iso)?))
}

fn iso(text: &str) -> Option<String> {
    if text.chars().all(|c| c.is_ascii_digit() || c == '-') {
        return Some(text.to_owned());
    }
    if text.contains('/') {
        let mut parts = text.split('/').map(|part| part.parse::<u16>().ok());
        let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
        return Some(format!("{year:04}-{month:02}-{day:02}"));
    }
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let month = words.iter().find_map(|word| month(word))?;
    let numbers: Vec<u16> = words
        .iter()
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|word| word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok())
        .collect();
    match numbers[..] {
        [year] => Some(format!("{year:04}-{month:02}")),
        [day, year] => Some(format!("{year:04}-{month:02}-{day:02}")),
        _ => None,
    }
}

fn month(word: &str) -> Option<usize> {
    const NAMES: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = word.get(..3)?;
    word.starts_with(|c: char| c.is_alphabetic()).then_some(())?;
    NAMES.iter().position(|name| *name == start).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::{names_a_time_in, read};
    use crate::domain::Timestamp;

    fn window(text: &str) -> (String, String, String) {
        let (window, rest) = read(text, Timestamp::parse("2026-11-28T12:00:00Z").unwrap());
        let day = |time: Option<Timestamp>| time.map(|time| time.date()).unwrap_or_default();
        (day(window.from), day(window.to), rest.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_way_of_saying_a_time_has_its_window() {
        for (text, from, to, rest) in [
            ("A1c since March 2024", "2024-03-01", "", "a1c"),
            ("A1c after 2024", "2025-01-01", "", "a1c"),
            ("INR before 2024-05-10?", "", "2024-05-09", "inr ?"),
            ("INR on May 10, 2024", "2024-05-10", "2024-05-10", "inr"),
            ("INR in May 2024", "2024-05-01", "2024-05-31", "inr"),
            ("INR of 5 May 2024", "2024-05-05", "2024-05-05", "inr"),
            ("INR on 5/7/2024", "2024-05-07", "2024-05-07", "inr"),
            ("weights between 2020 and 2022", "2020-01-01", "2022-12-31", "weights"),
            ("weights from 2020-02 to 2020-04", "2020-02-01", "2020-04-30", "weights"),
            ("weights in the last 6 months", "2026-05-28", "2026-11-28", "weights"),
            ("weights over the past two years", "2024-11-28", "2026-11-28", "weights"),
            ("visits last year", "2025-01-01", "2025-12-31", "visits"),
            ("visits this month", "2026-11-01", "2026-11-30", "visits"),
            ("latest weight", "", "", "latest weight"),
            ("furosemide 40 mg", "", "", "furosemide 40 mg"),
        ] {
            assert_eq!(window(text), (from.to_owned(), to.to_owned(), rest.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_text_names_a_time_in_a_window_only_when_all_of_it_lies_there() {
        let may = super::read("INR in May 2024", Timestamp::parse("2026-11-28").unwrap()).0;
        for text in ["seen 2024-05-11", "on May 9, 2024 he bled", "INR of May 2024"] {
            assert!(names_a_time_in(text, may), "{text}");
        }
        for text in ["seen 2024-06-01", "all of 2024", "in May", ""] {
            assert!(!names_a_time_in(text, may), "{text}");
        }
    }

    #[test]
    fn the_word_may_alone_is_no_month() {
        assert_eq!(window("how much may she take in a day").2, "how much may she take in a day");
    }
}
