//! What the question names must be mentioned: a passage about something else answers nothing.

use std::collections::BTreeMap;

use crate::domain::{Abstention, Citation, DocumentKey, DocumentStatus, Passage, Timestamp};
use crate::stages::question::{Question, Sort, Thing, alike, tokens};
use crate::stages::sentences::sentences;

/// The passages whose documents mention each thing that the question names by a known name, in any of its names.
///
/// Errors: no passage at all, or none that mentions them.
pub fn without_unmentioned(question: &Question, passages: Vec<Passage>) -> Result<Vec<Passage>, Abstention> {
    if passages.is_empty() {
        return Err(Abstention::NoEvidence);
    }
    let named: Vec<Thing> =
        question.things.iter().filter(|thing| thing.entry().sort != Sort::Demographic).copied().collect();
    if named.is_empty() {
        return Ok(passages);
    }
    let mut mentions: BTreeMap<DocumentKey, bool> = BTreeMap::new();
    for passage in &passages {
        mentions.entry(passage.document.key.clone()).or_insert_with(|| {
            let words = tokens(&format!("{}\n{}", passage.document.document.title, passage.document.document.text));
            named.iter().all(|thing| mentioned(*thing, &words))
        });
    }
    let kept: Vec<Passage> =
        passages.into_iter().filter(|passage| mentions.get(&passage.document.key) == Some(&true)).collect();
    if kept.is_empty() { Err(Abstention::NotMentioned) } else { Ok(kept) }
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
pub fn later_denials(question: &Question, fact: Timestamp, passages: &[Passage]) -> Vec<Citation> {
    let mut found: Vec<Citation> = Vec::new();
    for passage in passages.iter().filter(|passage| is_later(passage, fact)) {
        for span in sentences(&passage.document.document.text, passage.hit.chunk.span) {
            let words = tokens(span.of(&passage.document.document.text).unwrap_or_default());
            let about = question.things.iter().all(|thing| mentioned(*thing, &words))
                && question.words.iter().all(|wanted| words.iter().any(|word| alike(word, wanted)));
            if about && says_over(&words) {
                found.extend(Citation::of(&passage.document, span));
            }
        }
    }
    found.sort_by_key(|citation| (std::cmp::Reverse(citation.as_of()), citation.key.clone(), citation.span));
    found.dedup_by(|one, other| one.key == other.key && one.span == other.span);
    found.truncate(2);
    found
}

/// A structured record has its own standing; only prose speaks against one.
fn is_later(passage: &Passage, fact: Timestamp) -> bool {
    let document = &passage.document.document;
    document.facts.is_empty() && document.status == DocumentStatus::Current && passage.document.as_of() > fact
}

/// `stopped`, `discontinued`, `no longer`; not `don't stop`, `stopped smoking` is another thing named.
fn says_over(words: &[String]) -> bool {
    const OVER: [&str; 8] =
        ["stopped", "discontinued", "discontinue", "ceased", "refuted", "disproved", "delabeled", "stop"];
    let line = format!(" {} ", words.join(" "));
    let over = words.iter().any(|word| OVER.contains(&word.as_str())) || line.contains(" no longer ");
    let kept = [" not stopped ", " not stop ", " don t stop ", " never stop ", " if ", " do not stop ", " before "];
    over && !kept.iter().any(|phrase| line.contains(phrase))
}
