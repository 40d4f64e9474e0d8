//! Times as systems write them: declared formats, epochs, RFC 3339 and its relatives.

use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::domain::{Mapping, Timestamp};

/// A time as far as it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Date(civil::Date),
    /// Of the mapping's time zone.
    Local(civil::DateTime),
    Instant(jiff::Timestamp),
}

/// Reads and writes times by a mapping's formats and zone.
pub(super) struct Clock<'a> {
    zone: TimeZone,
    formats: &'a [String],
}

impl<'a> Clock<'a> {
    pub fn of(mapping: &'a Mapping) -> Self {
        let zone = mapping.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        Self { zone: zone.unwrap_or(TimeZone::UTC), formats: &mapping.time_formats }
    }

    /// A date alone is midnight UTC wherever it was written, so that it stays the same date.
    pub fn timestamp(&self, text: &str) -> Option<Timestamp> {
        let instant = match self.moment(text) {
            Some(Moment::Date(date)) => TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?,
            Some(Moment::Local(local)) => self.zone.to_timestamp(local).ok()?,
            Some(Moment::Instant(instant)) => instant,
            None => return Timestamp::parse(text),
        };
        Some(Timestamp::from_micros(instant.as_microsecond()))
    }

    /// `2024-03-01`; what is no full date stays as it is.
    pub fn date(&self, text: &str) -> String {
        match self.moment(text) {
            Some(Moment::Date(date)) => date.to_string(),
            Some(Moment::Local(local)) => local.date().to_string(),
            Some(Moment::Instant(instant)) => self.zone.to_datetime(instant).date().to_string(),
            None => text.to_owned(),
        }
    }

    /// `14:05`; of a date alone nothing.
    pub fn time(&self, text: &str) -> String {
        match self.moment(text) {
            Some(Moment::Date(_)) => String::new(),
            Some(Moment::Local(local)) => hours(local.time()),
            Some(Moment::Instant(instant)) => hours(self.zone.to_datetime(instant).time()),
            None => text.parse::<civil::Time>().map_or_else(|_| text.to_owned(), hours),
        }
    }

    /// `2024-03-01 14:05`
    pub fn date_and_time(&self, text: &str) -> String {
        match self.moment(text) {
            Some(Moment::Date(_)) | None => self.date(text),
            Some(_) => format!("{} {}", self.date(text), self.time(text)),
        }
    }

    fn moment(&self, text: &str) -> Option<Moment> {
        let text = text.trim();
        self.formats.iter().find_map(|format| declared(format, text)).or_else(|| usual(text))
    }
}

fn hours(time: civil::Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

fn declared(format: &str, text: &str) -> Option<Moment> {
    match format {
        // Four digits are a year.
        "epoch_s" | "epoch_ms" if text.len() < 6 => None,
        "epoch_s" => Some(Moment::Instant(jiff::Timestamp::from_second(text.parse().ok()?).ok()?)),
        "epoch_ms" => Some(Moment::Instant(jiff::Timestamp::from_millisecond(text.parse().ok()?).ok()?)),
        _ => {
            let read = strtime::parse(format, text).ok()?;
            if read.offset().is_some() {
                return read.to_timestamp().ok().map(Moment::Instant);
            }
            match read.hour() {
                Some(_) => read.to_datetime().ok().map(Moment::Local),
                None => read.to_date().ok().map(Moment::Date),
            }
        }
    }
}

/// RFC 3339 with or without `T`, zone and time, and `+0000`, which many systems write.
fn usual(text: &str) -> Option<Moment> {
    if !text.contains(':') {
        return (text.len() == 10).then(|| text.parse().ok().map(Moment::Date))?;
    }
    let iso = text.replacen(' ', "T", 1);
    instant(&iso).map(Moment::Instant).or_else(|| iso.parse().ok().map(Moment::Local))
}

fn instant(iso: &str) -> Option<jiff::Timestamp> {
    if let Ok(instant) = iso.parse() {
        return Some(instant);
    }
    let (time, offset) = iso.split_at_checked(iso.len().checked_sub(5)?)?;
    let (sign, digits) = offset.split_at_checked(1)?;
    let fits = matches!(sign, "+" | "-") && digits.bytes().all(|b| b.is_ascii_digit());
    let (hours, minutes) = digits.split_at_checked(2)?;
    fits.then(|| format!("{time}{sign}{hours}:{minutes}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str, formats: &[String]) -> Clock<'static> {
        Clock { zone: TimeZone::get(zone).unwrap(), formats: formats.to_vec().leak() }
    }

    #[test]
    fn times_are_read_in_every_declared_form() {
        let formats = ["%m/%d/%Y %H:%M", "%d-%b-%Y", "epoch_ms"].map(str::to_owned);
        let clock = clock("UTC", &formats);
        for (text, expected) in [
            ("03/01/2024 14:05", "2024-03-01T14:05:00Z"),
            ("27-JAN-2016", "2016-01-27T00:00:00Z"),
            ("30-May-2015", "2015-05-30T00:00:00Z"),
            ("1709301900000", "2024-03-01T14:05:00Z"),
            ("2024-03-01T14:05:00.000+0000", "2024-03-01T14:05:00Z"),
            ("2024-03-01 14:05:00", "2024-03-01T14:05:00Z"),
            ("2024-03-01T16:05:00+02:00", "2024-03-01T14:05:00Z"),
            ("2011", "2011-01-01T00:00:00Z"),
        ] {
            assert_eq!(clock.timestamp(text).map(|t| t.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "soon", "31-FEB-2016", "13/45/2024 99:99", "17093019000000000000000", "~"] {
            assert_eq!(clock.timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn local_times_are_of_the_declared_zone_and_dates_stay() {
        let clock = clock("America/New_York", &[]);
        assert_eq!(clock.timestamp("2024-07-01 09:00").unwrap().to_string(), "2024-07-01T13:00:00Z");
        assert_eq!(clock.timestamp("2024-07-01").unwrap().to_string(), "2024-07-01T00:00:00Z");
        assert_eq!(clock.date("2024-07-01"), "2024-07-01");
        assert_eq!(clock.date_and_time("2024-07-01T01:30:00Z"), "2024-06-30 21:30");
    }

    #[test]
    fn what_is_no_time_stays_as_it_is() {
        let clock = clock("UTC", &[]);
        assert_eq!((clock.date("2019").as_str(), clock.date("soon").as_str()), ("2019", "soon"));
        assert_eq!((clock.time("08:00:00").as_str(), clock.time("2024-01-01").as_str()), ("08:00", ""));
    }
}
