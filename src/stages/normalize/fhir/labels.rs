//! Security labels: what the source set, raised by what the content's codes betray.

use crate::domain::{Confidentiality, Labels};

use super::super::json::Json;
use super::elements;

const CONFIDENTIALITY: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "http://hl7.org/fhir/v3/Confidentiality",
    "urn:oid:2.16.840.1.113883.5.25",
];
const ACT_CODE: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "http://hl7.org/fhir/v3/ActCode",
    "urn:oid:2.16.840.1.113883.5.4",
];

/// ICD-10 categories, first and last, and the subject that they betray.
const ICD_10: [(&str, &str, &str); 13] = [
    ("F10", "F19", "SUD"),
    ("F20", "F99", "PSY"),
    ("A50", "A64", "STD"),
    ("B20", "B20", "HIV"),
    ("R75", "R75", "HIV"),
    ("Z21", "Z21", "HIV"),
    ("O04", "O04", "SEX"),
    ("Z332", "Z332", "SEX"),
    ("T74", "T74", "SDV"),
    ("T76", "T76", "SDV"),
    ("T400", "T403", "SUD"),
    ("Z714", "Z715", "SUD"),
    ("D57", "D57", "SICKLE"),
];

/// Exact codes of systems whose codes say nothing by their shape.
const EXACT: [(&str, &str, &str); 22] = [
    ("SNOMED", "86406008", "HIV"),
    ("SNOMED", "62479008", "HIV"),
    ("SNOMED", "165816005", "HIV"),
    ("SNOMED", "7200002", "SUD"),
    ("SNOMED", "66590003", "SUD"),
    ("SNOMED", "15167005", "SUD"),
    ("SNOMED", "5602001", "SUD"),
    ("SNOMED", "75544000", "SUD"),
    ("SNOMED", "35489007", "PSY"),
    ("SNOMED", "370143000", "PSY"),
    ("SNOMED", "36923009", "PSY"),
    ("SNOMED", "13746004", "PSY"),
    ("SNOMED", "58214004", "PSY"),
    ("SNOMED", "47505003", "PSY"),
    ("LOINC", "5221-7", "HIV"),
    ("LOINC", "7917-8", "HIV"),
    ("LOINC", "20447-9", "HIV"),
    ("LOINC", "25836-8", "HIV"),
    ("LOINC", "31201-7", "HIV"),
    ("LOINC", "56888-1", "HIV"),
    ("LOINC", "75622-1", "HIV"),
    ("LOINC", "29893-5", "HIV"),
];

/// Words in a code's or a medication's own name, in lower case.
const NAMES: [(&str, &str); 23] = [
    ("psychotherapy note", "PSYTHPN"),
    ("buprenorphine", "SUD"),
    ("methadone", "SUD"),
    ("naltrexone", "SUD"),
    ("acamprosate", "SUD"),
    ("disulfiram", "SUD"),
    ("abacavir", "HIV"),
    ("atazanavir", "HIV"),
    ("bictegravir", "HIV"),
    ("cabotegravir", "HIV"),
    ("darunavir", "HIV"),
    ("dolutegravir", "HIV"),
    ("doravirine", "HIV"),
    ("efavirenz", "HIV"),
    ("elvitegravir", "HIV"),
    ("emtricitabine", "HIV"),
    ("etravirine", "HIV"),
    ("lamivudine", "HIV"),
    ("lopinavir", "HIV"),
    ("nevirapine", "HIV"),
    ("raltegravir", "HIV"),
    ("rilpivirine", "HIV"),
    ("zidovudine", "HIV"),
];

/// The highest confidentiality of all labels and every sensitive subject, labelled or betrayed by a code.
pub(super) fn labels(resource: &Json) -> Labels {
    let mut labels = Labels::default();
    let meta = resource.get("meta").map(|meta| meta.list("security")).unwrap_or_default();
    let on_document = resource.list("securityLabel").iter().flat_map(|label| label.list("coding"));
    let mut levels = Vec::new();
    for coding in meta.iter().chain(on_document) {
        let (Some(system), Some(code)) = (coding.text("system"), coding.text("code")) else { continue };
        if CONFIDENTIALITY.contains(&system) {
            levels.extend(Confidentiality::parse(code));
        } else if ACT_CODE.contains(&system) {
            labels.sensitivity.push(code.to_owned());
        }
    }
    labels.confidentiality = levels.into_iter().max().unwrap_or_default();
    betrayed(resource, &mut labels.sensitivity);
    labels.sensitivity.sort_unstable();
    labels.sensitivity.dedup();
    labels
}

/// Looks at every coding and every concept's text, contained resources' too.
fn betrayed(node: &Json, found: &mut Vec<String>) {
    match node {
        Json::List(items) => items.iter().for_each(|item| betrayed(item, found)),
        Json::Object(members) => {
            if let (Some(system), Some(code)) = (node.text("system"), node.text("code")) {
                found.extend(by_code(system, code).map(str::to_owned));
            }
            if node.get("code").is_some() || node.get("coding").is_some() || node.get("text").is_some() {
                for name in ["display", "text"].iter().filter_map(|name| node.text(name)) {
                    found.extend(by_name(name).map(str::to_owned));
                }
            }
            let walked = members.iter().filter(|(name, _)| !matches!(name.as_str(), "meta" | "securityLabel"));
            walked.for_each(|(_, value)| betrayed(value, found));
        }
        _ => {}
    }
}

/// The subject that a code betrays; `system` is a URI. For codes of any format.
pub(in crate::stages::normalize) fn by_code(system: &str, code: &str) -> Option<&'static str> {
    let system = elements::system_name(system)?;
    if system.starts_with("ICD-10") {
        let plain: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_uppercase();
        return ICD_10.iter().find(|(first, last, _)| within(&plain, first, last)).map(|(_, _, subject)| *subject);
    }
    EXACT.iter().find(|(of, exact, _)| *of == system && *exact == code).map(|(_, _, subject)| *subject)
}

fn within(code: &str, first: &str, last: &str) -> bool {
    code.get(..first.len()).is_some_and(|category| (first..=last).contains(&category))
}

/// The subject that a name betrays: of a medication, a note.
pub(in crate::stages::normalize) fn by_name(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    NAMES.iter().find(|(word, _)| name.contains(word)).map(|(_, subject)| *subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Labels {
        labels(&Json::parse(text).unwrap())
    }

    #[test]
    fn the_highest_confidentiality_wins_and_none_means_normal() {
        let both = of(r#"{"meta":{"security":[
            {"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"},
            {"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"L"}]}}"#);
        assert_eq!(both.confidentiality, Confidentiality::V);
        let low = of(r#"{"securityLabel":[{"coding":[
            {"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"L"}]}]}"#);
        assert_eq!(low.confidentiality, Confidentiality::L);
        assert_eq!(of("{}").confidentiality, Confidentiality::N);
    }

    #[test]
    fn codes_raise_what_the_source_left_unlabelled() {
        for (system, code, subject) in [
            ("http://hl7.org/fhir/sid/icd-10-cm", "F11.20", "SUD"),
            ("http://hl7.org/fhir/sid/icd-10-cm", "F3290", "PSY"),
            ("http://hl7.org/fhir/sid/icd-10", "Z21", "HIV"),
            ("http://hl7.org/fhir/sid/icd-10-cm", "Z33.2", "SEX"),
            ("http://loinc.org", "5221-7", "HIV"),
        ] {
            let labels = of(&format!(r#"{{"code":{{"coding":[{{"system":"{system}","code":"{code}"}}]}}}}"#));
            assert_eq!(labels.sensitivity, [subject], "{code}");
        }
        assert!(
            of(r#"{"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10","code":"E11.9"}]}}"#)
                .sensitivity
                .is_empty()
        );
    }

    #[test]
    fn the_listed_codes_are_well_formed() {
        for (system, code, _) in EXACT {
            assert_eq!(crate::stages::normalize::codes::well_formed(system, code), Some(true), "{system} {code}");
        }
    }

    #[test]
    fn names_of_drugs_and_notes_count_too() {
        let drug = of(r#"{"medicationCodeableConcept":{"text":"Methadone 10 mg tablet"}}"#);
        assert_eq!(drug.sensitivity, ["SUD"]);
        let note = of(r#"{"type":{"coding":[{"display":"Psychotherapy Note","code":"x"}]}}"#);
        assert_eq!(note.sensitivity, ["PSYTHPN"]);
    }

    #[test]
    fn labels_are_sorted_without_repeats() {
        let labels = of(r#"{"meta":{"security":[
            {"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SUD"},
            {"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"},
            {"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SUD"}]}}"#);
        assert_eq!(labels.sensitivity, ["HIV", "SUD"]);
    }
}
