//! `835`: a document per remitted claim (`CLP`), and one of the payment with what concerns no patient.
//!
//! An ordinary denial comes as "processed" with nothing paid and a reason; only then is a claim called denied
//! here. A reversal undoes an earlier payment and is no second one.

use crate::domain::{FactKind, FactValue, Kind, Timestamp, Unreadable};
use crate::stages::normalize::lines::Statement;

use super::adjustments::{self, Adjustment};
use super::amounts::{Amount, dollars};
use super::claim::{before, from_each};
use super::claim_lines::{Procedure, quantity, reference_line};
use super::page::{Cover, Page, statement};
use super::parties::{Party, Person};
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Reading, codes, dates};

/// What all claims of one payment share.
struct Payment<'s, 'a> {
    transaction: &'s Transaction<'a>,
    bpr: Option<Segment<'a>>,
    payer: Option<Party<'a>>,
    payee: Option<Party<'a>>,
    number: &'a str,
    payer_id: &'a str,
    day: Option<dates::Period>,
    /// `electronic transfer 0012345 of 2026-11-02`
    words: String,
}

pub(super) fn read(transaction: &Transaction<'_>) -> Result<Reading, Unreadable> {
    let head = before(&transaction.body, &["LX", "CLP", "PLB"]);
    let party = |role: &str| head.iter().find(|s| s.is("N1") && s.get(1) == role).map(Party::of);
    let trace = head.iter().find(|s| s.is("TRN"));
    let number = trace.map(|trn| trn.get(2)).unwrap_or_default();
    let bpr = head.iter().find(|s| s.is("BPR")).copied();
    let day = bpr.and_then(|bpr| dates::period(bpr.get(16)));
    let payment = Payment {
        transaction,
        bpr,
        words: means(bpr, number, day.as_ref()),
        day,
        payer: party("PR"),
        payee: party("PE"),
        number,
        payer_id: trace.map(|trn| trn.get(3)).unwrap_or_default(),
    };
    let claims = from_each(&transaction.body, "CLP");
    if claims.is_empty() && transaction.first("BPR").is_none() {
        return Err(transaction.unreadable("a claim (CLP) or a payment (BPR)"));
    }
    let mut reading = Reading::default();
    for claim in claims {
        let end = before(claim, &["PLB", "LX"]).len();
        RemittedClaim::of(&payment, claim.get(..end).unwrap_or(claim)).read(&mut reading);
    }
    payment.read(&mut reading);
    Ok(reading)
}

impl Payment<'_, '_> {
    fn amount(&self) -> Option<Amount> {
        Amount::parse(self.bpr?.get(2))
    }

    /// The payment itself: no patient's chart holds it.
    fn read(&self, reading: &mut Reading) {
        let transaction = self.transaction;
        let mut page = Page::new(transaction);
        let amount = self.amount();
        let total = amount.map(Amount::dollars).unwrap_or_else(|| "an unknown amount".to_owned());
        let title = format!("Payment of {total} by {}", self.payer_name());
        let day = self.day.clone();
        let fact = Statement {
            value: amount.map(|amount| FactValue::Quantity { value: amount.as_f64(), unit: Some("USD".to_owned()) }),
            status: Some("paid".to_owned()),
            effective: day.as_ref().and_then(|day| day.start),
            ..statement(FactKind::Claim, format!("Payment {}", self.number))
        };
        page.state(&format!("{title}: {}", self.words), fact);
        page.labelled("Payee", self.payee.as_ref().and_then(Party::words));
        let claims = transaction.body.iter().filter(|s| s.is("CLP"));
        let paid: Amount = claims.clone().filter_map(|clp| Amount::parse(clp.get(4))).sum();
        page.push(&format!("Claims in this payment: {}, paid {} in all", claims.count(), paid.dollars()));
        let mut adjusted = Amount::ZERO;
        for segment in transaction.body.iter().filter(|s| s.is("PLB")) {
            adjusted = adjusted + provider_adjustments(&mut page, segment);
        }
        if let (Some(amount), Some(bpr)) = (amount, &self.bpr)
            && !(paid - adjusted - amount).is_zero()
        {
            reading.findings.push(transaction.warning("out_of_balance", bpr, 2));
        }
        let cover = Cover {
            source_key: transaction.key(&[self.payer_id, self.number]),
            kind: Kind::Claim,
            resource_type: "PaymentReconciliation",
            patient: None,
            title,
            author: self.payer.as_ref().map(|payer| payer.name.clone()),
            effective: day.and_then(|day| day.start),
        };
        reading.documents.push(page.finish(transaction, cover));
    }

    fn payer_name(&self) -> String {
        let name = self.payer.as_ref().map(|payer| payer.name.clone()).filter(|name| !name.is_empty());
        name.unwrap_or_else(|| "an unnamed payer".to_owned())
    }
}

fn means(bpr: Option<Segment<'_>>, number: &str, day: Option<&dates::Period>) -> String {
    let means = match bpr.as_ref().map(|bpr| bpr.get(4)) {
        Some("ACH") => "electronic transfer",
        Some("CHK") => "check",
        Some("FWT") => "wire transfer",
        Some("NON") => "no payment made",
        _ => "payment",
    };
    let number = if number.is_empty() { String::new() } else { format!(" {number}") };
    let day = day.map(|day| format!(" of {}", day.words)).unwrap_or_default();
    format!("{means}{number}{day}")
}

/// Pairs of reason and amount of a `PLB`; an amount above zero lowers the payment.
fn provider_adjustments(page: &mut Page<'_>, segment: &Segment<'_>) -> Amount {
    let mut sum = Amount::ZERO;
    for element in (3..=13).step_by(2) {
        let (reason, reference) = (segment.component(element, 1), segment.component(element, 2));
        let Some(amount) = Amount::parse(segment.get(element + 1)) else { continue };
        sum = sum + amount;
        let effect = if amount.is_negative() { "adds" } else { "takes off" };
        let magnitude = if amount.is_negative() { -amount } else { amount };
        let reference = if reference.is_empty() { String::new() } else { format!(", reference {reference}") };
        let reason = codes::PROVIDER_ADJUSTMENT.coded(reason);
        page.push(&format!("Provider-level adjustment {effect} {}: {reason}{reference}", magnitude.dollars()));
    }
    sum
}

struct RemittedClaim<'s, 'a> {
    payment: &'s Payment<'s, 'a>,
    clp: Segment<'a>,
    /// Before the first service.
    own: &'s [Segment<'a>],
    services: Vec<&'s [Segment<'a>]>,
    adjustments: Vec<Adjustment<'a>>,
}

impl<'s, 'a> RemittedClaim<'s, 'a> {
    fn of(payment: &'s Payment<'s, 'a>, whole: &'s [Segment<'a>]) -> Self {
        let clp = whole.first().copied().unwrap_or(payment.transaction.envelope.st);
        let own = before(whole.get(1..).unwrap_or_default(), &["SVC"]);
        Self { payment, clp, own, services: from_each(whole, "SVC"), adjustments: adjustments::among(own) }
    }

    fn number(&self) -> &'a str {
        self.clp.get(1)
    }

    fn charge(&self) -> Option<Amount> {
        Amount::parse(self.clp.get(3))
    }

    fn paid(&self) -> Option<Amount> {
        Amount::parse(self.clp.get(4))
    }

    fn all_adjustments(&self) -> Vec<Adjustment<'a>> {
        let lines = self.services.iter().flat_map(|service| adjustments::among(service));
        self.adjustments.iter().copied().chain(lines).collect()
    }

    /// Payer's trace, the claim at the payer, its status; repeats are told apart by their place.
    fn key(&self) -> String {
        let (payment, transaction) = (self.payment, self.payment.transaction);
        let claim = self.clp.given(7).unwrap_or(self.number());
        transaction.key(&[payment.payer_id, payment.number, claim, self.clp.get(2)])
    }

    fn effective(&self) -> Option<Timestamp> {
        let day = |segment: &Segment<'_>| dates::period(segment.get(2)).and_then(|period| period.start);
        let service = self.services.iter().flat_map(|s| s.iter()).filter(|s| s.is("DTM"));
        let service = service.filter(|s| matches!(s.get(1), "472" | "150")).filter_map(day).min();
        let own = || self.own.iter().filter(|s| s.is("DTM") && matches!(s.get(1), "232" | "472")).find_map(day);
        service.or_else(own)
    }

    /// What became of it, in one word.
    fn outcome(&self) -> &'static str {
        let status = self.clp.get(2);
        let paid = self.paid().unwrap_or_default();
        match status {
            "22" => "reversed",
            "23" => "forwarded",
            "25" => "predetermined",
            "4" => "denied",
            "5" | "10" | "13" | "15" | "16" | "17" => "pending",
            _ if !paid.is_zero() => "paid",
            _ if self.is_denied() => "denied",
            _ => "paid nothing",
        }
    }

    /// Nothing paid although reasons other than the patient's ordinary share cover the charge.
    fn is_denied(&self) -> bool {
        let charge = self.charge().unwrap_or_default();
        let refused: Amount =
            self.all_adjustments().iter().filter(|a| !a.is_cost_share()).map(Adjustment::amount).sum();
        !charge.is_zero() && refused >= charge
    }

    fn read(&self, reading: &mut Reading) {
        let transaction = self.payment.transaction;
        self.check(reading);
        let mut page = Page::new(transaction);
        let title = self.first_line(&mut page);
        let patient = self.people(&mut page, reading);
        page.labelled("Payer", self.payment.payer.as_ref().and_then(Party::words));
        page.labelled("Payee", self.payment.payee.as_ref().and_then(Party::words));
        page.labelled("Payment", Some(&self.payment.words));
        self.details(&mut page);
        for (ordinal, service) in self.services.iter().enumerate() {
            self.service(&mut page, service, ordinal + 1);
        }
        let cover = Cover {
            source_key: self.key(),
            kind: Kind::Claim,
            resource_type: "ExplanationOfBenefit",
            patient,
            title,
            author: self.payment.payer.as_ref().map(|payer| payer.name.clone()),
            effective: self.effective(),
        };
        reading.documents.push(page.finish(transaction, cover));
    }

    fn first_line(&self, page: &mut Page<'_>) -> String {
        let clp = &self.clp;
        let number = if self.number().is_empty() { "without a number" } else { self.number() };
        let outcome = self.outcome();
        let day = self.effective().map(|day| format!(", service {}", day.date())).unwrap_or_default();
        let status = codes::CLAIM_STATUS.words(clp.get(2));
        let share =
            clp.given(5).map(|share| format!(", patient responsibility {}", dollars(share))).unwrap_or_default();
        let (charge, paid) = (dollars(clp.get(3)), dollars(clp.get(4)));
        let line = match outcome {
            "reversed" => {
                let back = |amount: Option<Amount>| amount.map(|amount| (-amount).dollars()).unwrap_or_default();
                let (paid, charge) = (back(self.paid()), back(self.charge()));
                format!("Reversal of claim {number}: the earlier payment of {paid} for {charge} billed is undone{day}")
            }
            "denied" => format!("Claim {number} was denied: billed {charge}, paid {paid}{share}{day} ({status})"),
            "paid nothing" => format!("Claim {number} was paid nothing: billed {charge}{share}{day} ({status})"),
            "paid" => format!("Claim {number} was paid {paid} of {charge} billed{share}{day} ({status})"),
            other => format!("Claim {number} ({other}): billed {charge}, paid {paid}{share}{day} ({status})"),
        };
        let fact = Statement {
            value: self.paid().map(|paid| FactValue::Quantity { value: paid.as_f64(), unit: Some("USD".to_owned()) }),
            status: Some(outcome.to_owned()),
            effective: self.effective(),
            ..statement(FactKind::Claim, format!("Remittance of claim {number}"))
        };
        page.state(&line, fact);
        format!("Remittance: {line}")
    }

    fn people(&self, page: &mut Page<'_>, reading: &mut Reading) -> Option<crate::domain::PatientId> {
        let transaction = self.payment.transaction;
        let mut patient = Person::find(self.own, &["QC"]);
        let insured = Person::find(self.own, &["IL"]);
        if let Some(patient) = &mut patient {
            let record = self.own.iter().find(|s| s.is("REF") && s.get(1) == "EA").and_then(|s| s.given(2));
            patient.record_number = record;
            patient.account = None;
        }
        page.labelled("Patient", patient.as_ref().and_then(Person::words));
        page.labelled("Subscriber", insured.as_ref().and_then(Person::words));
        for party in self.own.iter().filter(|s| s.is("NM1")).map(Party::of) {
            match party.role {
                "QC" | "IL" => {}
                // A correction is shown, but changes nobody's identity unseen.
                "74" => page.labelled("The payer corrected the insured's name or id to", party.words()),
                _ => page.labelled(&party.label(), party.words()),
            }
        }
        let id = patient.and_then(|patient| patient.patient(insured.as_ref(), transaction));
        if id.is_none() {
            reading.findings.push(transaction.error("patient_unidentified", &self.clp, 1));
        }
        id
    }

    fn details(&self, page: &mut Page<'_>) {
        page.labelled("Payer claim control number", self.clp.given(7));
        page.labelled("Claim filed with", self.clp.given(6).map(|code| codes::INSURANCE.words(code)));
        if let Some(group) = self.clp.given(11) {
            page.sensitive(codes::subject_of_group(group));
            page.push(&format!("Diagnosis-related group (DRG): {group}"));
        }
        page.sensitive(codes::subject_of_place(self.clp.get(8)).filter(|_| self.clp.get(8).len() == 2));
        for adjustment in &self.adjustments {
            page.push(&format!("Adjustment of the whole claim: {}", adjustment.words()));
        }
        for segment in self.own {
            match segment.id() {
                "AMT" => page.labelled(
                    &super::claim_lines::capitalized(&codes::AMOUNT.words(segment.get(1))),
                    Some(dollars(segment.get(2))),
                ),
                "MIA" => remarks(page, segment, &[5, 20, 21, 22, 23]),
                "MOA" => remarks(page, segment, &[3, 4, 5, 6, 7]),
                "REF" => reference_line(page, segment),
                "DTM" => {
                    if let Some(period) = dates::period(segment.get(2)) {
                        page.push(&format!("Date, {}: {}", codes::DATE.words(segment.get(1)), period.words));
                    }
                }
                _ => {}
            }
        }
    }

    fn service(&self, page: &mut Page<'_>, segments: &[Segment<'a>], ordinal: usize) {
        let Some(svc) = segments.first() else { return };
        let number = segments.iter().find(|s| s.is("REF") && s.get(1) == "6R").and_then(|s| s.given(2));
        let number = number.map(|number| format!(" (line id {number})")).unwrap_or_default();
        let name = format!("Line {ordinal} of claim {}{number}", self.number());
        let procedure = Procedure::of(svc, 1);
        if let Some(procedure) = &procedure {
            procedure.betray(page);
        }
        page.sensitive(svc.given(4).and_then(codes::subject_of_revenue));
        let first = segments.iter().find(|s| s.is("DTM") && matches!(s.get(1), "472" | "150"));
        let when = first.and_then(|s| dates::period(s.get(2)));
        let allowed = segments.iter().find(|s| s.is("AMT") && s.get(1) == "B6").map(|s| dollars(s.get(2)));
        let adjusted = adjustments::among(segments);
        let parts = [
            procedure.as_ref().map(Procedure::words),
            svc.given(4).map(|revenue| format!("revenue code {revenue}")),
            quantity(svc.get(5), "UN"),
            when.as_ref().map(|when| when.words.clone()),
            Some(format!("billed {}, paid {}", dollars(svc.get(2)), dollars(svc.get(3)))),
            allowed.map(|allowed| format!("allowed {allowed}")),
            adjustments::list(&adjusted).map(|words| format!("adjusted by {words}")),
            Procedure::of(svc, 6).map(|submitted| format!("submitted as {}", submitted.words())),
        ];
        let line = format!("{name}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        let paid = Amount::parse(svc.get(3));
        let fact = Statement {
            system: procedure.as_ref().and_then(Procedure::system).map(str::to_owned),
            code: procedure.as_ref().map(|procedure| procedure.code.to_owned()),
            value: paid.map(|paid| FactValue::Quantity { value: paid.as_f64(), unit: Some("USD".to_owned()) }),
            status: Some(self.outcome().to_owned()),
            effective: when.and_then(|when| when.start),
            ..statement(FactKind::Claim, procedure.map_or_else(|| name.clone(), |procedure| procedure.name()))
        };
        page.state(&line, fact);
        for remark in segments.iter().filter(|s| s.is("LQ") && s.get(1) == "HE") {
            page.push(&format!("{name}, remark {}: {}", remark.get(2), codes::REMARK.words(remark.get(2))));
        }
    }

    fn check(&self, reading: &mut Reading) {
        let transaction = self.payment.transaction;
        let clp = &self.clp;
        if self.number().is_empty() {
            reading.findings.push(transaction.error("required_field", clp, 1));
        }
        let (Some(charge), Some(paid)) = (self.charge(), self.paid()) else {
            return reading.findings.push(transaction.error("invalid_amount", clp, 3));
        };
        // A predetermination or a forwarded claim pays nothing and need not balance.
        if !matches!(clp.get(2), "23" | "25") {
            let adjusted = adjustments::total(&self.all_adjustments());
            if !(charge - adjusted - paid).is_zero() {
                reading.findings.push(transaction.warning("out_of_balance", clp, 4));
            }
        }
        for svc in self.services.iter().filter_map(|service| service.first().zip(Some(service))) {
            let (Some(charge), Some(paid)) = (Amount::parse(svc.0.get(2)), Amount::parse(svc.0.get(3))) else {
                reading.findings.push(transaction.warning("invalid_amount", svc.0, 2));
                continue;
            };
            if !(charge - adjustments::total(&adjustments::among(svc.1)) - paid).is_zero() {
                reading.findings.push(transaction.warning("out_of_balance", svc.0, 3));
            }
        }
    }
}

fn remarks(page: &mut Page<'_>, segment: &Segment<'_>, elements: &[usize]) {
    for code in elements.iter().filter_map(|element| segment.given(*element)) {
        page.push(&format!("Remark {code}: {}", codes::REMARK.words(code)));
    }
}
