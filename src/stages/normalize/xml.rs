//! A tolerant XML tree: undeclared prefixes are taken, entities never expanded, all sizes bounded.
//!
//! Names are local names, since what matters here is told by them alone, and since senders forget to declare
//! their prefixes. The tree is a flat list of nodes, so that no nesting can exhaust the stack when it is dropped.

mod decode;
mod entity;

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::domain::{Finding, QuarantineReason, Severity, Unreadable};

pub(in crate::stages) use decode::decode;

/// Levels of nesting that are read; real documents stay below 60.
pub(in crate::stages) const MAX_DEPTH: usize = 256;

/// Elements, texts and attributes together; a record of 60 MiB has about as many.
const MAX_NODES: usize = 4_000_000;

/// The bytes aren't what they were declared to be.
pub(in crate::stages) fn guessed() -> Finding {
    Finding { rule: "charset".to_owned(), severity: Severity::Warning, path: "?xml.encoding".to_owned() }
}

type Index = u32;

const NONE: Index = Index::MAX;

#[derive(Debug)]
pub(in crate::stages) struct Tree<'a> {
    source: &'a str,
    nodes: Vec<Raw<'a>>,
    attributes: Vec<(&'a str, Cow<'a, str>)>,
}

#[derive(Debug)]
struct Raw<'a> {
    content: Content<'a>,
    next: Index,
}

#[derive(Debug)]
enum Content<'a> {
    Element { qualified: &'a str, first: Index, attributes: (Index, Index), start: Index, end: Index },
    Text(Cow<'a, str>),
}

/// One element of a tree; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(in crate::stages) struct Element<'t> {
    tree: &'t Tree<'t>,
    index: Index,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::stages) enum Node<'t> {
    Element(Element<'t>),
    Text(&'t str),
}

impl<'a> Tree<'a> {
    /// Errors: a position or a limit, never content.
    pub fn parse(source: &'a str) -> Result<Self, Unreadable> {
        let mut builder = Builder::new(source);
        let mut reader = Reader::from_str(source);
        reader.config_mut().allow_dangling_amp = true;
        loop {
            let before = position(reader.buffer_position());
            match reader.read_event() {
                Ok(Event::Start(tag)) => builder.open(&tag, before)?,
                Ok(Event::Empty(tag)) => {
                    builder.open(&tag, before)?;
                    builder.close(position(reader.buffer_position()));
                }
                Ok(Event::End(_)) => builder.close(position(reader.buffer_position())),
                Ok(Event::Text(text)) => builder.text(borrowed(source, &text))?,
                Ok(Event::CData(text)) => builder.text(borrowed(source, &text))?,
                Ok(Event::GeneralRef(name)) => builder.text(entity::in_text(borrowed(source, &name)))?,
                Ok(Event::Eof) => break,
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => {}
                Err(_) => return Err(malformed(source, position(reader.error_position()))),
            }
        }
        builder.finish()
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'_> {
        Element { tree: self, index: 0 }
    }
}

fn position(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The part of the source that an event of its reader holds.
fn borrowed<'a>(source: &'a str, bytes: &[u8]) -> &'a str {
    let start = (bytes.as_ptr() as usize).saturating_sub(source.as_ptr() as usize);
    source.get(start..start.saturating_add(bytes.len())).unwrap_or_default()
}

fn malformed(source: &str, at: usize) -> Unreadable {
    Unreadable::new(QuarantineReason::MalformedXml, place(source, at))
}

/// `line 3 column 14`, both from 1.
fn place(source: &str, at: usize) -> String {
    let bytes = source.as_bytes();
    let before = bytes.get(..at.min(bytes.len())).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("line {line} column {column}")
}

struct Builder<'a> {
    tree: Tree<'a>,
    /// Each open element with its last child.
    open: Vec<(Index, Index)>,
    closed: bool,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str) -> Self {
        Self { tree: Tree { source, nodes: Vec::new(), attributes: Vec::new() }, open: Vec::new(), closed: false }
    }

    fn open(&mut self, tag: &BytesStart<'_>, start: usize) -> Result<(), Unreadable> {
        let source = self.tree.source;
        if self.closed {
            return Err(Unreadable::new(
                QuarantineReason::MalformedXml,
                format!("a second root element, {}", place(source, start)),
            ));
        }
        if self.open.len() >= MAX_DEPTH {
            let detail = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(Unreadable::new(QuarantineReason::TooLarge, detail));
        }
        let first = self.tree.attributes.len();
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| malformed(source, start))?;
            let name = borrowed(source, attribute.key.into_inner());
            let value = borrowed(source, &attribute.value);
            self.tree.attributes.push((name, entity::unescape(value)));
        }
        let attributes = (index(first), index(self.tree.attributes.len()));
        let qualified = borrowed(source, tag.name().into_inner());
        let content = Content::Element { qualified, first: NONE, attributes, start: index(start), end: NONE };
        let own = self.add(content)?;
        self.open.push((own, NONE));
        Ok(())
    }

    fn close(&mut self, at: usize) {
        let Some((own, _)) = self.open.pop() else { return };
        if let Some(Raw { content: Content::Element { end, .. }, .. }) = self.tree.nodes.get_mut(own as usize) {
            *end = index(at);
        }
        self.closed |= self.open.is_empty();
    }

    fn text(&mut self, text: impl Into<Cow<'a, str>>) -> Result<(), Unreadable> {
        let text = text.into();
        let Some((_, last)) = self.open.last() else { return Ok(()) };
        if text.is_empty() {
            return Ok(());
        }
        if let Some(Raw { content: Content::Text(before), .. }) = self.tree.nodes.get_mut(*last as usize) {
            before.to_mut().push_str(&text);
            return Ok(());
        }
        self.add(Content::Text(text)).map(|_| ())
    }

    fn add(&mut self, content: Content<'a>) -> Result<Index, Unreadable> {
        let own = index(self.tree.nodes.len());
        if self.tree.nodes.len() + self.tree.attributes.len() > MAX_NODES {
            return Err(Unreadable::new(QuarantineReason::TooLarge, format!("more than {MAX_NODES} nodes")));
        }
        if let Some((parent, last)) = self.open.last_mut() {
            let before = if *last == NONE { *parent } else { *last };
            let is_first = *last == NONE;
            *last = own;
            if let Some(before) = self.tree.nodes.get_mut(before as usize) {
                match &mut before.content {
                    Content::Element { first, .. } if is_first => *first = own,
                    _ => before.next = own,
                }
            }
        }
        self.tree.nodes.push(Raw { content, next: NONE });
        Ok(own)
    }

    fn finish(self) -> Result<Tree<'a>, Unreadable> {
        let source = self.tree.source;
        if !self.open.is_empty() {
            let detail = format!("{} elements are not closed, {}", self.open.len(), place(source, source.len()));
            return Err(Unreadable::new(QuarantineReason::MalformedXml, detail));
        }
        if self.tree.nodes.is_empty() {
            return Err(Unreadable::new(QuarantineReason::MalformedXml, "no element"));
        }
        Ok(self.tree)
    }
}

fn index(number: usize) -> Index {
    Index::try_from(number).unwrap_or(NONE)
}

impl<'t> Element<'t> {
    fn raw(self) -> Option<&'t Raw<'t>> {
        self.tree.nodes.get(self.index as usize)
    }

    fn qualified(self) -> &'t str {
        match self.raw().map(|raw| &raw.content) {
            Some(Content::Element { qualified, .. }) => qualified,
            _ => "",
        }
    }

    /// The name without its prefix.
    pub fn name(self) -> &'t str {
        local(self.qualified())
    }

    pub fn prefix(self) -> Option<&'t str> {
        self.qualified().rsplit_once(':').map(|(prefix, _)| prefix)
    }

    /// The namespace that this element itself declares for its own name.
    pub fn declared_namespace(self) -> Option<&'t str> {
        let prefix = self.prefix();
        self.attributes()
            .find(|(name, _)| match prefix {
                Some(prefix) => name.strip_prefix("xmlns:") == Some(prefix),
                None => *name == "xmlns",
            })
            .map(|(_, value)| value)
    }

    /// The delivery's own text of this element, tags included.
    pub fn slice(self) -> &'t str {
        match self.raw().map(|raw| &raw.content) {
            Some(Content::Element { start, end, .. }) => {
                self.tree.source.get(*start as usize..*end as usize).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// Qualified names with their values, in the order written.
    pub fn attributes(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let (first, end) = match self.raw().map(|raw| &raw.content) {
            Some(Content::Element { attributes, .. }) => *attributes,
            _ => (0, 0),
        };
        let range = self.tree.attributes.get(first as usize..end as usize).unwrap_or_default();
        range.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    /// The value of the attribute with that local name, trimmed, unless blank.
    pub fn attribute(self, name: &str) -> Option<&'t str> {
        let (_, value) = self.attributes().find(|(given, _)| is_named(given, name))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// Elements and texts, in the order written.
    pub fn children(self) -> impl Iterator<Item = Node<'t>> {
        let first = match self.raw().map(|raw| &raw.content) {
            Some(Content::Element { first, .. }) => *first,
            _ => NONE,
        };
        let tree = self.tree;
        let node = move |index: Index| tree.nodes.get(index as usize).map(|raw| (index, raw));
        std::iter::successors(node(first), move |(_, raw)| node(raw.next)).map(move |(index, raw)| match &raw.content {
            Content::Element { .. } => Node::Element(Element { tree, index }),
            Content::Text(text) => Node::Text(text),
        })
    }

    pub fn elements(self) -> impl Iterator<Item = Element<'t>> {
        self.children().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub fn all(self, name: &str) -> impl Iterator<Item = Element<'t>> {
        self.elements().filter(move |element| element.name() == name)
    }

    pub fn child(self, name: &str) -> Option<Element<'t>> {
        self.all(name).next()
    }

    /// A path of names, `/` between them; the first of each on the way.
    pub fn at(self, path: &str) -> Option<Element<'t>> {
        path.split('/').try_fold(self, |element, name| element.child(name))
    }

    /// The attribute `value` at a path, as most of a CDA header is written.
    pub fn value_at(self, path: &str) -> Option<&'t str> {
        self.at(path)?.attribute("value")
    }

    /// This element and all below it, in the order written.
    pub fn descendants(self) -> impl Iterator<Item = Element<'t>> {
        let tree = self.tree;
        let end = match self.raw().map(|raw| &raw.content) {
            Some(Content::Element { end, .. }) => *end,
            _ => 0,
        };
        (self.index..)
            .map_while(move |index| tree.nodes.get(index as usize).map(|raw| (index, raw)))
            .map_while(move |(index, raw)| match &raw.content {
                Content::Element { start, .. } if *start < end => Some(Some(Element { tree, index })),
                Content::Element { .. } => None,
                Content::Text(_) => Some(None),
            })
            .flatten()
    }

    /// All text below this element, in the order written, markup left out.
    pub fn text(self) -> String {
        let mut text = String::new();
        self.collect(&mut text);
        text
    }

    fn collect(self, text: &mut String) {
        for node in self.children() {
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(element) => {
                    element.collect(text);
                }
            }
        }
    }
}

/// Whether a qualified name is that local name, with any prefix or none.
fn is_named(qualified: &str, name: &str) -> bool {
    qualified.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(':'))
}

fn local(qualified: &str) -> &str {
    qualified.rsplit_once(':').map_or(qualified, |(_, local)| local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(xml: &str) -> (QuarantineReason, String) {
        let unreadable = Tree::parse(xml).unwrap_err();
        (unreadable.reason, unreadable.detail)
    }

    #[test]
    fn undeclared_prefixes_and_bare_ampersands_are_taken() {
        let tree = Tree::parse("<a><sdtc:b xsi:type='x:CD' v='A &amp; B'/>R & D &lt;<![CDATA[<raw>]]></a>").unwrap();
        let root = tree.root();
        let inner = root.child("b").unwrap();
        assert_eq!((inner.attribute("type"), inner.attribute("v")), (Some("x:CD"), Some("A & B")));
        assert_eq!(root.text(), "R & D <<raw>");
        assert_eq!(inner.slice(), "<sdtc:b xsi:type='x:CD' v='A &amp; B'/>");
    }

    #[test]
    fn children_come_in_the_order_written() {
        let tree = Tree::parse("<a>one<b>two</b>three<!-- no --><c/>four</a>").unwrap();
        let kinds: Vec<String> = tree
            .root()
            .children()
            .map(|node| match node {
                Node::Text(text) => text.to_owned(),
                Node::Element(element) => format!("<{}>", element.name()),
            })
            .collect();
        assert_eq!(kinds, ["one", "<b>", "three", "<c>", "four"]);
        assert_eq!(tree.root().text(), "onetwothreefour");
    }

    #[test]
    fn descendants_end_with_their_element() {
        let tree = Tree::parse("<a><b><c/>x<d><e/></d></b>text<f/></a>").unwrap();
        let names: Vec<&str> = tree.root().child("b").unwrap().descendants().map(Element::name).collect();
        assert_eq!(names, ["b", "c", "d", "e"]);
        assert_eq!(tree.root().descendants().count(), 6);
    }

    #[test]
    fn errors_give_a_position_and_no_content() {
        let malformed = QuarantineReason::MalformedXml;
        assert_eq!(refused("<a>\n <secret></other></a>"), (malformed, "line 2 column 10".into()));
        assert_eq!(refused("<a><b>"), (malformed, "2 elements are not closed, line 1 column 7".into()));
        assert_eq!(refused("no markup"), (malformed, "no element".into()));
        assert_eq!(refused("<a/>\n<b/>"), (malformed, "a second root element, line 2 column 1".into()));
    }

    #[test]
    fn depth_has_a_limit() {
        let deep = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        assert!(Tree::parse(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(refused(&deep(MAX_DEPTH + 1)).0, QuarantineReason::TooLarge);
    }

    #[test]
    fn a_namespace_is_that_of_the_elements_own_prefix() {
        let declared = |xml: &str| Tree::parse(xml).unwrap().root().declared_namespace().map(str::to_owned);
        assert_eq!(declared("<a xmlns='one' xmlns:p='two'/>").as_deref(), Some("one"));
        assert_eq!(declared("<p:a xmlns='one' xmlns:p='two'/>").as_deref(), Some("two"));
        assert_eq!(declared("<p:a xmlns='one'/>"), None);
    }
}
