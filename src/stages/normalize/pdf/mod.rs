//! PDF to text, page by page.
//!
//! Text comes in the order in which the page draws it, which is the reading order of nearly every program that
//! writes clinical documents, and the only one that survives columns. A file is bounded in its size, pages,
//! unpacked bytes and instructions. It is read on a thread of its own, whose stack is made for nested objects.

mod cmap;
mod fonts;
mod forms;
mod interpret;
mod layout;
#[cfg(test)]
mod real_files;
#[cfg(test)]
mod tests;
mod widths;
#[cfg(test)]
pub(super) mod writer;

use lopdf::{Dictionary, Document, LoadOptions, Object, decode_text_string};

use crate::domain::{QuarantineReason, Timestamp, Unreadable};

use super::reading::{About, MAX_TEXT_BYTES, Reading, join_pages};
use interpret::{Budget, Fonts, Interpreter, Page};

const MAX_FILE_BYTES: usize = 128 * 1024 * 1024;
const MAX_PAGES: usize = 5_000;
/// Of all streams that hold objects together.
const MAX_OBJECT_BYTES: usize = 96 * 1024 * 1024;
const MAX_CONTENT_BYTES: usize = 256 * 1024 * 1024;
const MAX_OPERATIONS: usize = 8_000_000;
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Fewer letters and digits than this on a page with a picture: the page is a scan.
const FEW_CHARACTERS: usize = 25;

/// Errors: damaged or locked, too large, or pictures of text only.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Unreadable::new(QuarantineReason::TooLarge, format!("PDF of {} bytes", bytes.len())));
    }
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("pdf".to_owned()).stack_size(STACK_BYTES);
        match reader.spawn_scoped(scope, || read_here(bytes)).map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(reading)) => reading,
            // A defect in what reads it: the caller tells it apart from a damaged file.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => Err(Unreadable::new(QuarantineReason::ReaderFailed, "no thread to read a PDF on")),
        }
    })
}

fn read_here(bytes: &[u8]) -> Result<Reading, Unreadable> {
    let document = load(bytes)?;
    let pages: Vec<_> = document.page_iter().take(MAX_PAGES + 1).collect();
    if pages.is_empty() {
        return Err(damaged("no page"));
    }
    if pages.len() > MAX_PAGES {
        return Err(Unreadable::new(QuarantineReason::TooLarge, format!("more than {MAX_PAGES} pages")));
    }
    let mut budget = Budget { operations: MAX_OPERATIONS, bytes: MAX_CONTENT_BYTES };
    let mut fonts = Fonts::default();
    let mut tally = Tally::default();
    let mut texts = Vec::with_capacity(pages.len());
    let mut total = 0;
    for (position, id) in pages.into_iter().enumerate() {
        let beyond =
            |_| Unreadable::new(QuarantineReason::TooLarge, format!("unpacked content, page {}", position + 1));
        let mut page = Interpreter::new(&document, &mut fonts, &mut budget).page(id).map_err(beyond)?;
        forms::filled(&document, id).iter().for_each(|line| page.text.line(line));
        let text = tally.count(page, position);
        total += text.len();
        if total > MAX_TEXT_BYTES {
            return Err(Unreadable::new(QuarantineReason::TooLarge, format!("text up to page {}", position + 1)));
        }
        texts.push(text);
    }
    tally.verdict(texts.len())?;
    let (text, pages) = join_pages(&texts);
    let findings = tally.findings();
    Ok(Reading { text, pages, about: about(&document), findings })
}

fn load(bytes: &[u8]) -> Result<Document, Unreadable> {
    let streams = bytes.windows(6).filter(|window| *window == b"ObjStm").count().max(1);
    let limit = (MAX_OBJECT_BYTES / streams).clamp(64 * 1024, 16 * 1024 * 1024);
    let locked = || Unreadable::new(QuarantineReason::UnreadableFile, "locked by a password");
    let options = LoadOptions::with_max_decompressed_size(limit);
    let document = Document::load_mem_with_options(bytes, options).map_err(|error| match error {
        lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword => locked(),
        lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) => {
            Unreadable::new(QuarantineReason::TooLarge, "unpacked objects")
        }
        _ => damaged("not a PDF that can be put together"),
    })?;
    if document.is_encrypted() && !document.was_encrypted() {
        return Err(locked());
    }
    Ok(document)
}

fn damaged(detail: &str) -> Unreadable {
    Unreadable::new(QuarantineReason::UnreadableFile, detail)
}

/// What the pages held, to tell text from scans.
#[derive(Default)]
struct Tally {
    readable: usize,
    meaningless: usize,
    letters: usize,
    /// Pages with a picture and hardly any text.
    scans: Vec<usize>,
    has_ink: bool,
}

impl Tally {
    fn count(&mut self, page: Page, position: usize) -> String {
        let Page { text, readable, meaningless, has_picture, has_drawing } = page;
        let text = text.finish();
        let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
        if has_picture && letters < FEW_CHARACTERS {
            self.scans.push(position);
        }
        self.readable += readable;
        self.meaningless += meaningless;
        self.letters += letters;
        self.has_ink |= has_picture || has_drawing || meaningless > 0;
        text
    }

    fn verdict(&self, pages: usize) -> Result<(), Unreadable> {
        let no_layer = |detail: String| Err(Unreadable::new(QuarantineReason::NoTextLayer, detail));
        if self.letters == 0 && !self.has_ink {
            return Err(Unreadable::new(QuarantineReason::EmptyNote, format!("{pages} blank pages")));
        }
        if self.letters == 0 || self.scans.len() == pages {
            return no_layer(format!("{pages} pages, {} letters", self.letters));
        }
        if self.meaningless > self.readable {
            return no_layer(format!("{} characters of fonts that don't say what they mean", self.meaningless));
        }
        Ok(())
    }

    fn findings(&self) -> Vec<(&'static str, String)> {
        let scans = self.scans.iter().map(|page| ("page_without_text", format!("page[{}]", page + 1)));
        let lost = (self.meaningless * 50 > self.readable).then(|| ("unreadable_characters", "text".to_owned()));
        scans.chain(lost).collect()
    }
}

/// What the file's own description says; the names of programs that made it are no author.
fn about(document: &Document) -> About {
    let mut about = About::default();
    let info = document.trailer.get(b"Info").ok().and_then(|info| fonts::resolved(document, info).as_dict().ok());
    let Some(info) = info else { return about };
    for (key, value) in info.iter() {
        let Ok(value) = decode_text_string(fonts::resolved(document, value)) else { continue };
        match key.as_slice() {
            b"Creator" | b"Producer" => {}
            b"ModDate" => about.written = date(&value),
            key => about.put(&String::from_utf8_lossy(key), &value),
        }
    }
    about.written = about.written.or_else(|| created(document, info));
    about.title = about.title.filter(|title| is_title(title));
    about
}

fn created(document: &Document, info: &Dictionary) -> Option<Timestamp> {
    let value: &Object = fonts::resolved(document, info.get(b"CreationDate").ok()?);
    date(&decode_text_string(value).ok()?)
}

/// `Microsoft Word - discharge.docx` and `untitled` are leavings of a program.
fn is_title(title: &str) -> bool {
    let lower = title.to_lowercase();
    let file = [".doc", ".docx", ".pdf", ".rtf", ".txt", ".tmp"].iter().any(|end| lower.ends_with(end));
    !file && !lower.starts_with("microsoft word") && !lower.starts_with("untitled")
}

/// `D:20240203091500+01'00'`, with as much of it as there is.
fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim().trim_start_matches("D:");
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let part = |from: usize, to: usize| digits.get(from..to);
    let day = format!("{}-{}-{}", part(0, 4)?, part(4, 6).unwrap_or("01"), part(6, 8).unwrap_or("01"));
    let Some(hour) = part(8, 10) else { return Timestamp::parse(&day) };
    let (minute, second) = (part(10, 12).unwrap_or("00"), part(12, 14).unwrap_or("00"));
    let zone = text.get(digits.len()..).unwrap_or_default().replace('\'', ":");
    let zone = zone.trim_end_matches(':');
    let zone = match zone.len() {
        3 => format!("{zone}:00"),
        6 => zone.to_owned(),
        _ => "Z".to_owned(),
    };
    Timestamp::parse(&format!("{day}T{hour}:{minute}:{second}{zone}")).or_else(|| Timestamp::parse(&day))
}
