//! What must hold of every text: nothing known shows, dates keep their distances, masking twice is masking once.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::{Category, Known, Masked, Secret, Subject, mask, without_identifiers};
use crate::domain::Span;

const TODAY: Date = date(2026, 11, 28);

fn secret() -> Secret {
    Secret::new(&[7; 32]).unwrap()
}

fn ana() -> Subject {
    let mut known = Known::default();
    known.add("Name", "Ana Lucia Alvarez");
    known.add("Address", "88 Tannery Street, Millbrook, IL 60601");
    known.add("Phone", "555-0142 (home)");
    known.add("Medical record number", "MB-77120");
    known.add("Contact person", "Luis Hale, brother");
    known.add_id("p-alvarez");
    Subject::new(&secret(), "main", Some("p-alvarez"), known)
}

fn masked(text: &str) -> String {
    mask(text, &ana(), TODAY).text
}

fn days_between(marks: &str) -> i64 {
    let dates: Vec<Date> =
        marks.split("[DATE ").skip(1).map(|mark| mark.split([']', ' ']).next().unwrap().parse().unwrap()).collect();
    i64::from((dates[1] - dates[0]).get_days())
}

#[test]
fn addresses_of_many_lands_are_taken_out() {
    for (address, names) in [
        ("4411 Highway 61", "4411"),
        ("902 County Road 12", "902"),
        ("7 Cox View", "Cox"),
        ("326/528 Davis Lookout", "Davis"),
        ("27, rue de Blanc", "Blanc"),
        ("Praça Costa, 6", "Costa"),
        ("pl. Maczka 621", "621"),
        ("Trenerys gate 232", "232"),
        ("C. Beerninckstraat 88", "C."),
        ("the corner of Kuusiku 7 and Alder Flat", "Kuusiku"),
        ("9816 214 Pavlou Drandaki", "9816"),
        ("Aasenrøa 7", " 7"),
        ("5/23 Smith Parade", "Smith"),
        ("Flat 3, 18 Queens Gate", "Queens"),
        ("12 Kirchstraße", "Kirch"),
        ("Hauptstr. 4", "Haupt"),
        ("Rosenweg 17", "Rosen"),
        ("Nygade 6", "Nygade"),
        ("Keizersgracht 120", "Keizers"),
        ("Bulevar oslobođenja 9", "oslobo"),
        ("Via Roma 25", "Roma"),
        ("8 rue de la Paix", "Paix"),
        ("P.O. Box 33", "33"),
    ] {
        let masked = masked(&format!("Please send it to {address}, she says."));
        assert!(!masked.contains(names), "{masked}");
    }
}

#[test]
fn where_somebody_is_from_is_a_place_whatever_word_it_is() {
    for (text, gone) in [("He grew up in SUND.", "SUND"), ("Originally from Port O' Warren, now here.", "Warren")] {
        assert!(!masked(text).contains(gone), "{}", masked(text));
    }
    for kept in ["He grew up in Texas.", "Originally from Germany."] {
        assert_eq!(masked(kept), kept);
    }
}

#[test]
fn each_of_the_eighteen_is_taken_out() {
    let texts = [
        (Category::Name, "Seen by Dr. Priya Chen today.", "Chen"),
        (Category::Place, "Lives at 12 Orchard Lane, Springfield, IL 62704.", "Orchard"),
        (Category::Date, "Admitted on March 4, 2025.", "March 4"),
        (Category::Phone, "Call (312) 555-0142 tonight.", "555-0142"),
        (Category::Fax, "Fax: 312-555-0199", "0199"),
        (Category::Email, "Write to ana@example.org.", "ana@"),
        (Category::SocialSecurity, "SSN 123-45-6789", "6789"),
        (Category::RecordNumber, "MRN: 00123456", "00123456"),
        (Category::HealthPlan, "Member ID W123-44X9", "W123"),
        (Category::Account, "Account number 99-1234", "99-1234"),
        (Category::Licence, "Driver's license D400-7836", "D400"),
        (Category::Vehicle, "VIN 1HGCM82633A004352", "1HGCM"),
        (Category::Device, "Pacemaker serial number PJX-44021", "44021"),
        (Category::Url, "See https://example.org/ana for more.", "example.org"),
        (Category::IpAddress, "Logged in from 192.168.7.14 twice.", "192.168"),
        (Category::Biometric, "Fingerprint: FP-8812-A", "8812"),
        (Category::Photo, "Wound shown in alvarez_foot.jpg", "foot.jpg"),
        (Category::Number, "Accession 20-4471", "4471"),
    ];
    assert_eq!(texts.iter().map(|(category, ..)| *category).collect::<Vec<_>>(), Category::ALL);
    for (category, text, gone) in texts {
        let masked = mask(text, &ana(), TODAY);
        assert!(!masked.text.contains(gone), "{text} -> {}", masked.text);
        assert!(masked.edits.iter().any(|edit| edit.category == category), "{text} -> {}", masked.text);
    }
}

#[test]
fn places_are_known_by_what_they_are_called_after_and_names_written_small_by_the_given_one() {
    for (text, gone) in [
        ("They live near Pines Beach.", "Pines"),
        ("Transferred from BASHALL TOWN by ambulance.", "TOWN"),
        ("She lives in Cousin-sur-Martin.", "Cousin"),
        ("Spoke to frank lombardo today.", "frank"),
        ("Please ask maria p lombardo to come in.", "lombardo"),
        ("The zip is TD3 1QB", "1QB"),
        ("Fax to 65/731 5997", "5997"),
    ] {
        assert!(!masked(text).contains(gone), "{}", masked(text));
    }
}

#[test]
fn what_medicine_says_stays() {
    for text in [
        "XR Chest 2 AP View. Hernia repair by Roux-en-Y, read by mouth Over-the-counter.",
        "Oxygen via nasal cannula 2 L, bleeding of upper GI source, measuring 0.5 cm, during 1982.",
        "Apgar 8, Gleason 6, 3 view series.",
        "Metformin 500 mg stopped, eGFR 28, potassium 5.4 mmol/L, blood pressure 120/80 mmHg.",
        "Type 2 diabetes mellitus [SNOMED 44054006; ICD-10-CM E11.9]",
        "HbA1c 7.9 %, NT-proBNP 8940 pg/mL, platelets 150000/uL, pain 7/10.",
        "Crohn disease; Parkinson disease; Foley catheter removed. Apixaban 5 mg twice daily.",
        "A 66-year-old woman from Illinois, born in 1958. Strength 5/5. Follow up in 2 weeks.",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn the_patient_is_known_by_the_record_and_others_by_their_marks() {
    let text = masked("Ana Alvarez came with her brother Luis Hale. ALVAREZ's file MB-77120, p-alvarez. Hale drove.");
    assert!(text.starts_with("[PATIENT] came with her brother [NAME-"), "{text}");
    let marks: Vec<&str> = text.matches("[NAME-").collect();
    assert_eq!(marks.len(), 2, "{text}");
    let hale = &text[text.find("[NAME-").unwrap()..][..11];
    assert!(text.ends_with(&format!("{hale} drove.")), "one person, one mark: {text}");
    assert!(!text.contains("77120") && !text.contains("lvarez"), "{text}");
}

#[test]
fn names_with_numbers_are_names() {
    let text = masked("Dr. Madelaine318 Walker122 saw Abram53. Grade2 edema, Factor8, Day3.");
    assert!(text.starts_with("Dr. [NAME-") && text.ends_with(". Grade2 edema, Factor8, Day3."), "{text}");
    assert!(!text.contains("122") && !text.contains("Abram"), "{text}");
}

#[test]
fn old_age_is_told_as_one() {
    let text = masked("A 93-year-old man, born 1933, aged 93. His son is 61 years old.");
    assert_eq!(text, "A [AGE 90+]-year-old man, born [DATE], aged [AGE 90+]. His son is 61 years old.");
    assert!(!masked("Born on 05/02/1931.").contains("19"));
}

#[test]
fn of_a_postal_code_three_digits_are_left_or_none() {
    assert!(masked("Springfield, IL 62704").contains("[ZIP 627]"));
    assert!(masked("Colchester, VT 05901").contains("[ZIP 000]"), "fewer than 20,000 people");
}

#[test]
fn other_patients_and_other_secrets_have_other_marks() {
    let text = "Dr. Chen on March 4, 2025";
    let ben = Subject::new(&secret(), "main", Some("p-ben"), Known::default());
    let elsewhere = Subject::new(&Secret::new(&[8; 32]).unwrap(), "main", Some("p-alvarez"), Known::default());
    let marks: Vec<String> = [ana(), ben, elsewhere].iter().map(|subject| mask(text, subject, TODAY).text).collect();
    assert!(marks[0] != marks[1] && marks[1] != marks[2] && marks[0] != marks[2], "{marks:?}");
    assert!(Secret::new(&[7; 31]).is_none(), "too short");
}

#[test]
fn a_question_keeps_what_it_asks_for() {
    let bare = without_identifiers("Why was metformin stopped for Ana Alvarez on March 4, 2025?", &ana(), TODAY);
    assert_eq!(bare, "Why was metformin stopped for on ?");
    assert_eq!(without_identifiers("Is okafor on warfarin?", &ana(), TODAY), "Is on warfarin?", "in no list");
    assert_eq!(without_identifiers("does nakamura or patricia take aspirin", &ana(), TODAY), "does or take aspirin");
}

#[test]
fn spans_move_with_the_text() {
    let text = "Ünal saw Ana Alvarez on 2025-03-04: metformin held.";
    let masked = mask(text, &ana(), TODAY);
    let at = |part: &str| {
        let start = text.find(part).unwrap();
        masked.span(Span::new(start, start + part.len())).of(&masked.text).unwrap().to_owned()
    };
    assert_eq!(at("metformin held."), "metformin held.");
    assert_eq!(at("Alvarez"), "[PATIENT]", "what begins within a mark takes in all of it");
    assert!(at("on 2025").starts_with("on [DATE ") && at("on 2025").ends_with(']'));
}

/// Pieces that texts are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[A-Z][a-z]{2,8}",
        "[a-zßéş]{1,8}",
        "[0-9]{1,9}",
        "20[0-2][0-9]-0[1-9]-[12][0-9]",
        "(0[1-9]|1[0-2])/[12][0-9]/(19|20)[0-9]{2}",
        "[(]?[2-9][0-9]{2}[)-][0-9]{3}-[0-9]{4}",
        Just("Dr. Chen".to_owned()),
        Just("Ana Alvarez".to_owned()),
        Just("88 Tannery Street".to_owned()),
        Just("in Millbrook, IL 60601".to_owned()),
        Just("metformin 500 mg".to_owned()),
        Just("\n".to_owned()),
        Just("日本 e\u{301}".to_owned()),
        "[,.:;!?-]",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.join(" "))
}

fn rebuilt(text: &str, masked: &Masked) -> String {
    let (mut whole, mut after) = (String::new(), 0);
    for edit in &masked.edits {
        whole += &masked.text[after..edit.to.start];
        whole += edit.from.of(text).unwrap();
        after = edit.to.end;
    }
    whole + &masked.text[after..]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nothing_breaks_off_and_edits_account_for_every_byte(text in prop_oneof![pieces(), ".{0,120}", "\\PC{0,80}"]) {
        let masked = mask(&text, &ana(), TODAY);
        prop_assert_eq!(rebuilt(&text, &masked), text.clone());
        for (start, _) in text.char_indices() {
            for end in [start, text.len()] {
                prop_assert!(masked.span(Span::new(start, end)).of(&masked.text).is_some());
            }
        }
    }

    #[test]
    fn nothing_known_of_the_patient_shows(text in pieces()) {
        let shown = masked(&text);
        for known in ["Alvarez", "Tannery", "Millbrook"] {
            prop_assert!(!shown.contains(known), "{} -> {}", text, shown);
        }
    }

    #[test]
    fn masking_is_stable(text in pieces()) {
        prop_assert_eq!(masked(&text), masked(&text));
    }

    #[test]
    fn masking_twice_is_masking_once(
        name in "[A-Z][a-z]{3,8}", day in 10u8..28, number in 100_000u32..999_999, age in 90u8..110,
    ) {
        let text = format!(
            "Dr. {name} saw Ana Alvarez, {age} years old, on 2025-03-{day} and in June 2024; MRN {number}. \
             Lives at 88 Tannery Street, Millbrook, IL 60601. Call 312-555-0142 on Monday, x{number}@example.org."
        );
        let once = masked(&text);
        prop_assert_eq!(masked(&once), once);
    }

    #[test]
    fn intervals_are_kept(first in 0i32..7_000, apart in 0i32..4_000) {
        let start = date(2000, 1, 1);
        let (from, to) = (start + jiff::Span::new().days(first), start + jiff::Span::new().days(first + apart));
        let text = format!("From {from} until {}.", to.strftime("%B %-d, %Y"));
        let shown = masked(&text);
        prop_assert_eq!(days_between(&shown), i64::from(apart), "{} -> {}", text, shown);
    }
}
