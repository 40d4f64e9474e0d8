//! The codes by which FHIR token searches find a resource, for scopes and consents that name them.

use crate::domain::{coded, resource_types};

use super::super::json::Json;

/// Each as `parameter=system|code`, sorted, without repeats.
pub(super) fn codes(name: &str, body: &Json) -> Vec<String> {
    let mut found = Vec::new();
    for (parameter, element) in resource_types::parameters_of(Some(name)) {
        if let Some(value) = body.at(element) {
            gather(value, parameter, &mut found);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A code, a Coding, a CodeableConcept, or a list of any of them.
fn gather(value: &Json, parameter: &str, found: &mut Vec<String>) {
    match value {
        Json::Text(code) => keep(parameter, "", code, found),
        Json::List(items) => items.iter().for_each(|item| gather(item, parameter, found)),
        Json::Object(_) => {
            if let Some(code) = value.text("code") {
                keep(parameter, value.text("system").unwrap_or_default(), code, found);
            }
            value.list("coding").iter().for_each(|coding| gather(coding, parameter, found));
        }
        _ => {}
    }
}

/// What could be taken apart in another way than it was put together is left out: it then matches nothing.
fn keep(parameter: &str, system: &str, code: &str, found: &mut Vec<String>) {
    let is_plain = |text: &str| !text.contains(['|', '\n', '\r']);
    if !code.is_empty() && is_plain(system) && is_plain(code) {
        found.push(coded(parameter, system, code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_finds_its_element_in_whatever_form_it_has() {
        let body = Json::parse(
            r#"{"meta":{"security":[{"system":"http://s","code":"R"}],"tag":[{"code":"t"}]},
            "status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-2"},{"system":"l","code":"x"}]},
            "category":[{"coding":[{"system":"http://c","code":"laboratory"}]},{"text":"words"}],
            "valueCodeableConcept":{"coding":[{"system":"http://v","code":"v"}]}}"#,
        );
        assert_eq!(
            codes("Observation", &body.unwrap()),
            [
                "_security=http://s|R",
                "_tag=|t",
                "category=http://c|laboratory",
                "code=http://loinc.org|1-2",
                "code=l|x",
                "status=|final",
            ]
        );
    }

    #[test]
    fn codes_that_would_be_misread_are_left_out() {
        let body = Json::parse(r#"{"category":[{"coding":[{"system":"a|b","code":"c"},{"code":"d|e"}]}]}"#).unwrap();
        assert!(codes("Condition", &body).is_empty());
    }
}
