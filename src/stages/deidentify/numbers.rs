//! What is told by its form: addresses of mail, web and machines, telephone and other numbers.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Category, Findings, Subject};

pub(super) fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

/// Marks of our own, and codes of terminologies: `[SNOMED 44054006; ICD-10-CM E11.9]`.
static PROTECTED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    vec![
        rule(
            r"\[(?:NAME|PLACE|PHONE|FAX|EMAIL|SSN|MRN|PLAN|ACCOUNT|LICENCE|VEHICLE|DEVICE|URL|IP|BIOMETRIC|PHOTO|NUMBER)-[0-9a-f]{4}\]",
        ),
        rule(r"\[(?:PATIENT|WEEKDAY|DATE|AGE 90\+|ZIP \d{3}|DATE [\d-]{4,10}(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?)\]"),
        rule(
            r"\[(?:SNOMED|SNOMED CT|ICD-10(?:-CM|-PCS)?|ICD-9-CM|RxNorm|LOINC|CVX|CPT|HCPCS|NDC|UCUM|DRG|CARC|RARC|NUBC) [^\[\]\n]{1,120}\]",
        ),
        rule(r"(?i)\b(?:snomed(?: ct)?|rxnorm|loinc|cvx|rxcui)(?: code)?[ :#]{1,3}\d[\d-]*"),
    ]
});

/// A word that says which number it is, and the number.
struct Said {
    category: Category,
    rule: Regex,
}

/// Between the word and the number.
const LINK: &str = r"(?:\s*(?:no\b\.?|nos?\.|num(?:ber)?\b|id\b|code\b|is\b|was\b|of\b|[#:=]|\())*\s*";
/// What is written with a digit in it, and is no date or amount.
const ID: &str = r"([A-Za-z]{0,6}[-/]?\d[\w./-]*\w|[A-Za-z]{0,6}\d)";

static SAID: LazyLock<Vec<Said>> = LazyLock::new(|| {
    let said = |category, words: &str| Said { category, rule: rule(&format!(r"(?i)\b(?:{words})(?:\b|\s){LINK}{ID}")) };
    vec![
        said(Category::SocialSecurity, r"ssn|social security(?: number)?"),
        said(
            Category::RecordNumber,
            r"mrn|mr\s?#|medical record|patient id(?:entifier)?|chart (?:no|number|#)|hospital (?:no|number)",
        ),
        said(
            Category::HealthPlan,
            r"member(?:ship)? (?:id|no|number|#)|subscriber (?:id|no|number|#)|policy (?:id|no|number|#)|policy|group (?:id|no|number|#)|medicare (?:id|no|number|#)|medicaid (?:id|no|number|#)|beneficiary (?:id|no|number)|insurance (?:id|no|number)|mbi",
        ),
        said(
            Category::Account,
            r"acct|account (?:no|number|#|id)|account|iban|routing (?:no|number)|(?:credit |debit )?card(?: (?:no|number|#))?|invoice (?:no|number|#)|claim (?:no|number|#|id)",
        ),
        said(
            Category::Licence,
            r"driver'?s? licen[cs]e|licen[cs]e|certificate|passport|dea|npi|license plate of|registration (?:no|number|#)",
        ),
        said(Category::Vehicle, r"vin|license plate|number plate|plate (?:no|number|#)|vehicle (?:id|no|number)"),
        said(
            Category::Device,
            r"serial (?:no|number|#)|serial|device (?:id|identifier|no|number)|udi|implant (?:id|no|number)|imei|lot (?:no|number|#)",
        ),
        said(Category::Biometric, r"finger ?prints?|voice ?prints?|(?:retinal?|iris) scan|face id|facial template"),
        said(Category::Fax, r"fax|facsimile|telefax"),
        said(
            Category::Number,
            r"accession|specimen (?:id|no|number)|order (?:no|number|#)|visit (?:id|no|number)|encounter (?:id|no|number)|case (?:id|no|number|#)|reference (?:id|no|number|#)|confirmation (?:no|number)|pager|beeper|pin|tracking (?:no|number)",
        ),
    ]
});

static EMAIL: LazyLock<Regex> = LazyLock::new(|| rule(r"(?i)[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+"));
static URL: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)\b(?:(?:https?|ftp)://[^\s|<>\x22]+|www\.[^\s|<>\x22]+|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|info|io|biz)\b(?:/[^\s|<>\x22]*)?)",
    )
});
static IP: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b|\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b",
    )
});
static MAC: LazyLock<Regex> = LazyLock::new(|| rule(r"(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"));
static SSN: LazyLock<Regex> = LazyLock::new(|| rule(r"\b\d{3}-\d{2}-\d{4}\b"));
static IBAN: LazyLock<Regex> =
    LazyLock::new(|| rule(r"(?i)\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){3,7}(?: ?[a-z0-9]{1,3})?\b"));
static VIN: LazyLock<Regex> = LazyLock::new(|| rule(r"\b[A-HJ-NPR-Z0-9]{17}\b"));
static UUID: LazyLock<Regex> =
    LazyLock::new(|| rule(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{24,64}\b"));
static PHOTO: LazyLock<Regex> = LazyLock::new(|| rule(r"(?i)\b[\w-]+\.(?:jpe?g|png|gif|tiff?|heic|bmp|dcm)\b"));
static CALLED: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)\b(?:tel(?:ephone)?|phone|mobile|cell|call(?:s|ed)?|text(?:ed)?|reach(?:ed)?|contact|dial|ring|pager|number|fax(?:ed)?)\b[^\d+(]{0,24}(\+?\(?\d[\d\s()./-]{4,20}\d(?:x\d{1,6})?)",
    )
});
/// Groups of digits as telephone numbers are written.
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    rule(r"\+?\(?\b\d{1,5}\)?(?:(?:[ .\x{a0}/-]{1,2}\(?|\()?\d{1,5}\)?){1,7}(?:\s?(?:x|ext\.?)\s?\d{1,6})?")
});
/// An id by its looks: letters and digits in one word, or a long number.
static LONG: LazyLock<Regex> = LazyLock::new(|| rule(r"\b\d{6,}\b"));
static MIXED: LazyLock<Regex> = LazyLock::new(|| rule(r"\b[A-Z]{1,4}-?\d{5,}[A-Z]?\b|\b(?:\d+[A-Z]+){2,}\d+\b"));
/// What makes a number an amount.
pub(super) static UNIT: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)^\s?(?:/|%|x\s?10|mg|mcg|µg|g\b|kg|ml|dl|l\b|iu\b|units?\b|cells|copies|cfu|k/|mm|cm|ng|pg|u/|meq|mmol|kcal|cal\b|steps|beats|bpm|per\b|dollars|usd)",
    )
});

pub(super) fn protect(findings: &mut Findings<'_>) {
    for rule in PROTECTED.iter() {
        for found in rule.find_iter(findings.text) {
            findings.protect(found.start(), found.end());
        }
    }
}

pub(super) fn find(findings: &mut Findings<'_>, subject: &Subject) {
    let text = findings.text;
    for (rule, category) in [(&EMAIL, Category::Email), (&PHOTO, Category::Photo), (&URL, Category::Url)] {
        take_all(findings, rule, category, subject);
    }
    for (rule, category) in [
        (&IP, Category::IpAddress),
        (&MAC, Category::Device),
        (&UUID, Category::Number),
        (&IBAN, Category::Account),
        (&SSN, Category::SocialSecurity),
    ] {
        take_all(findings, rule, category, subject);
    }
    for found in VIN.find_iter(text) {
        let has = |is: fn(&char) -> bool| found.as_str().chars().any(|c| is(&c));
        if has(char::is_ascii_digit) && has(char::is_ascii_uppercase) {
            take(findings, found.start(), found.end(), Category::Vehicle, subject);
        }
    }
    for said in SAID.iter() {
        for captures in said.rule.captures_iter(text) {
            take_said(findings, &captures, said.category, subject);
        }
    }
    find_telephones(findings, subject);
    for found in LONG.find_iter(text).chain(MIXED.find_iter(text)) {
        let digits = found.as_str().bytes().filter(u8::is_ascii_digit).count();
        let is_amount = UNIT.is_match(&text[found.end()..]) && digits < 9;
        if !is_amount && !super::dates::is_compact_date(found.as_str()) {
            let category = if digits >= 12 { Category::Account } else { Category::Number };
            take(findings, found.start(), found.end(), category, subject);
        }
    }
}

fn take(findings: &mut Findings<'_>, start: usize, end: usize, category: Category, subject: &Subject) {
    let mark = subject.mark(category, &findings.text[start..end]);
    findings.take(start, end, category, &mark);
}

fn take_all(findings: &mut Findings<'_>, rule: &Regex, category: Category, subject: &Subject) {
    for found in rule.find_iter(findings.text) {
        let end = found.start() + found.as_str().trim_end_matches(['.', ',', ')', '?', '!', ';', ':']).len();
        take(findings, found.start(), end, category, subject);
    }
}

fn take_said(findings: &mut Findings<'_>, captures: &Captures<'_>, category: Category, subject: &Subject) {
    let Some(number) = captures.get(1) else { return };
    let after = &findings.text[number.end()..];
    let is_amount = UNIT.is_match(after) || number.as_str().len() < 3 && category != Category::Fax;
    let is_date = super::dates::looks_like_one(number.as_str());
    if !is_amount && !is_date {
        take(findings, number.start(), number.end(), category, subject);
    }
}

fn find_telephones(findings: &mut Findings<'_>, subject: &Subject) {
    let text = findings.text;
    for captures in CALLED.captures_iter(text) {
        let Some(number) = captures.get(1) else { continue };
        let digits = number.as_str().bytes().filter(u8::is_ascii_digit).count();
        if digits >= 6 && !super::dates::looks_like_one(number.as_str()) {
            take(findings, number.start(), number.end(), Category::Phone, subject);
        }
    }
    for found in PHONE.find_iter(text) {
        if is_telephone(found.as_str()) && !UNIT.is_match(&text[found.end()..]) {
            take(findings, found.start(), found.end(), Category::Phone, subject);
        }
    }
}

/// Seven to fifteen digits in groups as telephone numbers have them: neither years, dates, nor lists of results.
fn is_telephone(text: &str) -> bool {
    let groups: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).map(str::len).filter(|len| *len > 0).collect();
    let digits: usize = groups.iter().sum();
    let last = groups.last().copied().unwrap_or_default();
    let has = |separator: char| text.contains(separator);
    let has_prefix = text.starts_with(['+', '(', '0']);
    if !(7..=15).contains(&digits) || last < 2 || has('/') || super::dates::looks_like_one(text) {
        return false;
    }
    match groups.as_slice() {
        [_] => false,
        [3, 4] => !has('.'),
        [4, 4] => has_prefix,
        [_, _] => has_prefix,
        _ if has('.') => !has(' ') && groups.iter().all(|length| *length > 1),
        _ if has('-') || has_prefix => groups.iter().filter(|length| **length < 2).count() < 2 || has('+'),
        groups => digits >= 9 && (groups.iter().all(|length| *length == 3) || last == 4),
    }
}
