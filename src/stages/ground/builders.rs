//! Passages for tests, showing only what matters.

use crate::domain::{
    Chunk, ContentHash, Document, DocumentId, DocumentKey, DocumentStatus, Explanation, Hit, Kind, Labels, Passage,
    ReceiptId, SourceId, Span, StoredDocument, Times, Timestamp,
};

pub fn key(id: &str) -> DocumentKey {
    DocumentKey { id: DocumentId::new(id), version: 1 }
}

/// The whole of a document as one passage.
pub fn passage(id: &str, text: &str) -> Passage {
    passage_of(id, text, Span::new(0, text.len()))
}

pub fn passage_of(id: &str, text: &str, span: Span) -> Passage {
    let chunk = Chunk { ordinal: 0, section: None, span, tokens: 0 };
    Passage {
        hit: Hit { key: key(id), chunk, score: 1.0, explanation: Explanation::default() },
        document: StoredDocument {
            key: key(id),
            source: SourceId::new("clinic"),
            document: document(id, text),
            content_hash: ContentHash(String::new()),
            received_at: Timestamp::from_micros(0),
            is_latest: true,
            receipt: ReceiptId::new("receipt"),
            ordinal: 0,
        },
    }
}

fn document(id: &str, text: &str) -> Document {
    Document {
        source_key: id.to_owned(),
        source_version: None,
        kind: Kind::Note,
        resource_type: "DocumentReference".to_owned(),
        patient: None,
        encounter: None,
        title: String::new(),
        author: None,
        times: Times::default(),
        labels: Labels::default(),
        status: DocumentStatus::Current,
        text: text.to_owned(),
        sections: Vec::new(),
        pages: Vec::new(),
        facts: Vec::new(),
    }
}

pub fn dated(mut passage: Passage, date: &str) -> Passage {
    passage.document.document.times.effective = Timestamp::parse(date);
    passage
}

pub fn in_section(mut passage: Passage, section: &str) -> Passage {
    passage.hit.chunk.section = Some(section.to_owned());
    passage
}

/// A sentence per line.
pub fn lines(text: &str, within: Span) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = within.start;
    for line in within.of(text).unwrap_or_default().split_inclusive('\n') {
        spans.push(Span::new(start, start + line.len()));
        start += line.len();
    }
    spans
}
