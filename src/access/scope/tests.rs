//! A table of scopes, and an independent reading of the grammar to hold ours against.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::{Act, Clearance, Patients, Reach, Row};
use super::Scopes;
use crate::domain::{Kind, Labels, PatientId, Timestamp};

const TYPES: [&str; 3] = ["Observation", "Patient", "DocumentReference"];

fn patient(id: &str) -> PatientId {
    PatientId::new(id)
}

fn reach(scopes: &str, launch: Option<&str>, roster: Option<&[&str]>) -> Reach {
    let roster: Option<BTreeSet<PatientId>> = roster.map(|ids| ids.iter().map(|id| patient(id)).collect());
    let windows = Scopes::parse(scopes).windows(launch.map(patient).as_ref(), roster.as_ref());
    Reach::new(windows, Clearance::default())
}

fn covers(reach: &Reach, act: Act, whose: Option<&str>, resource_type: &str) -> bool {
    let (whose, labels) = (whose.map(patient), Labels::default());
    let as_of = Timestamp::from_micros(0);
    reach.covers(act, &Row { patient: whose.as_ref(), resource_type, kind: Kind::Other, labels: &labels, as_of })
}

/// `r`: may open, `s`: may search; for each of `TYPES` in turn, over patient `p1`.
fn seen(reach: &Reach, whose: Option<&str>) -> String {
    let rights = |resource_type: &&str| {
        let read = if covers(reach, Act::Read, whose, resource_type) { "r" } else { "-" };
        let search = if covers(reach, Act::Search, whose, resource_type) { "s" } else { "-" };
        format!("{read}{search}")
    };
    TYPES.iter().map(rights).collect::<Vec<_>>().join(" ")
}

#[test]
fn scopes_give_what_the_table_says() {
    // What is seen of Observation, Patient and DocumentReference of the launch patient.
    for (scopes, expected) in [
        ("", "-- -- --"),
        ("patient/*.rs", "rs rs rs"),
        ("patient/*.cruds", "rs rs rs"),
        ("patient/Observation.rs", "rs -- --"),
        ("patient/Observation.r", "r- -- --"),
        ("patient/Observation.s", "-- -- --"),
        ("patient/Observation.r patient/Observation.s", "rs -- --"),
        ("patient/*.s patient/Observation.r", "rs -- --"),
        ("patient/*.r patient/Observation.s", "rs r- r-"),
        ("patient/*.r patient/*.s", "rs rs rs"),
        ("patient/Observation.rs patient/Patient.r", "rs r- --"),
        ("user/Observation.r system/Observation.s", "rs -- --"),
        ("patient/Observation.read", "rs -- --"),
        ("patient/Observation.write", "-- -- --"),
        ("patient/Observation.*", "rs -- --"),
        ("patient/*.read", "rs rs rs"),
        ("patient/*.write", "-- -- --"),
        ("patient/*.*", "rs rs rs"),
        ("user/*.rs", "rs rs rs"),
        ("user/Patient.rs", "-- rs --"),
        ("system/*.rs", "rs rs rs"),
        ("system/DocumentReference.rs", "-- -- rs"),
        ("patient/*.cud", "-- -- --"),
        ("patient/*.crs", "rs rs rs"),
        ("patient/*.sr", "-- -- --"),
        ("patient/*.dus", "-- -- --"),
        ("patient/*.rr", "-- -- --"),
        ("patient/*.rsx", "-- -- --"),
        ("patient/*.", "-- -- --"),
        ("patient/*", "-- -- --"),
        ("patient/.rs", "-- -- --"),
        ("patient/observation.rs", "-- -- --"),
        ("patient/Obs*.rs", "-- -- --"),
        ("patient/Observation2.rs", "-- -- --"),
        ("patient/Observation.Read", "-- -- --"),
        ("patient/Observation.RS", "-- -- --"),
        ("Patient/*.rs", "-- -- --"),
        ("group/*.rs", "-- -- --"),
        ("/*.rs", "-- -- --"),
        ("patient//*.rs", "-- -- --"),
        ("patient/*.rs.rs", "-- -- --"),
        ("patient/*.rs\tuser/*.rs", "-- -- --"),
        ("patient/*.rs?", "-- -- --"),
        ("patient/Observation.rs?category=laboratory", "-- -- --"),
        ("patient/Observation.rs?category=laboratory patient/Patient.rs", "-- rs --"),
        ("patient/Observation.rs?category=a.read", "-- -- --"),
        ("openid fhirUser launch/patient online_access", "-- -- --"),
        ("openid  patient/Observation.rs  profile", "rs -- --"),
        ("anamnesis/admin.reindex", "-- -- --"),
        ("* */*.* *.rs", "-- -- --"),
    ] {
        assert_eq!(seen(&reach(scopes, Some("p1"), None), Some("p1")), expected, "{scopes}");
    }
}

#[test]
fn whose_data_a_scope_reaches() {
    // Seen of p1, of p2, and of rows that belong to no patient.
    type Case = (&'static str, Option<&'static str>, Option<&'static [&'static str]>, [bool; 3]);
    let cases: [Case; 12] = [
        ("patient/*.rs", Some("p1"), None, [true, false, false]),
        ("patient/*.rs", None, None, [false, false, false]),
        ("patient/*.rs", None, Some(&["p1"]), [false, false, false]),
        ("patient/*.rs", Some("p1"), Some(&["p2"]), [true, false, false]),
        ("user/*.rs", None, None, [true, true, true]),
        ("user/*.rs", Some("p1"), None, [true, true, true]),
        ("user/*.rs", None, Some(&["p2"]), [false, true, false]),
        ("user/*.rs", None, Some(&[]), [false, false, false]),
        ("user/*.rs patient/*.rs", Some("p1"), Some(&["p2"]), [true, true, false]),
        ("user/*.rs patient/*.rs", None, Some(&["p2"]), [false, true, false]),
        ("system/*.rs", None, None, [true, true, true]),
        ("system/*.rs", Some("p1"), Some(&["p2"]), [true, true, true]),
    ];
    for (scopes, launch, roster, expected) in cases {
        let reach = reach(scopes, launch, roster);
        let seen = [Some("p1"), Some("p2"), None].map(|whose| covers(&reach, Act::Search, whose, "Observation"));
        assert_eq!(seen, expected, "{scopes} {launch:?} {roster:?}");
    }
}

#[test]
fn rights_over_one_patient_are_not_joined_with_rights_over_others() {
    let reach = reach("user/Observation.s patient/Observation.r", Some("p1"), None);
    assert!(covers(&reach, Act::Read, Some("p1"), "Observation"));
    assert!(!covers(&reach, Act::Search, Some("p1"), "Observation"));
    assert!(!covers(&reach, Act::Read, Some("p2"), "Observation"));
}

#[test]
fn windows_are_as_few_as_they_can_be() {
    let windows = reach("user/*.r user/Observation.s user/Patient.s system/Observation.rs", None, None).windows;
    assert_eq!(windows.len(), 1);
    assert_eq!(*windows[0].patients(), Patients::Everyone);
    assert!(windows[0].opens(Act::Read, "Task") && !windows[0].opens(Act::Search, "Task"));
    assert!(windows[0].opens(Act::Search, "Observation") && windows[0].opens(Act::Search, "Patient"));
}

/// Every scope over one type or all, spelt out, with what it gives: (scope, context, type, read, search).
fn every_scope() -> Vec<(String, &'static str, &'static str, bool, bool)> {
    let letters = (1..32).map(|bits: u32| {
        let chosen: String = "cruds".chars().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, c)| c).collect();
        let (read, search) = (chosen.contains('r'), chosen.contains('s'));
        (chosen, read, search)
    });
    let words = [("read", true, true), ("write", false, false), ("*", true, true)];
    let words = words.into_iter().map(|(word, read, search)| (word.to_owned(), read, search));
    let permissions: Vec<(String, bool, bool)> = letters.chain(words).collect();
    let mut scopes = Vec::new();
    for context in ["patient", "user", "system"] {
        for resource_type in TYPES.into_iter().chain(["*"]) {
            for (letters, read, search) in &permissions {
                let scope = format!("{context}/{resource_type}.{letters}");
                scopes.push((scope, context, resource_type, *read, *search));
            }
        }
    }
    scopes
}

/// Reads the claim by looking each word up among all scopes there are; `(read, search)` over one row.
fn reference(
    claim: &str,
    launch: Option<&str>,
    roster: Option<&[&str]>,
    whose: Option<&str>,
    what: &str,
) -> (bool, bool) {
    let known = every_scope();
    let words: Vec<&str> = claim.split(' ').collect();
    let applying = known.iter().filter(|(scope, context, resource_type, ..)| {
        let about = match *context {
            "patient" => launch.is_some() && launch == whose,
            "user" => roster.is_none_or(|roster| whose.is_some_and(|whose| roster.contains(&whose))),
            _ => true,
        };
        about && (*resource_type == "*" || *resource_type == what) && words.contains(&scope.as_str())
    });
    applying.fold((false, false), |(read, search), given| (read || given.3, search || given.4))
}

fn a_word() -> impl Strategy<Value = String> {
    let context = prop::sample::select(vec!["patient", "user", "system", "Patient", "group", ""]);
    let resource_type =
        prop::sample::select(vec!["Observation", "Patient", "DocumentReference", "*", "observation", ""]);
    let known = prop::sample::select(vec!["r", "s", "rs", "cruds", "cud", "read", "write", "*"]);
    let permissions = prop_oneof![3 => known.prop_map(str::to_owned), 1 => "[cruds]{0,5}", 1 => "[a-z*?=.|]{0,6}"];
    let suffix = prop::sample::select(vec!["", "", "", "", "?", "?category=laboratory", ".rs", "\t", "/"]);
    let smart =
        (context, resource_type, permissions, suffix).prop_map(|(context, resource_type, permissions, suffix)| {
            format!("{context}/{resource_type}.{permissions}{suffix}")
        });
    prop_oneof![
        6 => smart,
        1 => prop::sample::select(vec!["openid", "launch/patient", "anamnesis/admin.reindex", "*", "anamnesis/admin.*"])
            .prop_map(str::to_owned),
        1 => "[ -~\\t]{0,20}",
    ]
}

fn a_claim() -> impl Strategy<Value = String> {
    prop::collection::vec(a_word(), 0..6).prop_map(|words| words.join(" "))
}

fn a_setting() -> impl Strategy<Value = (Option<&'static str>, Option<&'static [&'static str]>)> {
    let launch = prop::sample::select(vec![None, Some("p1")]);
    let roster =
        prop::sample::select(vec![None, Some(&[] as &[&str]), Some(&["p1"]), Some(&["p1", "p2"]), Some(&["p2"])]);
    (launch, roster)
}

/// Each row that a reach may be asked about, and each act.
fn rows() -> impl Iterator<Item = (Option<&'static str>, &'static str)> {
    [None, Some("p1"), Some("p2"), Some("p3")]
        .into_iter()
        .flat_map(|whose| TYPES.into_iter().chain(["Task"]).map(move |what| (whose, what)))
}

proptest! {
    #[test]
    fn no_claim_gives_more_than_a_plain_reading_of_it((launch, roster) in a_setting(), claim in a_claim()) {
        let reach = reach(&claim, launch, roster);
        for (whose, what) in rows() {
            let (read, search) = reference(&claim, launch, roster, whose, what);
            prop_assert!(read || !covers(&reach, Act::Read, whose, what), "{claim}");
            prop_assert!((read && search) || !covers(&reach, Act::Search, whose, what), "{claim}");
            // Opening is the plain union; searching may give less where rights lie over different patients.
            prop_assert_eq!(read, covers(&reach, Act::Read, whose, what), "{}", &claim);
        }
    }

    #[test]
    fn more_scopes_never_reach_less((launch, roster) in a_setting(), fewer in a_claim(), more in a_claim()) {
        let small = reach(&fewer, launch, roster);
        for claim in [format!("{fewer} {more}"), format!("{more} {fewer}")] {
            let large = reach(&claim, launch, roster);
            for (whose, what) in rows() {
                for act in [Act::Read, Act::Search] {
                    prop_assert!(!covers(&small, act, whose, what) || covers(&large, act, whose, what), "{claim}");
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_without_harm(claim in ".{0,200}") {
        let scopes = Scopes::parse(&claim);
        prop_assert!(scopes.windows(None, None).len() <= scopes.smart.len() * 2);
    }
}
