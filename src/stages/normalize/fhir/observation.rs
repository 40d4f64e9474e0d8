//! Observation: what was measured or found, each component on its own line.

use crate::domain::{FactKind, FactValue, Kind, Timestamp, Unreadable};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{code, coded, codes, concept, concepts, joined, range, value, when};
use super::{Page, Resource, notes, subject_matter};

pub(super) fn render(resource: &Resource<'_>) -> Result<Page, Unreadable> {
    let body = resource.body;
    let display = subject_matter(resource, "code")?;
    let taken = when(body, "effective");
    let issued = when(body, "issued");
    let day = taken.words.clone().or_else(|| issued.words.clone());
    let effective = taken.instant.or(issued.instant);
    let status = body.text("status").map(tidy::line);
    let occasion = Occasion { day, status, effective };
    let mut lines = Lines::default();
    occasion.state(&mut lines, &display, body);
    for component in body.list("component") {
        let name = component.get("code").and_then(concept).unwrap_or_else(|| "Component".to_owned());
        occasion.state(&mut lines, &name, component);
    }
    lines.labelled("Category", concepts(body.list("category")));
    lines.labelled("Method", body.get("method").and_then(concept));
    lines.labelled("Body site", body.get("bodySite").and_then(concept));
    lines.labelled("Specimen", body.get("specimen").and_then(|specimen| resource.called(specimen)));
    lines.labelled("Device", body.get("device").and_then(|device| resource.called(device)));
    lines.labelled("Members", resource.all_called(body.list("hasMember")));
    notes(&mut lines, body);
    let author = resource.all_called(body.list("performer"));
    Ok(Page { kind: Kind::Result, title: display, lines, effective, author })
}

/// When and in what standing all lines of one observation were made.
struct Occasion {
    day: Option<String>,
    status: Option<String>,
    effective: Option<Timestamp>,
}

impl Occasion {
    fn state(&self, lines: &mut Lines, display: &str, element: &Json) {
        let found = value(element, "value").or_else(|| missing(element));
        let words = found.as_ref().map(|(words, _)| format!(": {words}")).unwrap_or_default();
        let standing =
            joined([self.day.clone(), self.status.clone()].into_iter().flatten()).map(|s| s.replace("; ", ", "));
        let aside = joined([standing, interpretation(element), reference(element)].into_iter().flatten());
        let aside = aside.map(|aside| format!(" ({aside})")).unwrap_or_default();
        let concept = element.get("code");
        let coded = concept.map(coded).unwrap_or_default();
        lines.state(
            &format!("{display}{words}{aside}{}", concept.map(codes).unwrap_or_default()),
            Statement {
                kind: FactKind::Observation,
                system: coded.system,
                code: coded.code,
                display: display.to_owned(),
                value: found.map(|(_, value)| value),
                status: self.status.clone(),
                effective: self.effective,
            },
        );
    }
}

fn missing(element: &Json) -> Option<(String, FactValue)> {
    let reason = concept(element.get("dataAbsentReason")?)?;
    let words = format!("no value ({})", reason.replace('-', " "));
    Some((words.clone(), FactValue::Text(words)))
}

fn interpretation(element: &Json) -> Option<String> {
    joined(element.list("interpretation").iter().filter_map(|interpretation| {
        let known = match code(interpretation) {
            Some("H" | "HU") => "high",
            Some("HH") => "critically high",
            Some("L" | "LU") => "low",
            Some("LL") => "critically low",
            Some("N") => "normal",
            Some("A") => "abnormal",
            Some("AA") => "critically abnormal",
            Some("POS") => "positive",
            Some("NEG") => "negative",
            Some("DET") => "detected",
            Some("ND") => "not detected",
            Some("R") => "resistant",
            Some("S") => "susceptible",
            Some("I") => "intermediate",
            Some("IND") => "indeterminate",
            _ => return concept(interpretation).map(|words| words.to_lowercase()),
        };
        Some(known.to_owned())
    }))
}

/// `reference 4.0-5.6 %`; of several, each with what it is for.
fn reference(element: &Json) -> Option<String> {
    let ranges = element.list("referenceRange");
    let words = joined(ranges.iter().take(4).filter_map(|given| {
        let limits = range(given).or_else(|| given.text("text").map(tidy::line))?;
        let purpose = given.get("type").and_then(concept).filter(|_| ranges.len() > 1);
        Some(purpose.map(|purpose| format!("{purpose} {limits}")).unwrap_or(limits))
    }));
    words.map(|words| format!("reference {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> String {
        let body = Json::parse(body).unwrap();
        let resource = super::super::tests::alone("Observation", &body);
        render(&resource).unwrap().lines.into_parts().0
    }

    #[test]
    fn a_result_reads_as_one_line_with_all_it_takes_to_judge_it() {
        let line = text(
            r#"{"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"4548-4","display":"Hemoglobin A1c"}]},
                "effectiveDateTime":"2023-04-01T08:00:00Z","valueQuantity":{"value":6.80,"unit":"%"},
                "interpretation":[{"coding":[{"code":"H"}]}],
                "referenceRange":[{"low":{"value":4.0,"unit":"%"},"high":{"value":5.6,"unit":"%"}}]}"#,
        );
        assert_eq!(line, "Hemoglobin A1c: 6.80 % (2023-04-01, final; high; reference 4.0-5.6 %) [LOINC 4548-4]");
    }

    #[test]
    fn an_absent_value_says_so() {
        let line = text(
            r#"{"status":"final","code":{"text":"Weight"},"dataAbsentReason":{"coding":[{"code":"asked-declined"}]}}"#,
        );
        assert_eq!(line, "Weight: no value (asked declined) (final)");
    }
}
