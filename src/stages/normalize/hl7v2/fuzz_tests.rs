//! Any bytes are read or refused, never more: real messages, cut, spliced and overwritten.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::domain::Outcome;

use super::acknowledgement::{Code, acknowledge, conditions, control_id};
use super::data_tests::messages;
use super::tests::{read, well_formed};

const OWN: &str = "MSH|^~\\&|ADM|NORTH|ANA|NORTH|20240501100000+0000||ORU^R01|M1|P|2.5.1||||||8859/1\rPID|1||7^^^N^MR||Fox^Ada||1970|F\r\
    PV1|1|I|ICU^1||||9^Chu^Mei||||||||||||V1\rORC|RE|P1|F1\rOBR|1|P1|F1|K^Panel^LN|||2024\rOBX|1|ED|A^B||^TEXT^^Base64^SGk=\r\
    OBX|2|TX|A||one\\.br\\two\\X0D\\\rNTE|1||note\rTXA|1|DS||2024||||||||D1|D0\rSCH|1|2\rFT1|1|T||2024\rRXA|0|1|2024||140^F^CVX\r";

/// What may be put anywhere.
const SPLINTERS: [&[u8]; 18] = [
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\"\"",
    b"\\X",
    b"\\.br\\",
    b"MSH|",
    b"\x0b",
    b"\x1c\r",
    b"\xff",
    b"\\r",
    b"\rPID|||8",
    b"BTS|9\r",
    b"\x1b$B",
];

#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Put(usize, usize),
    Set(usize, u8),
    Repeat(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), 1..200_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<usize>(), 0..SPLINTERS.len()).prop_map(|(at, which)| Change::Put(at, which)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<usize>(), 1..400_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let place = |at: usize, length: usize| at.checked_rem(length).unwrap_or(0);
        let length = bytes.len();
        match change {
            Change::Cut(at, count) => {
                let start = place(*at, length);
                bytes.drain(start..(start + count).min(length));
            }
            Change::Put(at, which) => {
                let start = place(*at, length);
                bytes.splice(start..start, SPLINTERS[*which].iter().copied());
            }
            Change::Set(at, byte) => {
                if let Some(own) = bytes.get_mut(place(*at, length)) {
                    *own = *byte;
                }
            }
            Change::Repeat(at, count) => {
                let start = place(*at, length);
                let part = bytes[start..(start + count).min(length)].to_vec();
                bytes.splice(start..start, part);
            }
        }
    }
    bytes
}

fn ends_somewhere(bytes: &[u8]) {
    let records = read(bytes);
    assert!(!records.is_empty());
    for (outcome, _) in records.into_iter().flatten() {
        if let Outcome::Changes(changes) = outcome {
            assert!(!changes.is_empty());
            changes.documents.iter().for_each(well_formed);
        }
    }
    let at = crate::domain::Timestamp::from_micros(0);
    let answer = acknowledge(bytes, Code::ApplicationAccept, None, "1", at);
    assert!(answer.starts_with(b"MSH") && answer.ends_with(b"\r"));
    let _ = (control_id(bytes), conditions(bytes));
}

#[test]
fn damaged_messages_end_somewhere() {
    let mut samples: Vec<Vec<u8>> = messages("hl7v2-ms-converter").into_iter().map(|(_, bytes)| bytes).collect();
    samples.extend(messages("hl7v2-lfh-converter").into_iter().map(|(_, bytes)| bytes));
    samples.push(OWN.as_bytes().to_vec());
    let seconds = std::env::var("ANAMNESIS_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
        let strategy = (0..samples.len(), prop::collection::vec(change(), 1..12));
        runner
            .run(&strategy, |(which, changes)| {
                ends_somewhere(&changed(&samples[which], &changes));
                Ok(())
            })
            .unwrap();
        if until.is_none_or(|until| Instant::now() > until) {
            break;
        }
    }
}

#[test]
fn large_messages_take_no_more_than_their_share_of_time() {
    let header = "MSH|^~\\&|A|B|C|D|2024||ORU^R01|1|P|2.5\rPID|||7||F^A||1970|F\rOBR|1||F1|K^K\r";
    for part in [
        "OBX|1|TX|A||\r",
        "OBX|1|TX|A||line\r",
        "OBX|1|NM|A||5\r",
        "NTE|1||x\r",
        "OBR|1||F1|K^K\r",
        "ORC|NW\r",
        "PID|||7\r",
        "\\X41",
        "\\",
        "^~&",
        "no segment\r",
        "BHS|\rMSH|^~\\&|\r",
    ] {
        let text = format!("{header}{}", part.repeat(100_000 / part.len()));
        let start = Instant::now();
        assert!(!read(text.as_bytes()).is_empty());
        assert!(start.elapsed() < Duration::from_secs(20), "{part:?} took {:?}", start.elapsed());
    }
}

proptest! {
    #[test]
    fn any_bytes_end_somewhere(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        ends_somewhere(&bytes);
        ends_somewhere(&[b"MSH|^~\\&|".as_slice(), &bytes].concat());
    }
}
