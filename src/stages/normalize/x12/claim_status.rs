//! `276` and `277`: what became of a claim on its way, as asked and as answered; also `277CA`.
//!
//! Accepted means that a claim is being looked at, not that it will be paid.

use crate::domain::{FactKind, FactValue, Kind, PatientId, Timestamp, Unreadable};
use crate::stages::normalize::lines::Statement;

use super::amounts::{Amount, dollars};
use super::claim_lines::{Procedure, reference_line};
use super::hierarchy::{self, Hierarchy, Level};
use super::page::{Cover, Page, statement};
use super::parties::{Party, Person};
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Reading, claim, codes, dates};

pub(super) fn read(transaction: &Transaction<'_>) -> Result<Reading, Unreadable> {
    let mut tree = Hierarchy::read(transaction);
    let mut reading = Reading { findings: std::mem::take(&mut tree.findings), ..Reading::default() };
    let own: Vec<&[Segment<'_>]> =
        tree.nodes.iter().map(|node| hierarchy::of(&transaction.body, &node.range)).collect();
    let people: Vec<Option<Person<'_>>> =
        own.iter().map(|segments| Person::find(segments, &["IL", "QC", "03"])).collect();
    let parties: Vec<Option<Party<'_>>> =
        own.iter().map(|segments| segments.iter().find(|s| s.is("NM1")).map(Party::of)).collect();
    for (node, level) in tree.nodes.iter().enumerate() {
        let Some(segments) = own.get(node) else { continue };
        let party = |level: Level| tree.at_level(node, level).and_then(|at| parties.get(at)).and_then(Option::as_ref);
        let person = |level: Level| tree.at_level(node, level).and_then(|at| people.get(at)).and_then(Option::as_ref);
        let (patient, subscriber) = match level.level {
            Level::Subscriber => (person(Level::Subscriber), None),
            Level::Patient => (person(Level::Patient), person(Level::Subscriber)),
            _ => (None, None),
        };
        for traced in traces(segments) {
            let status = ClaimStatus {
                transaction,
                segments: traced,
                level: level.level,
                patient,
                subscriber,
                payer: party(Level::Source),
                provider: party(Level::Provider).or_else(|| party(Level::Receiver)),
            };
            status.read(&mut reading);
        }
    }
    if reading.documents.is_empty() {
        return Err(transaction.unreadable("a claim that is asked about (TRN, STC)"));
    }
    Ok(reading)
}

/// One run for each trace; a status before any trace is a run of its own.
fn traces<'s, 'a>(segments: &'s [Segment<'a>]) -> Vec<&'s [Segment<'a>]> {
    let untraced = claim::before(segments, &["TRN"]);
    let status = untraced.iter().position(|s| s.is("STC")).and_then(|at| untraced.get(at..));
    status.into_iter().chain(claim::from_each(segments, "TRN")).collect()
}

struct ClaimStatus<'s, 'a> {
    transaction: &'s Transaction<'a>,
    /// From `TRN` on.
    segments: &'s [Segment<'a>],
    level: Level,
    patient: Option<&'s Person<'a>>,
    subscriber: Option<&'s Person<'a>>,
    payer: Option<&'s Party<'a>>,
    provider: Option<&'s Party<'a>>,
}

impl<'a> ClaimStatus<'_, 'a> {
    fn is_answer(&self) -> bool {
        self.transaction.set() == "277"
    }

    fn reference(&self, kind: &str) -> Option<&'a str> {
        self.segments.iter().filter(|s| s.is("REF") && s.get(1) == kind).find_map(|s| s.given(2))
    }

    fn trace(&self) -> &'a str {
        self.segments.first().filter(|s| s.is("TRN")).map(|s| s.get(2)).unwrap_or_default()
    }

    /// `EJ` numbers the claim here; an acknowledgement's trace is the claim's number itself.
    fn number(&self) -> &'a str {
        self.reference("EJ").unwrap_or(self.trace())
    }

    fn statuses(&self) -> Vec<&Segment<'a>> {
        self.segments.iter().filter(|s| s.is("STC")).collect()
    }

    fn concerns_a_claim(&self) -> bool {
        self.level >= Level::Subscriber
    }

    fn read(&self, reading: &mut Reading) {
        let own = claim::before(self.segments, &["SVC"]);
        let statuses = self.statuses();
        // The payer's and the provider's levels number the batch: only what they say of it is worth a document.
        if (!self.concerns_a_claim() || self.is_answer()) && statuses.is_empty() {
            if self.concerns_a_claim()
                && let Some(segment) = self.segments.first()
            {
                reading.findings.push(self.transaction.warning("status_missing", segment, 1));
            }
            return;
        }
        let mut page = Page::new(self.transaction);
        let title = self.title();
        match self.is_answer() {
            true => {
                own.iter().filter(|s| s.is("STC")).for_each(|stc| self.status_line(&mut page, stc, &self.subject()))
            }
            false => page.push(&title),
        }
        let id = self.people(&mut page, reading);
        for segment in own {
            match segment.id() {
                "REF" if segment.get(1) != "SY" => reference_line(&mut page, segment),
                "DTP" => {
                    if let Some(period) = dates::period(segment.get(3)) {
                        page.push(&format!("Date, {}: {}", codes::DATE.words(segment.get(1)), period.words));
                    }
                }
                "AMT" if !self.is_answer() => page.labelled("Billed", Some(dollars(segment.get(2)))),
                _ => {}
            }
        }
        for (ordinal, line) in claim::from_each(self.segments, "SVC").into_iter().enumerate() {
            self.service(&mut page, line, ordinal + 1);
        }
        let cover = Cover {
            source_key: self.key(&statuses),
            kind: Kind::Claim,
            resource_type: if self.is_answer() { "ClaimResponse" } else { "Claim" },
            patient: id,
            title,
            author: self.payer.filter(|_| self.is_answer()).map(|payer| payer.name.clone()),
            effective: statuses.first().and_then(|stc| decided(stc)).or_else(|| self.transaction.written()),
        };
        reading.documents.push(page.finish(self.transaction, cover));
    }

    fn subject(&self) -> String {
        let named = |what: &str| match self.number() {
            "" => what.to_owned(),
            number => format!("{what} {number}"),
        };
        if self.concerns_a_claim() { named("Claim") } else { named("Batch of claims") }
    }

    fn title(&self) -> String {
        let payer = self.payer.map(|payer| payer.name.clone()).filter(|name| !name.is_empty());
        let payer = payer.unwrap_or_else(|| "an unnamed payer".to_owned());
        let day = self.transaction.written().map(|day| format!(" on {}", day.date())).unwrap_or_default();
        let subject = self.subject();
        if self.is_answer() {
            let category = self.statuses().first().map(|stc| codes::STATUS_CATEGORY.words(stc.component(1, 1)));
            return format!("{subject}: {} at {payer}", category.unwrap_or_else(|| "status".to_owned()));
        }
        format!("Asked {payer} for the status of {}{day}", subject.to_lowercase())
    }

    fn status_line(&self, page: &mut Page<'_>, stc: &Segment<'a>, subject: &str) {
        let category = stc.component(1, 1);
        let words = codes::STATUS_CATEGORY.words(category);
        let details: Vec<String> = [1, 10, 11].iter().filter_map(|element| reason(stc, *element)).collect();
        let day = decided(stc).map(|day| format!(" on {}", day.date())).unwrap_or_default();
        let accepted = match stc.get(3) {
            "U" => Some("rejected".to_owned()),
            _ => None,
        };
        let parts = [
            accepted,
            stc.given(4).map(|amount| format!("billed {}", dollars(amount))),
            stc.given(5).map(|amount| format!("paid {}", dollars(amount))),
            stc.given(9).map(|number| format!("check or transfer {number}")),
            stc.given(12).map(|text| format!("payer's message: {text}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let rest = if parts.is_empty() { String::new() } else { format!("; {}", parts.join(", ")) };
        let line = format!("{subject}{day}: {words}; {}{rest}", details.join("; "));
        let amount = Amount::parse(stc.get(5)).or_else(|| Amount::parse(stc.get(4)));
        let fact = Statement {
            value: amount.map(|amount| FactValue::Quantity { value: amount.as_f64(), unit: Some("USD".to_owned()) }),
            status: Some(words),
            effective: decided(stc),
            ..statement(FactKind::Claim, format!("Status of {}", subject.to_lowercase()))
        };
        page.state(&line, fact);
    }

    fn people(&self, page: &mut Page<'_>, reading: &mut Reading) -> Option<PatientId> {
        page.labelled("Patient", self.patient.and_then(Person::words));
        page.labelled("Subscriber", self.subscriber.and_then(Person::words));
        page.labelled("Payer", self.payer.and_then(Party::words));
        page.labelled("Provider", self.provider.and_then(Party::words));
        let plain = self.patient.map(|person| Person { account: None, ..person.clone() });
        let id = plain.and_then(|person| person.patient(self.subscriber, self.transaction));
        if id.is_none()
            && self.concerns_a_claim()
            && let Some(segment) = self.segments.first()
        {
            reading.findings.push(self.transaction.error("patient_unidentified", segment, 1));
        }
        id
    }

    fn service(&self, page: &mut Page<'_>, line: &[Segment<'a>], ordinal: usize) {
        let Some(svc) = line.first() else { return };
        let procedure = Procedure::of(svc, 1);
        if let Some(procedure) = &procedure {
            procedure.betray(page);
        }
        let name = procedure.map(|procedure| format!(", {}", procedure.words())).unwrap_or_default();
        let subject = format!("Line {ordinal}{name}");
        if !self.is_answer() {
            return page.push(&format!("{subject}: billed {}", dollars(svc.get(2))));
        }
        line.iter().filter(|s| s.is("STC")).for_each(|stc| self.status_line(page, stc, &subject));
    }

    /// Payer, the payer's number or our trace, day and codes.
    fn key(&self, statuses: &[&Segment<'a>]) -> String {
        let payer = self.payer.map(|payer| if payer.id.is_empty() { payer.name.as_str() } else { payer.id });
        let claim = self.reference("1K").unwrap_or(if self.is_answer() { self.trace() } else { self.number() });
        let first = statuses.first();
        let day = first.map(|stc| stc.get(2)).unwrap_or_default();
        let coded: Vec<String> =
            first.map(|stc| stc.components(stc.get(1)).map(str::to_owned).collect()).unwrap_or_default();
        self.transaction.key(&[payer.unwrap_or_default(), claim, day, &coded.join("-")])
    }
}

fn decided(stc: &Segment<'_>) -> Option<Timestamp> {
    dates::period(stc.get(2)).and_then(|period| period.start)
}

/// `accepted for processing (A2 20, payer)`
fn reason(stc: &Segment<'_>, element: usize) -> Option<String> {
    let (category, code, entity) = (stc.component(element, 1), stc.component(element, 2), stc.component(element, 3));
    if category.is_empty() && code.is_empty() {
        return None;
    }
    let entity = codes::PARTY.meaning(entity).map(|entity| format!(", {}", entity.to_lowercase())).unwrap_or_default();
    Some(format!("{} ({category} {code}{entity})", codes::STATUS.words(code)))
}
