//! How a feed that we run fares, in counts and times: never the names of records.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::adapters::store::FeedRun;
use crate::flows::Inbox;

/// The last run of a feed, and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedState {
    /// Null before the first run.
    started_at: Option<String>,
    /// Null while it runs.
    ended_at: Option<String>,
    /// Deliveries landed by the last run.
    landed: u64,
    error: Option<String>,
    /// Failures in a row.
    failures: u64,
    /// By what is kept: a search's cursor, an export's files, a subscription's missing events.
    #[schema(value_type = Object)]
    progress: Map<String, Value>,
}

impl FeedState {
    /// From the last run, and what the feed keeps (name and JSON).
    pub fn new(run: Option<&FeedRun>, kept: &[(&str, &str)]) -> Self {
        let shown = kept.iter().filter_map(|(name, state)| Some(((*name).to_owned(), progress(name, state)?)));
        Self {
            started_at: run.map(|run| run.started_at.to_string()),
            ended_at: run.and_then(|run| run.ended_at).map(|ended| ended.to_string()),
            landed: run.map(|run| run.landed).unwrap_or_default(),
            error: run.and_then(|run| run.error.clone()),
            failures: run.map(|run| run.failures).unwrap_or_default(),
            progress: shown.collect(),
        }
    }
}

fn progress(name: &str, state: &str) -> Option<Value> {
    match name {
        Inbox::STATE => Some(of_inbox(&serde_json::from_str(state).ok()?)),
        "export" => Some(of_export(&serde_json::from_str(state).ok()?)),
        _ if name.starts_with("search/") => {
            let state: Value = serde_json::from_str(state).ok()?;
            let is_under_way = state.get("next").is_some_and(|next| !next.is_null());
            Some(json!({"cursor": state.get("cursor"), "under_way": is_under_way}))
        }
        _ => None,
    }
}

fn of_inbox(inbox: &Inbox) -> Value {
    let sequences = inbox.sequences.iter().map(|(name, sequence)| {
        let missing: Vec<_> = sequence.missing.iter().map(|gap| json!([gap.first, gap.last])).collect();
        (name.clone(), json!({"last_event": sequence.last, "missing": missing}))
    });
    json!({
        "subscriptions": sequences.collect::<Map<String, Value>>(),
        "to_fetch": inbox.pending.len(),
        "to_search": inbox.searches_wanted != inbox.searches_done,
        "heard_at": inbox.heard_at.map(|at| at.to_string()),
    })
}

fn of_export(state: &Value) -> Value {
    let files = state.pointer("/running/manifest/files").and_then(Value::as_array);
    let count = |done: bool| {
        files.map(|files| files.iter().filter(|file| file.get("is_done") == Some(&Value::Bool(done))).count())
    };
    let lines = files.map(|files| files.iter().filter_map(|file| file.get("lines")?.as_u64()).sum::<u64>());
    json!({
        "since": state.get("since"),
        "completed": state.get("completed"),
        "under_way": state.get("running").is_some_and(|running| !running.is_null()),
        "files_landed": count(true),
        "files_left": count(false),
        "lines_landed": lines,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FeedState;

    #[test]
    fn progress_shows_counts_and_times_and_no_record() {
        let inbox = json!({"pending": {"Patient/ana": 3}, "heard_at": "2024-05-01T00:00:00Z", "sequences": {
            "Subscription/1": {"last": 9, "missing": [{"first": 4, "last": 5, "noticed_at": "2024-05-01T00:00:00Z"}]},
        }})
        .to_string();
        let search = json!({"cursor": "2024-05-01T00:00:00Z", "next": null, "recent": ["Patient/ana@1"]}).to_string();
        let export = json!({"since": null, "completed": 1, "running": {"status_url": "u", "manifest": {"files": [
            {"is_done": true, "lines": 3, "url": "u"}, {"is_done": false, "lines": 4, "url": "u"}]}}})
        .to_string();
        let kept = [("subscription", &*inbox), ("search/Patient", &*search), ("export", &*export), ("begun", "7")];
        let shown = serde_json::to_value(FeedState::new(None, &kept)).unwrap();
        assert!(!shown.to_string().contains("ana"), "{shown}");
        let progress = &shown["progress"];
        assert_eq!(progress["subscription"]["subscriptions"]["Subscription/1"]["missing"], json!([[4, 5]]));
        assert_eq!(progress["subscription"]["to_fetch"], 1);
        assert_eq!(progress["search/Patient"], json!({"cursor": "2024-05-01T00:00:00Z", "under_way": false}));
        assert_eq!((&progress["export"]["files_left"], &progress["export"]["lines_landed"]), (&json!(1), &json!(7)));
        assert_eq!(progress.as_object().unwrap().len(), 3);
    }
}
