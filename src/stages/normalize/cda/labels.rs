//! How confidential a document is: what it says of itself and its sections, raised by what its codes betray.

use crate::domain::{Confidentiality, Labels};
use crate::stages::normalize::fhir::labels::{by_code, by_name};
use crate::stages::normalize::xml::Element;

use super::concept::system_uri;

const CONFIDENTIALITY: &str = "2.16.840.1.113883.5.25";
const ACT_CODE: &str = "2.16.840.1.113883.5.4";

/// Subjects of v3-ActCode that a privacy tag may name.
const SUBJECTS: [&str; 17] = [
    "HIV", "SUD", "ETH", "ETHUD", "OPIOIDUD", "PSY", "PSYTHPN", "MH", "BH", "STD", "SEX", "SDV", "GDIS", "SICKLE",
    "SPI", "DVD", "TBOO",
];

/// How a notice under the rules on substance use records begins, in lower case.
const NOTICE: &str = "42 cfr part 2";

/// The most restrictive level of document and sections, and every sensitive subject.
pub(super) fn labels(document: Element<'_>, text: &str) -> Labels {
    let mut levels = Vec::new();
    let mut sensitivity: Vec<String> = Vec::new();
    for element in document.descendants() {
        let name = element.attribute("displayName");
        let Some(code) = element.attribute("code") else {
            if element.name() == "name" {
                sensitivity.extend(by_name(&super::references::plain(element)).map(str::to_owned));
            }
            continue;
        };
        let system = element.attribute("codeSystem").unwrap_or_default();
        if element.name() == "confidentialityCode" || system == CONFIDENTIALITY {
            levels.push(Confidentiality::parse(code).unwrap_or(Confidentiality::R));
            continue;
        }
        if system == ACT_CODE && SUBJECTS.contains(&code) {
            sensitivity.push(code.to_owned());
        }
        sensitivity.extend(by_code(&system_uri(system), code).map(str::to_owned));
        sensitivity.extend(name.and_then(by_name).map(str::to_owned));
    }
    if text.to_lowercase().contains(NOTICE) {
        sensitivity.push("SUD".to_owned());
    }
    sensitivity.sort_unstable();
    sensitivity.dedup();
    Labels { confidentiality: levels.into_iter().max().unwrap_or_default(), sensitivity, codes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    fn of(xml: &str, text: &str) -> Labels {
        labels(Tree::parse(xml).unwrap().root(), text)
    }

    #[test]
    fn the_most_restrictive_section_counts_for_the_document() {
        let found = of("<d><confidentialityCode code='N'/><section><confidentialityCode code='V'/></section></d>", "");
        assert_eq!(found.confidentiality, Confidentiality::V);
        assert_eq!(of("<d><confidentialityCode code='secret'/></d>", "").confidentiality, Confidentiality::R);
        assert_eq!(of("<d><confidentialityCode nullFlavor='NI'/></d>", "").confidentiality, Confidentiality::N);
    }

    #[test]
    fn codes_names_and_notices_betray_what_a_document_is_about() {
        let found = of(
            "<d><value code='B20' codeSystem='2.16.840.1.113883.6.90'/><code code='1' displayName='Methadone 10 mg'/></d>",
            "",
        );
        assert_eq!(found.sensitivity, ["HIV", "SUD"]);
        assert_eq!(of("<d/>", "42 CFR Part 2 prohibits redisclosure.").sensitivity, ["SUD"]);
    }
}
