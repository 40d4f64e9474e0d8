//! The running text of a DOCX part: paragraphs, headings, lists, tables, pages.

use std::collections::HashMap;

use crate::domain::Unreadable;

use super::package::too_large;
use super::styles::{Styles, outline};
use super::xml::{Element, Step, walk};
use crate::stages::normalize::reading::MAX_TEXT_BYTES;

/// What isn't part of the text as it now reads: deletions, where moved text came from, fields' instructions,
/// what stands in for a drawing in older programs.
const SKIPPED: [&str; 12] = [
    "del",
    "moveFrom",
    "delText",
    "delInstrText",
    "instrText",
    "Fallback",
    "pPrChange",
    "rPrChange",
    "tblPrChange",
    "sectPrChange",
    "binData",
    "annotation-xml",
];

/// Notes and comments by their id, to stand below the paragraph that refers to them.
#[derive(Debug, Default)]
pub(super) struct Asides {
    pub footnotes: HashMap<String, String>,
    pub endnotes: HashMap<String, String>,
    pub comments: HashMap<String, String>,
}

/// A part's text, page by page.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub pages: Vec<String>,
    /// Whether the part says where its pages break.
    pub has_page_breaks: bool,
    pub has_picture: bool,
}

pub(super) fn read(bytes: &[u8], styles: &Styles, asides: &Asides) -> Result<Body, Unreadable> {
    let mut writer = Writer::new(styles, asides);
    walk(bytes, |step| {
        match step {
            Step::Begin(element) => writer.begin(element),
            Step::End(name) => writer.end(name),
            Step::Text(text) => writer.text(text),
        }
        if writer.written > MAX_TEXT_BYTES { Err(too_large("text".to_owned())) } else { Ok(()) }
    })?;
    Ok(writer.finish())
}

#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    level: Option<usize>,
    is_item: bool,
    asides: Vec<String>,
}

/// A table row: its finished cells, and the one being written.
#[derive(Debug, Default)]
struct Row {
    cells: Vec<String>,
    cell: Vec<String>,
}

struct Writer<'a> {
    styles: &'a Styles,
    asides: &'a Asides,
    body: Body,
    page: String,
    /// Text boxes hold paragraphs within paragraphs.
    paragraphs: Vec<Paragraph>,
    rows: Vec<Row>,
    skipping: usize,
    in_text: bool,
    in_run: bool,
    hidden: bool,
    ticked: Option<bool>,
    /// A page ends behind this paragraph or row.
    break_waits: bool,
    /// Nothing was written since a break that the author made.
    after_own_break: bool,
    written: usize,
}

impl<'a> Writer<'a> {
    fn new(styles: &'a Styles, asides: &'a Asides) -> Self {
        Self {
            styles,
            asides,
            body: Body::default(),
            page: String::new(),
            paragraphs: Vec::new(),
            rows: Vec::new(),
            skipping: 0,
            in_text: false,
            in_run: false,
            hidden: false,
            ticked: None,
            break_waits: false,
            after_own_break: false,
            written: 0,
        }
    }

    fn begin(&mut self, element: &Element) {
        let name = element.name.as_str();
        if self.skipping > 0 || SKIPPED.contains(&name) {
            self.skipping += 1;
            return;
        }
        match name {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.flush_row(),
            "tr" => self.rows.push(Row::default()),
            "r" => (self.in_run, self.hidden) = (true, false),
            "t" => self.in_text = true,
            "drawing" | "pict" | "object" => self.body.has_picture = true,
            "checkBox" => self.ticked = Some(false),
            "checked" | "default" if self.ticked.is_some() => self.ticked = Some(element.is_on()),
            _ if self.in_run => self.within_run(element),
            _ => self.within_paragraph(element),
        }
    }

    fn within_run(&mut self, element: &Element) {
        match element.name.as_str() {
            "vanish" => self.hidden = element.is_on(),
            "tab" => self.put(" "),
            "cr" => self.put("\n"),
            "br" if element.attribute("type") == Some("page") => self.page_break(true),
            "br" => self.put("\n"),
            "noBreakHyphen" => self.put("-"),
            "sym" => self.put(symbol(element.attribute("char").unwrap_or_default())),
            "lastRenderedPageBreak" => self.page_break(false),
            "footnoteReference" => self.aside(element, "Footnote", &self.asides.footnotes),
            "endnoteReference" => self.aside(element, "Endnote", &self.asides.endnotes),
            "commentReference" => self.aside(element, "Comment", &self.asides.comments),
            _ => {}
        }
    }

    fn within_paragraph(&mut self, element: &Element) {
        let level = match element.name.as_str() {
            "pStyle" => element.value().and_then(|style| self.styles.level(style)),
            "outlineLvl" => element.value().and_then(outline),
            _ => None,
        };
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match element.name.as_str() {
            "pStyle" | "outlineLvl" => paragraph.level = level.or(paragraph.level),
            "numId" => paragraph.is_item = element.value() != Some("0"),
            "pageBreakBefore" if element.is_on() => self.page_break(true),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if self.skipping > 0 {
            self.skipping -= 1;
            return;
        }
        match name {
            "p" => self.end_paragraph(),
            "tc" => self.end_cell(),
            "tr" => {
                self.flush_row();
                self.rows.pop();
            }
            "r" => self.in_run = false,
            "t" => self.in_text = false,
            "checkBox" => {
                if let Some(ticked) = self.ticked.take() {
                    self.put(if ticked { "☒ " } else { "☐ " });
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text && self.skipping == 0 && !self.hidden {
            self.put(text);
        }
    }

    fn put(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            self.written += text.len();
            paragraph.text.push_str(text);
        }
    }

    fn aside(&mut self, element: &Element, label: &str, known: &HashMap<String, String>) {
        let text = element.attribute("id").and_then(|id| known.get(id)).filter(|text| !text.is_empty());
        if let (Some(text), Some(paragraph)) = (text, self.paragraphs.last_mut()) {
            paragraph.asides.push(format!("[{label}: {text}]"));
        }
    }

    /// A paragraph counts to the page where it begins.
    fn page_break(&mut self, by_author: bool) {
        self.body.has_page_breaks = true;
        let begun = self.paragraphs.iter().any(|paragraph| !paragraph.text.trim().is_empty())
            || self.rows.iter().any(|row| !row.cells.is_empty() || !row.cell.is_empty());
        if begun {
            self.break_waits = true;
        } else if by_author || !self.after_own_break {
            self.next_page();
        }
        self.after_own_break = by_author;
    }

    fn next_page(&mut self) {
        self.break_waits = false;
        self.body.pages.push(std::mem::take(&mut self.page));
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.pop() else { return };
        let text = paragraph.text.trim();
        if !self.rows.is_empty() {
            if let Some(row) = self.rows.last_mut() {
                row.cell.extend(std::iter::once(text.replace('\n', " ")).filter(|text| !text.is_empty()));
                row.cell.extend(paragraph.asides);
            }
            return;
        }
        let mark = match paragraph.level {
            Some(level) if !text.is_empty() => format!("\n{} ", "#".repeat(level)),
            None if paragraph.is_item && !text.is_empty() => "- ".to_owned(),
            _ => String::new(),
        };
        self.page.push_str(&mark);
        self.line(&if paragraph.level.is_some() { text.replace('\n', " ") } else { text.to_owned() });
        paragraph.asides.iter().for_each(|aside| self.line(aside));
    }

    fn line(&mut self, line: &str) {
        self.page.push_str(line);
        self.page.push('\n');
        if !line.is_empty() {
            self.after_own_break = false;
        }
        if self.break_waits && self.paragraphs.is_empty() {
            self.next_page();
        }
    }

    fn end_cell(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            let cell = std::mem::take(&mut row.cell).join(" ");
            row.cells.push(cell);
        }
    }

    /// Ends the row's line; a table within a cell begins a line of its own.
    fn flush_row(&mut self) {
        let Some(row) = self.rows.last_mut() else { return };
        let mut cells = std::mem::take(&mut row.cells);
        cells.extend(Some(std::mem::take(&mut row.cell).join(" ")).filter(|cell| !cell.is_empty()));
        while cells.last().is_some_and(|cell| cell.trim().is_empty()) {
            cells.pop();
        }
        if cells.iter().any(|cell| !cell.trim().is_empty()) {
            self.line(&cells.join(" | "));
        }
    }

    fn finish(mut self) -> Body {
        while !self.paragraphs.is_empty() {
            self.end_paragraph();
        }
        while !self.rows.is_empty() {
            self.flush_row();
            self.rows.pop();
        }
        self.body.pages.push(self.page);
        self.body
    }
}

/// Boxes and ticks of the symbol fonts; everything else there is a bullet.
fn symbol(code: &str) -> &'static str {
    match code.to_ascii_uppercase().trim_start_matches("F0") {
        "FE" | "FD" | "78" | "52" | "54" => "☒",
        "A8" | "6F" | "A3" => "☐",
        "FC" => "✓",
        "E0" => "→",
        _ => "•",
    }
}
