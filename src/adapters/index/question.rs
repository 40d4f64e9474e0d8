//! What a query looks for among the keywords: its terms, each with its weight, and what else says the same.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use super::analyzer::{self, PlacedTerm};
use super::vocabulary::{Phrase, Vocabulary};

/// Saturates how often a query says a word: said ten times, it weighs 2.5 times as much as said once.
/// BM25's k3; long letters repeat what is not their point.
const K3: f32 = 2.0;
/// Pairs of neighbouring terms that are looked at.
const MOST_PAIRS: usize = 48;
/// Words that count as neighbours stand at most so far apart; between them only words left out.
const PAIR_REACH: u32 = 4;

/// Words that carry a question and say nothing of its subject: left out of queries, never of the index. Beside
/// function words these are what letters and conversations are made of.
const CARRIERS: &str = "about after again all already also although always am another any anybody anyone anything ask \
    asked asking because been before being best between both call called calling came can come could day dear did do \
    does doing done dr during each either else even ever every everybody everyone everything few find for further gave \
    get gets getting give given go goes going good got had happen happened hello help her here hers hi him his how \
    however i if itself just kind kindly know lately let like little look looked looking lot made make many may maybe \
    me might mine more most much must my myself need now often ok okay one only other our ours over own \
    patient patients people perhaps person please put question questions quite really regard regards said same \
    saw say says see seem seemed seems seen sent she should show shown shows since sincerely so some somebody someone \
    something sometimes soon still such sure take taken takes taking tell than thank thanks that their them then there \
    these they thing things think this those though thought to today together told tomorrow too took under until up \
    upon us use used using very want wanted was way we week well went were what whatever when where whether which \
    while who whom whose why will wish wishes would write writing wrote yeah yes yesterday yet you your yours \
    re ve describe list doctor didn doesn don hasn haven isn wasn weren won wouldn couldn shouldn aren ain ago \
    able actually answer appreciate bit feel feels feeling felt guess hope heard \
    probably sorry talk talked try tried trying understand wonder wondering worried worry";

static CARRIER_STEMS: LazyLock<HashSet<String>> =
    LazyLock::new(|| analyzer::terms(CARRIERS).into_iter().map(|term| term.text).collect());

/// One thing that is looked for, in any of several ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Concept {
    pub weight: f32,
    /// Each counts by its own weight.
    pub ways: Vec<(Phrase, f32)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    pub concepts: Vec<Concept>,
    /// Terms that stand beside each other in the query.
    pub pairs: Vec<(String, String)>,
}

impl Question {
    /// `expand`: whether synonyms, abbreviations and kinds of what is asked for are looked for too.
    pub fn read(text: &str, expand: bool) -> Self {
        let all = analyzer::terms(text);
        let telling: Vec<PlacedTerm> = all.iter().filter(|term| !CARRIER_STEMS.contains(&term.text)).cloned().collect();
        // Of carriers alone, they are the subject.
        let terms = if telling.is_empty() { &all } else { &telling };
        let mut counts = BTreeMap::<&str, f32>::new();
        for term in terms {
            *counts.entry(&term.text).or_default() += 1.0;
        }
        let mut concepts: Vec<Concept> = counts
            .into_iter()
            .map(|(term, count)| Concept {
                weight: count * (K3 + 1.0) / (count + K3),
                ways: vec![(Phrase::of_one(term), 1.0)],
            })
            .collect();
        if expand {
            widen(&mut concepts, &all);
        }
        Self { concepts, pairs: pairs(terms) }
    }
}

/// A single word gains other ways to say it; several words together become a concept of their own beside them.
fn widen(concepts: &mut Vec<Concept>, terms: &[PlacedTerm]) {
    let mut seen = HashSet::new();
    for (said, others) in Vocabulary::shared().find(terms) {
        if !seen.insert(said.clone()) {
            continue;
        }
        let alone = said.alone().and_then(|term| {
            concepts.iter_mut().find(|concept| concept.ways.first().is_some_and(|(way, _)| way.alone() == Some(term)))
        });
        match alone {
            Some(concept) => concept.ways.extend(others),
            None => concepts.push(Concept { weight: 1.0, ways: [(said, 1.0)].into_iter().chain(others).collect() }),
        }
    }
}

fn pairs(terms: &[PlacedTerm]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    for (one, two) in terms.iter().zip(terms.iter().skip(1)) {
        let is_near = one.position < two.position && two.position - one.position <= PAIR_REACH;
        if is_near && one.text != two.text && seen.insert((&one.text, &two.text)) && pairs.len() < MOST_PAIRS {
            pairs.push((one.text.clone(), two.text.clone()));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::Question;

    fn single_terms(text: &str) -> Vec<String> {
        let alone = |concept: &super::Concept| concept.ways[0].0.alone().map(str::to_owned);
        Question::read(text, false).concepts.iter().filter_map(alone).collect()
    }

    #[test]
    fn what_only_carries_a_question_is_left_out() {
        assert_eq!(
            single_terms("Dear doctor, please tell me whether I should still be taking warfarin? Thank you"),
            ["warfarin"]
        );
        assert_eq!(single_terms("no evidence of not treated embolism"), ["embol", "evid", "no", "not", "treat"]);
    }

    #[test]
    fn a_question_of_carriers_alone_looks_for_them() {
        assert!(!single_terms("what should I do").is_empty());
    }

    #[test]
    fn a_word_said_often_does_not_drown_the_others() {
        let question = Question::read("cough cough cough cough cough cough cough cough fever", false);
        let weights: Vec<f32> = question.concepts.iter().map(|concept| concept.weight).collect();
        assert!(weights[0] < 2.5 && weights[1] == 1.0);
    }

    #[test]
    fn neighbours_are_those_with_nothing_telling_between_them() {
        let question = Question::read("pain in the left knee", false);
        let pairs: Vec<(&str, &str)> = question.pairs.iter().map(|(one, two)| (one.as_str(), two.as_str())).collect();
        assert_eq!(pairs, [("pain", "left"), ("left", "knee")]);
    }

    #[test]
    fn an_abbreviation_and_what_it_stands_for_look_for_each_other() {
        let ways = |text: &str| -> Vec<String> {
            let question = Question::read(text, true);
            question.concepts.iter().flat_map(|concept| &concept.ways).map(|(way, _)| way.to_string()).collect()
        };
        assert!(ways("history of MI").contains(&"myocardi infarct".to_owned()));
        assert!(ways("myocardial infarction").contains(&"mi".to_owned()));
        assert!(ways("is she on a statin").contains(&"atorvastatin".to_owned()));
        assert!(!ways("atorvastatin").contains(&"rosuvastatin".to_owned()), "a kind doesn't look for its sisters");
    }
}
