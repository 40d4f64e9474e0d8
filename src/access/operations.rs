//! What a token's scopes allow beyond reading: sending records, and administrative acts by their own scopes.

use std::collections::BTreeSet;

use super::{Denied, Operation, Types};
use crate::domain::SourceId;

const INGEST_SCOPE: &str = "system/*.c";

/// Each administrative act has a scope of its own; no `*` implies one.
pub(super) const ADMIN_SCOPES: [&str; 7] = [
    "anamnesis/admin.reindex",
    "anamnesis/admin.quarantine",
    "anamnesis/admin.sources",
    "anamnesis/admin.quality",
    "anamnesis/admin.access",
    "anamnesis/admin.audit",
    "anamnesis/admin.erase",
];

/// Writes and administrative acts that a token's scopes allow.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Of records that may be sent.
    types: Types,
    /// `None`: the token names no sources, so every source of the tenant.
    sources: Option<BTreeSet<SourceId>>,
    admin: BTreeSet<&'static str>,
}

impl Operation {
    /// The scope that allows this.
    pub fn scope(&self) -> &'static str {
        match self {
            Self::Ingest(_) => INGEST_SCOPE,
            Self::Reindex => "anamnesis/admin.reindex",
            Self::Quarantine => "anamnesis/admin.quarantine",
            Self::Sources => "anamnesis/admin.sources",
            Self::Quality => "anamnesis/admin.quality",
            Self::Access => "anamnesis/admin.access",
            Self::Audit => "anamnesis/admin.audit",
            Self::Erase => "anamnesis/admin.erase",
        }
    }
}

impl Operations {
    pub(super) fn new(types: Types, sources: Option<BTreeSet<SourceId>>, admin: BTreeSet<&'static str>) -> Self {
        Self { types, sources, admin }
    }

    pub(super) fn types(&self) -> &Types {
        &self.types
    }

    /// Whoever may send some type may send to a source; what comes is held to the types by the permit.
    pub(super) fn allow(&self, operation: &Operation) -> Result<(), Denied> {
        let allowed = match operation {
            Operation::Ingest(source) => !self.types.is_none() && self.allows_source(source),
            Operation::Reindex
            | Operation::Quarantine
            | Operation::Sources
            | Operation::Quality
            | Operation::Access
            | Operation::Audit
            | Operation::Erase => self.admin.contains(operation.scope()),
        };
        if allowed { Ok(()) } else { Err(Denied { scope: operation.scope().to_owned() }) }
    }

    fn allows_source(&self, source: &SourceId) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(source))
    }

    /// Their names, for a page that tells a caller what it may do: `ingest` when some record may be
    /// sent somewhere, then the administrative acts in the order of [`ADMIN_SCOPES`].
    pub(super) fn names(&self) -> Vec<&'static str> {
        let may_ingest = !self.types.is_none() && self.sources.as_ref().is_none_or(|sources| !sources.is_empty());
        let admin = ADMIN_SCOPES
            .into_iter()
            .filter(|scope| self.admin.contains(scope))
            .filter_map(|scope| scope.strip_prefix("anamnesis/admin."));
        may_ingest.then_some("ingest").into_iter().chain(admin).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::scope::Scopes;
    use super::{ADMIN_SCOPES, Operation, Operations, Types};
    use crate::domain::SourceId;

    fn source(name: &str) -> SourceId {
        SourceId::parse(name).unwrap()
    }

    fn operations(scopes: &str) -> Operations {
        Scopes::parse(scopes).operations(None)
    }

    fn may_ingest(operations: &Operations, name: &str) -> bool {
        operations.allow(&Operation::Ingest(source(name))).is_ok()
    }

    const ADMIN: [Operation; 7] = [
        Operation::Reindex,
        Operation::Quarantine,
        Operation::Sources,
        Operation::Quality,
        Operation::Access,
        Operation::Audit,
        Operation::Erase,
    ];

    #[test]
    fn only_system_scopes_with_create_send_records() {
        for (scopes, expected) in [
            ("system/*.c", true),
            ("system/*.cud", true),
            ("system/*.cruds", true),
            ("system/*.write", true),
            ("system/*.*", true),
            ("system/*.ud", false),
            ("system/*.duc", false),
            ("system/*.rs", false),
            ("system/*.read", false),
            ("system/*.c?_tag=x", false),
            ("system/Observation.cud", true),
            ("system/Observation.ud", false),
            ("system/Observation.c?category=laboratory", false),
            ("user/*.cruds", false),
            ("patient/*.c", false),
            ("anamnesis/admin.sources", false),
            ("", false),
        ] {
            assert_eq!(may_ingest(&operations(scopes), "feed"), expected, "{scopes}");
        }
    }

    #[test]
    fn a_token_that_names_sources_sends_to_those_only() {
        let operations = Scopes::parse("system/*.c").operations(Some(BTreeSet::from([source("lab")])));
        assert!(may_ingest(&operations, "lab"));
        assert!(!may_ingest(&operations, "pharmacy"));
        assert_eq!(operations.names(), ["ingest"]);

        let nowhere = Scopes::parse("system/*.c").operations(Some(BTreeSet::new()));
        assert!(!may_ingest(&nowhere, "lab"));
        assert!(nowhere.names().is_empty());
    }

    #[test]
    fn what_a_token_is_told_it_may_do_is_what_it_may() {
        assert_eq!(operations("system/Observation.c system/Condition.cu").names(), ["ingest"]);
        assert!(operations("system/Observation.rs system/Condition.ud").names().is_empty());
        assert_eq!(operations("system/*.c anamnesis/admin.reindex").names(), ["ingest", "reindex"]);
    }

    #[test]
    fn records_may_be_of_the_types_whose_scopes_create() {
        let only = |types: &[&str]| Types::Only(types.iter().map(|name| (*name).to_owned()).collect());
        for (scopes, expected) in [
            ("system/Observation.c system/Condition.cu system/Patient.rs", only(&["Condition", "Observation"])),
            ("system/Observation.write", only(&["Observation"])),
            ("system/Observation.c user/Condition.c patient/Patient.c", only(&["Observation"])),
            ("system/Observation.c?category=laboratory system/Condition.c", only(&["Condition"])),
            ("system/Observation.c system/*.c", Types::Every),
            ("system/*.c?_tag=x", only(&[])),
            ("system/*.rs", only(&[])),
        ] {
            assert_eq!(operations(scopes).types(), &expected, "{scopes}");
        }
    }

    #[test]
    fn an_administrative_act_needs_its_own_scope_and_no_star_gives_it() {
        let everything_else = operations("system/*.* user/*.* patient/*.* anamnesis/admin.* anamnesis/* admin *");
        for (operation, scope) in ADMIN.iter().zip(ADMIN_SCOPES) {
            assert_eq!(operation.scope(), scope);
            assert_eq!(everything_else.allow(operation).unwrap_err().scope, scope);
            let only_this = operations(scope);
            for other in &ADMIN {
                assert_eq!(only_this.allow(other).is_ok(), other == operation);
            }
        }
        assert_eq!(
            operations(&ADMIN_SCOPES.join(" ")).names(),
            ["reindex", "quarantine", "sources", "quality", "access", "audit", "erase"]
        );
    }
}
