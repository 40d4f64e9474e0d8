//! A Bundle around its records: what it and its entries must say, each beside the record it concerns.

use std::collections::HashSet;

use crate::domain::{Finding, Severity};

use super::super::fhir::Resource;
use super::super::fhir::definitions;
use super::super::json::Json;
use super::Checker;

/// A Bundle without what its entries hold.
pub(in crate::stages) struct Shell {
    /// Its own members, `entry` left out.
    pub body: Json,
    pub entries: Vec<ShellEntry>,
}

/// An entry without its resource.
#[derive(Default)]
pub(in crate::stages) struct ShellEntry {
    pub body: Option<Json>,
    pub full_url: Option<String>,
    pub name: Option<String>,
    pub id: Option<String>,
    pub version: Option<String>,
    pub has_resource: bool,
}

/// Types whose entries say what was asked for.
const ASKING: [&str; 3] = ["transaction", "batch", "history"];
const ANSWERING: [&str; 2] = ["transaction-response", "batch-response"];
const SINGLE_LINKS: [&str; 7] = ["self", "first", "previous", "prev", "next", "last", "alternate"];

/// Findings of each entry in the order of the entries; the Bundle's own stand with the first.
pub(in crate::stages) fn check(shell: &Shell) -> Vec<Vec<Finding>> {
    let (links, companions) = Default::default();
    let resource = Resource {
        name: "Bundle",
        body: &shell.body,
        full_url: None,
        links: &links,
        companions: &companions,
        changed_at: None,
        is_closed: false,
        namespace: "",
    };
    let sort = shell.body.text("type").unwrap_or_default();
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(shell.entries.len());
    for (position, entry) in shell.entries.iter().enumerate() {
        let mut checker = Checker::new(&resource);
        if position == 0 {
            checker.resource("Bundle", &shell.body, &mut "Bundle".to_owned(), 0);
            checker.bundle(shell, sort);
        }
        checker.entry(entry, position, sort);
        let key = (entry.full_url.as_deref(), entry.version.as_deref());
        if sort != "history" && key.0.is_some() && !seen.insert(key) {
            checker.add("duplicate_id", Severity::Error, format!("Bundle.entry[{position}].fullUrl"));
        }
        all.push(checker.findings);
    }
    all
}

impl Checker<'_, '_> {
    fn bundle(&mut self, shell: &Shell, sort: &str) {
        let body = &shell.body;
        let mut relations = HashSet::new();
        for (position, link) in body.list("link").iter().enumerate() {
            let relation = link.text("relation").unwrap_or_default();
            if SINGLE_LINKS.contains(&relation) && !relations.insert(relation) {
                self.add("duplicate_property", Severity::Error, format!("Bundle.link[{position}].relation"));
            }
        }
        let first = shell.entries.first().and_then(|entry| entry.name.as_deref());
        let wanted = match sort {
            "document" => "Composition",
            "message" => "MessageHeader",
            _ => return,
        };
        if first != Some(wanted) {
            self.add("required_field", Severity::Error, "Bundle.entry[0].resource".to_owned());
        }
        if sort == "document" {
            for name in ["identifier", "timestamp"].into_iter().filter(|name| body.get(name).is_none()) {
                self.add("required_field", Severity::Error, format!("Bundle.{name}"));
            }
        }
    }

    fn entry(&mut self, entry: &ShellEntry, position: usize, sort: &str) {
        let mut path = format!("Bundle.entry[{position}]");
        let at = |name: &str| format!("Bundle.entry[{position}].{name}");
        let Some(body) = &entry.body else { return };
        if !body.members().is_empty()
            && let Some(kind) = definitions::of("BundleEntry")
        {
            self.object(kind, body, &mut path, 1);
        }
        let given = |name: &str| body.get(name).is_some();
        if !entry.has_resource && !given("request") && !given("response") {
            self.add("required_field", Severity::Error, at("resource"));
        }
        if ASKING.contains(&sort) && !given("request") {
            self.add("required_field", Severity::Error, at("request"));
        }
        if ANSWERING.contains(&sort) && !given("response") {
            self.add("required_field", Severity::Error, at("response"));
        }
        if sort == "searchset" {
            self.search(entry, body, position);
        }
        match entry.full_url.as_deref() {
            Some(url) if !url.contains(':') => self.add("value_format", Severity::Error, at("fullUrl")),
            Some(url) if names_another(url, entry) => self.add("full_url", Severity::Error, at("fullUrl")),
            None if sort == "document" => self.add("required_field", Severity::Error, at("fullUrl")),
            _ => {}
        }
    }

    fn search(&mut self, entry: &ShellEntry, body: &Json, position: usize) {
        let is_outcome = body.at("search.mode").and_then(Json::as_text) == Some("outcome");
        let name = entry.name.as_deref();
        if is_outcome && name.is_some_and(|name| name != "OperationOutcome") {
            self.add("reference_type", Severity::Error, format!("Bundle.entry[{position}].resource"));
        }
        if !is_outcome && entry.has_resource && entry.id.is_none() && name != Some("OperationOutcome") {
            self.add("required_field", Severity::Error, format!("Bundle.entry[{position}].resource.id"));
        }
    }
}

/// A server's own address of a record ends in its type and id.
fn names_another(url: &str, entry: &ShellEntry) -> bool {
    let (Some(name), Some(id)) = (entry.name.as_deref(), entry.id.as_deref()) else { return false };
    if !url.starts_with("http") {
        return false;
    }
    let mut parts = url.rsplit('/');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    before == name && last != id
}
