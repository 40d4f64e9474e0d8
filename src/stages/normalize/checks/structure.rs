//! A resource against the definition of its type: what is missing, unknown, twice, empty or of the wrong form.

use crate::domain::{Severity, Timestamp};

use super::super::fhir::definitions::{self, Element, Type};
use super::super::fhir::{Target, names};
use super::super::json::Json;
use super::{Checker, narrative, values};

/// Levels of elements that are looked at; real records stay below 20.
const MAX_DEPTH: usize = 60;

/// Members of one object; the widest type of R4 has fewer than 100.
const MAX_MEMBERS: usize = 500;

impl Checker<'_, '_> {
    /// A whole resource, contained or not.
    pub(super) fn resource(&mut self, name: &str, body: &Json, path: &mut String, depth: usize) {
        if let Some(kind) = definitions::of(name) {
            self.object(kind, body, path, depth);
        } else {
            self.loose(body, path, depth);
        }
    }

    pub(super) fn object(&mut self, kind: &'static Type, node: &Json, path: &mut String, depth: usize) {
        if depth > MAX_DEPTH || self.is_full() {
            return;
        }
        if node.members().is_empty() {
            self.add("empty_element", Severity::Error, path.clone());
            return;
        }
        // What follows compares members with each other; no real object has as many.
        if node.members().len() > MAX_MEMBERS {
            self.add("unknown_element", Severity::Error, path.clone());
            return self.loose(node, path, depth);
        }
        self.required(kind, node, path);
        self.coding(node, path);
        self.span_and_size(node, path);
        if depth > 0 && node.get("resourceType").is_none() {
            self.element_id(node, path);
        }
        for (position, (name, value)) in node.members().iter().enumerate() {
            if name == "resourceType" {
                continue;
            }
            let length = path.len();
            path.push('.');
            path.push_str(if super::is_element_name(name) { name } else { "?" });
            if node.members().iter().skip(position + 1).any(|(other, _)| other == name) {
                self.add("duplicate_property", Severity::Error, path.clone());
            }
            self.member(kind, name, value, path, depth);
            path.truncate(length);
        }
    }

    /// Elements that must be there, in the order of their names.
    fn required(&mut self, kind: &'static Type, node: &Json, path: &str) {
        let given = |name: &str| is_filled(node.get(name)) || node.get(&format!("_{name}")).is_some();
        for name in kind.required.iter().filter(|name| !given(name)) {
            self.add("required_field", Severity::Error, format!("{path}.{name}"));
        }
        // A code that only extensions stand for is none of those required.
        let coded = node.members().iter().filter_map(|(name, _)| name.strip_prefix('_'));
        for name in coded.filter(|name| !is_filled(node.get(name))) {
            if kind.elements.get(name).is_some_and(|element| !element.codes.is_empty()) {
                self.add("unknown_code", Severity::Error, format!("{path}.{name}"));
            }
        }
        for (stem, required) in &kind.choices {
            let of_choice = |(name, element): &(&&'static str, &Element)| element.choice == Some(stem) && given(name);
            let found = node.members().iter().filter_map(|(name, _)| {
                kind.elements.get_key_value(name.trim_start_matches('_')).filter(of_choice).map(|(name, _)| *name)
            });
            let mut found: Vec<&str> = found.collect();
            found.sort_unstable();
            found.dedup();
            match found.len() {
                0 if *required => self.add("required_field", Severity::Error, format!("{path}.{stem}")),
                0 | 1 => {}
                _ => self.add("several_choices", Severity::Error, format!("{path}.{stem}")),
            }
        }
    }

    /// A period that ends before it starts, an attachment of another size than it says.
    fn span_and_size(&mut self, node: &Json, path: &str) {
        if let (Some(start), Some(end)) = (node.text("start"), node.text("end"))
            && let (Some(start), Some(end)) = (Timestamp::parse(start), Timestamp::parse_end(end))
            && start > end
        {
            self.add("period_order", Severity::Error, path.to_owned());
        }
        if let (Some(size), Some(data)) = (node.scalar("size"), node.text("data"))
            && size.parse::<usize>().is_ok_and(|size| size != values::decoded_length(data))
        {
            self.add("attachment_size", Severity::Error, format!("{path}.size"));
        }
    }

    /// An element's own id is given once in a record.
    fn element_id(&mut self, node: &Json, path: &str) {
        if let Some(id) = node.text("id")
            && !self.element_ids.insert(id.to_owned())
        {
            self.add("duplicate_id", Severity::Error, format!("{path}.id"));
        }
    }

    fn member(&mut self, kind: &'static Type, name: &str, value: &Json, path: &mut String, depth: usize) {
        if let Some(plain) = name.strip_prefix('_') {
            match kind.elements.get(plain) {
                Some(element) if element.primitive => self.beside(element, value, path, depth),
                _ => self.add("unknown_element", Severity::Error, path.clone()),
            }
            return;
        }
        let Some(element) = kind.elements.get(name) else {
            self.add("unknown_element", Severity::Error, path.clone());
            return self.loose(value, path, depth + 1);
        };
        match (value, element.repeats) {
            (Json::Null, _) => self.add("empty_element", Severity::Error, path.clone()),
            (Json::List(items), true) => {
                if items.is_empty() {
                    self.add("empty_element", Severity::Error, path.clone());
                }
                for (position, item) in items.iter().enumerate() {
                    let length = path.len();
                    path.push_str(&format!("[{position}]"));
                    // A gap in a list of primitives has its say in the list beside it.
                    if !(element.primitive && *item == Json::Null) {
                        self.single(element, name, item, path, depth);
                    }
                    path.truncate(length);
                }
            }
            (Json::List(_), false) | (_, true) => {
                self.add("wrong_type", Severity::Error, path.clone());
                value.as_list().iter().for_each(|item| self.single(element, name, item, path, depth));
            }
            (_, false) => self.single(element, name, value, path, depth),
        }
    }

    fn single(&mut self, element: &'static Element, name: &str, value: &Json, path: &mut String, depth: usize) {
        if self.is_full() {
            return;
        }
        if element.primitive {
            return self.primitive(element, name, value, path);
        }
        if !value.is_object() {
            return self.add("wrong_type", Severity::Error, path.clone());
        }
        match element.kind {
            "Resource" => self.nested(value, path, depth + 1),
            kind => {
                if let Some(kind) = definitions::of(kind) {
                    self.object(kind, value, path, depth + 1);
                }
                if element.kind == "Reference" {
                    self.reference(element, value, path);
                }
            }
        }
    }

    fn nested(&mut self, value: &Json, path: &mut String, depth: usize) {
        let name = value.text("resourceType");
        let contained = path.contains(".contained");
        match name {
            None => self.add("required_field", Severity::Error, format!("{path}.resourceType")),
            Some(name) if names::treatment(name).is_none() => {
                self.add("unknown_element", Severity::Error, format!("{path}.resourceType"));
            }
            Some(name) => {
                if contained {
                    self.contained(value, path);
                }
                self.resource(name, value, path, depth);
            }
        }
    }

    /// A contained resource has an id to be found by, and holds no others.
    fn contained(&mut self, value: &Json, path: &str) {
        if value.text("id").is_none() {
            self.add("required_field", Severity::Error, format!("{path}.id"));
        }
        if !value.list("contained").is_empty() {
            self.add("nested_contained", Severity::Error, format!("{path}.contained"));
        }
    }

    fn primitive(&mut self, element: &'static Element, name: &str, value: &Json, path: &str) {
        if let Some(rule) = values::fault(element.kind, value) {
            return self.add(rule, Severity::Error, path.to_owned());
        }
        let Json::Text(text) = value else { return };
        if !element.codes.is_empty() && !element.codes.contains(&text.as_str()) {
            self.add("unknown_code", Severity::Error, path.to_owned());
        }
        if element.kind == "xhtml" {
            for rule in narrative::faults(text) {
                self.add(rule, Severity::Error, path.to_owned());
            }
        }
        self.told(name, text, path);
    }

    /// `_birthDate` beside `birthDate`: an id or extensions, or a list of them.
    fn beside(&mut self, element: &'static Element, value: &Json, path: &mut String, depth: usize) {
        let Some(kind) = definitions::of("Element") else { return };
        match (value, element.repeats) {
            (Json::Object(_), false) => self.object(kind, value, path, depth + 1),
            (Json::List(items), true) => {
                for item in items.iter().filter(|item| **item != Json::Null) {
                    match item.is_object() {
                        true => self.object(kind, item, path, depth + 1),
                        false => self.add("wrong_type", Severity::Error, path.clone()),
                    }
                }
            }
            _ => self.add("wrong_type", Severity::Error, path.clone()),
        }
    }

    /// To the types that this element may lead to, and in a form that leads anywhere.
    fn reference(&mut self, element: &'static Element, value: &Json, path: &str) {
        let Some(reference) = value.text("reference") else { return };
        let found = match self.resource.target(reference) {
            Target::Record(key) => key.split('/').next().map(str::to_owned),
            Target::Contained(resource) => resource.text("resourceType").map(str::to_owned),
            Target::Elsewhere | Target::Missing => None,
        };
        let is_known = |name: &str| names::treatment(name).is_some();
        if let Some(name) = found.as_deref().filter(|name| is_known(name)) {
            if !element.targets.is_empty() && !element.targets.contains(&name) {
                self.add("reference_type", Severity::Error, format!("{path}.reference"));
            }
            if value.text("type").is_some_and(|stated| is_known(stated) && stated != name) {
                self.add("reference_type", Severity::Error, format!("{path}.type"));
            }
        }
        if let Some((name, query)) = reference.split_once('?')
            && (!is_known(name) || query.split('&').any(|pair| !pair.contains('=') || pair.starts_with(['=', '?'])))
        {
            self.add("reference_form", Severity::Error, format!("{path}.reference"));
        }
        let relative = !reference.starts_with(['#', '/']) && !reference.contains([':', '?']);
        if relative && self.resource.target(reference) == Target::Elsewhere {
            self.add("reference_form", Severity::Error, format!("{path}.reference"));
        }
    }

    /// Elements that no definition knows: only what any element may say is looked at.
    fn loose(&mut self, node: &Json, path: &mut String, depth: usize) {
        if depth > MAX_DEPTH || self.is_full() {
            return;
        }
        match node {
            Json::List(items) => items.iter().for_each(|item| self.loose(item, path, depth + 1)),
            Json::Object(members) => {
                self.coding(node, path);
                for (name, value) in members {
                    let length = path.len();
                    path.push('.');
                    path.push_str(if super::is_element_name(name) { name } else { "?" });
                    if let Json::Text(text) = value {
                        self.told(name, text, path);
                    }
                    self.loose(value, path, depth + 1);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn is_filled(value: Option<&Json>) -> bool {
    match value {
        Some(Json::List(items)) => !items.is_empty(),
        Some(Json::Text(text)) => !text.trim().is_empty(),
        Some(_) => true,
        None => false,
    }
}
