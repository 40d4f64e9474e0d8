//! A moment in UTC with microsecond precision, as the store keeps it.

use std::fmt;

use jiff::{SignedDuration, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Microseconds since 1970-01-01T00:00:00Z. Serializes as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 and FHIR's partial forms (`2019`, `2019-03`, `2019-03-01`), each
    /// taken at its first instant; a time without an offset is UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Some(Self(instant.as_microsecond()));
        }
        if let Ok(local) = text.parse::<civil::DateTime>() {
            return Self::at(local);
        }
        let padded = match text.len() {
            4 => format!("{text}-01-01"),
            7 => format!("{text}-01"),
            _ => return None,
        };
        Self::at(padded.parse::<civil::Date>().ok()?.at(0, 0, 0, 0))
    }

    /// The last instant of a date, month or year; a full time as it is. For inclusive upper bounds.
    pub fn parse_end(text: &str) -> Option<Self> {
        let start = Self::parse(text)?;
        let text = text.trim();
        let span = match text.len() {
            4 => jiff::Span::new().years(1),
            7 => jiff::Span::new().months(1),
            10 => jiff::Span::new().days(1),
            _ => return Some(start),
        };
        let first = TimeZone::UTC.to_datetime(jiff::Timestamp::from_microsecond(start.0).ok()?);
        Some(Self(Self::at(first.checked_add(span).ok()?)?.0 - 1))
    }

    fn at(local: civil::DateTime) -> Option<Self> {
        let instant = TimeZone::UTC.to_timestamp(local).ok()?;
        Some(Self(instant.as_microsecond()))
    }

    /// Whole seconds from `earlier` to `self`; negative when `earlier` lies ahead.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).div_euclid(1_000_000)
    }

    pub fn plus(self, duration: SignedDuration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// `2024-03-01`, for readable lines.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

/// The day that it is, in UTC.
pub fn today() -> civil::Date {
    TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => f.write_str("out of range"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a date or RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn partial_dates_begin_at_their_first_instant() {
        for (text, full) in [
            ("2019", "2019-01-01T00:00:00Z"),
            ("2019-03", "2019-03-01T00:00:00Z"),
            ("2019-03-04", "2019-03-04T00:00:00Z"),
            ("2019-03-04T10:00:00", "2019-03-04T10:00:00Z"),
            ("2019-03-04T10:00:00+02:00", "2019-03-04T08:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(text).map(|t| t.to_string()).as_deref(), Some(full));
        }
    }

    #[test]
    fn an_upper_bound_holds_the_whole_day_month_or_year() {
        for (text, end) in [
            ("2024", "2024-12-31T23:59:59.999999Z"),
            ("2024-02", "2024-02-29T23:59:59.999999Z"),
            ("2024-02-28", "2024-02-28T23:59:59.999999Z"),
            ("2024-02-28T10:00:00Z", "2024-02-28T10:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse_end(text).map(|t| t.to_string()).as_deref(), Some(end));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "yesterday", "2019-13", "2019-02-30", "20190304x"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
