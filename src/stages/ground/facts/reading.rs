//! What the matched facts say to the question.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::matching::Matched;
use super::standing::{State, state};
use crate::domain::{Ask, FactKind, FactValue, SourceId, StoredFact, Timestamp, Verdict};
use crate::stages::question::{Question, Standing, Window};

/// Lines that a list says, at most.
const LIST: usize = 30;
/// Points of a series, at most: the newest.
const POINTS: usize = 200;
/// Lines that a question of yes or no is answered with, at most.
const DECISIVE: usize = 3;

/// What facts say: which lines to quote, in order, and what to compute from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<'a> {
    pub ask: Ask,
    pub verdict: Option<Verdict>,
    /// The entries that were counted.
    pub counted: Option<Vec<&'a StoredFact>>,
    pub lines: Vec<&'a StoredFact>,
    pub series: Vec<SeriesOf<'a>>,
    /// Facts that don't agree with each other.
    pub conflict: Vec<&'a StoredFact>,
}

/// Facts of one code and unit, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesOf<'a> {
    pub unit: Option<String>,
    pub facts: Vec<&'a StoredFact>,
}

/// What they say, or `None` when nothing of the asked time and standing is among them.
pub fn read_facts<'a>(question: &Question, matched: &Matched<'a>, now: Timestamp) -> Option<Found<'a>> {
    let facts = distinct(in_time(&matched.facts, question.window));
    let found = match question.ask {
        Ask::Presence => presence(question, &facts),
        Ask::Count => count(question, &facts),
        Ask::List => list(question, &facts, matched.measured),
        Ask::Next => next(&facts, now),
        Ask::WhenFirst => when(&facts, true, now),
        Ask::WhenLast => when(&facts, false, now),
        Ask::Latest if matched.measured => latest(&facts),
        Ask::Latest => newest(question, &facts, now),
        Ask::Trend if matched.measured => trend(&facts),
        Ask::Highest | Ask::Lowest if matched.measured => extreme(&facts, question.ask),
        Ask::Trend | Ask::Highest | Ask::Lowest | Ask::Why | Ask::Other => None,
    }?;
    (!found.lines.is_empty()).then_some(found)
}

fn in_time<'a>(facts: &[&'a StoredFact], window: Window) -> Vec<&'a StoredFact> {
    facts.iter().filter(|stored| window.holds(stored.fact.effective)).copied().collect()
}

/// Copies in other documents of what one says already go: equal in name, time, value and standing.
fn distinct(facts: Vec<&StoredFact>) -> Vec<&StoredFact> {
    let mut seen = BTreeSet::new();
    let is_new = |stored: &&StoredFact| {
        let fact = &stored.fact;
        let one = matches!(fact.kind, FactKind::Claim | FactKind::Encounter);
        let document = one.then(|| stored.key.clone());
        let day = fact.effective.map(|time| time.to_string());
        seen.insert((
            fact.kind.as_str(),
            fact.display.to_lowercase(),
            day,
            value_key(fact.value.as_ref()),
            fact.status.clone(),
            document,
        ))
    };
    facts.into_iter().filter(is_new).collect()
}

fn value_key(value: Option<&FactValue>) -> String {
    match value {
        Some(FactValue::Quantity { value, unit }) => format!("{value} {}", unit.as_deref().unwrap_or_default()),
        Some(FactValue::Text(text)) => text.clone(),
        None => String::new(),
    }
}

fn found<'a>(ask: Ask, lines: Vec<&'a StoredFact>) -> Found<'a> {
    Found { ask, verdict: None, counted: None, lines, series: Vec::new(), conflict: Vec::new() }
}

fn newest_first(facts: &mut [&StoredFact]) {
    facts.sort_by_key(|stored| {
        (Reverse(stored.fact.effective), Reverse(stored.source_time), stored.key.clone(), stored.fact.span.start)
    });
}

fn has_value(stored: &StoredFact) -> bool {
    match &stored.fact.value {
        None => false,
        Some(FactValue::Text(text)) => !text.starts_with("no value"),
        Some(FactValue::Quantity { .. }) => true,
    }
}

/// Lines with a value, where any has one: a panel's own line says nothing beside its parts.
fn telling<'a>(facts: &[&'a StoredFact]) -> Vec<&'a StoredFact> {
    let with: Vec<&StoredFact> = facts.iter().filter(|stored| has_value(stored)).copied().collect();
    if with.is_empty() { facts.to_vec() } else { with }
}

fn latest<'a>(facts: &[&'a StoredFact]) -> Option<Found<'a>> {
    let mut facts = telling(facts);
    newest_first(&mut facts);
    let newest = facts.first()?.fact.effective;
    let lines: Vec<&StoredFact> =
        facts.iter().filter(|stored| stored.fact.effective == newest).take(LIST).copied().collect();
    let disputed = disputed(&lines);
    Some(Found { series: series(&facts), conflict: disputed, ..found(Ask::Latest, lines) })
}

/// Values of one code at one moment that differ between sources.
fn disputed<'a>(lines: &[&'a StoredFact]) -> Vec<&'a StoredFact> {
    let key = |stored: &StoredFact| (stored.fact.code.clone(), stored.fact.display.to_lowercase());
    let differs = |one: &&&StoredFact| {
        lines.iter().any(|other| {
            key(one) == key(other)
                && one.source != other.source
                && value_key(one.fact.value.as_ref()) != value_key(other.fact.value.as_ref())
        })
    };
    lines.iter().filter(differs).copied().collect()
}

fn name_of(stored: &StoredFact) -> String {
    stored.fact.code.clone().unwrap_or_else(|| stored.fact.display.to_lowercase())
}

fn unit_of(stored: &StoredFact) -> Option<String> {
    match &stored.fact.value {
        Some(FactValue::Quantity { unit, .. }) => unit.clone(),
        _ => None,
    }
}

fn series<'a>(facts: &[&'a StoredFact]) -> Vec<SeriesOf<'a>> {
    let mut groups: BTreeMap<(String, Option<String>), Vec<&StoredFact>> = BTreeMap::new();
    for stored in facts.iter().filter(|stored| has_value(stored)) {
        let unit = match &stored.fact.value {
            Some(FactValue::Quantity { unit, .. }) => unit.clone(),
            // `< 20` and `not detected` stand beside the numbers of the same test.
            _ => facts.iter().filter(|other| name_of(other) == name_of(stored)).find_map(|other| unit_of(other)),
        };
        groups.entry((name_of(stored), unit)).or_default().push(stored);
    }
    let ordered = groups.into_iter().map(|((_, unit), mut facts)| {
        facts.sort_by_key(|stored| (stored.fact.effective, stored.source_time, stored.key.clone()));
        let surplus = facts.len().saturating_sub(POINTS);
        facts.drain(..surplus);
        SeriesOf { unit, facts }
    });
    ordered.collect()
}

fn trend<'a>(facts: &[&'a StoredFact]) -> Option<Found<'a>> {
    let mut facts = telling(facts);
    newest_first(&mut facts);
    let series = series(&facts);
    let mut lines = Vec::new();
    for one in &series {
        lines.extend(one.facts.last());
        lines.extend(one.facts.first().filter(|_| one.facts.len() > 1));
    }
    lines.truncate(LIST);
    let counted = series.iter().flat_map(|one| &one.facts).copied().collect();
    Some(Found { series, counted: Some(counted), ..found(Ask::Trend, lines) })
}

fn extreme<'a>(facts: &[&'a StoredFact], ask: Ask) -> Option<Found<'a>> {
    let series = series(&telling(facts));
    let number = |stored: &StoredFact| match &stored.fact.value {
        Some(FactValue::Quantity { value, .. }) => Some(*value),
        _ => None,
    };
    let mut lines = Vec::new();
    for one in &series {
        let values = one.facts.iter().filter_map(|stored| number(stored).map(|value| (value, *stored)));
        let best = match ask {
            Ask::Highest => values.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.fact.effective.cmp(&b.1.fact.effective))),
            _ => values.min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.fact.effective.cmp(&a.1.fact.effective))),
        };
        lines.extend(best);
    }
    // What is measured in one unit compares, under whatever codes it was sent.
    if series.iter().all(|one| series.first().is_some_and(|first| one.unit == first.unit)) {
        lines.sort_by(|one, other| one.0.total_cmp(&other.0));
        if ask == Ask::Highest {
            lines.reverse();
        }
    }
    let lines = lines.into_iter().map(|(_, stored)| stored).collect();
    Some(Found { series, ..found(ask, lines) })
}

/// What fits the standing that was asked for; without one, what is in force.
fn of_standing<'a>(question: &Question, facts: &[&'a StoredFact]) -> Vec<&'a StoredFact> {
    let wanted = |stored: &&&StoredFact| match (question.standing, state(stored)) {
        (_, State::Void) => false,
        (Standing::Over, State::Over) => true,
        (Standing::Over, State::Denied) => stored.fact.kind == FactKind::Allergy,
        (Standing::Over, State::InForce) | (_, State::Denied) => false,
        (Standing::Active, State::Over) => false,
        (Standing::Unsaid, State::Over) => !matches!(stored.fact.kind, FactKind::Allergy | FactKind::Appointment),
        (Standing::Ever, State::Over) | (_, State::InForce) => true,
    };
    facts.iter().filter(wanted).copied().collect()
}

fn list<'a>(question: &Question, facts: &[&'a StoredFact], measured: bool) -> Option<Found<'a>> {
    if measured {
        return panel(facts);
    }
    let mut listed = of_standing(question, facts);
    // `No known allergies` answers a question for allergies.
    if listed.is_empty() && question.standing != Standing::Over {
        listed =
            facts.iter().filter(|stored| state(stored) == State::Denied && !question.has_subject()).copied().collect();
    }
    newest_first(&mut listed);
    let mut seen = BTreeSet::new();
    listed.retain(|stored| {
        seen.insert((stored.fact.kind, stored.fact.display.to_lowercase(), stored.fact.status.clone()))
    });
    let counted = listed.clone();
    listed.truncate(LIST);
    Some(Found { counted: Some(counted), ..found(Ask::List, listed) })
}

/// The newest of each measurement.
fn panel<'a>(facts: &[&'a StoredFact]) -> Option<Found<'a>> {
    let mut facts = telling(facts);
    newest_first(&mut facts);
    let mut seen = BTreeSet::new();
    facts.retain(|stored| seen.insert(stored.fact.code.clone().unwrap_or_else(|| stored.fact.display.to_lowercase())));
    facts.truncate(LIST);
    Some(found(Ask::List, facts))
}

fn count<'a>(question: &Question, facts: &[&'a StoredFact]) -> Option<Found<'a>> {
    let mut counted = of_standing(question, facts);
    if counted.is_empty() {
        return None;
    }
    let measured = counted.iter().all(|stored| stored.fact.kind == FactKind::Observation);
    if measured {
        counted = one_each_time(&counted);
    }
    newest_first(&mut counted);
    let lines = counted.iter().take(DECISIVE).copied().collect();
    Some(Found { counted: Some(counted), ..found(Ask::Count, lines) })
}

/// A blood pressure has three lines and is one reading.
fn one_each_time<'a>(facts: &[&'a StoredFact]) -> Vec<&'a StoredFact> {
    let mut seen = BTreeSet::new();
    let mut first: Vec<&StoredFact> = facts.to_vec();
    first.sort_by_key(|stored| (stored.key.clone(), stored.fact.span.start));
    first.retain(|stored| seen.insert((stored.key.clone(), stored.fact.effective)));
    first
}

fn next<'a>(facts: &[&'a StoredFact], now: Timestamp) -> Option<Found<'a>> {
    let ahead = |stored: &&&StoredFact| {
        stored.fact.kind == FactKind::Appointment
            && state(stored) == State::InForce
            && stored.fact.effective.is_some_and(|time| time >= now)
    };
    let mut ahead: Vec<&StoredFact> = facts.iter().filter(ahead).copied().collect();
    ahead.sort_by_key(|stored| stored.fact.effective);
    let soonest = ahead.first()?.fact.effective;
    ahead.retain(|stored| stored.fact.effective == soonest);
    Some(found(Ask::Next, ahead))
}

/// Ever so, in force or over; what was planned for later hasn't been.
fn when<'a>(facts: &[&'a StoredFact], first: bool, now: Timestamp) -> Option<Found<'a>> {
    let so = |stored: &&&StoredFact| {
        matches!(state(stored), State::InForce | State::Over)
            && stored.fact.effective.is_some_and(|time| time <= now)
            && !(stored.fact.kind == FactKind::Appointment && stored.fact.status.as_deref() != Some("fulfilled"))
    };
    let mut so: Vec<&StoredFact> = facts.iter().filter(so).copied().collect();
    newest_first(&mut so);
    let at = if first { so.last()?.fact.effective } else { so.first()?.fact.effective };
    so.retain(|stored| stored.fact.effective == at);
    let so = telling(&so);
    Some(found(if first { Ask::WhenFirst } else { Ask::WhenLast }, so))
}

/// The newest that is in force, else the newest.
fn newest<'a>(question: &Question, facts: &[&'a StoredFact], now: Timestamp) -> Option<Found<'a>> {
    let done = |stored: &&&StoredFact| {
        stored.fact.kind != FactKind::Appointment || stored.fact.effective.is_some_and(|time| time <= now)
    };
    let all: Vec<&StoredFact> =
        facts.iter().filter(done).filter(|stored| state(stored) != State::Denied).copied().collect();
    let mut chosen = all.clone();
    if question.kinds.contains(&FactKind::Medication) || all.iter().all(|one| one.fact.kind == FactKind::Medication) {
        let in_force: Vec<&StoredFact> = all.iter().filter(|one| state(one) == State::InForce).copied().collect();
        if !in_force.is_empty() {
            chosen = in_force;
        }
    }
    newest_first(&mut chosen);
    let at = chosen.first()?.fact.effective;
    let one_drug = question.has_subject();
    chosen.retain(|stored| {
        stored.fact.effective == at
            || (one_drug && state(stored) == State::InForce && stored.fact.kind == FactKind::Medication)
    });
    chosen.truncate(DECISIVE);
    Some(found(Ask::Latest, chosen))
}

/// Yes where one source's newest word is that it is so; sources that differ are a conflict.
fn presence<'a>(question: &Question, facts: &[&'a StoredFact]) -> Option<Found<'a>> {
    if question.standing == Standing::Over {
        let over: Vec<&StoredFact> = facts.iter().filter(|one| state(one) == State::Over).copied().collect();
        let (verdict, mut lines) = if over.is_empty() { (Verdict::No, facts.to_vec()) } else { (Verdict::Yes, over) };
        newest_first(&mut lines);
        lines.truncate(DECISIVE);
        return Some(Found { verdict: Some(verdict), ..found(Ask::Presence, lines) });
    }
    let holds = |stored: &StoredFact| match state(stored) {
        State::InForce => true,
        State::Over => {
            question.standing == Standing::Ever
                || !matches!(stored.fact.kind, FactKind::Medication | FactKind::Allergy | FactKind::Condition)
        }
        State::Denied | State::Void => false,
    };
    let mut by_source: BTreeMap<&SourceId, bool> = BTreeMap::new();
    for stored in facts {
        *by_source.entry(&stored.source).or_default() |= holds(stored);
    }
    let said: BTreeSet<bool> = by_source.into_values().collect();
    let verdict = match said.iter().collect::<Vec<_>>()[..] {
        [] => return None,
        [true] => Verdict::Yes,
        [false] => Verdict::No,
        _ => Verdict::Conflicting,
    };
    let mut yes: Vec<&StoredFact> = facts.iter().filter(|stored| holds(stored)).copied().collect();
    let mut no: Vec<&StoredFact> = facts.iter().filter(|stored| !holds(stored)).copied().collect();
    newest_first(&mut yes);
    newest_first(&mut no);
    let lines: Vec<&StoredFact> = match verdict {
        Verdict::Yes => telling(&yes).into_iter().take(DECISIVE).collect(),
        Verdict::No => no.into_iter().take(DECISIVE).collect(),
        Verdict::Conflicting => yes.first().into_iter().chain(no.first()).copied().collect(),
    };
    let conflict = if verdict == Verdict::Conflicting { lines.clone() } else { Vec::new() };
    Some(Found { verdict: Some(verdict), conflict, ..found(Ask::Presence, lines) })
}
