//! The last gate before an answer leaves: every quote is held against its document, byte for byte.

use super::claims::supported;
use crate::domain::{
    Abstention, Answer, AnswerFinding, AnswerStatus, Check, Citation, Conflict, DocumentKey, Sentence, Series,
};

/// Keeps of an answer only what its documents say.
///
/// A citation stands when its quote equals the text of that very document version at its span; otherwise it goes, and
/// with its last citation the sentence. By what the sentence says was done for it:
/// - verbatim: each citation says the same as the sentence, whose text becomes the first standing quote on one line;
/// - counted: the sentence states how many citations it has, and all of them stand;
/// - supported: a model's words, which [`super::supported`] holds against the citations that stand;
/// - nothing: it may say a known connecting phrase and no more.
///
/// Points of series and places of conflicts stand or go likewise. An answer without a sentence left becomes an
/// abstention, one that lost a sentence is partial; an abstention carries no sentence.
pub fn verify<'a>(answer: &Answer, text_of: impl Fn(&DocumentKey) -> Option<&'a str>) -> Answer {
    if answer.status == AnswerStatus::Abstained {
        return Answer::abstained(answer.reason.unwrap_or(Abstention::WeakEvidence));
    }
    let stands = |citation: &Citation| text_of(&citation.key).is_some_and(|text| holds(citation, text));
    let sentences: Vec<Sentence> =
        answer.sentences.iter().filter_map(|sentence| verify_sentence(sentence, &stands)).collect();
    if sentences.iter().all(|sentence| sentence.check == Check::NotNeeded) {
        return Answer::abstained(Abstention::Unsupported);
    }
    let is_whole = sentences.len() == answer.sentences.len();
    let counted = answer.sentences.iter().any(|sentence| sentence.check == Check::Counted);
    let still_counted = sentences.iter().any(|sentence| sentence.check == Check::Counted);
    Answer {
        status: if is_whole { answer.status } else { AnswerStatus::Partial },
        reason: if is_whole { answer.reason } else { Some(Abstention::Unsupported) },
        route: answer.route,
        sentences,
        finding: answer.finding.as_ref().filter(|_| counted == still_counted).map(|one| verify_finding(one, &stands)),
        conflicts: answer.conflicts.iter().filter_map(|conflict| verify_conflict(conflict, &stands)).collect(),
    }
}

fn verify_sentence(sentence: &Sentence, stands: &impl Fn(&Citation) -> bool) -> Option<Sentence> {
    let standing = || sentence.citations.iter().filter(|citation| stands(citation));
    match sentence.check {
        Check::Verbatim => {
            let citations: Vec<Citation> =
                standing().filter(|citation| says_the_same(&citation.quote, &sentence.text)).cloned().collect();
            let text = fold(&citations.first()?.quote);
            Some(Sentence { text, citations, ..sentence.clone() })
        }
        Check::Counted => {
            let all_stand = standing().count() == sentence.citations.len() && !sentence.citations.is_empty();
            (all_stand && sentence.text == count_words(sentence.citations.len())).then(|| sentence.clone())
        }
        Check::Supported => {
            let citations: Vec<Citation> = standing().cloned().collect();
            let quotes: Vec<&str> = citations.iter().map(|citation| citation.quote.as_str()).collect();
            let holding = supported(&sentence.text, &quotes).ok()?;
            let citations = holding.into_iter().map(|at| citations[at].clone()).collect();
            Some(Sentence { citations, ..sentence.clone() })
        }
        Check::NotNeeded => {
            is_connecting(&sentence.text).then(|| Sentence { citations: Vec::new(), ..sentence.clone() })
        }
    }
}

/// Numbers and yes or no rest on all points of a finding: of points that don't stand, only they go.
fn verify_finding(finding: &AnswerFinding, stands: &impl Fn(&Citation) -> bool) -> AnswerFinding {
    let series = finding.series.iter().map(|series| Series {
        points: series.points.iter().filter(|point| stands(&point.citation)).cloned().collect(),
        ..series.clone()
    });
    AnswerFinding { series: series.filter(|series| !series.points.is_empty()).collect(), ..finding.clone() }
}

/// It takes two to disagree.
fn verify_conflict(conflict: &Conflict, stands: &impl Fn(&Citation) -> bool) -> Option<Conflict> {
    let citations: Vec<Citation> = conflict.citations.iter().filter(|citation| stands(citation)).cloned().collect();
    (citations.len() > 1).then(|| Conflict { citations, ..conflict.clone() })
}

/// How a number of entries is stated.
pub fn count_words(entries: usize) -> String {
    if entries == 1 {
        "1 entry in the record matches.".to_owned()
    } else {
        format!("{entries} entries in the record match.")
    }
}

/// Phrases that join sentences and assert nothing.
const CONNECTING: [&str; 2] =
    ["No structured entry answers this; from the documents:", "A later document says otherwise:"];

/// What is said when facts were silent.
pub fn facts_were_silent() -> Sentence {
    Sentence { text: CONNECTING[0].to_owned(), support: 1.0, check: Check::NotNeeded, citations: Vec::new() }
}

/// What is said before a later document that speaks against a fact.
pub fn otherwise() -> Sentence {
    Sentence { text: CONNECTING[1].to_owned(), support: 1.0, check: Check::NotNeeded, citations: Vec::new() }
}

/// A place said in its own words.
pub fn quoted(citation: &Citation) -> Sentence {
    Sentence { text: fold(&citation.quote), support: 1.0, check: Check::Verbatim, citations: vec![citation.clone()] }
}

fn is_connecting(text: &str) -> bool {
    CONNECTING.contains(&text)
}

/// Whether the quote is what stands at the span, byte for byte, and says anything at all.
pub fn holds(citation: &Citation, text: &str) -> bool {
    !citation.quote.trim().is_empty() && citation.span.of(text) == Some(citation.quote.as_str())
}

/// One line: each run of white space, such as a hard-wrapped note's line break, becomes one space.
pub fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Equal but for white space, case and the closing `.`, `;`, `,` or `:`.
///
/// Nothing looser: a digit, a sign or a side more or less is another statement.
pub fn says_the_same(one: &str, other: &str) -> bool {
    gist(one) == gist(other)
}

pub(super) fn gist(text: &str) -> String {
    fold(text).trim_end_matches(['.', ';', ',', ':', ' ']).to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::builders::key;
    use super::{fold, gist, says_the_same, verify};
    use crate::domain::{
        Abstention, Answer, AnswerStatus, Check, Citation, DocumentKey, Kind, Route, Sentence, SourceId, Span,
        Timestamp,
    };

    fn citation(id: &str, text: &str, span: Span) -> Citation {
        Citation {
            key: key(id),
            span,
            quote: span.of(text).unwrap_or_default().to_owned(),
            title: String::new(),
            kind: Kind::Note,
            section: None,
            page: None,
            source: SourceId::new("clinic"),
            effective: None,
            source_time: None,
            received_at: Timestamp::from_micros(0),
        }
    }

    fn answer(citations: Vec<Citation>) -> Answer {
        let text = fold(&citations[0].quote);
        Answer::answered(Route::Text, vec![Sentence { text, support: 0.9, check: Check::Verbatim, citations }])
    }

    fn check(answer: &Answer, documents: &[(DocumentKey, &str)]) -> Answer {
        let documents: BTreeMap<DocumentKey, String> =
            documents.iter().map(|(key, text)| (key.clone(), (*text).to_owned())).collect();
        verify(answer, |key| documents.get(key).map(String::as_str))
    }

    fn is_withheld(answer: &Answer) -> bool {
        answer.status == AnswerStatus::Abstained
            && answer.reason == Some(Abstention::Unsupported)
            && answer.sentences.is_empty()
    }

    const TEXT: &str = "Plan:\nTakes lisinopril\n  10 mg daily.\nDenies chest pain.";

    #[test]
    fn a_quote_that_stands_passes_unchanged() {
        let said = answer(vec![citation("a", TEXT, Span::new(6, 38))]);
        assert_eq!(said.sentences[0].text, "Takes lisinopril 10 mg daily.");
        assert_eq!(check(&said, &[(key("a"), TEXT)]), said);
    }

    #[test]
    fn another_version_supports_nothing() {
        let said = answer(vec![citation("a", TEXT, Span::new(6, 38))]);
        let other = DocumentKey { version: 2, ..key("a") };
        assert!(is_withheld(&check(&said, &[(other, TEXT)])));
        assert!(is_withheld(&check(&said, &[(key("a"), "Takes lisinopril no more.")])));
    }

    #[test]
    fn a_sentence_that_says_more_than_its_quote_goes() {
        let mut said = answer(vec![citation("a", TEXT, Span::new(6, 38))]);
        said.sentences[0].text = "Takes lisinopril 100 mg daily.".to_owned();
        assert!(is_withheld(&check(&said, &[(key("a"), TEXT)])));
    }

    #[test]
    fn a_verbatim_quote_about_something_else_is_no_support() {
        let mut said =
            answer(vec![citation("a", TEXT, Span::new(6, 38)), citation("b", TEXT, Span::new(39, TEXT.len()))]);
        let checked = check(&said, &[(key("a"), TEXT), (key("b"), TEXT)]);
        assert_eq!(checked.sentences[0].citations.len(), 1);
        said.sentences[0].citations.remove(0);
        assert!(is_withheld(&check(&said, &[(key("b"), TEXT)])));
    }

    #[test]
    fn the_text_follows_the_first_citation_that_stands() {
        let other = "takes lisinopril 10 mg daily";
        let said = answer(vec![citation("a", TEXT, Span::new(6, 38)), citation("b", other, Span::new(0, other.len()))]);
        let checked = check(&said, &[(key("b"), other)]);
        assert_eq!(checked.sentences[0].text, other);
        assert_eq!(checked.sentences[0].citations.len(), 1);
    }

    #[test]
    fn an_abstention_carries_no_sentence() {
        let mut said = answer(vec![citation("a", TEXT, Span::new(6, 38))]);
        said.status = AnswerStatus::Abstained;
        said.reason = Some(Abstention::NoEvidence);
        let checked = check(&said, &[(key("a"), TEXT)]);
        assert_eq!((checked.reason, checked.sentences.len()), (Some(Abstention::NoEvidence), 0));
    }

    #[test]
    fn an_empty_quote_supports_nothing() {
        assert!(is_withheld(&check(&answer(vec![citation("a", TEXT, Span::new(3, 3))]), &[(key("a"), TEXT)])));
        assert!(is_withheld(&check(&answer(vec![citation("a", TEXT, Span::new(5, 6))]), &[(key("a"), TEXT)])));
    }

    #[test]
    fn only_case_space_and_the_last_mark_may_differ() {
        assert!(says_the_same("Denies  chest\npain.", "denies chest pain"));
        for (one, other) in [
            ("Sphere -2.5", "Sphere 2.5"),
            ("TSH < 5.0", "TSH > 5.0"),
            ("Left knee pain", "Right knee pain"),
            ("Denies pain", "Pain"),
            ("5.0 mg", "50 mg"),
        ] {
            assert!(!says_the_same(one, other), "{one}");
        }
    }

    fn place(text: &str, from: usize, to: usize) -> Span {
        let at = |n: usize| text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(n).unwrap_or(text.len());
        Span::new(at(from.min(to)), at(from.max(to)))
    }

    proptest! {
        #[test]
        fn any_place_of_any_text_can_be_quoted(text in "(\\PC|\n){1,60}", from in 0usize..60, to in 0usize..60) {
            let span = place(&text, from, to);
            let said = answer(vec![citation("a", &text, span)]);
            let checked = check(&said, &[(key("a"), &text)]);
            prop_assert_eq!(is_withheld(&checked), span.of(&text).unwrap().trim().is_empty());
            for citation in checked.sentences.iter().flat_map(|sentence| &sentence.citations) {
                prop_assert_eq!(citation.span.of(&text), Some(citation.quote.as_str()));
            }
        }

        #[test]
        fn a_changed_quote_never_passes(text in "\\PC{1,60}", from in 0usize..60, to in 0usize..60, at in 0usize..60, other in any::<char>()) {
            let span = place(&text, from, to);
            let mut said = answer(vec![citation("a", &text, span)]);
            let mut letters: Vec<char> = said.sentences[0].citations[0].quote.chars().collect();
            prop_assume!(!letters.is_empty());
            let at = at % letters.len();
            prop_assume!(letters[at] != other);
            letters[at] = other;
            let tampered: String = letters.into_iter().collect();
            said.sentences[0].text = fold(&tampered);
            said.sentences[0].citations[0].quote = tampered;
            prop_assert!(is_withheld(&check(&said, &[(key("a"), &text)])));
        }

        #[test]
        fn a_changed_document_never_supports(text in "\\PC{1,60}", at in 0usize..60, other in any::<char>()) {
            let said = answer(vec![citation("a", &text, Span::new(0, text.len()))]);
            let mut letters: Vec<char> = text.chars().collect();
            let at = at % letters.len();
            prop_assume!(letters[at] != other);
            letters[at] = other;
            let changed: String = letters.into_iter().collect();
            prop_assert!(is_withheld(&check(&said, &[(key("a"), &changed)])));
        }

        #[test]
        fn a_shifted_span_passes_only_onto_the_same_bytes(text in "[ab\u{e9}\u{1F600}]{1,20}", from in 0usize..20, to in 0usize..20, start in 0usize..90, end in 0usize..90) {
            let mut said = answer(vec![citation("a", &text, place(&text, from, to))]);
            said.sentences[0].citations[0].span = Span::new(start, end);
            let quote = said.sentences[0].citations[0].quote.clone();
            let same = !quote.is_empty() && text.as_bytes().get(start..end) == Some(quote.as_bytes());
            prop_assert_eq!(is_withheld(&check(&said, &[(key("a"), &text)])), !same);
        }

        #[test]
        fn folding_twice_changes_nothing(text in "(\\PC|\n|\t){0,60}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
            prop_assert_eq!(gist(&fold(&text)), gist(&text));
            prop_assert!(!fold(&text).contains('\n'));
        }
    }
}
