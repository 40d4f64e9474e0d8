//! Whole messages, from delivery to documents.

use crate::domain::{
    Changes, Delivery, Document, Feed, Finding, Format, Outcome, QuarantineReason, ReceiptId, SourceDescription,
    SourceId, TenantId, Timestamp, Unreadable,
};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};

pub(super) fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("hospital"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 600,
        mapping: None,
        feed: Feed::default(),
    }
}

pub(super) type Read = Result<(Outcome, Vec<Finding>), Unreadable>;

/// Every record of a delivery and what it came to.
pub(super) fn read(bytes: &[u8]) -> Vec<Read> {
    let source = source();
    let delivery = Delivery {
        receipt: ReceiptId::new("r"),
        tenant: TenantId::new("t"),
        source: source.name.clone(),
        format: Format::Hl7v2,
        name: None,
        bytes: bytes.to_vec(),
        received_at: Timestamp::from_micros(0),
    };
    let origin = Origin { source: &source, format: Format::Hl7v2, name: None, received_at: delivery.received_at };
    let one = |piece| match piece {
        Piece::Unreadable { unreadable, .. } => Err(unreadable),
        Piece::Record(record) => {
            normalize(&record, &origin).map(|normalized| (normalized.outcome, normalized.findings))
        }
    };
    split(&delivery, None).into_iter().map(one).collect()
}

/// The effects of one message, its lines given apart.
fn changes(lines: &[&str]) -> Changes {
    match read(lines.join("\r").as_bytes()).remove(0).unwrap().0 {
        Outcome::Changes(changes) => changes,
        other => panic!("{other:?}"),
    }
}

/// What holds of every document, whatever message it came from.
pub(super) fn well_formed(document: &Document) {
    assert!(!document.text.is_empty() && !document.source_key.is_empty());
    assert_eq!(document.text, crate::stages::normalize::tidy::text(&document.text));
    for fact in &document.facts {
        let line = fact.span.of(&document.text).unwrap();
        assert!(document.text.lines().any(|own| own == line), "{}", document.source_key);
    }
}

const HEADER: &str = "MSH|^~\\&|ADM|NORTH|ANA|NORTH|20240501100000+0000||";

/// A message of this type for patient 7 in visit V1, from its own segments.
fn message(kind: &str, segments: &[&str]) -> Changes {
    let header = format!("{HEADER}{kind}|M1|P|2.5.1");
    let mut lines = vec![header.as_str(), "PID|1||7^^^NORTH^MR||Fox^Ada||19700102|F|||1 Elm St^^Bend^OR"];
    lines.extend_from_slice(segments);
    changes(&lines)
}

fn document<'a>(changes: &'a Changes, key: &str) -> &'a Document {
    let keys = || changes.documents.iter().map(|document| document.source_key.clone()).collect::<Vec<_>>();
    changes.documents.iter().find(|document| document.source_key == key).unwrap_or_else(|| panic!("{:?}", keys()))
}

fn removed(changes: &Changes) -> Vec<&str> {
    assert!(changes.removals.iter().all(|removal| removal.at.is_some()));
    changes.removals.iter().map(|removal| removal.source_key.as_str()).collect()
}

const VISIT: &str = "PV1|1|I|ICU^1^2||||9^Chu^Mei||||||||||||V1";

#[test]
fn the_visit_follows_its_events() {
    let admitted = format!("{VISIT}{}20240430080000|20240502090000", "|".repeat(25));
    for (trigger, standing) in [
        ("A01", "(finished)"),
        ("A05", "(planned)"),
        ("A11", "(cancelled)"),
        ("A13", "(in progress): since 2024-04-30 08:00"),
        ("A03", "(finished): 2024-04-30 08:00 UTC to 2024-05-02 09:00 UTC"),
        ("A38", "(cancelled)"),
    ] {
        let changes = message(&format!("ADT^{trigger}"), &[&admitted]);
        let visit = document(&changes, "Encounter/V1");
        assert!(visit.text.contains(standing), "{trigger}: {}", visit.text);
        assert_eq!(visit.times.source.unwrap().to_string(), "2024-05-01T10:00:00Z");
    }
    let reopened = message("ADT^A13", &[&admitted]);
    assert!(!document(&reopened, "Encounter/V1").text.contains("2024-05-02"));
    assert_eq!(removed(&message("ADT^A23", &[VISIT])), ["Encounter/V1"]);
}

#[test]
fn a_deleted_person_is_withdrawn_and_somebody_is_told() {
    let text = format!("{HEADER}ADT^A29|M1|P|2.5.1\rPID|1||7||Fox^Ada||19700102|F");
    let (outcome, findings) = read(text.as_bytes()).remove(0).unwrap();
    let Outcome::Changes(changes) = outcome else { panic!() };
    assert_eq!(removed(&changes), ["Patient/7"]);
    assert_eq!(findings[0].rule, "person_deleted");
}

#[test]
fn merges_name_both_and_when() {
    for trigger in ["A34", "A40", "A18"] {
        let changes = message(&format!("ADT^{trigger}"), &["MRG|8^^^NORTH^MR~5^^^NORTH^AN"]);
        let merge = &changes.merges[0];
        assert_eq!((merge.merged.as_str(), merge.survivor.as_str()), ("8", "7"), "{trigger}");
        assert_eq!(merge.at.unwrap().to_string(), "2024-05-01T10:00:00Z");
    }
    let pairs = message("ADT^A40", &["MRG|8", "PID|2||70||Roe^Jo||1980|M", "MRG|80"]);
    let pairs: Vec<_> = pairs.merges.iter().map(|merge| (merge.merged.as_str(), merge.survivor.as_str())).collect();
    assert_eq!(pairs, [("8", "7"), ("80", "70")]);
    assert!(message("ADT^A40", &["MRG|7"]).merges.is_empty());
}

#[test]
fn lists_are_replaced_as_a_whole() {
    let changes = message("ADT^A08", &["AL1|1|DA|70618^Penicillin^RXNORM|SV|Rash~Hives", "AL1|2|FA|^Peanut"]);
    let list = document(&changes, "AllergyIntolerance/7");
    assert!(list.text.starts_with("Allergy: Penicillin, drug, severity severe, reaction Rash; Hives"), "{}", list.text);
    assert_eq!(list.facts.len(), 2);
    let none = message("ADT^A08", &["AL1|1||716186003^No known allergy^SCT"]);
    assert!(document(&none, "AllergyIntolerance/7").text.starts_with("Allergy status: No known allergy"));
    assert_eq!(removed(&message("ADT^A08", &["AL1|1||\"\""])), ["AllergyIntolerance/7"]);
    // An order's excerpt doesn't replace what admission told in full.
    let order = message("ORM^O01", &["AL1|1||^Latex", "ORC|NW|P1", "OBR|1|P1||CT^CT head"]);
    document(&order, "AllergyIntolerance/7#ORM");
}

#[test]
fn sensitive_codes_label_what_they_are_in() {
    let changes = message("ADT^A08", &["DG1|1||F11.20^Opioid dependence^I10C|||F", "DG1|2||E11.9^Diabetes^I10C"]);
    assert_eq!(document(&changes, "Condition/7").labels.sensitivity, ["SUD"]);
    assert!(document(&changes, "Patient/7").labels.sensitivity.is_empty());
}

#[test]
fn a_result_has_all_it_takes_to_judge_it() {
    let changes = message(
        "ORU^R01",
        &[
            "OBR|1|P1|F1|24323-8^Metabolic panel^LN|||20240430070000|||||||||9^Chu^Mei||||||20240430090000||LAB|F",
            "OBX|1|NM|2823-3^Potassium^LN||5.9|mmol/L|3.5-5.1|H|||F",
            "OBX|2|SN|1-8^Titer^LN||^1^:^128||||||F",
            "OBX|3|NM|2951-2^Sodium^LN||140|mmol/L|||||W",
            "OBX|4|ST|X^Color||yellow|||A|||C",
        ],
    );
    let panel = document(&changes, "DiagnosticReport/F1/24323-8");
    let line = "Potassium: 5.9 mmol/L (2024-04-30, final; high; reference 3.5-5.1) [LOINC 2823-3]";
    assert!(panel.text.lines().any(|own| own == line), "{}", panel.text);
    assert!(panel.text.contains("Titer: 1:128"));
    assert!(panel.text.contains("Sodium: result withdrawn as wrong (2024-04-30)") && !panel.text.contains("140"));
    assert!(panel.text.contains("Color: yellow (2024-04-30, corrected; abnormal)"));
    assert_eq!(panel.resource_type, "Observation");
    assert_eq!(panel.times.source.unwrap().to_string(), "2024-04-30T09:00:00Z");
    assert_eq!(panel.facts.len(), 3);
}

#[test]
fn a_result_that_is_wrong_throughout_is_in_error() {
    let changes = message("ORU^R01", &["OBR|1||F1|K^Potassium|||2024", "OBX|1|NM|K^Potassium||5.9||||||W"]);
    let panel = document(&changes, "DiagnosticReport/F1/K");
    assert_eq!(panel.status, crate::domain::DocumentStatus::EnteredInError);
}

#[test]
fn a_report_over_many_lines_is_one_text() {
    let changes = message(
        "ORU^R01",
        &[
            "OBR|1||F2|36643-5^Chest X-ray^LN|||202404300700|||||||||||||||||F",
            "OBX|1|TX|36643-5&GDT^Chest X-ray^LN||The heart is of normal size.",
            "OBX|2|TX|36643-5&GDT^Chest X-ray^LN||",
            "OBX|3|TX|36643-5&GDT^Chest X-ray^LN||Lungs are clear.\\.br\\No effusion.~Bones intact.",
            "OBX|4|FT|36643-5&IMP^Chest X-ray^LN||Normal chest.\\.br\\No change.",
        ],
    );
    let report = document(&changes, "DiagnosticReport/F2/36643-5");
    let wanted = "Description:\nThe heart is of normal size.\n\nLungs are clear.\nNo effusion.\nBones intact.\n\nImpression:\nNormal chest.\nNo change.";
    assert!(report.text.contains(wanted), "{}", report.text);
    assert_eq!(report.resource_type, "DiagnosticReport");
    assert_eq!(report.sections.len(), 2);
}

#[test]
fn documents_are_written_added_to_replaced_and_withdrawn() {
    let with = |trigger: &str, document: &str| {
        let text = "OBX|1|TX|||Patient is well.";
        message(&format!("MDM^{trigger}"), &[document, text])
    };
    let new = with("T02", "TXA|1|DS|TX|20240430|||||9^Chu^Mei|||D1|||||AU|R|AV");
    let written = document(&new, "DocumentReference/D1");
    assert_eq!(written.title, "Discharge summary");
    assert_eq!(written.labels.confidentiality, crate::domain::Confidentiality::R);
    assert!(written.text.contains("authenticated") && written.text.contains("Patient is well."));
    assert_eq!(with("T06", "TXA|1|DS||||||||||D2|D1").removals, []);
    assert_eq!(removed(&with("T08", "TXA|1|DS||||||||||D1|D0")), ["DocumentReference/D0"]);
    let replaced = with("T10", "TXA|1|DS||||||||||D3|D1");
    assert_eq!(removed(&replaced), ["DocumentReference/D1"]);
    document(&replaced, "DocumentReference/D3");
    let withdrawn = with("T11", "TXA|1|DS||||||||||D1");
    assert_eq!(removed(&withdrawn), ["DocumentReference/D1"]);
    assert!(!withdrawn.documents.iter().any(|document| document.resource_type == "DocumentReference"));
    // News without the text must not replace the text.
    let signed = message("MDM^T03", &["TXA|1|DS||||||||||D1|||||LA"]);
    document(&signed, "DocumentReference/D1#status");
}

#[test]
fn a_withdrawal_needs_no_patient() {
    let text = format!("{HEADER}MDM^T11|M1|P|2.5.1\rTXA|1|DS||||||||||D1");
    let (outcome, _) = read(text.as_bytes()).remove(0).unwrap();
    let Outcome::Changes(changes) = outcome else { panic!() };
    assert_eq!(removed(&changes), ["DocumentReference/D1"]);
}

#[test]
fn an_appointment_keeps_its_key_whatever_becomes_of_it() {
    let schedule = "SCH|P1|A1|||||CHK^Follow-up||||^^^202405101300+0000^202405101330+0000";
    let resources = ["RGS|1", "AIP|1||9^Chu^Mei|^Cardiologist", "AIL|1||Clinic^3", "NTE|1||Fasting"];
    for (trigger, status) in [("S12", "booked"), ("S13", "booked"), ("S15", "cancelled"), ("S26", "no show")] {
        let header = format!("{HEADER}SIU^{trigger}|M1|P|2.3");
        let lines = [&[header.as_str(), schedule, "PID|1||7||Fox^Ada"][..], &resources].concat();
        let changes = changes(&lines);
        let appointment = document(&changes, "Appointment/A1");
        assert!(appointment.text.starts_with(&format!("Appointment ({status}):")), "{}", appointment.text);
        assert!(
            appointment.text.contains("With: Mei Chu (Cardiologist)\nWhere: Clinic, room 3"),
            "{}",
            appointment.text
        );
    }
    let deleted = message("SIU^S17", &["SCH|P1|A1"]);
    assert_eq!(removed(&deleted), ["Appointment/A1"]);
}

#[test]
fn doses_given_told_of_and_refused() {
    let dose = |order: &str, given: &str| message("VXU^V04", &[order, given, "RXR|IM^Intramuscular|LD^Left deltoid"]);
    let given =
        "RXA|0|1|20240430||140^Influenza^CVX|0.5|mL||00^New^NIP001|9^Chu^Mei|||||L123|20250101|SKB^GSK^MVX|||CP|A";
    let new = dose("ORC|RE||I1", given);
    let immunization = document(&new, "Immunization/I1");
    assert!(immunization.text.starts_with("Immunization (given): Influenza, 2024-04-30, 0.5 mL [CVX 140]\nLot: L123"));
    let refused =
        dose("ORC|RE||9999", "RXA|0|1|20240430||140^Influenza^CVX|999||||||||||||00^Parental decision^NIP002||RE|A");
    let refusal = document(&refused, "Immunization/7/140/20240430");
    assert_eq!(refusal.facts[0].status.as_deref(), Some("refused"));
    assert!(refusal.text.contains("reason Parental decision"));
    let told = dose("ORC|RE||I2", "RXA|0|1|2013||88^Influenza^CVX|999|||01^Historical^NIP001|||||||||||CP|A");
    assert!(document(&told, "Immunization/I2").text.contains("reported from elsewhere"));
    assert_eq!(removed(&dose("ORC|RE||I1", &given.replace("|CP|A", "|CP|D"))), ["Immunization/I1"]);
}

#[test]
fn charges_are_added_up_never_replaced() {
    let changes = message(
        "DFT^P03",
        &[
            VISIT,
            "FT1|1|T1||20240430|20240501|CG|71045^Chest X-ray^C4|||1|100&USD",
            "FT1|2|T1||20240430||CD|71045^Chest X-ray^C4|||1|-100&USD",
        ],
    );
    assert!(
        document(&changes, "ChargeItem/V1/T1")
            .text
            .starts_with("Charge: Chest X-ray (2024-04-30, quantity 1, 100 USD)")
    );
    assert!(document(&changes, "ChargeItem/V1/T1#CD").text.starts_with("Credit:"));
}

#[test]
fn orders_and_drugs_say_what_became_of_them() {
    let cancelled = message("ORM^O01", &["ORC|CA|P1", "OBR|1|P1||CT^CT head"]);
    assert!(document(&cancelled, "ServiceRequest/P1/CT").text.starts_with("Order: CT head (cancelled"));
    let drug = message(
        "RDE^O11",
        &[
            "ORC|NW|P2",
            "TQ1|1||BID",
            "RXE||860975^Metformin 500 mg^RXNORM|500||mg||^with meals|||60|TAB|3",
            "RXR|PO^oral",
        ],
    );
    let order = document(&drug, "MedicationRequest/P2/860975");
    let line = "Medication order (ordered): Metformin 500 mg, 500 mg, oral, BID [RxNorm 860975]";
    assert!(order.text.starts_with(line), "{}", order.text);
    assert!(order.text.contains("Instructions: with meals\nQuantity: 60 TAB\nRefills: 3"), "{}", order.text);
}

#[test]
fn what_cannot_be_read_says_why() {
    for (text, reason) in [
        ("PID|1||7", QuarantineReason::MalformedHl7),
        ("MSH|^~\\&|A|B|C|D|2024||ADT^A01|1|P|2.5\rPID|1||||Fox^Ada", QuarantineReason::InvalidResource),
        ("MSH|^~\\&|A|B|C|D|2024||ADT^A01|1|P|2.5\rPV1|1|I", QuarantineReason::InvalidResource),
        ("MSH|^~\\&|A|B|C|D|2024||XYZ^Z99|1|P|2.5\rZZZ|1", QuarantineReason::UnsupportedMessage),
    ] {
        assert_eq!(read(text.as_bytes()).remove(0).unwrap_err().reason, reason, "{text}");
    }
    for kind in ["ACK^A01", "MFN^M02", "QRY^A19", "SIU^S23"] {
        let text = format!("{HEADER}{kind}|1|P|2.5\rMSA|AA|1");
        assert!(matches!(read(text.as_bytes()).remove(0), Ok((Outcome::CarriesNothing { .. }, _))), "{kind}");
    }
}

#[test]
fn a_message_of_an_unknown_type_gives_what_it_has() {
    let changes = message("ZZZ^Z01", &["OBX|1|NM|8867-4^Heart rate^LN||72|/min|||||F"]);
    assert!(document(&changes, "Observation/7#ZZZ/2024-05-01T10:00:00Z").text.starts_with("Heart rate: 72 /min"));
}

#[test]
fn social_security_numbers_stay_out() {
    let text =
        format!("{HEADER}ADT^A08|M1|P|2.5.1\rPID|1||7^^^N^MR~123456789^^^SSA^SS||Fox^Ada||1970|F||||||||||123-45-6789");
    let (outcome, _) = read(text.as_bytes()).remove(0).unwrap();
    let Outcome::Changes(changes) = outcome else { panic!() };
    let text = &changes.documents[0].text;
    assert!(!text.contains("6789") && text.contains("Medical record number: 7"), "{text}");
}

#[test]
fn observations_of_another_time_stand_beside_the_earlier_ones() {
    let at = |time: &str| {
        let changes = message("ORU^R01", &[&format!("OBX|1|NM|8867-4^Heart rate^LN||72|/min|||||F|||{time}")]);
        changes.documents.last().unwrap().source_key.clone()
    };
    assert_ne!(at("202405010800"), at("202405010900"));
    assert_eq!(at("202405010800"), at("202405010800"));
}

#[test]
fn separators_framing_and_line_ends_make_no_difference() {
    let plain = "MSH|^~\\&|A|B|C|D|20240501||ADT^A28|1|P|2.4\rPID|1||7^^^N^MR||Fox^Ada||1970|F||||^^^^^~x\r";
    let one = |bytes: &[u8]| read(bytes).remove(0).unwrap().0;
    let wanted = one(plain.as_bytes());
    let odd = plain.replace('|', "#").replace('^', "*").replace('~', "!").replace('\\', "?").replace('&', "@");
    for other in [
        odd,
        plain.replace('\r', "\n"),
        plain.replace('\r', "\r\n"),
        format!("\u{b}{plain}\u{1c}\r"),
        format!("\u{feff}{plain}"),
    ] {
        assert_eq!(one(other.as_bytes()), wanted, "{other:?}");
    }
}
