//! What leaves to a caller: as it is, or without what says who anybody is, where the caller's client is set so.
//!
//! Whatever holds records goes out as a [`Disclosed`], which only this flow makes. For a de-identified caller it
//!
//! ```text
//! request   turns pseudonyms back into ids and shifted times into times; takes identifiers out of questions
//! lens      masks a document whole, by its own patient's names, numbers and shift, and moves every span with it
//! answers   quotes what the masked document says at the moved span
//! ```

mod answers;
mod lens;
mod question;
mod request;

use std::ops::Deref;

use crate::access::Access;
use crate::adapters::store::{PatientSummary, Store, StoreError};
use crate::domain::{Answer, Counts, Facet, PatientContext, StoredDocument};
use crate::stages::deidentify::{Pseudonyms, Secret, Sort};

use super::context::PatientContextView;
use super::retrieve::{RetrieveError, RetrieveFlow, Retrieved};
use super::similar::Similar;
use super::subjects::Subjects;
use lens::Lens;

#[derive(Debug, thiserror::Error)]
pub enum DiscloseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Retrieve(#[from] RetrieveError),
    #[error("dates are moved for each patient by another number of days: name one patient to filter by time")]
    TimesOfManyPatients,
    #[error("a de-identified caller doesn't count by {}", .0.as_str())]
    Uncounted(Facet),
    #[error("nothing is left of the question without what points at a person")]
    NothingLeft,
    #[error("no secret is configured")]
    NoSecret,
    #[error("the masking task was stopped")]
    Stopped,
}

/// What may leave to the caller it was made for.
#[derive(Clone, Debug)]
pub struct Disclosed<T>(T);

impl<T> Deref for Disclosed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Disclosed<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

#[derive(Clone)]
pub struct DiscloseFlow {
    store: Store,
    retrieve: RetrieveFlow,
    subjects: Option<Subjects>,
}

impl DiscloseFlow {
    /// Without a secret, a de-identified caller gets nothing.
    pub fn new(store: Store, retrieve: RetrieveFlow, secret: Option<Secret>) -> Self {
        Self { subjects: secret.map(|secret| Subjects::new(store.clone(), secret)), store, retrieve }
    }

    /// `None` for a caller who may know who people are.
    fn masks(&self, access: &Access) -> Result<Option<Masks>, DiscloseError> {
        if !access.is_deidentified() {
            return Ok(None);
        }
        let subjects = self.subjects.clone().ok_or(DiscloseError::NoSecret)?;
        let pseudonyms = Pseudonyms::new(subjects.secret(), access.tenant().as_str());
        Ok(Some(Masks { subjects, pseudonyms }))
    }

    fn lens<'a>(&self, access: &'a Access) -> Result<Option<Lens<'a>>, DiscloseError> {
        Ok(self.masks(access)?.map(|masks| Lens::new(access, masks)))
    }

    pub async fn retrieved(&self, access: &Access, found: Retrieved) -> Result<Disclosed<Retrieved>, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(Disclosed(found)) };
        let mut shown = Retrieved { passages: Vec::new(), details: Vec::new(), ..found };
        for (passage, detail) in found.passages.into_iter().zip(found.details) {
            let (passage, detail) = lens.passage(passage, detail).await?;
            shown.passages.push(passage);
            shown.details.push(detail);
        }
        Ok(Disclosed(shown))
    }

    pub async fn document(
        &self,
        access: &Access,
        stored: StoredDocument,
    ) -> Result<Disclosed<StoredDocument>, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(Disclosed(stored)) };
        Ok(Disclosed(lens.document(&stored).await?))
    }

    pub async fn similar(&self, access: &Access, mut found: Similar) -> Result<Disclosed<Similar>, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(Disclosed(found)) };
        found.to = lens.document(&found.to).await?;
        for similar in &mut found.documents {
            let masked = lens.masked(&similar.document).await?;
            similar.chunk.span = masked.span(similar.chunk.span);
            if let Some(title) = similar.chunk.section.take() {
                similar.chunk.section = Some(lens.text(&title, similar.document.document.patient.as_ref()).await?);
            }
            similar.document = lens.document(&similar.document).await?;
        }
        Ok(Disclosed(found))
    }

    pub async fn answer(&self, access: &Access, answer: Answer) -> Result<Disclosed<Answer>, DiscloseError> {
        match self.lens(access)? {
            Some(lens) => Ok(Disclosed(answers::answer(&self.store, lens, answer).await?)),
            None => Ok(Disclosed(answer)),
        }
    }

    pub async fn context(
        &self,
        access: &Access,
        mut view: PatientContextView,
    ) -> Result<Disclosed<PatientContextView>, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(Disclosed(view)) };
        let patient = view.context.patient.clone();
        let context = &mut view.context;
        let lists = [
            &mut context.demographics,
            &mut context.problems,
            &mut context.medications,
            &mut context.allergies,
            &mut context.results,
            &mut context.contacts,
            &mut context.appointments,
        ];
        let keys: Vec<_> = lists.iter().flat_map(|list| list.iter().map(|line| line.key.clone())).collect();
        let documents = lens.documents(&self.store, keys).await?;
        for list in lists {
            let mut shown = Vec::with_capacity(list.len());
            for line in list.drain(..) {
                shown.extend(lens.line(line, &patient, &documents).await?);
            }
            *list = shown;
        }
        view.context = PatientContext { patient: lens.patient(&patient), ..view.context };
        Ok(Disclosed(view))
    }

    /// Names are gone; of the date of birth the moved date is left.
    pub async fn patients(
        &self,
        access: &Access,
        found: Vec<PatientSummary>,
    ) -> Result<Disclosed<Vec<PatientSummary>>, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(Disclosed(found)) };
        let mut shown = Vec::with_capacity(found.len());
        for patient in found {
            let birth_date = match patient.birth_date {
                Some(date) => Some(lens.text(&date, Some(&patient.id)).await?),
                None => None,
            };
            shown.push(PatientSummary { id: lens.patient(&patient.id), name: None, birth_date, sex: patient.sex });
        }
        Ok(Disclosed(shown))
    }

    pub async fn counts(&self, access: &Access, mut counts: Counts) -> Result<Disclosed<Counts>, DiscloseError> {
        let Some(mut lens) = self.lens(access)? else { return Ok(Disclosed(counts)) };
        for facet in &mut counts.facets {
            for (value, _) in &mut facet.values {
                *value = match facet.facet {
                    Facet::Patient => lens.pseudonym(Sort::Patient, value),
                    Facet::Section => lens.text(value, None).await?,
                    Facet::Kind | Facet::Source => std::mem::take(value),
                    Facet::Year => return Err(DiscloseError::Uncounted(Facet::Year)),
                };
            }
        }
        Ok(Disclosed(counts))
    }
}

/// What names and hides a tenant's people.
#[derive(Clone)]
struct Masks {
    subjects: Subjects,
    pseudonyms: Pseudonyms,
}
