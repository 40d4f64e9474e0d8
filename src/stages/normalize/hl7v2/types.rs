//! HL7 data types as words: coded elements, names, places, telephone numbers, identifiers, amounts.

use crate::stages::normalize::fhir::{elements, labels};
use crate::stages::normalize::tidy;

use super::message::Part;

/// Longest identifier that is kept whole.
const MAX_IDENTIFIER: usize = 200;

/// Code systems of HL7 table 0396, as senders write them, by the URI that the other formats use.
const SYSTEMS: [(&str, &str); 22] = [
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMEDCT", "http://snomed.info/sct"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD9CM", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("CPT4", "http://www.ama-assn.org/go/cpt"),
    ("HCPCS", "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("ATC", "http://www.whocc.no/atc"),
    ("RXN", "http://www.nlm.nih.gov/research/umls/rxnorm"),
];

fn system_uri(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    SYSTEMS.iter().find(|(code, _)| *code == plain).map(|(_, uri)| *uri)
}

/// A coded element (CE, CWE, CNE, IS): up to two codes, and what people call it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Concept {
    pub words: String,
    codes: Vec<Code>,
    is_named: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Code {
    system: Option<&'static str>,
    code: String,
}

impl Concept {
    /// Without any code.
    pub fn named(words: impl Into<String>) -> Self {
        Self { words: words.into(), codes: Vec::new(), is_named: true }
    }

    /// The same codes under another name.
    pub fn called(self, words: &str) -> Self {
        Self { words: words.to_owned(), ..self }
    }

    pub fn read(part: Part<'_>) -> Option<Self> {
        let leaf = |number: usize| part.component(number).subcomponent(1).line();
        let codes: Vec<Code> = [(1, 3), (4, 6)]
            .into_iter()
            .filter_map(|(code, system)| {
                Some(Code { code: leaf(code)?, system: leaf(system).as_deref().and_then(system_uri) })
            })
            .collect();
        let name = [2, 5, 9].into_iter().find_map(|number| part.component(number).line());
        let is_named = name.is_some();
        let words = name.or_else(|| codes.first().map(Code::words))?;
        Some(Self { words: tidy::bounded(&words, 400), codes, is_named })
    }

    /// All repetitions that say something.
    pub fn all(part: Part<'_>) -> Vec<Self> {
        part.repetitions().into_iter().filter_map(Self::read).collect()
    }

    /// System and code of the first code whose system is known, else of the first.
    pub fn coded(&self) -> (Option<String>, Option<String>) {
        let known = self.codes.iter().find(|code| code.system.is_some()).or_else(|| self.codes.first());
        match known {
            Some(code) => (code.system.map(str::to_owned), Some(code.code.clone())),
            None => (None, None),
        }
    }

    /// The first code as it was sent.
    pub fn code(&self) -> Option<&str> {
        self.codes.first().map(|code| code.code.as_str())
    }

    pub fn has_code(&self, wanted: &[&str]) -> bool {
        self.codes.iter().any(|code| wanted.contains(&code.code.as_str()))
    }

    /// ` [SNOMED 44054006; ICD-10 E11.9]`, or nothing when no code is of a system people know.
    pub fn aside(&self) -> String {
        let known = self.codes.iter().filter(|code| code.system.is_some() && self.is_named).map(Code::words);
        let known = known.collect::<Vec<_>>();
        if known.is_empty() { String::new() } else { format!(" [{}]", known.join("; ")) }
    }

    /// Sensitive subjects that its codes or its name betray.
    pub fn sensitivity(&self) -> Vec<String> {
        let by_code = self.codes.iter().filter_map(|code| labels::by_code(code.system?, &code.code));
        by_code.chain(labels::by_name(&self.words)).map(str::to_owned).collect()
    }

    /// Well-formedness of each code whose system gives it a shape.
    pub fn is_malformed(&self) -> bool {
        let shaped = |code: &Code| {
            crate::stages::normalize::codes::well_formed(elements::system_name(code.system?)?, &code.code)
        };
        self.codes.iter().any(|code| shaped(code) == Some(false))
    }
}

impl Code {
    fn words(&self) -> String {
        match self.system.and_then(elements::system_name) {
            Some(system) => format!("{system} {}", self.code),
            None => self.code.clone(),
        }
    }
}

/// `; ` between what differs.
pub(super) fn joined(parts: impl IntoIterator<Item = String>) -> Option<String> {
    elements::joined(parts.into_iter())
}

/// A person's name (XPN): `Dr. Adam A Everyman III, MD`.
pub(super) fn name(part: Part<'_>) -> Option<String> {
    person(part, 1)
}

/// A person with an identifier before the name (XCN); the identifier where there is no name.
pub(super) fn clinician(part: Part<'_>) -> Option<String> {
    person(part, 2).or_else(|| part.component(1).subcomponent(1).line())
}

/// Everyone named in a field, each once.
pub(super) fn clinicians(part: Part<'_>) -> Option<String> {
    joined(part.repetitions().into_iter().filter_map(clinician))
}

fn person(part: Part<'_>, family: usize) -> Option<String> {
    let leaf = |offset: usize| part.component(family + offset).subcomponent(1).line();
    let words = [leaf(4), leaf(1), leaf(2), leaf(0), leaf(3)].into_iter().flatten().collect::<Vec<_>>();
    if leaf(0).is_none() && leaf(1).is_none() {
        return None;
    }
    let degree = leaf(5).map(|degree| format!(", {degree}")).unwrap_or_default();
    Some(tidy::bounded(&format!("{}{degree}", words.join(" ")), 200))
}

/// The name type of an XPN: `L` legal, `M` maiden, `A` alias.
pub(super) fn name_type(part: Part<'_>) -> Option<String> {
    part.component(7).text()
}

/// A place within a hospital (PL): `ICU, room 101, bed 2, North Hospital`.
pub(super) fn place(part: Part<'_>) -> Option<String> {
    let leaf = |number: usize| part.component(number).subcomponent(1).line();
    let labelled = |label: &str, number: usize| {
        let value = leaf(number)?;
        let has_label = value.to_lowercase().contains(label);
        Some(if has_label { value } else { format!("{label} {value}") })
    };
    let parts = [leaf(1), labelled("room", 2), labelled("bed", 3), leaf(4), leaf(7), leaf(9)];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| tidy::bounded(&parts.join(", "), 300))
}

/// A postal address (XAD) in one line.
pub(super) fn address(part: Part<'_>) -> Option<String> {
    let leaf = |number: usize| part.component(number).subcomponent(1).line();
    let street = {
        let field = part.component(1);
        joined([field.subcomponent(1).line(), field.subcomponent(2).line()].into_iter().flatten())
            .map(|street| street.replace("; ", " "))
    };
    let parts = [street, leaf(2), leaf(3), leaf(4), leaf(5), leaf(6)].into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| tidy::bounded(&parts.join(", "), 300))
}

/// A telephone number or e-mail address (XTN), and what to call it.
pub(super) fn telecom(part: Part<'_>) -> Option<(&'static str, String)> {
    let leaf = |number: usize| part.component(number).line();
    if let Some(mail) = leaf(4).filter(|mail| mail.contains('@')) {
        return Some(("Email", mail));
    }
    let dialled = || {
        let digits = [leaf(5), leaf(6), leaf(7)].into_iter().flatten().collect::<Vec<_>>();
        leaf(7).map(|_| digits.join(" "))
    };
    let number = leaf(1).or_else(|| leaf(12)).or_else(dialled)?;
    if !number.contains(|c: char| c.is_ascii_digit() || c == '@') {
        return None;
    }
    let label = match (leaf(2).as_deref(), leaf(3).as_deref()) {
        _ if number.contains('@') => "Email",
        (_, Some("FX")) => "Fax",
        (_, Some("CP")) | (Some("PRS"), _) => "Mobile",
        (Some("WPN"), _) => "Work phone",
        _ => "Phone",
    };
    Some((label, tidy::bounded(&number, 60)))
}

/// The identifier of a CX or EI: its first component, else whichever of the others names it.
pub(super) fn identifier(part: Part<'_>) -> Option<String> {
    let leaf = |number: usize| part.component(number).subcomponent(1).line();
    let id = leaf(1).or_else(|| leaf(3)).or_else(|| leaf(2))?;
    Some(id.chars().take(MAX_IDENTIFIER).collect())
}

/// `10 mL`, `100 USD`: a number with a unit in the next component or subcomponent.
pub(super) fn amount(part: Part<'_>) -> Option<String> {
    let number = part.component(1);
    let value = number.subcomponent(1).line()?;
    let unit = number.subcomponent(2).line().or_else(|| part.component(2).subcomponent(1).line());
    Some(match unit {
        Some(unit) => format!("{value} {unit}"),
        None => value,
    })
}

/// A unit of measure (CE, CWE): its code, which is what is printed beside a number.
pub(super) fn unit(part: Part<'_>) -> Option<String> {
    [1, 2].into_iter().find_map(|number| part.component(number).subcomponent(1).line())
}

/// A drug's or an organisation's name as words, codes left out.
pub(super) fn organization(part: Part<'_>) -> Option<String> {
    part.component(1).subcomponent(1).line()
}

/// Whether a flag says yes.
pub(super) fn is_yes(text: Option<String>) -> bool {
    text.is_some_and(|text| matches!(text.to_ascii_uppercase().as_str(), "Y" | "YES" | "1" | "T" | "TRUE"))
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;

    fn with<T>(field: &str, read: impl Fn(Part<'_>) -> T) -> T {
        let text = format!("MSH|^~\\&|\rZZZ|{field}");
        let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
        read(message.segments[1].field(1))
    }

    #[test]
    fn a_concept_has_the_words_people_use_and_the_codes_they_know() {
        let concept = with("4548-4^Hemoglobin A1c^LN^A1C^HbA1c^L", Concept::read).unwrap();
        assert_eq!((concept.words.as_str(), concept.aside().as_str()), ("Hemoglobin A1c", " [LOINC 4548-4]"));
        let alternate = with("77^^L^E11.9^Type 2 diabetes^I10C", Concept::read).unwrap();
        assert_eq!(alternate.words, "Type 2 diabetes");
        assert_eq!(alternate.coded().1.as_deref(), Some("E11.9"));
        let original = with("^^^^^^^^Salmonella species", Concept::read).unwrap();
        assert_eq!(original.words, "Salmonella species");
        let bare = with("4548-4^^LN", Concept::read).unwrap();
        assert_eq!((bare.words.as_str(), bare.aside().as_str()), ("LOINC 4548-4", ""));
    }

    #[test]
    fn codes_betray_their_subject() {
        assert_eq!(with("F11.20^Dependence^I10", Concept::read).unwrap().sensitivity(), ["SUD"]);
    }

    #[test]
    fn people_places_and_numbers_read_as_people_write_them() {
        assert_eq!(with("EVERYMAN&van^ADAM^A^III^Dr.^MD", name).as_deref(), Some("Dr. ADAM A EVERYMAN III, MD"));
        assert_eq!(with("9^Chu^Mei", clinician).as_deref(), Some("Mei Chu"));
        assert_eq!(with("John Smith", clinician).as_deref(), Some("John Smith"));
        assert_eq!(with("ICU^101^2^North", place).as_deref(), Some("ICU, room 101, bed 2, North"));
        assert_eq!(
            with("1 Elm St&Elm St^^Bend^OR^97701", address).as_deref(),
            Some("1 Elm St Elm St, Bend, OR, 97701")
        );
        assert_eq!(with("^WPN^PH^^1^541^5550100", telecom), Some(("Work phone", "1 541 5550100".to_owned())));
        assert_eq!(with("^NET^Internet^a@b.example", telecom), Some(("Email", "a@b.example".to_owned())));
        assert_eq!(with("100&USD", amount).as_deref(), Some("100 USD"));
        assert_eq!(with("2^mL", amount).as_deref(), Some("2 mL"));
        assert_eq!(with("^^1.2.3^ISO", identifier).as_deref(), Some("1.2.3"));
    }
}
