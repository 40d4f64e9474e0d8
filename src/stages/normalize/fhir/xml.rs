//! FHIR's XML form.
use super::super::xml::Element;
use crate::domain::{Finding, Normalized, QuarantineReason, RawRecord, Unreadable};

pub(in crate::stages) fn is_resource(root: Element<'_>) -> bool {
    super::names::treatment(root.name()).is_some()
}
pub(in crate::stages) fn normalize_tree(
    _root: Element<'_>,
    _record: &RawRecord,
    _namespace: &str,
    _findings: Vec<Finding>,
) -> Result<Normalized, Unreadable> {
    Err(Unreadable::new(QuarantineReason::NotCda, "fhir"))
}
