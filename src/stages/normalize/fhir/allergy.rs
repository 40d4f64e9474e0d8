//! AllergyIntolerance: what a patient must not get, or that nothing is known.

use crate::domain::{FactKind, Kind, Unreadable};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{capitalized, code, coded, codes, concept, concepts, joined, when};
use super::{Page, Resource, notes, subject_matter};

/// SNOMED codes that state the absence of an allergy.
const NEGATIVES: [&str; 7] =
    ["716186003", "409137002", "428607008", "429625007", "716184000", "428197003", "716185004"];

pub(super) fn render(resource: &Resource<'_>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let display = match subject_matter(resource, "code") {
        Ok(display) => display,
        // Without a code, the substances of its reactions say what it is about.
        Err(missing) => {
            joined(body.list("reaction").iter().filter_map(|r| concept(r.get("substance")?))).ok_or(missing)?
        }
    };
    let onset = when(body, "onset");
    let recorded = when(body, "recordedDate");
    let clinical = body.get("clinicalStatus").and_then(code);
    let verification = body.get("verificationStatus").and_then(code);
    let categories = joined(body.list("category").iter().filter_map(Json::as_text).map(tidy::line));
    let details = [
        categories,
        body.text("criticality").map(|criticality| format!("criticality {}", criticality.replace('-', " "))),
        onset.words.as_ref().map(|onset| format!("onset {onset}")),
        recorded.words.as_ref().map(|day| format!("recorded {day}")),
    ];
    let details = details.into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
    let element = body.get("code");
    let coded = element.map(coded).unwrap_or_default();
    let negative = is_negative(&display, element);
    let standing = match verification {
        Some(denied @ ("refuted" | "entered-in-error")) => Some(denied),
        _ => clinical,
    };
    let effective = onset.instant.or(recorded.instant);
    let mut lines = Lines::default();
    lines.state(
        &format!(
            "{}: {display}{details}{}",
            heading(body, clinical, verification, negative),
            element.map(codes).unwrap_or_default()
        ),
        Statement {
            kind: FactKind::Allergy,
            system: coded.system,
            code: coded.code,
            display: display.clone(),
            value: None,
            status: standing.map(tidy::line),
            effective,
        },
    );
    for reaction in body.list("reaction") {
        lines.labelled("Reaction", reaction_words(reaction));
    }
    lines.labelled("Last occurrence", when(body, "lastOccurrence").words);
    notes(&mut lines, body);
    let author = body.get("asserter").or_else(|| body.get("recorder")).and_then(|person| resource.called(person));
    Ok(Page { kind: Kind::Allergy, title: display, lines, effective, author })
}

fn is_negative(display: &str, element: Option<&Json>) -> bool {
    let coded = element.into_iter().flat_map(|element| element.list("coding"));
    let words = display.to_lowercase();
    ["no known", "no allerg", "nkda", "nka"].iter().any(|start| words.starts_with(start))
        || coded.filter_map(|coding| coding.text("code")).any(|code| NEGATIVES.contains(&code))
}

fn heading(body: &Json, clinical: Option<&str>, verification: Option<&str>, negative: bool) -> String {
    let noun = match body.text("type") {
        Some("intolerance") => "intolerance",
        _ => "allergy",
    };
    match verification {
        Some("refuted") => return format!("Refuted {noun} (patient does not have it)"),
        Some("entered-in-error") => return format!("Entered in error, {noun}"),
        _ => {}
    }
    let doubt = match verification {
        Some("confirmed") | None => String::new(),
        Some(doubt) => format!(" ({doubt})"),
    };
    if negative {
        let standing = clinical.filter(|clinical| *clinical != "active").map(|clinical| format!(" ({clinical})"));
        return format!("Allergy status{}{doubt}", standing.unwrap_or_default());
    }
    match clinical {
        Some(clinical) => format!("{} {noun}{doubt}", capitalized(clinical)),
        None => format!("{}{doubt}", capitalized(noun)),
    }
}

fn reaction_words(reaction: &Json) -> Option<String> {
    let manifestation = concepts(reaction.list("manifestation"))
        .or_else(|| reaction.text("description").map(tidy::line))
        .or_else(|| reaction.get("substance").and_then(concept))?;
    let substance = reaction.get("substance").and_then(concept).map(|substance| format!(" to {substance}"));
    let aside = [reaction.text("severity").map(tidy::line), when(reaction, "onset").words];
    let aside = joined(aside.into_iter().flatten()).map(|aside| format!(" ({aside})"));
    Some(format!("{manifestation}{}{}", substance.unwrap_or_default(), aside.unwrap_or_default()))
}
