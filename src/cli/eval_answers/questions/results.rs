//! Questions for numeric results.

use std::collections::BTreeSet;

use serde_json::Value;

use super::group::{Group, grouped};
use super::{Chart, Expected, Judged, days, spoken};
use crate::domain::Timestamp;

struct Measured {
    number: f64,
    unit: String,
    time: String,
}

impl Chart {
    /// Numeric results by what they are called, oldest first.
    fn series(&self) -> Vec<(String, Vec<Measured>)> {
        let groups = grouped(self.of("Observation"), "code", spoken);
        // A test with results that are no plain number (`< 20`, `not detected`) has no numeric answer.
        let numeric = groups.into_iter().filter(|group| group.resources.iter().all(|one| is_plain(one)));
        numeric.map(|group| (group.name.clone(), measured(&group))).collect()
    }

    pub(super) fn results(&self) -> Vec<Judged> {
        const LATEST: [&str; 4] = [
            "What is the latest {}?",
            "What was the most recent {} result?",
            "What was the patient's last {}?",
            "current {} value",
        ];
        let mut all = Vec::new();
        for (turn, (name, results)) in self.series().into_iter().enumerate() {
            let Some(newest) = results.last() else { continue };
            let at_once = |day: &str| results.iter().filter(|one| one.time.starts_with(day)).count();
            let count = results.iter().map(|one| &one.time).collect::<BTreeSet<_>>().len();
            if count != results.len() || name == "Total score" {
                // Two values of one moment: neither is the latest. And a name that says nothing names nothing.
                continue;
            }
            let question = LATEST[turn % LATEST.len()].replace("{}", &name);
            let value = |one: &Measured| Expected::Value { number: one.number, days: days(&one.time) };
            all.push(self.ask("latest", question, value(newest)).measured_in(&newest.unit));
            if turn % 2 == 0 {
                all.push(self.ask("count", format!("How many {name} results are on record?"), Expected::Count(count)));
            }
            if results.len() < 2 {
                continue;
            }
            let series = Expected::Series { points: count, newest: newest.number };
            let trend = if turn % 2 == 0 { "How has the {} changed over time?" } else { "Show the trend of the {}" };
            all.push(self.ask("trend", trend.replace("{}", &name), series));
            let middle = &results[results.len() / 2];
            let day = middle.time.get(..10).unwrap_or_default();
            if at_once(day) == 1 && days(&middle.time).len() == 1 {
                all.push(self.ask("dated", format!("What was the {name} on {day}?"), value(middle)));
            }
            // The same test on a day on which nothing happened.
            let without = self.day_without(day).filter(|_| turn % 4 == 0);
            let question = |day: String| format!("What was the {name} on {day}?");
            all.extend(without.map(|day| self.ask("unanswerable", question(day), Expected::Nothing)));
            let highest = results.iter().max_by(|a, b| a.number.total_cmp(&b.number));
            if let Some(highest) =
                highest.filter(|best| results.iter().filter(|one| one.number == best.number).count() == 1)
            {
                all.push(self.ask("extreme", format!("What was the highest {name}?"), value(highest)));
            }
        }
        all
    }
}

fn is_plain(resource: &Value) -> bool {
    let quantity = &resource["valueQuantity"];
    quantity["value"].is_number() && quantity["comparator"].is_null()
}

/// Of the results that count.
fn measured(group: &Group<'_>) -> Vec<Measured> {
    let mut results: Vec<Measured> = group
        .resources
        .iter()
        .filter(|one| ["final", "amended", "corrected"].iter().any(|status| one["status"] == *status))
        .filter_map(|one| {
            let quantity = &one["valueQuantity"];
            let unit = quantity["unit"].as_str().unwrap_or_default().to_owned();
            let time = one["effectiveDateTime"].as_str()?.to_owned();
            Some(Measured { number: quantity["value"].as_f64()?, unit, time })
        })
        .collect();
    results.sort_by_key(|result| Timestamp::parse(&result.time));
    results
}
