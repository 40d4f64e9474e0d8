//! What was found in a text, in order and without overlaps; and the text with marks in its place.

use super::Category;
use crate::domain::Span;

/// A place of the text, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub from: Span,
    pub to: Span,
    pub category: Category,
}

/// A text as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Masked {
    pub text: String,
    /// In order.
    pub edits: Vec<Edit>,
}

impl Masked {
    /// Where a range of the text stands in the masked text. What begins or ends within a mark takes in all of it.
    pub fn span(&self, span: Span) -> Span {
        let start = self.moved(span.start, |edit| edit.to.start);
        Span::new(start, self.moved(span.end, |edit| edit.to.end).max(start))
    }

    fn moved(&self, offset: usize, within: impl Fn(&Edit) -> usize) -> usize {
        let before = self.edits.partition_point(|edit| edit.from.end <= offset);
        if let Some(edit) = self.edits.get(before).filter(|edit| edit.from.start < offset) {
            return within(edit);
        }
        match before.checked_sub(1).and_then(|last| self.edits.get(last)) {
            Some(edit) => offset - edit.from.end + edit.to.end,
            None => offset,
        }
    }

    /// Whether a range of the text lies in what was taken out, at least in part.
    pub fn hides(&self, span: Span) -> bool {
        let before = self.edits.partition_point(|edit| edit.from.end <= span.start);
        self.edits.get(before).is_some_and(|edit| edit.from.start < span.end)
    }
}

struct Finding {
    span: Span,
    /// `None`: stays as it is, and no later finder may touch it.
    mark: Option<(Category, String)>,
}

pub(super) struct Findings<'a> {
    pub text: &'a str,
    /// Ordered, without overlaps.
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub fn protect(&mut self, start: usize, end: usize) {
        self.put(Span::new(start, end), None);
    }

    /// Takes a range out. Where an earlier finding lies in it, what is left and right of that goes by itself.
    pub fn take(&mut self, start: usize, end: usize, category: Category, mark: &str) {
        let mut free = start;
        let taken: Vec<Span> = self.within(start, end).map(|finding| finding.span).collect();
        for span in taken {
            self.take_free(free, span.start, category, mark);
            free = span.end;
        }
        self.take_free(free, end, category, mark);
    }

    fn take_free(&mut self, start: usize, end: usize, category: Category, mark: &str) {
        if start >= end {
            return;
        }
        let part = &self.text[start..end];
        let is_edge = |c: char| !c.is_alphanumeric() && !matches!(c, '(' | ')' | '+');
        let start = start + (part.len() - part.trim_start_matches(is_edge).len());
        let end = end - (part.len() - part.trim_end_matches(is_edge).len());
        if start < end && self.text[start..end].contains(char::is_alphanumeric) {
            self.put(Span::new(start, end), Some((category, mark.to_owned())));
        }
    }

    fn put(&mut self, span: Span, mark: Option<(Category, String)>) {
        if !self.is_free(span.start, span.end) {
            return;
        }
        let at = self.found.partition_point(|finding| finding.span.start < span.start);
        self.found.insert(at, Finding { span, mark });
    }

    pub fn is_free(&self, start: usize, end: usize) -> bool {
        start < end && self.within(start, end).next().is_none()
    }

    fn within(&self, start: usize, end: usize) -> impl Iterator<Item = &Finding> {
        let first = self.found.partition_point(|finding| finding.span.end <= start);
        self.found[first..].iter().take_while(move |finding| finding.span.start < end)
    }

    pub fn into_masked(self) -> Masked {
        let mut masked = Masked { text: String::with_capacity(self.text.len()), edits: Vec::new() };
        let mut after = 0;
        for Finding { span, mark } in self.found {
            let Some((category, mark)) = mark else { continue };
            masked.text.push_str(&self.text[after..span.start]);
            let start = masked.text.len();
            masked.text.push_str(&mark);
            masked.edits.push(Edit { from: span, to: Span::new(start, masked.text.len()), category });
            after = span.end;
        }
        masked.text.push_str(&self.text[after..]);
        masked
    }
}
