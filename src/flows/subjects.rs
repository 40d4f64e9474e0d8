//! Patients as a secret sees them: what their own records say that has to be hidden.

use crate::access::Access;
use crate::adapters::store::{Store, StoreError};
use crate::domain::PatientId;
use crate::stages::deidentify::{Known, Secret, Subject};

/// Makes a subject of a patient.
#[derive(Clone)]
pub struct Subjects {
    store: Store,
    secret: Secret,
}

impl Subjects {
    pub fn new(store: Store, secret: Secret) -> Self {
        Self { store, secret }
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    pub async fn of(&self, access: &Access, patient: Option<&PatientId>) -> Result<Subject, StoreError> {
        let known = match patient {
            Some(patient) => self.known(access, patient).await?,
            None => Known::default(),
        };
        Ok(Subject::new(&self.secret, access.tenant().as_str(), patient.map(PatientId::as_str), known))
    }

    async fn known(&self, access: &Access, patient: &PatientId) -> Result<Known, StoreError> {
        let identity = self.store.identity(access, patient).await?;
        let mut known = Known::default();
        for (label, value) in &identity.details {
            known.add(label, value);
        }
        identity.names.iter().for_each(|name| known.add_own_name(name));
        identity.authors.iter().for_each(|author| known.add_name(author));
        known.add_id(patient.as_str());
        Ok(known)
    }
}
