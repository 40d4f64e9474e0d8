//! Documents and what is cut from them, as a de-identified caller sees them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::SignedDuration;

use super::{DiscloseError, Masks};
use crate::access::Access;
use crate::adapters::store::{Store, StoreError};
use crate::domain::{
    ContextLine, Document, DocumentId, DocumentKey, Passage, PatientId, Section, Span, StoredDocument, Times,
    Timestamp, today,
};
use crate::flows::retrieve::PassageDetail;
use crate::stages::deidentify::{Masked, Sort, Subject, mask};

/// Masks each document once for a request.
pub(super) struct Lens<'a> {
    access: &'a Access,
    masks: Masks,
    subjects: HashMap<Option<PatientId>, Arc<Subject>>,
    masked: HashMap<DocumentKey, Arc<Masked>>,
}

impl<'a> Lens<'a> {
    pub fn new(access: &'a Access, masks: Masks) -> Self {
        Self { access, masks, subjects: HashMap::new(), masked: HashMap::new() }
    }

    pub fn pseudonym(&self, sort: Sort, id: &str) -> String {
        self.masks.pseudonyms.of(sort, id)
    }

    pub fn patient(&self, id: &PatientId) -> PatientId {
        PatientId::new(self.pseudonym(Sort::Patient, id.as_str()))
    }

    pub fn key(&self, key: &DocumentKey) -> DocumentKey {
        DocumentKey { id: DocumentId::new(self.pseudonym(Sort::Document, key.id.as_str())), version: key.version }
    }

    pub async fn subject(&mut self, patient: Option<&PatientId>) -> Result<Arc<Subject>, StoreError> {
        if let Some(known) = self.subjects.get(&patient.cloned()) {
            return Ok(known.clone());
        }
        let subject = Arc::new(self.masks.subjects.of(self.access, patient).await?);
        self.subjects.insert(patient.cloned(), subject.clone());
        Ok(subject)
    }

    /// A line that stands in no document.
    pub async fn text(&mut self, text: &str, patient: Option<&PatientId>) -> Result<String, DiscloseError> {
        Ok(mask(text, &*self.subject(patient).await?, today()).text)
    }

    /// A document's text, masked off the request threads.
    pub async fn masked(&mut self, stored: &StoredDocument) -> Result<Arc<Masked>, DiscloseError> {
        if let Some(masked) = self.masked.get(&stored.key) {
            return Ok(masked.clone());
        }
        let subject = self.subject(stored.document.patient.as_ref()).await?;
        let text = stored.document.text.clone();
        let masking = tokio::task::spawn_blocking(move || mask(&text, &subject, today()));
        let masked = Arc::new(masking.await.map_err(|_| DiscloseError::Stopped)?);
        self.masked.insert(stored.key.clone(), masked.clone());
        Ok(masked)
    }

    /// Documents by their keys, as the store holds them.
    pub async fn documents(
        &self,
        store: &Store,
        mut keys: Vec<DocumentKey>,
    ) -> Result<HashMap<DocumentKey, StoredDocument>, StoreError> {
        keys.sort();
        keys.dedup();
        let mut documents = HashMap::new();
        for key in keys {
            if let Some(stored) = store.document_version(self.access, &key).await? {
                documents.insert(key, stored);
            }
        }
        Ok(documents)
    }

    pub async fn document(&mut self, stored: &StoredDocument) -> Result<StoredDocument, DiscloseError> {
        let masked = self.masked(stored).await?;
        let subject = self.subject(stored.document.patient.as_ref()).await?;
        let plain = &stored.document;
        let short = |text: &str| mask(text, &subject, today()).text;
        let section = |section: &Section| Section { title: short(&section.title), span: masked.span(section.span) };
        let document = Document {
            source_key: String::new(),
            source_version: None,
            patient: plain.patient.as_ref().map(|patient| self.patient(patient)),
            encounter: plain.encounter.as_ref().map(|encounter| self.pseudonym(Sort::Encounter, encounter)),
            title: short(&plain.title),
            author: plain.author.as_ref().map(|author| subject.surrogate_name(author)),
            times: Times {
                effective: moved(plain.times.effective, &subject),
                source: moved(plain.times.source, &subject),
            },
            sections: plain.sections.iter().map(section).collect(),
            pages: plain.pages.iter().map(|page| masked.span(Span::new(*page, *page)).start).collect(),
            facts: Vec::new(),
            text: masked.text.clone(),
            ..plain.clone()
        };
        let received_at = shifted(stored.received_at, &subject);
        Ok(StoredDocument { key: self.key(&stored.key), document, received_at, ..stored.clone() })
    }

    pub async fn passage(
        &mut self,
        passage: Passage,
        detail: PassageDetail,
    ) -> Result<(Passage, PassageDetail), DiscloseError> {
        let masked = self.masked(&passage.document).await?;
        let detail = PassageDetail {
            nearest: detail.nearest.map(|span| masked.span(span)),
            // A mark says nothing about which words it hides.
            highlights: detail
                .highlights
                .iter()
                .filter(|span| !masked.hides(**span))
                .map(|span| masked.span(*span))
                .collect(),
            around: detail.around.map(|span| masked.span(span)),
        };
        let mut hit = passage.hit;
        hit.key = self.key(&hit.key);
        hit.chunk.span = masked.span(hit.chunk.span);
        let title = hit.chunk.section.take();
        let document = self.document(&passage.document).await?;
        hit.chunk.section = match title {
            Some(title) => Some(self.text(&title, passage.document.document.patient.as_ref()).await?),
            None => None,
        };
        Ok((Passage { hit, document }, detail))
    }

    /// A line of a patient's context; `None` where its document isn't there any more.
    pub async fn line(
        &mut self,
        line: ContextLine,
        patient: &PatientId,
        documents: &HashMap<DocumentKey, StoredDocument>,
    ) -> Result<Option<ContextLine>, DiscloseError> {
        let subject = self.subject(Some(patient)).await?;
        let (text, span) = match documents.get(&line.key) {
            Some(stored) => {
                let masked = self.masked(stored).await?;
                let span = masked.span(line.span);
                let Some(text) = span.of(&masked.text) else { return Ok(None) };
                (text.to_owned(), span)
            }
            // The document of demographics is not given whole to a client that is shown some fields of it only.
            None => {
                let text = mask(&line.text, &subject, today()).text;
                let span = Span::new(0, text.len());
                (text, span)
            }
        };
        Ok(Some(ContextLine {
            text,
            key: self.key(&line.key),
            span,
            source: line.source,
            effective: moved(line.effective, &subject),
            source_time: moved(line.source_time, &subject),
            received_at: shifted(line.received_at, &subject),
        }))
    }
}

pub(super) fn moved(time: Option<Timestamp>, subject: &Subject) -> Option<Timestamp> {
    time.map(|time| shifted(time, subject))
}

/// A time of the record's, moved as the dates in its text are.
pub(super) fn shifted(time: Timestamp, subject: &Subject) -> Timestamp {
    time.plus(SignedDuration::from_hours(-24 * subject.days()))
}
