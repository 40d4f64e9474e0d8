//! Questions for problems, vaccines and procedures.

use std::collections::BTreeSet;

use super::group::grouped;
use super::{Chart, Expected, Judged, code, days, plain, spoken};
use crate::domain::Timestamp;

impl Chart {
    pub(super) fn conditions(&self) -> Vec<Judged> {
        let known = self.of("Condition").filter(|one| code(&one["clinicalStatus"]).is_some());
        let groups = grouped(known, "code", plain);
        let names: Vec<String> = groups.iter().map(|group| group.name.to_lowercase()).collect();
        let mut all = Vec::new();
        for (turn, group) in groups.iter().enumerate() {
            let name = &group.name;
            // Where one name is within another, a question for the shorter means both.
            if names.iter().filter(|other| other.contains(&name.to_lowercase())).count() > 1 || name.contains(',') {
                continue;
            }
            let clinical: BTreeSet<&str> =
                group.resources.iter().filter_map(|one| code(&one["clinicalStatus"])).collect();
            let so = clinical.iter().any(|status| ["active", "recurrence", "relapse"].contains(status));
            let ever = turn % 3 == 1;
            let question = if ever {
                format!("Has the patient ever had {name}?")
            } else {
                format!("Does the patient have {name}?")
            };
            all.push(self.ask("presence", question, if so || ever { Expected::Yes } else { Expected::No }));
            let onsets = group.resources.iter().filter_map(|one| one["onsetDateTime"].as_str());
            if let Some(first) = onsets.min_by_key(|time| Timestamp::parse(time)) {
                all.push(self.ask("date", format!("When was {name} first diagnosed?"), Expected::Day(days(first))));
            }
            let count = group.resources.len();
            if count > 1 {
                let question = format!("How many times did the patient have {name}?");
                all.push(self.ask("count", question, Expected::Count(count)));
            }
        }
        all
    }

    pub(super) fn immunizations(&self) -> Vec<Judged> {
        let given = self.of("Immunization").filter(|one| one["status"] == "completed");
        let groups = grouped(given.filter(|one| one["occurrenceDateTime"].is_string()), "vaccineCode", spoken);
        let total = groups.iter().map(|group| group.resources.len()).sum();
        let mut all = Vec::new();
        if total > 0 {
            let question = "How many immunizations has the patient received?".to_owned();
            all.push(self.ask("count", question, Expected::Count(total)));
        }
        for group in groups {
            let times = group.resources.iter().filter_map(|one| one["occurrenceDateTime"].as_str());
            let Some(last) = times.max_by_key(|time| Timestamp::parse(time)) else { continue };
            let question = format!("When was the last {} vaccine given?", group.name);
            all.push(self.ask("date", question, Expected::Day(days(last))));
            let question = format!("How many {} vaccinations are on record?", group.name);
            all.push(self.ask("count", question, Expected::Count(group.resources.len())));
        }
        all
    }

    pub(super) fn procedures(&self) -> Vec<Judged> {
        let done = self.of("Procedure").filter(|one| one["status"] == "completed");
        let groups = grouped(done, "code", plain);
        let mut all = Vec::new();
        for group in groups.iter().filter(|group| !group.name.contains(',')) {
            let time = |one: &&serde_json::Value| {
                one["performedPeriod"]["start"].as_str().or(one["performedDateTime"].as_str()).map(str::to_owned)
            };
            let times = group.resources.iter().filter_map(time);
            let Some(last) = times.max_by_key(|time| Timestamp::parse(time)) else { continue };
            let question = format!("When was the patient's last {}?", group.name.to_lowercase());
            all.push(self.ask("date", question, Expected::Day(days(&last))));
        }
        all
    }
}
