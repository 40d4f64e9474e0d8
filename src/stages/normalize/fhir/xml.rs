//! FHIR's XML form to the tree that its JSON form makes, so that one reader serves both.
//!
//! What repeats, what is a number and what is true or false can't be seen in XML; [`super::xml_elements`] knows.

use std::collections::HashMap;

use crate::domain::{Normalized, RawRecord, Unreadable};

use super::super::json::Json;
use super::super::xml::Element;
use super::{names, xml_elements};

const NAMESPACE: &str = "http://hl7.org/fhir";

/// By its namespace, or, where a Bundle's entry stands alone and brings none, by its name.
pub(in crate::stages) fn is_resource(root: Element<'_>) -> bool {
    match root.declared_namespace() {
        Some(namespace) => namespace == NAMESPACE,
        None => names::treatment(root.name()).is_some(),
    }
}

pub(in crate::stages) fn normalize(
    root: Element<'_>,
    record: &RawRecord,
    namespace: &str,
) -> Result<Normalized, Unreadable> {
    super::read(&resource(root), record, namespace)
}

/// A resource's element as the object it would be in JSON.
pub(in crate::stages) fn resource(element: Element<'_>) -> Json {
    let mut members = vec![("resourceType".to_owned(), Json::Text(element.name().to_owned()))];
    add_children(element, element.name(), &mut members);
    Json::Object(members)
}

/// The one resource that an element holds: `contained`, `resource`, `outcome`.
pub(in crate::stages) fn held<'t>(element: Element<'t>) -> Option<Element<'t>> {
    let inner = element.elements().find(|inner| inner.name().starts_with(|c: char| c.is_ascii_uppercase()))?;
    element.attribute("value").is_none().then_some(inner)
}

fn add_children(element: Element<'_>, parent: &str, members: &mut Vec<(String, Json)>) {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for child in element.elements() {
        let name = child.name();
        let Some(value) = read(child, parent) else { continue };
        match places.get(name).and_then(|place| members.get_mut(*place)) {
            Some((_, known)) => add(known, value),
            None => {
                places.insert(name, members.len());
                let value = if xml_elements::repeats(parent, name) { Json::List(vec![value]) } else { value };
                members.push((name.to_owned(), value));
            }
        }
    }
}

/// What repeats becomes a list, even where it shouldn't repeat.
fn add(known: &mut Json, value: Json) {
    match known {
        Json::List(items) => items.push(value),
        first => *first = Json::List(vec![std::mem::replace(first, Json::Null), value]),
    }
}

/// The value of one element; nothing when it holds nothing.
fn read(element: Element<'_>, parent: &str) -> Option<Json> {
    let name = element.name();
    if name == "div" {
        return Some(Json::Text(without_prefix(element)));
    }
    if let Some(inner) = held(element) {
        return Some(resource(inner));
    }
    let value = element.attributes().find(|(given, _)| *given == "value").map(|(_, value)| value);
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        return Some(xml_elements::primitive(parent, name, value));
    }
    let mut members: Vec<(String, Json)> = ["id", "url"]
        .iter()
        .filter_map(|own| Some(((*own).to_owned(), Json::Text(element.attribute(own)?.to_owned()))))
        .collect();
    add_children(element, name, &mut members);
    (!members.is_empty()).then_some(Json::Object(members))
}

/// XHTML as it was written; a prefix before its names goes, since HTML has none.
fn without_prefix(div: Element<'_>) -> String {
    let text = div.slice();
    match div.prefix() {
        Some(prefix) => text.replace(&format!("<{prefix}:"), "<").replace(&format!("</{prefix}:"), "</"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::xml::Tree;
    use super::*;

    fn json(xml: &str) -> Json {
        resource(Tree::parse(xml).unwrap().root())
    }

    #[test]
    fn elements_become_what_they_are_in_json() {
        let patient = json(
            "<Patient xmlns='http://hl7.org/fhir'><id value='p'/><active value='true'/>\
             <name><family value='Sorel'/><given value='Ada'/></name><multipleBirthInteger value='2'/>\
             <contact><name><family value='Holt'/></name></contact></Patient>",
        );
        let same = Json::parse(
            r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"Sorel","given":["Ada"]}],
                "multipleBirthInteger":2,"contact":[{"name":{"family":"Holt"}}]}"#,
        );
        assert_eq!(patient, same.unwrap());
    }

    #[test]
    fn numbers_keep_their_digits_and_texts_that_look_like_numbers_stay_texts() {
        let observation = json(
            "<Observation><valueQuantity><value value='6.30'/><unit value='1'/></valueQuantity>\
             <component><valueString value='7'/></component></Observation>",
        );
        assert_eq!(observation.at("valueQuantity.value"), Some(&Json::Number("6.30".into())));
        assert_eq!(observation.at("component.valueString"), Some(&Json::Text("7".into())));
        assert_eq!(observation.at("valueQuantity.unit"), Some(&Json::Text("1".into())));
    }

    #[test]
    fn resources_within_and_narratives_are_kept() {
        let list = json(
            "<f:List xmlns:f='http://hl7.org/fhir' xmlns:h='x'><f:contained><f:Patient><f:id value='c'/></f:Patient></f:contained>\
             <f:text><h:div><h:p>One</h:p></h:div></f:text></f:List>",
        );
        assert_eq!(list.list("contained")[0].text("resourceType"), Some("Patient"));
        assert_eq!(list.at("text.div"), Some(&Json::Text("<div><p>One</p></div>".into())));
    }
}
