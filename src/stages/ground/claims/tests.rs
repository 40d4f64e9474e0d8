//! What passes, and at least 500 generated falsehoods that don't.

use super::{Unsupported, supported};

fn passes(sentence: &str, quote: &str) -> bool {
    supported(sentence, &[quote]).is_ok()
}

#[test]
fn an_excerpt_with_other_small_words_passes() {
    for (sentence, quote) in [
        ("Metformin was stopped because her eGFR fell to 28.", "Metformin was stopped because eGFR fell to 28."),
        ("The hemoglobin A1c was 7.1 % on 2026-09-15.", "Hemoglobin A1c: 7.1 % (2026-09-15, final) [LOINC 4548-4]"),
        ("She denies chest pain.", "Denies chest pain."),
        ("According to the note, she does not take warfarin.", "She does not take warfarin."),
        ("The patient has no allergies to latex.", "She has no allergies to latex"),
    ] {
        assert!(passes(sentence, quote), "{sentence} | {quote}: {:?}", supported(sentence, &[quote]));
    }
}

#[test]
fn what_was_dropped_added_swapped_or_moved_fails() {
    let fails = |sentence: &str, quote: &str, why: Unsupported| {
        assert_eq!(supported(sentence, &[quote]), Err(why), "{sentence} | {quote}");
    };
    use Unsupported::{Empty, NoExcerpt, Quotation, Tense, Turned};
    fails("She does take warfarin.", "She does not take warfarin.", NoExcerpt);
    fails("Chest pain and fever.", "Denies chest pain and fever.", Turned);
    fails("Ovarian cancer at 61.", "Mother had ovarian cancer at 61.", Turned);
    fails("Metformin 50 mg daily.", "Metformin 500 mg daily.", NoExcerpt);
    fails("Metformin 500 mcg daily.", "Metformin 500 mg daily.", NoExcerpt);
    fails("Fracture of the right ankle.", "Fracture of the left ankle.", NoExcerpt);
    fails("Lisinopril 500 mg.", "Metformin 500 mg and lisinopril 10 mg.", NoExcerpt);
    fails("Stop warfarin.", "If INR is above 4, stop warfarin.", Turned);
    fails("Metformin 500 mg tablet.", "Medication order (stopped): Metformin 500 mg tablet", Turned);
    fails("She is on warfarin.", "She was on warfarin.", Tense);
    fails("He smokes \"two packs\".", "He smokes two \"packs\".", Quotation);
    fails("Yes.", "Yes, she walks.", Empty);
    fails("Dr. Lee saw her in the clinic.", "Dr. Chen saw her in the clinic.", NoExcerpt);
    fails("Pulmonary embolism.", "No evidence of pulmonary embolism.", Turned);
}

#[test]
fn each_citation_must_hold_it_by_itself() {
    let quotes = ["Warfarin was stopped.", "Takes apixaban 5 mg twice daily."];
    assert_eq!(supported("Takes apixaban 5 mg twice daily.", &quotes), Ok(vec![1]));
    assert_eq!(supported("Takes warfarin 5 mg twice daily.", &quotes), Err(Unsupported::NoExcerpt));
    assert!(supported("Apixaban was stopped.", &quotes).is_err());
}

/// True statements of many sorts.
const TRUE: [&str; 24] = [
    "Metformin 500 mg twice daily was stopped on 2025-03-10 because eGFR fell to 28.",
    "She does not take warfarin any more.",
    "Fracture of the left lateral malleolus, treated with a boot for 6 weeks.",
    "Hemoglobin A1c: 7.1 % (2026-09-15, final; high) [LOINC 4548-4]",
    "Potassium: 5.9 mmol/L (2025-03-07, final; high) [LOINC 2823-3]",
    "He has never had a stroke or TIA.",
    "Mother had ovarian cancer at 61 and died at 63.",
    "No evidence of pulmonary embolism in either lung.",
    "Apixaban 5 mg tablet, one tablet twice daily.",
    "The right knee was replaced on 2025-09-16 by Dr. Hoffman.",
    "If the INR is above 4.0, hold warfarin and call the clinic.",
    "Blood pressure 152/88 in the left arm, pulse 64.",
    "Denies chest pain, palpitations and syncope.",
    "Levothyroxine was raised from 75 mcg to 100 mcg on 2025-10-02.",
    "The nodule in the right upper lobe measures 14 mm.",
    "Penicillin allergy was removed after an oral challenge.",
    "Prednisone 40 mg daily for 5 days, then stop.",
    "LDL cholesterol 68 mg/dL on rosuvastatin 10 mg.",
    "The patient declined the flu vaccine in October 2026.",
    "Possible early cirrhosis on ultrasound of 2023-08-14.",
    "Furosemide was reduced to 40 mg because she was dehydrated.",
    "Code status is DNR and DNI since 2025-01-17.",
    "Left hip hemiarthroplasty, cemented, without complications.",
    "He quit smoking in January 2024 after 35 pack years.",
];

/// Each way a model goes wrong, applied wherever it can be.
fn falsehoods(of: &str, beside: &str) -> Vec<(&'static str, String)> {
    let words: Vec<&str> = of.split(' ').collect();
    let mut made = Vec::new();
    let swapped = |from: &str, to: &str| of.replacen(from, to, 1);
    for (at, letter) in of.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
        let other = char::from(b'0' + (letter as u8 - b'0' + 3) % 10);
        made.push(("digit", format!("{}{other}{}", &of[..at], &of[at + 1..])));
    }
    for (from, to) in [
        (" not ", " "),
        (" never ", " "),
        ("No evidence", "Evidence"),
        ("Denies ", "Has "),
        (" without ", " with "),
        (" declined ", " received "),
        ("Possible ", ""),
        ("If ", "Since "),
        ("Mother had", "She had"),
        ("removed", "confirmed"),
        ("left", "right"),
        ("right", "left"),
        ("Left", "Right"),
        ("mg", "mcg"),
        ("mcg", "mg"),
        ("mmol/L", "mg/dL"),
        ("stopped", "started"),
        ("raised", "lowered"),
        ("reduced", "increased"),
        ("above", "below"),
        ("twice", "once"),
        (" was ", " will be "),
        ("Metformin", "Metoprolol"),
        ("warfarin", "heparin"),
        ("Apixaban", "Rivaroxaban"),
        ("Hoffman", "Hofmann"),
        ("ovarian", "breast"),
        ("quit", "began"),
        ("DNR", "full code"),
        (" is ", " is not "),
        (" has ", " has not "),
        (" was ", " was not "),
        ("high", "low"),
        ("daily", "weekly"),
        ("because", "although"),
    ] {
        if of.contains(from) {
            made.push(("swap", swapped(from, to)));
        }
    }
    for (at, word) in words.iter().enumerate().skip(1) {
        let turning = super::guards::guards(word);
        if !turning.is_empty() {
            let kept: Vec<&str> =
                words.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, word)| *word).collect();
            made.push(("dropped", kept.join(" ")));
        }
    }
    let (half, other): (Vec<&str>, Vec<&str>) = (words[..words.len() / 2].to_vec(), beside.split(' ').collect());
    made.push(("spliced", format!("{} {}", half.join(" "), other[other.len() / 2..].join(" "))));
    made.push(("fabricated", format!("{} and diabetes was diagnosed.", of.trim_end_matches('.'))));
    made.push(("fabricated", "The patient should start insulin 10 units at night.".to_owned()));
    made.push(("misattributed", beside.to_owned()));
    let mut reversed = words.clone();
    reversed.reverse();
    made.push(("reversed", reversed.join(" ")));
    made
}

/// How many falsehoods are tried; the bar is 500.
pub(crate) fn generated() -> Vec<(&'static str, String, &'static str)> {
    let mut all = Vec::new();
    for (number, one) in TRUE.iter().enumerate() {
        for shift in [1, 5] {
            let beside = TRUE[(number + shift) % TRUE.len()];
            let made = falsehoods(one, beside).into_iter();
            all.extend(made.filter(|(_, text)| text != one).map(|(sort, text)| (sort, text, *one)));
        }
    }
    all
}

#[test]
fn of_500_falsehoods_none_passes_and_every_truth_does() {
    for one in TRUE {
        assert!(passes(one, one), "{one}: {:?}", supported(one, &[one]));
    }
    let all = generated();
    assert!(all.len() >= 500, "{} cases", all.len());
    let passed: Vec<_> = all.iter().filter(|(_, said, quote)| passes(said, quote)).collect();
    assert!(passed.is_empty(), "{} of {}: {passed:#?}", passed.len(), all.len());
}
