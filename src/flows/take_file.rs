//! A file to the deliveries that are landed of it: its form is told by its content, its bytes come slice by slice.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::adapters::sources::slices::{is_cut, slices};
use crate::domain::{Format, SourceDescription};
use crate::stages::detect::{Detected, HEAD_BYTES, detect};

#[derive(Debug, thiserror::Error)]
pub enum TakeFileError {
    /// The path is left out: a file's name may hold a person's.
    #[error("a file can't be read: {0}")]
    Unreadable(io::ErrorKind),
    #[error("the reading task was stopped")]
    Stopped,
}

impl From<io::Error> for TakeFileError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.kind())
    }
}

type Slices = Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>;

#[derive(Clone)]
pub struct TakeFileFlow {
    max_bytes: u64,
}

/// A file whose form is known, to be read from its beginning.
pub struct OpenedFile {
    format: Format,
    is_too_large: bool,
    /// `None` only while one is being read.
    slices: Option<Slices>,
}

impl TakeFileFlow {
    /// `max_bytes`: the longest record that is taken; lines and rows of a longer file are taken in slices.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes: u64::try_from(max_bytes).unwrap_or(u64::MAX) }
    }

    /// `name`: the sender's name for it.
    pub async fn open(&self, source: &SourceDescription, name: &str, path: &Path) -> Result<OpenedFile, TakeFileError> {
        let (name, path, max_bytes) = (name.to_owned(), path.to_owned(), self.max_bytes);
        let is_mapped = source.mapping.is_some();
        let opening = tokio::task::spawn_blocking(move || open(&name, path, is_mapped, max_bytes));
        opening.await.map_err(|_| TakeFileError::Stopped)?
    }
}

fn open(name: &str, path: PathBuf, is_mapped: bool, max_bytes: u64) -> Result<OpenedFile, TakeFileError> {
    let mut file = std::fs::File::open(&path)?;
    let size = file.metadata()?.len();
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let format = form(detect(Some(name), &head), is_mapped);
    let is_too_large = size > max_bytes && !is_cut(format);
    Ok(OpenedFile { format, is_too_large, slices: Some(Box::new(slices(&path, format)?)) })
}

/// What is of no known form lands all the same: it waits in quarantine with its bytes, and is seen there.
fn form(detected: Detected, is_mapped: bool) -> Format {
    match detected {
        Detected::Known(Format::FhirJson) if is_mapped => Format::MappedJson,
        Detected::Known(format) | Detected::NeedsMapping(format) => format,
        Detected::Compressed(_) | Detected::Unknown(_) => Format::Unknown,
    }
}

impl OpenedFile {
    pub fn format(&self) -> Format {
        self.format
    }

    /// One record, and longer than a record may be.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// The next part to land; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, TakeFileError> {
        let Some(mut slices) = self.slices.take() else { return Ok(None) };
        let reading = tokio::task::spawn_blocking(move || (slices.next(), slices));
        let (slice, slices) = reading.await.map_err(|_| TakeFileError::Stopped)?;
        self.slices = Some(slices);
        Ok(slice.transpose()?)
    }
}
