//! Takes out of a text what rules can find of persons, places, dates and numbers. A help, not a guarantee: what no rule
//! knows stays, and no certificate follows from it.

use std::sync::LazyLock;

use regex::Regex;

const MONTHS: &str = "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?";

static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let rule = |pattern: &str| Regex::new(pattern).expect("a constant pattern");
    vec![
        (rule(r"(?i)\b[\w.+-]+@[\w-]+\.[\w.-]+\b"), "[EMAIL]"),
        (rule(r"(?i)\b(?:https?://|www\.)\S+"), "[URL]"),
        (rule(r"\b\d{3}-\d{2}-\d{4}\b"), "[NUMBER]"),
        (rule(r"(?:\+?\d{1,2}[\s.-]?)?\(?\b\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}\b"), "[PHONE]"),
        (rule(r"\b555-\d{4}\b"), "[PHONE]"),
        (rule(r"\b\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)?\b"), "[DATE]"),
        (rule(r"\b\d{1,2}/\d{1,2}/\d{2,4}\b"), "[DATE]"),
        (rule(&format!(r"(?i)\b(?:{MONTHS})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b")), "[DATE]"),
        (rule(&format!(r"(?i)\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{MONTHS})\.?(?:,?\s+\d{{4}})?\b")), "[DATE]"),
        (rule(&format!(r"(?i)\b(?:{MONTHS})\.?,?\s+(?:19|20)\d{{2}}\b")), "[DATE]"),
        (
            rule(
                r"(?i)\b(?:mrn|medical record number|account|ssn|member id|policy|chart)\s*(?:no\.?|number|#|:)*\s*[a-z]{0,3}\d[\w-]*",
            ),
            "[NUMBER]",
        ),
        (rule(r"\b\d{6,}\b"), "[NUMBER]"),
        (
            rule(
                r"\b\d{1,5}\s+(?:[A-Z][a-z]+\s+){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Row|Court|Ct|Way|Place|Pl)\b\.?",
            ),
            "[ADDRESS]",
        ),
        (rule(r"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof)\.?\s+[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)?"), "[NAME]"),
        (rule(r"\b[A-Z][\w'’-]+(?:\s+[A-Z]\.?)?\s+[A-Z][\w'’-]+,\s*(?:MD|DO|RN|NP|PA|PharmD|PhD|LCSW)\b"), "[NAME]"),
        (rule(r"(?i)\b(?:9\d|1[01]\d)[- ]?(?:years?[- ]old|year[- ]old|yo|y/o)\b"), "[AGE OVER 89]"),
    ]
});

/// The text with marks where something was taken out; `names` are words of the patient's own name.
pub fn deidentified(text: &str, names: &[String]) -> String {
    let mut plain = text.to_owned();
    for (rule, mark) in RULES.iter() {
        plain = rule.replace_all(&plain, *mark).into_owned();
    }
    for name in names.iter().filter(|name| name.chars().count() > 1) {
        if let Ok(rule) = Regex::new(&format!(r"(?i)\b{}(?:['’]s)?\b", regex::escape(name))) {
            plain = rule.replace_all(&plain, "[NAME]").into_owned();
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::deidentified;

    #[test]
    fn what_points_at_a_person_goes_and_the_medicine_stays() {
        let text = "Ana Alvarez (MRN 00123456), 92-year-old, seen by Dr. Priya Chen on March 10, 2025. Call 555-0142 or a@b.org. \
            Lives at 88 Tannery Street. Metformin 500 mg stopped, eGFR 28, since 2025-03-10.";
        let plain = deidentified(text, &["Ana".to_owned(), "Alvarez".to_owned()]);
        for gone in ["Ana", "Alvarez", "00123456", "92", "Chen", "March", "2025", "0142", "a@b", "Tannery"] {
            assert!(!plain.contains(gone), "{gone}: {plain}");
        }
        assert!(plain.contains("Metformin 500 mg stopped, eGFR 28"), "{plain}");
    }
}
