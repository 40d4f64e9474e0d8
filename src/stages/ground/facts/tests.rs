//! Questions against small charts.

use super::{Found, is_structured, match_facts, read_facts, vocabulary};
use crate::domain::{
    DocumentId, DocumentKey, Fact, FactKind, FactValue, PatientId, SourceId, Span, StoredFact, Timestamp, Verdict,
};
use crate::stages::question::analyse;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-28").unwrap()
}

/// A fact in a document of its own; its line is `display: value`.
fn fact(kind: FactKind, display: &str, status: &str, day: &str) -> StoredFact {
    let line = format!("{display} ({status}) {day}");
    StoredFact {
        key: DocumentKey { id: DocumentId::new(format!("{kind:?}/{display}/{status}/{day}")), version: 1 },
        source: SourceId::new("ehr"),
        patient: Some(PatientId::new("p")),
        fact: Fact {
            kind,
            system: None,
            code: None,
            display: display.to_owned(),
            value: None,
            status: Some(status.to_owned()),
            effective: Timestamp::parse(day),
            span: Span::new(0, line.len()),
        },
        line,
        source_time: None,
        received_at: now(),
    }
}

fn result(display: &str, code: Option<&str>, value: f64, unit: &str, day: &str) -> StoredFact {
    let mut stored = fact(FactKind::Observation, display, "final", day);
    stored.fact.code = code.map(str::to_owned);
    stored.fact.value = Some(FactValue::Quantity { value, unit: Some(unit.to_owned()) });
    stored
}

fn chart() -> Vec<StoredFact> {
    let mut error = result("Potassium", Some("2823-3"), 7.9, "mmol/L", "2026-09-17");
    error.fact.status = Some("entered-in-error".to_owned());
    vec![
        result("Hemoglobin A1c", Some("4548-4"), 7.1, "%", "2026-09-15"),
        result("Hemoglobin A1c/Hemoglobin.total in Blood", Some("4548-4"), 7.9, "%", "2024-02-01"),
        result("Hemoglobin A1c", Some("4548-4"), 6.8, "%", "2025-03-01"),
        result("Hemoglobin", Some("718-7"), 11.2, "g/dL", "2026-10-01"),
        result("Systolic Blood Pressure", Some("8480-6"), 152.0, "mm[Hg]", "2026-10-02"),
        result("Diastolic Blood Pressure", Some("8462-4"), 88.0, "mm[Hg]", "2026-10-02"),
        result("Potassium", Some("2823-3"), 5.1, "mmol/L", "2026-08-01"),
        error,
        fact(FactKind::Medication, "Metformin 500 mg tablet", "stopped", "2023-01-01"),
        fact(FactKind::Medication, "Lisinopril 20 mg tablet", "stopped", "2024-01-01"),
        fact(FactKind::Medication, "Lisinopril 10 mg tablet", "active", "2025-07-08"),
        fact(FactKind::Medication, "Acetaminophen 325 MG / oxyCODONE 5 MG Oral Tablet", "active", "2026-01-01"),
        fact(FactKind::Allergy, "Penicillin", "refuted", "2025-02-18"),
        fact(FactKind::Allergy, "Latex", "active", "2020-02-18"),
        fact(FactKind::Condition, "Hypertension", "active", "2010-05-01"),
        fact(FactKind::Condition, "Acute bronchitis (disorder)", "resolved", "2019-05-01"),
        fact(FactKind::Condition, "Acute bronchitis (disorder)", "resolved", "2021-05-01"),
        fact(FactKind::Condition, "Prediabetes", "active", "2015-05-01"),
        fact(FactKind::Immunization, "Influenza, high-dose, quadrivalent", "completed", "2025-10-01"),
        fact(FactKind::Immunization, "Influenza, high-dose, quadrivalent", "completed", "2024-10-01"),
        fact(FactKind::Immunization, "Tdap", "not-done", "2024-11-01"),
        fact(FactKind::Procedure, "Colonoscopy", "completed", "2022-06-01"),
        fact(FactKind::Appointment, "Cardiology follow-up", "booked", "2026-12-08"),
        fact(FactKind::Appointment, "Eye clinic", "cancelled", "2026-12-01"),
    ]
}

fn ask<T>(text: &str, facts: &[StoredFact], read: impl Fn(Option<Found<'_>>) -> T) -> T {
    let question = analyse(text, now(), &vocabulary(facts));
    if !is_structured(&question) {
        return read(None);
    }
    read(read_facts(&question, &match_facts(&question, facts), now()))
}

fn lines(text: &str) -> Vec<String> {
    let chart = chart();
    ask(text, &chart, |found| found.map(|found| found.lines.iter().map(|one| one.line.clone()).collect()))
        .unwrap_or_default()
}

fn verdict(text: &str) -> Option<Verdict> {
    ask(text, &chart(), |found| found.and_then(|found| found.verdict))
}

fn count(text: &str) -> Option<usize> {
    ask(text, &chart(), |found| found.and_then(|found| found.counted.map(|counted| counted.len())))
}

#[test]
fn the_latest_value_is_of_that_very_measurement() {
    for text in
        ["What is the latest A1c?", "most recent hba1c", "latest glycated hemoglobin", "A1C?", "last hemoglobn a1c"]
    {
        assert_eq!(lines(text), ["Hemoglobin A1c (final) 2026-09-15"], "{text}");
    }
    assert_eq!(lines("What was the last hemoglobin?"), ["Hemoglobin (final) 2026-10-01"]);
    assert_eq!(lines("latest bp").len(), 2);
    assert_eq!(lines("What is her current potassium level?"), ["Potassium (final) 2026-08-01"], "not the one in error");
}

#[test]
fn a_window_narrows_what_is_looked_at() {
    assert_eq!(lines("What was the A1c in 2024?"), ["Hemoglobin A1c/Hemoglobin.total in Blood (final) 2024-02-01"]);
    assert_eq!(count("How many A1c results since 2025?"), Some(2));
    assert!(lines("A1c in 2019?").is_empty());
}

#[test]
fn a_trend_is_a_series_of_one_code_oldest_first() {
    let values = ask("How has the A1c changed over time?", &chart(), |found| {
        let found = found.unwrap();
        assert_eq!(found.series.len(), 1);
        found.series[0].facts.iter().map(|one| one.fact.effective.unwrap().date()).collect::<Vec<_>>()
    });
    assert_eq!(values, ["2024-02-01", "2025-03-01", "2026-09-15"]);
    assert_eq!(lines("highest A1c"), ["Hemoglobin A1c/Hemoglobin.total in Blood (final) 2024-02-01"]);
    assert_eq!(lines("lowest A1c on record"), ["Hemoglobin A1c (final) 2025-03-01"]);
}

#[test]
fn the_highest_is_the_highest_under_whatever_code_it_was_sent() {
    let chart = [
        result("Hematocrit [Volume Fraction] of Blood", Some("20570-8"), 30.9, "%", "2016-05-24"),
        result("Hematocrit [Volume Fraction] of Blood by Automated count", Some("4544-3"), 43.0, "%", "2020-05-12"),
    ];
    for (text, day) in [("highest hematocrit", "2020-05-12"), ("lowest hematocrit", "2016-05-24")] {
        let first = ask(text, &chart, |found| found.unwrap().lines[0].fact.effective.unwrap().date());
        assert_eq!(first, day, "{text}");
    }
}

#[test]
fn a_short_form_within_a_name_is_understood() {
    let chart = [
        fact(FactKind::Medication, "Naproxen sodium 220 MG Oral Tablet", "active", "2025-01-01"),
        fact(FactKind::Condition, "Body mass index 40+ - severely obese", "active", "1998-03-25"),
    ];
    for text in ["Is he on naproxen Na?", "Does the patient currently take naproxen sodium?"] {
        assert_eq!(ask(text, &chart, |found| found.unwrap().verdict), Some(Verdict::Yes), "{text}");
    }
    let onset =
        ask("When was BMI 40+ - severely obese diagnosed?", &chart, |found| found.unwrap().lines[0].line.clone());
    assert_eq!(onset, "Body mass index 40+ - severely obese (active) 1998-03-25");
}

#[test]
fn yes_and_no_follow_the_standing() {
    for (text, expected) in [
        ("Is the patient on lisinopril?", Some(Verdict::Yes)),
        ("Is she taking Zestril?", Some(Verdict::Yes)),
        ("Is she still on metformin?", Some(Verdict::No)),
        ("Has she ever taken metformin?", Some(Verdict::Yes)),
        ("Is he on an opioid?", Some(Verdict::Yes)),
        ("Is he on a statin?", None),
        ("Is she allergic to penicillin?", Some(Verdict::No)),
        ("Is she allergic to latex?", Some(Verdict::Yes)),
        ("Does she have high blood pressure?", Some(Verdict::Yes)),
        ("Does she have diabetes?", None),
        ("Does she have bronchitis?", Some(Verdict::No)),
        ("Has she ever had bronchitis?", Some(Verdict::Yes)),
        ("Did she get the Tdap vaccine?", Some(Verdict::No)),
        ("Has he had a colonoscopy?", Some(Verdict::Yes)),
        ("Is she allergic to shellfish?", None),
    ] {
        assert_eq!(verdict(text), expected, "{text}");
    }
}

#[test]
fn what_is_counted_is_of_the_standing_asked_for() {
    assert_eq!(count("How many active medications does she have?"), Some(2));
    assert_eq!(count("How many medications were stopped?"), Some(2));
    assert_eq!(count("How many flu shots has she had?"), Some(2));
    assert_eq!(count("How many times did she have bronchitis?"), Some(2));
    assert_eq!(count("How many seizures has she had?"), None);
}

#[test]
fn lists_hold_what_is_in_force_unless_more_is_asked_for() {
    assert_eq!(lines("What medications is she on?").len(), 2);
    assert_eq!(lines("list allergies"), ["Latex (active) 2020-02-18"]);
    assert_eq!(lines("Which drugs were discontinued?").len(), 2);
    assert_eq!(lines("What active problems does she have?").len(), 2);
}

#[test]
fn when_asks_for_the_newest_or_the_first() {
    assert_eq!(lines("When was the last flu shot?"), ["Influenza, high-dose, quadrivalent (completed) 2025-10-01"]);
    assert_eq!(lines("When was hypertension diagnosed?"), ["Hypertension (active) 2010-05-01"]);
    assert_eq!(lines("When is the next appointment?"), ["Cardiology follow-up (booked) 2026-12-08"]);
    assert!(lines("When was metformin stopped?").is_empty(), "a fact holds when it was ordered");
}

#[test]
fn a_word_that_nothing_explains_silences_the_facts() {
    for text in [
        "What did the colonoscopy show?",
        "Why was metformin stopped?",
        "Is her blood pressure higher than her sister's?",
        "Which pacemaker model was implanted?",
        "What is the blood type of the moon?",
        "When did he stop smoking?",
    ] {
        assert!(lines(text).is_empty(), "{text}: {:?}", lines(text));
    }
}

#[test]
fn sources_that_differ_are_a_conflict() {
    let mut chart = vec![fact(FactKind::Allergy, "Penicillin", "refuted", "2025-02-18")];
    let mut other = fact(FactKind::Allergy, "Penicillin", "active", "2026-02-18");
    other.source = SourceId::new("maternity");
    chart.push(other);
    ask("Is she allergic to penicillin?", &chart, |found| {
        let found = found.unwrap();
        assert_eq!((found.verdict, found.conflict.len()), (Some(Verdict::Conflicting), 2));
    });
}

#[test]
fn no_known_allergies_is_an_answer() {
    let chart = [fact(FactKind::Allergy, "No known allergies", "active", "2025-02-18")];
    ask("Does he have any allergies?", &chart, |found| assert_eq!(found.unwrap().verdict, Some(Verdict::No)));
    ask("What is he allergic to?", &chart, |found| assert_eq!(found.unwrap().lines.len(), 1));
}

#[test]
fn a_copy_in_another_document_counts_once() {
    let one = fact(FactKind::Immunization, "Tdap", "completed", "2024-11-01");
    let mut copy = one.clone();
    copy.key.id = DocumentId::new("copy");
    ask("How many Tdap vaccinations?", &[one, copy], |found| {
        assert_eq!(found.unwrap().counted.unwrap().len(), 1);
    });
}
