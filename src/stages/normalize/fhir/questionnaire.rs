//! QuestionnaireResponse: every question with its answer, under the heading it was asked under.

use crate::domain::{FactKind, FactValue, Kind, Timestamp};

use super::super::json::Json;
use super::super::lines::{Lines, Statement};
use super::super::tidy;
use super::elements::{joined, value, when};
use super::{Page, Resource, status_words};

/// Groups within groups, as deep as any real form goes.
const MAX_DEPTH: usize = 12;

pub(super) fn render(resource: &Resource<'_>) -> Page {
    let body = resource.body;
    let authored = when(body, "authored");
    let form = body.text("questionnaire").and_then(form_name);
    let titled = || {
        body.get("_questionnaire")?
            .list("extension")
            .iter()
            .find_map(|extension| extension.text("valueString"))
            .map(tidy::line)
    };
    let title = titled().or(form);
    let mut lines = Lines::default();
    let subject = title.as_ref().map(|title| format!(": {title}")).unwrap_or_default();
    let day = authored.words.as_ref().map(|day| format!(", {day}")).unwrap_or_default();
    lines.push(&format!("Questionnaire response{}{subject}{day}", status_words(body.text("status"))));
    let given = Given { resource, status: body.text("status").map(tidy::line), effective: authored.instant };
    lines.labelled("Answered by", body.get("source").and_then(|source| resource.called(source)));
    given.items(&mut lines, body, None, 0);
    if let Some(narrative) = body.at("text.div").and_then(Json::as_text).filter(|_| body.list("item").is_empty()) {
        lines.block(&super::super::html::to_text(narrative));
    }
    let author = body.get("author").and_then(|author| resource.called(author));
    let title = title.unwrap_or_else(|| "Questionnaire response".to_owned());
    Page { kind: Kind::Other, title, lines, effective: authored.instant, author }
}

/// `phq-9` of `http://forms.example/Questionnaire/phq-9|1.2`, unless it is a mere number.
fn form_name(canonical: &str) -> Option<String> {
    let bare = canonical.split('|').next().unwrap_or(canonical);
    let name = bare.rsplit(['/', ':', '#']).next().unwrap_or(bare);
    name.contains(|c: char| c.is_alphabetic()).then(|| tidy::bounded(name, 100)).filter(|name| name.len() < 36)
}

struct Given<'a, 'b> {
    resource: &'b Resource<'a>,
    status: Option<String>,
    effective: Option<Timestamp>,
}

impl Given<'_, '_> {
    fn items(&self, lines: &mut Lines, node: &Json, group: Option<&str>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for item in node.list("item") {
            let question = item.text("text").map(tidy::line);
            let asked = question.clone().or_else(|| item.text("linkId").map(tidy::line)).unwrap_or_default();
            let answers = item.list("answer");
            if answers.is_empty() {
                // A group's heading; a question that nobody answered says nothing.
                if !item.list("item").is_empty()
                    && let Some(heading) = &question
                {
                    lines.push(heading);
                }
            } else {
                self.answer(lines, &asked, group, answers);
            }
            let within = question.as_deref().or(group);
            self.items(lines, item, within, depth + 1);
            answers.iter().for_each(|answer| self.items(lines, answer, within, depth + 1));
        }
    }

    fn answer(&self, lines: &mut Lines, question: &str, group: Option<&str>, answers: &[Json]) {
        let values = || answers.iter().filter_map(|answer| self.value(answer));
        let Some(words) = joined(values().map(|(words, _)| words)) else { return };
        let single = (answers.len() == 1).then(|| values().next()).flatten();
        let bare = question.trim_end_matches([':', ' ']);
        // A question that is only a number or a word needs its heading to mean anything.
        let short = bare.chars().count() < 11;
        let display = match group.filter(|_| short) {
            Some(group) => format!("{} - {bare}", group.trim_end_matches([':', ' '])),
            None => bare.to_owned(),
        };
        lines.state(
            &format!("{display}: {words}"),
            Statement {
                kind: FactKind::Observation,
                system: None,
                code: None,
                display: tidy::bounded(if display.is_empty() { "Answer" } else { &display }, 300),
                value: single.map(|(_, value)| value).or(Some(FactValue::Text(words.clone()))),
                status: self.status.clone(),
                effective: self.effective,
            },
        );
    }

    fn value(&self, answer: &Json) -> Option<(String, FactValue)> {
        if let Some(reference) = answer.get("valueReference")
            && let Some(name) = self.resource.called(reference)
        {
            return Some((name.clone(), FactValue::Text(name)));
        }
        value(answer, "value")
    }
}
