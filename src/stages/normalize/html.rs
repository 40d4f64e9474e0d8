//! HTML to readable lines: blocks end lines, table rows read `cell | cell`, nothing is fetched or run.

use std::sync::LazyLock;

use regex::Regex;
use scraper::{ElementRef, Html, Node};

use super::tidy;

const SKIPPED: [&str; 12] = [
    "script", "style", "head", "template", "noscript", "iframe", "object", "embed", "svg", "math", "select", "textarea",
];
const BLOCKS: [&str; 27] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "html",
    "main",
    "nav",
    "ol",
    "section",
    "table",
    "tbody",
    "thead",
    "tfoot",
    "ul",
];

/// `<script src=".."/>` ends there in XHTML; an HTML parser would take all that follows for script.
static CLOSED_AT_ONCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)<(?:script|style|title|textarea|iframe|noscript|noframes|xmp)\b[^<>]*/>").expect("a fixed pattern")
});

/// Readable text of a page or fragment; headings come out as markdown headings.
pub(in crate::stages) fn to_text(html: &str) -> String {
    let document = Html::parse_document(&CLOSED_AT_ONCE.replace_all(html, ""));
    let mut writer = Writer::default();
    let mut node = document.tree.root();
    // Walked without recursion: a hostile page can nest deeper than the stack.
    loop {
        match node.value() {
            Node::Text(text) => writer.text(text),
            Node::Element(element) => writer.open(element.name(), ElementRef::wrap(node).is_some_and(holds_table)),
            _ => {}
        }
        if let Some(child) = node.first_child() {
            node = child;
            continue;
        }
        loop {
            if let Node::Element(element) = node.value() {
                writer.close(element.name(), ElementRef::wrap(node).is_some_and(holds_table));
            }
            if let Some(sibling) = node.next_sibling() {
                node = sibling;
                break;
            }
            match node.parent() {
                Some(parent) => node = parent,
                None => return writer.finish(),
            }
        }
    }
}

/// A cell that only lays out another table is a block, not a cell.
fn holds_table(element: ElementRef<'_>) -> bool {
    matches!(element.value().name(), "td" | "th")
        && element.descendants().skip(1).any(|node| node.value().as_element().is_some_and(|e| e.name() == "table"))
}

#[derive(Default)]
struct Writer {
    text: String,
    line: String,
    skipping: usize,
    cells: usize,
    preformatted: usize,
}

impl Writer {
    fn text(&mut self, text: &str) {
        if self.skipping > 0 {
            return;
        }
        for c in text.chars() {
            match c {
                '\n' if self.preformatted > 0 && self.cells == 0 => self.end_line(),
                c if c.is_whitespace() && self.preformatted == 0 => {
                    if !self.line.is_empty() && !self.line.ends_with(' ') {
                        self.line.push(' ');
                    }
                }
                c => self.line.push(c),
            }
        }
    }

    fn open(&mut self, name: &str, lays_out: bool) {
        if SKIPPED.contains(&name) {
            self.skipping += 1;
        }
        if self.skipping > 0 {
            return;
        }
        match name {
            "td" | "th" if !lays_out => {
                if self.cells == 0 && !self.line.trim().is_empty() {
                    self.line.truncate(self.line.trim_end().len());
                    self.line.push_str(" | ");
                }
                self.cells += 1;
            }
            "br" | "hr" => self.break_off(),
            "pre" => {
                self.break_off();
                self.preformatted += 1;
            }
            "li" => {
                self.break_off();
                self.line.push_str("- ");
            }
            "p" => self.paragraph(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if self.cells == 0 => {
                self.paragraph();
                let level = name.as_bytes().get(1).map_or(1, |digit| usize::from(digit - b'0'));
                self.line.push_str(&"#".repeat(level));
                self.line.push(' ');
            }
            "tr" | "td" | "th" => self.break_off(),
            name if BLOCKS.contains(&name) => self.break_off(),
            _ => {}
        }
    }

    fn close(&mut self, name: &str, lays_out: bool) {
        if SKIPPED.contains(&name) {
            self.skipping = self.skipping.saturating_sub(1);
            return;
        }
        if self.skipping > 0 {
            return;
        }
        match name {
            "td" | "th" if !lays_out => self.cells = self.cells.saturating_sub(1),
            "pre" => {
                self.break_off();
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            "p" => self.paragraph(),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "li" | "tr" | "td" | "th" => self.break_off(),
            name if BLOCKS.contains(&name) => self.break_off(),
            _ => {}
        }
    }

    /// Within a cell a break is a space, so that a row stays one line.
    fn break_off(&mut self) {
        if self.cells > 0 {
            self.text(" ");
        } else if self.line.trim().is_empty() {
            self.line.clear();
        } else if self.line != "- " {
            self.end_line();
        }
    }

    fn paragraph(&mut self) {
        self.break_off();
        if self.cells == 0 && self.line.is_empty() && !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn end_line(&mut self) {
        self.text.push_str(self.line.trim_end());
        self.text.push('\n');
        self.line.clear();
    }

    fn finish(mut self) -> String {
        self.end_line();
        tidy::text(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[test]
    fn blocks_become_lines_and_scripts_go() {
        let html = "<html><head><title>t</title></head><body><p>One &amp; <b>two</b></p><script>x()</script>\
                    <div>Three<br/>four</div><style>p{}</style><ul><li>a</li><li><p>b</p></li></ul></body></html>";
        assert_eq!(to_text(html), "One & two\n\nThree\nfour\n- a\n- b");
    }

    #[test]
    fn a_table_row_is_one_line() {
        let html = "<table><tr><th>Drug</th><th>Dose</th></tr><tr><td><p>Aspirin</p></td><td>81 mg</td></tr></table>";
        assert_eq!(to_text(html), "Drug | Dose\nAspirin | 81 mg");
    }

    #[test]
    fn a_cell_that_lays_out_a_table_is_no_cell() {
        let html = "<table><tr><td><h2>Plan</h2><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>";
        assert_eq!(to_text(html), "## Plan\na | b");
    }

    #[test]
    fn a_script_closed_at_once_takes_nothing_with_it() {
        assert_eq!(to_text("<div><title/><script src='x'/><p>kept</p></div>"), "kept");
    }

    #[test]
    fn nesting_without_end_is_read() {
        let text = to_text(&format!("{}deep{}", "<div>".repeat(20_000), "</div>".repeat(20_000)));
        assert_eq!(text, "deep");
    }
}
