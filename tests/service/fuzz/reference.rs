//! A second reading of the rules, which shares no code with the service: which records a caller may open and find.

use std::collections::BTreeSet;

use regex::Regex;

use super::world::{DENIED_TO, DENIES_ALL, DENIES_NOTES, GLASS, LISTED, PERMITS_PSY};

/// One record of the world, as the reference knows it.
#[derive(Clone, Debug)]
pub struct Record {
    pub tenant: &'static str,
    pub patient: String,
    pub resource_type: &'static str,
    pub category: Option<&'static str>,
    pub label: Option<&'static str>,
    /// Stands in this record and nowhere else.
    pub word: String,
    pub document: String,
}

#[derive(Clone, Debug)]
pub struct Principal {
    pub tenant: &'static str,
    pub subject: &'static str,
    pub client: Option<&'static str>,
    pub scopes: Vec<String>,
    pub launch: Option<String>,
    pub roster: Option<Vec<String>>,
    pub clearance: Vec<&'static str>,
    /// Comes with the grant for one patient.
    pub breaks_glass: bool,
}

impl Principal {
    /// Whether the grant that it comes with is its own.
    pub fn may_break_glass(&self) -> bool {
        (self.tenant, self.subject) == (GLASS.0, GLASS.1)
    }
}

/// What a capped client sees, whatever its token opens.
pub const CAPPED: (&str, [&str; 3]) = ("crm", ["patient", "result", "problem"]);
/// A client whose answers are masked.
pub const MASKED: &str = "research";

pub struct Scope {
    context: String,
    what: String,
    read: bool,
    search: bool,
    category: Option<String>,
}

pub fn scopes(principal: &Principal, grammar: &Regex) -> Vec<Scope> {
    let read = |word: &String| {
        let parts = grammar.captures(word)?;
        let letters = match &parts[3] {
            "read" => "rs",
            "write" => "cud",
            "*" => "cruds",
            letters => letters,
        };
        let query = parts.get(4).map(|query| query.as_str());
        // Only what has a category may be narrowed by one, and not in the v1 forms.
        let narrowable =
            ["Observation", "Condition"].contains(&&parts[2]) && !["read", "write", "*"].contains(&&parts[3]);
        let category = match query {
            None => None,
            Some(query) if narrowable => Some(query.strip_prefix("category=")?.to_owned()),
            Some(_) => return None,
        };
        Some(Scope {
            context: parts[1].to_owned(),
            what: parts[2].to_owned(),
            read: letters.contains('r'),
            search: letters.contains('s'),
            category,
        })
    };
    principal.scopes.iter().filter_map(read).collect()
}

/// Whether a record may be opened, and whether it may be found.
pub fn allowed(principal: &Principal, scopes: &[Scope], record: &Record) -> (bool, bool) {
    if principal.tenant != record.tenant
        || !is_cleared(principal, record)
        || is_denied(principal, record)
        || (principal.client == Some(CAPPED.0) && !CAPPED.1.contains(&kind(record)))
    {
        return (false, false);
    }
    let roster = roster(principal);
    // Rights over the same patients are joined: the launch patient, the list, everybody.
    let mut groups: Vec<(BTreeSet<String>, bool, bool, bool)> = Vec::new();
    for scope in scopes {
        let (whose, everyone): (BTreeSet<String>, bool) = match (scope.context.as_str(), &principal.launch, &roster) {
            ("patient", Some(launch), _) => (BTreeSet::from([launch.clone()]), false),
            ("patient", None, _) => continue,
            ("user", _, Some(roster)) => (roster.iter().cloned().collect(), false),
            _ => (BTreeSet::new(), true),
        };
        let about = (everyone || whose.contains(&record.patient))
            && (scope.what == "*" || scope.what == record.resource_type)
            && scope.category.as_deref().is_none_or(|category| record.category == Some(category));
        groups.push((whose, everyone, scope.read && about, scope.search && about));
    }
    let read = groups.iter().any(|(.., read, _)| *read);
    // Finding needs both rights over one set of patients; joined over several sets it is at most this.
    let found = groups.iter().any(|(whose, everyone, _, search)| {
        *search
            && groups
                .iter()
                .any(|(other, other_everyone, read, _)| *read && other == whose && other_everyone == everyone)
    });
    (read, found)
}

/// Whom `user/` scopes reach; `None` is everyone.
fn roster(principal: &Principal) -> Option<BTreeSet<String>> {
    let claimed = principal.roster.as_ref().map(|ids| ids.iter().cloned().collect::<BTreeSet<_>>());
    let is_listed = (principal.tenant, principal.subject) == (LISTED.0, LISTED.1);
    let loaded = is_listed.then(|| LISTED.2.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>());
    let mut both = match (claimed, loaded) {
        (Some(claimed), Some(loaded)) => Some(claimed.intersection(&loaded).cloned().collect()),
        (claimed, loaded) => claimed.or(loaded),
    };
    if let Some(list) = both.as_mut().filter(|_| principal.breaks_glass) {
        list.insert(GLASS.2.to_owned());
    }
    both
}

fn is_cleared(principal: &Principal, record: &Record) -> bool {
    let Some(label) = record.label else { return true };
    let by_token = match label {
        "R" => principal.clearance.iter().any(|code| ["R", "V"].contains(code)),
        label => principal.clearance.contains(&label),
    };
    let by_glass = principal.breaks_glass && record.patient == GLASS.2 && GLASS.3.contains(&label);
    let by_consent = (record.tenant, record.patient.as_str(), principal.subject) == PERMITS_PSY && label == "PSY";
    by_token || by_glass || by_consent
}

fn is_denied(principal: &Principal, record: &Record) -> bool {
    let whose = (record.tenant, record.patient.as_str());
    (whose == DENIES_NOTES && record.resource_type == "DocumentReference")
        || (whose == DENIES_ALL && principal.subject == DENIED_TO)
}

fn kind(record: &Record) -> &'static str {
    match record.resource_type {
        "Patient" => "patient",
        "DocumentReference" => "note",
        "Observation" => "result",
        "Condition" => "problem",
        "MedicationRequest" => "medication",
        _ => "allergy",
    }
}
