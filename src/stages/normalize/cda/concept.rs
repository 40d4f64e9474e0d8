//! Coded values: what they are called, and by which codes of which systems.

use crate::stages::normalize::fhir::elements::system_name;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::references::References;

/// The longest text of a narrative that is taken for a name.
const MAX_NAME_CHARACTERS: usize = 120;

/// Code systems by OID, as URIs.
const SYSTEMS: [(&str, &str); 17] = [
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("2.16.840.1.113883.6.3", "http://hl7.org/fhir/sid/icd-10"),
    ("2.16.840.1.113883.6.4", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("2.16.840.1.113883.6.103", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("2.16.840.1.113883.6.104", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("2.16.840.1.113883.6.69", "http://hl7.org/fhir/sid/ndc"),
    ("2.16.840.1.113883.6.12", "http://www.ama-assn.org/go/cpt"),
    ("2.16.840.1.113883.6.285", "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"),
    ("2.16.840.1.113883.6.14", "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"),
    ("2.16.840.1.113883.12.292", "http://hl7.org/fhir/sid/cvx"),
    ("2.16.840.1.113883.6.73", "http://www.whocc.no/atc"),
    ("2.16.840.1.113883.4.9", "http://fdasis.nlm.nih.gov"),
    ("2.16.840.1.113883.6.8", "http://unitsofmeasure.org"),
    ("2.16.840.1.113883.6.259", "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html"),
];

/// The URI of a code system's OID; an OID that isn't known stays one.
pub(super) fn system_uri(oid: &str) -> String {
    let known = SYSTEMS.iter().find(|(known, _)| *known == oid).map(|(_, uri)| (*uri).to_owned());
    known.unwrap_or_else(|| format!("urn:oid:{}", tidy::bounded(oid, 100)))
}

/// Codes that are so usual that senders leave their names out.
const CALLED: [(&str, &str); 16] = [
    ("72166-2", "Tobacco smoking status"),
    ("11367-0", "History of tobacco use"),
    ("76689-9", "Sex assigned at birth"),
    ("8480-6", "Systolic blood pressure"),
    ("8462-4", "Diastolic blood pressure"),
    ("8302-2", "Height"),
    ("29463-7", "Weight"),
    ("3141-9", "Weight"),
    ("8867-4", "Heart rate"),
    ("8310-5", "Body temperature"),
    ("9279-1", "Respiratory rate"),
    ("39156-5", "Body mass index"),
    ("2708-6", "Oxygen saturation"),
    ("59408-5", "Oxygen saturation"),
    ("4548-4", "Hemoglobin A1c"),
    ("8287-5", "Head circumference"),
];

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Code {
    pub system: Option<String>,
    pub code: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Concept {
    pub display: Option<String>,
    /// The code itself, then its translations.
    pub codes: Vec<Code>,
    /// Why there is none: `UNK`, `NA`, `MSK`.
    pub null: Option<String>,
}

impl Concept {
    pub fn read(element: Element<'_>, references: &References<'_>) -> Self {
        let translations = || element.all("translation");
        let codes = std::iter::once(element).chain(translations()).filter_map(code).collect::<Vec<_>>();
        let said = element.child("originalText").and_then(|original| references.text_of(original));
        let short = said.clone().filter(|words| words.chars().count() <= MAX_NAME_CHARACTERS);
        let named = || element.attribute("displayName").map(tidy::line);
        let translated = || translations().find_map(|one| one.attribute("displayName")).map(tidy::line);
        let direct = || Some(tidy::line(&own_text(element))).filter(|text| !text.is_empty());
        let display = short.or_else(named).or_else(translated).or(said).or_else(direct);
        let usual = || codes.iter().find_map(|code| CALLED.iter().find(|(known, _)| *known == code.code));
        let display = display.or_else(|| usual().map(|(_, name)| (*name).to_owned()));
        let display = display.or_else(|| codes.first().map(Code::words)).map(|words| tidy::bounded(&words, 300));
        let qualifiers: Vec<String> = element
            .all("qualifier")
            .filter_map(|qualifier| Self::read(qualifier.child("value")?, references).display)
            .collect();
        let display = match display {
            Some(words) if !qualifiers.is_empty() => Some(format!("{words}, {}", qualifiers.join(", "))),
            other => other,
        };
        Self { display, codes, null: element.attribute("nullFlavor").map(str::to_owned) }
    }

    /// Called by nothing but its code.
    pub fn is_bare(&self) -> bool {
        self.codes.first().is_some_and(|code| self.display.as_deref() == Some(code.words().as_str()))
    }

    /// A code of SNOMED CT without words of its own.
    pub fn snomed(code: &str) -> Self {
        let code = Code { system: Some("http://snomed.info/sct".to_owned()), code: code.to_owned() };
        Self { codes: vec![code], ..Self::default() }
    }

    pub fn at(element: Element<'_>, path: &str, references: &References<'_>) -> Self {
        element.at(path).map(|found| Self::read(found, references)).unwrap_or_default()
    }

    /// The first code of a system that people know, else the first.
    pub fn best(&self) -> Option<&Code> {
        self.codes.iter().find(|code| code.known_system().is_some()).or(self.codes.first())
    }

    pub fn has(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.code.as_str()))
    }

    /// ` [SNOMED 44054006; ICD-10-CM E11.9]`, or nothing when no code is of a system people know.
    pub fn suffix(&self) -> String {
        let mut known: Vec<String> = Vec::new();
        for code in self.codes.iter().filter(|code| code.known_system().is_some()) {
            let words = code.words();
            if !known.contains(&words) && self.display.as_ref() != Some(&words) && known.len() < 4 {
                known.push(words);
            }
        }
        if known.is_empty() { String::new() } else { format!(" [{}]", known.join("; ")) }
    }
}

impl Code {
    pub fn known_system(&self) -> Option<&'static str> {
        system_name(self.system.as_deref()?)
    }

    fn words(&self) -> String {
        match self.known_system() {
            Some(system) => format!("{system} {}", self.code),
            None => self.code.clone(),
        }
    }
}

/// The code that an element carries itself.
pub(super) fn code(element: Element<'_>) -> Option<Code> {
    let code = tidy::bounded(element.attribute("code")?, 100);
    Some(Code { system: element.attribute("codeSystem").map(system_uri), code })
}

/// Text that stands in the element itself, as when a code is given as a plain string.
fn own_text(element: Element<'_>) -> String {
    use crate::stages::normalize::xml::Node;
    element
        .children()
        .filter_map(|node| match node {
            Node::Text(text) => Some(text),
            Node::Element(_) => None,
        })
        .collect()
}

/// A nullFlavor in words.
pub(super) fn null_words(flavor: &str) -> &'static str {
    match flavor {
        "UNK" => "unknown",
        "ASKU" => "asked but unknown",
        "NASK" => "not asked",
        "NAV" => "not available now",
        "NA" => "not applicable",
        "MSK" => "withheld",
        "OTH" => "other",
        "NINF" => "negative infinity",
        "PINF" => "positive infinity",
        "TRC" => "trace",
        "QS" => "sufficient quantity",
        _ => "no information",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    fn concept(xml: &str) -> Concept {
        let tree = Tree::parse(xml).unwrap();
        Concept::read(tree.root(), &References::default())
    }

    #[test]
    fn translations_count_where_the_code_itself_is_of_another_system() {
        let other = concept(
            "<value nullFlavor='OTH'><originalText>Knee pain</originalText>\
             <translation code='M25.561' codeSystem='2.16.840.1.113883.6.90' displayName='Pain in right knee'/></value>",
        );
        assert_eq!(other.display.as_deref(), Some("Knee pain"));
        assert_eq!(other.best().unwrap().system.as_deref(), Some("http://hl7.org/fhir/sid/icd-10-cm"));
        assert_eq!(other.suffix(), " [ICD-10-CM M25.561]");
    }

    #[test]
    fn a_bare_code_is_its_own_name() {
        let bare = concept("<code code='44054006' codeSystem='2.16.840.1.113883.6.96'/>");
        assert_eq!((bare.display.as_deref(), bare.suffix().as_str()), (Some("SNOMED 44054006"), ""));
        assert_eq!(concept("<code nullFlavor='MSK'/>").display, None);
    }

    #[test]
    fn an_unknown_system_keeps_its_oid() {
        assert_eq!(system_uri("1.2.3"), "urn:oid:1.2.3");
    }
}
