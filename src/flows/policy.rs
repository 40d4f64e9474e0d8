//! The policy of this moment: read again as soon as anything of it was changed, by whatever process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::ingest::IngestError;
use crate::access::{Policy, Profile};
use crate::adapters::store::{ConsentRecord, PolicyMark, Store};
use crate::domain::{Consent, DocumentId, TenantId, Timestamp};
use crate::stages::normalize::consent_provision;
use crate::stages::split::{Piece, split};

type Consents = HashMap<(TenantId, DocumentId), Vec<Consent>>;

struct Held {
    mark: Option<PolicyMark>,
    policy: Arc<Policy>,
}

/// Asked before every request; costs one small read while nothing has changed.
pub struct PolicyFlow {
    store: Store,
    base: Policy,
    held: ArcSwap<Held>,
    /// What the consents that are held say; locked while the policy is read again.
    consents: Mutex<Consents>,
}

impl PolicyFlow {
    pub fn new(store: Store, needs_roster: bool, profiles: BTreeMap<String, Arc<Profile>>) -> Self {
        let base = Policy::new(needs_roster, profiles);
        let held = Held { mark: None, policy: Arc::new(base.clone()) };
        Self { store, base, held: ArcSwap::from_pointee(held), consents: Mutex::default() }
    }

    /// Errors: the policy can't be read, and so nobody may be let in.
    pub async fn current(&self) -> Result<Arc<Policy>, IngestError> {
        let mark = self.store.policy_mark().await?;
        let held = self.held.load_full();
        if held.mark == Some(mark) {
            return Ok(Arc::clone(&held.policy));
        }
        let mut consents = self.consents.lock().await;
        let held = self.held.load_full();
        let known = held.mark.unwrap_or_default();
        if held.mark.is_some() && known.lists >= mark.lists && known.change >= mark.change {
            return Ok(Arc::clone(&held.policy));
        }
        let changed = self.take_in_consents(&mut consents, known.change).await?;
        if held.mark.is_some() && !changed && known.lists == mark.lists {
            self.held.store(Arc::new(Held { mark: Some(mark), policy: Arc::clone(&held.policy) }));
            return Ok(Arc::clone(&held.policy));
        }
        let mut policy = self.base.clone();
        self.store.read_lists(&mut policy, Timestamp::now()).await?;
        for tenant in consents.keys().map(|(tenant, _)| tenant.clone()).collect::<BTreeSet<_>>() {
            let own = consents.iter().filter(|((of, _), _)| *of == tenant).flat_map(|(_, said)| said.iter().cloned());
            policy.put_consents(tenant.clone(), own);
        }
        let policy = Arc::new(policy);
        self.held.store(Arc::new(Held { mark: Some(mark), policy: Arc::clone(&policy) }));
        Ok(policy)
    }

    /// Reads the consents that came, changed or went past `change`; whether there were any.
    async fn take_in_consents(&self, consents: &mut Consents, change: i64) -> Result<bool, IngestError> {
        let changed = self.store.consents_changed_after(change).await?;
        for record in &changed {
            let said = self.read_consent(record).await?;
            let key = (record.tenant.clone(), record.id.clone());
            match said {
                Some(said) => consents.insert(key, vec![said]),
                None => consents.remove(&key),
            };
        }
        Ok(!changed.is_empty())
    }

    async fn read_consent(&self, record: &ConsentRecord) -> Result<Option<Consent>, IngestError> {
        let Some(patient) = record.patient.clone() else { return Ok(None) };
        if let Some(bytes) = self.store.remaining_record(&record.receipt, record.ordinal).await? {
            return Ok(consent_provision(&bytes).map(|provision| Consent { patient, provision }));
        }
        let Some(delivery) = self.store.delivery_of_consent(record).await? else { return Ok(None) };
        let source = self.store.source(&delivery.tenant, &delivery.source).await?;
        let ordinal = record.ordinal;
        let reading = tokio::task::spawn_blocking(move || {
            let mapping = source.and_then(|source| source.mapping);
            split(&delivery, mapping.as_ref()).into_iter().find_map(|piece| match piece {
                Piece::Record(record) if record.ordinal == ordinal => Some(consent_provision(&record.bytes)),
                _ => None,
            })
        });
        let provision = reading.await.map_err(|_| IngestError::Stopped)?;
        Ok(provision.flatten().map(|provision| Consent { patient, provision }))
    }
}
