//! XML of either kind: a CDA document or a FHIR resource, told by its root and not by what the sender called it.

use crate::domain::{Format, Normalized, QuarantineReason, RawRecord, Unreadable};

use super::xml::{self, Tree};
use super::{cda, fhir};

pub(super) fn normalize(record: &RawRecord, format: Format, namespace: &str) -> Result<Normalized, Unreadable> {
    if record.bytes.is_empty() && format == Format::FhirXml {
        return fhir::normalize(record, namespace);
    }
    let decoded = xml::decode(&record.bytes)?;
    let tree = Tree::parse(&decoded.text)?;
    let root = tree.root();
    let mut normalized = if fhir::xml::is_resource(root) {
        fhir::xml::normalize(root, record, namespace)?
    } else if format == Format::Cda || root.name() == "ClinicalDocument" {
        cda::normalize(root, &decoded.text, record, namespace)?
    } else {
        return Err(Unreadable::new(QuarantineReason::NotFhir, "the root is no resource"));
    };
    if decoded.guessed {
        normalized.findings.push(xml::guessed());
    }
    Ok(normalized)
}
