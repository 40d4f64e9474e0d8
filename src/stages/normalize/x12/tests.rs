//! Whole interchanges through split and normalize: every piece ends somewhere, one damaged claim costs no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::domain::{
    Delivery, Document, FactKind, FactValue, Feed, Format, Normalized, Outcome, QuarantineReason, ReceiptId,
    SourceDescription, SourceId, TenantId, Timestamp, Unreadable,
};
use crate::stages::normalize::{Origin, normalize};
use crate::stages::split::{Piece, split};

fn source() -> SourceDescription {
    SourceDescription {
        name: SourceId::new("billing"),
        patients: "main".into(),
        warn_after_s: 60,
        error_after_s: 120,
        feed: Feed::default(),
        mapping: None,
    }
}

/// What became of each piece.
fn run(bytes: &[u8]) -> Vec<Result<Normalized, Unreadable>> {
    let source = source();
    let delivery = Delivery {
        receipt: ReceiptId::new("receipt"),
        tenant: TenantId::new("tenant"),
        source: source.name.clone(),
        format: Format::X12,
        name: None,
        bytes: bytes.to_vec(),
        received_at: Timestamp::from_micros(0),
    };
    let origin = Origin { source: &source, format: Format::X12, name: None, received_at: delivery.received_at };
    split(&delivery, None)
        .into_iter()
        .map(|piece| match piece {
            Piece::Record(record) => normalize(&record, &origin),
            Piece::Unreadable { unreadable, .. } => Err(unreadable),
        })
        .collect()
}

fn documents(results: &[Result<Normalized, Unreadable>]) -> Vec<Document> {
    let changes = results.iter().filter_map(|result| match result {
        Ok(Normalized { outcome: Outcome::Changes(changes), .. }) => Some(changes),
        _ => None,
    });
    changes.flat_map(|changes| changes.documents.clone()).collect()
}

fn rules(results: &[Result<Normalized, Unreadable>]) -> BTreeMap<String, usize> {
    let mut rules = BTreeMap::new();
    for finding in results.iter().flatten().flat_map(|normalized| &normalized.findings) {
        *rules.entry(finding.rule.clone()).or_default() += 1;
    }
    rules
}

fn shared() -> Option<PathBuf> {
    let root = std::env::var("ANAMNESIS_TEST_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let folder = root.join("x12-imsweb");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no test data at {}", folder.display());
        return None;
    }
    Some(folder)
}

fn files() -> Vec<PathBuf> {
    let Some(folder) = shared() else { return Vec::new() };
    let folders = ["837_5010", "277_5010", "x270_271"].map(|name| folder.join(name));
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    files
}

/// Of a document: text in normal form, every fact on exactly one line of it.
fn check(document: &Document) {
    let text = &document.text;
    assert!(!text.is_empty() && !document.title.is_empty() && !document.source_key.is_empty());
    assert!(text.split('\n').all(|line| line == line.trim() && !line.is_empty()));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    for fact in &document.facts {
        let line = fact.span.of(text).expect("a fact lies on char boundaries");
        assert!(text.split('\n').any(|whole| whole == line));
        assert!(!fact.display.is_empty());
    }
}

fn check_all(results: &[Result<Normalized, Unreadable>]) {
    let mut keys = std::collections::BTreeSet::new();
    for normalized in results.iter().flatten() {
        let Outcome::Changes(changes) = &normalized.outcome else { continue };
        assert!(!changes.is_empty());
        keys.clear();
        for document in &changes.documents {
            check(document);
            assert!(keys.insert(document.source_key.clone()), "two documents of a record share a key");
        }
    }
}

macro_rules! golden {
    ($case:literal) => {
        run(include_bytes!(concat!("../../../../tests/golden/normalize/x12_", $case, ".x12")))
    };
}

#[test]
fn every_interchange_of_the_published_set_ends_somewhere() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let (mut pieces, mut facts) = (0, 0);
    let (mut by_type, mut nothing, mut held) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut found = BTreeMap::new();
    for file in &files {
        let results = run(&std::fs::read(file).unwrap());
        check_all(&results);
        pieces += results.len();
        for document in documents(&results) {
            facts += document.facts.len();
            *by_type.entry(document.resource_type).or_insert(0) += 1;
        }
        for (rule, count) in rules(&results) {
            *found.entry(rule).or_insert(0) += count;
        }
        for result in &results {
            match result {
                Ok(Normalized { outcome: Outcome::CarriesNothing { name }, .. }) => {
                    *nothing.entry(name.clone()).or_insert(0) += 1;
                }
                Ok(_) => {}
                Err(unreadable) => *held.entry(unreadable.reason.as_str()).or_insert(0) += 1,
            }
        }
    }
    eprintln!(
        "{} files, {pieces} pieces, {by_type:?}, {facts} facts, {nothing:?}, held {held:?}, {found:?}",
        files.len()
    );
    assert_eq!(files.len(), 31);
    let count = |map: &BTreeMap<String, i32>, name: &str| map.get(name).copied().unwrap_or_default();
    assert_eq!(held, BTreeMap::from([("malformed_x12", 1)]));
    assert_eq!(count(&nothing, "999: group accepted") + count(&nothing, "999: group rejected"), 2);
    assert_eq!(count(&by_type, "CoverageEligibilityResponse"), 1);
    assert_eq!(count(&by_type, "CoverageEligibilityRequest"), 1);
    assert_eq!(count(&by_type, "ClaimResponse"), 12);
    // 1495 segments `CLM` behind an envelope; most repeat another claim of the same set word for word.
    assert_eq!(count(&by_type, "Claim"), 672);
    assert_eq!(672 + found["said_twice"], 1495);
}

#[test]
fn a_dependents_claim_never_shows_in_the_subscribers_chart() {
    let claims = documents(&golden!("claim_professional"));
    assert_eq!(claims.len(), 3);
    assert_eq!(claims[0].patient.as_ref().unwrap().as_str(), "MRN-5501");
    let child = claims[1].patient.clone().unwrap();
    assert!(child.as_str().starts_with("EVG300415-"));
    assert_eq!(claims[1].labels.sensitivity, ["PSY", "SUD"]);
    assert!(claims[1].text.contains("Patient: LUCIA REYES, born 2011-09-05"));
    let remitted = documents(&golden!("remittance"));
    assert_eq!(remitted[1].patient.as_ref(), Some(&child), "named with a subscriber beside it");
    assert_eq!(remitted[2].patient.as_ref(), Some(&child), "named with the family's number alone");
    let nobody = run(&ISOLATED.replace("NM1*QC*1*DOE*JANE~", "").into_bytes());
    assert_eq!(documents(&nobody)[0].patient, None);
    assert_eq!(rules(&nobody)["patient_unidentified"], 1);
}

const ISOLATED: &str = "ISA*00*          *00*          *ZZ*S              *ZZ*R              *261001*1253*^*00501*000000001*0*P*:~\
GS*HC*S*R*20261001*1253*1*X*005010X222A1~ST*837*1~HL*1**20*1~NM1*85*2*CLINIC*****XX*1~HL*2*1*22*1~SBR*P~\
NM1*IL*1*DOE*JOHN****MI*77~HL*3*2*23*0~PAT*19~NM1*QC*1*DOE*JANE~CLM*9*10***11:B:1~LX*1~SV1*HC:99213*10*UN*1~SE*13*1~\
GE*1*1~IEA*1*000000001~";

#[test]
fn a_replacement_has_the_key_of_what_it_replaces_and_a_void_withdraws_it() {
    let results = golden!("claim_replaced_and_voided");
    let claims = documents(&results);
    assert_eq!(claims[0].source_key, claims[1].source_key);
    assert!(claims[0].times.source < claims[1].times.source);
    let Ok(Normalized { outcome: Outcome::Changes(void), .. }) = &results[2] else { panic!() };
    assert_eq!(void.removals[0].source_key, claims[0].source_key);
    assert_eq!(void.removals[0].at, claims[2].times.source);
    assert!(claims[2].facts.iter().all(|fact| fact.kind == FactKind::Claim), "what it said no longer holds");
}

#[test]
fn one_bad_claim_leaves_its_neighbours_whole() {
    let results = golden!("claim_secondary_and_damaged");
    let claims = documents(&results);
    assert_eq!(claims.len(), 3);
    assert!(claims[0].source_key.ends_with("/C-900/S"), "another payer's claim is another claim");
    assert_eq!(claims[2].labels.sensitivity, ["HIV"]);
    let rules = rules(&results);
    for rule in ["required_field", "code_format", "service_missing", "invalid_amount"] {
        assert!(rules.contains_key(rule), "{rule}");
    }
}

#[test]
fn a_remittance_says_what_was_paid_and_why_not_more() {
    let results = golden!("remittance");
    let remitted = documents(&results);
    let statuses: Vec<&str> = remitted.iter().filter_map(|document| document.facts[0].status.as_deref()).collect();
    assert_eq!(statuses, ["paid", "denied", "paid nothing", "paid", "paid"]);
    assert!(remitted[0].text.contains("$2.00 co-payment (PR 3: patient responsibility)"));
    assert!(remitted[1].text.contains("code 999 (meaning unknown)"));
    assert!(remitted[2].text.contains("submitted as 99393"));
    let payment = &remitted[4];
    assert_eq!((payment.patient.as_ref(), payment.resource_type.as_str()), (None, "PaymentReconciliation"));
    assert!(!rules(&results).contains_key("out_of_balance"));
}

#[test]
fn a_reversal_undoes_and_what_does_not_add_up_is_found() {
    let results = golden!("remittance_reversal");
    let remitted = documents(&results);
    assert_eq!(remitted[0].facts[0].status.as_deref(), Some("reversed"));
    assert_eq!(remitted[0].facts[0].value, Some(FactValue::Quantity { value: -83.0, unit: Some("USD".into()) }));
    assert_ne!(remitted[0].source_key, remitted[1].source_key);
    assert_eq!(remitted[3].facts[0].status.as_deref(), Some("forwarded"));
    assert_eq!(rules(&results)["out_of_balance"], 1);
}

#[test]
fn no_social_security_number_shows_anywhere() {
    for (results, secrets) in [
        (golden!("eligibility_question"), ["987654321", "987-65-4321"]),
        (golden!("eligibility_answer"), ["987654321", "987-65-4321"]),
        (golden!("enrolment"), ["987650001", "987-65-0001"]),
    ] {
        let shown = format!("{results:?}");
        assert!(!documents(&results).is_empty());
        assert!(secrets.iter().all(|secret| !shown.contains(secret)));
    }
}

#[test]
fn a_refused_question_leaves_coverage_unknown() {
    let answers = documents(&golden!("eligibility_answer"));
    let statuses = |at: usize| answers[at].facts.iter().filter_map(|fact| fact.status.clone()).collect::<Vec<_>>();
    assert_eq!(statuses(0)[0], "active");
    assert_eq!(statuses(1), ["inactive"]);
    assert_eq!(statuses(2), ["unknown"]);
    assert!(
        answers[0]
            .text
            .contains("Coinsurance for professional physician office visit, 20%, in network, no authorization needed")
    );
    assert_eq!(answers[0].labels.sensitivity, ["PSY"]);
    assert!(answers[1].labels.sensitivity.is_empty());
}

#[test]
fn a_decision_with_a_number_ends_what_was_pending_under_its_trace() {
    let results = golden!("authorization");
    let reviews = documents(&results);
    let statuses: Vec<&str> = reviews.iter().filter_map(|document| document.facts[0].status.as_deref()).collect();
    assert_eq!(statuses, ["asked", "certified in part", "unknown"]);
    let Ok(Normalized { outcome: Outcome::Changes(answer), .. }) = &results[1] else { panic!() };
    assert!(answer.removals[0].source_key.starts_with("278/answer/AUTHTRACE-9/"));
    assert_eq!(answer.documents[0].source_key, "278/answer/AUTH99120");
}

#[test]
fn a_termination_has_the_key_of_the_coverage_it_ends() {
    let members = documents(&golden!("enrolment"));
    assert_eq!(members.len(), 5);
    assert_ne!(members[0].patient, members[2].patient, "a newborn is not her father");
    assert_eq!(members[3].facts[0].status.as_deref(), Some("terminated"));
    assert_eq!(members[3].source_key, "834/990000222/EMP0042/EMP0042-9789651e/HLT");
}

#[test]
fn acknowledgements_carry_nothing_but_tell_what_was_refused() {
    let results = golden!("acknowledgement");
    assert_eq!(documents(&results), []);
    assert_eq!(rules(&results)["rejected_by_receiver"], 2);
}

#[test]
fn sets_that_are_not_read_are_held() {
    let other = ISOLATED.replace("ST*837*", "ST*850*");
    assert_eq!(run(other.as_bytes())[0].as_ref().unwrap_err().reason, QuarantineReason::UnsupportedMessage);
    let empty = ISOLATED.replace("CLM*", "ZZZ*");
    assert_eq!(run(empty.as_bytes())[0].as_ref().unwrap_err().reason, QuarantineReason::MalformedX12);
}

#[test]
fn separators_and_line_ends_make_no_difference() {
    let bare = documents(&run(ISOLATED.as_bytes()));
    let other = ISOLATED.replace('*', "|").replace(':', ">").replace('~', "\r\n");
    assert_eq!(documents(&run(other.as_bytes())), bare);
    assert_eq!(documents(&run(format!("\u{feff}\n{}", ISOLATED.replace('~', "~\n")).as_bytes())), bare);
}

#[test]
fn bytes_that_are_no_utf_8_are_read_and_told() {
    let mut bytes = ISOLATED.replace("JANE", "JAN#").into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'#').unwrap();
    bytes[at] = 0xc9;
    let results = run(&bytes);
    assert!(documents(&results)[0].text.contains("Patient: JANÉ DOE"));
    assert_eq!(rules(&results)["invalid_encoding"], 1);
}

/// Everything of ours, and the smaller published files.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        include_bytes!("../../../../tests/golden/normalize/x12_claim_professional.x12").as_slice(),
        include_bytes!("../../../../tests/golden/normalize/x12_claim_institutional.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_claim_dental.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_remittance.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_eligibility_answer.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_claim_status.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_claim_acknowledgement.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_authorization.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_enrolment.x12"),
        include_bytes!("../../../../tests/golden/normalize/x12_acknowledgement.x12"),
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    seeds.extend(files().iter().map(|file| std::fs::read(file).unwrap()).filter(|bytes| bytes.len() < 8000));
    seeds
}

/// One way to damage bytes at a place.
fn damage(bytes: &mut Vec<u8>, kind: u8, at: usize, with: u8, length: usize) {
    let at = at % bytes.len().max(1);
    let end = (at + length).min(bytes.len());
    match kind % 5 {
        0 => bytes[at] = with,
        1 => drop(bytes.drain(at..end)),
        2 => bytes.truncate(at),
        3 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => bytes[at..end].reverse(),
    }
    if bytes.is_empty() {
        bytes.push(with);
    }
}

fn damaged_interchanges_end_somewhere(seeds: &[Vec<u8>]) {
    let damages = proptest::collection::vec((any::<u8>(), any::<usize>(), any::<u8>(), 1_usize..200), 1..6);
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse::<u64>().ok());
    let until = seconds.map(|seconds| std::time::Instant::now() + std::time::Duration::from_secs(seconds));
    loop {
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(250) });
        let outcome = runner.run(&(0..seeds.len(), &damages), |(seed, damages)| {
            let mut bytes = seeds[seed].clone();
            for (kind, at, with, length) in damages {
                damage(&mut bytes, kind, at, with, length);
            }
            check_all(&run(&bytes));
            Ok(())
        });
        outcome.unwrap();
        if until.is_none_or(|until| std::time::Instant::now() >= until) {
            return;
        }
    }
}

#[test]
fn damaged_interchanges_never_panic() {
    damaged_interchanges_end_somewhere(&seeds());
}

#[test]
fn every_byte_of_an_interchange_ends_in_a_piece() {
    let damaged = include_bytes!("../../../../tests/golden/normalize/x12_damaged.x12");
    let results = run(damaged);
    check_all(&results);
    let held = results.iter().filter(|result| result.is_err()).count();
    assert_eq!((documents(&results).len(), held, results.len()), (1, 3, 5));
}

#[test]
fn what_a_set_says_over_and_over_is_kept_once() {
    let head = ISOLATED.split("ST*837").next().unwrap().to_owned();
    let member = "INS*Y*18*021*28*A~REF*0F*E1~NM1*IL*1*DOE*JO~HD*021**HLT~DTP*348*D8*20260101~";
    let file = format!("{head}ST*834*1~{}SE*1*1~GE*1*1~IEA*1*1~", member.repeat(2_000));
    let results = run(file.as_bytes());
    assert_eq!(documents(&results).len(), 1, "the same said two thousand times");
    assert_eq!(rules(&results)["said_twice"], 1_999);
}
