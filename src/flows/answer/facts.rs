//! The structured route: a patient's facts, matched, read, cited; silent where they don't account for the question.

use std::collections::{BTreeSet, HashMap};

use super::{AnswerError, AnswerFlow, patient_of};
use crate::access::{Access, Act};
use crate::domain::{
    Answer, Citation, Conflict, DocumentKey, Fact, FactKind, Query, StoredDocument, StoredFact, Timestamp, Verdict,
};
use crate::stages::ground::facts::{Found, is_structured, match_facts, read_facts, say, vocabulary};
use crate::stages::ground::{later_denials, otherwise, quoted, verify};
use crate::stages::question::Question;

/// Facts that answers are made from.
const KINDS: [FactKind; 11] = [
    FactKind::Demographic,
    FactKind::Encounter,
    FactKind::Condition,
    FactKind::Medication,
    FactKind::Allergy,
    FactKind::Observation,
    FactKind::Procedure,
    FactKind::Immunization,
    FactKind::CarePlan,
    FactKind::Appointment,
    FactKind::Claim,
];

/// Passages looked through for a later word against a fact.
const LATER: usize = 20;

/// One patient's facts within reach and filters; none when the question isn't about one patient.
pub(super) struct PatientFacts {
    facts: Option<Vec<StoredFact>>,
}

impl PatientFacts {
    pub fn vocabulary(&self) -> BTreeSet<String> {
        self.facts.as_deref().map(vocabulary).unwrap_or_default()
    }

    /// Whether facts could have answered such a question about this patient.
    pub fn are_asked(&self, question: &Question) -> bool {
        self.facts.is_some() && is_structured(question)
    }
}

impl AnswerFlow {
    /// Filters that facts know nothing of (kinds of documents, sections, encounters) leave the question to the text.
    pub(super) async fn facts(&self, access: &Access, query: &Query) -> Result<PatientFacts, AnswerError> {
        let filters = &query.filters;
        let only_text = !filters.kinds.is_empty() || !filters.sections.is_empty() || filters.encounter.is_some();
        let Some(patient) = patient_of(access, query).filter(|_| !only_text) else {
            return Ok(PatientFacts { facts: None });
        };
        let mut facts = self.store.facts(access, Act::Search, patient, &KINDS).await?;
        facts.retain(|stored| {
            (filters.sources.is_empty() || filters.sources.contains(&stored.source))
                && filters.from.is_none_or(|from| as_of(stored) >= from)
                && filters.to.is_none_or(|to| as_of(stored) <= to)
        });
        Ok(PatientFacts { facts: Some(facts) })
    }

    pub(super) async fn answer_by_facts(
        &self,
        access: &Access,
        question: &Question,
        facts: &PatientFacts,
        now: Timestamp,
    ) -> Result<Option<Answer>, AnswerError> {
        let Some(facts) = facts.facts.as_deref().filter(|_| is_structured(question)) else { return Ok(None) };
        let matched = match_facts(question, facts);
        let Some(found) = read_facts(question, &matched, now) else { return Ok(None) };
        let documents = self.store.documents_of_hits(access, &keys(&found)).await?;
        let answer = say(&found, |stored| cite(stored, &documents));
        let text_of = |key: &DocumentKey| documents.get(key).map(|stored| stored.document.text.as_str());
        Ok(answer.map(|answer| verify(&answer, text_of)).filter(|answer| !answer.sentences.is_empty()))
    }

    /// A note may say of a medicine in force that it was stopped since: that is a conflict, and is shown.
    pub(super) async fn beside_later_documents(
        &self,
        access: &Access,
        query: &Query,
        question: &Question,
        mut answer: Answer,
    ) -> Result<Answer, AnswerError> {
        let says_yes = |answer: &Answer| answer.finding.as_ref().is_some_and(|one| one.verdict == Some(Verdict::Yes));
        let about_one = question.has_subject();
        let Some(fact) = answer.sentences.first().and_then(|said| said.citations.first()).cloned() else {
            return Ok(answer);
        };
        let disputable = matches!(fact.kind, crate::domain::Kind::Medication | crate::domain::Kind::Allergy);
        if !says_yes(&answer) || !about_one || !disputable {
            return Ok(answer);
        }
        let search = Query { mode: crate::domain::Mode::Keyword, limit: LATER, ..query.clone() };
        let retrieved = self.retrieve.run(access, &search).await?;
        let later = later_denials(question, &fact, &retrieved.passages);
        if later.is_empty() {
            return Ok(answer);
        }
        if let Some(finding) = &mut answer.finding {
            finding.verdict = Some(Verdict::Conflicting);
        }
        answer.sentences.push(otherwise());
        answer.sentences.extend(later.iter().map(quoted));
        let about = fact.title.clone();
        answer.conflicts.push(Conflict { about, citations: std::iter::once(fact).chain(later).collect() });
        self.hold_against_store(access, answer).await
    }
}

fn as_of(stored: &StoredFact) -> Timestamp {
    stored.fact.effective.or(stored.source_time).unwrap_or(stored.received_at)
}

fn keys(found: &Found<'_>) -> Vec<DocumentKey> {
    let series = found.series.iter().flat_map(|series| &series.facts);
    let all = found.lines.iter().chain(&found.conflict).chain(found.counted.iter().flatten()).chain(series);
    let mut keys: Vec<DocumentKey> = all.map(|stored| stored.key.clone()).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The fact's own time counts: a document may hold results of many days.
fn cite(stored: &StoredFact, documents: &HashMap<DocumentKey, StoredDocument>) -> Option<Citation> {
    let Fact { span, effective, .. } = stored.fact;
    let citation = Citation::of(documents.get(&stored.key)?, span)?;
    Some(Citation { effective: effective.or(citation.effective), ..citation })
}
