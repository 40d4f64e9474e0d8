//! Finds files to ingest and says how each is to be read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::Format;

/// NDJSON files are landed in slices of about this size, so that memory stays bounded.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

pub struct FoundFile {
    pub path: PathBuf,
    /// Below the folder that was named: the same however that folder was reached.
    pub name: String,
    pub format: Format,
}

#[derive(Default)]
pub struct FoundFiles {
    /// In order of path.
    pub files: Vec<FoundFile>,
    /// How many of them hold no byte.
    pub empty: u64,
    /// Files of a kind that is not read, counted by extension.
    pub ignored: BTreeMap<String, u64>,
}

/// `with_mapping`: whether `.json` means CRM objects.
pub fn find(paths: &[PathBuf], with_mapping: bool) -> io::Result<FoundFiles> {
    let mut found = FoundFiles::default();
    for path in paths {
        let base = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("")) };
        walk(path, base, with_mapping, &mut found)?;
    }
    Ok(found)
}

fn walk(path: &Path, base: &Path, with_mapping: bool, found: &mut FoundFiles) -> io::Result<()> {
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| at(path, error))?;
        let mut entries = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| walk(entry, base, with_mapping, found));
    }
    let size = fs::metadata(path).map_err(|error| at(path, error))?.len();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("").to_ascii_lowercase();
    let format = match extension.as_str() {
        "json" if with_mapping => Format::MappedJson,
        "json" => Format::FhirJson,
        "ndjson" | "jsonl" => Format::FhirNdjson,
        "txt" => Format::Text,
        "md" => Format::Markdown,
        "csv" | "tsv" | "psv" | "rif" if with_mapping => Format::MappedCsv,
        _ => {
            *found.ignored.entry(extension).or_default() += 1;
            return Ok(());
        }
    };
    found.empty += u64::from(size == 0);
    let name = path.strip_prefix(base).unwrap_or(path).to_string_lossy().replace('\\', "/");
    found.files.push(FoundFile { path: path.to_owned(), name, format });
    Ok(())
}

/// The bytes of a file; an error names it.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| at(path, error))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What is landed of a file: one body, or NDJSON in slices that end at a line.
pub fn slices(bytes: Vec<u8>, format: Format) -> Vec<Vec<u8>> {
    if format != Format::FhirNdjson || bytes.len() <= SLICE_BYTES {
        return vec![bytes];
    }
    let mut slices = Vec::new();
    let mut current = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if !current.is_empty() && current.len() + line.len() > SLICE_BYTES {
            slices.push(std::mem::take(&mut current));
        }
        current.extend_from_slice(line);
    }
    slices.push(current);
    slices
}

#[cfg(test)]
mod tests {
    use super::{Format, SLICE_BYTES, slices};

    #[test]
    fn slices_of_ndjson_end_at_a_line_and_rebuild_the_file() {
        let line = format!("{}\n", "x".repeat(1_000_000));
        let bytes = line.repeat(9).into_bytes();
        let sliced = slices(bytes.clone(), Format::FhirNdjson);
        assert!(sliced.len() > 1);
        assert!(sliced.iter().all(|slice| slice.len() <= SLICE_BYTES && slice.ends_with(b"\n")));
        assert_eq!(sliced.concat(), bytes);
    }
}
