//! The resource types of FHIR R4, and what this pipeline makes of each.

use crate::domain::{FactKind, Kind};

/// How records of a type are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Treatment {
    /// Has a renderer of its own.
    Own,
    /// Read by the generic renderer as this kind.
    Generic(Kind, Option<FactKind>),
    /// As `Generic` when it names a patient, else it carries nothing.
    GenericWithPatient(Kind, Option<FactKind>),
    /// Reference data or plumbing: nothing to search or cite.
    Nothing,
}

/// Types with a renderer of their own.
const OWN: [&str; 16] = [
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "Composition",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Immunization",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "MedicationDispense",
    "Observation",
    "Patient",
    "Procedure",
];

const CONTACTS: [&str; 2] = ["Communication", "CommunicationRequest"];

const CLAIMS: [&str; 11] = [
    "Account",
    "ChargeItem",
    "Claim",
    "ClaimResponse",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "EnrollmentRequest",
    "EnrollmentResponse",
    "ExplanationOfBenefit",
    "Invoice",
];

const CLINICAL: [&str; 26] = [
    "AdverseEvent",
    "BodyStructure",
    "CareTeam",
    "ClinicalImpression",
    "Consent",
    "Contract",
    "DetectedIssue",
    "DeviceRequest",
    "DeviceUseStatement",
    "EpisodeOfCare",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "GuidanceResponse",
    "ImagingStudy",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "Media",
    "MolecularSequence",
    "NutritionOrder",
    "QuestionnaireResponse",
    "RequestGroup",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
    "VisionPrescription",
];

const CLINICAL_WITH_PATIENT: [&str; 12] = [
    "AppointmentResponse",
    "Basic",
    "BiologicallyDerivedProduct",
    "Device",
    "DocumentManifest",
    "Group",
    "List",
    "MeasureReport",
    "RelatedPerson",
    "ResearchSubject",
    "SupplyDelivery",
    "SupplyRequest",
];

const NOTHING: [&str; 78] = [
    "ActivityDefinition",
    "AuditEvent",
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "CatalogEntry",
    "ChargeItemDefinition",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "DeviceDefinition",
    "DeviceMetric",
    "EffectEvidenceSynthesis",
    "Endpoint",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "GraphDefinition",
    "HealthcareService",
    "ImplementationGuide",
    "InsurancePlan",
    "Library",
    "Linkage",
    "Location",
    "Measure",
    "Medication",
    "MedicationKnowledge",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "MessageDefinition",
    "MessageHeader",
    "NamingSystem",
    "ObservationDefinition",
    "OperationDefinition",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "PaymentNotice",
    "PaymentReconciliation",
    "Person",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Provenance",
    "Questionnaire",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "ResearchStudy",
    "RiskEvidenceSynthesis",
    "Schedule",
    "SearchParameter",
    "Slot",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Subscription",
    "Substance",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    "TerminologyCapabilities",
    "TestReport",
    "TestScript",
    "ValueSet",
    "VerificationResult",
];

/// `None` for a name that FHIR R4 doesn't have.
pub(super) fn treatment(name: &str) -> Option<Treatment> {
    let lists: [(&[&str], Treatment); 7] = [
        (&OWN, Treatment::Own),
        (&CONTACTS, Treatment::Generic(Kind::Contact, Some(FactKind::Contact))),
        (&CLAIMS, Treatment::Generic(Kind::Claim, Some(FactKind::Claim))),
        (&CLINICAL, Treatment::Generic(Kind::Other, None)),
        (&CLINICAL_WITH_PATIENT, Treatment::GenericWithPatient(Kind::Other, None)),
        (&["Task"], Treatment::Generic(Kind::Task, None)),
        (&NOTHING, Treatment::Nothing),
    ];
    lists.into_iter().find(|(names, _)| names.contains(&name)).map(|(_, treatment)| treatment)
}

/// `ServiceRequest` -> `Service request`.
pub(super) fn spaced(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for (position, c) in name.char_indices() {
        if c.is_ascii_uppercase() && position > 0 {
            words.push(' ');
            words.push(c.to_ascii_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_treatment() {
        let all = [OWN.as_slice(), &CONTACTS, &CLAIMS, &CLINICAL, &CLINICAL_WITH_PATIENT, &["Task"], &NOTHING].concat();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
        assert!(unique.len() >= 146, "{}", unique.len());
    }

    #[test]
    fn unknown_names_have_none() {
        assert_eq!(treatment("Patientt"), None);
        assert_eq!(treatment("Resource"), None);
    }

    #[test]
    fn names_read_as_words() {
        assert_eq!(spaced("ExplanationOfBenefit"), "Explanation of benefit");
    }
}
