//! Consent: what somebody agreed to, as text; the rules for access that it makes are read in `consent_rules`.

use crate::domain::Kind;

use super::super::attachments;
use super::super::json::Json;
use super::super::lines::Lines;
use super::super::tidy;
use super::elements::{concept, concepts, joined, period, when};
use super::{Page, Resource, status_words};

/// Provisions within provisions, as deep as any real consent goes.
const MAX_DEPTH: usize = 6;

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let category = concepts(body.list("category"));
    let display =
        body.get("scope").and_then(concept).or_else(|| category.clone()).unwrap_or_else(|| "Consent".to_owned());
    let signed = when(body, "dateTime");
    let day = signed.words.as_ref().map(|day| format!(", {day}")).unwrap_or_default();
    let subject = if display == "Consent" { String::new() } else { format!(": {display}") };
    let mut lines = Lines::default();
    lines.push(&format!("Consent{}{subject}{day}", status_words(body.text("status"))));
    lines.labelled("Category", category.filter(|words| *words != display));
    lines.labelled("Given by", resource.all_called(body.list("performer")));
    lines.labelled("Held by", resource.all_called(body.list("organization")));
    lines.labelled("Policy", body.get("policyRule").and_then(concept));
    for policy in body.list("policy") {
        lines.labelled("Policy", policy.text("uri").or_else(|| policy.text("authority")).map(tidy::line));
    }
    for verified in body.list("verification") {
        let yes = verified.flag("verified").map(|yes| if yes { "yes" } else { "no" }.to_owned());
        let parts = [yes, when(verified, "verificationDate").words];
        lines.labelled("Verified", joined(parts.into_iter().flatten()).map(|words| words.replace("; ", ", ")));
    }
    if let Some(provision) = body.get("provision") {
        provisions(&mut lines, resource, provision, 0);
    }
    if let Some(source) = body.get("sourceAttachment") {
        lines.labelled("Document", source.text("title").map(tidy::line));
        if let Ok(readable) = attachments::read_json(source) {
            lines.block(&readable.text);
        }
    }
    Page { kind: Kind::Other, title: display, lines, effective: signed.instant, author: None }
}

fn provisions(lines: &mut Lines, resource: &Resource<'_>, provision: &Json, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let actors = provision.list("actor").iter().filter_map(|actor| {
        let name = actor.get("reference").and_then(|reference| resource.called(reference));
        let role = actor.get("role").and_then(concept);
        match (name, role) {
            (Some(name), Some(role)) => Some(format!("{name} ({role})")),
            (name, role) => name.or(role),
        }
    });
    let label = match provision.text("type") {
        Some("deny") => "Denied",
        Some("permit") => "Permitted",
        _ => "Provision",
    };
    let parts = [
        concepts(provision.list("action")).map(|action| format!("action {action}")),
        joined(actors).map(|actors| format!("by {actors}")),
        concepts(provision.list("purpose")).map(|purpose| format!("for {purpose}")),
        concepts(provision.list("class")).map(|class| format!("of {class}")),
        concepts(provision.list("code")),
        concepts(provision.list("securityLabel")).map(|label| format!("labelled {label}")),
        resource.all_called(
            &provision.list("data").iter().filter_map(|data| data.get("reference").cloned()).collect::<Vec<_>>(),
        ),
        provision.get("period").and_then(period),
    ];
    lines.labelled(label, joined(parts.into_iter().flatten()));
    for inner in provision.list("provision") {
        provisions(lines, resource, inner, depth + 1);
    }
}
