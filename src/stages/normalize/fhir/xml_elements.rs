//! Which elements of FHIR R4 repeat, hold numbers, or are true or false: what its XML form doesn't show.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::super::json::Json;

/// Elements that repeat: by name wherever they stand, or below one parent (a resource type, or an element).
const LISTS: &str = "\
    Account.coverage Account.identifier Account.subject AdverseEvent.category AdverseEvent.study \
    AllergyIntolerance.category AllergyIntolerance.identifier Appointment.basedOn Appointment.identifier \
    Appointment.serviceType AppointmentResponse.identifier Basic.identifier \
    BiologicallyDerivedProduct.identifier BiologicallyDerivedProduct.parent BiologicallyDerivedProduct.request \
    BodyStructure.identifier Bundle.link CarePlan.basedOn CarePlan.category CarePlan.identifier \
    CarePlan.instantiatesCanonical CarePlan.instantiatesUri CarePlan.partOf CareTeam.category \
    CareTeam.identifier CareTeam.managingOrganization ChargeItem.account ChargeItem.identifier ChargeItem.partOf \
    ChargeItem.performer ChargeItem.reason Claim.identifier Claim.item Claim.procedure ClaimResponse.identifier \
    ClaimResponse.item ClaimResponse.total ClinicalImpression.identifier Communication.basedOn \
    Communication.category Communication.identifier Communication.instantiatesCanonical \
    Communication.instantiatesUri Communication.partOf Communication.recipient CommunicationRequest.basedOn \
    CommunicationRequest.category CommunicationRequest.identifier CommunicationRequest.recipient \
    Composition.author Composition.category Composition.event Condition.bodySite Condition.category \
    Condition.identifier Consent.category Consent.identifier Consent.organization Consent.performer \
    Contract.authority Contract.identifier Contract.site Contract.subType Contract.subject Contract.term \
    Coverage.class Coverage.identifier CoverageEligibilityRequest.identifier CoverageEligibilityRequest.item \
    CoverageEligibilityRequest.purpose CoverageEligibilityResponse.identifier \
    CoverageEligibilityResponse.purpose DetectedIssue.identifier DetectedIssue.mitigation Device.deviceName \
    Device.identifier Device.statusReason Device.version DeviceRequest.basedOn DeviceRequest.identifier \
    DeviceRequest.instantiatesCanonical DeviceRequest.instantiatesUri DeviceUseStatement.basedOn \
    DeviceUseStatement.identifier DiagnosticReport.basedOn DiagnosticReport.category DiagnosticReport.identifier \
    DiagnosticReport.performer DiagnosticReport.result DiagnosticReport.specimen DocumentManifest.author \
    DocumentManifest.content DocumentManifest.identifier DocumentManifest.recipient DocumentReference.author \
    DocumentReference.category DocumentReference.content DocumentReference.identifier Encounter.account \
    Encounter.appointment Encounter.basedOn Encounter.identifier Encounter.location Encounter.type \
    EnrollmentRequest.identifier EnrollmentResponse.identifier EpisodeOfCare.account EpisodeOfCare.identifier \
    EpisodeOfCare.type ExplanationOfBenefit.identifier ExplanationOfBenefit.item ExplanationOfBenefit.preAuthRef \
    ExplanationOfBenefit.procedure ExplanationOfBenefit.total FamilyMemberHistory.condition \
    FamilyMemberHistory.identifier FamilyMemberHistory.instantiatesCanonical FamilyMemberHistory.instantiatesUri \
    Flag.category Flag.identifier Goal.category Goal.identifier Goal.target Group.identifier Group.member \
    GuidanceResponse.identifier ImagingStudy.basedOn ImagingStudy.identifier ImagingStudy.modality \
    ImagingStudy.series Immunization.identifier Immunization.performer ImmunizationEvaluation.identifier \
    ImmunizationRecommendation.identifier Invoice.identifier List.identifier Location.identifier Location.type \
    MeasureReport.identifier Media.basedOn Media.identifier Media.partOf Medication.identifier \
    MedicationAdministration.device MedicationAdministration.identifier MedicationAdministration.partOf \
    MedicationAdministration.performer MedicationAdministration.statusReason MedicationDispense.identifier \
    MedicationDispense.partOf MedicationDispense.performer MedicationRequest.basedOn MedicationRequest.category \
    MedicationRequest.identifier MedicationRequest.instantiatesCanonical MedicationRequest.instantiatesUri \
    MedicationStatement.basedOn MedicationStatement.dosage MedicationStatement.identifier \
    MedicationStatement.partOf MedicationStatement.statusReason MolecularSequence.identifier \
    NutritionOrder.identifier NutritionOrder.instantiatesCanonical NutritionOrder.instantiatesUri \
    Observation.basedOn Observation.category Observation.component Observation.focus Observation.identifier \
    Observation.partOf Observation.performer Organization.address Organization.identifier Organization.type \
    Patient.address Patient.identifier Patient.link Patient.name Practitioner.address Practitioner.identifier \
    Practitioner.name Practitioner.qualification PractitionerRole.code PractitionerRole.identifier \
    PractitionerRole.location Procedure.basedOn Procedure.bodySite Procedure.identifier \
    Procedure.instantiatesCanonical Procedure.instantiatesUri Procedure.partOf Procedure.performer \
    QuestionnaireResponse.basedOn QuestionnaireResponse.item QuestionnaireResponse.partOf RelatedPerson.address \
    RelatedPerson.identifier RelatedPerson.name RelatedPerson.relationship RequestGroup.action \
    RequestGroup.basedOn RequestGroup.identifier RequestGroup.instantiatesCanonical RequestGroup.instantiatesUri \
    ResearchSubject.identifier RiskAssessment.basis RiskAssessment.identifier ServiceRequest.basedOn \
    ServiceRequest.bodySite ServiceRequest.category ServiceRequest.identifier \
    ServiceRequest.instantiatesCanonical ServiceRequest.instantiatesUri ServiceRequest.locationReference \
    ServiceRequest.performer ServiceRequest.specimen Specimen.condition Specimen.identifier Specimen.parent \
    Specimen.request Substance.category Substance.identifier Substance.instance SupplyDelivery.basedOn \
    SupplyDelivery.identifier SupplyDelivery.partOf SupplyRequest.identifier SupplyRequest.supplier \
    VisionPrescription.identifier about action.action action.code action.condition action.linkId \
    action.performerType action.reason action.requester action.subject activity addItem addItem.detail \
    addItem.detailSequence addItem.itemSequence addItem.modifier addItem.provider addItem.subDetailSequence \
    additionalInstruction addresses adjudication administration alias allergyIntolerance answer answer.item \
    appliesTo asset asset.context asset.linkId asset.period asset.type attester authorizationSupporting \
    authorizingPrescription availableTime benefit benefitBalance bodysite careTeam careTeamSequence causality \
    characteristic classHistory codeFilter codeFilter.code coding communication communicationRequest \
    complication complicationDetail conclusionCode contact contact.relationship contained container \
    container.identifier context.code context.encounter context.event contextLinkId contract \
    contraindicatedVaccineCode contributor control costToBeneficiary dataRequirement dateCriterion dateFilter \
    dayOfWeek daysOfWeek decisionMode definitionCanonical definitionUri derivedFrom detail.instantiatesCanonical \
    detail.instantiatesUri detail.modifier detail.performer detectedIssue diagnosis diagnosis.type \
    diagnosisSequence dietPreference documentation domain dosageInstruction doseAndRate doseStatusReason \
    education effectiveTiming.event endpoint entry entry.link episodeOfCare error evaluatedResource \
    evaluationMessage event.code event.detail eventHistory evidence evidence.code evidence.detail exception \
    excludeFoodModifier extension fMeasure financial finding fluidConsistencyType focalDevice followUp \
    foodPreferenceModifier forecastReason friendly generalPractitioner given goal group group.action guarantor \
    hasMember healthcareService hoursOfOperation image imagingStudy implicated inResponseTo informationSequence \
    ingredient instantiates insurance insurance.item insurance.preAuthRef interpretation interpreter \
    investigation investigation.item item.detail item.encounter item.item item.modifier legal lensSpecification \
    line lineItem locationCode locationQualifier manifestation media medium modifierExtension mustSupport \
    name.prefix notAvailable note noteNumber numFN numFP numTP nutrient occurrenceTiming.event offer.identifier \
    offer.linkId offer.party oralDiet.schedule oralDiet.type orderDetail outcomeCode outcomeCodeableConcept \
    outcomeReference parameter participant participantType payload payor performerLinkId periodType photo \
    pointer policy population preAuthRefPeriod prediction presentedForm priceComponent priorRequest prism \
    problem procedure.type procedureCode procedureSequence processNote processing profile \
    prognosisCodeableConcept prognosisReference programCode programEligibility progress property \
    property.valueQuantity protocol protocolApplied protocolApplied.targetDisease provision.action \
    provision.actor provision.class provision.code provision.data provision.provision provision.purpose \
    qualification.identifier quality reaction reasonCode reasonLinkId reasonReference receiver recommendation \
    recommendation.vaccineCode referenceDocument referenceRange referralRequest related relatedAction relatesTo \
    relevantHistory repeat.when replaces report repository requestedPeriod requesterLinkId responsibleParty \
    resultingCondition resultsInterpreter roc.precision roc.score rule safety schedule.event \
    scheduledTiming.event section section.author security securityLabel securityLabel.category \
    securityLabel.number securityLabelNumber sensitivity series.instance series.performer series.specimen \
    service serviceCategory signature.type signer signer.signature slot sort specialArrangement specialCourtesy \
    specialization specialty stage stage.assessment statusHistory storage stratifier stratifier.code stratum \
    stratum.component structureVariant subDetail subDetail.modifier subSite subdetailSequence \
    subjectMedicalHistory subpotentReason subtype suffix supplement supplement.schedule supportingImmunization \
    supportingInfo supportingInfoSequence supportingInformation supportingPatientInformation suspectEntity tag \
    team telecom term.action texture timeOfDay timing.event timingTiming.event totalPriceComponent typeReference \
    udi udiCarrier usePeriod usedCode usedReference valueCode valuedItem valuedItem.linkId variant verification";

/// Elements whose values are numbers, named as in [`LISTS`].
const NUMBERS: &str = "\
    Appointment.priority BiologicallyDerivedProduct.quantity Bundle.total Group.quantity Media.duration \
    abatementAge.value add adjudication.value adjustment.value ageAge.value allowedMoney.value \
    allowedUnsignedInt altitude amount.value axis backCurve boundsDuration.value caloricDensity.value \
    capacity.value careTeamSequence coordinateSystem count countMax coverage.priority cylinder dailyAmount.value \
    daysSupply.value deceasedAge.value denominator.value detailInteger detailQuantity.value detailSequence \
    diagnosisSequence diameter dimensions dispenseInterval.value dose.value doseNumberPositiveInt \
    doseQuantity.value dueDuration.value duration.value durationMax expectedSupplyDuration.value fMeasure fScore \
    factor factorOverride fastingStatusDuration.value frames frequency frequencyMax gtFP height high.value \
    informationSequence inner.end inner.start itemSequence latitude length.value limit longitude low.value \
    lowerLimit maxDosePerAdministration.value maxDosePerLifetime.value maxVolumeToDeliver.value \
    measureScore.value minutesDuration multipleBirthInteger net.value noteNumber numFN numFP numTP number \
    numberOfInstances numberOfRepeatsAllowed numberOfSeries numerator.value offset offsetDuration.value \
    onsetAge.value order origin.value outer.end outer.start performedAge.value periodMax points power precedence \
    precision priceOverride.value prism.amount probabilityDecimal procedureSequence quality.end quality.start \
    quantity.value quantityQuantity.value queryFP queryTP rank rateQuantity.value readCoverage recall \
    relativeRisk repeat.duration repeat.period roc.score score.value search.score securityLabelNumber \
    sensitivity sequence seriesDosesPositiveInt size specimenQuantity.value sphere structureVariant.length \
    subDetailSequence subdetailSequence supportingInfoSequence temperature timingAge.value timingDuration.value \
    total.value totalGross.value totalNet.value truthFN truthTP unitPrice.value upperLimit usedMoney.value \
    usedUnsignedInt valueDecimal valueDuration.value valueInteger valueMoney.value valueQuantity.value \
    valueSampledData.period variant.end variant.start width windowEnd windowStart";

/// Elements whose values are true or false, named as in [`LISTS`].
const BOOLEANS: &str = "\
    active actual allDay allowedBoolean appliesToAll asNeededBoolean authorizationRequired careTeam.responsible \
    contributedToDeath deceasedBoolean deleted detailBoolean doNotPerform estimatedAge exact exclude excluded \
    focal inactive inforce isActive isSubpotent multipleBirthBoolean onHold preferred primarySource reported \
    reportedBoolean subrogation userSelected valueBoolean verified wasSubstituted";

type Names = LazyLock<HashSet<&'static str>>;

static REPEATING: Names = LazyLock::new(|| LISTS.split_whitespace().collect());
static NUMERIC: Names = LazyLock::new(|| NUMBERS.split_whitespace().collect());
static TRUE_OR_FALSE: Names = LazyLock::new(|| BOOLEANS.split_whitespace().collect());

fn holds(names: &Names, parent: &str, name: &str) -> bool {
    names.contains(name) || names.contains(format!("{parent}.{name}").as_str())
}

/// `parent` is a resource type, or the name of the element above.
pub(super) fn repeats(parent: &str, name: &str) -> bool {
    holds(&REPEATING, parent, name)
}

/// A value as its element's type has it in JSON; one that isn't of that type stays text, to be found by its reader.
pub(super) fn primitive(parent: &str, name: &str, value: &str) -> Json {
    let bare = value.trim();
    match bare {
        "true" | "false" if holds(&TRUE_OR_FALSE, parent, name) => Json::Bool(bare == "true"),
        _ if is_number(bare) && holds(&NUMERIC, parent, name) => Json::Number(bare.to_owned()),
        _ => Json::Text(value.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let shaped = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    shaped && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_depends_on_where_it_stands() {
        assert!(repeats("Patient", "name") && repeats("name", "given") && repeats("code", "coding"));
        assert!(!repeats("contact", "name") && !repeats("Observation", "code"));
    }

    #[test]
    fn values_have_the_type_of_their_element() {
        assert_eq!(primitive("Patient", "active", "false"), Json::Bool(false));
        assert_eq!(primitive("valueQuantity", "value", "1e3"), Json::Number("1e3".into()));
        assert_eq!(primitive("identifier", "value", "0012"), Json::Text("0012".into()));
        assert_eq!(primitive("valueQuantity", "value", "many"), Json::Text("many".into()));
    }
}
