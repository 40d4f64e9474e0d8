//! `837`: a document per claim (loop 2300), with who, what for, and every service line.
//!
//! A claim is what was billed and no proof of a diagnosis: its facts have the status `claimed`.

use crate::domain::{Document, FactKind, FactValue, Kind, QuarantineReason, Removal, Timestamp, Unreadable};
use crate::stages::normalize::fingerprint;
use crate::stages::normalize::lines::Statement;

use super::amounts::{Amount, dollars};
use super::claim_lines::{self, Diagnosis, Form, Setting};
use super::hierarchy::{self, Hierarchy, Level};
use super::page::{Cover, Page, statement};
use super::parties::{Party, Person};
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Reading, adjustments, codes, dates};

/// What a level says before its first claim.
#[derive(Debug, Default)]
struct Head<'a> {
    billing: Option<Party<'a>>,
    tax_id: Option<&'a str>,
    taxonomy: Option<&'a str>,
    coverage: Option<Segment<'a>>,
    subscriber: Option<Person<'a>>,
    payer: Option<Party<'a>>,
    patient: Option<Person<'a>>,
    relationship: Option<&'a str>,
}

impl<'a> Head<'a> {
    fn of(segments: &[Segment<'a>]) -> Self {
        let find = |role: &str| segments.iter().find(|s| s.is("NM1") && s.get(1) == role).map(Party::of);
        let reference = |kind: &str| segments.iter().find(|s| s.is("REF") && s.get(1) == kind).and_then(|s| s.given(2));
        Self {
            billing: find("85"),
            tax_id: reference("EI"),
            taxonomy: segments.iter().find(|s| s.is("PRV") && s.get(1) == "BI").and_then(|s| s.given(3)),
            coverage: segments.iter().find(|s| s.is("SBR")).copied(),
            subscriber: Person::find(segments, &["IL"]),
            payer: find("PR"),
            patient: Person::find(segments, &["QC"]),
            relationship: segments.iter().find(|s| s.is("PAT")).and_then(|s| s.given(1)),
        }
    }
}

/// One claim with all that stands above it.
struct Claim<'s, 'a> {
    clm: Segment<'a>,
    form: Form,
    billing: Option<&'s Head<'a>>,
    insured: Option<&'s Head<'a>>,
    /// The patient's own level; `None` when the subscriber is the patient.
    dependent: Option<&'s Head<'a>>,
    /// Behind `CLM`, before other payers and lines.
    own: &'s [Segment<'a>],
    other_payers: &'s [Segment<'a>],
    lines: Vec<&'s [Segment<'a>]>,
}

pub(super) fn read(transaction: &Transaction<'_>) -> Result<Reading, Unreadable> {
    let mut tree = Hierarchy::read(transaction);
    let mut reading = Reading { findings: std::mem::take(&mut tree.findings), ..Reading::default() };
    if tree.nodes.is_empty() {
        tree.nodes.push(hierarchy::Node { level: Level::Subscriber, parent: None, range: tree.head.clone() });
    }
    let own: Vec<&[Segment<'_>]> =
        tree.nodes.iter().map(|node| hierarchy::of(&transaction.body, &node.range)).collect();
    let heads: Vec<Head<'_>> = own.iter().map(|segments| Head::of(before(segments, &["CLM"]))).collect();
    for (node, segments) in own.iter().enumerate() {
        for whole in from_each(segments, "CLM") {
            let claim = Claim::of(whole, node, &tree, &heads, transaction);
            claim.read(transaction, &mut reading);
        }
    }
    if reading.documents.is_empty() && reading.removals.is_empty() {
        return Err(Unreadable::new(QuarantineReason::MalformedX12, "837 without a claim (CLM)"));
    }
    Ok(reading)
}

/// What stands before the first of these segments.
pub(super) fn before<'s, 'a>(segments: &'s [Segment<'a>], ids: &[&str]) -> &'s [Segment<'a>] {
    let end = segments.iter().position(|segment| ids.contains(&segment.id())).unwrap_or(segments.len());
    segments.get(..end).unwrap_or_default()
}

/// Runs that each begin with this segment; what stands before the first is left out.
pub(super) fn from_each<'s, 'a>(segments: &'s [Segment<'a>], id: &str) -> Vec<&'s [Segment<'a>]> {
    let starts: Vec<usize> = (0..segments.len()).filter(|at| segments.get(*at).is_some_and(|s| s.is(id))).collect();
    let ends = starts.iter().skip(1).copied().chain([segments.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| segments.get(*start..end)).collect()
}

impl<'s, 'a> Claim<'s, 'a> {
    fn of(
        whole: &'s [Segment<'a>],
        node: usize,
        tree: &Hierarchy,
        heads: &'s [Head<'a>],
        transaction: &Transaction<'a>,
    ) -> Self {
        let above = |wanted: &dyn Fn(&Head<'a>) -> bool| {
            tree.upwards(node).filter_map(|at| heads.get(at)).find(|head| wanted(head))
        };
        let dependent = tree.at_level(node, Level::Patient).and_then(|at| heads.get(at));
        let dependent = dependent.or_else(|| heads.get(node).filter(|head| head.patient.is_some()));
        let behind = whole.get(1..).unwrap_or_default();
        let own = before(behind, &["SBR", "LX", "SV1", "SV2", "SV3"]);
        let payers = before(behind.get(own.len()..).unwrap_or_default(), &["LX", "SV1", "SV2", "SV3"]);
        let rest = behind.get(own.len() + payers.len()..).unwrap_or_default();
        Self {
            clm: whole.first().copied().unwrap_or(transaction.envelope.st),
            form: Form::of(transaction.envelope.implementation(), rest),
            billing: above(&|head| head.billing.is_some()),
            insured: above(&|head| head.coverage.is_some() || head.subscriber.is_some() || head.payer.is_some()),
            dependent,
            own,
            other_payers: payers,
            lines: claim_lines::split(rest),
        }
    }

    fn number(&self) -> &'a str {
        self.clm.get(1)
    }

    fn frequency(&self) -> &'a str {
        self.clm.component(5, 3)
    }

    fn subscriber(&self) -> Option<&'s Person<'a>> {
        self.insured.and_then(|head| head.subscriber.as_ref())
    }

    /// A dependent's level without a name leaves the patient unknown: never the subscriber.
    fn patient(&self) -> Option<Person<'a>> {
        let person = match self.dependent {
            Some(head) => head.patient.clone(),
            None => self.subscriber().cloned(),
        };
        person.map(|mut person| {
            let record = self.own.iter().filter(|s| s.is("REF") && s.get(1) == "EA").find_map(|s| s.given(2));
            person.record_number = record.or(person.record_number);
            person.account = None;
            person
        })
    }

    fn biller(&self) -> &'a str {
        let party = self.billing.and_then(|head| head.billing.as_ref());
        let npi = party.and_then(Party::npi);
        npi.or_else(|| self.billing.and_then(|head| head.tax_id))
            .or_else(|| party.map(|party| party.last))
            .unwrap_or_default()
    }

    /// Billing provider and the provider's number; a claim to a later payer is another one.
    fn key(&self, transaction: &Transaction<'a>) -> String {
        let number = match self.number() {
            "" => {
                let whole = [&[self.clm], self.own].concat();
                let text: Vec<&str> = whole.iter().map(Segment::text).collect();
                format!("unnumbered-{}", fingerprint(text.join("~").as_bytes()))
            }
            number => number.to_owned(),
        };
        let order = self.insured.and_then(|head| head.coverage).map(|sbr| sbr.get(1)).unwrap_or_default();
        match order {
            "" | "P" => transaction.key(&[self.biller(), &number]),
            order => transaction.key(&[self.biller(), &number, order]),
        }
    }

    fn effective(&self) -> Option<Timestamp> {
        let line_dates = self.lines.iter().flat_map(|line| line.iter()).filter(|s| s.is("DTP") && s.get(1) == "472");
        let own_dates = self.own.iter().filter(|s| s.is("DTP") && matches!(s.get(1), "434" | "472" | "435"));
        let start = |segment: &Segment<'_>| dates::period(segment.get(3)).and_then(|period| period.start);
        line_dates.filter_map(start).min().or_else(|| own_dates.filter_map(start).min())
    }

    fn read(&self, transaction: &Transaction<'a>, reading: &mut Reading) {
        self.check(transaction, reading);
        let key = self.key(transaction);
        let document = self.document(transaction, reading, key.clone());
        if self.frequency() == "8" {
            reading.removals.push(Removal { source_key: key, at: transaction.written() });
        }
        reading.documents.push(document);
    }

    fn check(&self, transaction: &Transaction<'a>, reading: &mut Reading) {
        let clm = &self.clm;
        if self.number().is_empty() {
            reading.findings.push(transaction.error("required_field", clm, 1));
        }
        if self.biller().is_empty() {
            reading.findings.push(transaction.error("billing_provider", clm, 1));
        }
        if clm.get(5).is_empty() {
            reading.findings.push(transaction.warning("required_field", clm, 5));
        }
        let Some(billed) = Amount::parse(clm.get(2)) else {
            return reading.findings.push(transaction.error("invalid_amount", clm, 2));
        };
        let charges: Vec<Amount> = self.lines.iter().filter_map(|line| claim_lines::charge(line)).collect();
        let complete = !self.lines.is_empty() && charges.len() == self.lines.len();
        if complete && !(charges.into_iter().sum::<Amount>() - billed).is_zero() {
            reading.findings.push(transaction.warning("claim_total", clm, 2));
        }
        if matches!(self.frequency(), "7" | "8") && self.reference("F8").is_none() {
            reading.findings.push(transaction.warning("original_claim_missing", clm, 5));
        }
    }

    fn reference(&self, kind: &str) -> Option<&'a str> {
        self.own.iter().filter(|s| s.is("REF") && s.get(1) == kind).find_map(|s| s.given(2))
    }

    fn document(&self, transaction: &Transaction<'a>, reading: &mut Reading, key: String) -> Document {
        let mut page = Page::new(transaction);
        let title = self.first_line(&mut page);
        if transaction.reports_only() {
            page.push("This is an encounter report: it asks for no payment");
        }
        let patient = self.people(&mut page);
        let id = patient.as_ref().and_then(|patient| patient.patient(self.subscriber(), transaction));
        if id.is_none() {
            reading.findings.push(transaction.error("patient_unidentified", &self.clm, 1));
        }
        self.payer_lines(&mut page);
        self.biller_lines(&mut page);
        self.chain(&mut page);
        let diagnoses = claim_lines::diagnoses(self.own, transaction, &mut reading.findings);
        if self.frequency() == "8" {
            // What the voided claim said no longer holds; how sensitive it was still does.
            diagnoses.iter().for_each(|diagnosis| diagnosis.betray(&mut page));
        } else {
            self.details(&mut page, &diagnoses, transaction, reading);
            let setting = Setting { form: self.form, place: self.place(), claim: self.number() };
            for (ordinal, line) in self.lines.iter().enumerate() {
                claim_lines::render(&mut page, line, ordinal + 1, setting, &diagnoses, (transaction, reading));
            }
        }
        let source_key = if self.frequency() == "8" { format!("{key}/void") } else { key };
        let author = self.billing.and_then(|head| head.billing.as_ref()).map(|party| party.name.clone());
        let cover = Cover {
            source_key,
            kind: Kind::Claim,
            resource_type: "Claim",
            patient: id,
            title,
            author,
            effective: self.effective(),
        };
        page.finish(transaction, cover)
    }

    fn place(&self) -> &'a str {
        if self.form == Form::Institutional { "" } else { self.clm.component(5, 1) }
    }

    fn place_words(&self) -> Option<String> {
        let code = self.clm.component(5, 1);
        if self.clm.component(5, 2) == "A" || self.form == Form::Institutional {
            return codes::BILL_TYPE
                .meaning(code)
                .map(|kind| format!("{kind} (bill type {code})"))
                .or_else(|| (!code.is_empty()).then(|| format!("bill type {code}")));
        }
        codes::PLACE.given(code)
    }

    fn first_line(&self, page: &mut Page<'_>) -> String {
        page.sensitive(codes::subject_of_place(self.place()));
        let number = if self.number().is_empty() { "without a number" } else { self.number() };
        let frequency = match self.frequency() {
            "" => None,
            code => Some(codes::FREQUENCY.words(code)),
        };
        let kind: Vec<String> = self.form.words().map(str::to_owned).into_iter().chain(frequency.clone()).collect();
        let kind = if kind.is_empty() { String::new() } else { format!(" ({})", kind.join(", ")) };
        let billed =
            Some(self.clm.get(2)).filter(|text| !text.is_empty()).map(|text| format!("billed {}", dollars(text)));
        let day = self.effective().map(Timestamp::date);
        let parts: Vec<String> = [billed, self.place_words(), day].into_iter().flatten().collect();
        let line = format!("Claim {number}{kind}: {}", parts.join(", "));
        let value = Amount::parse(self.clm.get(2));
        let fact = Statement {
            value: value.map(|amount| FactValue::Quantity { value: amount.as_f64(), unit: Some("USD".to_owned()) }),
            status: frequency,
            effective: self.effective(),
            ..statement(FactKind::Claim, format!("Claim {number}"))
        };
        page.state(&line, fact);
        line
    }

    fn people(&self, page: &mut Page<'_>) -> Option<Person<'a>> {
        let patient = self.patient();
        page.labelled("Patient", patient.as_ref().and_then(Person::words).or_else(|| Some("not named".to_owned())));
        if let Some(dependent) = self.dependent {
            page.labelled("Subscriber", self.subscriber().and_then(Person::words));
            let relationship = dependent.relationship.map(|code| codes::RELATIONSHIP.words(code));
            page.labelled("Patient's relationship to the subscriber", relationship);
        }
        patient
    }

    fn payer_lines(&self, page: &mut Page<'_>) {
        let Some(insured) = self.insured else { return };
        let sbr = insured.coverage;
        let order = sbr.and_then(|sbr| sbr.given(1)).map(|code| codes::PAYER_ORDER.words(code));
        let program = sbr.and_then(|sbr| sbr.given(9)).map(|code| codes::INSURANCE.words(code));
        let group = sbr.and_then(|sbr| sbr.given(3)).map(|group| format!("group {group}"));
        let plan = sbr.and_then(|sbr| sbr.given(4)).map(|plan| format!("plan {plan}"));
        let payer = insured.payer.as_ref().and_then(Party::words);
        let parts: Vec<String> = [payer, order, program, group, plan].into_iter().flatten().collect();
        page.labelled("Payer", Some(parts.join(", ")));
    }

    fn biller_lines(&self, page: &mut Page<'_>) {
        let Some(head) = self.billing else { return };
        page.labelled("Billing provider", head.billing.as_ref().and_then(Party::words));
        page.labelled("Billing provider specialty (taxonomy)", head.taxonomy);
        page.sensitive(head.taxonomy.and_then(codes::subject_of_taxonomy));
    }

    fn chain(&self, page: &mut Page<'_>) {
        let number = self.reference("F8").map(|number| format!(" {number}")).unwrap_or_default();
        match self.frequency() {
            "7" => page.push(&format!("This claim replaces the payer's claim{number}")),
            "8" => page.push(&format!("This claim voids the payer's claim{number}: it is withdrawn")),
            _ => page.labelled("Payer's number of the original claim", self.reference("F8")),
        }
    }

    fn details(
        &self,
        page: &mut Page<'_>,
        diagnoses: &[Diagnosis],
        transaction: &Transaction<'a>,
        reading: &mut Reading,
    ) {
        let causes: Vec<String> = (1..=3)
            .map(|n| self.clm.component(11, n))
            .filter_map(|code| codes::ACCIDENT.meaning(code))
            .map(str::to_owned)
            .collect();
        page.labelled("Related to", (!causes.is_empty()).then(|| causes.join(", ")));
        claim_lines::claim_details(page, self.own, transaction, &mut reading.findings);
        diagnoses.iter().for_each(|diagnosis| diagnosis.render(page, self.effective()));
        claim_lines::coded_information(page, self.own);
        for party in self.own.iter().filter(|s| s.is("NM1")).map(Party::of) {
            page.labelled(&party.label(), party.words());
        }
        for segment in self.own.iter().filter(|s| s.is("PRV")) {
            page.sensitive(codes::subject_of_taxonomy(segment.get(3)));
        }
        for payer in from_each(self.other_payers, "SBR") {
            other_payer(page, payer);
        }
    }
}

fn other_payer(page: &mut Page<'_>, segments: &[Segment<'_>]) {
    let Some(sbr) = segments.first() else { return };
    let party = segments.iter().find(|s| s.is("NM1") && s.get(1) == "PR").map(Party::of);
    let paid = segments.iter().find(|s| s.is("AMT") && s.get(1) == "D").map(|s| format!("paid {}", dollars(s.get(2))));
    let order = sbr.given(1).map(|code| codes::PAYER_ORDER.words(code));
    let program = sbr.given(9).map(|code| codes::INSURANCE.words(code));
    let adjusted = adjustments::list(&adjustments::among(segments)).map(|words| format!("adjusted by {words}"));
    let parts: Vec<String> =
        [party.as_ref().and_then(Party::words), order, program, paid, adjusted].into_iter().flatten().collect();
    page.labelled("Other payer", Some(parts.join(", ")));
}
