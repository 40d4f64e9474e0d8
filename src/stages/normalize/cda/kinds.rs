//! What LOINC codes of documents and sections mean.

/// Documents that sum up a chart as of the day they are made.
const SNAPSHOTS: [&str; 4] = ["34133-9", "52521-2", "60591-5", "18776-5"];

/// Reports of imaging, laboratory and pathology.
const REPORTS: [&str; 11] = [
    "18748-4", "11502-2", "11526-1", "47045-0", "18747-6", "18745-0", "18746-8", "18760-9", "27898-6", "60567-5",
    "68604-8",
];

const DOCUMENTS: [(&str, &str); 18] = [
    ("34133-9", "Continuity of Care Document"),
    ("34117-2", "History and Physical"),
    ("11488-4", "Consultation Note"),
    ("18748-4", "Diagnostic Imaging Report"),
    ("28570-0", "Procedure Note"),
    ("11504-8", "Operative Note"),
    ("18842-5", "Discharge Summary"),
    ("11490-0", "Discharge Summary"),
    ("11506-3", "Progress Note"),
    ("18761-7", "Transfer Summary"),
    ("57133-1", "Referral Note"),
    ("57113-1", "Referral Note"),
    ("52521-2", "Care Plan"),
    ("34111-5", "Emergency Department Note"),
    ("34746-8", "Nurse Note"),
    ("11502-2", "Laboratory Report"),
    ("11526-1", "Pathology Report"),
    ("60591-5", "Patient Summary"),
];

/// Sections by LOINC code, for those that come without a title.
const SECTIONS: [(&str, &str); 63] = [
    ("48765-2", "Allergies and Intolerances"),
    ("10160-0", "Medications"),
    ("11450-4", "Problems"),
    ("47519-4", "Procedures"),
    ("30954-2", "Results"),
    ("8716-3", "Vital Signs"),
    ("11369-6", "Immunizations"),
    ("46240-8", "Encounters"),
    ("29762-2", "Social History"),
    ("10157-6", "Family History"),
    ("47420-5", "Functional Status"),
    ("10190-7", "Mental Status"),
    ("18776-5", "Plan of Treatment"),
    ("51848-0", "Assessment"),
    ("51847-2", "Assessment and Plan"),
    ("61146-7", "Goals"),
    ("75310-3", "Health Concerns"),
    ("11383-7", "Health Status Evaluations and Outcomes"),
    ("62387-6", "Interventions"),
    ("69730-0", "Instructions"),
    ("46264-8", "Medical Equipment"),
    ("61144-2", "Nutrition"),
    ("42348-3", "Advance Directives"),
    ("48768-6", "Payers"),
    ("85847-2", "Care Teams"),
    ("10154-3", "Chief Complaint"),
    ("29299-5", "Reason for Visit"),
    ("46239-0", "Chief Complaint and Reason for Visit"),
    ("42349-1", "Reason for Referral"),
    ("10164-2", "History of Present Illness"),
    ("11348-0", "Past Medical History"),
    ("11329-0", "Medical History"),
    ("10187-3", "Review of Systems"),
    ("29545-1", "Physical Exam"),
    ("10210-3", "General Status"),
    ("61150-9", "Subjective"),
    ("61149-1", "Objective"),
    ("8648-8", "Hospital Course"),
    ("18841-7", "Hospital Consultations"),
    ("46241-6", "Admission Diagnosis"),
    ("42346-7", "Admission Medications"),
    ("11535-2", "Discharge Diagnosis"),
    ("78375-3", "Discharge Diagnosis"),
    ("10183-2", "Discharge Medications"),
    ("75311-1", "Discharge Medications"),
    ("8653-8", "Hospital Discharge Instructions"),
    ("42344-2", "Discharge Diet"),
    ("10184-0", "Hospital Discharge Physical"),
    ("11493-4", "Hospital Discharge Studies Summary"),
    ("29549-3", "Medications Administered"),
    ("55109-3", "Complications"),
    ("10219-4", "Preoperative Diagnosis"),
    ("10218-6", "Postoperative Diagnosis"),
    ("59769-0", "Postprocedure Diagnosis"),
    ("59774-0", "Anesthesia"),
    ("29554-3", "Procedure Description"),
    ("59776-5", "Procedure Findings"),
    ("59768-2", "Procedure Indications"),
    ("59772-4", "Planned Procedure"),
    ("59773-2", "Procedure Specimens Taken"),
    ("59770-8", "Procedure Estimated Blood Loss"),
    ("59775-7", "Procedure Disposition"),
    ("10162-6", "Pregnancy History"),
];

/// Sections by the last part of their template id under C-CDA's own root.
const TEMPLATES: [(&str, &str); 12] = [
    ("6", "48765-2"),
    ("1", "10160-0"),
    ("5", "11450-4"),
    ("7", "47519-4"),
    ("3", "30954-2"),
    ("4", "8716-3"),
    ("2", "11369-6"),
    ("22", "46240-8"),
    ("17", "29762-2"),
    ("15", "10157-6"),
    ("10", "18776-5"),
    ("24", "11535-2"),
];

const SECTION_ROOT: &str = "2.16.840.1.113883.10.20.22.2.";

fn of(table: &[(&'static str, &'static str)], code: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

pub(super) fn document_name(code: &str) -> Option<&'static str> {
    of(&DOCUMENTS, code)
}

pub(super) fn section_name(code: &str) -> Option<&'static str> {
    of(&SECTIONS, code)
}

/// The LOINC code of the section that a template id stands for.
pub(super) fn section_code(template: &str) -> Option<&'static str> {
    let number = template.strip_prefix(SECTION_ROOT)?;
    of(&TEMPLATES, number.split('.').next().unwrap_or(number))
}

pub(super) fn is_snapshot(code: &str) -> bool {
    SNAPSHOTS.contains(&code)
}

pub(super) fn is_report(code: &str) -> bool {
    REPORTS.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_once_and_are_well_formed() {
        let all = SECTIONS.iter().chain(&DOCUMENTS).map(|(code, _)| *code).chain(SNAPSHOTS).chain(REPORTS);
        // Senders know the referral note by this slip too.
        for code in all.filter(|code| *code != "57113-1") {
            assert_eq!(crate::stages::normalize::codes::well_formed("LOINC", code), Some(true), "{code}");
        }
        assert_eq!(section_code("2.16.840.1.113883.10.20.22.2.5.1").and_then(section_name), Some("Problems"));
    }
}
