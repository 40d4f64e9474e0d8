//! Separators of an interchange and its segments, without a grammar: what stands where, as it came.
//!
//! X12 has no escape, so a separator never stands in data and every segment can be told apart even in a
//! transaction that breaks all other rules.

/// The header must name its separators within this many bytes; by the standard it has 106.
const MAX_HEADER: usize = 400;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the element separators of an `ISA` of the right width stand.
const FIXED: [usize; 16] = [3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stages) struct Separators {
    pub element: u8,
    pub repetition: Option<u8>,
    pub component: Option<u8>,
    pub terminator: u8,
    /// Whether `ISA` has its 106 bytes.
    pub fixed_width: bool,
}

impl Separators {
    /// Those of the `ISA` that `bytes` begin with; `None` when they can't be told.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..bytes.len().min(MAX_HEADER)).filter(|header| header.starts_with(b"ISA"))?;
        let element = *header.get(3)?;
        if !separates(element) || element.is_ascii_whitespace() {
            return None;
        }
        let places: Vec<usize> =
            header.iter().enumerate().filter(|(_, b)| **b == element).map(|(at, _)| at).take(16).collect();
        let last = *places.get(15)?;
        let after = |offset: usize| header.get(last + offset).copied();
        let (component, terminator) = match (after(1), after(2)) {
            (Some(component), Some(terminator))
                if separates(component) && separates(terminator) && terminator != b' ' =>
            {
                (Some(component), terminator)
            }
            (Some(terminator), _) if separates(terminator) => (None, terminator),
            _ => return None,
        };
        if terminator == element || component == Some(element) || component == Some(terminator) {
            return None;
        }
        let repetition = match header.get(places.get(10)? + 1..*places.get(11)?)? {
            [one] if separates(*one) && *one != element && *one != terminator && Some(*one) != component => Some(*one),
            _ => None,
        };
        Some(Self { element, repetition, component, terminator, fixed_width: places == FIXED })
    }
}

fn separates(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}

/// One segment as it lies in its bytes, the terminator included.
#[derive(Clone, Copy, Debug)]
pub(in crate::stages) struct Place<'a> {
    /// Where `content` begins.
    pub start: usize,
    /// Behind the terminator.
    pub end: usize,
    /// Without the terminator and the white space around.
    pub content: &'a [u8],
}

impl<'a> Place<'a> {
    pub fn id(&self, separators: Separators) -> &'a [u8] {
        self.content.split(|b| *b == separators.element).next().unwrap_or_default()
    }
}

/// Every segment of the bytes in order; empty ones, and line ends between them, are left out.
pub(in crate::stages) fn places(bytes: &[u8], separators: Separators) -> impl Iterator<Item = Place<'_>> {
    let mut at = 0;
    bytes.split_inclusive(move |b| *b == separators.terminator).filter_map(move |whole| {
        let begin = at;
        at += whole.len();
        let content = whole.strip_suffix(&[separators.terminator]).unwrap_or(whole);
        let start = begin + lead(content);
        let content = trimmed(content);
        (!content.is_empty()).then_some(Place { start, end: at, content })
    })
}

/// Without line ends, blanks, byte-order marks and end-of-file marks around.
pub(in crate::stages) fn trimmed(bytes: &[u8]) -> &[u8] {
    let rest = bytes.get(lead(bytes)..).unwrap_or_default();
    let tail = rest.iter().rev().take_while(|b| is_decoration(**b)).count();
    rest.get(..rest.len() - tail).unwrap_or_default()
}

/// How many bytes of decoration come first.
fn lead(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match rest.first() {
            Some(byte) if is_decoration(*byte) => at += 1,
            Some(_) if rest.starts_with(BYTE_ORDER_MARK) => at += BYTE_ORDER_MARK.len(),
            _ => return at,
        }
    }
}

fn is_decoration(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1a)
}

/// One segment of a transaction; elements are looked up, never copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    text: &'a str,
    separators: Separators,
    /// Counted from 1 within its transaction set (`ST`), as acknowledgements count.
    pub position: usize,
}

impl<'a> Segment<'a> {
    pub fn new(text: &'a str, separators: Separators, position: usize) -> Self {
        Self { text, separators, position }
    }

    pub fn id(&self) -> &'a str {
        self.text.split(char::from(self.separators.element)).next().unwrap_or_default().trim()
    }

    pub fn is(&self, id: &str) -> bool {
        self.id() == id
    }

    /// The element counted from 1, trimmed; empty when there is none.
    pub fn get(&self, element: usize) -> &'a str {
        self.text.split(char::from(self.separators.element)).nth(element).unwrap_or_default().trim()
    }

    /// As [`Self::get`], but `None` when it is empty.
    pub fn given(&self, element: usize) -> Option<&'a str> {
        Some(self.get(element)).filter(|value| !value.is_empty())
    }

    /// The elements behind the segment's name.
    pub fn elements(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text.split(char::from(self.separators.element)).skip(1).map(str::trim)
    }

    /// Component of an element, both counted from 1; empty when there is none.
    pub fn component(&self, element: usize, component: usize) -> &'a str {
        self.components(self.get(element)).nth(component.saturating_sub(1)).unwrap_or_default()
    }

    /// The parts of a composite.
    pub fn components(&self, value: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        parts(value, self.separators.component)
    }

    /// The repeats of an element.
    pub fn repeats(&self, element: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        parts(self.get(element), self.separators.repetition).filter(|part| !part.is_empty())
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Two or three capitals or digits, a letter first.
    pub fn is_well_named(&self) -> bool {
        let id = self.id();
        (2..=3).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_uppercase())
            && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    }
}

fn parts(value: &str, separator: Option<u8>) -> impl Iterator<Item = &str> {
    // A separator that can't occur leaves the value whole.
    let separator = separator.map_or('\u{0}', char::from);
    value.split(separator).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *261001*1253*^*00501*000000905*1*P*:~";

    #[test]
    fn separators_stand_where_the_standard_puts_them() {
        let read = Separators::read(HEADER.as_bytes()).unwrap();
        assert_eq!(
            (read.element, read.repetition, read.component, read.terminator),
            (b'*', Some(b'^'), Some(b':'), b'~')
        );
        assert!(read.fixed_width);
    }

    #[test]
    fn a_header_of_another_width_still_names_its_separators() {
        let trimmed = HEADER.replace("          ", "").replace("~", "\r\n");
        let read = Separators::read(trimmed.as_bytes()).unwrap();
        assert_eq!((read.component, read.terminator, read.fixed_width), (Some(b':'), b'\r', false));
        let old = HEADER.replace('^', "U").replace(":~", "~GS*");
        let read = Separators::read(old.as_bytes()).unwrap();
        assert_eq!((read.repetition, read.component, read.terminator), (None, None, b'~'));
    }

    #[test]
    fn what_is_no_header_has_no_separators() {
        for text in ["", "ISA", "ISA*00*", "ISAB00", "ISA*a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*", "GS*HC"] {
            assert_eq!(Separators::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn line_ends_between_segments_are_decoration() {
        let separators = Separators::read(HEADER.as_bytes()).unwrap();
        let found: Vec<&[u8]> = places(b"ST*837~\r\n ~BHT*1 ~SE*2", separators).map(|place| place.content).collect();
        assert_eq!(found, [b"ST*837".as_slice(), b"BHT*1", b"SE*2"]);
    }

    #[test]
    fn elements_components_and_repeats_are_counted_from_one() {
        let separators = Separators::read(HEADER.as_bytes()).unwrap();
        let segment = Segment::new("EB*C*IND*30^98**HC:99213:25", separators, 7);
        assert_eq!((segment.id(), segment.get(1), segment.get(9)), ("EB", "C", ""));
        assert_eq!(segment.repeats(3).collect::<Vec<_>>(), ["30", "98"]);
        assert_eq!((segment.component(5, 2), segment.component(5, 4)), ("99213", ""));
    }
}
