//! A section's narrative to readable lines: what a person signed, every word of it, and where each `ID` stands.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::stages::normalize::html;
use crate::stages::normalize::xml::{Element, Node};

use super::table;

/// Markup that was escaped twice and so stands in the text as words.
static ESCAPED_TAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)<(/?)(br|p|div|li|ul|ol|tr|table|b|i|u|em|strong|span|font)(\s[^<>]{0,200})?/?>")
        .expect("a fixed pattern")
});

/// A whole piece of HTML that was put in as text.
static ESCAPED_PAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)</(table|tr|td|div|p|ul|ol|html|body|h[1-6])>").expect("a fixed pattern"));

/// Lines of a narrative; an empty one sets paragraphs apart.
#[derive(Debug, Default)]
pub(super) struct Narrative<'t> {
    pub lines: Vec<String>,
    /// First and last line of each element with an `ID`; of an id given twice the first counts.
    pub ids: HashMap<&'t str, (usize, usize)>,
    pub holds_table: bool,
}

impl<'t> Narrative<'t> {
    /// `repeats` is how many bytes may still be written again: headers above each row, cells that span rows.
    pub fn read(text: Element<'t>, repeats: &Cell<usize>) -> Self {
        let mut writer = Writer::new(repeats);
        writer.children(text);
        writer.finish()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(String::is_empty)
    }

    /// The lines of `inner` behind those already here.
    fn append(&mut self, inner: Narrative<'t>, dress: impl Fn(String) -> String) {
        let shift = self.lines.len();
        for (id, (first, last)) in inner.ids {
            self.ids.entry(id).or_insert((first + shift, last + shift));
        }
        self.lines.extend(inner.lines.into_iter().map(dress));
        self.holds_table |= inner.holds_table;
    }
}

pub(super) struct Writer<'t, 'r> {
    done: Narrative<'t>,
    line: String,
    /// Ids of elements that began and have no text yet.
    level: usize,
    marker: Option<String>,
    preformatted: usize,
    /// The last thing written was an element's end, not text.
    after_element: bool,
    /// An inline element just began or ended: words on both sides of it are two.
    boundary: bool,
    notes: Vec<Narrative<'t>>,
    notes_written: usize,
    blocks: usize,
    pub repeats: &'r Cell<usize>,
}

impl<'t, 'r> Writer<'t, 'r> {
    pub fn new(repeats: &'r Cell<usize>) -> Self {
        Self {
            done: Narrative::default(),
            line: String::new(),
            level: 0,
            marker: None,
            preformatted: 0,
            after_element: false,
            boundary: false,
            notes: Vec::new(),
            notes_written: 0,
            blocks: 0,
            repeats,
        }
    }

    pub fn finish(mut self) -> Narrative<'t> {
        self.end_line();
        self.write_notes();
        while self.done.lines.last().is_some_and(String::is_empty) {
            self.done.lines.pop();
        }
        self.done
    }

    pub fn children(&mut self, element: Element<'t>) {
        for node in element.children() {
            match node {
                Node::Text(text) => self.text(text),
                Node::Element(inner) => self.element(inner),
            }
        }
    }

    pub fn element(&mut self, element: Element<'t>) {
        if element.attribute("revised") == Some("delete") {
            return;
        }
        let Some(id) = element.attribute("ID") else { return self.render(element) };
        if begins_line(element) {
            self.end_line();
        }
        let (line, length) = (self.done.lines.len(), self.line.len());
        self.render(element);
        let filled = |text: &String| !text.is_empty();
        let written = self.done.lines.get(line..).unwrap_or_default();
        let first = written.iter().position(filled).map(|at| at + line);
        let last = written.iter().rposition(filled).map(|at| at + line);
        let open = (self.line.len() > length || !written.is_empty()) && !self.line.trim().is_empty();
        let last = if open { Some(self.done.lines.len()) } else { last };
        if let Some(last) = last {
            self.done.ids.entry(id).or_insert((first.unwrap_or(last), last));
        }
    }

    fn render(&mut self, element: Element<'t>) {
        match element.name() {
            "br" | "hr" => self.break_line(),
            "paragraph" | "p" | "blockquote" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.block(element);
                self.gap();
            }
            "div" | "caption" | "dl" | "dt" | "dd" | "section" | "title" => self.block(element),
            "pre" => self.keeping_breaks(element),
            "list" | "ul" | "ol" => self.list(element),
            "item" | "li" => self.item(element, "- ".to_owned()),
            "table" => self.table(element),
            "thead" | "tbody" | "tfoot" | "tr" => self.block(element),
            "td" | "th" => self.loose_cell(element),
            "col" | "colgroup" => {}
            "footnote" => self.footnote(element),
            "footnoteRef" => {}
            "renderMultiMedia" => self.picture(element),
            "linkHtml" | "a" => self.link(element),
            "sub" => self.offset(element, '_'),
            "sup" => self.offset(element, '^'),
            _ if keeps_breaks(element) => self.keeping_breaks(element),
            _ => self.inline(element),
        }
        self.after_element = true;
    }

    fn inline(&mut self, element: Element<'t>) {
        if self.after_element && !self.line.is_empty() && !self.line.ends_with(' ') {
            self.line.push(' ');
        }
        self.after_element = false;
        self.boundary = true;
        let length = self.line.len();
        self.children(element);
        // A lone letter may be the initial of the word that goes on behind it.
        let mut added = self.line.get(length..).unwrap_or_default().trim().chars();
        self.boundary = !(added.next().is_some_and(char::is_alphabetic) && added.next().is_none());
    }

    fn block(&mut self, element: Element<'t>) {
        self.end_line();
        self.blocks += 1;
        self.children(element);
        self.end_line();
        self.blocks -= 1;
        if self.blocks == 0 {
            self.write_notes();
        }
    }

    fn keeping_breaks(&mut self, element: Element<'t>) {
        self.end_line();
        self.preformatted += 1;
        self.children(element);
        self.end_line();
        self.preformatted -= 1;
    }

    fn list(&mut self, element: Element<'t>) {
        self.end_line();
        self.blocks += 1;
        let numbered = element.attribute("listType") == Some("ordered") || element.name() == "ol";
        let mut number = 0;
        for node in element.children() {
            match node {
                Node::Element(item) if matches!(item.name(), "item" | "li") => {
                    number += 1;
                    let marker = if numbered { format!("{number}. ") } else { "- ".to_owned() };
                    self.identified_item(item, marker);
                }
                Node::Element(other) => self.element(other),
                Node::Text(text) => self.text(text),
            }
        }
        self.end_line();
        self.blocks -= 1;
        if self.blocks == 0 {
            self.write_notes();
            self.gap();
        }
    }

    fn identified_item(&mut self, item: Element<'t>, marker: String) {
        if item.attribute("revised") == Some("delete") {
            return;
        }
        let line = self.done.lines.len();
        self.item(item, marker);
        if let Some(id) = item.attribute("ID")
            && self.done.lines.len() > line
        {
            self.done.ids.entry(id).or_insert((line, self.done.lines.len() - 1));
        }
    }

    fn item(&mut self, item: Element<'t>, marker: String) {
        self.end_line();
        self.level += 1;
        let outer = self.marker.replace(marker);
        self.block(item);
        self.level -= 1;
        // An item that begins with another list gives its own marker up.
        self.marker = if self.marker.is_some() { outer } else { None };
    }

    fn table(&mut self, element: Element<'t>) {
        self.end_line();
        let inner = table::read(element, self.repeats);
        if inner.is_empty() {
            return;
        }
        let indent = "  ".repeat(self.level.saturating_sub(1));
        let mut marker = self.marker.take();
        let level = self.level;
        let dressed: Vec<String> = inner
            .lines
            .into_iter()
            .map(|line| match marker.take() {
                Some(marker) if !line.is_empty() => format!("{indent}{marker}{line}"),
                waiting => {
                    marker = waiting;
                    if line.is_empty() || level == 0 { line } else { format!("{indent}  {line}") }
                }
            })
            .collect();
        self.done.append(Narrative { lines: dressed, ids: inner.ids, holds_table: true }, |line| line);
        if self.blocks == 0 {
            self.gap();
        }
    }

    /// A cell outside of any table.
    fn loose_cell(&mut self, element: Element<'t>) {
        if !self.line.trim().is_empty() {
            self.line.truncate(self.line.trim_end().len());
            self.line.push_str(" | ");
        }
        self.after_element = false;
        self.children(element);
    }

    /// A note to the words before it; one that stands by itself is a line like any other.
    fn footnote(&mut self, element: Element<'t>) {
        if self.line.trim().is_empty() {
            return self.block(element);
        }
        let mut writer = Writer::new(self.repeats);
        writer.children(element);
        let note = writer.finish();
        if note.is_empty() {
            return;
        }
        self.notes.push(note);
        let number = self.notes_written + self.notes.len();
        self.line.push_str(&format!("[{number}]"));
    }

    fn write_notes(&mut self) {
        for note in std::mem::take(&mut self.notes) {
            self.notes_written += 1;
            let number = self.notes_written;
            let first = Cell::new(true);
            self.done.append(note, |line| if first.replace(false) { format!("[{number}] {line}") } else { line });
        }
    }

    fn picture(&mut self, element: Element<'t>) {
        let caption = super::references::plain(element);
        self.inline_words(&if caption.is_empty() { "[image]".to_owned() } else { format!("[image: {caption}]") });
    }

    fn link(&mut self, element: Element<'t>) {
        self.inline(element);
        if let Some(target) = element.attribute("href").filter(|target| !target.starts_with('#')) {
            self.inline_words(&format!("({target})"));
        }
    }

    fn inline_words(&mut self, words: &str) {
        if !self.line.is_empty() && !self.line.ends_with(' ') {
            self.line.push(' ');
        }
        self.text(words);
    }

    fn offset(&mut self, element: Element<'t>, sign: char) {
        if self.line.ends_with(char::is_alphanumeric) {
            self.line.push(sign);
        }
        self.after_element = false;
        self.boundary = false;
        self.children(element);
    }

    fn text(&mut self, text: &str) {
        if text.contains("</") && ESCAPED_PAGE.is_match(text) {
            for line in html::to_text(text).lines() {
                self.words(line);
                self.break_line();
            }
            return;
        }
        if text.contains('<') && ESCAPED_TAG.is_match(text) {
            let plain = ESCAPED_TAG.replace_all(text, |tag: &regex::Captures<'_>| {
                let name = tag.get(2).map(|name| name.as_str().to_ascii_lowercase()).unwrap_or_default();
                if matches!(name.as_str(), "b" | "i" | "u" | "em" | "strong" | "span" | "font") {
                    ""
                } else {
                    "\u{2028}"
                }
            });
            return self.words(&plain);
        }
        self.words(text);
    }

    fn words(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\u{2028}' => self.break_line(),
                '\n' if self.preformatted > 0 => self.break_line(),
                c if c.is_whitespace() && self.preformatted == 0 => {
                    if !self.line.is_empty() && !self.line.ends_with(' ') {
                        self.line.push(' ');
                    }
                    self.after_element = false;
                }
                '\r' => {}
                c => {
                    if self.boundary && c.is_alphanumeric() && self.line.ends_with(char::is_alphanumeric) {
                        self.line.push(' ');
                    }
                    self.line.push(c);
                    self.after_element = false;
                    self.boundary = false;
                }
            }
        }
    }

    fn break_line(&mut self) {
        self.end_line();
        self.after_element = false;
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.trim().is_empty() {
            return;
        }
        let indent = "  ".repeat(self.level.saturating_sub(1));
        let dressed = match (self.marker.take(), self.level) {
            (Some(marker), _) => format!("{indent}{marker}{}", line.trim()),
            (None, 0) => line.trim_end().to_owned(),
            (None, _) => format!("{indent}  {}", line.trim_end()),
        };
        self.done.lines.push(dressed);
    }

    fn gap(&mut self) {
        if self.level == 0 && self.done.lines.last().is_some_and(|line| !line.is_empty()) {
            self.done.lines.push(String::new());
        }
    }
}

fn begins_line(element: Element<'_>) -> bool {
    matches!(
        element.name(),
        "paragraph"
            | "p"
            | "div"
            | "list"
            | "ul"
            | "ol"
            | "item"
            | "li"
            | "table"
            | "caption"
            | "tr"
            | "pre"
            | "section"
    )
}

/// Text that was laid out by its line breaks.
fn keeps_breaks(element: Element<'_>) -> bool {
    element.attributes().any(|(name, value)| match name {
        "xml:space" => value == "preserve",
        "styleCode" => value.split_whitespace().any(|style| matches!(style, "xmono" | "Monospace" | "xpre")),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    fn lines(xml: &str) -> Vec<String> {
        let tree = Tree::parse(xml).unwrap();
        Narrative::read(tree.root(), &Cell::new(10_000)).lines
    }

    #[test]
    fn paragraphs_breaks_and_styles_read_as_text() {
        let found = lines(
            "<text>Seen <content styleCode='Bold'>today</content>.<br/>Well.\
             <paragraph>One\n   two</paragraph><paragraph>H<sub>2</sub>O, 10<sup>9</sup></paragraph></text>",
        );
        assert_eq!(found, ["Seen today.", "Well.", "One two", "", "H_2O, 10^9"]);
    }

    #[test]
    fn words_on_both_sides_of_a_tag_are_two() {
        assert_eq!(
            lines("<text><content>120/80</content>mm Hg <content>CBC</content>at ten</text>"),
            ["120/80 mm Hg CBC at ten"]
        );
        assert_eq!(
            lines(
                "<text><content>H</content>emoglobin Onset<content>:</content> <content>a</content><content>b</content></text>"
            ),
            ["Hemoglobin Onset: a b"]
        );
    }

    #[test]
    fn lists_have_markers_and_levels() {
        let found = lines(
            "<text><list listType='ordered'><caption>Plan</caption><item>Rest</item>\
             <item>Drink<list><item>water</item><item>tea</item></list></item></list></text>",
        );
        assert_eq!(found, ["Plan", "1. Rest", "2. Drink", "  - water", "  - tea"]);
    }

    #[test]
    fn deleted_words_go_and_inserted_ones_stay() {
        let found =
            lines("<text>Dose <content revised='delete'>10</content><content revised='insert'>20</content> mg</text>");
        assert_eq!(found, ["Dose 20 mg"]);
    }

    #[test]
    fn footnotes_stand_below_their_block() {
        let found = lines("<text><paragraph>Aspirin<footnote ID='f'>by mouth</footnote> daily</paragraph>End</text>");
        assert_eq!(found, ["Aspirin[1] daily", "[1] by mouth", "", "End"]);
    }

    #[test]
    fn a_footnote_to_nothing_is_a_line() {
        let found =
            lines("<text><table><tbody><tr><td>Iron</td></tr></tbody></table><footnote>as of today</footnote></text>");
        assert_eq!(found, ["Iron", "", "as of today"]);
    }

    #[test]
    fn pictures_and_links_leave_their_words() {
        let found = lines(
            "<text><renderMultiMedia referencedObject='m'><caption>Chest film</caption></renderMultiMedia> \
             <linkHtml href='https://example.org/a'>more</linkHtml> <linkHtml href='#x'>below</linkHtml></text>",
        );
        assert_eq!(found, ["[image: Chest film] more (https://example.org/a) below"]);
    }

    #[test]
    fn breaks_written_as_characters_or_escaped_twice_are_breaks() {
        assert_eq!(
            lines("<text>one&#xA;two &lt;br/&gt;three &lt;5 &lt;b&gt;x&lt;/b&gt;</text>"),
            ["one", "two", "three <5 x"]
        );
    }

    #[test]
    fn html_that_was_put_in_as_text_is_read_as_html() {
        let found = lines("<text><![CDATA[<p>One</p><table><tr><td>Na</td><td>140</td></tr></table>]]> end</text>");
        assert_eq!(found, ["One", "Na | 140", "end"]);
    }

    #[test]
    fn each_id_knows_its_lines() {
        let tree = Tree::parse(
            "<text><paragraph ID='p'>One<br/>two</paragraph><content ID='c'>three</content> <content ID='e'/>\
             <list><item ID='i'>four</item></list></text>",
        )
        .unwrap();
        let read = Narrative::read(tree.root(), &Cell::new(0));
        assert_eq!(read.lines, ["One", "two", "", "three", "- four"]);
        assert_eq!((read.ids["p"], read.ids["c"], read.ids["i"]), ((0, 1), (3, 3), (4, 4)));
        assert!(!read.ids.contains_key("e"));
    }

    #[test]
    fn nested_tables_as_deep_as_documents_are_read() {
        let depth = crate::stages::normalize::xml::MAX_DEPTH / 3 - 2;
        let deep =
            format!("<text>{}deep{}</text>", "<table><tr><td>".repeat(depth), "</td></tr></table>".repeat(depth));
        assert_eq!(lines(&deep), ["deep"]);
    }
}
