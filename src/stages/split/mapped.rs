//! Mapped CSV and JSON to their records: rows, each with its header, and objects.

use serde_json::value::RawValue;

use crate::domain::{Mapping, QuarantineReason};
use crate::stages::normalize::mapped;

use super::{Links, Pieces, Slice, masked, member, without_mark};

pub(super) fn rows(bytes: &[u8], pieces: &mut Pieces) {
    let content = without_mark(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(mapped::delimiter(content))
        .has_headers(false)
        .flexible(true)
        .from_reader(content);
    let mut row = csv::ByteRecord::new();
    let mut header: Option<(&[u8], usize)> = None;
    loop {
        match reader.read_byte_record(&mut row) {
            Ok(false) => break,
            Ok(true) => {}
            Err(_) => return pieces.unreadable(bytes, QuarantineReason::MalformedCsv, "the rows can't be told apart"),
        }
        let start = row.position().map_or(0, |position| position.byte());
        let own = slice(content, start, reader.position().byte());
        match header {
            None => header = Some((own, row.len())),
            Some((names, width)) => one_row(names, width, own, row.len(), reader.position().line(), pieces),
        }
    }
    if header.is_none() {
        pieces.unreadable(bytes, QuarantineReason::MalformedCsv, "no header");
    }
}

fn one_row(header: &[u8], width: usize, own: &[u8], fields: usize, next_line: u64, pieces: &mut Pieces) {
    let mut whole = header.to_vec();
    whole.push(b'\n');
    whole.extend_from_slice(own);
    let near = format!("row before line {next_line}");
    if let Err(error) = std::str::from_utf8(own) {
        pieces.unreadable(&whole, QuarantineReason::InvalidUtf8, format!("{near}, byte {}", error.valid_up_to()));
    } else if fields != width {
        let detail = format!("{near}: {fields} fields, header has {width}");
        pieces.unreadable(&whole, QuarantineReason::MalformedCsv, detail);
    } else {
        pieces.put(&whole, None, &Links::default());
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

pub(super) fn objects(bytes: &[u8], mapping: Option<&Mapping>, pieces: &mut Pieces) {
    let content = without_mark(bytes);
    let masked = masked(content);
    let root = match serde_json::from_str::<&RawValue>(&masked) {
        Ok(root) => Slice { raw: root.get(), masked: &masked, bytes: content },
        Err(error) => {
            let detail = format!("line {} column {}", error.line(), error.column());
            return pieces.unreadable(bytes, QuarantineReason::MalformedJson, detail);
        }
    };
    let Some(mapping) = mapping else {
        return pieces.unreadable(bytes, QuarantineReason::Unmapped, "the source has no mapping");
    };
    let Some(list) = pointed(root, &mapping.records) else {
        let detail = format!("nothing at `{}`", mapping.records);
        return pieces.unreadable(bytes, QuarantineReason::Unmapped, detail);
    };
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list.raw) else {
        return pieces.unreadable(bytes, QuarantineReason::Unmapped, format!("no array at `{}`", mapping.records));
    };
    for item in items {
        let exact = root.inner(item.get()).exact();
        match std::str::from_utf8(exact) {
            Ok(_) => pieces.put(exact, None, &Links::default()),
            Err(error) => {
                pieces.unreadable(exact, QuarantineReason::InvalidUtf8, format!("byte {}", error.valid_up_to()));
            }
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
