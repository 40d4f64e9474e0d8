//! Turns what facts say into an answer: lines quoted, entries counted, series to plot.

use super::reading::{Found, SeriesOf};
use crate::domain::{
    Answer, AnswerFinding, Ask, Check, Citation, Conflict, FactValue, Point, Route, Sentence, Series, StoredFact,
};
use crate::stages::ground::{count_words, fold};

/// Support of a line that the question's every word led to.
const SUPPORT: f32 = 1.0;

/// The answer, with the citation of each fact; `None` when one can't be cited any more, since what was computed
/// rests on all of them.
pub fn say<'a>(found: &Found<'a>, cite: impl Fn(&'a StoredFact) -> Option<Citation>) -> Option<Answer> {
    let mut sentences = Vec::new();
    if let Some(counted) = found.counted.as_ref().filter(|_| found.ask == Ask::Count) {
        let citations = counted.iter().map(|stored| cite(stored)).collect::<Option<Vec<_>>>()?;
        let text = count_words(citations.len());
        sentences.push(Sentence { text, support: SUPPORT, check: Check::Counted, citations });
    }
    for stored in &found.lines {
        let citation = cite(stored)?;
        let text = fold(&citation.quote);
        let same = sentences.iter_mut().find(|said: &&mut Sentence| said.check == Check::Verbatim && said.text == text);
        match same {
            Some(said) => said.citations.push(citation),
            None => {
                sentences.push(Sentence { text, support: SUPPORT, check: Check::Verbatim, citations: vec![citation] });
            }
        }
    }
    let series = found.series.iter().map(|one| series(one, &cite)).collect::<Option<Vec<_>>>()?;
    let mut answer = Answer::answered(Route::Facts, sentences);
    answer.finding = Some(AnswerFinding {
        ask: found.ask,
        verdict: found.verdict,
        count: found.counted.as_ref().map(Vec::len),
        series,
    });
    if let Some(first) = found.conflict.first() {
        let citations = found.conflict.iter().map(|stored| cite(stored)).collect::<Option<Vec<_>>>()?;
        answer.conflicts.push(Conflict { about: first.fact.display.clone(), citations });
    }
    Some(answer)
}

fn series<'a>(one: &SeriesOf<'a>, cite: &impl Fn(&'a StoredFact) -> Option<Citation>) -> Option<Series> {
    let newest = one.facts.last()?;
    let point = |stored: &&'a StoredFact| {
        let (value, text) = match &stored.fact.value {
            Some(FactValue::Quantity { value, .. }) => (Some(*value), None),
            Some(FactValue::Text(text)) => (None, Some(text.clone())),
            None => (None, None),
        };
        Some(Point {
            time: stored.fact.effective,
            value,
            text,
            status: stored.fact.status.clone(),
            citation: cite(stored)?,
        })
    };
    Some(Series {
        name: newest.fact.display.clone(),
        system: newest.fact.system.clone(),
        code: newest.fact.code.clone(),
        unit: one.unit.clone(),
        points: one.facts.iter().map(point).collect::<Option<Vec<_>>>()?,
    })
}
