//! A narrative's table, row by row: each line names its columns, so that a row can be understood alone.

use std::cell::Cell as Counter;

use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::{Element, Node};

use super::narrative::{Narrative, Writer};

/// Spans beyond these are slips.
const MAX_COLUMN_SPAN: usize = 100;
const MAX_ROW_SPAN: usize = 1000;
/// Columns beyond this are read without spans.
const MAX_COLUMNS: usize = 200;
/// The longest header that is written before each cell, and the longest cell that is repeated in each row it spans.
const MAX_LABEL_CHARACTERS: usize = 80;
const MAX_REPEATED_BYTES: usize = 200;
/// A cell of several lines that is longer than this is a text of its own.
const MAX_CELL_CHARACTERS: usize = 300;

/// One cell's content.
#[derive(Default)]
struct Cell<'t> {
    content: Narrative<'t>,
    columns: usize,
    rows: usize,
    is_header: bool,
}

struct Row<'t> {
    id: Option<&'t str>,
    cells: Vec<Cell<'t>>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Head,
    Body,
    Foot,
}

pub(super) fn read<'t>(table: Element<'t>, repeats: &Counter<usize>) -> Narrative<'t> {
    let mut writer = TableWriter {
        lines: Narrative::default(),
        labels: Vec::new(),
        used: Vec::new(),
        spanning: Vec::new(),
        rows_written: 0,
        repeats,
    };
    let mut rows = Vec::new();
    gather(table, Place::Body, repeats, &mut rows, &mut writer.lines);
    writer.write(rows);
    writer.lines
}

/// Rows in order; whatever else stands in the table comes before it as lines.
fn gather<'t>(
    parent: Element<'t>,
    place: Place,
    repeats: &Counter<usize>,
    rows: &mut Vec<Row<'t>>,
    before: &mut Narrative<'t>,
) {
    for node in parent.children() {
        match node {
            Node::Element(inner) if inner.attribute("revised") == Some("delete") => {}
            Node::Element(inner) => match inner.name() {
                "thead" => gather(inner, Place::Head, repeats, rows, before),
                "tbody" => gather(inner, Place::Body, repeats, rows, before),
                "tfoot" => gather(inner, Place::Foot, repeats, rows, before),
                "tr" => rows.extend(Some(row(inner, place, repeats)).filter(|row| !row.cells.is_empty())),
                "td" | "th" => rows.push(Row { id: None, cells: vec![cell(inner, repeats)], place }),
                _ => {
                    let mut writer = Writer::new(repeats);
                    writer.element(inner);
                    append(before, writer.finish());
                }
            },
            Node::Text(text) if text.trim().is_empty() => {}
            Node::Text(text) => before.lines.push(tidy::line(text)),
        }
    }
}

fn append<'t>(to: &mut Narrative<'t>, from: Narrative<'t>) {
    let shift = to.lines.len();
    for (id, (first, last)) in from.ids {
        to.ids.entry(id).or_insert((first + shift, last + shift));
    }
    to.lines.extend(from.lines);
    to.holds_table |= from.holds_table;
}

fn row<'t>(element: Element<'t>, place: Place, repeats: &Counter<usize>) -> Row<'t> {
    let mut cells = Vec::new();
    for node in element.children() {
        match node {
            Node::Element(inner) if inner.attribute("revised") == Some("delete") => {}
            Node::Element(inner) => cells.push(cell(inner, repeats)),
            Node::Text(text) if text.trim().is_empty() => {}
            Node::Text(text) => {
                let content = Narrative { lines: vec![tidy::line(text)], ..Narrative::default() };
                cells.push(Cell { content, columns: 1, rows: 1, ..Cell::default() });
            }
        }
    }
    Row { id: element.attribute("ID"), cells, place }
}

fn cell<'t>(element: Element<'t>, repeats: &Counter<usize>) -> Cell<'t> {
    let span = |name: &str, limit: usize| {
        element.attribute(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).clamp(1, limit)
    };
    let mut writer = Writer::new(repeats);
    if matches!(element.name(), "td" | "th") {
        writer.children(element)
    } else {
        writer.element(element)
    }
    let mut content = writer.finish();
    if let Some(id) = element.attribute("ID")
        && !content.is_empty()
    {
        let last = content.lines.len() - 1;
        content.ids.entry(id).or_insert((0, last));
    }
    Cell {
        content,
        columns: span("colspan", MAX_COLUMN_SPAN),
        rows: span("rowspan", MAX_ROW_SPAN),
        is_header: element.name() == "th",
    }
}

impl Cell<'_> {
    /// All lines as one: list markers go, what isn't punctuated gets a semicolon.
    fn joined(&self) -> String {
        let mut joined = String::new();
        for line in self.content.lines.iter().map(|line| line.trim_start()).filter(|line| !line.is_empty()) {
            let line = line.strip_prefix("- ").unwrap_or(line);
            if !joined.is_empty() {
                joined.push_str(if joined.ends_with([':', ';', ',', '.', '-', '(']) { " " } else { "; " });
            }
            joined.push_str(line);
        }
        joined
    }

    fn is_block(&self) -> bool {
        let length: usize = self.content.lines.iter().map(String::len).sum();
        self.content.holds_table || (self.content.lines.len() > 1 && length > MAX_CELL_CHARACTERS)
    }
}

struct TableWriter<'t, 'r> {
    lines: Narrative<'t>,
    labels: Vec<String>,
    used: Vec<bool>,
    /// By column: text of a cell above that spans down to here, and for how many more rows.
    spanning: Vec<Option<(String, usize)>>,
    rows_written: usize,
    repeats: &'r Counter<usize>,
}

impl<'t> TableWriter<'t, '_> {
    fn write(&mut self, rows: Vec<Row<'t>>) {
        let headed = header_rows(&rows);
        let columns =
            rows.iter().map(|row| row.cells.iter().map(|cell| cell.columns).sum::<usize>()).max().unwrap_or(0);
        let (head, body) = rows
            .into_iter()
            .enumerate()
            .partition::<Vec<_>, _>(|(at, row)| row.place == Place::Head || (row.place == Place::Body && *at < headed));
        self.head(head.into_iter().map(|(_, row)| row).collect(), columns);
        for (_, row) in body {
            self.row(row, columns);
        }
        self.leftover_labels();
    }

    fn head(&mut self, rows: Vec<Row<'t>>, columns: usize) {
        for row in rows {
            let mut texts: Vec<(usize, usize, String)> = Vec::new();
            let mut column = 0;
            for cell in &row.cells {
                while self.take_span(column, true).is_some() {
                    column += 1;
                }
                texts.push((column, cell.columns, cell.joined()));
                for covered in column..column + cell.columns {
                    self.hold_span(covered, String::new(), cell.rows);
                }
                column += cell.columns;
            }
            while self.take_span(column, true).is_some() {
                column += 1;
            }
            let filled = texts.iter().filter(|(_, _, text)| !text.is_empty()).count();
            let lays_out = row.cells.iter().any(|cell| cell.content.holds_table);
            if lays_out || (filled == 1 && row.cells.len() == 1 && columns > 1) {
                row.cells.into_iter().for_each(|cell| append(&mut self.lines, cell.content));
                continue;
            }
            for (column, width, text) in texts {
                for covered in column..column + width.min(MAX_COLUMNS) {
                    if covered == column || (covered < MAX_COLUMNS && self.spend(text.len())) {
                        self.add_label(covered, &text);
                    }
                }
            }
        }
        self.spanning.clear();
        let long = self.labels.iter().any(|label| label.chars().count() > MAX_LABEL_CHARACTERS);
        if long {
            let line = self.labels.join(" | ");
            self.lines.lines.push(tidy::line(&line));
            self.labels.iter_mut().for_each(|label| *label = tidy::bounded(label, MAX_LABEL_CHARACTERS));
        }
        self.used = self.labels.iter().map(|label| long || label.is_empty()).collect();
    }

    fn add_label(&mut self, column: usize, text: &str) {
        if self.labels.len() <= column {
            self.labels.resize(column + 1, String::new());
        }
        let Some(label) = self.labels.get_mut(column) else { return };
        if label.is_empty() {
            label.push_str(text);
        } else if !text.is_empty() && label != text {
            label.push_str(" / ");
            label.push_str(text);
        }
    }

    fn row(&mut self, row: Row<'t>, columns: usize) {
        self.rows_written += 1;
        let first_line = self.lines.lines.len();
        let mut parts: Vec<String> = Vec::new();
        let mut inline_ids: Vec<&'t str> = Vec::new();
        let mut blocks: Vec<(usize, Narrative<'t>)> = Vec::new();
        let alone = row.cells.len() == 1;
        let spans_all = alone && columns > 1 && row.cells.first().is_some_and(|cell| cell.columns >= columns);
        let labelled = row.place == Place::Body && !spans_all;
        let pair =
            self.labels.is_empty() && row.cells.len() > 1 && row.cells.first().is_some_and(|cell| cell.is_header);
        let mut column = 0;
        let mut own = false;
        for cell in row.cells {
            column = self.repeat_spans(column, labelled, &mut parts);
            let text = if cell.is_block() { String::new() } else { cell.joined() };
            for covered in column..column + cell.columns {
                let held = if covered == column { text.clone() } else { String::new() };
                self.hold_span(covered, held, cell.rows);
            }
            if cell.is_block() {
                blocks.push((column, cell.content));
            } else if !text.is_empty() {
                inline_ids.extend(cell.content.ids.keys());
                own = true;
                parts.push(self.labelled(column, text, labelled));
            }
            column += cell.columns;
        }
        self.repeat_spans(column, labelled, &mut parts);
        if own {
            let at = self.lines.lines.len();
            let line = match parts.split_first() {
                Some((head, rest)) if pair && !rest.is_empty() => {
                    format!("{}: {}", head.trim_end_matches([':', ' ']), rest.join(" | "))
                }
                _ => parts.join(" | "),
            };
            self.lines.lines.push(line);
            for id in inline_ids {
                self.lines.ids.entry(id).or_insert((at, at));
            }
        }
        for (column, block) in blocks {
            self.block(column, block, labelled);
        }
        if let Some(id) = row.id
            && self.lines.lines.len() > first_line
        {
            self.lines.ids.entry(id).or_insert((first_line, self.lines.lines.len() - 1));
        }
    }

    /// A cell's text of its own lines, below its row.
    fn block(&mut self, column: usize, block: Narrative<'t>, labelled: bool) {
        if block.is_empty() {
            return;
        }
        let label = self.labels.get(column).filter(|label| labelled && !label.is_empty());
        if let Some(label) = label {
            self.lines.lines.push(format!("{}:", label.trim_end_matches(':')));
            if let Some(used) = self.used.get_mut(column) {
                *used = true;
            }
        }
        append(&mut self.lines, block);
    }

    fn labelled(&mut self, column: usize, text: String, labelled: bool) -> String {
        let Some(label) = self.labels.get(column).filter(|label| labelled && !label.is_empty()) else { return text };
        let label = label.trim_end_matches([':', ' ']);
        let repeated = self.used.get(column).copied().unwrap_or(true);
        if repeated && !self.spend(label.len()) {
            return text;
        }
        if says_already(&text, label) {
            if let Some(used) = self.used.get_mut(column) {
                *used = true;
            }
            return text;
        }
        let line = format!("{label}: {text}");
        if let Some(used) = self.used.get_mut(column) {
            *used = true;
        }
        line
    }

    fn spend(&self, bytes: usize) -> bool {
        let left = self.repeats.get();
        self.repeats.set(left.saturating_sub(bytes));
        left >= bytes
    }

    /// Cells of rows above that reach down to this one, from that column on; says where the next own cell stands.
    fn repeat_spans(&mut self, mut column: usize, labelled: bool, parts: &mut Vec<String>) -> usize {
        while let Some(text) = self.take_span(column, false) {
            if !text.is_empty() && text.len() <= MAX_REPEATED_BYTES && self.spend(text.len()) {
                let part = self.labelled(column, text, labelled);
                parts.push(part);
            }
            column += 1;
        }
        column
    }

    /// What spans down into this row at that column; counted down by one row.
    fn take_span(&mut self, column: usize, silent: bool) -> Option<String> {
        let place = self.spanning.get_mut(column)?;
        let (text, rows) = place.as_mut()?;
        *rows -= 1;
        let text = if silent { String::new() } else { text.clone() };
        if *rows == 0 {
            *place = None;
        }
        Some(text)
    }

    fn hold_span(&mut self, column: usize, text: String, rows: usize) {
        if rows <= 1 || column >= MAX_COLUMNS {
            return;
        }
        if self.spanning.len() <= column {
            self.spanning.resize(column + 1, None);
        }
        if let Some(place) = self.spanning.get_mut(column) {
            let kept = if text.len() <= MAX_REPEATED_BYTES { text } else { String::new() };
            *place = Some((kept, rows - 1));
        }
    }

    /// Columns without a single entry are named once.
    fn leftover_labels(&mut self) {
        let unused = self.labels.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(label, _)| label.as_str());
        let mut names: Vec<&str> = Vec::new();
        for name in unused {
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return;
        }
        let line =
            if self.rows_written == 0 { names.join(" | ") } else { format!("Left empty: {}", names.join(" | ")) };
        self.lines.lines.push(line);
    }
}

/// `Status: active` needs no `Status:` before it.
fn says_already(text: &str, label: &str) -> bool {
    text.get(..label.len()).is_some_and(|start| start.eq_ignore_ascii_case(label))
        && text.get(label.len()..).is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// Without a `thead`, how many rows at the top hold header cells alone.
fn header_rows(rows: &[Row<'_>]) -> usize {
    if rows.iter().any(|row| row.place == Place::Head) {
        return 0;
    }
    let heads =
        rows.iter().take_while(|row| row.cells.len() > 1 && row.cells.iter().all(|cell| cell.is_header)).count();
    if heads == rows.len() { 0 } else { heads }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::normalize::xml::Tree;

    fn lines_within(xml: &str, repeats: usize) -> Vec<String> {
        let tree = Tree::parse(xml).unwrap();
        read(tree.root(), &Counter::new(repeats)).lines
    }

    fn lines(xml: &str) -> Vec<String> {
        lines_within(xml, 10_000)
    }

    #[test]
    fn a_row_can_be_understood_alone() {
        let found = lines(
            "<table><caption>Drugs</caption><thead><tr><th>Drug</th><th>Dose:</th><th>Note</th></tr></thead>\
             <tbody><tr><td>Aspirin</td><td>81 mg</td><td/></tr><tr><td>Iron</td><td>Dose: 1</td><td/></tr></tbody></table>",
        );
        assert_eq!(found, ["Drugs", "Drug: Aspirin | Dose: 81 mg", "Drug: Iron | Dose: 1", "Left empty: Note"]);
    }

    #[test]
    fn spans_are_expanded_in_both_directions() {
        let found = lines(
            "<table><thead><tr><th rowspan='2'>Test</th><th colspan='2'>Value</th></tr><tr><th>Jan</th><th>Feb</th></tr></thead>\
             <tbody><tr><td rowspan='2'>Sodium</td><td>140</td><td>141</td></tr><tr><td>138</td><td>137</td></tr>\
             <tr><td colspan='3'>Done elsewhere</td></tr></tbody></table>",
        );
        assert_eq!(
            found,
            [
                "Test: Sodium | Value / Jan: 140 | Value / Feb: 141",
                "Test: Sodium | Value / Jan: 138 | Value / Feb: 137",
                "Done elsewhere"
            ]
        );
    }

    #[test]
    fn header_cells_beside_or_above_name_their_values() {
        assert_eq!(lines("<table><tr><th>Name:</th><td>Ada</td></tr></table>"), ["Name: Ada"]);
        assert_eq!(lines("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>"), ["A: 1 | B: 2"]);
        assert_eq!(lines("<table><thead><tr><th>A</th><th>B</th></tr></thead><tbody/></table>"), ["A | B"]);
    }

    #[test]
    fn a_cell_with_lines_stays_in_its_row_unless_it_is_a_text_of_its_own() {
        let row = |note: &str| {
            lines(&format!(
                "<table><thead><tr><th>Day</th><th>Note</th></tr></thead><tbody><tr ID='r'><td>1</td><td>{note}</td></tr></tbody></table>"
            ))
        };
        assert_eq!(row("<list><item>a</item><item>b</item></list>"), ["Day: 1 | Note: a; b"]);
        let long = "long words ".repeat(20);
        let found = row(&format!("{long}<br/>{long}"));
        assert_eq!((found.len(), found[0].as_str(), found[1].as_str()), (4, "Day: 1", "Note:"));
    }

    #[test]
    fn a_table_within_a_cell_keeps_its_own_rows() {
        let found = lines(
            "<table><tr><td>Labs</td><td><table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table></td></tr></table>",
        );
        assert_eq!(found, ["Labs", "A: 1 | B: 2"]);
    }

    #[test]
    fn what_is_repeated_has_a_limit() {
        let rows = "<tr><td>x</td></tr>".repeat(100);
        let head = "<thead><tr><th>A long header</th></tr></thead>";
        let found = lines_within(&format!("<table>{head}<tbody>{rows}</tbody></table>"), 30);
        assert_eq!(found.iter().filter(|line| line.starts_with("A long header")).count(), 3);
        let spanning =
            format!("<table><tr><td rowspan='999999999' colspan='999999999'>y</td><td>z</td></tr>{rows}</table>");
        assert_eq!(lines_within(&spanning, 0).len(), 101);
    }
}
