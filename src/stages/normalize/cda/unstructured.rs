//! A body that is a file: text and the like are read where they stand, anything else says why it can't be.

use crate::domain::{Finding, QuarantineReason, Severity, Unreadable};
use crate::stages::normalize::attachments;
use crate::stages::normalize::tidy;
use crate::stages::normalize::xml::Element;

use super::page::Page;

/// Errors: no text that can be read in this document itself.
pub(super) fn read(body: Element<'_>, page: &mut Page, findings: &mut Vec<Finding>) -> Result<(), Unreadable> {
    let refused = |why: &str| Unreadable::new(QuarantineReason::UnreadableAttachment, format!("nonXMLBody: {why}"));
    let text = body.child("text").ok_or_else(|| refused("no text"))?;
    let media_type = text.attribute("mediaType").unwrap_or_default();
    if text.child("reference").is_some() {
        return Err(refused("in a file of its own"));
    }
    let content = text.text();
    let lines = if text.attribute("representation") == Some("B64") {
        if text.attribute("compression").is_some() {
            return Err(refused("compressed"));
        }
        let readable = attachments::read_base64(media_type, &content)
            .map_err(|hindrance| Unreadable::new(hindrance.reason, format!("nonXMLBody: {}", hindrance.words)))?;
        if readable.guessed_charset {
            findings.push(Finding {
                rule: "attachment_charset".to_owned(),
                severity: Severity::Warning,
                path: "ClinicalDocument.component.nonXMLBody.text".to_owned(),
            });
        }
        readable.text
    } else {
        tidy::text(&content.replace('\u{2028}', "\n"))
    };
    if lines.is_empty() {
        return Err(refused("empty"));
    }
    page.end_section();
    page.gap();
    for line in lines.split('\n') {
        page.line(line);
    }
    Ok(())
}
