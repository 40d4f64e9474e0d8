//! Communication and CommunicationRequest: what was said to whom, or is to be said.

use crate::domain::{FactKind, Kind};

use super::super::attachments;
use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, when};
use super::headline::Headline;
use super::{Page, Resource, notes};

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let label = if resource.name == "Communication" { "Communication" } else { "Communication request" };
    let topic = body.get("topic").and_then(concept);
    let display = topic.or_else(|| concepts(body.list("category"))).or_else(|| concepts(body.list("reasonCode")));
    let display = display.unwrap_or_else(|| label.to_owned());
    let times = ["sent", "received", "occurrence", "authoredOn"].map(|stem| when(body, stem));
    let time = times.into_iter().find(|time| time.words.is_some()).unwrap_or_default();
    let mut lines = Lines::default();
    Headline {
        status: body.text("status"),
        details: vec![
            time.words,
            body.text("priority").filter(|priority| *priority != "routine").map(tidy::line),
            (body.flag("doNotPerform") == Some(true)).then(|| "not to be done".to_owned()),
        ],
        concept: body.get("topic").or_else(|| body.list("category").first()),
        effective: time.instant,
        ..Headline::new(FactKind::Contact, label, &display)
    }
    .state(&mut lines);
    lines.labelled("Category", concepts(body.list("category")).filter(|words| *words != display));
    lines.labelled("Medium", concepts(body.list("medium")));
    let sender = body.get("sender").and_then(|sender| resource.called(sender));
    lines.labelled("From", sender.clone());
    lines.labelled("To", resource.all_called(body.list("recipient")));
    lines.labelled("About", resource.all_called(body.list("about")));
    let reasons = concepts(body.list("reasonCode")).or_else(|| resource.all_called(body.list("reasonReference")));
    lines.labelled("Reason", reasons.filter(|words| *words != display));
    lines.labelled("Status reason", body.get("statusReason").and_then(concept));
    for payload in body.list("payload") {
        if let Some(text) = payload.text("contentString") {
            match text.contains('\n') {
                true => lines.block(&format!("Message:\n{text}")),
                false => lines.labelled("Message", Some(text)),
            }
        }
        lines.labelled(
            "Message about",
            payload.get("contentReference").and_then(|reference| resource.called(reference)),
        );
        if let Some(attachment) = payload.get("contentAttachment") {
            lines.labelled(
                "Attachment",
                attachment.text("title").or_else(|| attachment.text("contentType")).map(tidy::line),
            );
            if let Ok(readable) = attachments::read_json(attachment) {
                lines.block(&readable.text);
            }
        }
    }
    notes(&mut lines, body);
    let author = sender.or_else(|| body.get("requester").and_then(|person| resource.called(person)));
    Page { kind: Kind::Contact, title: display, lines, effective: time.instant, author }
}
