//! `834`: who is enrolled in which coverage, by their employer or sponsor; a document per member and coverage.
//!
//! A termination often names its end alone, so the coverage's begin is no part of the key: else the coverage
//! would stay active beside its own end.

use crate::domain::{FactKind, Kind, Timestamp, Unreadable};
use crate::stages::normalize::lines::Statement;

use super::claim::{before, from_each};
use super::claim_lines::{capitalized, reference_line};
use super::page::{Cover, Page, statement};
use super::parties::{Party, Person};
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Reading, codes, dates};

pub(super) fn read(transaction: &Transaction<'_>) -> Result<Reading, Unreadable> {
    let head = before(&transaction.body, &["INS"]);
    let party = |role: &str| head.iter().find(|s| s.is("N1") && s.get(1) == role).map(Party::of);
    let file = File { transaction, sponsor: party("P5"), insurer: party("IN") };
    let mut reading = Reading::default();
    for member in from_each(&transaction.body, "INS") {
        Member::of(&file, member).read(&mut reading);
    }
    if reading.documents.is_empty() {
        return Err(transaction.unreadable("a member (INS)"));
    }
    Ok(reading)
}

struct File<'s, 'a> {
    transaction: &'s Transaction<'a>,
    sponsor: Option<Party<'a>>,
    insurer: Option<Party<'a>>,
}

struct Member<'s, 'a> {
    file: &'s File<'s, 'a>,
    ins: Segment<'a>,
    /// Before the first coverage.
    own: &'s [Segment<'a>],
    coverages: Vec<&'s [Segment<'a>]>,
    person: Option<Person<'a>>,
    id: Option<String>,
}

impl<'s, 'a> Member<'s, 'a> {
    fn of(file: &'s File<'s, 'a>, whole: &'s [Segment<'a>]) -> Self {
        let ins = whole.first().copied().unwrap_or(file.transaction.envelope.st);
        let own = before(whole.get(1..).unwrap_or_default(), &["HD"]);
        let mut person = Person::find(own, &["IL", "74"]);
        if let Some(person) = &mut person {
            person.account = None;
            person.died = ins.given(12).and_then(dates::day);
        }
        let mut member = Self { file, ins, own, coverages: from_each(whole, "HD"), person, id: None };
        member.id = member.local_id();
        member
    }

    fn reference(&self, kind: &str) -> Option<&'a str> {
        self.own.iter().filter(|s| s.is("REF") && s.get(1) == kind).find_map(|s| s.given(2))
    }

    /// The family's number with the person's name; the name alone isn't enough here.
    fn local_id(&self) -> Option<String> {
        let transaction = self.file.transaction;
        let person = self.person.as_ref()?;
        let family = self.reference("0F").or_else(|| self.reference("1L"));
        let mut with_number = person.clone();
        if with_number.party.member_id().is_none()
            && let Some(family) = family.filter(|number| transaction.key_part(number) != "-")
        {
            (with_number.party.id_kind, with_number.party.id) = ("MI", family);
        }
        with_number.local_id(None, transaction)
    }

    fn is_subscriber(&self) -> bool {
        self.ins.get(1) == "Y"
    }

    fn read(&self, reading: &mut Reading) {
        if self.id.is_none() {
            reading.findings.push(self.file.transaction.error("patient_unidentified", &self.ins, 1));
        }
        for segment in self.own.iter().chain(self.coverages.iter().flat_map(|coverage| coverage.iter())) {
            if segment.is("DTP") && dates::period(segment.get(3)).is_none() {
                reading.findings.push(self.file.transaction.warning("invalid_date", segment, 3));
            }
        }
        if self.coverages.is_empty() {
            reading.documents.push(self.document(&[]));
        }
        reading.documents.extend(self.coverages.iter().map(|coverage| self.document(coverage)));
    }

    fn document(&self, coverage: &[Segment<'a>]) -> crate::domain::Document {
        let transaction = self.file.transaction;
        let mut page = Page::new(transaction);
        let title = self.headline(&mut page, coverage);
        self.person_lines(&mut page);
        self.coverage_lines(&mut page, coverage);
        let sponsor = self.file.sponsor.as_ref();
        let sponsor_id = sponsor.map(|party| if party.id.is_empty() { party.name.as_str() } else { party.id });
        let product = coverage.first().map(|hd| hd.get(3)).unwrap_or_default();
        let number = self.reference("0F").unwrap_or_default();
        let person = self.id.clone().unwrap_or_default();
        let mut parts = vec![sponsor_id.unwrap_or_default(), number, &person];
        if !product.is_empty() {
            parts.push(product);
        }
        let cover = Cover {
            source_key: transaction.key(&parts),
            kind: Kind::Coverage,
            resource_type: "Coverage",
            patient: self.id.as_deref().map(|local| transaction.patient(local)),
            title,
            author: sponsor.map(|party| party.name.clone()),
            effective: self.effective(coverage),
        };
        page.finish(transaction, cover)
    }

    fn effective(&self, coverage: &[Segment<'a>]) -> Option<Timestamp> {
        let start = |s: &Segment<'_>| dates::period(s.get(3)).and_then(|period| period.start);
        let of = |segments: &[Segment<'a>], kinds: &[&str]| {
            segments.iter().filter(|s| s.is("DTP") && kinds.contains(&s.get(1))).find_map(start)
        };
        of(coverage, &["348", "303"])
            .or_else(|| of(coverage, &["349"]))
            .or_else(|| of(self.own, &["356", "303", "357"]))
    }

    fn headline(&self, page: &mut Page<'_>, coverage: &[Segment<'a>]) -> String {
        let hd = coverage.first();
        let product = hd.and_then(|hd| hd.given(3)).map(|code| capitalized(&codes::PRODUCT.words(code)));
        page.sensitive(hd.filter(|hd| hd.get(3) == "AK").map(|_| "PSY"));
        let product = product.map_or_else(|| "Enrolment".to_owned(), |product| format!("{product} coverage"));
        let action = hd.and_then(|hd| hd.given(1)).or_else(|| self.ins.given(3)).unwrap_or_default();
        let period = [("348", "begins"), ("349", "ends"), ("356", "eligible from"), ("357", "eligible until")];
        let period: Vec<String> = period
            .iter()
            .filter_map(|(kind, words)| {
                let dated = coverage.iter().chain(self.own).find(|s| s.is("DTP") && s.get(1) == *kind)?;
                Some(format!("{words} {}", dates::period(dated.get(3))?.words))
            })
            .collect();
        let status = self.status(action, coverage);
        let plan = hd.and_then(|hd| hd.given(4)).map(|plan| format!("plan {plan}"));
        let level = hd.and_then(|hd| hd.given(5)).map(|code| codes::COVERAGE_LEVEL.words(code));
        let maintenance = (!action.is_empty()).then(|| format!("file says {}", codes::MAINTENANCE.words(action)));
        let parts: Vec<String> =
            [Some(status.to_owned()), plan, level].into_iter().flatten().chain(period).chain(maintenance).collect();
        let line = format!("{product}: {}", parts.join(", "));
        let fact = Statement {
            status: Some(status.to_owned()),
            effective: self.effective(coverage),
            ..statement(FactKind::Coverage, product)
        };
        page.state(&line, fact);
        line
    }

    fn status(&self, action: &str, coverage: &[Segment<'a>]) -> &'static str {
        let ends = coverage.iter().chain(self.own).any(|s| s.is("DTP") && matches!(s.get(1), "349" | "357"));
        match action {
            "024" | "002" => "terminated",
            _ if self.ins.get(3) == "024" => "terminated",
            _ if ends => "ending",
            _ => "active",
        }
    }

    fn person_lines(&self, page: &mut Page<'_>) {
        page.labelled("Member", self.person.as_ref().and_then(Person::words));
        let relationship = codes::RELATIONSHIP.words(self.ins.get(2));
        let role = if self.is_subscriber() { "subscriber".to_owned() } else { format!("dependent ({relationship})") };
        page.labelled("Member is the", Some(role));
        page.labelled("Reason for the change", self.ins.given(4).map(|code| codes::MAINTENANCE_REASON.words(code)));
        page.labelled("Benefit status", self.ins.given(5).map(|code| codes::BENEFIT_STATUS.words(code)));
        page.labelled("Employment", self.ins.given(8).map(|code| codes::EMPLOYMENT.words(code)));
        page.labelled("Sponsor", self.file.sponsor.as_ref().and_then(Party::words));
        page.labelled("Insurer", self.file.insurer.as_ref().and_then(Party::words));
        if self.own.iter().any(|s| s.is("NM1") && s.get(1) == "70") {
            page.push("The member's name or id was corrected; earlier values were wrong");
        }
        for segment in before(self.own, &["NM1"]) {
            match segment.id() {
                "REF" if segment.get(1) != "SY" => reference_line(page, segment),
                "DTP" => date(page, segment),
                _ => {}
            }
        }
    }

    fn coverage_lines(&self, page: &mut Page<'_>, coverage: &[Segment<'a>]) {
        for segment in coverage {
            match segment.id() {
                "DTP" if !matches!(segment.get(1), "348" | "349") => date(page, segment),
                "REF" if segment.get(1) != "SY" => reference_line(page, segment),
                "NM1" => {
                    let party = Party::of(segment);
                    page.labelled(&party.label(), party.words());
                }
                "COB" => {
                    let order = codes::PAYER_ORDER.words(segment.get(1));
                    let policy = segment.given(2).map(|policy| format!(", policy {policy}")).unwrap_or_default();
                    page.push(&format!("Other coverage: {order}{policy}"));
                }
                _ => {}
            }
        }
    }
}

fn date(page: &mut Page<'_>, segment: &Segment<'_>) {
    if let Some(period) = dates::period(segment.get(3)) {
        page.push(&format!("Date, {}: {}", codes::DATE.words(segment.get(1)), period.words));
    }
}
