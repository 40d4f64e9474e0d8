//! XML of an office part as plain events: local names, decoded text, bounded depth.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::domain::{QuarantineReason, Unreadable};

const MAX_DEPTH: usize = 2_000;

pub(super) enum Step<'a> {
    /// An element begins; one that is empty ends at once, and that is said as well.
    Begin(&'a Element),
    End(&'a str),
    Text(&'a str),
}

/// An element without its namespace prefixes, which senders choose as they like.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn read(start: &BytesStart<'_>) -> Self {
        let mut all = start.attributes();
        let attributes = all.with_checks(false).take(64).flatten().map(|attribute| {
            let name = String::from_utf8_lossy(attribute.key.local_name().into_inner()).into_owned();
            let raw = String::from_utf8_lossy(&attribute.value);
            let value = quick_xml::escape::unescape(&raw).map_or_else(|_| raw.to_string(), |value| value.into_owned());
            (name, value)
        });
        Self { name: local(start.local_name().into_inner()), attributes: attributes.collect() }
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `w:val`
    pub fn value(&self) -> Option<&str> {
        self.attribute("val")
    }

    /// A switch is on unless it says that it is off.
    pub fn is_on(&self) -> bool {
        !matches!(self.value(), Some("0" | "false" | "off" | "none"))
    }
}

fn local(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Walks a part in order.
///
/// Errors: not well-formed, with the position, or nested too deeply; or what `visit` says.
pub(super) fn walk(bytes: &[u8], mut visit: impl FnMut(Step<'_>) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    let unicode = utf16(bytes);
    let bytes = unicode.as_deref().map_or(bytes, str::as_bytes);
    let mut reader = Reader::from_reader(bytes);
    let mut depth = 0usize;
    loop {
        let event = reader.read_event().map_err(|_| {
            Unreadable::new(QuarantineReason::UnreadableFile, format!("XML, byte {}", reader.error_position()))
        })?;
        match event {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Unreadable::new(QuarantineReason::TooLarge, "elements nested too deeply"));
                }
                visit(Step::Begin(&Element::read(&start)))?;
            }
            Event::Empty(start) => {
                let element = Element::read(&start);
                visit(Step::Begin(&element))?;
                visit(Step::End(&element.name))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                visit(Step::End(&local(end.local_name().into_inner())))?;
            }
            Event::Text(text) => visit(Step::Text(&String::from_utf8_lossy(&text)))?,
            Event::CData(text) => visit(Step::Text(&String::from_utf8_lossy(&text)))?,
            Event::GeneralRef(reference) => {
                let named = String::from_utf8_lossy(&reference).into_owned();
                let raw = format!("&{named};");
                visit(Step::Text(&quick_xml::escape::unescape(&raw).unwrap_or_default()))?;
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Office parts are UTF-8, or UTF-16 with its mark.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (encoding, _) = encoding_rs::Encoding::for_bom(bytes)?;
    (encoding != encoding_rs::UTF_8).then(|| encoding.decode(bytes).0.into_owned())
}
