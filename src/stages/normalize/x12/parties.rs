//! Who takes part: `NM1` and `N1` with what follows them, and whose chart a record belongs to.
//!
//! A member id is shared by a family and the subscriber is not the patient, so a person is the member id
//! *and* the name: a dependent's claim can't show in the subscriber's chart, whoever left the subscriber out.

use sha2::{Digest, Sha256};

use crate::domain::PatientId;
use crate::stages::normalize::tidy;

use super::codes;
use super::dates;
use super::segments::Segment;
use super::transaction::Transaction;

const MAX_NAME: usize = 160;

/// A person or organization as one segment names it.
#[derive(Clone, Debug, Default)]
pub(super) struct Party<'a> {
    /// `85`, `QC`, `PR`
    pub role: &'a str,
    pub name: String,
    pub last: &'a str,
    pub first: &'a str,
    pub suffix: &'a str,
    /// Kind of the id: `XX` NPI, `MI` member.
    pub id_kind: &'a str,
    pub id: &'a str,
}

impl<'a> Party<'a> {
    /// Of an `NM1`, or of an `N1`.
    pub fn of(segment: &Segment<'a>) -> Self {
        if segment.is("N1") {
            let name = tidy::bounded(segment.get(2), MAX_NAME);
            let (id_kind, id) = (segment.get(3), segment.get(4));
            return Self { role: segment.get(1), name, id_kind, id, ..Self::default() };
        }
        let (last, first, middle, suffix) = (segment.get(3), segment.get(4), segment.get(5), segment.get(7));
        let name =
            [first, middle, last, suffix].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        Self {
            role: segment.get(1),
            name: tidy::bounded(&name, MAX_NAME),
            last,
            first,
            suffix,
            id_kind: segment.get(8),
            id: segment.get(9),
        }
    }

    pub fn label(&self) -> String {
        codes::PARTY.meaning(self.role).map_or_else(|| format!("Party {}", tidy::bounded(self.role, 10)), str::to_owned)
    }

    /// `MEDICAL GROUP (NPI 1234567890)`; nothing when it has neither name nor id.
    pub fn words(&self) -> Option<String> {
        let id = self.id_words();
        match (self.name.is_empty(), id) {
            (false, Some(id)) => Some(format!("{} ({id})", self.name)),
            (false, None) => Some(self.name.clone()),
            (true, Some(id)) => Some(id),
            (true, None) => None,
        }
    }

    fn id_words(&self) -> Option<String> {
        let kind = match self.id_kind {
            "34" => return None,
            "XX" => "NPI",
            "MI" | "II" => "member id",
            "PI" => "payer id",
            "XV" => "plan id",
            "24" | "FI" => "tax id",
            "46" => "submitter id",
            "SV" => "provider number",
            "" | "ZZ" => "id",
            _ => "id",
        };
        (!self.id.is_empty()).then(|| format!("{kind} {}", tidy::bounded(self.id, 80)))
    }

    pub fn npi(&self) -> Option<&'a str> {
        (self.id_kind == "XX" && !self.id.is_empty()).then_some(self.id)
    }

    pub fn member_id(&self) -> Option<&'a str> {
        (!matches!(self.id_kind, "34" | "XX" | "FI" | "24") && !self.id.is_empty()).then_some(self.id)
    }
}

/// Somebody insured, as far as a level tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Person<'a> {
    pub party: Party<'a>,
    pub born: Option<String>,
    pub sex: Option<&'static str>,
    pub died: Option<String>,
    /// `EA`, the number of the provider's own chart.
    pub record_number: Option<&'a str>,
    /// `EJ`, where it numbers the patient and not the claim.
    pub account: Option<&'a str>,
}

impl<'a> Person<'a> {
    /// The first party of one of these roles, with what follows it until the next party.
    pub fn find(segments: &[Segment<'a>], roles: &[&str]) -> Option<Self> {
        let at = segments.iter().position(|segment| segment.is("NM1") && roles.contains(&segment.get(1)))?;
        let mut person = Self { party: Party::of(segments.get(at)?), ..Self::default() };
        for segment in segments.iter().skip(at + 1).take_while(|segment| !matches!(segment.id(), "NM1" | "CLM" | "HL"))
        {
            person.detail(segment);
        }
        Some(person)
    }

    pub fn detail(&mut self, segment: &Segment<'a>) {
        match segment.id() {
            "DMG" => {
                self.born = dates::day(segment.get(2)).or(self.born.take());
                self.sex = match segment.get(3) {
                    "F" => Some("female"),
                    "M" => Some("male"),
                    "U" => Some("sex unknown"),
                    _ => self.sex,
                };
            }
            "PAT" if segment.get(5) == "D8" => self.died = dates::day(segment.get(6)),
            "REF" if segment.get(1) == "EA" => self.record_number = segment.given(2),
            "REF" if segment.get(1) == "EJ" => self.account = segment.given(2),
            _ => {}
        }
    }

    /// `JANE DOE, born 1985-10-31, female`
    pub fn words(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.party.words());
        parts.extend(self.born.as_ref().map(|born| format!("born {born}")));
        parts.extend(self.sex.map(str::to_owned));
        parts.extend(self.died.as_ref().map(|died| format!("died {died}")));
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Whose chart this is: the provider's own number, else the member id with the name, else name and birth.
    pub fn patient(&self, subscriber: Option<&Person<'a>>, transaction: &Transaction<'a>) -> Option<PatientId> {
        self.local_id(subscriber, transaction).map(|local| transaction.patient(&local))
    }

    pub fn local_id(&self, subscriber: Option<&Person<'a>>, transaction: &Transaction<'a>) -> Option<String> {
        let plain = |value: &str| Some(transaction.key_part(value)).filter(|part| part != "-");
        if let Some(number) = self.record_number.or(self.account).and_then(plain) {
            return Some(number);
        }
        let name = self.name_key()?;
        let member = self.party.member_id().or_else(|| subscriber.and_then(|subscriber| subscriber.party.member_id()));
        if let Some(member) = member.and_then(plain) {
            return Some(format!("{member}-{}", fingerprint(&name, 8)));
        }
        let born = self.born.as_ref()?;
        Some(format!("person-{}", fingerprint(&format!("{name}|{born}"), 16)))
    }

    /// Last, first and suffix in bare capitals; `None` without a name.
    fn name_key(&self) -> Option<String> {
        let bare =
            |part: &str| part.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect::<String>();
        let party = &self.party;
        let (last, first) = (bare(party.last), bare(party.first));
        (!last.is_empty() || !first.is_empty()).then(|| format!("{last}|{first}|{}", bare(party.suffix)))
    }
}

/// Hex digits that tell people apart without naming them: few within a family, more without its number.
fn fingerprint(text: &str, length: usize) -> String {
    hex::encode(Sha256::digest(text)).chars().take(length).collect()
}
