//! MRG: two records of one person become one. `PID` is kept, `MRG` goes.

use crate::domain::{Changes, Finding, PatientId, PatientMerge, Severity};

use super::subject::{Subject, identifiers, patient_id, preferred};

/// Triggers that say that two patient ids are one person.
const MERGES: [&str; 8] = ["A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47"];

/// Triggers that tie records together, or apart, without saying which one is kept.
const LINKS: [&str; 3] = ["A24", "A37", "A43"];

pub(super) fn read(subject: &Subject<'_>, namespace: &str, changes: &mut Changes, findings: &mut Vec<Finding>) {
    if !subject.header.is("ADT") {
        return;
    }
    let trigger = subject.header.trigger.as_str();
    if LINKS.contains(&trigger) {
        note(findings, "link_not_applied", format!("PID (segment {})", subject.identity.position));
        return;
    }
    if !MERGES.contains(&trigger) {
        return;
    }
    let survivor = patient_id(subject.identity);
    let mut merged_any = false;
    for merge in subject.every("MRG") {
        let current = preferred(identifiers(merge.field(1)), survivor.as_ref());
        let Some(former) = current.or_else(|| preferred(identifiers(merge.field(4)), None)) else { continue };
        merged_any = true;
        let merged = PatientId::in_namespace(namespace, &former.id);
        if merged != subject.patient {
            let survivor = subject.patient.clone();
            changes.merges.push(PatientMerge { merged, survivor, at: subject.header.at });
        }
    }
    if !merged_any {
        note(findings, "required_field", format!("MRG-1 (of PID, segment {})", subject.identity.position));
    }
}

fn note(findings: &mut Vec<Finding>, rule: &str, path: String) {
    findings.push(Finding { rule: rule.to_owned(), severity: Severity::Warning, path });
}
