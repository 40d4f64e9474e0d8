//! Two worlds that differ in what a caller may not see only: nothing that the caller gets differs.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{Counts, Facet, Labels};

/// A document of the tenant that the caller sees, or one that is hidden in some way.
#[derive(Clone, Debug)]
struct Written {
    hidden: Option<u8>,
    words: u8,
    patient: u8,
}

fn written() -> impl Strategy<Value = Written> {
    (prop::option::of(0_u8..3), 0_u8..16, 0_u8..4).prop_map(|(hidden, words, patient)| Written {
        hidden,
        words,
        patient,
    })
}

fn change(number: usize, written: &Written) -> IndexChange {
    let words = ["cough", "fever", "warfarin", "no pain"];
    let text: Vec<&str> = (0..4).filter(|bit| written.words & (1 << bit) != 0).map(|bit| words[bit]).collect();
    let tenant = if written.hidden == Some(0) { "south" } else { TENANT };
    let mut change = put(
        tenant,
        &format!("d{number}"),
        1,
        &format!("p{}", written.patient),
        &text.join(" "),
        vector(number as u64 + 1),
    );
    if let IndexChange::Put(put) = &mut change {
        match written.hidden {
            Some(1) => put.document.document.labels.sensitivity = vec!["PSY".to_owned()],
            Some(2) => {
                put.document.document.labels =
                    Labels { confidentiality: crate::domain::Confidentiality::R, ..Labels::default() }
            }
            _ => {}
        }
    }
    change
}

type Ranked = Vec<(String, u32)>;

struct Seen {
    chunks: usize,
    dense: Vec<Ranked>,
    keyword: Vec<Ranked>,
    counts: Counts,
}

fn seen(index: &Index, access: &Access) -> Seen {
    index.settle();
    let snapshot = index.snapshot();
    let scope = snapshot.scope(access, &Filters::default());
    let named = |found: Vec<(super::super::RowId, f32)>| -> Ranked {
        let name = |row| snapshot.locate(row).unwrap().0.id.to_string();
        found.into_iter().map(|(row, score)| (name(row), score.to_bits())).collect()
    };
    Seen {
        chunks: snapshot.chunks_in(&scope),
        dense: (0..4).map(|query| named(snapshot.dense(&scope, &vector(1_000 + query), 10).0)).collect(),
        keyword: ["cough", "fever warfarin", "pain", "febrile", "warfarin with fever and cough", "blood thinner"]
            .map(|text| named(snapshot.keyword(&scope, &Question::read(text, true)).unwrap().best(100)))
            .into_iter()
            .collect(),
        counts: snapshot.count(&scope, "cough", &Facet::ALL, &HashSet::new()).unwrap(),
    }
}

fn compare(world: &[Written], settings: &IndexSettings, access: &Access, in_batches_of: usize) {
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (with, without) = (open(folders.0.path(), settings.clone()), open(folders.1.path(), settings.clone()));
    let all: Vec<(usize, &Written)> = world.iter().enumerate().collect();
    for (batch, part) in all.chunks(in_batches_of).enumerate() {
        let watermark = batch as i64 + 1;
        let everything: Vec<IndexChange> = part.iter().map(|(number, written)| change(*number, written)).collect();
        let visible = part.iter().filter(|(_, written)| written.hidden.is_none());
        let visible: Vec<IndexChange> = visible.map(|(number, written)| change(*number, written)).collect();
        with.apply(&Upkeep::begin(), &everything, watermark).unwrap();
        without.apply(&Upkeep::begin(), &visible, watermark).unwrap();
    }
    let (with, without) = (seen(&with, access), seen(&without, access));
    assert_eq!((with.chunks, &with.counts), (without.chunks, &without.counts));
    assert_eq!(with.dense, without.dense);
    assert_eq!(with.keyword, without.keyword);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn forbidden_documents_change_no_id_no_score_and_no_count(
        world in prop::collection::vec(written(), 1..120), with_graph: bool, in_batches_of in 20_usize..120,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let everyone = runtime.block_on(access("user/*.rs", None));
        let one = runtime.block_on(access("patient/*.rs", Some("p1")));
        let settings = if with_graph { settings(0, 0) } else { settings(1_000, 1_000) };
        compare(&world, &settings, &everyone, in_batches_of);
        compare(&world, &settings, &one, in_batches_of);
    }
}
