//! Dates and times: `D8`, `RD8`, `DT`, and the six digits of `ISA`.

use crate::domain::Timestamp;

/// A day, or the first and last of several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Period {
    pub start: Option<Timestamp>,
    /// `2026-10-03`, `2026-10-03 to 2026-10-05`
    pub words: String,
}

/// By its qualifier (`D8`, `RD8`, `DT`, ...); `None` when it is no date.
pub(super) fn period(value: &str) -> Option<Period> {
    let (first, last) = match value.split_once('-') {
        Some((first, last)) => (day(first), day(last)),
        None => (day(value), None),
    };
    let words = match (&first, &last) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(first), _) => first.clone(),
        (None, Some(last)) => format!("until {last}"),
        (None, None) => return None,
    };
    Some(Period { start: first.as_deref().or(last.as_deref()).and_then(Timestamp::parse), words })
}

/// `CCYYMMDD`, with or without a time behind it, as `CCYY-MM-DD`; also `CCYYMM` and `CCYY`.
pub(super) fn day(value: &str) -> Option<String> {
    let value = value.trim();
    let digits = value.get(..value.len().min(8))?;
    if digits.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let written = match value.len() {
        4 if ("1800".."2200").contains(&digits) => digits.to_owned(),
        6 => format!("{}-{}", digits.get(..4)?, digits.get(4..6)?),
        8 | 12 | 14 => format!("{}-{}-{}", digits.get(..4)?, digits.get(4..6)?, digits.get(6..8)?),
        _ => return None,
    };
    Timestamp::parse(&written).map(|_| written)
}

/// `HHMM` as `HH:MM`.
pub(super) fn clock(value: &str) -> Option<String> {
    let (hours, minutes) = (value.get(..2)?, value.get(2..4)?);
    let fits = value.bytes().all(|b| b.is_ascii_digit()) && hours < "24" && minutes < "60";
    fits.then(|| format!("{hours}:{minutes}"))
}

/// A date `CCYYMMDD` or `YYMMDD` and a time `HHMM`, `HHMMSS`, `HHMMSSDD`; a time that can't be is left out.
pub(super) fn moment(date: &str, time: &str) -> Option<Timestamp> {
    let date = date.trim();
    let full = if date.len() == 6 { format!("20{date}") } else { date.to_owned() };
    if full.len() != 8 {
        return None;
    }
    let day = day(&full)?;
    let time = time.trim();
    let clock = match (time.get(..2), time.get(2..4), time.get(4..6)) {
        (Some(hours), Some(minutes), Some(seconds)) => Some(format!("{day}T{hours}:{minutes}:{seconds}")),
        (Some(hours), Some(minutes), None) => Some(format!("{day}T{hours}:{minutes}:00")),
        _ => None,
    };
    clock.and_then(|clock| Timestamp::parse(&clock)).or_else(|| Timestamp::parse(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form() {
        for (value, words) in [
            ("20261003", "2026-10-03"),
            ("20261003-20261005", "2026-10-03 to 2026-10-05"),
            ("20261003-20261003", "2026-10-03"),
            ("202610031430", "2026-10-03"),
            ("202610", "2026-10"),
        ] {
            assert_eq!(period(value).unwrap().words, words);
        }
        for value in ["", "0", "20261332", "2026100", "-", "abcdefgh", "2026é03", "1130"] {
            assert_eq!(period(value), None, "{value}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_leaves_the_day() {
        for (date, time, written) in [
            ("20110311", "100831", "2011-03-11T10:08:31Z"),
            ("041117", "1024", "2004-11-17T10:24:00Z"),
            ("20200415", "102497", "2020-04-15T00:00:00Z"),
            ("20200415", "", "2020-04-15T00:00:00Z"),
            ("20200415", "08301599", "2020-04-15T08:30:15Z"),
        ] {
            assert_eq!(moment(date, time).unwrap().to_string(), written);
        }
        assert_eq!(moment("2020", "1000"), None);
    }
}
