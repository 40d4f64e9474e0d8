//! Questions whose answers stand in a text: what a report found, why a patient was seen.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Chart, Expected, Judged, called, days, list};

impl Chart {
    pub(super) fn findings(&self) -> Vec<Judged> {
        let ask = |report: &Value| {
            let name = called(&report["code"])?;
            let found =
                report["conclusion"].as_str()?.split_once(". ").map_or(report["conclusion"].as_str()?, |two| two.0);
            let day = days(report["effectiveDateTime"].as_str()?).into_iter().next()?;
            let question = format!("What did the {name} of {day} show?");
            Some(self.ask("text", question, Expected::Text(vec![found.trim_end_matches('.').to_owned()])))
        };
        self.of("DiagnosticReport").filter_map(ask).collect()
    }

    /// Of days with one visit.
    pub(super) fn reasons(&self) -> Vec<Judged> {
        let mut by_day: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for visit in self.of("Encounter") {
            let days = visit["period"]["start"].as_str().map(days).unwrap_or_default();
            if let [day] = &days[..] {
                by_day.entry(day.clone()).or_default().push(visit);
            }
        }
        let put = |day: &str| format!("Why was the patient seen on {day}?");
        let ask = |(day, visits): (&String, &Vec<&Value>)| {
            let [visit] = visits[..] else { return None };
            let reason = called(list(visit, "reasonCode").first()?)?;
            Some(self.ask("text", put(day), Expected::Text(vec![reason])))
        };
        let mut all: Vec<Judged> = by_day.iter().filter_map(ask).collect();
        let without = by_day.keys().step_by(4).filter_map(|day| self.day_without(day));
        all.extend(without.map(|day| self.ask("unanswerable", put(&day), Expected::Nothing)));
        all
    }
}
