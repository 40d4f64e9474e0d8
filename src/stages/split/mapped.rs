//! Mapped CSV and JSON to their records: rows, each with its header, and objects.
//!
//! Nothing is dropped: a header without rows and a list without objects are records as well, which carry nothing.

use serde_json::value::RawValue;

use crate::domain::mapping::{CsvForm, Encoding};
use crate::domain::{Mapping, QuarantineReason};
use crate::stages::normalize::mapped::cells;

use super::{Pieces, Slice, masked, member, without_mark};

/// Each row carries its header, so a long header over many short rows grows; beyond this nothing is taken apart.
const MAX_HEADER_BYTES: usize = 1 << 30;

pub(super) fn rows(bytes: &[u8], mapping: Option<&Mapping>, pieces: &mut Pieces) {
    let form = mapping.map(|mapping| mapping.csv.clone()).unwrap_or_default();
    let content = without_mark(bytes);
    let mut reader = cells::reader(&form, content);
    let mut row = csv::ByteRecord::new();
    let mut header: Option<Header<'_>> = None;
    let first = pieces.pieces.len();
    loop {
        match reader.read_byte_record(&mut row) {
            Ok(false) => break,
            Ok(true) => {}
            Err(_) => return pieces.unreadable(bytes, QuarantineReason::MalformedCsv, "the rows can't be told apart"),
        }
        let start = row.position().map_or(0, |position| position.byte());
        let own = slice(content, start, reader.position().byte());
        let Some(header) = &header else {
            let lines = content.iter().filter(|b| matches!(b, b'\n' | b'\r')).count();
            if lines.saturating_mul(own.len()) > MAX_HEADER_BYTES {
                return pieces.unreadable(bytes, QuarantineReason::TooLarge, "too many rows below a header that long");
            }
            header = Some(Header { bytes: own, width: row.len(), form: &form });
            continue;
        };
        header.row(own, &row, reader.position().line(), pieces);
    }
    match header {
        None => pieces.unreadable(bytes, QuarantineReason::MalformedCsv, "no header"),
        Some(header) if pieces.pieces.len() == first => pieces.put(header.bytes),
        Some(_) => {}
    }
}

struct Header<'a> {
    bytes: &'a [u8],
    width: usize,
    form: &'a CsvForm,
}

impl Header<'_> {
    fn row(&self, own: &[u8], cells: &csv::ByteRecord, next_line: u64, pieces: &mut Pieces) {
        let mut whole = self.bytes.to_vec();
        whole.push(b'\n');
        whole.extend_from_slice(own);
        let near = format!("row before line {next_line}");
        if let Some(position) = self.not_utf8(own) {
            let detail = format!("{near}, byte {position}");
            return pieces.unreadable(&whole, QuarantineReason::InvalidUtf8, detail);
        }
        let tail_is_empty = cells.iter().skip(self.width).all(|cell| cell.trim_ascii().is_empty());
        match cells::fit(self.form.ragged, cells.len(), self.width, tail_is_empty) {
            Ok(()) => pieces.put(&whole),
            Err(widths) => {
                pieces.unreadable(&whole, QuarantineReason::MalformedCsv, format!("{near}: {widths}"));
            }
        }
    }

    fn not_utf8(&self, own: &[u8]) -> Option<usize> {
        match self.form.encoding {
            Encoding::Utf8 => std::str::from_utf8(own).err().map(|error| error.valid_up_to()),
            Encoding::Windows1252 => None,
        }
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// One row without the line ends around it; the reader counts a `\n` after `\r` to the next row.
fn slice(content: &[u8], start: u64, end: u64) -> &[u8] {
    let position = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(content.len());
    let row = content.get(position(start)..position(end)).unwrap_or_default();
    let blank = row.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    without_line_end(row.get(blank..).unwrap_or_default())
}

/// A list, an object that holds one, one object, or one of these a line.
pub(super) fn objects(bytes: &[u8], mapping: Option<&Mapping>, pieces: &mut Pieces) {
    let content = without_mark(bytes);
    let masked = masked(content);
    let body = match serde_json::from_str::<&RawValue>(&masked) {
        Ok(root) => Body::One(Slice { raw: root.get(), masked: &masked, bytes: content }),
        Err(_) if begins_with_a_line_of_json(&masked) => Body::Lines,
        Err(error) => {
            let detail = format!("line {} column {}", error.line(), error.column());
            return pieces.unreadable(bytes, QuarantineReason::MalformedJson, detail);
        }
    };
    let Some(mapping) = mapping else {
        return pieces.unreadable(bytes, QuarantineReason::Unmapped, "the source has no mapping");
    };
    match body {
        Body::One(root) => records(root, mapping, pieces),
        Body::Lines => lines(&masked, content, mapping, pieces),
    }
}

enum Body<'a> {
    One(Slice<'a>),
    Lines,
}

/// The first line that isn't blank is whole, and something follows it.
fn begins_with_a_line_of_json(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().is_some_and(|line| serde_json::from_str::<&RawValue>(line).is_ok());
    first && lines.next().is_some()
}

fn lines(masked: &str, content: &[u8], mapping: &Mapping, pieces: &mut Pieces) {
    for (number, line) in (1..).zip(masked.split('\n')) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let whole = Slice { raw: line, masked, bytes: content };
        match serde_json::from_str::<&RawValue>(line) {
            Ok(root) => records(whole.inner(root.get()), mapping, pieces),
            Err(error) => {
                let detail = format!("line {number} column {}", error.column());
                pieces.unreadable(whole.exact(), QuarantineReason::MalformedJson, detail);
            }
        }
    }
}

fn records(root: Slice<'_>, mapping: &Mapping, pieces: &mut Pieces) {
    let found = mapping.records.iter().find_map(|pointer| pointed(root, pointer));
    let Some(found) = found else {
        let detail = format!("nothing at `{}`", mapping.records.join("`, `"));
        return pieces.unreadable(root.exact(), QuarantineReason::Unmapped, detail);
    };
    match serde_json::from_str::<Vec<&RawValue>>(found.raw) {
        Ok(items) if !items.is_empty() => items.into_iter().for_each(|item| object(root.inner(item.get()), pieces)),
        // An empty list is a record too, and so is one object where a list could stand.
        Ok(_) => object(found, pieces),
        Err(_) if found.raw.starts_with('{') => object(found, pieces),
        Err(_) => {
            let detail = format!("no objects at `{}`", mapping.records.join("`, `"));
            pieces.unreadable(root.exact(), QuarantineReason::Unmapped, detail);
        }
    }
}

fn object(found: Slice<'_>, pieces: &mut Pieces) {
    let exact = found.exact();
    match std::str::from_utf8(exact) {
        Ok(_) => pieces.put(exact),
        Err(error) => {
            pieces.unreadable(exact, QuarantineReason::InvalidUtf8, format!("byte {}", error.valid_up_to()));
        }
    }
}

/// Follows a JSON pointer through objects and arrays.
fn pointed<'a>(root: Slice<'a>, pointer: &str) -> Option<Slice<'a>> {
    pointer.split('/').skip(1).try_fold(root, |node, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        let raw = if node.raw.starts_with('[') {
            serde_json::from_str::<Vec<&RawValue>>(node.raw).ok()?.get(step.parse::<usize>().ok()?)?.get()
        } else {
            member(&node.members(), &step)?
        };
        Some(node.inner(raw))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Piece, split};
    use super::*;
    use crate::domain::{Delivery, Format, ReceiptId, SourceId, TenantId, Timestamp};

    fn mapping(settings: &str) -> Mapping {
        toml::from_str(&format!("{settings}\n[[object]]\nkey = \"id\"\nresource_type = \"Basic\"")).unwrap()
    }

    /// The records' bytes, and for the others the reason and detail.
    fn pieces(format: Format, bytes: &[u8], settings: &str) -> Vec<Result<String, String>> {
        let delivery = Delivery {
            receipt: ReceiptId::new("r"),
            tenant: TenantId::new("t"),
            source: SourceId::new("s"),
            format,
            name: None,
            bytes: bytes.to_vec(),
            received_at: Timestamp::from_micros(0),
        };
        let shown = |piece| match piece {
            Piece::Record(record) => Ok(String::from_utf8_lossy(&record.bytes).into_owned()),
            Piece::Unreadable { unreadable, .. } => {
                Err(format!("{} {}", unreadable.reason.as_str(), unreadable.detail))
            }
        };
        split(&delivery, Some(&mapping(settings))).into_iter().map(shown).collect()
    }

    fn json(bytes: &[u8], settings: &str) -> Vec<Result<String, String>> {
        pieces(Format::MappedJson, bytes, settings)
    }

    #[test]
    fn a_header_alone_and_an_empty_list_are_records() {
        assert_eq!(pieces(Format::MappedCsv, b"id,name\r\n", ""), [Ok("id,name".to_owned())]);
        assert_eq!(json(br#"{"records": []}"#, r#"records = "/records""#), [Ok("[]".to_owned())]);
        assert_eq!(pieces(Format::MappedCsv, b"", ""), [Err("malformed_csv no header".to_owned())]);
    }

    #[test]
    fn short_rows_are_padded_where_it_is_declared() {
        let found = pieces(Format::MappedCsv, b"id|a\n1\n2|x|\n3|x|y\n", "[csv]\nragged = \"pad\"");
        let slipped = Err("malformed_csv row before line 5: 3 fields, header has 2".to_owned());
        assert_eq!(found, [Ok("id|a\n1".to_owned()), Ok("id|a\n2|x|".to_owned()), slipped]);
    }

    #[test]
    fn every_shape_of_json_comes_apart() {
        let both = r#"records = ["/records", "/results", ""]"#;
        let two = [Ok(r#"{"id":1}"#.to_owned()), Ok(r#"{"id":2}"#.to_owned())];
        for text in [
            r#"[{"id":1},{"id":2}]"#,
            r#"{"records":[{"id":1},{"id":2}]}"#,
            r#"{"results":[{"id":1},{"id":2}],"paging":null}"#,
            "{\"id\":1}\r\n\n{\"id\":2}\n",
            "{\"records\":[{\"id\":1}]}\n{\"id\":2}",
        ] {
            assert_eq!(json(text.as_bytes(), both), two, "{text}");
        }
        assert_eq!(json(br#"{"id":1}"#, both), two[..1]);
    }

    #[test]
    fn a_broken_line_is_unreadable_alone() {
        let found = json(b"{\"id\":1}\n{oops\n{\"id\":3}", "");
        assert_eq!(found[1], Err("malformed_json line 2 column 2".to_owned()));
        assert_eq!((found.len(), found[2].is_ok()), (3, true));
    }

    #[test]
    fn a_body_without_the_list_waits_whole() {
        assert_eq!(json(b"{}", r#"records = "/records""#), [Err("unmapped nothing at `/records`".to_owned())]);
        assert_eq!(json(b"5", ""), [Err("unmapped no objects at ``".to_owned())]);
    }

    #[test]
    fn a_header_too_long_for_its_rows_is_refused_whole() {
        let mut bytes = vec![b'h'; 1 << 20];
        bytes.extend(b"\n1".repeat(1_100));
        let found = pieces(Format::MappedCsv, &bytes, "");
        assert_eq!(found, [Err("too_large too many rows below a header that long".to_owned())]);
    }
}
