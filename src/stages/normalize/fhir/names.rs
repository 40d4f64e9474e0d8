//! The resource types of FHIR R4, and what this pipeline makes of each.

use crate::domain::{FactKind, Kind};

/// How records of a type are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::stages::normalize) enum Treatment {
    /// Has a renderer of its own.
    Own,
    /// As `Own` when it names a patient, else it carries nothing.
    OwnWithPatient,
    /// Read by the generic renderer as this kind.
    Generic(Kind, Option<FactKind>),
    /// As `Generic` when it names a patient, else it carries nothing.
    GenericWithPatient(Kind, Option<FactKind>),
    /// Reference data or plumbing: nothing to search or cite.
    Nothing,
}

/// Types with a renderer of their own.
const OWN: [&str; 49] = [
    "Account",
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "CarePlan",
    "CareTeam",
    "ChargeItem",
    "Claim",
    "ClaimResponse",
    "ClinicalImpression",
    "Communication",
    "CommunicationRequest",
    "Composition",
    "Condition",
    "Consent",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "DetectedIssue",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "Invoice",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Patient",
    "PaymentNotice",
    "Procedure",
    "QuestionnaireResponse",
    // STU3's name for a service request that refers; some senders never changed it.
    "ReferralRequest",
    "RiskAssessment",
    "Schedule",
    "ServiceRequest",
    "Slot",
    "Specimen",
    "Task",
];

/// With a renderer of their own, and nothing to say unless they name a patient.
const OWN_WITH_PATIENT: [&str; 2] = ["Device", "RelatedPerson"];

const CLAIMS: [&str; 2] = ["EnrollmentRequest", "EnrollmentResponse"];

const CLINICAL: [&str; 10] = [
    "BodyStructure",
    "Contract",
    "DeviceRequest",
    "GuidanceResponse",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "Media",
    "MolecularSequence",
    "RequestGroup",
    "VisionPrescription",
];

const CLINICAL_WITH_PATIENT: [&str; 9] = [
    "Basic",
    "BiologicallyDerivedProduct",
    "DocumentManifest",
    "Group",
    "List",
    "MeasureReport",
    "ResearchSubject",
    "SupplyDelivery",
    "SupplyRequest",
];

const NOTHING: [&str; 76] = [
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
    "SearchParameter",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Subscription",
    // R5's, which R4 servers send too when they notify.
    "SubscriptionStatus",
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
pub(in crate::stages::normalize) fn treatment(name: &str) -> Option<Treatment> {
    let lists: [(&[&str], Treatment); 6] = [
        (&OWN, Treatment::Own),
        (&OWN_WITH_PATIENT, Treatment::OwnWithPatient),
        (&CLAIMS, Treatment::Generic(Kind::Coverage, Some(FactKind::Coverage))),
        (&CLINICAL, Treatment::Generic(Kind::Other, None)),
        (&CLINICAL_WITH_PATIENT, Treatment::GenericWithPatient(Kind::Other, None)),
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
        let all = [OWN.as_slice(), &OWN_WITH_PATIENT, &CLAIMS, &CLINICAL, &CLINICAL_WITH_PATIENT, &NOTHING].concat();
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
