//! Withholds what comes from feeds that have been silent for too long.

use std::collections::BTreeSet;

use crate::domain::{
    Abstention, Answer, AnswerFinding, AnswerStatus, Check, Citation, Conflict, Sentence, Series, SourceId,
};

/// The answer without what only stale sources say; partial when something is left, an abstention when nothing is.
///
/// A number of entries and a yes or no rest on all of them: with one withheld, neither is given.
pub fn withhold(answer: Answer, stale: &BTreeSet<SourceId>) -> Answer {
    let is_stale = |citation: &Citation| stale.contains(&citation.source);
    if !answer.citations().any(is_stale) {
        return answer;
    }
    let fresh = |citations: Vec<Citation>| citations.into_iter().filter(|one| !is_stale(one)).collect::<Vec<_>>();
    let keep = |sentence: Sentence| {
        let before = sentence.citations.len();
        let citations = fresh(sentence.citations);
        let whole = citations.len() == before;
        let stands = match sentence.check {
            Check::Counted => whole,
            Check::NotNeeded => true,
            Check::Verbatim | Check::Supported => !citations.is_empty(),
        };
        stands.then_some(Sentence { citations, ..sentence })
    };
    let sentences: Vec<Sentence> = answer.sentences.into_iter().filter_map(keep).collect();
    if sentences.iter().all(|sentence| sentence.check == Check::NotNeeded) {
        return Answer::abstained(Abstention::StaleSources);
    }
    let finding = answer.finding.map(|finding| {
        let series = finding.series.into_iter().map(|series| Series {
            points: series.points.into_iter().filter(|point| !is_stale(&point.citation)).collect(),
            ..series
        });
        let series = series.filter(|series| !series.points.is_empty()).collect();
        AnswerFinding { verdict: None, count: None, series, ask: finding.ask }
    });
    let conflicts = answer.conflicts.into_iter().map(|one| Conflict { citations: fresh(one.citations), ..one });
    Answer {
        status: AnswerStatus::Partial,
        reason: Some(Abstention::StaleSources),
        route: answer.route,
        sentences,
        finding,
        conflicts: conflicts.filter(|conflict| conflict.citations.len() > 1).collect(),
    }
}
