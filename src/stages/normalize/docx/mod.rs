//! DOCX to text as it now reads: insertions kept, deletions left out, headings as markdown headings.
//!
//! Page numbers are those of the program that last saved the file: a paragraph counts to the page where it begins.

mod body;
mod package;
mod styles;
#[cfg(test)]
pub(super) mod tests;
mod xml;

use std::collections::HashMap;

use crate::domain::{QuarantineReason, Unreadable};

use super::reading::{About, Reading, join_pages};
use super::tidy;
use body::Asides;
use package::{Package, damaged};
use styles::Styles;
use xml::{Step, walk};

/// Errors: damaged or locked, too large, or without text.
pub(super) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(damaged("locked by a password, or of an older form"));
    }
    let mut package = Package::open(bytes)?;
    let main = package.main_part().ok_or_else(|| damaged("an archive without a document"))?;
    let styles = match package.part("word/styles.xml")? {
        Some(part) => Styles::read(&part).unwrap_or_default(),
        None => Styles::default(),
    };
    let asides = Asides {
        footnotes: notes(&mut package, "footnote", &styles)?,
        endnotes: notes(&mut package, "endnote", &styles)?,
        comments: notes(&mut package, "comment", &styles)?,
    };
    let document = package.part(&main)?.ok_or_else(|| damaged("an archive without a document"))?;
    let mut body = body::read(&document, &styles, &asides)?;
    let without_text = !body.pages.iter().any(|page| page.chars().any(char::is_alphanumeric));
    if without_text {
        let pictures = body.has_picture && package.has_pictures();
        let reason = if pictures { QuarantineReason::NoTextLayer } else { QuarantineReason::EmptyNote };
        return Err(Unreadable::new(reason, "no text"));
    }
    if let Some(first) = body.pages.first_mut() {
        *first = format!("{}\n\n{first}", margin(&mut package, "header", &styles)?);
    }
    if let Some(last) = body.pages.last_mut() {
        last.push_str(&format!("\n\n{}", margin(&mut package, "footer", &styles)?));
    }
    let (text, pages) = join_pages(&body.pages);
    let pages = if body.has_page_breaks { pages } else { Vec::new() };
    Ok(Reading { text, pages, about: about(&mut package)?, findings: Vec::new() })
}

/// `word/footnotes.xml` to the text of each, by id.
fn notes(package: &mut Package<'_>, kind: &str, styles: &Styles) -> Result<HashMap<String, String>, Unreadable> {
    let mut notes = HashMap::new();
    let Some(part) = package.part(&format!("word/{kind}s.xml"))? else { return Ok(notes) };
    for (id, author, note) in split(&part, kind) {
        let body = body::read(note.as_bytes(), styles, &Asides::default())?;
        let text = tidy::line(&body.pages.join(" "));
        let text = match author.filter(|_| !text.is_empty()) {
            Some(author) => format!("{author}: {text}"),
            None => text,
        };
        notes.insert(id, text);
    }
    Ok(notes)
}

/// Each note's id, author and own XML, rebuilt from what matters of it.
fn split(part: &[u8], kind: &str) -> Vec<(String, Option<String>, String)> {
    let mut notes: Vec<(String, Option<String>, String)> = Vec::new();
    let mut inside = false;
    let walked = walk(part, |step| {
        match step {
            Step::Begin(element) if element.name == kind => {
                // The first two footnotes of a file are its separator lines.
                inside = element.attribute("type").is_none_or(|sort| sort == "normal");
                if let Some(id) = element.attribute("id").filter(|_| inside) {
                    let author = element.attribute("author").map(tidy::line).filter(|author| !author.is_empty());
                    notes.push((id.to_owned(), author, String::new()));
                }
            }
            Step::End(name) if name == kind => inside = false,
            Step::Begin(element) if inside => rebuild(&mut notes, &format!("<{}>", element.name)),
            Step::End(name) if inside => rebuild(&mut notes, &format!("</{name}>")),
            Step::Text(text) if inside => rebuild(&mut notes, &quick_xml::escape::escape(text)),
            _ => {}
        }
        Ok(())
    });
    if walked.is_ok() { notes } else { Vec::new() }
}

fn rebuild(notes: &mut [(String, Option<String>, String)], xml: &str) {
    if let Some((_, _, note)) = notes.last_mut() {
        note.push_str(xml);
    }
}

/// What stands above or below every page, each line once.
fn margin(package: &mut Package<'_>, kind: &str, styles: &Styles) -> Result<String, Unreadable> {
    let mut lines: Vec<String> = Vec::new();
    for name in package.parts(kind) {
        let Some(part) = package.part(&name)? else { continue };
        let Ok(body) = body::read(&part, styles, &Asides::default()) else { continue };
        for line in body.pages.join("\n").lines().map(tidy::line) {
            let says_something = line.chars().filter(|c| c.is_alphabetic()).count() > 2 && !is_page_number(&line);
            if says_something && !lines.contains(&line) && lines.len() < 100 {
                lines.push(line);
            }
        }
    }
    Ok(lines.join("\n"))
}

/// `Page 2 of 7`: the file holds only the number it had when it was saved.
fn is_page_number(line: &str) -> bool {
    line.split_whitespace().all(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        matches!(word.as_str(), "page" | "of" | "seite" | "von" | "") || word.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn about(package: &mut Package<'_>) -> Result<About, Unreadable> {
    let mut about = About::default();
    if let Some(core) = package.part("docProps/core.xml")? {
        properties(&core, |_| None, &mut about);
    }
    if let Some(custom) = package.part("docProps/custom.xml")? {
        properties(&custom, |element| element.attribute("name").map(str::to_owned), &mut about);
    }
    Ok(about)
}

/// A property's name is its element's, or what `named` says for all within it. Damage here costs the properties only.
fn properties(part: &[u8], named: impl Fn(&xml::Element) -> Option<String>, about: &mut About) {
    let mut name = String::new();
    let mut value = String::new();
    let mut within_named = false;
    let _ = walk(part, |step| {
        match step {
            Step::Begin(element) => {
                if let Some(own) = named(element) {
                    (name, within_named) = (own, true);
                } else if !within_named {
                    name = element.name.clone();
                }
                value.clear();
            }
            Step::Text(text) => value.push_str(text),
            Step::End(ended) => {
                within_named &= ended != "property";
                about.put(&name, &value);
                value.clear();
            }
        }
        Ok(())
    });
}
