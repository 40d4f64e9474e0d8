//! What a de-identified caller asks with: pseudonyms, moved times.

use jiff::SignedDuration;

use super::{DiscloseError, DiscloseFlow};
use crate::access::Access;
use crate::domain::{DocumentId, Facet, Filters, PatientId};
use crate::stages::deidentify::Sort;

impl DiscloseFlow {
    /// The patient whom the caller names. What is no pseudonym of ours names nobody, so that an id can't be tried.
    pub fn patient_named(&self, access: &Access, name: String) -> Result<PatientId, DiscloseError> {
        Ok(PatientId::new(self.id_named(access, Sort::Patient, name)?))
    }

    pub fn document_named(&self, access: &Access, name: String) -> Result<DocumentId, DiscloseError> {
        Ok(DocumentId::new(self.id_named(access, Sort::Document, name)?))
    }

    fn id_named(&self, access: &Access, sort: Sort, name: String) -> Result<String, DiscloseError> {
        match self.masks(access)? {
            Some(masks) => Ok(masks.pseudonyms.id(sort, &name).unwrap_or_default()),
            None => Ok(name),
        }
    }

    /// How the caller names a patient.
    pub fn name_of(&self, access: &Access, patient: &PatientId) -> Result<String, DiscloseError> {
        match self.masks(access)? {
            Some(masks) => Ok(masks.pseudonyms.of(Sort::Patient, patient.as_str())),
            None => Ok(patient.to_string()),
        }
    }

    /// Filters as the store and the index know them.
    ///
    /// Errors: a bound on times without one patient, by which the shift of each could be found out.
    pub async fn filters(&self, access: &Access, asked: Filters) -> Result<Filters, DiscloseError> {
        let Some(masks) = self.masks(access)? else { return Ok(asked) };
        let id = |sort, name: &str| masks.pseudonyms.id(sort, name).unwrap_or_default();
        let patient = asked.patient.map(|name| PatientId::new(id(Sort::Patient, name.as_str())));
        let encounter = asked.encounter.map(|name| id(Sort::Encounter, &name));
        let mut filters = Filters { patient, encounter, ..asked };
        if filters.from.is_some() || filters.to.is_some() {
            let whose = filters.patient.as_ref().or_else(|| access.launch_patient());
            let whose = whose.ok_or(DiscloseError::TimesOfManyPatients)?;
            let days = masks.subjects.of(access, Some(whose)).await?.days();
            let back = |time: crate::domain::Timestamp| time.plus(SignedDuration::from_hours(24 * days));
            (filters.from, filters.to) = (filters.from.map(back), filters.to.map(back));
        }
        Ok(filters)
    }

    /// The facets to count by: years of many patients would tell how far each was moved.
    pub fn facets(&self, access: &Access, asked: Option<Vec<Facet>>) -> Result<Vec<Facet>, DiscloseError> {
        let is_masked = self.masks(access)?.is_some();
        match asked {
            Some(facets) if is_masked && facets.contains(&Facet::Year) => Err(DiscloseError::Uncounted(Facet::Year)),
            Some(facets) => Ok(facets),
            None => Ok(Facet::ALL.into_iter().filter(|facet| !(is_masked && *facet == Facet::Year)).collect()),
        }
    }
}
