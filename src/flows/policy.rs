//! The policy of this moment: read again as soon as anything of it was changed, by whatever process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::ingest::IngestError;
use crate::access::{Policy, Profile};
use crate::adapters::store::{PolicyMark, RuleRecord, Store};
use crate::domain::{CareTeam, Consent, DocumentId, RawRecord, SourceId, TenantId, Timestamp};
use crate::stages::normalize::{care_team_members, consent_provision};
use crate::stages::split::{Piece, split};

/// What a record says of who may see its patient.
enum Rule {
    Consent(Consent),
    CareTeam(CareTeam),
}

type Rules = HashMap<(TenantId, DocumentId), Rule>;

struct Held {
    mark: Option<PolicyMark>,
    policy: Arc<Policy>,
}

/// Asked before every request; costs one small read while nothing has changed.
pub struct PolicyFlow {
    store: Store,
    base: Policy,
    /// The sources whose care teams are lists.
    team_sources: BTreeSet<SourceId>,
    held: ArcSwap<Held>,
    /// What the records that are held say; locked while the policy is read again.
    rules: Mutex<Rules>,
}

impl PolicyFlow {
    /// A policy by which nobody but these clients is bound; with `needs_roster`, a user without a list reaches nobody.
    pub fn new(store: Store, needs_roster: bool, profiles: BTreeMap<String, Arc<Profile>>) -> Self {
        let base = Policy::new(needs_roster, profiles);
        let held = ArcSwap::from_pointee(Held { mark: None, policy: Arc::new(base.clone()) });
        Self { store, base, team_sources: BTreeSet::new(), held, rules: Mutex::default() }
    }

    /// The same, with the care teams of these sources as lists.
    pub fn with_teams_of(mut self, sources: BTreeSet<SourceId>) -> Self {
        self.team_sources = sources;
        self
    }

    /// Errors: the policy can't be read, and so nobody may be let in.
    pub async fn current(&self) -> Result<Arc<Policy>, IngestError> {
        let mark = self.store.policy_mark()?;
        let held = self.held.load_full();
        if held.mark == Some(mark) {
            return Ok(Arc::clone(&held.policy));
        }
        let mut rules = self.rules.lock().await;
        let held = self.held.load_full();
        let known = held.mark.unwrap_or_default();
        if held.mark.is_some() && known.lists >= mark.lists && known.change >= mark.change {
            return Ok(Arc::clone(&held.policy));
        }
        let changed = self.take_in(&mut rules, known.change).await?;
        if held.mark.is_some() && !changed && known.lists == mark.lists {
            self.held.store(Arc::new(Held { mark: Some(mark), policy: Arc::clone(&held.policy) }));
            return Ok(Arc::clone(&held.policy));
        }
        let mut policy = self.base.clone();
        self.store.read_lists(&mut policy, Timestamp::now()).await?;
        put_rules(&mut policy, &rules);
        let policy = Arc::new(policy);
        self.held.store(Arc::new(Held { mark: Some(mark), policy: Arc::clone(&policy) }));
        Ok(policy)
    }

    /// Reads the consents and care teams that came, changed or went past `change`; whether there were any.
    async fn take_in(&self, rules: &mut Rules, change: i64) -> Result<bool, IngestError> {
        let changed = self.store.rules_changed_after(change).await?;
        for record in &changed {
            let said = self.read(record).await?;
            let key = (record.tenant.clone(), record.id.clone());
            match said {
                Some(said) => rules.insert(key, said),
                None => rules.remove(&key),
            };
        }
        Ok(!changed.is_empty())
    }

    async fn read(&self, record: &RuleRecord) -> Result<Option<Rule>, IngestError> {
        let is_team = record.resource_type == "CareTeam";
        let Some(patient) = record.patient.clone() else { return Ok(None) };
        if is_team && !self.team_sources.contains(&record.source) {
            return Ok(None);
        }
        let Some(bytes) = self.bytes(record).await? else { return Ok(None) };
        if is_team {
            return Ok(Some(Rule::CareTeam(CareTeam { patient, members: care_team_members(&bytes) })));
        }
        Ok(consent_provision(&bytes).map(|provision| Rule::Consent(Consent { patient, provision })))
    }

    /// The record as it came.
    async fn bytes(&self, record: &RuleRecord) -> Result<Option<Vec<u8>>, IngestError> {
        if let Some(bytes) = self.store.remaining_record(&record.receipt, record.ordinal).await? {
            return Ok(Some(bytes));
        }
        let Some(delivery) = self.store.delivery_of_rule(record).await? else { return Ok(None) };
        let source = self.store.source(&delivery.tenant, &delivery.source).await?;
        let ordinal = record.ordinal;
        let reading = tokio::task::spawn_blocking(move || {
            let mapping = source.and_then(|source| source.mapping);
            split(&delivery, mapping.as_ref()).into_iter().find_map(|piece| match piece {
                Piece::Record(RawRecord { ordinal: own, bytes, .. }) if own == ordinal => Some(bytes),
                _ => None,
            })
        });
        reading.await.map_err(|_| IngestError::Stopped)
    }
}

fn put_rules(policy: &mut Policy, rules: &Rules) {
    for tenant in rules.keys().map(|(tenant, _)| tenant.clone()).collect::<BTreeSet<_>>() {
        let own = || rules.iter().filter(|((of, _), _)| *of == tenant).map(|(_, rule)| rule);
        let consents = own().filter_map(|rule| match rule {
            Rule::Consent(consent) => Some(consent.clone()),
            Rule::CareTeam(_) => None,
        });
        let teams = own().filter_map(|rule| match rule {
            Rule::CareTeam(team) => Some(team.clone()),
            Rule::Consent(_) => None,
        });
        policy.put_consents(tenant.clone(), consents);
        policy.put_care_teams(tenant.clone(), teams);
    }
}
