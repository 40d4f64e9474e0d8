//! The base as a file beside the commit: a start maps it into memory instead of reading every row and linking it anew.
//!
//! It is a copy and is never trusted further than that. Each section has its checksum, and every row that is used must
//! have the fingerprint that the commit gives for the row of this number (`Generation::complete`). It is written under
//! another name, synced and renamed, so that a kill leaves the one before or the new one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernels::codes::Codes;
use kernels::graph::Graph;
use kernels::views;
use serde::{Deserialize, Serialize};
use tantivy::Directory;
use tantivy::directory::{MmapDirectory, OwnedBytes};
use uuid::Uuid;

use super::base::{Base, Division};
use super::block::{Block, BlockBuilder, Vectors};
use super::schema::{DocumentEntry, StoredRow};
use crate::domain::Span;

const PREFIX: &str = "base-";
const UNFINISHED: &str = "base.next";
/// Names the layout as well: another layout, another mark.
const MARK: &[u8; 8] = b"ANABASE1";
/// Sections begin at multiples of this, so that they can be viewed as what they hold.
const ALIGNMENT: u64 = 64;
/// Offset of the directory, its length, its checksum, the mark.
const TRAILER_BYTES: usize = 8 + 8 + 4 + 8;

/// What the file holds, at its end.
#[derive(Serialize, Deserialize)]
struct Contents {
    dimension: usize,
    /// The codes' greatest loss and length, as bits: a copy must not round.
    bounds: [u32; 2],
    divisions: Vec<Division>,
    sections: Vec<Section>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Section {
    name: String,
    offset: usize,
    length: usize,
    checksum: u32,
}

/// A document and its rows, one line each.
#[derive(Serialize, Deserialize)]
struct DocumentLine<D> {
    document: D,
    rows: Vec<RowFields>,
}

/// Number, ordinal, section, span, tokens, and for a window the row of its chunk.
type RowFields = (u32, u32, Option<String>, (usize, usize), u32, Option<u32>);

/// Writes the base's file, maps its vectors back in the place of those in memory, and removes the file of before.
pub fn write(folder: &Path, base: &mut Base) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let file = write_all(&unfinished, base)?;
    file.sync_all()?;
    let name = format!("{PREFIX}{}", Uuid::now_v7());
    fs::rename(&unfinished, folder.join(&name))?;
    File::open(folder)?.sync_all()?;
    for other in files(folder) {
        if other.file_name().is_some_and(|other| *other != *name) {
            fs::remove_file(other)?;
        }
    }
    if let Some(mapped) = Mapped::open(&folder.join(&name))
        && let Some(vectors) = mapped.section("vectors")
        && let Some(block) = Arc::get_mut(&mut base.block)
    {
        block.vectors = Vectors::File(vectors);
    }
    Ok(())
}

/// The newest base that is whole and of this dimension, if there is one.
pub fn open(folder: &Path, dimension: usize) -> Option<Base> {
    let newest = files(folder).into_iter().max()?;
    let base = Mapped::open(&newest).and_then(|mapped| mapped.base(dimension));
    if base.is_none() {
        tracing::warn!("the index's copy of its rows can't be read and is made again");
    }
    base
}

/// Removes the file, and one that was left unfinished.
pub fn remove(folder: &Path) -> io::Result<()> {
    for file in files(folder) {
        fs::remove_file(file)?;
    }
    match fs::remove_file(folder.join(UNFINISHED)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).map(|entry| entry.path()).collect()
}

fn write_all(path: &Path, base: &Base) -> io::Result<File> {
    let block = &base.block;
    let mut writing =
        Writing { file: BufWriter::with_capacity(1 << 20, File::create(path)?), at: 0, sections: Vec::new() };
    let (lines, scales, bounds) = block.codes.parts();
    writing.section("vectors", views::of_floats(block.vectors.as_slice()))?;
    writing.section("codes", views::of_lines(lines))?;
    writing.section("scales", views::of_floats(scales))?;
    writing.section("fingerprints", views::of_long_words(&block.fingerprints))?;
    writing.section("documents", &document_lines(block)?)?;
    writing.section("division_of", views::of_words(base.division_of()))?;
    for (name, part) in GRAPH_SECTIONS.into_iter().zip(base.graph.parts()) {
        writing.section(name, views::of_words(&part))?;
    }
    let dimension = block.dimension();
    let divisions = base.divisions().to_vec();
    writing.finish(Contents { dimension, bounds: bounds.map(f32::to_bits), divisions, sections: Vec::new() })
}

const GRAPH_SECTIONS: [&str; 5] = ["graph_levels", "graph_upper_at", "graph_ground", "graph_upper", "graph_entries"];

fn document_lines(block: &Block) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for (document, range) in block.documents.iter().zip(&block.rows_of) {
        let rows = block.rows.get(range.clone()).unwrap_or_default().iter().map(|row| {
            let section = row.section.as_deref().map(str::to_owned);
            (row.number, row.ordinal, section, (row.span.start, row.span.end), row.tokens, row.part_of)
        });
        serde_json::to_writer(&mut lines, &DocumentLine { document: &**document, rows: rows.collect() })?;
        lines.push(b'\n');
    }
    Ok(lines)
}

struct Writing {
    file: BufWriter<File>,
    at: u64,
    sections: Vec<Section>,
}

impl Writing {
    fn section(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let padding = self.at.next_multiple_of(ALIGNMENT) - self.at;
        self.put(&vec![0; padding as usize])?;
        let section = Section {
            name: name.to_owned(),
            offset: self.at as usize,
            length: bytes.len(),
            checksum: crc32fast::hash(bytes),
        };
        self.sections.push(section);
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(mut self, contents: Contents) -> io::Result<File> {
        let contents = serde_json::to_vec(&Contents { sections: std::mem::take(&mut self.sections), ..contents })?;
        let offset = self.at;
        self.put(&contents)?;
        self.put(&offset.to_le_bytes())?;
        self.put(&(contents.len() as u64).to_le_bytes())?;
        self.put(&crc32fast::hash(&contents).to_le_bytes())?;
        self.put(MARK)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// A file whose checksums were found right.
struct Mapped {
    bytes: OwnedBytes,
    contents: Contents,
}

impl Mapped {
    fn open(path: &Path) -> Option<Self> {
        let directory = MmapDirectory::open(path.parent()?).ok()?;
        let bytes = directory.open_read(Path::new(path.file_name()?)).ok()?.read_bytes().ok()?;
        let contents = contents(&bytes)?;
        let is_whole = contents.sections.iter().all(|section| {
            let end = section.offset.checked_add(section.length);
            end.and_then(|end| bytes.get(section.offset..end))
                .is_some_and(|bytes| crc32fast::hash(bytes) == section.checksum)
        });
        is_whole.then_some(Self { bytes, contents })
    }

    fn section(&self, name: &str) -> Option<OwnedBytes> {
        let section = self.contents.sections.iter().find(|section| section.name == name)?;
        Some(self.bytes.slice(section.offset..section.offset + section.length))
    }

    fn base(&self, dimension: usize) -> Option<Base> {
        if self.contents.dimension != dimension {
            return None;
        }
        let block = Arc::new(self.block(dimension)?);
        let mut parts: [Vec<u32>; 5] = Default::default();
        for (part, name) in parts.iter_mut().zip(GRAPH_SECTIONS) {
            *part = views::words(&self.section(name)?)?.to_vec();
        }
        let division_of = views::words(&self.section("division_of")?)?.to_vec();
        Base::from_parts(block, Graph::from_parts(parts)?, self.contents.divisions.clone(), division_of)
    }

    fn block(&self, dimension: usize) -> Option<Block> {
        let lines = views::lines(&self.section("codes")?)?.to_vec();
        let scales = views::floats(&self.section("scales")?)?.to_vec();
        let fingerprints = views::long_words(&self.section("fingerprints")?)?.to_vec();
        let codes = Codes::from_parts(dimension, lines, scales, self.contents.bounds.map(f32::from_bits))?;
        let vectors = self.section("vectors")?;
        let rows = views::floats(&vectors)?.len() / dimension.max(1);
        let builder = read_documents(&self.section("documents")?, dimension)?;
        let fits = builder.rows() == rows && codes.len() == rows && fingerprints.len() == rows;
        fits.then(|| builder.finish(Vectors::File(vectors), codes, fingerprints))
    }
}

fn contents(bytes: &[u8]) -> Option<Contents> {
    let trailer = bytes.get(bytes.len().checked_sub(TRAILER_BYTES)?..)?;
    let (offset, trailer) = trailer.split_first_chunk::<8>()?;
    let (length, trailer) = trailer.split_first_chunk::<8>()?;
    let (checksum, mark) = trailer.split_first_chunk::<4>()?;
    let offset = usize::try_from(u64::from_le_bytes(*offset)).ok()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let contents = bytes.get(offset..offset.checked_add(length)?)?;
    let is_right = mark == MARK && crc32fast::hash(contents) == u32::from_le_bytes(*checksum);
    is_right.then(|| serde_json::from_slice(contents).ok())?
}

fn read_documents(lines: &[u8], dimension: usize) -> Option<BlockBuilder> {
    let mut builder = BlockBuilder::new(dimension);
    for line in lines.lines() {
        let line: DocumentLine<DocumentEntry> = serde_json::from_str(&line.ok()?).ok()?;
        for (row, ordinal, section, (start, end), tokens, part_of) in line.rows {
            let document = line.document.clone();
            let span = Span::new(start, end);
            builder.push_stored(StoredRow { row, document, ordinal, section, span, tokens, part_of });
        }
    }
    Some(builder)
}
