//! HL7 v3 times: points of any precision, intervals, and how often.

use crate::domain::Timestamp;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

/// Years outside are fillers: `0001`, `2999`, `9999`.
const YEARS: std::ops::RangeInclusive<u16> = 1850..=2200;

/// One point in time: its date in words, as precise as it was written, and its first instant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub words: String,
    pub instant: Timestamp,
}

/// Reads `YYYYMMDDHHMMSS.ssss+ZZZZ`, any beginning of it, and the same with dashes and colons.
///
/// The date in words is the one written: it isn't moved by the offset.
pub(super) fn moment(literal: &str) -> Option<Moment> {
    let literal = literal.trim();
    let plain = if literal.as_bytes().get(4) == Some(&b'-') && literal.len() >= 7 {
        iso_to_plain(literal)
    } else {
        literal.to_owned()
    };
    let digits = plain.bytes().take_while(u8::is_ascii_digit).count();
    let number = plain.get(..digits.min(14))?;
    let year: u16 = number.get(..4)?.parse().ok()?;
    if !YEARS.contains(&year) {
        return None;
    }
    let part = |from: usize| number.get(from..from + 2);
    let mut words = number.get(..4)?.to_owned();
    for from in [4, 6] {
        match part(from) {
            Some("00") | None => break,
            Some(part) => {
                words.push('-');
                words.push_str(part);
            }
        }
    }
    let instant = match (part(8), words.len()) {
        (Some(hour), 10) => {
            let (minute, second) = (part(10).unwrap_or("00"), part(12).unwrap_or("00"));
            let offset = offset(plain.get(digits..).unwrap_or_default());
            Timestamp::parse(&format!("{words}T{hour}:{minute}:{second}{offset}"))
        }
        _ => None,
    };
    let instant = instant.or_else(|| Timestamp::parse(&words))?;
    Some(Moment { words, instant })
}

fn iso_to_plain(literal: &str) -> String {
    let (day, clock) = literal.split_once(['T', ' ']).unwrap_or((literal, ""));
    let at = clock.find(['+', '-', 'Z']).unwrap_or(clock.len());
    let (clock, offset) = clock.split_at(at);
    format!("{}{}{offset}", day.replace('-', ""), clock.replace(':', ""))
}

/// `+HH:MM` of what stands behind the digits; `-0000` and none at all mean that it isn't known.
fn offset(rest: &str) -> String {
    let Some(at) = rest.find(['+', '-']) else { return if rest.ends_with('Z') { "Z".into() } else { String::new() } };
    let (sign, digits) = rest.split_at(at).1.split_at(1);
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    match (digits.get(..2), digits.get(2..4)) {
        (Some(hours), Some(minutes)) => format!("{sign}{hours}:{minutes}"),
        (Some(hours), None) => format!("{sign}{hours}:00"),
        _ => String::new(),
    }
}

/// An `effectiveTime` or `time` in any of its forms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Period {
    pub point: Option<Moment>,
    pub low: Option<Moment>,
    pub high: Option<Moment>,
    /// There was an end, though perhaps at an unknown time; other null flavors don't even say that.
    pub has_end: bool,
}

impl Period {
    pub fn read(element: Element<'_>) -> Self {
        let own = |element: Element<'_>| element.attribute("value").and_then(moment);
        let bound = |name: &str| element.child(name).and_then(own);
        let period = Self {
            point: own(element).or_else(|| bound("center")),
            low: bound("low"),
            high: bound("high"),
            has_end: bound("high").is_some()
                || element.child("high").is_some_and(|high| high.attribute("nullFlavor") == Some("UNK")),
        };
        if period.is_empty()
            && let Some(part) = element.child("comp")
        {
            return Self::read(part);
        }
        period
    }

    /// The first of the elements with that name that says when.
    pub fn of(element: Element<'_>, name: &str) -> Self {
        element.all(name).map(Self::read).find(|period| !period.is_empty()).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.point.is_none() && self.low.is_none() && self.high.is_none() && !self.has_end
    }

    pub fn start(&self) -> Option<Timestamp> {
        let first = self.low.as_ref().or(self.point.as_ref()).or(self.high.as_ref())?;
        Some(first.instant)
    }

    /// `2019-03-01`, `2019-03-01 to 2019-03-04`, `since 2019-03-01`, `until 2019-03-04`.
    pub fn words(&self) -> Option<String> {
        if let Some(point) = &self.point {
            return Some(point.words.clone());
        }
        match (&self.low, &self.high) {
            (Some(low), Some(high)) if low.words == high.words => Some(low.words.clone()),
            (Some(low), Some(high)) => Some(format!("{} to {}", low.words, high.words)),
            (Some(low), None) => Some(format!("since {}", low.words)),
            (None, Some(high)) => Some(format!("until {}", high.words)),
            (None, None) => None,
        }
    }
}

/// `every 8 h`, `before meals`: PIVL and EIVL among the `effectiveTime`s of a medication.
pub(super) fn frequency(element: Element<'_>) -> Option<String> {
    let one = |time: Element<'_>| -> Option<String> {
        if let Some(event) = time.child("event").and_then(|event| event.attribute("code")) {
            return Some(event_words(event));
        }
        let period = time.child("period")?;
        let bound = |name: &str| period.child(name).and_then(|bound| Some((bound.attribute("value")?, bound)));
        let (number, unit) = match (period.attribute("value"), bound("low"), bound("high")) {
            (Some(value), _, _) => (value.to_owned(), period.attribute("unit")),
            (None, Some((low, of)), Some((high, _))) => (format!("{low}-{high}"), of.attribute("unit")),
            (None, Some((one, of)), None) | (None, None, Some((one, of))) => (one.to_owned(), of.attribute("unit")),
            (None, None, None) => return None,
        };
        Some(tidy::bounded(&format!("every {number} {}", unit.unwrap_or_default()), 60))
    };
    let parts = element.all("effectiveTime").flat_map(|time| std::iter::once(time).chain(time.all("comp")));
    let words: Vec<String> = parts.filter_map(one).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn event_words(code: &str) -> String {
    match code {
        "HS" => "at bedtime",
        "WAKE" => "on waking",
        "AC" => "before meals",
        "PC" => "after meals",
        "C" => "with meals",
        "ACM" => "before breakfast",
        "ACD" => "before lunch",
        "ACV" => "before dinner",
        "PCM" => "after breakfast",
        "PCD" => "after lunch",
        "PCV" => "after dinner",
        "CM" => "with breakfast",
        "CD" => "with lunch",
        "CV" => "with dinner",
        "IC" => "between meals",
        _ => return tidy::bounded(code, 20),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    fn read(literal: &str) -> Option<(String, String)> {
        moment(literal).map(|moment| (moment.words, moment.instant.to_string()))
    }

    #[test]
    fn times_of_any_precision_are_read() {
        for (literal, words, instant) in [
            ("2013", "2013", "2013-01-01T00:00:00Z"),
            ("201301", "2013-01", "2013-01-01T00:00:00Z"),
            ("20130130", "2013-01-30", "2013-01-30T00:00:00Z"),
            ("2013013008", "2013-01-30", "2013-01-30T08:00:00Z"),
            ("201301300800-0500", "2013-01-30", "2013-01-30T13:00:00Z"),
            ("20130130235959.1234+0200", "2013-01-30", "2013-01-30T21:59:59Z"),
            ("20130130080000-0000", "2013-01-30", "2013-01-30T08:00:00Z"),
            ("20130130-0500", "2013-01-30", "2013-01-30T00:00:00Z"),
            ("20130000", "2013", "2013-01-01T00:00:00Z"),
            ("2013-01-30", "2013-01-30", "2013-01-30T00:00:00Z"),
            ("2013-01-30T08:00:00-05:00", "2013-01-30", "2013-01-30T13:00:00Z"),
        ] {
            assert_eq!(read(literal), Some((words.into(), instant.into())), "{literal}");
        }
    }

    #[test]
    fn fillers_are_no_times() {
        for literal in ["", "00000000", "0001", "2999", "99991231", "unknown", "20131399", "201"] {
            assert_eq!(read(literal), None, "{literal}");
        }
    }

    #[test]
    fn an_end_at_an_unknown_time_is_an_end_and_no_information_is_none() {
        for (flavor, ended) in [("UNK", true), ("NI", false), ("NA", false)] {
            let xml = format!("<effectiveTime><low value='2013'/><high nullFlavor='{flavor}'/></effectiveTime>");
            assert_eq!(Period::read(Tree::parse(&xml).unwrap().root()).has_end, ended, "{flavor}");
        }
    }

    #[test]
    fn intervals_and_frequencies_have_words() {
        let tree = Tree::parse(
            "<a><effectiveTime><low value='20130101'/><high nullFlavor='UNK'/></effectiveTime>\
             <effectiveTime xsi:type='PIVL_TS'><period value='8' unit='h'/></effectiveTime>\
             <effectiveTime xsi:type='EIVL_TS'><event code='AC'/></effectiveTime></a>",
        )
        .unwrap();
        let period = Period::of(tree.root(), "effectiveTime");
        assert_eq!((period.words().as_deref(), period.has_end), (Some("since 2013-01-01"), true));
        assert_eq!(frequency(tree.root()).as_deref(), Some("every 8 h, before meals"));
    }
}
