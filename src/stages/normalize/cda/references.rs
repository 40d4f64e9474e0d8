//! What an entry points at in the narrative: `reference value="#id"`.

use std::collections::HashMap;

use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::{Element, Node};

/// Text beyond this is not gathered: nobody calls a thing by so many words.
const MAX_CHARACTERS: usize = 600;

/// Elements by their `ID`: those of the section first, then those of the whole document.
#[derive(Debug, Default)]
pub(super) struct References<'t> {
    everywhere: HashMap<&'t str, Element<'t>>,
    section: HashMap<&'t str, Element<'t>>,
}

impl<'t> References<'t> {
    pub fn of(document: Element<'t>) -> Self {
        Self { everywhere: identified(document), section: HashMap::new() }
    }

    /// From now on ids of this narrative come first.
    pub fn enter(&mut self, narrative: Option<Element<'t>>) {
        self.section = narrative.map(identified).unwrap_or_default();
    }

    pub fn find(&self, reference: &str) -> Option<Element<'t>> {
        let id = local(reference)?;
        self.section.get(id).or_else(|| self.everywhere.get(id)).copied()
    }

    /// An `originalText` or `text`: what it points at, else its own words.
    pub fn text_of(&self, element: Element<'_>) -> Option<String> {
        let target = element.child("reference").and_then(|reference| self.find(reference.attribute("value")?));
        let pointed = target.filter(|target| !is_large(*target)).map(plain).filter(|text| !text.is_empty());
        pointed.or_else(|| Some(plain(element)).filter(|text| !text.is_empty()))
    }
}

/// What holds more than one statement is no name of one.
pub(super) fn is_large(element: Element<'_>) -> bool {
    matches!(element.name(), "table" | "tbody" | "thead" | "tfoot" | "text" | "list" | "section" | "tr")
}

/// The id of `#id`; senders forget the `#` and add blanks.
pub(super) fn local(reference: &str) -> Option<&str> {
    let id = reference.trim().trim_start_matches('#').trim();
    (!id.is_empty() && !id.contains("://")).then_some(id)
}

fn identified<'t>(within: Element<'t>) -> HashMap<&'t str, Element<'t>> {
    let mut found = HashMap::new();
    for element in within.descendants() {
        if let Some(id) = element.attribute("ID") {
            found.entry(id).or_insert(element);
        }
    }
    found
}

/// One line of an element's text, markup left out.
pub(super) fn plain(element: Element<'_>) -> String {
    let mut text = String::new();
    gather(element, &mut text);
    tidy::line(&text)
}

fn gather(element: Element<'_>, text: &mut String) {
    for node in element.children() {
        if text.len() > MAX_CHARACTERS {
            return;
        }
        match node {
            Node::Text(part) => text.push_str(part),
            Node::Element(inner) if inner.attribute("revised") == Some("delete") => {}
            Node::Element(inner) => {
                let apart = !matches!(inner.name(), "sub" | "sup");
                if apart && !text.ends_with(' ') {
                    text.push(' ');
                }
                gather(inner, text);
                if apart && inner.name() != "content" {
                    text.push(' ');
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    #[test]
    fn references_without_their_sign_and_with_blanks_are_found() {
        let tree =
            Tree::parse("<s><text><content ID='a1'>Aspirin <content>81 mg</content></content></text></s>").unwrap();
        let references = References::of(tree.root());
        for reference in ["#a1", "a1", " #a1 "] {
            assert_eq!(references.find(reference).map(plain).as_deref(), Some("Aspirin 81 mg"), "{reference}");
        }
        assert!(references.find("#a2").is_none());
        assert!(references.find("https://example.org/a1").is_none());
    }

    #[test]
    fn the_sections_own_id_comes_first() {
        let tree = Tree::parse("<d><text><td ID='x'>one</td></text><text><td ID='x'>two</td></text></d>").unwrap();
        let mut references = References::of(tree.root());
        assert_eq!(references.find("#x").map(plain).as_deref(), Some("one"));
        references.enter(tree.root().all("text").nth(1));
        assert_eq!(references.find("#x").map(plain).as_deref(), Some("two"));
    }
}
