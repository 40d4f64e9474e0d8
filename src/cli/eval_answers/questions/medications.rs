//! Questions for what a patient takes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Chart, Expected, Judged, called};

impl Chart {
    pub(super) fn medications(&self) -> Vec<Judged> {
        let mut by_display: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for resource in self.of("MedicationRequest").chain(self.of("MedicationStatement")) {
            let Some(name) = called(&resource["medicationCodeableConcept"]) else { continue };
            let status = resource["status"].as_str().unwrap_or_default().to_owned();
            by_display.entry(name).or_default().insert(status);
        }
        let mut all = Vec::new();
        let active: Vec<String> =
            by_display.iter().filter(|(_, status)| status.contains("active")).map(|(name, _)| name.clone()).collect();
        let is_on = |drug: &str| {
            let named = by_display.iter().filter(|(name, _)| name.to_lowercase().contains(&drug.to_lowercase()));
            named.map(|(_, status)| status).any(|status| status.contains("active"))
        };
        let unsure = |drug: &str| {
            let named = by_display.iter().filter(|(name, _)| name.to_lowercase().contains(&drug.to_lowercase()));
            named.map(|(_, status)| status).any(|status| status.contains("unknown"))
        };
        let drugs: BTreeSet<String> = by_display.keys().filter_map(|name| drug(name)).collect();
        for (turn, drug) in drugs.iter().filter(|drug| !unsure(drug)).enumerate() {
            let question = match turn % 3 {
                0 => format!("Is the patient on {drug}?"),
                1 => format!("Is the patient still taking {drug}?"),
                _ => format!("Does the patient currently take {drug}?"),
            };
            let expected = if is_on(drug) { Expected::Yes } else { Expected::No };
            all.push(self.ask("medication", question, expected));
        }
        if !active.is_empty() && !by_display.values().any(|status| status.contains("unknown")) {
            let question = "What medications is the patient currently taking?".to_owned();
            all.push(self.ask("list", question, Expected::Lines(active)));
        }
        all
    }
}

/// The first drug of a display, without its dose.
fn drug(display: &str) -> Option<String> {
    let words: Vec<&str> = display.split(' ').collect();
    let start = if words.first() == Some(&"24") { 2 } else { 0 };
    let end =
        words.iter().skip(start).position(|word| word.starts_with(|c: char| c.is_ascii_digit() || "[/(".contains(c)));
    let name = words.get(start..end.map_or(words.len(), |end| start + end))?.join(" ");
    let name = name.split(" capsule").next()?.split(" tablet").next()?.trim().to_owned();
    (!name.is_empty() && name.split(' ').count() <= 3).then_some(name)
}
