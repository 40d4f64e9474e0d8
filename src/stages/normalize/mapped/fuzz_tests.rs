//! Damaged exports through every shipped mapping: nothing panics, every record ends somewhere.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::data_tests::{Tally, shipped, source, take};
use crate::domain::{Format, SourceDescription, mapping};

const SEEDS: [(Format, &str); 5] = [
    (
        Format::MappedCsv,
        "appointment_id,appointment_date,appointment_time,status,patient_id\r\n1,2024-01-01,\"08:00\",attended,7\r\n2,,,,\n",
    ),
    (
        Format::MappedCsv,
        "DML_IND|BENE_ID|CLM_ID|LINE_NUM|CARR_CLM_PMT_DNL_CD|CLM_FROM_DT|ICD_DGNS_CD1|ICD_DGNS_VRSN_CD1\n\
         INSERT|-1|-2|1|0|30-May-2015|E1122|0\nDELETE|-1|-2|2|0|31-FEB-2015|\\|\"|\n",
    ),
    (
        Format::MappedJson,
        r#"{"records":[{"attributes":{"type":"Case"},"Id":"5","Subject":"Größe","ContactId":null,"CreatedDate":"2024-01-01T00:00:00.000+0000"},
           {"attributes":{"type":"X__c"},"Id":1e400,"Name":["a",{"b":null}],"A__c":"<p>&amp;"}]}"#,
    ),
    (
        Format::MappedJson,
        "[{\"id\":\"1\",\"properties\":{\"hs_call_title\":\"a\",\"hs_timestamp\":\"1714557600000\"},\
         \"associations\":{\"contacts\":{\"results\":[{\"id\":\"2\"}]}}}]",
    ),
    (
        Format::MappedJson,
        "{\"subscriptionType\":\"contact.deletion\",\"objectId\":51,\"occurredAt\":1714557600000}\n{\"id\":{}}\n",
    ),
];

fn sources() -> Vec<SourceDescription> {
    mapping::SHIPPED.iter().map(|(name, _)| source(shipped(name))).collect()
}

/// Cuts, doubles and overwrites pieces of a seed.
fn damaged() -> impl Strategy<Value = (Format, Vec<u8>)> {
    let edit = (any::<prop::sample::Index>(), 0_usize..12, prop::collection::vec(any::<u8>(), 0..6));
    (0..SEEDS.len(), prop::collection::vec(edit, 1..5)).prop_map(|(seed, edits)| {
        let (format, text) = SEEDS[seed];
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, with) in edits {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, with);
        }
        (format, bytes)
    })
}

#[test]
fn a_damaged_export_never_panics_and_every_record_ends_somewhere() {
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let sources = sources();
    loop {
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(300) });
        runner
            .run(&damaged(), |(format, bytes)| {
                for source in &sources {
                    let mut tally = Tally::default();
                    take(source, format, "export", bytes.clone(), &mut tally);
                    prop_assert_eq!(tally.ended(), tally.records);
                    prop_assert!(bytes.is_empty() || tally.records > 0);
                }
                Ok(())
            })
            .unwrap();
        if Instant::now() >= until {
            break;
        }
    }
}

#[test]
fn a_row_of_thousands_of_cells_is_read_in_good_time() {
    let header: Vec<String> = (0..5_000).map(|number| format!("c{number}")).collect();
    let row = vec!["x"; 5_000];
    let csv = format!("BENE_ID,CARRIER_CLAIMS,PDE_CLAIMS,{}\n1,2,3,{}\n", header.join(","), row.join(","));
    let started = Instant::now();
    let mut tally = Tally::default();
    take(&source(shipped("bfd-rif")), Format::MappedCsv, "wide.csv", csv.into_bytes(), &mut tally);
    assert_eq!(tally.nothing["export summary"], 1);
    assert!(started.elapsed() < Duration::from_secs(5));
}
