//! DocumentReference: each attachment that can be read becomes a note.

use crate::domain::{Document, Finding, Kind, QuarantineReason, Severity, Timestamp, Unreadable};

use super::super::{attachments, tidy};
use super::elements::{concept, when};
use super::{Content, Envelope, Resource};

pub(super) fn documents(
    resource: &Resource<'_>,
    envelope: &Envelope,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Document>, Unreadable> {
    let body = resource.body;
    let mut texts: Vec<(String, Option<String>)> = Vec::new();
    let mut hindrances = Vec::new();
    for (position, content) in body.list("content").iter().enumerate() {
        let Some(attachment) = content.get("attachment") else {
            hindrances.push((position, "missing".to_owned()));
            continue;
        };
        match attachments::read_json(attachment) {
            Ok(readable) => {
                if readable.guessed_charset {
                    findings.push(finding("attachment_charset", position));
                }
                let known = texts.iter().any(|(text, _)| *text == readable.text);
                if !known {
                    texts.push((readable.text, attachment.text("title").map(|title| tidy::bounded(title, 200))));
                }
            }
            Err(why) => hindrances.push((position, why)),
        }
    }
    if texts.is_empty() {
        return Err(unreadable(&hindrances));
    }
    findings.extend(hindrances.iter().map(|(position, _)| finding("unreadable_attachment", *position)));
    Ok(texts
        .into_iter()
        .enumerate()
        .map(|(position, (text, title))| note(resource, envelope, position, text, title))
        .collect())
}

fn note(
    resource: &Resource<'_>,
    envelope: &Envelope,
    position: usize,
    text: String,
    attachment_title: Option<String>,
) -> Document {
    let body = resource.body;
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
    envelope.document(Content { position, kind: Kind::Note, title, author, text, facts: Vec::new(), effective })
}

fn finding(rule: &str, position: usize) -> Finding {
    Finding {
        rule: rule.to_owned(),
        severity: Severity::Warning,
        path: format!("DocumentReference.content[{position}].attachment"),
    }
}

fn unreadable(hindrances: &[(usize, String)]) -> Unreadable {
    let detail =
        hindrances.iter().map(|(position, why)| format!("attachment {}: {why}", position + 1)).collect::<Vec<_>>();
    let detail = if detail.is_empty() { "no attachment".to_owned() } else { detail.join("; ") };
    Unreadable::new(QuarantineReason::UnreadableAttachment, detail)
}
