//! The parts of a DOCX file, unpacked within bounds.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::domain::{QuarantineReason, Unreadable};

const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;
const MAX_PARTS: usize = 20_000;
/// Unpacked, of all parts that are read.
const MAX_UNPACKED_BYTES: u64 = 128 * 1024 * 1024;

pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// As they are called, in order of name.
    names: Vec<String>,
    left: u64,
}

impl<'a> Package<'a> {
    /// Errors: no archive, locked, or too large.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(too_large(format!("DOCX of {} bytes", bytes.len())));
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged("no archive"))?;
        if archive.len() > MAX_PARTS {
            return Err(too_large(format!("{} parts", archive.len())));
        }
        let mut names: Vec<String> =
            archive.file_names().filter_map(Result::ok).map(|name| name.into_owned()).collect();
        names.sort_unstable();
        Ok(Self { archive, names, left: MAX_UNPACKED_BYTES })
    }

    /// The document itself: `word/document.xml`, by some programs `word/document2.xml`.
    pub fn main_part(&self) -> Option<String> {
        let usual = "word/document.xml";
        let is_main = |name: &&String| name.starts_with("word/document") && name.ends_with(".xml");
        let exact = self.names.iter().find(|name| name.as_str() == usual);
        exact.or_else(|| self.names.iter().find(is_main)).cloned()
    }

    /// Numbered parts: `word/header1.xml`, `word/header2.xml`.
    pub fn parts(&self, kind: &str) -> Vec<String> {
        let is_of_kind = |name: &&String| {
            let number = name.strip_prefix("word/").and_then(|name| name.strip_prefix(kind)?.strip_suffix(".xml"));
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.names.iter().filter(is_of_kind).cloned().collect()
    }

    pub fn has_pictures(&self) -> bool {
        self.names.iter().any(|name| name.starts_with("word/media/"))
    }

    /// One part's bytes; `None` when there is none of that name.
    pub fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(_) => return Err(damaged("a part can't be unpacked")),
        };
        let mut bytes = Vec::new();
        file.take(self.left.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|_| damaged("a part can't be unpacked"))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(size).ok_or_else(|| too_large("unpacked parts".to_owned()))?;
        Ok(Some(bytes))
    }
}

pub(super) fn damaged(detail: &str) -> Unreadable {
    Unreadable::new(QuarantineReason::UnreadableFile, detail)
}

pub(super) fn too_large(detail: String) -> Unreadable {
    Unreadable::new(QuarantineReason::TooLarge, detail)
}
