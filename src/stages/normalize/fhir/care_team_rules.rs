//! CareTeam as a list for access: which practitioners look after the patient, and when.
//!
//! Whoever isn't told in full (no reference, a time that can't be read) is left out: a list widens what they may see.

use crate::domain::{Membership, Timestamp};

use super::super::json::Json;
use super::consent_rules::parse;

/// Only who treats: relatives, organizations and other teams come under other rules.
const TREATING: [&str; 2] = ["Practitioner", "PractitionerRole"];

/// Those whom the record names; nobody when the team isn't at work.
pub fn members(bytes: &[u8]) -> Vec<Membership> {
    let Some(body) = parse(bytes, "CareTeam") else { return Vec::new() };
    let Some(during) = (body.text("status") == Some("active")).then(|| bounds(&body)).flatten() else {
        return Vec::new();
    };
    let membership = |participant: &Json| {
        let member = participant.get("member")?.text("reference")?;
        let (from, to) = bounds(participant)?;
        is_treating(member).then(|| Membership {
            member: member.to_owned(),
            from: from.max(during.0),
            to: [to, during.1].into_iter().flatten().min(),
        })
    };
    body.list("participant").iter().filter_map(membership).collect()
}

/// `https://ehr.example/fhir/Practitioner/7` as well as `Practitioner/7`.
fn is_treating(reference: &str) -> bool {
    let mut parts = reference.rsplit('/');
    parts.next().is_some_and(|id| !id.is_empty()) && parts.next().is_some_and(|kind| TREATING.contains(&kind))
}

/// From when and until when; `None` when a bound is there and can't be read.
fn bounds(of: &Json) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    let bound = |name: &str, parse: fn(&str) -> Option<Timestamp>| match of.get("period").and_then(|p| p.text(name)) {
        Some(text) => parse(text).map(Some),
        None => Some(None),
    };
    Some((bound("start", Timestamp::parse)?, bound("end", Timestamp::parse_end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &str) -> Vec<Membership> {
        members(format!(r#"{{"resourceType":"CareTeam","status":"active",{parts}}}"#).as_bytes())
    }

    #[test]
    fn practitioners_are_members_for_the_time_of_both_periods() {
        let team = of(r#""period":{"start":"2024-01-01","end":"2024-12-31"},"participant":[
            {"member":{"reference":"Practitioner/7"}},
            {"member":{"reference":"https://ehr.example/PractitionerRole/8"},"period":{"start":"2024-03-01","end":"2030-01-01"}}]"#);
        let named: Vec<_> = team.iter().map(|one| (one.member.as_str(), one.from, one.to)).collect();
        let (from, to) = (Timestamp::parse, Timestamp::parse_end);
        assert_eq!(
            named,
            [
                ("Practitioner/7", from("2024-01-01"), to("2024-12-31")),
                ("https://ehr.example/PractitionerRole/8", from("2024-03-01"), to("2024-12-31")),
            ]
        );
    }

    #[test]
    fn who_does_not_treat_or_is_not_told_in_full_is_left_out() {
        for participant in [
            r#"{"member":{"reference":"RelatedPerson/7"}}"#,
            r#"{"member":{"reference":"Patient/p1"}}"#,
            r#"{"member":{"reference":"Organization/7"}}"#,
            r#"{"member":{"reference":"Practitioner/"}}"#,
            r#"{"member":{"display":"Dr. Grey"}}"#,
            r#"{"member":{"reference":"Practitioner/7"},"period":{"end":"soon"}}"#,
            r#"{"role":[{"text":"Nurse"}]}"#,
        ] {
            assert!(of(&format!(r#""participant":[{participant}]"#)).is_empty(), "{participant}");
        }
        let member = r#""participant":[{"member":{"reference":"Practitioner/7"}}]"#;
        assert_eq!(of(member).len(), 1);
        assert!(of(&format!(r#""period":{{"start":"x"}},{member}"#)).is_empty());
        for status in ["proposed", "suspended", "inactive", "entered-in-error"] {
            let team = format!(r#"{{"resourceType":"CareTeam","status":"{status}",{member}}}"#);
            assert!(members(team.as_bytes()).is_empty(), "{status}");
        }
        assert!(members(format!(r#"{{"resourceType":"CareTeam",{member}}}"#).as_bytes()).is_empty());
    }

    #[test]
    fn xml_reads_alike() {
        let xml = br#"<CareTeam xmlns="http://hl7.org/fhir"><status value="active"/>
            <participant><member><reference value="Practitioner/7"/></member></participant></CareTeam>"#;
        assert_eq!(members(xml).len(), 1);
    }
}
