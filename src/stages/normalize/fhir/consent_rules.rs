//! Consent as rules for access: what an active privacy consent permits and denies.
//!
//! A narrowing that isn't understood is left out of a denial, which then denies more, and makes a permission void.

use crate::domain::{Provision, Timestamp};

use super::super::json::Json;
use super::super::xml::Tree;
use super::xml;

const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
const PRIVACY: &str = "patient-privacy";
/// Provisions within provisions, as deep as any real consent goes.
const MAX_DEPTH: usize = 6;
/// Acts that bear on reading.
const READING: [&str; 3] = ["access", "use", "disclose"];

/// What the record's root provision says; `None` when it bears on nobody's reading.
pub fn provision(bytes: &[u8]) -> Option<Provision> {
    let body = parse(bytes, "Consent")?;
    let is_about_privacy = body.get("scope").is_none_or(|scope| codes(scope).any(|(_, code)| code == PRIVACY));
    if body.text("status") != Some("active") || !is_about_privacy {
        return None;
    }
    let opts_out = body.get("policyRule").is_some_and(|rule| codes(rule).any(|(_, code)| code.starts_with("OPTOUT")));
    let empty = Json::Object(Vec::new());
    let root = body.get("provision").unwrap_or(&empty);
    let denies = match root.text("type") {
        Some(kind) => kind == "deny",
        None => opts_out,
    };
    read(root, denies, 0)
}

/// The record, JSON or XML, if it is of this type.
pub(super) fn parse(bytes: &[u8], resource_type: &str) -> Option<Json> {
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}');
    let body = if text.trim_start().starts_with('<') {
        xml::resource(Tree::parse(text).ok()?.root())
    } else {
        Json::parse(text).ok()?
    };
    (body.text("resourceType") == Some(resource_type)).then_some(body)
}

/// `None` for a provision that can't be held to, or that isn't about reading.
fn read(provision: &Json, denies: bool, depth: usize) -> Option<Provision> {
    let actions: Vec<&str> = provision.list("action").iter().flat_map(codes).map(|(_, code)| code).collect();
    let is_about_reading = actions.is_empty() || actions.iter().any(|action| READING.contains(action));
    let (actors, actors_known) = actors(provision);
    let (types, types_known) = types(provision);
    let is_understood = actors_known && types_known && provision.list("data").is_empty() && depth <= MAX_DEPTH;
    if !is_about_reading || (!denies && !is_understood) {
        return None;
    }
    let nested = provision.list("provision").iter();
    let exceptions = nested.filter_map(|inner| read(inner, inner.text("type") != Some("permit"), depth + 1));
    let code_of = |name: &str| provision.list(name).iter().filter_map(|coding| coding.text("code")).map(str::to_owned);
    let period = |name: &str, end: &str, parse: fn(&str) -> Option<Timestamp>| {
        provision.get(name).and_then(|period| period.text(end)).and_then(parse)
    };
    Some(Provision {
        denies,
        actors: if actors_known { actors } else { Vec::new() },
        from: period("period", "start", Timestamp::parse),
        to: period("period", "end", Timestamp::parse_end),
        data_from: period("dataPeriod", "start", Timestamp::parse),
        data_to: period("dataPeriod", "end", Timestamp::parse_end),
        labels: code_of("securityLabel").collect(),
        types: if types_known { types } else { Vec::new() },
        codes: provision
            .list("code")
            .iter()
            .flat_map(codes)
            .map(|(system, code)| format!("{}|{code}", system.unwrap_or_default()))
            .collect(),
        purposes: code_of("purpose").collect(),
        exceptions: if depth < MAX_DEPTH { exceptions.collect() } else { Vec::new() },
    })
}

/// Those it is about, and whether all of them could be told.
fn actors(provision: &Json) -> (Vec<String>, bool) {
    let listed = provision.list("actor");
    let named = listed.iter().filter_map(|actor| {
        let reference = actor.get("reference")?;
        let by_identifier = || reference.get("identifier").and_then(|identifier| identifier.text("value"));
        reference.text("reference").or_else(by_identifier).map(str::to_owned)
    });
    let named: Vec<String> = named.collect();
    let all = named.len() == listed.len();
    (named, all)
}

/// The FHIR types it is about, and whether all its classes are such.
fn types(provision: &Json) -> (Vec<String>, bool) {
    let classes = provision.list("class");
    let of_type = |class: &&Json| class.text("system").is_none_or(|system| system == RESOURCE_TYPES);
    let types: Vec<String> =
        classes.iter().filter(of_type).filter_map(|class| class.text("code")).map(str::to_owned).collect();
    let all = types.len() == classes.len();
    (types, all)
}

fn codes(concept: &Json) -> impl Iterator<Item = (Option<&str>, &str)> {
    concept.list("coding").iter().filter_map(|coding| Some((coding.text("system"), coding.text("code")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(provision_part: &str) -> Option<Provision> {
        provision(format!(r#"{{"resourceType":"Consent","status":"active",{provision_part}}}"#).as_bytes())
    }

    #[test]
    fn a_provision_is_read_with_all_that_narrows_it() {
        let read = of(r#""provision":{"type":"deny","period":{"start":"2024-01-01","end":"2024-12-31"},
            "actor":[{"reference":{"reference":"Practitioner/7"}}],"securityLabel":[{"code":"PSY"}],
            "purpose":[{"code":"HRESCH"}],"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}],
            "code":[{"coding":[{"system":"http://loinc.org","code":"1-2"}]}],
            "provision":[{"type":"permit","class":[{"code":"Observation"}]}]}"#)
        .unwrap();
        assert!(read.denies && !read.exceptions[0].denies);
        assert_eq!((read.actors, read.labels), (vec!["Practitioner/7".to_owned()], vec!["PSY".to_owned()]));
        assert_eq!((read.types, read.purposes), (vec!["Condition".to_owned()], vec!["HRESCH".to_owned()]));
        assert_eq!(read.codes, ["http://loinc.org|1-2"]);
        assert_eq!(read.from, Timestamp::parse("2024-01-01"));
        assert_eq!(read.to, Timestamp::parse_end("2024-12-31"));
        assert_eq!(read.exceptions[0].types, ["Observation"]);
    }

    #[test]
    fn what_is_not_in_force_or_about_something_else_says_nothing() {
        assert!(provision(br#"{"resourceType":"Consent","status":"inactive","provision":{"type":"deny"}}"#).is_none());
        assert!(of(r#""scope":{"coding":[{"code":"research"}]},"provision":{"type":"deny"}"#).is_none());
        assert!(of(r#""provision":{"type":"deny","action":[{"coding":[{"code":"collect"}]}]}"#).is_none());
        assert!(of(r#""scope":{"coding":[{"code":"patient-privacy"}]},"provision":{"type":"deny"}"#).is_some());
    }

    #[test]
    fn what_is_not_understood_denies_more_and_permits_less() {
        let unknown = r#""actor":[{"role":{"text":"someone"}}],"class":[{"system":"urn:x","code":"y"}],
            "data":[{"meaning":"instance","reference":{"reference":"Observation/1"}}]"#;
        let denied = of(&format!(r#""provision":{{"type":"deny",{unknown}}}"#)).unwrap();
        assert!(denied.actors.is_empty() && denied.types.is_empty());
        let permitted = of(&format!(r#""provision":{{"type":"deny","provision":[{{"type":"permit",{unknown}}}]}}"#));
        assert!(permitted.unwrap().exceptions.is_empty());
    }

    #[test]
    fn an_opt_out_denies_and_xml_reads_alike() {
        let policy = r#""policyRule":{"coding":[{"code":"OPTOUTE"}]}"#;
        assert!(of(policy).unwrap().denies);
        let xml = br#"<Consent xmlns="http://hl7.org/fhir"><status value="active"/><provision><type value="deny"/>
            <securityLabel><code value="PSY"/></securityLabel></provision></Consent>"#;
        let read = provision(xml).unwrap();
        assert!(read.denies);
        assert_eq!(read.labels, ["PSY"]);
    }
}
