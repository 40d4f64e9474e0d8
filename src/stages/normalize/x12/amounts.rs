//! Money and quantities as decimals: read, added and shown without a float in between.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

/// Ten-thousandths of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i64);

impl Amount {
    pub const ZERO: Self = Self(0);

    /// X12's decimal: explicit point, leading zero dropped, `-` for less than nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.trim().strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.trim().trim_start_matches('+')),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || whole.len() > 12 || !numeric(whole) || !numeric(fraction) {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction: i64 = format!("{fraction:0<4}").get(..4)?.parse().ok()?;
        let value = whole.checked_mul(10_000)?.checked_add(fraction)?;
        Some(Self(if negative { -value } else { value }))
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// For a fact's value only; texts show the decimal.
    pub fn as_f64(self) -> f64 {
        self.to_string().parse().unwrap_or_default()
    }

    /// `$12.25`, `-$3.00`
    pub fn dollars(self) -> String {
        let cents = self.0.unsigned_abs() % 10_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / 10_000;
        match cents % 100 {
            0 => format!("{sign}${whole}.{:02}", cents / 100),
            _ => format!("{sign}${whole}.{cents:04}"),
        }
    }

    /// A fraction as a percentage: `.2` is `20%`.
    pub fn percent(self) -> String {
        format!("{}%", Self(self.0.saturating_mul(100)))
    }
}

impl fmt::Display for Amount {
    /// The shortest decimal: `1`, `0.5`, `-12.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / 10_000, self.0.unsigned_abs() % 10_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:04}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Money for people; what is no number is shown as it came.
pub(super) fn dollars(text: &str) -> String {
    Amount::parse(text).map_or_else(|| text.to_owned(), Amount::dollars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_senders_write_them() {
        for (text, shown, money) in [
            ("100", "100", "$100.00"),
            (".5", "0.5", "$0.50"),
            ("-12.25", "-12.25", "-$12.25"),
            ("12.", "12", "$12.00"),
            ("0.1234", "0.1234", "$0.1234"),
            ("007.10", "7.1", "$7.10"),
        ] {
            let amount = Amount::parse(text).unwrap();
            assert_eq!((amount.to_string().as_str(), amount.dollars().as_str()), (shown, money));
        }
    }

    #[test]
    fn what_is_no_decimal_is_shown_as_it_came() {
        for text in ["", ".", "-", "1,000", "12 USD", "1e5", "9999999999999", "--1"] {
            assert_eq!(Amount::parse(text), None, "{text}");
            assert_eq!(dollars(text), text);
        }
    }

    #[test]
    fn cents_add_up_exactly() {
        let sum: Amount = ["0.10", "0.20", "-0.30"].iter().filter_map(|text| Amount::parse(text)).sum();
        assert!(sum.is_zero());
        assert_eq!(Amount::parse(".2").unwrap().percent(), "20%");
        assert!((Amount::parse("12.25").unwrap().as_f64() - 12.25).abs() < f64::EPSILON);
    }
}
