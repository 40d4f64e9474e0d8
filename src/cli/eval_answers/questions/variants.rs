//! The same question as somebody in a hurry puts it: with a slip, a short form, another unit, other word order.

use super::{Expected, Judged, Variant};

/// What a name is called for short; the longest that a question holds is taken.
const SHORT: [(&str, &str); 22] = [
    ("hemoglobin a1c", "HbA1c"),
    ("blood pressure", "BP"),
    ("white blood cell count", "WBC"),
    ("platelet count", "plt"),
    ("urea nitrogen", "BUN"),
    ("blood urea nitrogen", "BUN"),
    ("triglycerides", "trigs"),
    ("body weight", "wt"),
    ("body height", "ht"),
    ("body mass index", "BMI"),
    ("oxygen saturation", "O2 sat"),
    ("heart rate", "HR"),
    ("c-reactive protein", "CRP"),
    ("low density lipoprotein cholesterol", "LDL"),
    ("creatinine", "creat"),
    ("high density lipoprotein cholesterol", "HDL"),
    ("potassium", "K"),
    ("sodium", "Na"),
    ("hypertension", "HTN"),
    ("acetaminophen", "Tylenol"),
    ("furosemide", "Lasix"),
    ("hematocrit", "hct"),
];

/// Units that a result isn't recorded in, though somebody may ask for it in them.
const OTHER_UNITS: [(&str, &str); 7] = [
    ("kg", "pounds"),
    ("cm", "inches"),
    ("mg/dL", "mmol/L"),
    ("mmol/L", "mg/dL"),
    ("Cel", "Fahrenheit"),
    ("g/dL", "g/L"),
    ("%", "percent"),
];

/// Every variant of a question with a known answer.
pub fn variants(judged: &Judged) -> Vec<Judged> {
    if judged.expected == Expected::Nothing {
        return Vec::new();
    }
    let ways = [
        (Variant::ShortForm, with_a_short_form(judged)),
        (Variant::Slip, with_a_slip(&judged.question)),
        (Variant::Unit, in_another_unit(judged)),
        (Variant::Order, in_other_order(judged)),
    ];
    let varied = ways.into_iter().filter_map(|(way, question)| {
        Some(Judged { question: question?, variant: Some((way, judged.question.clone())), ..judged.clone() })
    });
    varied.collect()
}

fn with_a_short_form(judged: &Judged) -> Option<String> {
    let lower = judged.question.to_lowercase();
    let is_part = lower.contains("albumin") || lower.contains(", 1 hour");
    let held = SHORT.iter().filter(|(long, _)| !is_part && lower.contains(long));
    let (long, short) = held.max_by_key(|(long, _)| long.len())?;
    Some(lower.replacen(long, short, 1))
}

/// Two letters of the longest word change places.
fn with_a_slip(question: &str) -> Option<String> {
    let words = question.split(' ').filter(|word| word.len() >= 7 && word.chars().all(|c| c.is_ascii_alphabetic()));
    let longest = words.max_by_key(|word| word.len())?;
    let mut letters: Vec<char> = longest.chars().collect();
    let middle = letters.len() / 2;
    if letters[middle] == letters[middle + 1] {
        return None;
    }
    letters.swap(middle, middle + 1);
    Some(question.replacen(longest, &letters.into_iter().collect::<String>(), 1))
}

fn in_another_unit(judged: &Judged) -> Option<String> {
    let (_, other) = OTHER_UNITS.iter().find(|(unit, _)| judged.unit.as_deref() == Some(*unit))?;
    Some(format!("{} in {other}?", judged.question.trim_end_matches('?')))
}

/// What it is about comes first.
fn in_other_order(judged: &Judged) -> Option<String> {
    const ORDERS: [(&str, &str, &str); 9] = [
        ("What is the latest ", "", "{} latest?"),
        ("What was the patient's last ", "", "{}: what was the last one?"),
        ("What was the most recent ", " result", "{}, most recent result?"),
        ("How many ", " results are on record", "{} results: how many are on record?"),
        ("How has the ", " changed over time", "{} over time: how has it changed?"),
        ("What was the highest ", "", "{}: what was the highest?"),
        ("Does the patient have ", "", "{}: does the patient have it?"),
        ("Is the patient allergic to ", "", "{}: is the patient allergic to it?"),
        ("When was the last ", " vaccine given", "{} vaccine: when was the last one given?"),
    ];
    let asked = judged.question.strip_suffix('?')?;
    ORDERS.iter().find_map(|(before, after, order)| {
        let about = asked.strip_prefix(before)?.strip_suffix(after)?;
        Some(order.replace("{}", about))
    })
}

#[cfg(test)]
mod tests {
    use super::{Expected, Judged, Variant, variants};

    fn asked(question: &str, unit: Option<&str>, expected: Expected) -> Vec<(Variant, String)> {
        let judged = Judged {
            sort: "latest",
            patient: "p".to_owned(),
            question: question.to_owned(),
            expected,
            unit: unit.map(str::to_owned),
            variant: None,
        };
        variants(&judged).into_iter().filter_map(|one| Some((one.variant?.0, one.question))).collect()
    }

    #[test]
    fn each_way_that_fits_is_taken() {
        let varied = asked("What is the latest Body Weight?", Some("kg"), Expected::Count(1));
        let varied: Vec<(Variant, &str)> = varied.iter().map(|(way, question)| (*way, question.as_str())).collect();
        assert_eq!(
            varied,
            [
                (Variant::ShortForm, "what is the latest wt?"),
                (Variant::Unit, "What is the latest Body Weight in pounds?"),
                (Variant::Order, "Body Weight latest?"),
            ]
        );
    }

    #[test]
    fn a_slip_swaps_two_letters_of_the_longest_word() {
        assert_eq!(
            asked("Show the trend of the Creatinine", None, Expected::Count(1))[1],
            (Variant::Slip, "Show the trend of the Creatniine".to_owned())
        );
    }

    #[test]
    fn what_has_no_answer_has_no_variant() {
        assert!(asked("What is the latest INR?", None, Expected::Nothing).is_empty());
    }
}
