//! Names of people and organizations in a header or an entry.

use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::references::plain;

/// A `name` in its parts or as plain text, in the order that people say it.
pub(super) fn name(name: Element<'_>) -> Option<String> {
    if name.attribute("nullFlavor").is_some() && name.elements().next().is_none() {
        return None;
    }
    let is_maiden = |part: &Element<'_>| part.name() == "family" && part.attribute("qualifier") == Some("BR");
    let maiden_too = name.all("family").count() > 1;
    let parts = ["prefix", "given", "family", "suffix"];
    let filled = |part: &Element<'_>| part.attribute("nullFlavor").is_none() && !(maiden_too && is_maiden(part));
    let words = parts.iter().flat_map(|part| name.all(part)).filter(filled).map(plain).filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join(" ");
    let words = if words.is_empty() { plain(name) } else { words };
    (!words.is_empty()).then(|| tidy::bounded(&words, 150))
}

/// The name that a person goes by: the legal one, else the first.
pub(super) fn person(person: Element<'_>) -> Option<String> {
    let legal =
        person.all("name").find(|name| name.attribute("use").is_some_and(|uses| uses.split(' ').any(|u| u == "L")));
    legal.and_then(name).or_else(|| person.all("name").find_map(name))
}

/// An `assignedAuthor`, `assignedEntity` or the like: the person, else the device, with the organization.
pub(super) fn assigned(entity: Element<'_>) -> Option<String> {
    let someone = ["assignedPerson", "associatedPerson", "relatedPerson", "informationRecipient", "playingEntity"];
    let named = someone.iter().filter_map(|path| entity.child(path)).find_map(person);
    let device = || {
        let device = entity.child("assignedAuthoringDevice")?;
        let words = device.child("softwareName").or_else(|| device.child("manufacturerModelName")).map(plain)?;
        (!words.is_empty()).then(|| tidy::bounded(&words, 150))
    };
    let place = organization(entity);
    match (named.or_else(device), place) {
        (Some(name), Some(place)) if name != place => Some(format!("{name} ({place})")),
        (name, place) => name.or(place),
    }
}

/// The name of the organization that an entity stands for.
pub(super) fn organization(entity: Element<'_>) -> Option<String> {
    let places = ["representedOrganization", "scopingOrganization", "receivedOrganization"];
    places.iter().filter_map(|path| entity.child(path)).find_map(person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    #[test]
    fn names_read_as_people_say_them() {
        for (xml, words) in [
            (
                "<name><family>Holt</family><given>Ina</given><given>M.</given><prefix>Dr</prefix></name>",
                Some("Dr Ina M. Holt"),
            ),
            ("<name> Ina  Holt </name>", Some("Ina Holt")),
            ("<name nullFlavor='UNK'/>", None),
        ] {
            assert_eq!(name(Tree::parse(xml).unwrap().root()).as_deref(), words, "{xml}");
        }
    }

    #[test]
    fn an_author_is_a_person_of_a_place_or_a_device() {
        let tree = Tree::parse(
            "<a><assignedAuthor><assignedPerson><name>Ina Holt</name></assignedPerson>\
             <representedOrganization><name>North Clinic</name></representedOrganization></assignedAuthor>\
             <assignedAuthor><assignedAuthoringDevice><softwareName>Chart 2</softwareName></assignedAuthoringDevice></assignedAuthor></a>",
        )
        .unwrap();
        let found: Vec<_> = tree.root().elements().filter_map(assigned).collect();
        assert_eq!(found, ["Ina Holt (North Clinic)", "Chart 2"]);
    }
}
