//! What bounds callers beside their tokens, as it is at this moment: lists, care teams, consents, broken glasses,
//! revocations, and what each client may show.
//!
//! It is read anew for every request; nothing of it is kept in an [`Access`] longer than that request lasts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::care_teams::CareTeams;
use super::consent::{Asking, Consents};
use super::glass::Glass;
use super::profile::Profile;
use super::reach::Access;
use super::window::Patients;
use crate::domain::{CareTeam, Consent, PatientId, Provision, TenantId, Timestamp};

type ByPatient = Arc<HashMap<PatientId, Vec<Provision>>>;

/// The default binds nobody: it is what a tenant without rosters, consents and profiles has.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether `user/` scopes reach those on the caller's list only, so that a caller without one reaches nobody.
    needs_roster: bool,
    profiles: Arc<BTreeMap<String, Arc<Profile>>>,
    rosters: HashMap<(TenantId, String), BTreeSet<PatientId>>,
    care_teams: HashMap<TenantId, CareTeams>,
    consents: HashMap<TenantId, ByPatient>,
    glasses: HashMap<String, Glass>,
    revoked: HashMap<(TenantId, Revoked), Timestamp>,
    erasing: HashMap<TenantId, Arc<HashSet<PatientId>>>,
}

/// What was taken back: one token, or all that a caller was given until then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// By its `jti`.
    Token(String),
    /// By the `sub`.
    Caller(String),
}

/// Why a break-glass grant can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such grant is open for this caller")]
pub struct NoGrant;

impl Policy {
    pub fn new(needs_roster: bool, profiles: BTreeMap<String, Arc<Profile>>) -> Self {
        Self { needs_roster, profiles: Arc::new(profiles), ..Self::default() }
    }

    pub fn put_roster(&mut self, tenant: TenantId, caller: String, patients: BTreeSet<PatientId>) {
        self.rosters.insert((tenant, caller), patients);
    }

    pub fn put_care_teams(&mut self, tenant: TenantId, teams: impl IntoIterator<Item = CareTeam>) {
        self.care_teams.insert(tenant, CareTeams::new(teams));
    }

    pub fn put_consents(&mut self, tenant: TenantId, consents: impl IntoIterator<Item = Consent>) {
        let mut by_patient: HashMap<PatientId, Vec<Provision>> = HashMap::new();
        for consent in consents {
            by_patient.entry(consent.patient).or_default().push(consent.provision);
        }
        self.consents.insert(tenant, Arc::new(by_patient));
    }

    /// Patients who are being erased: nobody sees them, whatever else they may.
    pub fn put_erasing(&mut self, tenant: TenantId, patients: impl IntoIterator<Item = PatientId>) {
        let held = self.erasing.entry(tenant).or_default();
        Arc::make_mut(held).extend(patients);
    }

    pub fn put_glass(&mut self, glass: Glass) {
        self.glasses.insert(glass.id.clone(), glass);
    }

    /// Tokens issued at `at` or before are good no longer.
    pub fn revoke(&mut self, tenant: TenantId, what: Revoked, at: Timestamp) {
        self.revoked.insert((tenant, what), at);
    }

    /// Whom a caller's `user/` scopes reach; `None` is everyone. A claim and a loaded list both bind; whoever is in
    /// care teams has their patients on the loaded list, too.
    pub(super) fn roster(
        &self,
        tenant: &TenantId,
        caller: &str,
        fhir_user: Option<&str>,
        claimed: Option<BTreeSet<PatientId>>,
        now: Timestamp,
    ) -> Option<BTreeSet<PatientId>> {
        let loaded = self.rosters.get(&(tenant.clone(), caller.to_owned())).cloned();
        let teams = self.care_teams.get(tenant).zip(fhir_user);
        let by_team = teams.and_then(|(teams, fhir_user)| teams.patients_of(fhir_user, now));
        let loaded = match (loaded, by_team) {
            (Some(loaded), Some(by_team)) => Some(loaded.union(&by_team).cloned().collect()),
            (loaded, by_team) => loaded.or(by_team).or_else(|| self.needs_roster.then(BTreeSet::new)),
        };
        match (claimed, loaded) {
            (Some(claimed), Some(loaded)) => Some(claimed.intersection(&loaded).cloned().collect()),
            (claimed, loaded) => claimed.or(loaded),
        }
    }

    pub(super) fn is_revoked(
        &self,
        tenant: &TenantId,
        caller: &str,
        token: Option<&str>,
        issued_at: Option<Timestamp>,
    ) -> bool {
        if self.revoked.is_empty() {
            return false;
        }
        let by_caller = self.revoked.get(&(tenant.clone(), Revoked::Caller(caller.to_owned())));
        let by_token = token.and_then(|id| self.revoked.get(&(tenant.clone(), Revoked::Token(id.to_owned()))));
        // A token that doesn't say when it was issued may be an old one.
        by_token.is_some() || by_caller.is_some_and(|at| issued_at.is_none_or(|issued| issued <= *at))
    }

    /// The access, bound by the client's profile and by what patients consent to.
    pub(super) fn bind(&self, mut access: Access, now: Timestamp) -> Access {
        if let Some(profile) = access.client.as_ref().and_then(|client| self.profiles.get(client)) {
            access.reach.profile = Arc::clone(profile);
        }
        if let Some(erasing) = self.erasing.get(&access.tenant) {
            access.reach.erasing = Arc::clone(erasing);
        }
        if let Some(by_patient) = self.consents.get(&access.tenant) {
            let identities = [Some(&access.caller), access.client.as_ref(), access.fhir_user.as_ref()];
            let asking = Asking {
                identities: identities.into_iter().flatten().cloned().collect(),
                purpose: access.purpose.clone(),
                now: Some(now),
            };
            access.reach.consents = Consents::new(Arc::clone(by_patient), asking);
        }
        access
    }

    /// The same access with a glass broken: its patient joins the caller's list, its labels are lifted for them.
    ///
    /// Errors: the grant is another's, over, or was never given.
    pub fn break_glass(&self, mut access: Access, id: &str, now: Timestamp) -> Result<Access, NoGrant> {
        let glass = self.glasses.get(id).filter(|glass| glass.is_for(&access.tenant, &access.caller, now));
        let glass = glass.ok_or(NoGrant)?.clone();
        for window in access.reach.windows.iter_mut().filter(|window| window.is_of_user) {
            if let Patients::Only(patients) = &mut window.patients {
                patients.insert(glass.patient.clone());
            }
        }
        access.purpose = Some(glass.purpose.clone());
        access.reach.glass = Some(glass);
        Ok(access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Membership;

    fn patients(ids: &[&str]) -> BTreeSet<PatientId> {
        ids.iter().map(|id| PatientId::new(*id)).collect()
    }

    #[test]
    fn a_claim_and_a_loaded_list_both_bind() {
        let (north, dr) = (TenantId::new("north"), "dr");
        let list = |policy: &Policy, tenant: &str, caller: &str, claimed: Option<&[&str]>| {
            policy.roster(&TenantId::new(tenant), caller, None, claimed.map(patients), Timestamp::from_micros(0))
        };
        let mut policy = Policy::default();
        assert_eq!(list(&policy, "north", dr, None), None);
        assert_eq!(list(&policy, "north", dr, Some(&["a"])), Some(patients(&["a"])));
        policy.put_roster(north, dr.to_owned(), patients(&["a", "b"]));
        assert_eq!(list(&policy, "north", dr, None), Some(patients(&["a", "b"])));
        assert_eq!(list(&policy, "north", dr, Some(&["b", "c"])), Some(patients(&["b"])));
        assert_eq!(list(&policy, "south", dr, None), None);
        policy.needs_roster = true;
        assert_eq!(list(&policy, "south", dr, None), Some(patients(&[])));
        assert_eq!(list(&policy, "north", "another", Some(&["a"])), Some(patients(&[])));
    }

    #[test]
    fn patients_of_care_teams_join_the_loaded_list_and_a_claim_still_binds() {
        let (north, now) = (TenantId::new("north"), Timestamp::from_micros(0));
        let membership = Membership { member: "Practitioner/7".to_owned(), from: None, to: None };
        let mut policy = Policy::default();
        policy.put_care_teams(north.clone(), [CareTeam { patient: PatientId::new("t"), members: vec![membership] }]);
        let who = Some("https://ehr.example/Practitioner/7");
        let list = |policy: &Policy, who, claimed: Option<&[&str]>| {
            policy.roster(&TenantId::new("north"), "dr", who, claimed.map(patients), now)
        };
        assert_eq!(list(&policy, who, None), Some(patients(&["t"])));
        assert_eq!(list(&policy, who, Some(&["a"])), Some(patients(&[])));
        assert_eq!(list(&policy, None, None), None);
        assert_eq!(policy.roster(&TenantId::new("south"), "dr", who, None, now), None);
        policy.put_roster(north, "dr".to_owned(), patients(&["a"]));
        assert_eq!(list(&policy, who, None), Some(patients(&["a", "t"])));
        policy.needs_roster = true;
        assert_eq!(list(&policy, Some("Practitioner/8"), None), Some(patients(&["a"])));
    }

    #[test]
    fn a_revoked_caller_is_let_in_again_with_a_later_token() {
        let (north, at) = (TenantId::new("north"), Timestamp::from_micros);
        let mut policy = Policy::default();
        policy.revoke(north.clone(), Revoked::Caller("dr".to_owned()), at(50));
        policy.revoke(north.clone(), Revoked::Token("t1".to_owned()), at(50));
        for (caller, token, issued_at, revoked) in [
            ("dr", None, Some(at(50)), true),
            ("dr", None, None, true),
            ("dr", Some("t2"), Some(at(51)), false),
            ("nurse", Some("t1"), Some(at(99)), true),
            ("nurse", Some("t2"), Some(at(1)), false),
        ] {
            assert_eq!(policy.is_revoked(&north, caller, token, issued_at), revoked, "{caller} {token:?}");
        }
        assert!(!policy.is_revoked(&TenantId::new("south"), "dr", Some("t1"), Some(at(1))));
    }
}
