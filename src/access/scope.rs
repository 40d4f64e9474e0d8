//! SMART v2 scopes (v1 forms accepted): the `scope` claim as windows for reading and leave for writing.
//!
//! What is not understood grants nothing. A granular scope (`?category=..`) whose constraint can't be held to is
//! dropped whole: without it, it would be wider than what was given.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::operations::{ADMIN_SCOPES, Operations};
use super::permit::Types;
use super::window::{Patients, Rule, Window};
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

/// `context/type.permissions?conditions`
#[derive(Clone, Debug, PartialEq, Eq)]
struct SmartScope {
    context: Context,
    rule: Rule,
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
        let (head, query) = rest.split_once('?').map_or((rest, None), |(head, query)| (head, Some(query)));
        let (resource_type, permissions) = head.split_once('.')?;
        let resource_type = parse_type(resource_type)?;
        let conditions = match query {
            None => Vec::new(),
            // The v1 words came before granular scopes and have none.
            Some(_) if Permissions::parse_letters(permissions).is_none() => return None,
            Some(query) => Condition::parse_all(query, resource_type.as_deref())?,
        };
        Some(Self {
            context: match context {
                "patient" => Context::Patient,
                "user" => Context::User,
                "system" => Context::System,
                _ => return None,
            },
            rule: Rule { resource_type, conditions },
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
        let mut windows: Vec<Window> = Vec::new();
        for scope in &self.smart {
            let patients = match (scope.context, launch_patient, roster) {
                (Context::Patient, Some(patient), _) => Patients::Only(BTreeSet::from([patient.clone()])),
                (Context::Patient, None, _) => continue,
                (Context::User, _, Some(roster)) => Patients::Only(roster.clone()),
                (Context::User, _, None) | (Context::System, _, _) => Patients::Everyone,
            };
            // Everyone is everyone; a list may grow by break-glass only where it is a user's.
            let is_of_user = scope.context == Context::User && patients != Patients::Everyone;
            let known = windows.iter().position(|w| w.patients == patients && w.is_of_user == is_of_user);
            let position = known.unwrap_or_else(|| {
                windows.push(Window::new(patients, is_of_user));
                windows.len() - 1
            });
            if let Some(window) = windows.get_mut(position) {
                scope.add_to(window);
            }
        }
        windows
    }

    pub(super) fn read_as_user(&self) -> bool {
        self.smart.iter().any(|scope| scope.context == Context::User && scope.permissions.read)
    }

    /// What may be written or administered. `sources` is the token's own bound on where to.
    pub(super) fn operations(&self, sources: Option<BTreeSet<SourceId>>) -> Operations {
        Operations::new(self.types_created(), sources, self.admin.clone())
    }

    /// A condition is what the sender says of a record, so a scope that has one lets nothing in.
    fn types_created(&self) -> Types {
        let creates = |scope: &&SmartScope| {
            scope.context == Context::System && scope.permissions.create && scope.rule.conditions.is_empty()
        };
        let types = self.smart.iter().filter(creates).map(|scope| scope.rule.resource_type.clone());
        types.collect::<Option<BTreeSet<String>>>().map_or(Types::Every, Types::Only)
    }
}

impl SmartScope {
    fn add_to(&self, window: &mut Window) {
        if self.permissions.read {
            window.read.add(&self.rule);
        }
        if self.permissions.search {
            window.search.add(&self.rule);
        }
    }
}

#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
