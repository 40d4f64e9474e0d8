//! What codes mean: lists kept as data in `codes.txt`, and which of them betray a sensitive subject.
//!
//! The outside lists change three times a year, so a code that isn't listed is shown with its number.

use std::collections::HashMap;
use std::sync::LazyLock;

/// `# list`, then a line `code<TAB>meaning` for each code.
const DATA: &str = include_str!("codes.txt");

static CODES: LazyLock<HashMap<(&'static str, &'static str), &'static str>> = LazyLock::new(|| {
    let mut codes = HashMap::new();
    let mut list = "";
    for line in DATA.lines() {
        match (line.strip_prefix("# "), line.split_once('\t')) {
            (Some(name), _) => list = name,
            (None, Some((code, meaning))) => {
                codes.insert((list, code), meaning);
            }
            _ => {}
        }
    }
    codes
});

/// A list of `codes.txt`, by its heading.
#[derive(Clone, Copy, Debug)]
pub(super) struct List(&'static str);

macro_rules! lists {
    ($($name:ident = $heading:literal;)*) => {
        $(pub(super) const $name: List = List($heading);)*
        #[cfg(test)]
        const ALL: &[List] = &[$($name),*];
    };
}

lists! {
    ACCIDENT = "accident";
    ACKNOWLEDGED = "acknowledged";
    ADJUSTMENT_GROUP = "adjustment group";
    ADJUSTMENT_REASON = "adjustment reason";
    ADMISSION_TYPE = "admission type";
    AMOUNT = "amount";
    BENEFIT = "benefit";
    BENEFIT_PERIOD = "benefit period";
    BENEFIT_STATUS = "benefit status";
    BILL_TYPE = "bill type";
    CERTIFICATION = "certification";
    CLAIM_STATUS = "claim status";
    COVERAGE_LEVEL = "coverage level";
    DATE = "date";
    DECISION = "decision";
    DIAGNOSIS = "diagnosis";
    DISCHARGE = "discharge";
    EMPLOYMENT = "employment";
    FREQUENCY = "frequency";
    INSURANCE = "insurance";
    INSURANCE_TYPE = "insurance type";
    MAINTENANCE = "maintenance";
    MAINTENANCE_REASON = "maintenance reason";
    NOTE = "note";
    PARTY = "party";
    PAYER_ORDER = "payer order";
    PLACE = "place";
    PRESENT_ON_ADMISSION = "present on admission";
    PRODUCT = "product";
    PROVIDER_ADJUSTMENT = "provider adjustment";
    QUANTITY = "quantity";
    REFERENCE = "reference";
    REFUSAL = "refusal";
    RELATIONSHIP = "relationship";
    REMARK = "remark";
    REQUEST_CATEGORY = "request category";
    REVIEW_REASON = "review reason";
    SERVICE_TYPE = "service type";
    STATUS = "status";
    STATUS_CATEGORY = "status category";
    UNIT = "unit";
}

impl List {
    pub fn meaning(self, code: &str) -> Option<&'static str> {
        CODES.get(&(self.0, code)).copied()
    }

    /// The meaning alone, or `code 999 (meaning unknown)`.
    pub fn words(self, code: &str) -> String {
        self.meaning(code).map_or_else(|| format!("code {code} (meaning unknown)"), str::to_owned)
    }

    /// The meaning with its code: `office (11)`, or `code 999 (meaning unknown)`.
    pub fn coded(self, code: &str) -> String {
        self.meaning(code).map_or_else(|| self.words(code), |meaning| format!("{meaning} ({code})"))
    }

    /// As [`Self::coded`], but nothing for an empty code.
    pub fn given(self, code: &str) -> Option<String> {
        (!code.is_empty()).then(|| self.coded(code))
    }
}

/// First and last code of a range (compared as text, to the length of the range's ends), and its subject.
type Ranges = [(&'static str, &'static str, &'static str)];

const PROCEDURES: &Ranges = &[
    ("H0001", "H0022", "SUD"),
    ("H0028", "H0029", "SUD"),
    ("H0033", "H0033", "SUD"),
    ("H0047", "H0050", "SUD"),
    ("H2034", "H2036", "SUD"),
    ("T1006", "T1012", "SUD"),
    ("G2067", "G2080", "SUD"),
    ("G0396", "G0397", "SUD"),
    ("99408", "99409", "SUD"),
    ("H0030", "H0032", "PSY"),
    ("H0034", "H0046", "PSY"),
    ("90785", "90899", "PSY"),
    ("86689", "86689", "HIV"),
    ("86701", "86703", "HIV"),
    ("87389", "87391", "HIV"),
    ("87534", "87539", "HIV"),
    ("87806", "87806", "HIV"),
];

/// Old claims: ICD-9-CM categories.
const ICD_9: &Ranges = &[
    ("042", "042", "HIV"),
    ("V08", "V08", "HIV"),
    ("090", "099", "STD"),
    ("291", "292", "SUD"),
    ("303", "305", "SUD"),
    ("290", "319", "PSY"),
    ("995", "995", "SDV"),
];

const PLACES: &Ranges = &[("51", "53", "PSY"), ("56", "56", "PSY"), ("55", "55", "SUD"), ("57", "58", "SUD")];

const SERVICE_TYPES: &[(&str, &str)] = &[
    ("MH", "PSY"),
    ("A4", "PSY"),
    ("A5", "PSY"),
    ("A6", "PSY"),
    ("A7", "PSY"),
    ("A8", "PSY"),
    ("BB", "PSY"),
    ("BC", "PSY"),
    ("CE", "PSY"),
    ("CF", "PSY"),
    ("CG", "PSY"),
    ("CH", "PSY"),
    ("RT", "PSY"),
    ("AI", "SUD"),
    ("AJ", "SUD"),
    ("AK", "SUD"),
    ("CI", "SUD"),
    ("CJ", "SUD"),
    ("84", "SEX"),
    ("85", "HIV"),
];

/// Beginnings of provider taxonomy codes.
const TAXONOMIES: &[(&str, &str)] = &[
    ("261QR0405", "SUD"),
    ("261QM2800", "SUD"),
    ("324500000", "SUD"),
    ("3245S0500", "SUD"),
    ("276400000", "SUD"),
    ("101YA0400", "SUD"),
    ("103TA0400", "SUD"),
    ("207LA0401", "SUD"),
    ("207QA0401", "SUD"),
    ("207RA0401", "SUD"),
    ("2083A0300", "SUD"),
    ("2084A0401", "SUD"),
    ("2084P0802", "SUD"),
    ("101YM0800", "PSY"),
    ("103T", "PSY"),
    ("2084P08", "PSY"),
    ("2084P0015", "PSY"),
    ("261QM0801", "PSY"),
    ("261QM0850", "PSY"),
    ("261QM0855", "PSY"),
    ("273R", "PSY"),
    ("283Q", "PSY"),
    ("320800000", "PSY"),
    ("322D", "PSY"),
    ("323P", "PSY"),
];

const REVENUES: &Ranges = &[
    ("0114", "0114", "PSY"),
    ("0124", "0124", "PSY"),
    ("0134", "0134", "PSY"),
    ("0116", "0116", "SUD"),
    ("0126", "0126", "SUD"),
    ("0136", "0136", "SUD"),
    ("0900", "0905", "PSY"),
    ("0906", "0906", "SUD"),
    ("0907", "0919", "PSY"),
    ("0944", "0945", "SUD"),
];

const GROUPS: &Ranges = &[("876", "876", "PSY"), ("880", "887", "PSY"), ("894", "897", "SUD"), ("969", "977", "HIV")];

fn in_ranges(ranges: &Ranges, code: &str) -> Option<&'static str> {
    let within = |first: &str, last: &str| code.len() == first.len() && (first..=last).contains(&code);
    ranges.iter().find(|(first, last, _)| within(first, last)).map(|(_, _, subject)| *subject)
}

pub(super) fn subject_of_procedure(code: &str) -> Option<&'static str> {
    in_ranges(PROCEDURES, code)
}

/// `code` with or without its dot. Of `995` only 995.5 and 995.8 tell of abuse.
pub(super) fn subject_of_icd_9(code: &str) -> Option<&'static str> {
    let category = code.get(..3)?;
    let detail = code.trim_start_matches(category).trim_start_matches('.');
    in_ranges(ICD_9, category).filter(|_| category != "995" || detail.starts_with(['5', '8']))
}

pub(super) fn subject_of_place(code: &str) -> Option<&'static str> {
    in_ranges(PLACES, code)
}

pub(super) fn subject_of_service_type(code: &str) -> Option<&'static str> {
    SERVICE_TYPES.iter().find(|(exact, _)| *exact == code).map(|(_, subject)| *subject)
}

pub(super) fn subject_of_taxonomy(code: &str) -> Option<&'static str> {
    TAXONOMIES.iter().find(|(start, _)| code.starts_with(start)).map(|(_, subject)| *subject)
}

/// With or without the leading zero.
pub(super) fn subject_of_revenue(code: &str) -> Option<&'static str> {
    in_ranges(REVENUES, &format!("{code:0>4}"))
}

/// A diagnosis-related group.
pub(super) fn subject_of_group(code: &str) -> Option<&'static str> {
    in_ranges(GROUPS, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_that_is_named_is_there_and_no_code_stands_twice() {
        for list in ALL {
            assert!(CODES.keys().any(|(name, _)| *name == list.0), "{}", list.0);
        }
        let lines = DATA.lines().filter(|line| !line.starts_with("# ")).count();
        assert_eq!(lines, CODES.len());
        let headings = DATA.lines().filter_map(|line| line.strip_prefix("# "));
        for heading in headings {
            assert!(ALL.iter().any(|list| list.0 == heading), "{heading} is not used");
        }
    }

    #[test]
    fn a_code_that_is_not_listed_is_shown_all_the_same() {
        assert_eq!(ADJUSTMENT_REASON.coded("45"), "above the fee schedule or contract (45)");
        assert_eq!(ADJUSTMENT_REASON.coded("999"), "code 999 (meaning unknown)");
        assert_eq!(PLACE.given(""), None);
    }

    #[test]
    fn codes_betray_their_subject() {
        assert_eq!(subject_of_procedure("90837"), Some("PSY"));
        assert_eq!(subject_of_procedure("H0020"), Some("SUD"));
        assert_eq!(subject_of_procedure("99213"), None);
        assert_eq!(subject_of_procedure("9083"), None);
        assert_eq!((subject_of_place("55"), subject_of_place("11")), (Some("SUD"), None));
        assert_eq!((subject_of_icd_9("303.90"), subject_of_icd_9("3004")), (Some("SUD"), Some("PSY")));
        assert_eq!((subject_of_icd_9("99553"), subject_of_icd_9("995.2")), (Some("SDV"), None));
        assert_eq!(
            (subject_of_icd_9("V08"), subject_of_icd_9("E8190"), subject_of_icd_9("4")),
            (Some("HIV"), None, None)
        );
        assert_eq!(subject_of_taxonomy("261QR0405X"), Some("SUD"));
        assert_eq!((subject_of_revenue("900"), subject_of_revenue("0300")), (Some("PSY"), None));
        assert_eq!((subject_of_group("896"), subject_of_service_type("AI")), (Some("SUD"), Some("SUD")));
    }
}
