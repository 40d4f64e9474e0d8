//! Entries of one thing: those that share a code, or what they are called.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{called, list};

/// Entries with a common code or name, in the order of the record.
pub struct Group<'a> {
    /// What the first is called.
    pub name: String,
    names: BTreeSet<String>,
    pub resources: Vec<&'a Value>,
}

/// A source may write one code under two names, and one name under two codes: each time the same is meant.
///
/// `spoken` makes of a display what a person calls it. Entries without a name are left out.
pub fn grouped<'a>(
    resources: impl Iterator<Item = &'a Value>,
    concept: &str,
    spoken: impl Fn(&str) -> String,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for resource in resources {
        let Some(name) = called(&resource[concept]).map(|name| spoken(&name)) else { continue };
        let codes = list(&resource[concept], "coding").iter().filter_map(|coding| coding["code"].as_str());
        let names: BTreeSet<String> = codes.map(|code| format!("code {code}")).chain([name.to_lowercase()]).collect();
        let (same, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.names.is_disjoint(&names));
        let mut joined = Group { name, names, resources: Vec::new() };
        for group in same.into_iter().rev() {
            joined.name = group.name;
            joined.names.extend(group.names);
            joined.resources.splice(..0, group.resources);
        }
        joined.resources.push(resource);
        groups = others;
        groups.push(joined);
    }
    groups.sort_by_key(|group| group.name.to_lowercase());
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::grouped;

    fn entry(code: &str, name: &str) -> Value {
        json!({"code": {"coding": [{"code": code}], "text": name}})
    }

    #[test]
    fn a_common_code_or_a_common_name_makes_one_group() {
        let entries = [
            entry("789-8", "RBC"),
            entry("2823-3", "Potassium"),
            entry("789-8", "Erythrocytes"),
            entry("26453-1", "rbc"),
        ];
        let groups = grouped(entries.iter(), "code", str::to_owned);
        let seen: Vec<(&str, usize)> = groups.iter().map(|one| (one.name.as_str(), one.resources.len())).collect();
        assert_eq!(seen, [("Potassium", 1), ("RBC", 3)]);
    }
}
