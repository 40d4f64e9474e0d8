//! Puts together what the words of a question tell.

use std::collections::BTreeSet;

use super::asking::{self, Said};
use super::lexicon::{self, Named, Sort, Thing, names_in, tokens};
use super::{Question, spelling, times};
use crate::domain::{Ask, FactKind, Timestamp};

/// What a question asks for.
///
/// `known` are words that its answer may stand in (those of the patient's facts): a word of no list is taken for the
/// nearest of them, of the lexicon's and of those questions are put with. `now` is what `last year` counts from.
pub fn analyse(text: &str, now: Timestamp, known: &BTreeSet<String>) -> Question {
    let (window, rest) = times::read(&in_usual_order(text), now);
    let words = corrected(tokens(&rest), known);
    let names = names_in(&words);
    let said = Said::new(&words);
    let kinds = kinds(&words, &names, &said);
    let (things, names) = meant(names, &kinds);
    let measured = things.iter().any(|thing| thing.entry().sort == Sort::Measurement);
    let mut ask = said.ask(measured);
    let standing = said.standing();
    if said.asks_for_the_end() {
        ask = Ask::Other;
    }
    if !window.is_open() && measured && ask == Ask::Latest && window.to.is_none() {
        // `A1c since March`: all of them, not the newest.
        ask = Ask::Trend;
    }
    Question {
        ask,
        kind_words: kind_words(&words, &names),
        kinds,
        words: unexplained(&words, &names),
        things,
        window,
        standing,
        negated: said.negated(),
        vitals: said.vitals(),
    }
}

/// `Latex: is the patient allergic to it?` with what it is about at the end, since how a question begins says what it asks.
fn in_usual_order(text: &str) -> String {
    match text.split_once(": ") {
        Some((about, asked)) if asking::begins_a_question(asked) => {
            format!("{} {about}", asked.trim_end().trim_end_matches('?'))
        }
        _ => text.to_owned(),
    }
}

fn corrected(words: Vec<String>, known: &BTreeSet<String>) -> Vec<String> {
    let is_known =
        |word: &str| known.contains(word) || lexicon::words().contains(word) || asking::is_accounted_for(word);
    let mut all: Option<BTreeSet<String>> = None;
    let mut correct = |word: String| {
        if word.len() < 5 || is_known(&word) || is_known(word.trim_end_matches('s')) {
            return word;
        }
        let all = all.get_or_insert_with(|| {
            let put_with = asking::words().map(str::to_owned);
            known.iter().cloned().chain(lexicon::words().iter().cloned()).chain(put_with).collect()
        });
        spelling::nearest(&word, all).map_or(word, str::to_owned)
    };
    words.into_iter().map(&mut correct).collect()
}

/// Kinds that the words name; `on` and `taking` mean medicines where nothing else is named.
fn kinds(words: &[String], names: &[Named], said: &Said<'_>) -> Vec<FactKind> {
    let within_a_name = |at: usize| names.iter().any(|named| named.words.contains(&at));
    let mut kinds: Vec<FactKind> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if let Some(kind) = asking::kind_of(word).filter(|_| !within_a_name(at)) {
            kinds.push(kind);
        }
    }
    let verbs_only = |kind: FactKind| {
        kind == FactKind::Medication && !words.iter().any(|word| word.starts_with("med") || word.starts_with("drug"))
    };
    if kinds.iter().any(|kind| !verbs_only(*kind)) {
        // `takes` beside `allergies` doesn't turn it into a question about medicines.
        kinds.retain(|kind| !verbs_only(*kind));
    }
    let only_drugs = !names.is_empty() && names.iter().all(|named| is_drug(&named.things));
    if kinds.is_empty() && said.taken() && only_drugs && unexplained(words, names).is_empty() {
        kinds.push(FactKind::Medication);
    }
    kinds.sort();
    kinds.dedup();
    kinds
}

fn is_drug(things: &[Thing]) -> bool {
    things.iter().any(|thing| matches!(thing.entry().sort, Sort::Drug | Sort::DrugGroup))
}

/// Of what a name may mean, what the named kinds allow; all of it when they allow none.
///
/// Where one name is of the named kinds, another that isn't is no thing but a word: in `taking naproxen sodium` sodium
/// isn't the electrolyte.
fn meant(names: Vec<Named>, kinds: &[FactKind]) -> (Vec<Thing>, Vec<Named>) {
    let fits = |thing: &Thing| thing.entry().sort.kinds().iter().any(|kind| kinds.contains(kind));
    let any_fits = names.iter().any(|named| named.things.iter().any(fits));
    let mut things = Vec::new();
    let mut kept = Vec::new();
    for named in names {
        let fitting: Vec<Thing> = named.things.iter().filter(|thing| fits(thing)).copied().collect();
        if fitting.is_empty() && any_fits {
            continue;
        }
        let chosen = if fitting.is_empty() { named.things.clone() } else { fitting };
        // A group lists its members' names: where one has the name, the member itself is meant.
        let members: Vec<Thing> =
            chosen.iter().filter(|thing| thing.entry().sort != Sort::DrugGroup).copied().collect();
        things.extend(if members.is_empty() { chosen } else { members });
        kept.push(named);
    }
    things.dedup();
    (things, kept)
}

/// The words that name kinds; they may be part of what something is called: `peanut allergy with past anaphylaxis`.
fn kind_words(words: &[String], names: &[Named]) -> Vec<String> {
    let within_a_name = |at: usize| names.iter().any(|named| named.words.contains(&at));
    let named = |(at, word): &(usize, &String)| asking::kind_of(word).is_some() && !within_a_name(*at);
    words.iter().enumerate().filter(named).map(|(_, word)| word.clone()).collect()
}

fn unexplained(words: &[String], names: &[Named]) -> Vec<String> {
    let explained =
        |at: usize, word: &str| names.iter().any(|named| named.words.contains(&at)) || asking::is_accounted_for(word);
    words.iter().enumerate().filter(|(at, word)| !explained(*at, word)).map(|(_, word)| word.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::analyse;
    use crate::domain::{Ask, FactKind, Timestamp};
    use crate::stages::question::{Question, Standing};

    fn read(text: &str) -> Question {
        let known: BTreeSet<String> = ["galantamine", "influenza", "lobectomy"].map(str::to_owned).into();
        analyse(text, Timestamp::parse("2026-11-28").unwrap(), &known)
    }

    fn things(question: &Question) -> Vec<&'static str> {
        question.things.iter().map(|thing| thing.entry().name).collect()
    }

    #[test]
    fn each_way_of_asking_is_told_from_the_others() {
        for (text, ask) in [
            ("What is the latest A1c?", Ask::Latest),
            ("most recent hgb", Ask::Latest),
            ("What was the creatinine in March 2024?", Ask::Latest),
            ("How has her creatinine changed over time?", Ask::Trend),
            ("A1c since 2024", Ask::Trend),
            ("List all INR results", Ask::Trend),
            ("What was the highest INR?", Ask::Highest),
            ("lowest sodium ever", Ask::Lowest),
            ("Is the patient on warfarin?", Ask::Presence),
            ("Does he have diabetes?", Ask::Presence),
            ("Any allergies?", Ask::Presence),
            ("How many immunizations has she had?", Ask::Count),
            ("When was the last colonoscopy?", Ask::WhenLast),
            ("When was hypertension diagnosed?", Ask::WhenFirst),
            ("When is her next appointment?", Ask::Next),
            ("What medications is he on?", Ask::List),
            ("list allergies", Ask::List),
            ("Why was metformin stopped?", Ask::Why),
            ("Who is the surgeon?", Ask::Other),
            ("When did he stop smoking?", Ask::Other),
            ("Latex: is she allergic to it?", Ask::Presence),
            ("Hypertension: does he have it?", Ask::Presence),
            ("INR: what was the highest?", Ask::Highest),
        ] {
            assert_eq!(read(text).ask, ask, "{text}");
        }
    }

    #[test]
    fn things_are_known_by_any_of_their_names() {
        assert_eq!(things(&read("Is she taking Tylenol?")), ["acetaminophen"]);
        assert_eq!(things(&read("Is he on a blood thinner?")), ["anticoagulant"]);
        assert_eq!(things(&read("Is he on simvastatin?")), ["simvastatin"]);
        assert_eq!(things(&read("hx of heart attack?")), ["myocardial infarction"]);
        assert_eq!(things(&read("latest craetinine")), ["creatinine"]);
    }

    #[test]
    fn kinds_and_standing_come_from_nouns_and_verbs() {
        assert_eq!(read("What medications is he on?").kinds, [FactKind::Medication]);
        assert_eq!(read("What medications is he on?").standing, Standing::Active);
        assert_eq!(read("Which drugs were discontinued?").standing, Standing::Over);
        assert_eq!(read("Is she allergic to penicillin?").kinds, [FactKind::Allergy]);
        assert_eq!(read("flu shot when last").kinds, []);
        assert_eq!(read("How many vaccinations?").kinds, [FactKind::Immunization]);
    }

    #[test]
    fn what_nothing_explains_stays() {
        assert_eq!(read("Is she on galantamin?").words, Vec::<String>::new());
        assert_eq!(read("What did the lobectomy specimen show?").words, ["specimen"]);
        assert_eq!(read("What is the blood type of the moon?").words, ["blood", "type", "moon"]);
    }
}
