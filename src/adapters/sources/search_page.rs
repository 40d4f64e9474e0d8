//! One page of a search or a history: its entries with their keys and times, and the links that lead on.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::transport::FhirError;
use crate::domain::Timestamp;

/// A Bundle, as far as paging needs to understand it.
#[derive(Debug)]
pub struct SearchPage {
    pub entries: Vec<PageEntry>,
    pub next: Option<String>,
    /// The search as the server understood it.
    own: Option<String>,
}

#[derive(Debug)]
pub struct PageEntry {
    /// `Type/id`.
    pub key: Option<String>,
    pub version: Option<String>,
    pub updated: Option<Timestamp>,
    pub is_deletion: bool,
    /// The entry as it came.
    pub raw: Box<RawValue>,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "resourceType")]
    resource_type: String,
    #[serde(default)]
    link: Vec<Link>,
    #[serde(default)]
    entry: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    relation: String,
    #[serde(default)]
    url: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    full_url: Option<String>,
    resource: Option<Resource>,
    request: Option<Request>,
    response: Option<Response>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    resource_type: Option<String>,
    id: Option<String>,
    meta: Option<Meta>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    version_id: Option<String>,
    last_updated: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Request {
    method: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    last_modified: Option<String>,
}

impl SearchPage {
    /// Errors: not a Bundle.
    pub fn read(bytes: &[u8]) -> Result<Self, FhirError> {
        let bundle: Bundle = serde_json::from_slice(bytes).map_err(|_| FhirError::Unreadable("not a Bundle"))?;
        if bundle.resource_type != "Bundle" {
            return Err(FhirError::Unreadable("not a Bundle"));
        }
        let mut links = bundle.link.into_iter().filter(|link| !link.url.is_empty());
        let (mut next, mut own) = (None, None);
        links.by_ref().for_each(|link| match link.relation.as_str() {
            "next" => next = Some(link.url),
            "self" => own = Some(link.url),
            _ => {}
        });
        Ok(Self { entries: bundle.entry.into_iter().map(PageEntry::read).collect(), next, own })
    }

    /// Whether the server says that it sorted by time, and did.
    pub fn is_sorted_by_time(&self) -> bool {
        let is_claimed = self.own.as_deref().is_some_and(|own| own.contains("_sort=_lastUpdated"));
        let times: Vec<_> = self.entries.iter().filter_map(|entry| entry.updated).collect();
        is_claimed && times.len() == self.entries.len() && times.is_sorted()
    }

    pub fn newest(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.updated).max()
    }
}

impl PageEntry {
    /// An entry that can't be understood is kept as it came, without a key.
    fn read(raw: Box<RawValue>) -> Self {
        let entry: Entry = serde_json::from_str(raw.get()).unwrap_or_default();
        let request = entry.request.unwrap_or_default();
        let is_deletion = request.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("DELETE"));
        let resource = entry.resource.unwrap_or_default();
        let meta = resource.meta.unwrap_or_default();
        let stated = resource.resource_type.zip(resource.id).map(|(name, id)| format!("{name}/{id}"));
        let linked = || request.url.iter().chain(&entry.full_url).find_map(|url| record_key(url));
        let modified = entry.response.and_then(|response| response.last_modified);
        Self {
            key: stated.or_else(linked),
            version: meta.version_id,
            updated: meta.last_updated.or(modified).as_deref().and_then(Timestamp::parse),
            is_deletion,
            raw,
        }
    }

    /// Names this state of this record; `None` for what has no key.
    pub fn name(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        let state = self.version.clone().or_else(|| self.updated.map(|time| time.to_string()))?;
        Some(format!("{key}@{state}"))
    }
}

/// `Type/id` of a relative or absolute reference, with or without a version; nothing for `urn:` and searches.
pub fn record_key(reference: &str) -> Option<String> {
    let bare = reference.split("/_history").next().unwrap_or(reference);
    if bare.contains(['?', '#']) {
        return None;
    }
    let mut parts = bare.rsplit('/');
    let (id, name) = (parts.next()?, parts.next()?);
    let is_type = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_id = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    (is_type && is_id && !id.starts_with('.')).then(|| format!("{name}/{id}"))
}

/// A Bundle of these entries, each as it came.
pub fn bundle_of<'a>(kind: &str, entries: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let entries: Vec<&str> = entries.into_iter().collect();
    format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\",\"entry\":[{}]}}", entries.join(",")).into_bytes()
}

/// A Bundle that says that these records (`Type/id`) are gone.
pub fn deletions_of(keys: &[String]) -> Vec<u8> {
    let entry = |key: &String| format!("{{\"request\":{{\"method\":\"DELETE\",\"url\":\"{key}\"}}}}");
    let entries: Vec<String> = keys.iter().map(entry).collect();
    bundle_of("transaction", entries.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::{SearchPage, bundle_of, deletions_of, record_key};

    #[test]
    fn entries_have_keys_versions_times_and_their_own_bytes() {
        let live = r#"{"fullUrl":"https://e.example/Patient/a","resource": {"resourceType":"Patient","id":"a",
            "meta":{"versionId":"3","lastUpdated":"2024-01-01T00:00:00Z"}}}"#;
        let gone =
            r#"{"request":{"method":"DELETE","url":"Patient/b"},"response":{"lastModified":"2024-01-02T00:00:00Z"}}"#;
        let page = SearchPage::read(&bundle_of("history", [live, gone, "7"])).unwrap();
        let names: Vec<_> = page.entries.iter().map(|entry| (entry.name(), entry.is_deletion)).collect();
        assert_eq!(names[0], (Some("Patient/a@3".to_owned()), false));
        assert_eq!(names[1], (Some("Patient/b@2024-01-02T00:00:00Z".to_owned()), true));
        assert_eq!(names[2], (None, false));
        assert_eq!(page.entries[0].raw.get(), live);
        assert_eq!(page.newest().unwrap().to_string(), "2024-01-02T00:00:00Z");
        assert_eq!(page.next, None);
    }

    #[test]
    fn an_order_counts_when_it_is_claimed_and_kept() {
        let entry = |day: u32| {
            format!(
                "{{\"resource\":{{\"id\":\"a\",\"resourceType\":\"Patient\",\"meta\":{{\"lastUpdated\":\"2024-01-0{day}\"}}}}}}"
            )
        };
        let page = |own: &str, days: &[u32]| {
            let entries: Vec<_> = days.iter().map(|day| entry(*day)).collect();
            let text = format!(
                "{{\"resourceType\":\"Bundle\",\"link\":[{{\"relation\":\"self\",\"url\":\"{own}\"}},\
                 {{\"relation\":\"next\",\"url\":\"n\"}}],\"entry\":[{}]}}",
                entries.join(",")
            );
            SearchPage::read(text.as_bytes()).unwrap()
        };
        assert!(page("Patient?_sort=_lastUpdated", &[1, 2, 2]).is_sorted_by_time());
        assert!(!page("Patient?_sort=_lastUpdated", &[2, 1]).is_sorted_by_time());
        assert!(!page("Patient?_count=2", &[1, 2]).is_sorted_by_time());
        assert_eq!(page("x", &[]).next.as_deref(), Some("n"));
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for text in ["", "[]", "{}", "{\"resourceType\":\"Patient\"}", "{\"resourceType\":\"Bundle\",\"entry\":3}"] {
            assert!(SearchPage::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn references_name_records_and_nothing_else() {
        for (reference, key) in [
            ("Patient/1", Some("Patient/1")),
            ("https://e.example/fhir/Patient/1/_history/2", Some("Patient/1")),
            ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", None),
            ("Patient?identifier=1", None),
            ("patient/1", None),
            ("Patient/..", None),
            ("Patient/\"", None),
            ("#contained", None),
            ("Patient/", None),
        ] {
            assert_eq!(record_key(reference).as_deref(), key, "{reference}");
        }
        let bytes = deletions_of(&["Patient/1".to_owned()]);
        let page = SearchPage::read(&bytes).unwrap();
        assert!(page.entries[0].is_deletion && page.entries[0].key.as_deref() == Some("Patient/1"));
    }
}
