//! `270` and `271`: who is covered, for what, and what is left of it, as a payer answered on one day.
//!
//! A refusal (`AAA`) means that nothing is known, never that somebody isn't covered.

use crate::domain::{FactKind, FactValue, Kind, Timestamp, Unreadable};
use crate::stages::normalize::lines::Statement;

use super::amounts::Amount;
use super::claim_lines::{Procedure, date_line, reference_line};
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
    let heads: Vec<Option<Person<'_>>> =
        own.iter().map(|segments| Person::find(segments, &["IL", "03", "QC"])).collect();
    let parties: Vec<Option<Party<'_>>> =
        own.iter().map(|segments| segments.iter().find(|s| s.is("NM1")).map(Party::of)).collect();
    for (node, level) in tree.nodes.iter().enumerate() {
        let Some(segments) = own.get(node) else { continue };
        let says = segments.iter().any(|s| matches!(s.id(), "EB" | "EQ" | "AAA"));
        if !says && (level.level < Level::Subscriber || has_children(&tree, node)) {
            continue;
        }
        let at = |level: Level| tree.at_level(node, level);
        let person = heads.get(node).and_then(Option::as_ref).filter(|_| level.level >= Level::Subscriber);
        let subscriber = at(Level::Subscriber).and_then(|at| heads.get(at)).and_then(Option::as_ref);
        let party = |level: Level| at(level).and_then(|at| parties.get(at)).and_then(Option::as_ref);
        let member = Member {
            transaction,
            segments,
            person,
            subscriber: subscriber.filter(|_| level.level == Level::Patient),
            payer: party(Level::Source),
            asker: party(Level::Receiver),
        };
        member.read(&mut reading);
    }
    if reading.documents.is_empty() {
        return Err(transaction.unreadable("a member asked about (HL 22 or 23)"));
    }
    Ok(reading)
}

fn has_children(tree: &Hierarchy, node: usize) -> bool {
    tree.nodes.get(node + 1).is_some_and(|next| next.parent == Some(node))
}

struct Member<'s, 'a> {
    transaction: &'s Transaction<'a>,
    segments: &'s [Segment<'a>],
    person: Option<&'s Person<'a>>,
    /// Only when the person is a dependent.
    subscriber: Option<&'s Person<'a>>,
    payer: Option<&'s Party<'a>>,
    asker: Option<&'s Party<'a>>,
}

impl<'a> Member<'_, 'a> {
    fn is_answer(&self) -> bool {
        self.transaction.set() == "271"
    }

    fn payer_name(&self) -> String {
        let name = self.payer.map(|payer| payer.name.clone()).filter(|name| !name.is_empty());
        name.unwrap_or_else(|| "an unnamed payer".to_owned())
    }

    fn asked_on(&self) -> Option<Timestamp> {
        self.transaction.written()
    }

    fn read(&self, reading: &mut Reading) {
        let transaction = self.transaction;
        let mut page = Page::new(transaction);
        let day = self.asked_on().map(|day| format!(" on {}", day.date())).unwrap_or_default();
        let payer = self.payer_name();
        let title = if self.is_answer() {
            format!("Eligibility answered by {payer}{day}")
        } else {
            format!("Eligibility asked of {payer}{day}")
        };
        page.push(&title);
        self.people(&mut page);
        let first = self.segments.iter().position(|s| matches!(s.id(), "EB" | "EQ")).unwrap_or(self.segments.len());
        self.details(&mut page, self.segments.get(..first).unwrap_or_default(), reading);
        for eq in self.segments.iter().filter(|s| s.is("EQ")) {
            self.question(&mut page, eq);
        }
        for benefit in claim::from_each(self.segments, "EB") {
            self.benefit(&mut page, benefit, reading);
        }
        let id = self.person.and_then(|person| person.patient(self.subscriber, transaction));
        if id.is_none() {
            let segment = self.segments.first().copied().unwrap_or(transaction.envelope.st);
            reading.findings.push(transaction.error("patient_unidentified", &segment, 1));
        }
        let resource_type = if self.is_answer() { "CoverageEligibilityResponse" } else { "CoverageEligibilityRequest" };
        let cover = Cover {
            source_key: self.key(),
            kind: Kind::Coverage,
            resource_type,
            patient: id,
            title,
            author: if self.is_answer() { Some(payer) } else { self.asker.map(|asker| asker.name.clone()) },
            effective: self.asked_on(),
        };
        reading.documents.push(page.finish(transaction, cover));
    }

    /// Payer, member, day and trace.
    fn key(&self) -> String {
        let transaction = self.transaction;
        let trace = self.segments.iter().find(|s| s.is("TRN")).map(|s| s.get(2)).unwrap_or_default();
        let member = self.person.and_then(|person| person.local_id(self.subscriber, transaction)).unwrap_or_default();
        let payer = self.payer.map(|payer| if payer.id.is_empty() { payer.name.as_str() } else { payer.id });
        let day = self.asked_on().map(Timestamp::date).unwrap_or_default();
        transaction.key(&[payer.unwrap_or_default(), &member, &day, trace])
    }

    fn people(&self, page: &mut Page<'_>) {
        page.labelled("Member", self.person.and_then(Person::words).or_else(|| Some("not named".to_owned())));
        page.labelled("Subscriber", self.subscriber.and_then(Person::words));
        page.labelled("Payer", self.payer.and_then(Party::words));
        page.labelled("Asked by", self.asker.and_then(Party::words));
    }

    fn details(&self, page: &mut Page<'_>, segments: &[Segment<'a>], reading: &mut Reading) {
        for segment in segments {
            match segment.id() {
                "DTP" => date_line(page, "", segment, self.transaction, &mut reading.findings),
                "REF" if !matches!(segment.get(1), "SY" | "EJ" | "EA") => reference_line(page, segment),
                "INS" if segment.get(1) == "N" => {
                    let relationship = segment.given(2).map(|code| codes::RELATIONSHIP.words(code));
                    page.labelled("Member's relationship to the subscriber", relationship);
                }
                "AAA" => self.refusal(page, segment),
                "HI" => diagnoses(page, segment),
                _ => {}
            }
        }
    }

    fn refusal(&self, page: &mut Page<'_>, segment: &Segment<'_>) {
        let reason = codes::REFUSAL.coded(segment.get(3));
        let fact = Statement {
            status: Some("unknown".to_owned()),
            effective: self.asked_on(),
            ..statement(FactKind::Coverage, "Coverage unknown: the payer gave no answer")
        };
        page.state(&format!("Coverage unknown, the payer gave no answer: {reason}"), fact);
    }

    fn question(&self, page: &mut Page<'_>, segment: &Segment<'a>) {
        let types = service_types(page, segment, 1);
        let procedure = Procedure::of(segment, 2).map(|procedure| procedure.words());
        let about: Vec<String> = types.into_iter().chain(procedure).collect();
        let about = if about.is_empty() { "coverage".to_owned() } else { about.join(", ") };
        let fact = Statement {
            status: Some("asked".to_owned()),
            effective: self.asked_on(),
            ..statement(FactKind::Coverage, format!("Asked whether covered: {about}"))
        };
        page.state(&format!("Asked whether covered: {about}"), fact);
    }

    fn benefit(&self, page: &mut Page<'_>, segments: &[Segment<'a>], reading: &mut Reading) {
        let Some(eb) = segments.first() else { return };
        let own = claim::before(segments, &["LS", "SE"]);
        let types = service_types(page, eb, 3);
        let kind = eb.get(1);
        let words = codes::BENEFIT.words(kind);
        let subject = if types.is_empty() { String::new() } else { format!(" for {}", types.join(", ")) };
        let display = format!("{}{subject}", super::claim_lines::capitalized(&words));
        let line = [Some(display.clone()), self.terms(eb), period_of(own)].into_iter().flatten();
        let line = line.collect::<Vec<_>>().join(", ");
        let fact = Statement {
            value: value(eb),
            status: Some(status(kind).to_owned()),
            effective: self.asked_on(),
            ..statement(FactKind::Coverage, display.clone())
        };
        page.state(&line, fact);
        for segment in own.iter().skip(1) {
            match segment.id() {
                "MSG" => page.labelled(&format!("Payer's message on {words}{subject}"), segment.given(1)),
                "REF" if segment.get(1) != "SY" => reference_line(page, segment),
                "AAA" => self.refusal(page, segment),
                "HSD" => page.labelled(&format!("Delivery of {words}{subject}"), delivery(segment)),
                "DTP" if dates::period(segment.get(3)).is_none() => {
                    reading.findings.push(self.transaction.warning("invalid_date", segment, 3));
                }
                _ => {}
            }
        }
        for party in segments.iter().skip(own.len()).filter(|s| s.is("NM1")).map(Party::of) {
            page.labelled(&format!("{} for {words}{subject}", party.label()), party.words());
        }
    }

    /// Plan, period, amount, network: what bounds the benefit.
    fn terms(&self, eb: &Segment<'a>) -> Option<String> {
        let yes_no = |element: usize, yes: &str, no: &str| match eb.get(element) {
            "Y" => Some(yes.to_owned()),
            "N" => Some(no.to_owned()),
            _ => None,
        };
        let period = eb.given(6).map(|code| codes::BENEFIT_PERIOD.words(code));
        let amount = Amount::parse(eb.get(7)).map(Amount::dollars);
        let share = Amount::parse(eb.get(8)).map(Amount::percent);
        let count = Amount::parse(eb.get(10))
            .map(|count| format!("{count} {}", codes::QUANTITY.meaning(eb.get(9)).unwrap_or("units")));
        let figure = amount.or(share).or(count);
        let figure = match (figure, period) {
            (Some(figure), Some(period)) => Some(format!("{figure} {period}")),
            (figure, period) => figure.or(period),
        };
        let network = match eb.get(12) {
            "W" => Some("in and out of network".to_owned()),
            _ => yes_no(12, "in network", "out of network"),
        };
        let parts = [
            figure,
            Procedure::of(eb, 13).map(|procedure| procedure.words()),
            eb.given(2).map(|code| codes::COVERAGE_LEVEL.words(code)),
            eb.given(5).map(|plan| format!("plan {plan}")),
            eb.given(4).map(|code| codes::INSURANCE_TYPE.words(code)),
            network,
            yes_no(11, "authorization needed", "no authorization needed"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

fn period_of(segments: &[Segment<'_>]) -> Option<String> {
    let dates: Vec<String> = segments
        .iter()
        .filter(|s| s.is("DTP"))
        .filter_map(|s| Some(format!("{} {}", codes::DATE.words(s.get(1)), dates::period(s.get(3))?.words)))
        .collect();
    (!dates.is_empty()).then(|| dates.join(", "))
}

fn service_types(page: &mut Page<'_>, segment: &Segment<'_>, element: usize) -> Vec<String> {
    let types: Vec<&str> = segment.repeats(element).take(200).collect();
    types.iter().for_each(|code| page.sensitive(codes::subject_of_service_type(code)));
    types.iter().map(|code| codes::SERVICE_TYPE.words(code)).collect()
}

fn diagnoses(page: &mut Page<'_>, segment: &Segment<'_>) {
    for composite in segment.elements() {
        if let Some(code) = segment.components(composite).nth(1) {
            page.sensitive_code(super::page::ICD_10, code, "");
        }
    }
}

fn delivery(segment: &Segment<'_>) -> Option<String> {
    let count = Amount::parse(segment.get(2))?;
    let unit = codes::QUANTITY.meaning(segment.get(1)).unwrap_or("units");
    let period = segment.given(5).map(|code| format!(" {}", codes::BENEFIT_PERIOD.words(code))).unwrap_or_default();
    Some(format!("{count} {unit}{period}"))
}

fn value(eb: &Segment<'_>) -> Option<FactValue> {
    let quantity =
        |amount: Amount, unit: &str| Some(FactValue::Quantity { value: amount.as_f64(), unit: Some(unit.to_owned()) });
    if let Some(amount) = Amount::parse(eb.get(7)) {
        return quantity(amount, "USD");
    }
    if let Some(share) = Amount::parse(eb.get(8)) {
        let percent = Amount::parse(share.percent().trim_end_matches('%'))?;
        return quantity(percent, "%");
    }
    let count = Amount::parse(eb.get(10))?;
    quantity(count, codes::QUANTITY.meaning(eb.get(9)).unwrap_or("units"))
}

fn status(kind: &str) -> &'static str {
    match kind {
        "1" | "2" | "3" | "4" => "active",
        "5" => "active, pending investigation",
        "6" => "inactive",
        "7" | "8" => "inactive, pending",
        "I" => "not covered",
        "V" => "unknown",
        _ => "informational",
    }
}
