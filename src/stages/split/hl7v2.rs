//! HL7 v2: one message, several after each other, or a batch, to one piece a message.
//!
//! Framing bytes of MLLP, byte-order marks and the batch's own segments stand around messages and are no part of
//! them. A trailer that counts other than what is there is a piece of its own, with the reason.

use crate::domain::QuarantineReason;

use super::Pieces;

/// What may stand before a segment's name: blanks, framing, marks.
const BEFORE: [u8; 9] = [b' ', b'\t', 0x0b, 0x1c, 0x00, 0xef, 0xbb, 0xbf, b'"'];

/// A segment that begins or ends something, and where.
struct Mark {
    name: [u8; 3],
    start: usize,
}

pub(super) fn messages(bytes: &[u8], pieces: &mut Pieces) {
    if bytes.iter().all(|b| b.is_ascii_whitespace() || BEFORE.contains(b) || *b == b'\n') {
        return pieces.unreadable(bytes, QuarantineReason::MalformedHl7, "no segment MSH: the delivery is empty");
    }
    if is_utf_16(bytes) {
        return wide_messages(bytes, pieces);
    }
    let marks = marks(bytes);
    let Some(first) = marks.first() else {
        return pieces.unreadable(bytes, QuarantineReason::MalformedHl7, "no segment MSH");
    };
    let before = bytes.get(..first.start).unwrap_or_default();
    if before.iter().any(|b| !b.is_ascii_whitespace() && !BEFORE.contains(b)) {
        let detail = format!("{} bytes before the first message", before.len());
        pieces.unreadable(before, QuarantineReason::MalformedHl7, detail);
    }
    if !marks.iter().any(|mark| &mark.name == b"MSH") {
        return pieces.put(bytes);
    }
    let mut counts = Counts::default();
    for (index, mark) in marks.iter().enumerate() {
        let end = marks.get(index + 1).map_or(bytes.len(), |next| next.start);
        let own = trimmed(bytes.get(mark.start..end).unwrap_or_default());
        match &mark.name {
            b"MSH" => {
                counts.messages += 1;
                counts.in_file += 1;
                pieces.put(own);
            }
            b"BHS" => {
                counts.messages = 0;
                counts.batches += 1;
            }
            b"BTS" => {
                disagreement(own, &[counts.messages], "batch", pieces);
                counts.messages = 0;
            }
            // Without batches, some senders count messages here.
            b"FTS" => disagreement(own, &[counts.batches.max(1), counts.in_file], "file", pieces),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Counts {
    /// Since the last batch header or trailer.
    messages: u64,
    in_file: u64,
    batches: u64,
}

/// A trailer whose count is none of what was found.
fn disagreement(trailer: &[u8], found: &[u64], what: &str, pieces: &mut Pieces) {
    let counted = trailer.get(3).and_then(|field| trailer.split(|b| b == field).nth(1));
    let counted = counted.and_then(|count| std::str::from_utf8(count.trim_ascii()).ok());
    let Some(counted) = counted.and_then(|count| count.parse::<u64>().ok()) else { return };
    if !found.contains(&counted) {
        let here = found.last().copied().unwrap_or_default();
        let detail = format!("the trailer of the {what} counts {counted}, here are {here}");
        pieces.unreadable(trailer, QuarantineReason::MalformedHl7, detail);
    }
}

/// Every `MSH` and every segment of a batch that begins a line or a frame.
fn marks(bytes: &[u8]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut is_line_start = true;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if is_line_start && let Some(name) = mark(bytes.get(at..).unwrap_or_default()) {
            marks.push(Mark { name, start: at });
            is_line_start = false;
            at += 3;
            continue;
        }
        // `\r` spelled out ends a line only where a message follows it.
        let is_spelled = *byte == b'\\' && matches!(bytes.get(at + 1), Some(b'r' | b'n'));
        if is_spelled && mark(bytes.get(at + 2..).unwrap_or_default()).is_some() {
            is_line_start = true;
            at += 2;
            continue;
        }
        is_line_start = matches!(byte, b'\r' | b'\n' | 0x0b | 0x1c) || is_line_start && BEFORE.contains(byte);
        at += 1;
    }
    marks
}

fn mark(rest: &[u8]) -> Option<[u8; 3]> {
    let name: [u8; 3] = rest.get(..3)?.try_into().ok()?;
    let name = name.map(|b| b.to_ascii_uppercase());
    let follows = rest.get(3).is_some_and(|b| b.is_ascii_punctuation());
    (follows && [b"MSH", b"FHS", b"BHS", b"BTS", b"FTS"].contains(&&name)).then_some(name)
}

/// Without line ends and framing around it.
fn trimmed(message: &[u8]) -> &[u8] {
    let is_kept = |b: &u8| !b.is_ascii_whitespace() && !matches!(b, 0x0b | 0x1c | 0x00);
    let without_blanks = |bytes: &[u8]| bytes.iter().rposition(is_kept).map_or(0, |last| last + 1);
    let message = message.get(..without_blanks(message)).unwrap_or_default();
    let unmarked = message.strip_suffix(b"\xef\xbb\xbf").unwrap_or(message);
    unmarked.get(..without_blanks(unmarked)).unwrap_or_default()
}

fn is_utf_16(bytes: &[u8]) -> bool {
    [b"\xff\xfe".as_slice(), b"\xfe\xff", b"M\0S\0H\0", b"\0M\0S\0H", b"F\0H\0S\0", b"\0F\0H\0S"]
        .iter()
        .any(|start| bytes.starts_with(start))
}

/// Pairs of bytes with the lower half of each: enough to find the structure by.
fn wide_messages(bytes: &[u8], pieces: &mut Pieces) {
    let is_little = bytes.starts_with(b"\xff\xfe") || bytes.get(1) == Some(&0);
    let (pairs, _) = bytes.as_chunks::<2>();
    let narrow: Vec<u8> = pairs
        .iter()
        .map(|pair| {
            let [low, high] = if is_little { *pair } else { [pair[1], pair[0]] };
            if high == 0 { low } else { b'?' }
        })
        .collect();
    let start_of_text = usize::from(bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"));
    let found = marks(narrow.get(start_of_text..).unwrap_or_default());
    if !found.iter().any(|mark| &mark.name == b"MSH") {
        return pieces.unreadable(bytes, QuarantineReason::MalformedHl7, "no segment MSH");
    }
    for (index, mark) in found.iter().enumerate().filter(|(_, mark)| &mark.name == b"MSH") {
        let byte = |mark: &Mark| (mark.start + start_of_text) * 2;
        let end = found.get(index + 1).map_or(bytes.len(), byte);
        pieces.put(bytes.get(byte(mark)..end).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Piece, Pieces};
    use super::*;

    fn split(bytes: &[u8]) -> Vec<String> {
        let mut pieces = Pieces::default();
        messages(bytes, &mut pieces);
        pieces
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Record(record) => String::from_utf8_lossy(&record.bytes).into_owned(),
                Piece::Unreadable { unreadable, .. } => format!("! {}", unreadable.detail),
            })
            .collect()
    }

    #[test]
    fn messages_after_each_other_are_told_apart() {
        for between in ["\r", "\n", "\r\n", "\r\n\r\n", "\x1c\r\x0b", "\r\u{feff}"] {
            let bytes = format!("\u{feff}MSH|^~\\&|A\rPID|1{between}MSH|^~\\&|B\rPID|2\r");
            assert_eq!(split(bytes.as_bytes()), ["MSH|^~\\&|A\rPID|1", "MSH|^~\\&|B\rPID|2"], "{between:?}");
        }
    }

    #[test]
    fn a_line_end_that_is_spelled_out_ends_a_message_too() {
        assert_eq!(split(b"MSH|^~\\&|A\\rPID|1\\rMSH|^~\\&|B\\rPID|2").len(), 2);
    }

    #[test]
    fn a_name_within_a_line_begins_nothing() {
        let bytes = b"MSH|^~\\&|A\rPID|MSH|x\rOBX|1|TX|||see MSH|1";
        assert_eq!(split(bytes).len(), 1);
    }

    #[test]
    fn a_batch_is_taken_apart_and_its_count_is_checked() {
        let batch = |count: u32| {
            format!("FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|1\rPID|1\rMSH|^~\\&|2\rPID|2\rBTS|{count}\rFTS|1\r")
        };
        assert_eq!(split(batch(2).as_bytes()), ["MSH|^~\\&|1\rPID|1", "MSH|^~\\&|2\rPID|2"]);
        assert_eq!(split(batch(3).as_bytes())[2], "! the trailer of the batch counts 3, here are 2");
    }

    #[test]
    fn a_batch_without_messages_is_kept_whole() {
        let bytes = b"FHS|^~\\&|A\rBHS|^~\\&|A\rBTS|0\rFTS|1\r";
        assert_eq!(split(bytes).len(), 1);
    }

    #[test]
    fn what_stands_before_the_first_message_is_not_lost() {
        let pieces = split(b"PID|1||7\rMSH|^~\\&|A\rPID|1");
        assert_eq!(pieces, ["! 9 bytes before the first message", "MSH|^~\\&|A\rPID|1"]);
        assert_eq!(split(b"nothing of the kind"), ["! no segment MSH"]);
        assert_eq!(split(b"\x0b\x1c\r"), ["! no segment MSH: the delivery is empty"]);
    }

    #[test]
    fn messages_in_utf_16_are_told_apart() {
        let text = "MSH|^~\\&|A\rPID|ü\rMSH|^~\\&|B\r";
        let bytes: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let mut pieces = Pieces::default();
        messages(&bytes, &mut pieces);
        assert_eq!(pieces.pieces.len(), 2);
    }

    #[test]
    fn lower_case_begins_a_message_too() {
        assert_eq!(split(b"msh|^~\\&|A\rpid|1\nmsh|^~\\&|B").len(), 2);
    }
}
