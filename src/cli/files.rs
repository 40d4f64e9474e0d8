//! Finds files to ingest and says how each is to be read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::Format;
use crate::stages::detect::{Detected, HEAD_BYTES, detect};

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
    /// Files of a kind that is not read, counted by extension, and rows that need a mapping.
    pub ignored: BTreeMap<String, u64>,
}

/// `with_mapping`: whether JSON objects and rows are read by the source's mapping.
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
    let name = path.strip_prefix(base).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let detected = detect(Some(&name), &beginning(path).map_err(|error| at(path, error))?);
    let Some(format) = format(detected, &extension, with_mapping) else {
        let rows = matches!(detected, Detected::NeedsMapping(_));
        let kind = if rows { format!("{extension} (needs a mapping)") } else { extension };
        *found.ignored.entry(kind).or_default() += 1;
        return Ok(());
    };
    found.empty += u64::from(size == 0);
    found.files.push(FoundFile { path: path.to_owned(), name, format });
    Ok(())
}

/// With a mapping, JSON and rows are what the mapping says. Without one, rows can't be read at all; JSON that says
/// nowhere what it is goes to the reader, which quarantines it with its reason.
fn format(detected: Detected, extension: &str, with_mapping: bool) -> Option<Format> {
    match detected {
        Detected::Known(Format::FhirJson) if with_mapping && extension == "json" => Some(Format::MappedJson),
        Detected::Known(format) => Some(format),
        Detected::NeedsMapping(format) if with_mapping => Some(format),
        Detected::NeedsMapping(Format::MappedJson) => Some(Format::FhirJson),
        Detected::NeedsMapping(_) | Detected::Compressed(_) | Detected::Unknown(_) => None,
    }
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let most = u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX);
    File::open(path)?.take(most).read_to_end(&mut head)?;
    Ok(head)
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_decides_what_json_and_rows_are() {
        let (known, rows) = (Detected::Known(Format::FhirJson), Detected::NeedsMapping(Format::MappedCsv));
        let objects = Detected::NeedsMapping(Format::MappedJson);
        assert_eq!(format(known, "json", true), Some(Format::MappedJson));
        assert_eq!(format(known, "json", false), Some(Format::FhirJson));
        assert_eq!(format(objects, "json", true), Some(Format::MappedJson));
        assert_eq!(format(objects, "json", false), Some(Format::FhirJson));
        assert_eq!(format(rows, "csv", true), Some(Format::MappedCsv));
        assert_eq!(format(rows, "csv", false), None);
    }

    #[test]
    fn every_file_is_found_or_counted() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("a.json", "{\"resourceType\":\"Flag\"}"),
            ("b.dat", "MSH|^~\\&|"),
            ("c.csv", "id,text"),
            ("d.png", "\0\0"),
            ("e.txt", ""),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let found = find(&[folder.path().to_owned()], false).unwrap();
        let formats: Vec<(&str, Format)> = found.files.iter().map(|file| (file.name.as_str(), file.format)).collect();
        assert_eq!(formats, [("a.json", Format::FhirJson), ("b.dat", Format::Hl7v2), ("e.txt", Format::Text)]);
        assert_eq!(found.empty, 1);
        let ignored = [("csv (needs a mapping)".to_owned(), 1), ("png".to_owned(), 1)];
        assert_eq!(found.ignored, BTreeMap::from(ignored));
    }
}
