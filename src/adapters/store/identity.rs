//! What of a patient's record tells who the patient is, for those who take it out of texts.

use super::{Store, StoreError};
use crate::access::Access;
use crate::domain::{Identity, PatientId};

impl Store {
    /// Of a patient of the caller's tenant, whatever the caller may see: a name has to be known to be hidden.
    pub async fn identity(&self, access: &Access, patient: &PatientId) -> Result<Identity, StoreError> {
        // A cross join keeps the order: the patient's documents first.
        const DETAILS: &str = "SELECT DISTINCT \
            CASE WHEN d.resource_type = 'Patient' THEN f.display ELSE 'Relative' END, f.value_text \
            FROM document d CROSS JOIN fact f \
            WHERE f.tenant = d.tenant AND f.document = d.id AND f.version = d.version AND d.tenant = $1 AND d.patient = $2 AND f.kind = 'demographic' AND f.value_text IS NOT NULL";
        const NAMES: &str = "SELECT DISTINCT title FROM document WHERE tenant = $1 AND patient = $2 AND kind = 'patient' \
            AND resource_type = 'Patient'";
        const AUTHORS: &str =
            "SELECT DISTINCT author FROM document WHERE tenant = $1 AND patient = $2 AND author IS NOT NULL";
        let (tenant, patient) = (access.tenant().as_str(), patient.as_str());
        let details = sqlx::query_as(DETAILS).bind(tenant).bind(patient).fetch_all(&self.reader).await?;
        let names = sqlx::query_scalar(NAMES).bind(tenant).bind(patient).fetch_all(&self.reader).await?;
        let authors = sqlx::query_scalar(AUTHORS).bind(tenant).bind(patient).fetch_all(&self.reader).await?;
        Ok(Identity { details, names, authors })
    }
}
