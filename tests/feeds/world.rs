//! What a FHIR server holds: records of people who don't exist, every version of them, and their times.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub const TYPES: [&str; 2] = ["Patient", "Condition"];

const NAMES: [&str; 8] = ["Ruiz", "Okoro", "Lind", "Sato", "Meyer", "Novak", "Haddad", "Byrne"];
const PROBLEMS: [&str; 6] = ["Asthma", "Migraine", "Gout", "Anaemia", "Hypertension", "Eczema"];

/// One state of a record; without a body it was deleted.
#[derive(Clone, Debug)]
pub struct State {
    pub key: String,
    pub version: u64,
    pub at: Timestamp,
    pub body: Option<Value>,
}

/// Every state there ever was, oldest first.
#[derive(Default)]
pub struct World {
    pub states: Vec<State>,
    clock: Option<Timestamp>,
}

impl World {
    /// A time that no earlier change has, or, now and then, the same as the one before.
    fn tick(&mut self, is_same: bool) -> Timestamp {
        let millisecond = SignedDuration::from_millis(1);
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
        let next = match self.clock {
            Some(last) if is_same => last,
            Some(last) => now.max(last + millisecond),
            None => now,
        };
        self.clock = Some(next);
        next
    }

    /// Makes a change: a record made, changed, deleted or made again. Returns its new state.
    pub fn change(&mut self, rng: &mut fastrand::Rng, people: usize, may_share_a_time: bool) -> State {
        let resource_type = TYPES[rng.usize(..TYPES.len())];
        let id = format!("{}{}", &resource_type[..1].to_lowercase(), rng.usize(..people));
        let key = format!("{resource_type}/{id}");
        let is_there = self.latest().get(&key).is_some_and(|state| state.body.is_some());
        let is_deletion = is_there && rng.usize(..5) == 0;
        let is_same_time = may_share_a_time && rng.usize(..6) == 0;
        self.put(rng, &key, is_deletion, is_same_time)
    }

    /// The next state of this record.
    pub fn put(&mut self, rng: &mut fastrand::Rng, key: &str, is_deletion: bool, is_same_time: bool) -> State {
        let (resource_type, id) = key.split_once('/').unwrap();
        let version = self.states.iter().filter(|state| state.key == key).count() as u64 + 1;
        let at = self.tick(is_same_time);
        let body = (!is_deletion).then(|| resource(rng, resource_type, id, version, at));
        let state = State { key: key.to_owned(), version, at, body };
        self.states.push(state.clone());
        state
    }

    /// The last state of each record that ever was.
    pub fn latest(&self) -> BTreeMap<String, State> {
        self.states.iter().map(|state| (state.key.clone(), state.clone())).collect()
    }

    /// Records that are there, with their versions.
    pub fn live(&self) -> BTreeMap<String, String> {
        let live = self.latest().into_iter().filter(|(_, state)| state.body.is_some());
        live.map(|(key, state)| (key, state.version.to_string())).collect()
    }

    /// Records of a type that are there and changed since, oldest first.
    pub fn changed_since(&self, resource_type: &str, since: Option<Timestamp>) -> Vec<State> {
        let mut found: Vec<State> = self
            .latest()
            .into_values()
            .filter(|state| state.body.is_some() && is_of(state, resource_type) && Some(state.at) >= since)
            .collect();
        found.sort_by_key(|state| state.at);
        found
    }

    /// Every state of a type since, newest first.
    pub fn history(&self, resource_type: &str, since: Option<Timestamp>) -> Vec<State> {
        let of_type = |state: &&State| is_of(state, resource_type) && Some(state.at) >= since;
        let mut found: Vec<State> = self.states.iter().filter(of_type).cloned().collect();
        found.reverse();
        found
    }
}

fn is_of(state: &State, resource_type: &str) -> bool {
    state.key.split('/').next() == Some(resource_type)
}

fn resource(rng: &mut fastrand::Rng, resource_type: &str, id: &str, version: u64, at: Timestamp) -> Value {
    let meta = json!({"versionId": version.to_string(), "lastUpdated": at.to_string()});
    let (name, problem) = (NAMES[rng.usize(..NAMES.len())], PROBLEMS[rng.usize(..PROBLEMS.len())]);
    match resource_type {
        "Patient" => json!({
            "resourceType": "Patient", "id": id, "meta": meta, "birthDate": "1970-02-03",
            "name": [{"family": format!("{name}{version}"), "given": ["Ana"]}],
        }),
        _ => json!({
            "resourceType": "Condition", "id": id, "meta": meta, "code": {"text": format!("{problem} {version}")},
            "subject": {"reference": "Patient/p0"}, "onsetDateTime": "2019-05-01",
        }),
    }
}

pub fn entry(state: &State) -> Value {
    match &state.body {
        Some(body) => json!({"fullUrl": format!("http://ehr.example/fhir/{}", state.key), "resource": body,
                             "request": {"method": "PUT", "url": state.key}, "response": {"status": "200"}}),
        None => json!({"request": {"method": "DELETE", "url": state.key},
                       "response": {"status": "204", "lastModified": state.at.to_string()}}),
    }
}
