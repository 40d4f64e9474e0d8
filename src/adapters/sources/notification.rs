//! What a FHIR server sends to a subscription's endpoint, in each of the forms that servers use.
//!
//! - R4's own rest-hook: nothing at all, or one resource, or a Bundle of them;
//! - the R5 form in R4B and R5: a Bundle that begins with a `SubscriptionStatus`;
//! - its backport to R4: the same as `Parameters`.

use serde_json::{Map, Value};

use super::search_page::{PageEntry, SearchPage, record_key};
use super::transport::FhirError;
use crate::domain::Timestamp;

#[derive(Debug, PartialEq)]
pub enum Notification {
    /// Something changed; the sender doesn't say what.
    Empty,
    /// Resources, or the names of some, without a number.
    Unnumbered(Vec<Focus>),
    Numbered(Numbered),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationKind {
    Handshake,
    Heartbeat,
    Event,
    /// The answer to a question of ours: `$status`, `$events`.
    Answer,
}

/// A notification with its place in the order of a subscription's events.
#[derive(Debug, PartialEq)]
pub struct Numbered {
    pub kind: NotificationKind,
    /// `Subscription/id`, when the reference names one.
    pub subscription: Option<String>,
    /// How many events there have been.
    pub events: Option<u64>,
    /// What happened; in the order of their numbers.
    pub happened: Vec<Event>,
    /// Resources that came along.
    pub included: Vec<Focus>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub number: u64,
    pub at: Option<Timestamp>,
    /// `Type/id`; none in a notification that only says that something happened.
    pub keys: Vec<String>,
}

/// A record that a notification is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Focus {
    pub key: Option<String>,
    /// The Bundle entry, or the resource itself, as it came; none when it is only named or says that it is gone.
    pub content: Option<String>,
}

impl Notification {
    /// Errors: neither nothing nor FHIR JSON that tells of changes.
    pub fn read(bytes: &[u8]) -> Result<Self, FhirError> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::Empty);
        }
        let body: Value = serde_json::from_slice(bytes).map_err(|_| FhirError::Unreadable("not JSON"))?;
        let Some(name) = body.get("resourceType").and_then(Value::as_str) else {
            return Err(FhirError::Unreadable("no resource"));
        };
        if name != "Bundle" {
            return Ok(match Status::read(&body) {
                Some(status) => Self::Numbered(status.with(Vec::new())),
                None => Self::Unnumbered(vec![resource(name, &body, bytes)]),
            });
        }
        let page = SearchPage::read(bytes)?;
        let first = body.get("entry").and_then(|entry| entry.get(0)).and_then(|entry| entry.get("resource"));
        let status = first.and_then(Status::read);
        let others = page.entries.iter().skip(usize::from(status.is_some()));
        let included: Vec<Focus> = others.map(Focus::of).collect();
        Ok(match status {
            Some(status) => Self::Numbered(status.with(included)),
            None if included.is_empty() => Self::Empty,
            None => Self::Unnumbered(included),
        })
    }
}

fn resource(name: &str, body: &Value, bytes: &[u8]) -> Focus {
    let id = body.get("id").and_then(Value::as_str);
    let key = id.and_then(|id| record_key(&format!("{name}/{id}")));
    Focus { key, content: Some(String::from_utf8_lossy(bytes).into_owned()) }
}

impl Focus {
    fn of(entry: &PageEntry) -> Self {
        let holds_resource = !entry.is_deletion && entry.raw.get().contains("\"resource\"");
        Self { key: entry.key.clone(), content: holds_resource.then(|| entry.raw.get().to_owned()) }
    }
}

/// The status that a notification begins with, whatever its form.
struct Status {
    kind: NotificationKind,
    subscription: Option<String>,
    events: Option<u64>,
    happened: Vec<Event>,
}

impl Status {
    fn read(resource: &Value) -> Option<Self> {
        let found = match resource.get("resourceType")?.as_str()? {
            "SubscriptionStatus" => Self::of_resource(resource)?,
            "Parameters" => Self::of_parameters(resource)?,
            _ => return None,
        };
        Some(found)
    }

    fn of_resource(status: &Value) -> Option<Self> {
        let event = |event: &Value| {
            let also = event.get("additionalContext").and_then(Value::as_array).into_iter().flatten();
            let focus = event.get("focus").into_iter().chain(also);
            Some(Event {
                number: number(event.get("eventNumber")?)?,
                at: event.get("timestamp").and_then(Value::as_str).and_then(Timestamp::parse),
                keys: focus.filter_map(|focus| record_key(focus.get("reference")?.as_str()?)).collect(),
            })
        };
        let events = status.get("notificationEvent").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            kind: kind(status.get("type")?.as_str()?)?,
            subscription: reference(status.get("subscription")),
            events: status.get("eventsSinceSubscriptionStart").and_then(number),
            happened: events.filter_map(event).collect(),
        })
    }

    fn of_parameters(parameters: &Value) -> Option<Self> {
        let all: Vec<&Map<String, Value>> = members(parameters, "parameter");
        let event = |event: &Map<String, Value>| {
            let parts: Vec<&Map<String, Value>> = event
                .get("part")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_object)
                .collect();
            let focus = parts.iter().filter(|part| matches!(name(part), "focus" | "additional-context"));
            Some(Event {
                number: number(value(&parts, "event-number")?)?,
                at: value(&parts, "timestamp").and_then(Value::as_str).and_then(Timestamp::parse),
                keys: focus.filter_map(|part| record_key(own_value(part)?.get("reference")?.as_str()?)).collect(),
            })
        };
        let events = value(&all, "events-since-subscription-start").and_then(number);
        Some(Self {
            kind: kind(value(&all, "type")?.as_str()?)?,
            subscription: reference(value(&all, "subscription")),
            events,
            happened: all
                .iter()
                .filter(|part| name(part) == "notification-event")
                .filter_map(|part| event(part))
                .collect(),
        })
    }

    fn with(mut self, included: Vec<Focus>) -> Numbered {
        self.happened.sort_by_key(|event| event.number);
        Numbered {
            kind: self.kind,
            subscription: self.subscription,
            events: self.events,
            happened: self.happened,
            included,
        }
    }
}

fn kind(text: &str) -> Option<NotificationKind> {
    Some(match text {
        "handshake" => NotificationKind::Handshake,
        "heartbeat" => NotificationKind::Heartbeat,
        "event-notification" => NotificationKind::Event,
        "query-status" | "query-event" => NotificationKind::Answer,
        _ => return None,
    })
}

/// Counts are 64-bit integers, which FHIR writes as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn reference(value: Option<&Value>) -> Option<String> {
    record_key(value?.get("reference")?.as_str()?)
}

fn members<'a>(value: &'a Value, list: &str) -> Vec<&'a Map<String, Value>> {
    value.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect()
}

fn name(parameter: &Map<String, Value>) -> &str {
    parameter.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn own_value(parameter: &Map<String, Value>) -> Option<&Value> {
    parameter.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}

fn value<'a>(parameters: &[&'a Map<String, Value>], wanted: &str) -> Option<&'a Value> {
    parameters.iter().find(|parameter| name(parameter) == wanted).and_then(|parameter| own_value(parameter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Event, Focus, Notification, NotificationKind, Numbered};

    fn read(body: &serde_json::Value) -> Notification {
        Notification::read(body.to_string().as_bytes()).unwrap()
    }

    fn numbered(body: &serde_json::Value) -> Numbered {
        match read(body) {
            Notification::Numbered(numbered) => numbered,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_and_a_resource_are_notifications_of_the_older_kind() {
        assert_eq!(Notification::read(b"").unwrap(), Notification::Empty);
        assert_eq!(Notification::read(b" \n").unwrap(), Notification::Empty);
        let patient = json!({"resourceType": "Patient", "id": "a"});
        let expected = Focus { key: Some("Patient/a".to_owned()), content: Some(patient.to_string()) };
        assert_eq!(read(&patient), Notification::Unnumbered(vec![expected]));
        assert_eq!(read(&json!({"resourceType": "Bundle", "type": "history"})), Notification::Empty);
    }

    #[test]
    fn both_forms_of_the_newer_kind_say_the_same() {
        let event = Event {
            number: 7,
            at: crate::domain::Timestamp::parse("2024-05-01T00:00:00Z"),
            keys: vec!["Patient/a".to_owned()],
        };
        let status = json!({
            "resourceType": "SubscriptionStatus", "type": "event-notification", "eventsSinceSubscriptionStart": "7",
            "subscription": {"reference": "https://e.example/fhir/Subscription/s1"},
            "notificationEvent": [{"eventNumber": "7", "timestamp": "2024-05-01T00:00:00Z",
                                   "focus": {"reference": "https://e.example/fhir/Patient/a"}}],
        });
        let parameters = json!({
            "resourceType": "Parameters", "parameter": [
                {"name": "subscription", "valueReference": {"reference": "https://e.example/fhir/Subscription/s1"}},
                {"name": "type", "valueCode": "event-notification"},
                {"name": "events-since-subscription-start", "valueString": "7"},
                {"name": "notification-event", "part": [
                    {"name": "event-number", "valueString": "7"},
                    {"name": "timestamp", "valueInstant": "2024-05-01T00:00:00Z"},
                    {"name": "focus", "valueReference": {"reference": "https://e.example/fhir/Patient/a"}},
                ]},
            ],
        });
        for (kind, status) in [("subscription-notification", status), ("history", parameters)] {
            let patient = json!({"resource": {"resourceType": "Patient", "id": "a"}});
            let gone = json!({"request": {"method": "DELETE", "url": "Patient/b"}});
            let entries = [json!({"resource": status}), patient.clone(), gone];
            let found = numbered(&json!({"resourceType": "Bundle", "type": kind, "entry": entries}));
            assert_eq!(found.kind, NotificationKind::Event);
            assert_eq!(found.subscription.as_deref(), Some("Subscription/s1"));
            assert_eq!((found.events, &found.happened), (Some(7), &vec![event.clone()]));
            let included = [("Patient/a", Some(patient.to_string())), ("Patient/b", None)];
            let included = included.map(|(key, content)| Focus { key: Some(key.to_owned()), content });
            assert_eq!(found.included, included);
        }
    }

    #[test]
    fn a_handshake_and_a_heartbeat_count_without_events() {
        for (word, kind) in [("handshake", NotificationKind::Handshake), ("heartbeat", NotificationKind::Heartbeat)] {
            let status = json!({"resourceType": "SubscriptionStatus", "type": word,
                                "eventsSinceSubscriptionStart": 3});
            let found = numbered(&json!({"resourceType": "Bundle", "entry": [{"resource": status}]}));
            assert_eq!((found.kind, found.events, found.happened.len()), (kind, Some(3), 0));
        }
    }

    #[test]
    fn what_tells_of_nothing_is_refused() {
        for text in ["7", "{", "[]", "{\"id\":\"a\"}", "{\"resourceType\":3}"] {
            assert!(Notification::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
