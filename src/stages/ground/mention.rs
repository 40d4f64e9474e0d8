//! What the question names must be mentioned: a passage about something else, or of another time, answers nothing.

use std::collections::BTreeMap;

use super::facts::is_structured;
use crate::domain::{Abstention, Ask, Citation, DocumentKey, DocumentStatus, FactKind, Kind, Passage, Timestamp};
use crate::stages::question::{Named, Question, Sort, Thing, alike, names_a_time_in, names_in, tokens};
use crate::stages::sentences::sentences;

/// Words that name a thing rather than describing it, at most.
const NAMING: usize = 3;

/// The passages whose documents mention each thing that the question names by a known name, in any of its names, and are
/// of the time that it names.
///
/// Errors: no passage at all, or none that does.
pub fn without_unmentioned(question: &Question, mut passages: Vec<Passage>) -> Result<Vec<Passage>, Abstention> {
    if passages.is_empty() {
        return Err(Abstention::NoEvidence);
    }
    passages.retain(|passage| is_of_its_time(question, passage));
    if passages.is_empty() {
        return Err(Abstention::NotMentioned);
    }
    let named: Vec<Thing> =
        question.things.iter().filter(|thing| thing.entry().sort != Sort::Demographic).copied().collect();
    // A few words name a thing, and a fact's name has no synonym in a sentence; many describe one.
    let names_it = is_structured(question) && question.ask != Ask::List && question.words.len() <= NAMING;
    let words: &[String] = if names_it { &question.words } else { &[] };
    if named.is_empty() && words.is_empty() {
        return Ok(passages);
    }
    let mut mentions: BTreeMap<DocumentKey, bool> = BTreeMap::new();
    for passage in &passages {
        mentions.entry(passage.document.key.clone()).or_insert_with(|| {
            let text = tokens(&format!("{}\n{}", passage.document.document.title, passage.document.document.text));
            named.iter().all(|thing| mentioned(*thing, &text)) && words.iter().all(|word| said(word, &text))
        });
    }
    let kept: Vec<Passage> =
        passages.into_iter().filter(|passage| mentions.get(&passage.document.key) == Some(&true)).collect();
    if kept.is_empty() { Err(Abstention::NotMentioned) } else { Ok(kept) }
}

/// A document of another time says nothing of what happened then, unless it names that time. What lasts (a medicine, a
/// problem) may have begun long before.
fn is_of_its_time(question: &Question, passage: &Passage) -> bool {
    let document = &passage.document.document;
    let written = document.times.effective.or(document.times.source);
    !question.window.is_closed()
        || asks_for_what_lasts(question)
        || written.is_none_or(|time| question.window.anywhere().holds(Some(time)))
        || names_a_time_in(passage.text(), question.window)
}

fn asks_for_what_lasts(question: &Question) -> bool {
    const LASTING: [FactKind; 4] = [FactKind::Medication, FactKind::Condition, FactKind::Allergy, FactKind::CarePlan];
    let of_things = question.things.iter().flat_map(|thing| thing.entry().sort.kinds());
    question.kinds.iter().chain(of_things).any(|kind| LASTING.contains(kind))
}

fn said(word: &str, text: &[String]) -> bool {
    let bare = |word: &str| {
        word.trim_end_matches('s').trim_end_matches("ed").trim_end_matches("ing").trim_end_matches('e').to_owned()
    };
    text.iter().any(|other| other == word || bare(other) == bare(word) || (word.len() >= 5 && alike(word, other)))
}

fn mentioned(thing: Thing, words: &[String]) -> bool {
    let stands = |name: &String| {
        let name: Vec<&str> = name.split(' ').collect();
        let same = |run: &[String]| run.iter().zip(&name).all(|(word, part)| one_word(word, part));
        words.windows(name.len()).any(same)
    };
    thing.entry().names.iter().any(stands)
}

/// Forms of one word too: `fractures`, `diabetic`'s plural, a letter wrong in a long one.
fn one_word(word: &str, part: &str) -> bool {
    word == part || word.strip_suffix('s') == Some(part) || (part.len() >= 9 && alike(word, part))
}

/// Sentences of documents later than a fact that say of what the question names that it is over.
pub fn later_denials(question: &Question, fact: &Citation, passages: &[Passage]) -> Vec<Citation> {
    let is_allergy = fact.kind == Kind::Allergy;
    let mut found: Vec<Citation> = Vec::new();
    for passage in passages.iter().filter(|passage| is_later(passage, fact.as_of())) {
        for span in sentences(&passage.document.document.text, passage.hit.chunk.span) {
            let said = span.of(&passage.document.document.text).unwrap_or_default();
            let words = tokens(said);
            let about = question.things.iter().all(|thing| mentioned(*thing, &words))
                && question.words.iter().all(|wanted| words.iter().any(|word| alike(word, wanted)));
            if about && !said.contains('?') && says_over(question, &words, is_allergy) {
                found.extend(Citation::of(&passage.document, span));
            }
        }
    }
    // A clinician's note says more than an appointment's reason.
    let is_note = |citation: &Citation| matches!(citation.kind, Kind::Note | Kind::Report);
    found.sort_by_key(|one| (!is_note(one), std::cmp::Reverse(one.as_of()), one.key.clone(), one.span));
    found.dedup_by(|one, other| one.key == other.key && one.span == other.span);
    found.truncate(2);
    found
}

/// A structured record has its own standing; only prose speaks against one.
fn is_later(passage: &Passage, fact: Timestamp) -> bool {
    let document = &passage.document.document;
    document.facts.is_empty()
        && document.kind != Kind::Contact
        && document.status == DocumentStatus::Current
        && passage.document.as_of() > fact
}

/// Words that lie between a medicine and the word that stops it, at most.
const NEAR: usize = 3;

/// Whether what the question names is said to be over: `stopped warfarin`, `warfarin was discontinued`. Another drug
/// nearer to that word is the one that was stopped.
fn says_over(question: &Question, words: &[String], is_allergy: bool) -> bool {
    const STOPPED: [&str; 7] = ["stopped", "discontinued", "discontinue", "ceased", "stop", "stopping", "longer"];
    const REFUTED: [&str; 5] = ["refuted", "disproved", "delabeled", "delabelled", "removed"];
    // `don't stop`, near the word; `if he bleeds, stop`, anywhere before it.
    const KEPT: [&str; 4] = ["not", "don", "never", "without"];
    const CONDITION: [&str; 4] = ["if", "unless", "until", "before"];
    let over: &[&str] = if is_allergy { &REFUTED } else { &STOPPED };
    let is_kept = |cue: usize| {
        let before = &words[..cue];
        let near = &before[cue.saturating_sub(NEAR)..];
        let has = |some: &[String], cues: &[&str]| some.iter().any(|word| cues.contains(&word.as_str()));
        has(near, &KEPT) || has(before, &CONDITION)
    };
    let named = names_in(words);
    let is_meant = |name: &Named| name.things.iter().any(|thing| question.things.contains(thing));
    let own = named.iter().filter(|name| is_meant(name)).map(|name| name.words.clone());
    let by_word = words.iter().enumerate().filter(|(_, word)| question.words.iter().any(|wanted| alike(word, wanted)));
    let own: Vec<std::ops::Range<usize>> = own.chain(by_word.map(|(at, _)| at..at + 1)).collect();
    let others: Vec<std::ops::Range<usize>> =
        named.iter().filter(|name| !is_meant(name) && is_drug(name)).map(|name| name.words.clone()).collect();
    let cues = words.iter().enumerate().filter(|(_, word)| over.contains(&word.as_str())).map(|(at, _)| at);
    cues.into_iter().filter(|cue| !is_kept(*cue)).any(|cue| {
        let nearest = |ranges: &[std::ops::Range<usize>]| ranges.iter().map(|range| distance(range, cue)).min();
        match (nearest(&own), nearest(&others)) {
            (Some(own), Some(other)) => own <= NEAR && own < other,
            (Some(own), None) => own <= NEAR,
            (None, _) => false,
        }
    })
}

/// Words between a name and a place; 1 for neighbours.
fn distance(name: &std::ops::Range<usize>, at: usize) -> usize {
    if at < name.start { name.start - at } else { (at + 1).saturating_sub(name.end) }
}

fn is_drug(name: &Named) -> bool {
    name.things.iter().any(|thing| matches!(thing.entry().sort, Sort::Drug | Sort::DrugGroup))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::builders::{dated, passage};
    use super::without_unmentioned;
    use crate::domain::{Abstention, Timestamp};
    use crate::stages::question::analyse;

    fn kept(question: &str) -> Result<Vec<String>, Abstention> {
        let chart = vec![
            dated(passage("march", "Potassium 4.1 today."), "2024-03-01"),
            dated(passage("review", "Potassium was 5.9 on May 11, 2024."), "2025-01-20"),
            passage("undated", "Potassium is watched."),
            dated(passage("order", "Warfarin 5 mg daily."), "2021-02-09"),
        ];
        let question = analyse(question, Timestamp::parse("2026-11-28").unwrap(), &BTreeSet::new());
        let kept = without_unmentioned(&question, chart)?;
        Ok(kept.iter().map(|passage| passage.document.key.id.to_string()).collect())
    }

    #[test]
    fn of_another_time_only_what_names_the_time_is_kept() {
        assert_eq!(kept("Why was the potassium high in May 2024?").unwrap(), ["review", "undated"]);
        assert_eq!(kept("What was the potassium on 2024-03-01?").unwrap(), ["march", "undated"]);
        assert_eq!(
            kept("What was the potassium on 2024-02-29?").unwrap(),
            ["march", "undated"],
            "it was still the day before"
        );
        assert_eq!(kept("Why was the potassium high?").unwrap(), ["march", "review", "undated"]);
    }

    #[test]
    fn what_lasts_may_have_begun_before() {
        assert_eq!(kept("What dose of warfarin did she take in 2024?").unwrap(), ["order"]);
    }

    #[test]
    fn nothing_of_the_time_is_not_mentioned() {
        let chart = vec![dated(passage("march", "Potassium 4.1 today."), "2024-03-01")];
        let question =
            analyse("What was the potassium on 2024-03-12?", Timestamp::parse("2026-11-28").unwrap(), &BTreeSet::new());
        assert_eq!(without_unmentioned(&question, chart), Err(Abstention::NotMentioned));
    }
}
