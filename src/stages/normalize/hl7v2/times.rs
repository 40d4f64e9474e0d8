//! Times as HL7 writes them, `YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ]`, with the precision they came in.

use crate::domain::Timestamp;

/// What stands for no time at all in many systems.
const PLACEHOLDERS: [&str; 4] = ["00000000", "19000101", "99991231", "99999999"];

/// The offset of times that give none: `+02:00`; the message's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Zone(Option<String>);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    /// `2024`, `2024-05`, `2024-05-01`
    pub day: String,
    /// `09:30`, when a time of day was given.
    clock: Option<String>,
    offset: Option<String>,
    pub instant: Timestamp,
}

impl Zone {
    pub fn of(header_time: Option<&str>) -> Self {
        Self(header_time.and_then(|text| offset(text.trim())))
    }
}

impl Moment {
    /// `None` for what is no time, and for the placeholders of none.
    pub fn parse(text: &str, zone: &Zone) -> Option<Self> {
        let text = text.trim();
        let plain = dashed(text).unwrap_or_else(|| text.to_owned());
        let digits: String = plain.chars().take_while(char::is_ascii_digit).take(14).collect();
        let digits = digits.get(..digits.len() & !1).unwrap_or_default();
        if digits.len() < 4 || PLACEHOLDERS.iter().any(|none| digits.starts_with(none)) {
            return None;
        }
        let part = |from: usize| digits.get(from..from + 2);
        let year = digits.get(..4)?;
        let day = [Some(year), part(4), part(6)].into_iter().flatten().collect::<Vec<_>>().join("-");
        let Some(hour) = part(8) else {
            return Some(Self { instant: Timestamp::parse(&day)?, day, clock: None, offset: None });
        };
        let (minute, second) = (part(10).unwrap_or("00"), part(12).unwrap_or("00"));
        let offset = offset(&plain).or_else(|| zone.0.clone());
        let sign = offset.as_deref().unwrap_or("Z");
        let moment = |hour: &str| Timestamp::parse(&format!("{day}T{hour}:{minute}:{second}{sign}"));
        if hour == "24" && minute == "00" {
            let instant = moment("00")?.plus(jiff::SignedDuration::from_hours(24));
            let day = local_day(instant, sign).unwrap_or(day);
            return Some(Self { day, clock: Some("00:00".to_owned()), offset, instant });
        }
        let instant = moment(hour)?;
        Some(Self { day, clock: Some(format!("{hour}:{minute}")), offset, instant })
    }

    /// `2024-05-01 09:30 +02:00`; midnight alone is a day.
    pub fn words(&self) -> String {
        let Some(clock) = &self.clock else { return self.day.clone() };
        let offset = self.offset.as_deref().map(|offset| match offset {
            "+00:00" | "-00:00" => " UTC".to_owned(),
            offset => format!(" {offset}"),
        });
        format!("{} {clock}{}", self.day, offset.unwrap_or_default())
    }

    /// `2024-05-01 09:00 to 09:30 +02:00`
    pub fn until(&self, end: &Moment) -> String {
        match &end.clock {
            Some(clock) if self.day == end.day && self.offset == end.offset && self.clock.is_some() => {
                let start = Self { offset: None, ..self.clone() }.words();
                let zone = end.words();
                let zone = zone.split_once(clock.as_str()).map(|(_, zone)| zone).unwrap_or_default();
                format!("{start} to {clock}{zone}")
            }
            _ if self == end => self.words(),
            _ => format!("{} to {}", self.words(), end.words()),
        }
    }

    /// The same wall clock and offset, minutes later.
    pub fn later(&self, minutes: i64) -> Option<Self> {
        let instant = self.instant.plus(jiff::SignedDuration::from_mins(minutes));
        let sign = self.offset.as_deref().unwrap_or("+00:00");
        let local = instant.plus(jiff::SignedDuration::from_mins(offset_minutes(sign)?)).to_string();
        self.clock.as_ref()?;
        let clock = local.get(11..16)?.to_owned();
        Some(Self { day: local.get(..10)?.to_owned(), clock: Some(clock), offset: self.offset.clone(), instant })
    }
}

fn local_day(instant: Timestamp, sign: &str) -> Option<String> {
    let minutes = if sign == "Z" { 0 } else { offset_minutes(sign)? };
    Some(instant.plus(jiff::SignedDuration::from_mins(minutes)).date())
}

/// Minutes of `+02:15`.
fn offset_minutes(offset: &str) -> Option<i64> {
    let minutes = offset.get(1..3)?.parse::<i64>().ok()? * 60 + offset.get(4..6)?.parse::<i64>().ok()?;
    Some(if offset.starts_with('-') { -minutes } else { minutes })
}

/// `+0215` at the end as `+02:15`.
fn offset(text: &str) -> Option<String> {
    let at = text.rfind(['+', '-']).filter(|at| *at >= 4)?;
    let digits: String = text.get(at + 1..)?.chars().filter(|c| *c != ':').collect();
    let fits = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let (hours, minutes) = (digits.get(..2)?, digits.get(2..4)?);
    let within = fits && hours.parse::<u32>().is_ok_and(|h| h <= 18) && minutes.parse::<u32>().is_ok_and(|m| m < 60);
    within.then(|| format!("{}{hours}:{minutes}", text.get(at..=at).unwrap_or("+")))
}

/// `2024-05-01T09:30:00+02:00` and `2024-05-01 09:30`, as some senders write, to HL7's own form.
fn dashed(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let date = format!("{}{}{}", text.get(..4)?, text.get(5..7)?, text.get(8..10)?);
    let rest = text.get(10..)?.trim_start_matches(['T', ' ']);
    let zone_at = rest.find(['+', '-', 'Z', '.']).unwrap_or(rest.len());
    let clock: String = rest.get(..zone_at)?.chars().filter(char::is_ascii_digit).collect();
    let zone = offset(text.get(8..)?).or_else(|| rest.ends_with('Z').then(|| "+00:00".to_owned()));
    Some(format!("{date}{clock}{}", zone.unwrap_or_default().replace(':', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Option<(String, String)> {
        Moment::parse(text, &Zone::default()).map(|moment| (moment.words(), moment.instant.to_string()))
    }

    #[test]
    fn the_precision_is_kept() {
        for (text, words, instant) in [
            ("2024", "2024", "2024-01-01T00:00:00Z"),
            ("202405", "2024-05", "2024-05-01T00:00:00Z"),
            ("20240501", "2024-05-01", "2024-05-01T00:00:00Z"),
            ("2024050109", "2024-05-01 09:00", "2024-05-01T09:00:00Z"),
            ("202405010930+0200", "2024-05-01 09:30 +02:00", "2024-05-01T07:30:00Z"),
            ("20240501093015.1234-0500", "2024-05-01 09:30 -05:00", "2024-05-01T14:30:15Z"),
            ("2004062916460000", "2004-06-29 16:46", "2004-06-29T16:46:00Z"),
            ("2024-05-01T09:30:00+02:00", "2024-05-01 09:30 +02:00", "2024-05-01T07:30:00Z"),
            ("2024-05-01", "2024-05-01", "2024-05-01T00:00:00Z"),
            ("202405012400", "2024-05-02 00:00", "2024-05-02T00:00:00Z"),
        ] {
            assert_eq!(moment(text), Some((words.to_owned(), instant.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "00000000", "19000101", "99991231", "20241301", "20240230", "soon", "12", "202405012575"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn the_message_s_offset_holds_where_none_is_given() {
        let zone = Zone::of(Some("20240501100000+0200"));
        let moment = Moment::parse("202405010930", &zone).unwrap();
        assert_eq!(moment.instant.to_string(), "2024-05-01T07:30:00Z");
        assert_eq!(Moment::parse("20240501", &zone).unwrap().instant.to_string(), "2024-05-01T00:00:00Z");
    }

    #[test]
    fn a_span_names_its_day_once() {
        let at = |text: &str| Moment::parse(text, &Zone::default()).unwrap();
        let start = at("202405010900+0200");
        assert_eq!(start.until(&at("202405010930+0200")), "2024-05-01 09:00 to 09:30 +02:00");
        assert_eq!(start.until(&start.later(45).unwrap()), "2024-05-01 09:00 to 09:45 +02:00");
        assert_eq!(at("20240501").until(&at("20240503")), "2024-05-01 to 2024-05-03");
    }
}
