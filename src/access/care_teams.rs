//! Whom a practitioner reaches by being in a care team, at this moment.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{CareTeam, PatientId, Timestamp};

/// The care teams of a tenant, by who is in them.
#[derive(Clone, Debug, Default)]
pub(super) struct CareTeams {
    by_member: HashMap<String, Vec<Charge>>,
}

#[derive(Clone, Debug)]
struct Charge {
    patient: PatientId,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl CareTeams {
    pub fn new(teams: impl IntoIterator<Item = CareTeam>) -> Self {
        let mut by_member: HashMap<String, Vec<Charge>> = HashMap::new();
        for team in teams {
            for membership in team.members {
                let charge = Charge { patient: team.patient.clone(), from: membership.from, to: membership.to };
                by_member.entry(membership.member).or_default().push(charge);
            }
        }
        Self { by_member }
    }

    /// The patients of whoever comes as `fhir_user`; `None` who is in no team now.
    ///
    /// `https://ehr.example/fhir/Practitioner/7` is who stands in a team as that or as `Practitioner/7`.
    pub fn patients_of(&self, fhir_user: &str, now: Timestamp) -> Option<BTreeSet<PatientId>> {
        let is_at_work =
            |charge: &&Charge| charge.from.is_none_or(|from| from <= now) && charge.to.is_none_or(|to| now <= to);
        let names = BTreeSet::from([fhir_user, type_and_id(fhir_user)]);
        let charges = names.into_iter().filter_map(|name| self.by_member.get(name)).flatten();
        let patients: BTreeSet<PatientId> = charges.filter(is_at_work).map(|charge| charge.patient.clone()).collect();
        (!patients.is_empty()).then_some(patients)
    }
}

/// The last two parts of a reference.
fn type_and_id(reference: &str) -> &str {
    reference.rmatch_indices('/').nth(1).map_or(reference, |(slash, _)| &reference[slash + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Membership;

    #[test]
    fn a_member_reaches_the_team_s_patient_for_as_long_as_both_last() {
        let at = Timestamp::from_micros;
        let team = |patient: &str, member: &str, from, to| CareTeam {
            patient: PatientId::new(patient),
            members: vec![Membership { member: member.to_owned(), from, to }],
        };
        let teams = CareTeams::new([
            team("p1", "Practitioner/7", Some(at(10)), Some(at(20))),
            team("p2", "https://ehr.example/fhir/Practitioner/7", None, None),
            team("p3", "https://other.example/fhir/Practitioner/7", None, None),
            team("p4", "Practitioner/17", None, None),
        ]);
        let reached = |who: &str, now| {
            let patients = teams.patients_of(who, at(now)).unwrap_or_default();
            patients.iter().map(|patient| patient.as_str().to_owned()).collect::<Vec<_>>()
        };
        let absolute = "https://ehr.example/fhir/Practitioner/7";
        for (who, now, expected) in [
            (absolute, 9, vec!["p2"]),
            (absolute, 10, vec!["p1", "p2"]),
            (absolute, 20, vec!["p1", "p2"]),
            (absolute, 21, vec!["p2"]),
            ("Practitioner/7", 15, vec!["p1"]),
            ("7", 15, vec![]),
            ("xPractitioner/7", 15, vec![]),
            ("", 15, vec![]),
        ] {
            assert_eq!(reached(who, now), expected, "{who} at {now}");
        }
        assert_eq!(teams.patients_of("Practitioner/7", at(21)), None);
    }
}
