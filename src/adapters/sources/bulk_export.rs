//! The manifest of a bulk export, and its files cut at line ends into slices of bounded size.

use std::io::Write;

use flate2::write::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::transport::FhirError;
use crate::domain::Timestamp;

/// What a finished export consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Every change up to this time is in it.
    pub transaction_time: Timestamp,
    pub requires_token: bool,
    pub files: Vec<ExportFile>,
}

/// One NDJSON file, and how far it has landed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportFile {
    pub part: ExportPart,
    pub url: String,
    /// Bytes landed, of the file as it is without compression; always at a line's end.
    pub landed: u64,
    pub lines: u64,
    pub is_done: bool,
    /// Ranges of it are of no use: the file itself is compressed, or the server gives others than asked for.
    pub is_archive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportPart {
    Output,
    Deleted,
    Error,
}

impl ExportPart {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Deleted => "deleted",
            Self::Error => "error",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestBody {
    transaction_time: Timestamp,
    #[serde(default)]
    requires_access_token: bool,
    #[serde(default)]
    output: Vec<FileBody>,
    #[serde(default)]
    deleted: Vec<FileBody>,
    #[serde(default)]
    error: Vec<FileBody>,
}

#[derive(Deserialize)]
struct FileBody {
    url: String,
}

impl Manifest {
    pub fn read(bytes: &[u8]) -> Result<Self, FhirError> {
        let body: ManifestBody = serde_json::from_slice(bytes).map_err(|_| FhirError::Unreadable("manifest"))?;
        let parts = [(ExportPart::Output, body.output), (ExportPart::Deleted, body.deleted)];
        let parts = parts.into_iter().chain([(ExportPart::Error, body.error)]);
        let files = parts.flat_map(|(part, files)| files.into_iter().map(move |file| ExportFile::new(part, file.url)));
        Ok(Self {
            transaction_time: body.transaction_time,
            requires_token: body.requires_access_token,
            files: files.collect(),
        })
    }

    pub fn is_done(&self) -> bool {
        self.files.iter().all(|file| file.is_done)
    }
}

impl ExportFile {
    fn new(part: ExportPart, url: String) -> Self {
        Self { part, url, landed: 0, lines: 0, is_done: false, is_archive: false }
    }
}

/// Whole lines of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Slice {
    pub bytes: Vec<u8>,
    pub lines: u64,
    /// The first byte behind it, in the file without compression.
    pub end: u64,
}

/// Takes a file as it comes and gives it back in slices.
pub struct Slicer {
    reading: Reading,
    /// Bytes still to be left out, since they have landed.
    to_skip: u64,
    held: Vec<u8>,
    /// Where `held` begins in the file.
    begin: u64,
    size: usize,
    longest_line: usize,
    /// Within a line that was longer than can be taken: its rest is left out.
    in_giant: bool,
}

enum Reading {
    Undecided(Vec<u8>),
    Plain,
    Compressed(Box<MultiGzDecoder<Vec<u8>>>),
}

const GZIP_MARK: [u8; 2] = [0x1f, 0x8b];
/// A compressed part is unpacked this much at a time, so that a bomb can't fill the memory at once.
const COMPRESSED_STEP: usize = 8 * 1024;

impl Slicer {
    /// The stream begins at byte `at` of the file, of which everything before `landed` is left out.
    pub fn new(at: u64, landed: u64, size: usize, longest_line: usize) -> Self {
        let reading = if at == 0 { Reading::Undecided(Vec::new()) } else { Reading::Plain };
        let to_skip = landed.saturating_sub(at);
        Self { reading, to_skip, held: Vec::new(), begin: landed.max(at), size, longest_line, in_giant: false }
    }

    pub fn is_compressed(&self) -> bool {
        matches!(self.reading, Reading::Compressed(_))
    }

    /// Takes the next part of the stream; `slice` is given each slice that is complete.
    pub fn push(&mut self, part: &[u8], slices: &mut Vec<Slice>) -> Result<(), FhirError> {
        let part = match &mut self.reading {
            Reading::Undecided(begun) => {
                begun.extend_from_slice(part);
                if begun.len() < GZIP_MARK.len() {
                    return Ok(());
                }
                let begun = std::mem::take(begun);
                let is_compressed = begun.starts_with(&GZIP_MARK);
                self.reading = match is_compressed {
                    true => Reading::Compressed(Box::new(MultiGzDecoder::new(Vec::new()))),
                    false => Reading::Plain,
                };
                begun
            }
            _ => part.to_vec(),
        };
        match &mut self.reading {
            Reading::Compressed(_) => part.chunks(COMPRESSED_STEP).try_for_each(|step| self.unpack(step, slices)),
            _ => {
                self.take(&part, slices);
                Ok(())
            }
        }
    }

    fn unpack(&mut self, step: &[u8], slices: &mut Vec<Slice>) -> Result<(), FhirError> {
        let Reading::Compressed(decoder) = &mut self.reading else { return Ok(()) };
        decoder.write_all(step).map_err(|_| BROKEN)?;
        let plain = std::mem::take(decoder.get_mut());
        self.take(&plain, slices);
        Ok(())
    }

    /// The end of the stream: what is left, also without a last line end.
    pub fn finish(mut self, slices: &mut Vec<Slice>) -> Result<(), FhirError> {
        match std::mem::replace(&mut self.reading, Reading::Plain) {
            Reading::Undecided(begun) => self.take(&begun, slices),
            Reading::Compressed(decoder) => {
                let rest = decoder.finish().map_err(|_| BROKEN)?;
                self.take(&rest, slices);
            }
            Reading::Plain => {}
        }
        let rest = self.held.len();
        self.cut(rest, slices);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], slices: &mut Vec<Slice>) {
        let skipped = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(bytes.len());
        self.to_skip -= skipped as u64;
        let mut rest = bytes.get(skipped..).unwrap_or_default();
        if self.in_giant {
            let dropped = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
            self.in_giant = dropped == rest.len() && !rest.ends_with(b"\n");
            self.begin += dropped as u64;
            rest = rest.get(dropped..).unwrap_or_default();
        }
        self.held.extend_from_slice(rest);
        while self.held.len() >= self.size {
            let end = match self.held.iter().take(self.size).rposition(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None => match self.held.iter().position(|byte| *byte == b'\n') {
                    Some(end) => end + 1,
                    None if self.held.len() > self.longest_line => {
                        // What is too long to be taken is kept as far as it goes, and ends in quarantine.
                        self.in_giant = true;
                        self.held.len()
                    }
                    None => return,
                },
            };
            self.cut(end, slices);
        }
    }

    fn cut(&mut self, end: usize, slices: &mut Vec<Slice>) {
        if end == 0 {
            return;
        }
        let rest = self.held.split_off(end);
        let bytes = std::mem::replace(&mut self.held, rest);
        self.begin += bytes.len() as u64;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        slices.push(Slice { bytes, lines, end: self.begin });
    }
}

const BROKEN: FhirError = FhirError::Unreadable("a compressed file");

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::{prop, proptest};

    use super::{ExportPart, Manifest, Slice, Slicer};

    fn sliced(file: &[u8], at: u64, landed: u64, size: usize, step: usize) -> Vec<Slice> {
        let mut slicer = Slicer::new(at, landed, size, 1_000_000);
        let mut slices = Vec::new();
        for part in file.get(at as usize..).unwrap().chunks(step.max(1)) {
            slicer.push(part, &mut slices).unwrap();
        }
        slicer.finish(&mut slices).unwrap();
        slices
    }

    fn joined(slices: &[Slice]) -> Vec<u8> {
        slices.iter().flat_map(|slice| slice.bytes.clone()).collect()
    }

    fn packed(file: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(file).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn slices_rebuild_the_file_and_end_at_lines(
            lines in prop::collection::vec("[a-z]{0,30}", 0..40), size in 1usize..60, step in 1usize..50,
            last_end in prop::bool::ANY,
        ) {
            let mut file = lines.join("\n").into_bytes();
            if last_end {
                file.push(b'\n');
            }
            let plain = sliced(&file, 0, 0, size, step);
            assert_eq!(joined(&plain), file);
            for slice in plain.iter().rev().skip(1) {
                assert!(slice.bytes.ends_with(b"\n"));
            }
            let mut slicer = Slicer::new(0, 0, size, 1_000_000);
            let mut unpacked = Vec::new();
            for part in packed(&file).chunks(step) {
                slicer.push(part, &mut unpacked).unwrap();
            }
            slicer.finish(&mut unpacked).unwrap();
            assert_eq!(joined(&unpacked), file);
            // Taken up after any slice, from a range or from the beginning, the rest is the same.
            for done in &plain {
                let rest = file.get(done.end as usize..).unwrap();
                assert_eq!(joined(&sliced(&file, done.end, done.end, size, step)), rest);
                assert_eq!(joined(&sliced(&file, 0, done.end, size, step)), rest);
            }
            let count: u64 = plain.iter().map(|slice| slice.lines).sum();
            assert_eq!(count as usize, lines.iter().filter(|line| !line.is_empty()).count());
        }
    }

    #[test]
    fn a_broken_archive_is_no_end() {
        let whole = packed(b"{}\n{}\n");
        let mut slicer = Slicer::new(0, 0, 10, 100);
        let mut slices = Vec::new();
        slicer.push(&whole[..whole.len() - 9], &mut slices).unwrap();
        assert!(slicer.is_compressed());
        assert!(slicer.finish(&mut slices).is_err());
    }

    #[test]
    fn a_line_too_long_is_cut_off_and_the_next_one_is_whole() {
        let mut slicer = Slicer::new(0, 0, 4, 16);
        let mut slices = Vec::new();
        let mut file = vec![b'x'; 40];
        file.extend_from_slice(b"\nok\n");
        file.chunks(3).for_each(|part| slicer.push(part, &mut slices).unwrap());
        slicer.finish(&mut slices).unwrap();
        assert_eq!(slices.last().unwrap().bytes, b"ok\n");
        assert_eq!(slices.last().unwrap().end, 44);
        assert!(slices[0].bytes.len() < 24 && slices.len() == 2);
    }

    #[test]
    fn a_manifest_lists_every_part() {
        let text = r#"{"transactionTime":"2024-05-01T00:00:00Z","request":"r","requiresAccessToken":true,
            "output":[{"type":"Patient","url":"o"}],"deleted":[{"type":"Bundle","url":"d"}],
            "error":[{"type":"OperationOutcome","url":"e"}]}"#;
        let manifest = Manifest::read(text.as_bytes()).unwrap();
        let parts: Vec<_> = manifest.files.iter().map(|file| (file.part, file.url.as_str())).collect();
        assert_eq!(parts, [(ExportPart::Output, "o"), (ExportPart::Deleted, "d"), (ExportPart::Error, "e")]);
        assert!(manifest.requires_token && !manifest.is_done());
        assert!(Manifest::read(b"{}").is_err());
    }
}
