//! Whether a code has the shape its system gives it: digits, check digits, pattern. No code list is consulted.

/// `None` when the system's shape isn't known here.
pub(super) fn well_formed(system: &str, code: &str) -> Option<bool> {
    match system {
        "LOINC" => Some(is_loinc(code)),
        "SNOMED" => Some(is_snomed(code)),
        "RxNorm" => Some((1..=8).contains(&code.len()) && all_digits(code)),
        "ICD-10" | "ICD-10-CM" | "ICD-10-GM" => Some(is_icd_10(code)),
        "CVX" => Some((1..=3).contains(&code.len()) && all_digits(code)),
        _ => None,
    }
}

fn all_digits(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|b| b.is_ascii_digit())
}

/// `4548-4`: up to seven digits and a Luhn check digit. Parts `LP...` and answers `LA...` reckon theirs otherwise.
fn is_loinc(code: &str) -> bool {
    let lettered = code.strip_prefix("LP").or_else(|| code.strip_prefix("LA"));
    let Some((number, check)) = lettered.unwrap_or(code).split_once('-') else { return false };
    let shaped = (1..=7).contains(&number.len()) && all_digits(number) && check.len() == 1 && all_digits(check);
    shaped && (lettered.is_some() || luhn(number).to_string() == check)
}

/// The Luhn check digit (mod 10) of a number.
fn luhn(number: &str) -> u32 {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(position, digit)| {
            let digit = u32::from(digit.saturating_sub(b'0'));
            let doubled = if position % 2 == 0 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    (10 - sum % 10) % 10
}

/// 6 to 18 digits, the last a Verhoeff check digit.
fn is_snomed(code: &str) -> bool {
    (6..=18).contains(&code.len()) && all_digits(code) && !code.starts_with('0') && verhoeff_holds(code)
}

/// Verhoeff's check over the dihedral group D5. Source: J. Verhoeff, Error Detecting Decimal Codes, 1969.
fn verhoeff_holds(digits: &str) -> bool {
    let sum =
        digits.bytes().rev().enumerate().fold(0_u8, |sum, (position, digit)| {
            dihedral_product(sum, permuted(digit.saturating_sub(b'0'), position % 8))
        });
    sum == 0
}

/// The product of two elements of D5, rotations 0 to 4 and reflections 5 to 9.
fn dihedral_product(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Applies Verhoeff's permutation `times` times.
fn permuted(digit: u8, times: usize) -> u8 {
    const ONCE: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    (0..times).fold(digit, |digit, _| ONCE.get(usize::from(digit)).copied().unwrap_or(digit))
}

/// `E11.9`, `S52.521A`, `B20`: a letter, a digit, a digit or letter, then up to four more.
fn is_icd_10(code: &str) -> bool {
    let (category, rest) = match code.split_once('.') {
        Some((category, rest)) if !rest.is_empty() => (category, rest),
        Some(_) => return false,
        None => (code.get(..3).unwrap_or(code), code.get(3..).unwrap_or_default()),
    };
    let shape = category.as_bytes();
    shape.len() == 3
        && shape.first().is_some_and(u8::is_ascii_uppercase)
        && shape.get(1).is_some_and(u8::is_ascii_digit)
        && shape.get(2).is_some_and(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        && rest.len() <= 4
        && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::well_formed;

    #[test]
    fn real_codes_pass() {
        for (system, code) in [
            ("LOINC", "4548-4"),
            ("LOINC", "85354-9"),
            ("LOINC", "8480-6"),
            ("LOINC", "LA33-6"),
            ("SNOMED", "44054006"),
            ("SNOMED", "73211009"),
            ("SNOMED", "716186003"),
            ("RxNorm", "314076"),
            ("ICD-10-CM", "E11.9"),
            ("ICD-10-CM", "S52.521A"),
            ("ICD-10", "B20"),
            ("CVX", "140"),
        ] {
            assert_eq!(well_formed(system, code), Some(true), "{system} {code}");
        }
    }

    #[test]
    fn a_slipped_digit_shows() {
        for (system, code) in [
            ("LOINC", "4548-5"),
            ("LOINC", "4548"),
            ("SNOMED", "44054007"),
            ("SNOMED", "12345"),
            ("RxNorm", "31x"),
            ("ICD-10-CM", "11.9"),
            ("ICD-10-CM", "E11."),
        ] {
            assert_eq!(well_formed(system, code), Some(false), "{system} {code}");
        }
    }
}
