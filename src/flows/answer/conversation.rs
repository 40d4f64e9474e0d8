//! What was asked before in a conversation: kept in memory only, for a while, for one caller and one patient.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::access::Access;
use crate::domain::{PatientId, Query, Timestamp};
use crate::stages::question::resolve;

/// Conversations kept at once; the longest silent one goes first.
const MOST: usize = 10_000;
/// Silence after which one is forgotten.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A conversation is a caller's own: another's id means another conversation.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    caller: String,
    id: String,
}

struct Conversation {
    patient: Option<PatientId>,
    /// The last question, as it was meant.
    question: String,
    touched: Instant,
}

#[derive(Default)]
pub(super) struct Conversations {
    kept: Mutex<HashMap<Key, Conversation>>,
}

impl Conversations {
    /// The question as it is meant in its conversation, which goes on with it. Another patient begins anew.
    pub fn resolve(&self, access: &Access, id: &str, query: &Query, now: Instant) -> Query {
        let key =
            Key { tenant: access.tenant().as_str().to_owned(), caller: access.caller().to_owned(), id: id.to_owned() };
        let patient = query.filters.patient.as_ref().or_else(|| access.launch_patient());
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.retain(|_, one| now.duration_since(one.touched) < LIFETIME);
        let before = kept.get(&key).filter(|one| one.patient.as_ref() == patient);
        let meant = before.and_then(|before| resolve(&before.question, &query.text, Timestamp::now()));
        let text = meant.filter(|text| text.len() <= Query::MAX_CHARACTERS).unwrap_or_else(|| query.text.clone());
        if !kept.contains_key(&key) && kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, one)| one.touched).map(|(key, _)| key.clone());
            oldest.map(|oldest| kept.remove(&oldest));
        }
        kept.insert(key, Conversation { patient: patient.cloned(), question: text.clone(), touched: now });
        Query { text, ..query.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Conversations, LIFETIME};
    use crate::access::{Access, DevelopmentKey, Policy, TokenGrant, Verifier};
    use crate::domain::{Filters, Mode, PatientId, Query, TenantId};

    async fn caller(name: &str, tenant: &str) -> Access {
        let key = DevelopmentKey::random();
        let token = key.mint(&TokenGrant::new(name, TenantId::new(tenant), "user/*.rs"));
        Verifier::development(key).verify(&token, &Policy::default()).await.unwrap()
    }

    fn about(patient: &str, text: &str) -> Query {
        let filters = Filters { patient: Some(PatientId::new(patient)), ..Filters::default() };
        Query::new(text, Mode::Hybrid, filters, 10).unwrap()
    }

    #[tokio::test]
    async fn context_is_of_one_caller_one_patient_one_id_and_a_while() {
        let conversations = Conversations::default();
        let (grey, other, south) = (caller("grey", "n").await, caller("other", "n").await, caller("grey", "s").await);
        let start = Instant::now();
        let ask = |access: &Access, id: &str, patient: &str, at: Instant| {
            conversations.resolve(access, id, &about(patient, "And in 2023?"), at).text
        };
        let begin = || conversations.resolve(&grey, "c", &about("p1", "What was the latest A1c?"), start);
        begin();
        assert_eq!(ask(&other, "c", "p1", start), "And in 2023?");
        assert_eq!(ask(&south, "c", "p1", start), "And in 2023?");
        assert_eq!(ask(&grey, "d", "p1", start), "And in 2023?");
        assert_eq!(ask(&grey, "c", "p1", start), "what was the latest a1c in 2023");
        begin();
        assert_eq!(ask(&grey, "c", "p2", start), "And in 2023?", "another patient");
        assert_eq!(ask(&grey, "c", "p1", start), "And in 2023?", "which clears what was before");
        begin();
        assert_eq!(ask(&grey, "c", "p1", start + LIFETIME + Duration::from_secs(1)), "And in 2023?", "forgotten");
    }
}
