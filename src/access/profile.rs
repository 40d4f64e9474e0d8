//! The minimum necessary: what a client may show, whatever its tokens open.

use std::collections::BTreeSet;

use super::reach::Row;
use crate::domain::{Kind, Timestamp, resource_types};

/// Caps on one client. The default caps nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Profile {
    /// `None`: every kind.
    pub kinds: Option<BTreeSet<Kind>>,
    /// Of demographics, by the fact's code (`name`, `birthDate`, `gender`, ...); `None`: all. Where it is set, a
    /// patient's demographics are given as these lines and never as a whole document.
    pub fields: Option<BTreeSet<String>>,
    /// Nothing whose content was last true before this.
    pub not_before: Option<Timestamp>,
    /// Purposes of use that the client may state; `None`: any.
    pub purposes: Option<BTreeSet<String>>,
    /// Everything it gets is de-identified.
    pub deidentify: bool,
}

impl Profile {
    pub(super) fn covers(&self, row: &Row<'_>) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&row.kind))
            && self.not_before.is_none_or(|bound| row.kind == Kind::Patient || row.as_of >= bound)
    }

    /// Whether records of this type may come out as a kind that is allowed.
    pub(super) fn opens(&self, resource_type: &str) -> bool {
        let Some(kinds) = &self.kinds else { return true };
        resource_types::opens(resource_type).0.iter().any(|kind| kinds.contains(kind))
    }

    /// Whether a demographic detail of this code may be shown.
    pub fn shows(&self, field: Option<&str>) -> bool {
        self.fields.as_ref().is_none_or(|fields| field.is_some_and(|field| fields.contains(field)))
    }

    /// Whether a document may be given whole.
    pub fn gives_whole(&self, kind: Kind) -> bool {
        kind != Kind::Patient || self.fields.is_none()
    }
}
