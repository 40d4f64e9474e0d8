//! What a scope over a FHIR type opens here: the kinds of document and of fact, and by which search parameters a
//! granular scope may narrow it.
//!
//! This table is the only place that says so. docs/security.md prints it, and a test holds the two alike.

use super::{FactKind, Kind};

/// A FHIR type, and what records of it become.
#[derive(Clone, Copy, Debug)]
pub struct ResourceType {
    pub name: &'static str,
    pub kinds: &'static [Kind],
    pub facts: &'static [FactKind],
    /// Search parameter and the element it looks at; see [`COMMON`] for those of every type.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// Search parameters that every type has.
pub const COMMON: [(&str, &str); 2] = [("_security", "meta.security"), ("_tag", "meta.tag")];

const CATEGORY: (&str, &str) = ("category", "category");
const CODE: (&str, &str) = ("code", "code");
const STATUS: (&str, &str) = ("status", "status");
const TYPE: (&str, &str) = ("type", "type");
const INTENT: (&str, &str) = ("intent", "intent");
const CLINICAL: (&str, &str) = ("clinical-status", "clinicalStatus");
const MEDICATION: (&str, &str) = ("code", "medicationCodeableConcept");

const fn of(
    name: &'static str,
    kinds: &'static [Kind],
    facts: &'static [FactKind],
    parameters: &'static [(&'static str, &'static str)],
) -> ResourceType {
    ResourceType { name, kinds, facts, parameters }
}

/// Types that aren't listed open documents of kind `other` and no facts, and narrow by [`COMMON`] alone.
pub const RESOURCE_TYPES: [ResourceType; 44] = [
    of("Account", &[Kind::Claim], &[FactKind::Claim], &[STATUS, TYPE]),
    of("AllergyIntolerance", &[Kind::Allergy], &[FactKind::Allergy], &[CATEGORY, CODE, CLINICAL]),
    of("Appointment", &[Kind::Appointment], &[FactKind::Appointment], &[STATUS, ("service-type", "serviceType")]),
    of("AppointmentResponse", &[Kind::Appointment], &[FactKind::Appointment], &[]),
    of("CarePlan", &[Kind::CarePlan], &[FactKind::CarePlan], &[CATEGORY, STATUS, INTENT]),
    of("CareTeam", &[Kind::CarePlan], &[FactKind::CarePlan], &[CATEGORY, STATUS]),
    of("ChargeItem", &[Kind::Claim], &[FactKind::Claim], &[CODE]),
    of("Claim", &[Kind::Claim], &[FactKind::Claim], &[STATUS, ("use", "use")]),
    of("ClaimResponse", &[Kind::Claim], &[FactKind::Claim], &[STATUS, ("use", "use")]),
    of("Communication", &[Kind::Contact], &[FactKind::Contact], &[CATEGORY, ("medium", "medium"), STATUS]),
    of("CommunicationRequest", &[Kind::Contact], &[FactKind::Contact], &[CATEGORY, ("medium", "medium"), STATUS]),
    of("Composition", &[Kind::Note], &[], &[CATEGORY, STATUS, TYPE]),
    of(
        "Condition",
        &[Kind::Problem],
        &[FactKind::Condition],
        &[CATEGORY, CODE, CLINICAL, ("verification-status", "verificationStatus")],
    ),
    of("Coverage", &[Kind::Coverage], &[FactKind::Coverage], &[STATUS, TYPE]),
    of("CoverageEligibilityRequest", &[Kind::Coverage], &[FactKind::Coverage], &[STATUS]),
    of("CoverageEligibilityResponse", &[Kind::Coverage], &[FactKind::Coverage], &[STATUS]),
    of("Device", &[Kind::Other], &[], &[STATUS, TYPE]),
    of("DiagnosticReport", &[Kind::Report], &[FactKind::Observation], &[CATEGORY, CODE, STATUS]),
    of(
        "DocumentReference",
        &[Kind::Note, Kind::Report],
        &[],
        &[CATEGORY, STATUS, TYPE, ("security-label", "securityLabel")],
    ),
    of("Encounter", &[Kind::Encounter], &[FactKind::Encounter], &[("class", "class"), STATUS, TYPE]),
    of("EpisodeOfCare", &[Kind::Encounter], &[FactKind::Encounter], &[STATUS, TYPE]),
    of("ExplanationOfBenefit", &[Kind::Claim], &[FactKind::Claim], &[STATUS]),
    of("FamilyMemberHistory", &[Kind::Other], &[FactKind::Observation], &[STATUS]),
    of("Goal", &[Kind::CarePlan], &[FactKind::CarePlan], &[CATEGORY, ("lifecycle-status", "lifecycleStatus")]),
    of("ImagingStudy", &[Kind::Procedure], &[FactKind::Procedure], &[STATUS, ("modality", "modality")]),
    of("Immunization", &[Kind::Immunization], &[FactKind::Immunization], &[STATUS, ("vaccine-code", "vaccineCode")]),
    of("Invoice", &[Kind::Claim], &[FactKind::Claim], &[STATUS]),
    of("MedicationAdministration", &[Kind::Medication], &[FactKind::Medication], &[MEDICATION, STATUS]),
    of("MedicationDispense", &[Kind::Medication], &[FactKind::Medication], &[MEDICATION, STATUS]),
    of("MedicationRequest", &[Kind::Medication], &[FactKind::Medication], &[CATEGORY, MEDICATION, INTENT, STATUS]),
    of("MedicationStatement", &[Kind::Medication], &[FactKind::Medication], &[CATEGORY, MEDICATION, STATUS]),
    of("NutritionOrder", &[Kind::CarePlan], &[FactKind::CarePlan], &[STATUS]),
    of("Observation", &[Kind::Result], &[FactKind::Observation], &[CATEGORY, CODE, STATUS]),
    of("Patient", &[Kind::Patient], &[FactKind::Demographic], &[]),
    of("PaymentNotice", &[Kind::Claim], &[FactKind::Claim], &[STATUS]),
    of("PaymentReconciliation", &[Kind::Claim], &[FactKind::Claim], &[STATUS]),
    of("Procedure", &[Kind::Procedure], &[FactKind::Procedure], &[CATEGORY, CODE, STATUS]),
    of("QuestionnaireResponse", &[Kind::Other], &[], &[STATUS]),
    of("RelatedPerson", &[Kind::Other], &[FactKind::Demographic], &[("relationship", "relationship")]),
    of("RiskAssessment", &[Kind::Other], &[], &[STATUS]),
    of("Schedule", &[Kind::Appointment], &[FactKind::Appointment], &[("service-type", "serviceType")]),
    of("ServiceRequest", &[Kind::Other], &[FactKind::CarePlan], &[CATEGORY, CODE, INTENT, STATUS]),
    of("Slot", &[Kind::Appointment], &[FactKind::Appointment], &[STATUS]),
    of("Task", &[Kind::Task], &[FactKind::CarePlan], &[CODE, INTENT, STATUS]),
];

/// The search parameters by which a scope over this type may be narrowed; `None` is `*`.
pub fn parameters_of(resource_type: Option<&str>) -> impl Iterator<Item = (&'static str, &'static str)> {
    let known = RESOURCE_TYPES.iter().find(|known| Some(known.name) == resource_type);
    let own: &'static [(&str, &str)] = known.map_or(&[], |known| known.parameters);
    COMMON.iter().chain(own).copied()
}

/// Which type's documents become a kind, for those who think in kinds.
pub fn opens(resource_type: &str) -> (&'static [Kind], &'static [FactKind]) {
    let known = RESOURCE_TYPES.iter().find(|known| known.name == resource_type);
    known.map_or((&[Kind::Other], &[]), |known| (known.kinds, known.facts))
}

/// The table in the form that docs/security.md prints it.
pub fn as_markdown() -> String {
    let mut text = "| FHIR type | kinds | facts | narrowed by |\n|---|---|---|---|\n".to_owned();
    for known in &RESOURCE_TYPES {
        let kinds: Vec<_> = known.kinds.iter().map(|kind| kind.as_str()).collect();
        let facts: Vec<_> = known.facts.iter().map(|kind| kind.as_str()).collect();
        let parameters: Vec<_> = known.parameters.iter().map(|(name, _)| format!("`{name}`")).collect();
        let cells = [kinds.join(", "), facts.join(", "), parameters.join(", ")];
        text += &format!("| {} | {} | {} | {} |\n", known.name, cells[0], cells[1], cells[2]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_stands_once_and_in_order() {
        assert!(RESOURCE_TYPES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn the_documentation_prints_this_table() {
        let page = include_str!("../../docs/security.md");
        assert!(page.contains(&as_markdown()), "docs/security.md lacks this table:\n{}", as_markdown());
    }

    #[test]
    fn every_type_narrows_by_security_and_all_of_them_by_nothing_else() {
        let names = |of: Option<&str>| parameters_of(of).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(None), ["_security", "_tag"]);
        assert_eq!(names(Some("Basic")), ["_security", "_tag"]);
        assert_eq!(names(Some("Observation")), ["_security", "_tag", "category", "code", "status"]);
    }
}
