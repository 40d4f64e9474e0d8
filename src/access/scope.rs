//! SMART v2 scopes (v1 forms accepted): the `scope` claim as windows for reading and leave for writing.
//!
//! What is not understood grants nothing. A granular scope (`?category=..`) is dropped whole: its
//! constraint can't be held to yet, and the scope without it would be wider than what was given.

use std::collections::BTreeSet;

use super::operations::{ADMIN_SCOPES, Operations};
use super::{Patients, Types, Window};
use crate::domain::{PatientId, SourceId};

/// Whose data a scope is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Patient,
    User,
    System,
}

/// The letters of `cruds` that this server acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Permissions {
    create: bool,
    read: bool,
    search: bool,
}

/// `context/type.permissions`
#[derive(Clone, Debug, PartialEq, Eq)]
struct SmartScope {
    context: Context,
    /// `None` is `*`.
    resource_type: Option<String>,
    permissions: Permissions,
}

/// A `scope` claim, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    smart: Vec<SmartScope>,
    admin: BTreeSet<&'static str>,
}

impl Permissions {
    fn parse(text: &str) -> Option<Self> {
        match text {
            // The v1 words first: read as letters, `read` would hand out more than reading.
            "read" => Some(Self { create: false, read: true, search: true }),
            "write" => Some(Self { create: true, read: false, search: false }),
            "*" => Some(Self { create: true, read: true, search: true }),
            letters => Self::parse_letters(letters),
        }
    }

    /// A non-empty subset of `cruds`, each letter at most once and in that order.
    fn parse_letters(letters: &str) -> Option<Self> {
        let mut rest = "cruds".chars();
        let in_order = !letters.is_empty() && letters.chars().all(|letter| rest.any(|next| next == letter));
        in_order.then(|| Self {
            create: letters.contains('c'),
            read: letters.contains('r'),
            search: letters.contains('s'),
        })
    }
}

impl SmartScope {
    fn parse(word: &str) -> Option<Self> {
        let (context, rest) = word.split_once('/')?;
        let (resource_type, permissions) = rest.split_once('.')?;
        Some(Self {
            context: match context {
                "patient" => Context::Patient,
                "user" => Context::User,
                "system" => Context::System,
                _ => return None,
            },
            resource_type: parse_type(resource_type)?,
            // A granular scope's `?` is no permission letter, so it falls out here.
            permissions: Permissions::parse(permissions)?,
        })
    }
}

/// `Some(None)` is `*`; a name that can't be a FHIR type is `None`.
fn parse_type(text: &str) -> Option<Option<String>> {
    if text == "*" {
        return Some(None);
    }
    let is_name = text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|letter| letter.is_ascii_alphabetic());
    is_name.then(|| Some(text.to_owned()))
}

impl Scopes {
    pub(super) fn parse(claim: &str) -> Self {
        let mut scopes = Self::default();
        for word in claim.split(' ') {
            if let Some(admin) = ADMIN_SCOPES.into_iter().find(|scope| *scope == word) {
                scopes.admin.insert(admin);
            } else if let Some(smart) = SmartScope::parse(word) {
                scopes.smart.push(smart);
            }
        }
        scopes
    }

    /// What may be read. `patient/` scopes reach `launch_patient` and nothing without one; `user/`
    /// scopes reach the roster, or the tenant where there is none; `system/` scopes the tenant.
    pub(super) fn windows(
        &self,
        launch_patient: Option<&PatientId>,
        roster: Option<&BTreeSet<PatientId>>,
    ) -> Vec<Window> {
        let mut rights: Vec<Rights> = Vec::new();
        for scope in &self.smart {
            let patients = match (scope.context, launch_patient, roster) {
                (Context::Patient, Some(patient), _) => Patients::Only(BTreeSet::from([patient.clone()])),
                (Context::Patient, None, _) => continue,
                (Context::User, _, Some(roster)) => Patients::Only(roster.clone()),
                (Context::User, _, None) | (Context::System, _, _) => Patients::Everyone,
            };
            match rights.iter_mut().find(|rights| rights.patients == patients) {
                Some(rights) => rights.add(scope),
                None => {
                    let mut fresh = Rights { patients, read: Types::none(), search: Types::none() };
                    fresh.add(scope);
                    rights.push(fresh);
                }
            }
        }
        rights.into_iter().flat_map(Rights::into_windows).collect()
    }

    /// What may be written or administered. `sources` is the token's own bound on where to.
    pub(super) fn operations(&self, sources: Option<BTreeSet<SourceId>>) -> Operations {
        let mut ingest = Types::none();
        let creating = self.smart.iter().filter(|scope| scope.context == Context::System && scope.permissions.create);
        for scope in creating {
            ingest.add(scope.resource_type.as_deref());
        }
        Operations::new(ingest, sources, self.admin.clone())
    }
}

/// What all scopes over the same patients allow together: `Observation.r` and `Observation.s` make
/// `Observation.rs`, though neither alone lets anyone search.
struct Rights {
    patients: Patients,
    read: Types,
    search: Types,
}

impl Rights {
    fn add(&mut self, scope: &SmartScope) {
        let resource_type = scope.resource_type.as_deref();
        if scope.permissions.read {
            self.read.add(resource_type);
        }
        if scope.permissions.search {
            self.search.add(resource_type);
        }
    }

    fn into_windows(self) -> Vec<Window> {
        let both = self.read.intersection(&self.search);
        let mut windows = Vec::new();
        if self.read != both {
            windows.push(Window { patients: self.patients.clone(), types: self.read, read: true, search: false });
        }
        if !both.is_none() {
            windows.push(Window { patients: self.patients, types: both, read: true, search: true });
        }
        windows
    }
}

impl Types {
    pub(super) fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn is_none(&self) -> bool {
        *self == Self::none()
    }

    /// `None` is `*`.
    fn add(&mut self, resource_type: Option<&str>) {
        match (&mut *self, resource_type) {
            (Self::All, _) => {}
            (Self::Only(_), None) => *self = Self::All,
            (Self::Only(types), Some(resource_type)) => {
                types.insert(resource_type.to_owned());
            }
        }
    }

    fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, types) | (types, Self::All) => types.clone(),
            (Self::Only(left), Self::Only(right)) => Self::Only(left.intersection(right).cloned().collect()),
        }
    }
}

#[cfg(test)]
mod tests;
