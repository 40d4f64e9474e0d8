//! DocumentReference: each attachment that can be read becomes a note.

use crate::domain::{Document, Finding, Kind, QuarantineReason, Severity, Timestamp, Unreadable};

use super::super::attachments::{self, Hindrance, Readable};
use super::super::tidy;
use super::elements::{concept, when};
use super::{Content, Envelope, Resource};

pub(super) fn documents(
    resource: &Resource<'_>,
    envelope: &Envelope,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Document>, Unreadable> {
    let body = resource.body;
    let mut texts: Vec<(Readable, Option<String>)> = Vec::new();
    let mut hindrances: Vec<(usize, Option<Hindrance>)> = Vec::new();
    for (position, content) in body.list("content").iter().enumerate() {
        let Some(attachment) = content.get("attachment") else {
            hindrances.push((position, None));
            continue;
        };
        match attachments::read_json(attachment) {
            Ok(readable) => {
                if readable.guessed_charset {
                    findings.push(finding("attachment_charset", position));
                }
                let known = texts.iter().any(|(known, _)| known.text == readable.text);
                if !known {
                    texts.push((readable, attachment.text("title").map(|title| tidy::bounded(title, 200))));
                }
            }
            Err(hindrance) => hindrances.push((position, Some(hindrance))),
        }
    }
    if texts.is_empty() {
        return Err(unreadable(&hindrances));
    }
    findings.extend(hindrances.iter().map(|(position, _)| finding("unreadable_attachment", *position)));
    Ok(texts
        .into_iter()
        .enumerate()
        .map(|(position, (readable, title))| note(resource, envelope, position, readable, title))
        .collect())
}

fn note(
    resource: &Resource<'_>,
    envelope: &Envelope,
    position: usize,
    readable: Readable,
    attachment_title: Option<String>,
) -> Document {
    let body = resource.body;
    let Readable { text, pages, labels, .. } = readable;
    let described = || body.text("description").map(|words| tidy::bounded(words, 200));
    let sort = || body.get("type").and_then(concept);
    let category = || body.list("category").first().and_then(concept);
    let title =
        if position == 0 { sort().or_else(described).or(attachment_title) } else { attachment_title.or_else(sort) };
    let title = title.or_else(category).unwrap_or_else(|| {
        let first = text.lines().next().unwrap_or_default();
        tidy::bounded(first.trim_start_matches(['#', ' ']), 120)
    });
    let stay = body.get("context").map(|context| when(context, "period")).unwrap_or_default();
    let written = body.text("date").and_then(Timestamp::parse);
    let authors = resource.all_called(body.list("author"));
    let author = authors.or_else(|| body.get("authenticator").and_then(|person| resource.called(person)));
    let effective = stay.instant.or(written);
    let facts = Vec::new();
    let content = Content { position, kind: Kind::Note, title, author, text, pages, facts, effective };
    let mut document = envelope.document(content);
    document.labels.add(&labels);
    document
}

fn finding(rule: &str, position: usize) -> Finding {
    Finding {
        rule: rule.to_owned(),
        severity: Severity::Warning,
        path: format!("DocumentReference.content[{position}].attachment"),
    }
}

fn unreadable(hindrances: &[(usize, Option<Hindrance>)]) -> Unreadable {
    let words = |hindrance: &Option<Hindrance>| hindrance.as_ref().map_or("missing", |h| h.words.as_str()).to_owned();
    let each = |(position, hindrance): &(usize, Option<Hindrance>)| {
        format!("attachment {}: {}", position + 1, words(hindrance))
    };
    let detail = hindrances.iter().map(each).collect::<Vec<_>>().join("; ");
    let known: Vec<&Hindrance> = hindrances.iter().filter_map(|(_, hindrance)| hindrance.as_ref()).collect();
    let reason = if known.len() == hindrances.len() {
        Hindrance::common(&known)
    } else {
        QuarantineReason::UnreadableAttachment
    };
    Unreadable::new(reason, if detail.is_empty() { "no attachment".to_owned() } else { detail })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use crate::domain::{Confidentiality, Document, Outcome, QuarantineReason, RawRecord, Unreadable};
    use crate::stages::normalize::pdf::writer::PdfWriter;

    fn documents(attachments: &[(&str, &[u8])]) -> Result<Vec<Document>, Unreadable> {
        let content: Vec<String> = attachments
            .iter()
            .map(|(media_type, bytes)| {
                let data = STANDARD.encode(bytes);
                format!(r#"{{"attachment":{{"contentType":"{media_type}","data":"{data}"}}}}"#)
            })
            .collect();
        let json = format!(
            r#"{{"resourceType":"DocumentReference","id":"1","status":"current","content":[{}]}}"#,
            content.join(",")
        );
        let record = RawRecord { bytes: json.into_bytes(), ..RawRecord::default() };
        match super::super::normalize(&record, "main")?.outcome {
            Outcome::Documents(documents) => Ok(documents),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pdf_brings_its_pages() {
        let pdf = PdfWriter::new().page_of_lines(&["Seen today."]).page_of_lines(&["Well."]).write();
        let notes = documents(&[("application/pdf", &pdf)]).unwrap();
        assert_eq!((notes[0].text.as_str(), notes[0].pages.as_slice()), ("Seen today.\n\nWell.", &[0, 13][..]));
    }

    #[test]
    fn a_scan_alone_has_no_text_layer_and_beside_a_text_is_a_finding() {
        let scan = b"{\\rtf1{\\pict 00}}".as_slice();
        assert_eq!(documents(&[("text/rtf", scan)]).unwrap_err().reason, QuarantineReason::NoTextLayer);
        let mixed = documents(&[("text/rtf", scan), ("image/png", b"x")]).unwrap_err();
        assert_eq!(mixed.reason, QuarantineReason::UnreadableAttachment);
        assert_eq!(mixed.detail, "attachment 1: rtf: no text; attachment 2: image/png");
        assert_eq!(documents(&[("text/rtf", scan), ("text/plain", b"Seen.")]).unwrap().len(), 1);
    }

    #[test]
    fn an_attached_cda_is_a_note_with_its_sections_and_labels() {
        let cda = br#"<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Discharge</title><confidentialityCode code="R"/>
            <component><structuredBody><component><section><title>Plan</title><text>Rest at home.</text></section>
            </component></structuredBody></component></ClinicalDocument>"#;
        let note = documents(&[("application/xml", cda)]).unwrap().remove(0);
        assert!(note.text.contains("Rest at home."), "{}", note.text);
        assert!(note.sections.iter().any(|section| section.title == "Plan"), "{:?}", note.sections);
        assert_eq!(note.labels.confidentiality, Confidentiality::R);
        let refused = documents(&[("text/xml", b"<section/>".as_slice())]).unwrap_err();
        assert_eq!(refused.detail, "attachment 1: cda: fragment: section");
    }
}
