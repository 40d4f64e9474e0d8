//! A file to the bodies that are landed of it, so that a large one never stands in memory whole.
//!
//! Lines and rows are landed in slices that end where a record ends; a slice of rows has the header before it.
//! Every other form is one record, or can't be cut without reading it, and is one body.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::domain::Format;

/// A slice is about this large; a record that is larger stays whole.
pub const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// A record beyond this is cut all the same: it is damage, and is found to be where it is read.
const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// What is landed of a file, in order; nothing for an empty one. Errors name the file.
pub fn slices(path: &Path, format: Format) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
    let named = named(path);
    let file = File::open(path).map_err(&named)?;
    let slices = Slices::new(BufReader::with_capacity(256 * 1024, file), format, SLICE_BYTES);
    Ok(slices.map(move |slice| slice.map_err(&named)))
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error + use<> {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// Whether files of this form are landed in parts.
pub fn is_cut(format: Format) -> bool {
    Cut::of(format) != Cut::Whole
}

/// How a form is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Whole,
    Lines,
    Rows,
}

impl Cut {
    fn of(format: Format) -> Self {
        match format {
            Format::FhirNdjson => Self::Lines,
            Format::MappedCsv => Self::Rows,
            _ => Self::Whole,
        }
    }
}

/// The slices of whatever can be read.
pub struct Slices<R> {
    reader: R,
    cut: Cut,
    slice_bytes: usize,
    /// The first record of a file of rows, with its line end.
    header: Vec<u8>,
    /// A record that was read and found no room in the slice before.
    waiting: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl<R: BufRead> Slices<R> {
    pub fn new(reader: R, format: Format, slice_bytes: usize) -> Self {
        let cut = Cut::of(format);
        Self { reader, cut, slice_bytes, header: Vec::new(), waiting: Vec::new(), begun: false, ended: false }
    }

    fn slice(&mut self) -> io::Result<Vec<u8>> {
        if self.cut == Cut::Whole {
            let mut whole = Vec::new();
            self.reader.read_to_end(&mut whole)?;
            self.ended = true;
            return Ok(whole);
        }
        if self.cut == Cut::Rows && !self.begun {
            self.header = self.record()?;
        }
        self.begun = true;
        let mut slice = self.header.clone();
        let empty = slice.len();
        slice.append(&mut self.waiting);
        loop {
            let record = self.record()?;
            if record.is_empty() {
                self.ended = true;
                break;
            }
            if slice.len() > empty && slice.len() + record.len() > self.slice_bytes {
                self.waiting = record;
                break;
            }
            slice.extend_from_slice(&record);
        }
        // A header without rows is still something that was sent.
        Ok(slice)
    }

    /// One line, or one row whose quoted fields may hold line ends; empty at the end.
    fn record(&mut self) -> io::Result<Vec<u8>> {
        let mut record = Vec::new();
        let mut quoted = false;
        loop {
            let before = record.len();
            let room = u64::try_from(MAX_RECORD_BYTES.saturating_sub(before)).unwrap_or(u64::MAX);
            self.reader.by_ref().take(room).read_until(b'\n', &mut record)?;
            let line = record.get(before..).unwrap_or_default();
            if line.is_empty() {
                return Ok(record);
            }
            // A doubled quote turns twice, so counting them is enough.
            quoted ^= line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            if self.cut == Cut::Lines || !quoted {
                return Ok(record);
            }
        }
    }
}

impl<R: BufRead> Iterator for Slices<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.slice() {
            Ok(slice) if slice.is_empty() => None,
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
            slice => Some(slice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], format: Format, slice_bytes: usize) -> Vec<Vec<u8>> {
        Slices::new(bytes, format, slice_bytes).collect::<io::Result<_>>().unwrap()
    }

    #[test]
    fn slices_of_ndjson_end_at_a_line_and_rebuild_the_file() {
        let bytes = format!("{}\r\n", "x".repeat(1_000)).repeat(9).into_bytes();
        for end in [bytes.len(), bytes.len() - 2] {
            let sliced = cut(&bytes[..end], Format::FhirNdjson, 4_096);
            assert_eq!(sliced.len(), 3);
            assert!(sliced.iter().all(|slice| slice.len() <= 4_096));
            assert!(sliced[..2].iter().all(|slice| slice.ends_with(b"\n")));
            assert_eq!(sliced.concat(), &bytes[..end]);
        }
    }

    #[test]
    fn a_line_longer_than_a_slice_stays_whole() {
        let sliced = cut(b"aaaaaaaa\nb\nc\n", Format::FhirNdjson, 4);
        assert_eq!(sliced, [b"aaaaaaaa\n".to_vec(), b"b\nc\n".to_vec()]);
    }

    #[test]
    fn slices_of_rows_have_the_header_and_end_outside_quotes() {
        let csv = b"id,text\n1,\"a\nb \"\"c\"\"\n\"\n2,d\n3,e";
        let sliced = cut(csv, Format::MappedCsv, 14);
        assert_eq!(
            sliced,
            [b"id,text\n1,\"a\nb \"\"c\"\"\n\"\n".to_vec(), b"id,text\n2,d\n".to_vec(), b"id,text\n3,e".to_vec()]
        );
        assert_eq!(cut(csv, Format::MappedCsv, 1_000), [csv.to_vec()]);
        assert_eq!(cut(b"id,text\n", Format::MappedCsv, 4), [b"id,text\n".to_vec()]);
    }

    #[test]
    fn a_document_is_one_body_and_an_empty_file_none() {
        assert_eq!(cut(b"one\ntwo\n", Format::Text, 2), [b"one\ntwo\n".to_vec()]);
        for format in [Format::Text, Format::FhirNdjson, Format::MappedCsv] {
            assert!(cut(b"", format, 2).is_empty());
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = slices(Path::new("missing.ndjson"), Format::FhirNdjson).err().unwrap();
        assert!(error.to_string().starts_with("missing.ndjson: "));
    }

    #[test]
    fn a_quote_that_never_ends_is_cut_in_the_end() {
        let line = format!("{}\n", "a".repeat(1024 * 1024));
        let endless = [b"id\n\"".to_vec(), line.repeat(65).into_bytes()].concat();
        let sliced = cut(&endless, Format::MappedCsv, SLICE_BYTES);
        assert!(sliced.len() >= 2 && sliced.iter().all(|slice| slice.len() <= MAX_RECORD_BYTES + SLICE_BYTES));
    }
}
