//! `278`: whether a payer allows an admission or a service, as asked and as decided.

use crate::domain::{FactKind, Kind, Removal, Timestamp, Unreadable};
use crate::stages::normalize::fingerprint;
use crate::stages::normalize::lines::Statement;

use super::claim_lines::{self, Procedure, capitalized, date_line, quantity, reference_line};
use super::hierarchy::{self, Hierarchy, Level};
use super::page::{Cover, Page, statement};
use super::parties::{Party, Person};
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Reading, codes, dates};

pub(super) fn read(transaction: &Transaction<'_>) -> Result<Reading, Unreadable> {
    let mut tree = Hierarchy::read(transaction);
    let mut reading = Reading { findings: std::mem::take(&mut tree.findings), ..Reading::default() };
    let own: Vec<&[Segment<'_>]> =
        tree.nodes.iter().map(|node| hierarchy::of(&transaction.body, &node.range)).collect();
    let people: Vec<Option<Person<'_>>> =
        own.iter().map(|segments| Person::find(segments, &["IL", "QC", "03"])).collect();
    let parties: Vec<Option<Party<'_>>> =
        own.iter().map(|segments| segments.iter().find(|s| s.is("NM1")).map(Party::of)).collect();
    let decided = transaction.body.iter().any(|s| matches!(s.id(), "HCR" | "AAA"));
    let is_answer = decided || transaction.purpose().0 == "11";
    let mut services: Vec<Vec<&[Segment<'_>]>> = vec![Vec::new(); tree.nodes.len()];
    for (node, level) in tree.nodes.iter().enumerate() {
        if level.level == Level::Service
            && let Some(event) = tree.at_level(node, Level::Event)
            && let (Some(of), Some(segments)) = (services.get_mut(event), own.get(node))
        {
            of.push(segments);
        }
    }
    for (node, level) in tree.nodes.iter().enumerate() {
        let orphan = level.level == Level::Service && tree.at_level(node, Level::Event).is_none();
        let refused = own.get(node).is_some_and(|segments| segments.iter().any(|s| s.is("AAA")));
        let Some(segments) = own.get(node).filter(|_| level.level == Level::Event || orphan || refused) else {
            continue;
        };
        let person = |level: Level| tree.at_level(node, level).and_then(|at| people.get(at)).and_then(Option::as_ref);
        let party = |level: Level| tree.at_level(node, level).and_then(|at| parties.get(at)).and_then(Option::as_ref);
        let is_dependent = tree.at_level(node, Level::Patient).is_some();
        let review = Review {
            transaction,
            segments,
            services: services.get(node).map(Vec::as_slice).unwrap_or_default(),
            patient: if is_dependent { person(Level::Patient) } else { person(Level::Subscriber) },
            subscriber: person(Level::Subscriber).filter(|_| is_dependent),
            payer: party(Level::Source),
            requester: party(Level::Receiver),
            is_answer,
        };
        review.read(&mut reading);
    }
    if reading.documents.is_empty() {
        return Err(transaction.unreadable("an event that is reviewed (HL EV)"));
    }
    Ok(reading)
}

struct Review<'s, 'a> {
    transaction: &'s Transaction<'a>,
    segments: &'s [Segment<'a>],
    services: &'s [&'s [Segment<'a>]],
    patient: Option<&'s Person<'a>>,
    subscriber: Option<&'s Person<'a>>,
    payer: Option<&'s Party<'a>>,
    requester: Option<&'s Party<'a>>,
    /// Says what was decided, or why nothing was.
    is_answer: bool,
}

impl<'a> Review<'_, 'a> {
    fn all(&self) -> impl Iterator<Item = &Segment<'a>> {
        self.segments.iter().chain(self.services.iter().flat_map(|service| service.iter()))
    }

    fn decision(&self) -> Option<&Segment<'a>> {
        self.all().find(|s| s.is("HCR"))
    }

    fn first(&self, id: &str) -> Option<&Segment<'a>> {
        self.segments.iter().find(|s| s.is(id))
    }

    fn read(&self, reading: &mut Reading) {
        let transaction = self.transaction;
        let mut page = Page::new(transaction);
        let title = self.headline(&mut page);
        page.labelled("Patient", self.patient.and_then(Person::words).or_else(|| Some("not named".to_owned())));
        page.labelled("Subscriber", self.subscriber.and_then(Person::words));
        page.labelled("Payer or reviewer", self.payer.and_then(Party::words));
        page.labelled("Asked by", self.requester.and_then(Party::words));
        for diagnosis in claim_lines::diagnoses(self.segments, transaction, &mut reading.findings) {
            // Asked for or decided on, not found in anybody: a line to read, but no fact.
            page.sensitive_code(super::page::ICD_10, &diagnosis.code, "");
            page.push(&format!("Diagnosis given for the request: {}", diagnosis.code));
        }
        self.lines(&mut page, "", self.segments, reading);
        for (ordinal, service) in self.services.iter().enumerate() {
            let name = format!("Service {}: ", ordinal + 1);
            self.lines(&mut page, &name, service, reading);
        }
        let id = self.patient.and_then(|patient| patient.patient(self.subscriber, transaction));
        if id.is_none() {
            let segment = self.segments.first().copied().unwrap_or(transaction.envelope.st);
            reading.findings.push(transaction.error("patient_unidentified", &segment, 1));
        }
        if self.number().is_some() {
            // What was pending under the same trace until there was a number is over.
            reading.removals.push(Removal { source_key: self.trace_key(), at: transaction.written() });
        }
        let author = if self.is_answer { self.payer } else { self.requester };
        let cover = Cover {
            source_key: self.key(),
            kind: Kind::Claim,
            resource_type: if self.is_answer { "ClaimResponse" } else { "Claim" },
            patient: id,
            title,
            author: author.map(|party| party.name.clone()),
            effective: self.effective(),
        };
        reading.documents.push(page.finish(transaction, cover));
    }

    fn effective(&self) -> Option<Timestamp> {
        let dates = self.all().filter(|s| s.is("DTP") && matches!(s.get(1), "AAH" | "472" | "435"));
        let first = dates.filter_map(|s| dates::period(s.get(3)).and_then(|period| period.start)).min();
        first.or_else(|| self.transaction.written())
    }

    fn headline(&self, page: &mut Page<'_>) -> String {
        let um = self.first("UM").or_else(|| self.all().find(|s| s.is("UM")));
        let category = um.and_then(|um| um.given(1)).map(|code| codes::REQUEST_CATEGORY.words(code));
        let kind = um.and_then(|um| um.given(2)).map(|code| codes::CERTIFICATION.words(code));
        let service = um.and_then(|um| um.given(3)).map(|code| {
            page.sensitive(codes::subject_of_service_type(code));
            codes::SERVICE_TYPE.words(code)
        });
        let place = um.filter(|um| um.component(4, 2) == "B").map(|um| um.component(4, 1)).unwrap_or_default();
        page.sensitive(codes::subject_of_place(place));
        let what = [category, kind, service, codes::PLACE.meaning(place).map(str::to_owned)];
        let what = what.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let what = if what.is_empty() { "a service".to_owned() } else { what };
        let (line, status) = match self.decision() {
            Some(hcr) => (decision_words(hcr, &what), codes::DECISION.words(hcr.get(1))),
            None if self.is_answer => (format!("No decision on authorization for {what}"), "unknown".to_owned()),
            None => (format!("Authorization asked for {what}"), "asked".to_owned()),
        };
        let fact = Statement {
            status: Some(status),
            effective: self.effective(),
            ..statement(FactKind::Claim, format!("Authorization for {what}"))
        };
        page.state(&line, fact);
        line
    }

    fn lines(&self, page: &mut Page<'_>, name: &str, segments: &[Segment<'a>], reading: &mut Reading) {
        for segment in segments {
            match segment.id() {
                "HCR" if !name.is_empty() => page.push(&format!("{name}{}", decision_words(segment, "this service"))),
                "AAA" => {
                    let reason =
                        codes::REFUSAL.meaning(segment.get(3)).or(codes::REVIEW_REASON.meaning(segment.get(3)));
                    let reason = reason.map_or_else(|| codes::REFUSAL.words(segment.get(3)), str::to_owned);
                    page.push(&format!("{name}Request not processed: {reason} ({})", segment.get(3)));
                }
                "DTP" => date_line(page, name, segment, self.transaction, &mut reading.findings),
                "REF" if !matches!(segment.get(1), "SY" | "EJ" | "EA") => reference_line(page, segment),
                "SV1" | "SV2" | "SV3" => self.service(page, name, segment),
                "HSD" => {
                    let amount = quantity(
                        segment.get(2),
                        match segment.get(1) {
                            "DY" => "DA",
                            other => other,
                        },
                    );
                    let period = segment.given(5).map(|code| format!(" {}", codes::BENEFIT_PERIOD.words(code)));
                    let amount = amount.map(|amount| format!("{amount}{}", period.unwrap_or_default()));
                    page.labelled(&format!("{name}Quantity"), amount.map(|amount| capitalized(&amount)));
                }
                "NM1" if !matches!(segment.get(1), "IL" | "QC" | "03") => {
                    let party = Party::of(segment);
                    page.labelled(&format!("{name}{}", party.label()), party.words());
                }
                "MSG" => page.labelled(&format!("{name}Message"), segment.given(1)),
                _ => {}
            }
        }
    }

    fn service(&self, page: &mut Page<'_>, name: &str, segment: &Segment<'a>) {
        let element = if segment.is("SV2") { 2 } else { 1 };
        let Some(procedure) = Procedure::of(segment, element) else { return };
        procedure.betray(page);
        let amount = match segment.id() {
            "SV1" => quantity(segment.get(4), segment.get(3)),
            "SV2" => quantity(segment.get(5), segment.get(4)),
            _ => None,
        };
        let amount = amount.map(|amount| format!(", {amount}")).unwrap_or_default();
        page.push(&format!("{name}Procedure {}{amount}", procedure.words()));
    }

    fn number(&self) -> Option<&'a str> {
        let reference = || self.all().filter(|s| s.is("REF") && s.get(1) == "BB").find_map(|s| s.given(2));
        self.decision().and_then(|hcr| hcr.given(2)).or_else(reference).filter(|_| self.is_answer)
    }

    /// The authorization's number; a request, or an answer without one, is known by its trace.
    fn key(&self) -> String {
        match self.number() {
            Some(number) => self.transaction.key(&["answer", number]),
            None => self.trace_key(),
        }
    }

    fn trace_key(&self) -> String {
        let kind = if self.is_answer { "answer" } else { "request" };
        let trace = self.all().find(|s| s.is("TRN")).and_then(|s| s.given(2));
        let trace = trace.or_else(|| Some(self.transaction.purpose().1).filter(|number| !number.is_empty()));
        let person = self.patient.and_then(|person| person.local_id(self.subscriber, self.transaction));
        match trace {
            Some(trace) => self.transaction.key(&[kind, trace, person.as_deref().unwrap_or_default()]),
            None => {
                let text: Vec<&str> = self.all().map(Segment::text).collect();
                self.transaction.key(&[kind, &fingerprint(text.join("~").as_bytes())])
            }
        }
    }
}

fn decision_words(hcr: &Segment<'_>, what: &str) -> String {
    let decision = codes::DECISION.words(hcr.get(1));
    let number = hcr.given(2).map(|number| format!(", authorization number {number}")).unwrap_or_default();
    let reason = hcr.given(3).map(|code| format!(", reason: {}", codes::REVIEW_REASON.coded(code))).unwrap_or_default();
    format!("Authorization for {what}: {decision}{number}{reason}")
}
