//! A caller's right to read: which patients, which resources, which labels, and what else bounds it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::consent::Consents;
use super::glass::Glass;
use super::operations::Operations;
use super::profile::Profile;
use super::token_error::Refusal;
use super::window::{Patients, Window};
use super::{Denied, Operation, Permit, Types};
use crate::domain::{Confidentiality, Kind, Labels, PatientId, StoredDocument, TenantId, Timestamp};

/// What a read does: find rows by a question, or open one whose id is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SMART `s`; as text comes back, `r` is needed beside it.
    Search,
    /// SMART `r`.
    Read,
}

/// All that is looked at to decide whether a caller may see a document or a line of it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub patient: Option<&'a PatientId>,
    pub resource_type: &'a str,
    pub kind: Kind,
    pub labels: &'a Labels,
    /// When its content was last known true.
    pub as_of: Timestamp,
}

impl<'a> Row<'a> {
    pub fn of(stored: &'a StoredDocument) -> Self {
        let document = &stored.document;
        Self {
            patient: document.patient.as_ref(),
            resource_type: &document.resource_type,
            kind: document.kind,
            labels: &document.labels,
            as_of: stored.as_of(),
        }
    }
}

/// The labels a caller may see; what is labelled beyond it is withheld, silently.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Clearance {
    pub confidentiality: Confidentiality,
    pub sensitivity: BTreeSet<String>,
}

impl Clearance {
    pub fn covers(&self, labels: &Labels) -> bool {
        labels.confidentiality <= self.confidentiality
            && labels.sensitivity.iter().all(|code| self.sensitivity.contains(code))
    }
}

#[derive(Clone, Debug)]
pub struct Reach {
    pub(super) windows: Vec<Window>,
    pub(super) clearance: Clearance,
    pub(super) profile: Arc<Profile>,
    pub(super) consents: Consents,
    pub(super) glass: Option<Glass>,
    /// Patients who are being erased.
    pub(super) erasing: Arc<HashSet<PatientId>>,
}

impl Reach {
    pub(super) fn new(windows: Vec<Window>, clearance: Clearance) -> Self {
        Self {
            windows,
            clearance,
            profile: Arc::default(),
            consents: Consents::default(),
            glass: None,
            erasing: Arc::default(),
        }
    }

    /// The windows that allow `act`.
    pub fn windows(&self, act: Act) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.allows(act))
    }

    /// Whether any window takes in every patient: only such a caller is told how much the tenant holds.
    pub fn is_tenant_wide(&self) -> bool {
        self.windows.iter().any(|window| window.patients == Patients::Everyone)
    }

    /// The patients within whose records `act` is allowed at all; `None` is everyone.
    pub fn patients(&self, act: Act) -> Option<BTreeSet<&PatientId>> {
        let mut reached = BTreeSet::new();
        for window in self.windows(act) {
            match &window.patients {
                Patients::Everyone => return None,
                Patients::Only(patients) => reached.extend(patients),
            }
        }
        Some(reached)
    }

    /// Whether windows over whole types and the clearance tell all there is to tell, so that rows of one type and of
    /// equal labels fare alike, now and at the next request. Else each row has to be asked about each time.
    pub fn is_plain(&self) -> bool {
        self.glass.is_none()
            && self.erasing.is_empty()
            && self.consents.are_none()
            && *self.profile == Profile::default()
            && self.windows.iter().all(Window::is_of_whole_types)
    }

    pub fn clearance(&self) -> &Clearance {
        &self.clearance
    }

    /// Whether nothing can be shown that has any sensitive subject, or a level beyond the clearance's: neither a consent
    /// nor a broken glass is there to lift a label.
    pub fn shows_no_sensitive(&self) -> bool {
        self.clearance.sensitivity.is_empty() && self.glass.is_none() && self.consents.are_none()
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether this row may be seen.
    pub fn covers(&self, act: Act, row: &Row<'_>) -> bool {
        !row.patient.is_some_and(|patient| self.erasing.contains(patient))
            && self.profile.covers(row)
            && self.windows.iter().any(|window| window.covers(act, row))
            && self.consents.allow(row)
            && self.is_cleared(row)
    }

    /// Whether the caller reaches this patient at all. Who doesn't need not look, and so can't tell by the clock.
    pub fn reaches(&self, patient: &PatientId) -> bool {
        self.windows.iter().any(|window| window.covers_patient(Some(patient)))
    }

    /// Whether rows of this type and patient may be seen at all, some of them.
    pub fn opens(&self, act: Act, patient: &PatientId, resource_type: &str) -> bool {
        self.profile.opens(resource_type)
            && self
                .windows
                .iter()
                .any(|window| window.covers_patient(Some(patient)) && window.opens(act, resource_type))
    }

    /// Cleared by the token, or label by label by the patient's consent or a broken glass.
    fn is_cleared(&self, row: &Row<'_>) -> bool {
        if self.clearance.covers(row.labels) {
            return true;
        }
        let glass = self.glass.as_ref().filter(|glass| glass.is_about(row.patient));
        let level = row.labels.confidentiality;
        let is_level_cleared = level <= self.clearance.confidentiality
            || glass.is_some_and(|glass| glass.lifts(level.as_str()))
            || self.consents.lift(row, level.as_str());
        is_level_cleared
            && row.labels.sensitivity.iter().all(|code| {
                self.clearance.sensitivity.contains(code)
                    || glass.is_some_and(|glass| glass.lifts(code))
                    || self.consents.lift(row, code)
            })
    }
}

/// A caller's right to read, proved by a verified token.
///
/// Fields are private and only the token's claims, once verified, build one, so holding an `Access` means
/// that a token was verified for this request.
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) tenant: TenantId,
    pub(super) caller: String,
    pub(super) client: Option<String>,
    /// The FHIR resource that stands for the caller: `https://.../Practitioner/7`.
    pub(super) fhir_user: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) reach: Reach,
    pub(super) launch_patient: Option<PatientId>,
    /// Whether some `user/` scope reads.
    pub(super) reads_as_user: bool,
    pub(super) operations: Operations,
    /// Shared by the copies of one request's access.
    pub(super) audited: Arc<AtomicBool>,
}

impl Access {
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The token's `sub`.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The patient whose chart the caller launched us from.
    pub fn launch_patient(&self) -> Option<&PatientId> {
        self.launch_patient.as_ref()
    }

    /// Whether what this caller gets must not say who anybody is.
    pub fn is_deidentified(&self) -> bool {
        self.reach.profile.deidentify
    }

    /// Whether a glass may be broken with it: a user's own scopes read, and nobody's launch or machine's.
    pub fn may_break_glass(&self) -> bool {
        self.reads_as_user
    }

    /// The break-glass grant in use.
    pub fn glass(&self) -> Option<&Glass> {
        self.reach.glass.as_ref()
    }

    /// A client states a purpose that it was given, and no patient's data is for selling.
    pub(super) fn check_purpose(&self) -> Result<(), Refusal> {
        const MARKETING: &str = "HMARKT";
        let stated = self.purpose.as_deref();
        let is_allowed = match &self.reach.profile.purposes {
            Some(purposes) => stated.is_some_and(|purpose| purposes.contains(purpose)),
            None => true,
        };
        if is_allowed && stated != Some(MARKETING) { Ok(()) } else { Err(Refusal::Purpose) }
    }

    /// Notes that what was done with it is on the audit trail.
    pub fn note_audited(&self) {
        self.audited.store(true, Ordering::Release);
    }

    /// Whether anything done with it is on the audit trail yet.
    pub fn is_audited(&self) -> bool {
        self.audited.load(Ordering::Acquire)
    }

    /// Proof that this caller may do `operation`.
    ///
    /// Errors: [`Denied`] names the scope that is missing.
    pub fn permit(&self, operation: Operation) -> Result<Permit, Denied> {
        self.operations.allow(&operation)?;
        let permit = Permit::new(self.tenant.clone(), self.caller.clone(), operation);
        Ok(permit.of_types(self.operations.types().clone()))
    }

    /// Of which FHIR types records may be sent, where any may.
    pub fn types_allowed(&self) -> &Types {
        self.operations.types()
    }

    /// Names of the writes and administrative acts allowed: `ingest`, `reindex`, `quarantine`, `sources`, ...
    pub fn operations_allowed(&self) -> Vec<&'static str> {
        self.operations.names()
    }
}
