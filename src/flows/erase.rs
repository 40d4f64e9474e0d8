//! Erases a patient: hidden when it was asked for, then gone from the store, the deliveries, the vectors, the index
//! and the log. Begun again after a crash, it ends alike.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::derive::embedded_texts;
use super::index_changes::{IndexChangesError, IndexChangesFlow};
use super::reading::{read_pieces, split_pieces};
use crate::access::Upkeep;
use crate::adapters::index::IndexError;
use crate::adapters::store::{RecordOutcome, Searched, StoreError};
use crate::domain::{Certificate, Delivery, Erasure, ErasureState, Outcome, PatientId, SourceDescription};
use sha2::{Digest, Sha256};

#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    CatchUp(#[from] IndexChangesError),
    #[error("the erasing task was stopped")]
    Stopped,
}

/// Needs the generation in service to itself for a moment, as indexing does.
pub struct EraseFlow {
    indexing: Arc<IndexChangesFlow>,
}

impl EraseFlow {
    pub fn new(indexing: Arc<IndexChangesFlow>) -> Self {
        Self { indexing }
    }

    /// `None` when something that had landed has to be read first.
    pub async fn run(&self, upkeep: &Upkeep, erasure: &Erasure) -> Result<Option<Certificate>, EraseError> {
        let store = &self.indexing.store;
        if store.waits_for_reading(upkeep, erasure).await? {
            return Ok(None);
        }
        // Begun again, it goes on counting from what was done before.
        let mut certificate = erasure.certificate.clone().unwrap_or_default();
        self.erase_documents(upkeep, erasure, &mut certificate).await?;
        self.search_deliveries(upkeep, erasure, &mut certificate).await?;
        store.keep_certificate(upkeep, erasure, &certificate).await?;
        while self.indexing.run_once(upkeep, &|_| {}).await? > 0 {}
        self.expunge(upkeep).await?;
        store.rewrite(upkeep).await?;
        certificate.rewritten = true;
        let state = if certificate.unresolved == 0 { ErasureState::Done } else { ErasureState::Incomplete };
        Ok(Some(store.end_erasure(upkeep, erasure, state, certificate).await?))
    }

    async fn erase_documents(
        &self,
        upkeep: &Upkeep,
        erasure: &Erasure,
        certificate: &mut Certificate,
    ) -> Result<(), EraseError> {
        let store = &self.indexing.store;
        let documents = store.documents_to_erase(upkeep, erasure).await?;
        let ids: BTreeSet<_> = documents.iter().map(|stored| stored.key.id.clone()).collect();
        let embedding = self.indexing.embedding.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            let texts = documents.iter().flat_map(|stored| embedded_texts(embedding.embedder(), stored));
            texts.map(|text| hex::encode(Sha256::digest(text))).collect::<BTreeSet<String>>()
        });
        let hashes = hashing.await.map_err(|_| EraseError::Stopped)?;
        // Vectors first: once the documents are gone, nothing would tell which they were.
        certificate.embeddings += store.erase_embeddings(upkeep, &hashes).await?;
        store.erase_documents(upkeep, erasure, &ids, certificate).await?;
        Ok(())
    }

    async fn search_deliveries(
        &self,
        upkeep: &Upkeep,
        erasure: &Erasure,
        certificate: &mut Certificate,
    ) -> Result<(), EraseError> {
        let store = &self.indexing.store;
        let mut after = 0;
        (certificate.deliveries_searched, certificate.unresolved) = (0, 0);
        while let Some(searched) = store.deliveries_to_search(upkeep, erasure, after).await? {
            after = searched.sequence;
            certificate.deliveries_searched += 1;
            let remainder = match searched.is_remainder {
                true => store.remainder(&searched.delivery.receipt).await?,
                false => Vec::new(),
            };
            let source = store.source(&searched.delivery.tenant, &searched.delivery.source).await?;
            let patients = erasure.patients.clone();
            let receipt = searched.delivery.receipt.clone();
            let looking = tokio::task::spawn_blocking(move || look(searched, remainder, source.as_ref(), &patients));
            match looking.await.map_err(|_| EraseError::Stopped)? {
                Found::Nothing => {}
                Found::Unresolved => certificate.unresolved += 1,
                Found::Records { erased, kept } => {
                    certificate.quarantined += store.erase_quarantined(upkeep, &receipt, &erased).await?;
                    store.cut_delivery(upkeep, &receipt, &kept).await?;
                    certificate.records += erased.len() as u64;
                    match kept.is_empty() {
                        true => certificate.deliveries_emptied += 1,
                        false => certificate.deliveries_cut += 1,
                    }
                }
            }
        }
        Ok(())
    }

    async fn expunge(&self, upkeep: &Upkeep) -> Result<(), EraseError> {
        let _turn = self.indexing.turn.lock().await;
        let (index, upkeep) = (self.indexing.index.clone(), upkeep.clone());
        let expunging = tokio::task::spawn_blocking(move || index.expunge(&upkeep));
        Ok(expunging.await.map_err(|_| EraseError::Stopped)??)
    }
}

enum Found {
    Nothing,
    /// It names the patient and can't be told apart.
    Unresolved,
    Records {
        erased: Vec<u32>,
        kept: Vec<(u32, Vec<u8>)>,
    },
}

/// What of a delivery is the patient's, and what is left without it.
fn look(
    searched: Searched,
    remainder: Vec<(u32, Vec<u8>)>,
    source: Option<&SourceDescription>,
    patients: &[PatientId],
) -> Found {
    let ids = local_ids(patients, source);
    let is_named = |bytes: &[u8]| ids.iter().any(|id| names(bytes, id));
    let delivery = searched.delivery;
    if searched.is_remainder {
        // Each record stands alone now, and is read alone: what names somebody else is theirs.
        let parts = remainder.into_iter().map(|(ordinal, bytes)| {
            let alone = Delivery { bytes, ..delivery.clone() };
            let whose = source.map_or(Whose::Unknown, |source| whose_alone(&read_pieces(&alone, source), patients));
            Part { ordinal, bytes: alone.bytes, whose }
        });
        return judge(parts.collect(), &is_named);
    }
    if !is_named(&delivery.bytes) {
        return Found::Nothing;
    }
    let Some(source) = source.filter(|_| searched.is_read) else { return Found::Unresolved };
    let outcomes = read_pieces(&delivery, source);
    let parts = split_pieces(&delivery, source).into_iter().zip(outcomes).map(|((ordinal, bytes), outcome)| Part {
        ordinal,
        bytes,
        whose: whose(&outcome, patients),
    });
    judge(parts.collect(), &is_named)
}

struct Part {
    ordinal: u32,
    bytes: Vec<u8>,
    whose: Whose,
}

#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Erased,
    Another,
    /// It names nobody in a way that could be read; its bytes decide.
    Unknown,
}

fn judge(parts: Vec<Part>, is_named: &dyn Fn(&[u8]) -> bool) -> Found {
    let is_direct =
        |part: &Part| part.whose == Whose::Erased || (part.whose == Whose::Unknown && is_named(&part.bytes));
    let (direct, rest): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_direct);
    if direct.is_empty() {
        return Found::Nothing;
    }
    // Files that the erased records point at, and that are nobody else's: a Binary has no patient of its own.
    let binaries: BTreeSet<String> = direct.iter().flat_map(|part| binaries_in(&part.bytes)).collect();
    let is_pointed_at = |part: &Part| {
        let text = String::from_utf8_lossy(&part.bytes);
        part.whose == Whose::Unknown
            && text.contains("\"Binary\"")
            && binaries.iter().any(|id| text.contains(id.as_str()))
    };
    let (pointed_at, kept): (Vec<Part>, Vec<Part>) = rest.into_iter().partition(is_pointed_at);
    Found::Records {
        erased: direct.iter().chain(&pointed_at).map(|part| part.ordinal).collect(),
        kept: kept.into_iter().map(|part| (part.ordinal, part.bytes)).collect(),
    }
}

/// Of a record that is read by itself, and may come apart into several.
fn whose_alone(outcomes: &[RecordOutcome], patients: &[PatientId]) -> Whose {
    let each: Vec<Whose> = outcomes.iter().map(|outcome| whose(outcome, patients)).collect();
    [Whose::Erased, Whose::Another].into_iter().find(|one| each.contains(one)).unwrap_or(Whose::Unknown)
}

fn whose(outcome: &RecordOutcome, patients: &[PatientId]) -> Whose {
    let documents = match outcome.result.as_ref().map(|normalized| &normalized.outcome) {
        Ok(Outcome::Documents(documents)) => documents.as_slice(),
        Ok(Outcome::Changes(changes)) => changes.documents.as_slice(),
        _ => &[],
    };
    let mut named = documents.iter().filter_map(|document| document.patient.as_ref()).peekable();
    if named.peek().is_none() {
        return Whose::Unknown;
    }
    if named.any(|patient| patients.contains(patient)) { Whose::Erased } else { Whose::Another }
}

/// The ids as the source writes them.
fn local_ids(patients: &[PatientId], source: Option<&SourceDescription>) -> Vec<String> {
    let namespace = source.map(|source| source.patients.as_str()).unwrap_or_default();
    let local = |patient: &PatientId| {
        let id = patient.as_str();
        id.strip_prefix(namespace).and_then(|rest| rest.strip_prefix(':')).unwrap_or(id).to_owned()
    };
    patients.iter().map(local).filter(|id| !id.is_empty()).collect()
}

/// Whether the id stands in the bytes by itself, not as a part of a longer word.
fn names(bytes: &[u8], id: &str) -> bool {
    let id = id.as_bytes();
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    bytes.windows(id.len()).enumerate().any(|(at, window)| {
        window == id
            && !is_part(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_part(bytes.get(at + id.len()))
    })
}

fn binaries_in(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let after = text.split("Binary/").skip(1);
    after
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect())
        .filter(|id: &String| !id.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_by_itself_only() {
        assert!(names(br#"{"reference":"Patient/p1"}"#, "p1"));
        assert!(names(b"PID|1||p1^^^HOSP", "p1") && names(b"p1", "p1"));
        assert!(!names(br#"{"reference":"Patient/p12"}"#, "p1"));
        assert!(!names(b"xp1 p1-2 ap1", "p1"));
    }

    fn part(ordinal: u32, bytes: &str, whose: Whose) -> Part {
        Part { ordinal, bytes: bytes.as_bytes().to_vec(), whose }
    }

    #[test]
    fn another_patients_record_is_kept_though_it_names_the_erased_one() {
        let parts = vec![
            part(0, r#"{"resourceType":"Patient","id":"p1"}"#, Whose::Erased),
            part(1, r#"{"note":"brother of p1"}"#, Whose::Another),
            part(2, r#"{"resourceType":"Binary","id":"b1"}"#, Whose::Unknown),
            part(3, r#"{"url":"Binary/b1"}"#, Whose::Erased),
            part(4, r#"{"resourceType":"Binary","id":"b2"}"#, Whose::Unknown),
            part(5, r#"{"broken": "Patient/p1""#, Whose::Unknown),
        ];
        let Found::Records { erased, kept } = judge(parts, &|bytes| names(bytes, "p1")) else { panic!() };
        assert_eq!(erased, [0, 3, 5, 2]);
        assert_eq!(kept.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>(), [1, 4]);
    }
}
