//! The inside of a claim: diagnoses, dates, references, notes and service lines (loops 2300 and 2400).

use crate::domain::{FactKind, Finding, Timestamp};
use crate::stages::normalize::lines::Statement;

use super::amounts::{Amount, dollars};
use super::page::{CPT, HCPCS, ICD_9, ICD_10, Page, statement};
use super::parties::Party;
use super::segments::Segment;
use super::transaction::Transaction;
use super::{Reading, adjustments, codes, dates};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Professional,
    Institutional,
    Dental,
    Unknown,
}

impl Form {
    /// By the implementation, else by the kind of the service lines.
    pub fn of(implementation: &str, lines: &[Segment<'_>]) -> Self {
        // Of version 5010, then of 4010.
        let guides = [
            ("X222", Self::Professional),
            ("X223", Self::Institutional),
            ("X224", Self::Dental),
            ("X098", Self::Professional),
            ("X096", Self::Institutional),
            ("X097", Self::Dental),
        ];
        if let Some((_, form)) = guides.into_iter().find(|(guide, _)| implementation.contains(guide)) {
            return form;
        }
        let by_line = lines.iter().find_map(|segment| match segment.id() {
            "SV1" => Some(Self::Professional),
            "SV2" => Some(Self::Institutional),
            "SV3" => Some(Self::Dental),
            _ => None,
        });
        by_line.unwrap_or(Self::Unknown)
    }

    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Professional => Some("professional"),
            Self::Institutional => Some("institutional"),
            Self::Dental => Some("dental"),
            Self::Unknown => None,
        }
    }
}

/// The lines: each begins at `LX`, or at the service itself where `LX` was left out.
pub(super) fn split<'s, 'a>(segments: &'s [Segment<'a>]) -> Vec<&'s [Segment<'a>]> {
    let is_service = |segment: &Segment<'_>| matches!(segment.id(), "SV1" | "SV2" | "SV3");
    let mut starts = Vec::new();
    let mut has_service = false;
    for (at, segment) in segments.iter().enumerate() {
        if segment.is("LX") || (is_service(segment) && (has_service || starts.is_empty())) {
            starts.push(at);
            has_service = false;
        }
        has_service |= is_service(segment);
    }
    let ends = starts.iter().skip(1).copied().chain([segments.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| segments.get(*start..end)).collect()
}

#[derive(Clone, Debug)]
pub(super) struct Diagnosis {
    pub code: String,
    system: &'static str,
    role: &'static str,
    on_admission: Option<&'static str>,
}

impl Diagnosis {
    pub fn betray(&self, page: &mut Page<'_>) {
        page.sensitive_code(self.system, &self.code, "");
        page.sensitive(codes::subject_of_icd_9(&self.code).filter(|_| self.system == ICD_9));
    }

    pub fn render(&self, page: &mut Page<'_>, effective: Option<Timestamp>) {
        let version = if self.system == ICD_10 { "ICD-10-CM" } else { "ICD-9-CM" };
        let presence = self.on_admission.map(|words| format!(", {words}")).unwrap_or_default();
        let line = format!("Diagnosis claimed: {} ({version}, {}{presence})", self.code, self.role);
        self.betray(page);
        let fact = Statement {
            system: Some(self.system.to_owned()),
            code: Some(self.code.clone()),
            status: Some("claimed".to_owned()),
            effective,
            ..statement(FactKind::Condition, format!("{version} {}", self.code))
        };
        page.state(&line, fact);
    }
}

/// ICD codes come without their dot.
pub(super) fn dotted(code: &str, system: &str) -> String {
    let plain: String =
        code.chars().filter(|c| c.is_ascii_alphanumeric()).take(10).collect::<String>().to_ascii_uppercase();
    let at = if system == ICD_9 && plain.starts_with('E') { 4 } else { 3 };
    match plain.split_at_checked(at) {
        Some((category, rest)) if !rest.is_empty() => format!("{category}.{rest}"),
        _ => plain,
    }
}

/// In the order that service lines point at them.
pub(super) fn diagnoses(
    segments: &[Segment<'_>],
    transaction: &Transaction<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Diagnosis> {
    let mut found = Vec::new();
    for segment in segments.iter().filter(|segment| segment.is("HI")) {
        for (element, composite) in segment.elements().enumerate().filter(|(_, composite)| !composite.is_empty()) {
            let parts: Vec<&str> = segment.components(composite).collect();
            let part = |at: usize| parts.get(at).copied().unwrap_or_default();
            if part(1).is_empty() {
                findings.push(transaction.warning("code_format", segment, element + 1));
                continue;
            }
            let Some(role) = codes::DIAGNOSIS.meaning(part(0)) else { continue };
            let system = if part(0).starts_with('A') { ICD_10 } else { ICD_9 };
            let on_admission = codes::PRESENT_ON_ADMISSION.meaning(part(8));
            found.push(Diagnosis { code: dotted(part(1), system), system, role, on_admission });
        }
    }
    found
}

/// What else `HI` holds: procedures, groups, occurrences, values, conditions.
pub(super) fn coded_information(page: &mut Page<'_>, segments: &[Segment<'_>]) {
    for segment in segments.iter().filter(|segment| segment.is("HI")) {
        for composite in segment.elements() {
            let parts: Vec<&str> = segment.components(composite).collect();
            let part = |at: usize| parts.get(at).copied().unwrap_or_default();
            let when = dates::period(part(3)).map(|period| format!(" on {}", period.words)).unwrap_or_default();
            let code = part(1);
            if code.is_empty() {
                continue;
            }
            match part(0) {
                "BBR" | "BBQ" | "BR" | "BQ" => procedure(page, part(0), code, &when, part(3)),
                "BP" => page.push(&format!("Anesthesia-related procedure claimed: {code}")),
                "DR" => {
                    page.sensitive(codes::subject_of_group(code));
                    page.push(&format!("Diagnosis-related group (DRG): {code}"));
                }
                "BH" => page.push(&format!("Occurrence code {code}{when}")),
                "BI" => page.push(&format!("Occurrence span code {code}{when}")),
                "BE" => page.push(&format!("Value code {code}: {}", dollars(part(4)))),
                "BG" => page.push(&format!("Condition code {code}")),
                "TC" => page.push(&format!("Treatment code {code}")),
                _ => {}
            }
        }
    }
}

fn procedure(page: &mut Page<'_>, qualifier: &str, code: &str, when: &str, date: &str) {
    let role = if matches!(qualifier, "BBR" | "BR") { "principal" } else { "other" };
    let (version, system) = match qualifier {
        "BBR" | "BBQ" => ("ICD-10-PCS", "http://www.cms.gov/Medicare/Coding/ICD10"),
        _ => ("ICD-9-CM procedure", ICD_9),
    };
    let fact = Statement {
        system: Some(system.to_owned()),
        code: Some(code.to_owned()),
        status: Some("claimed".to_owned()),
        effective: dates::period(date).and_then(|period| period.start),
        ..statement(FactKind::Procedure, format!("{version} {code}"))
    };
    page.state(&format!("Procedure claimed: {code} ({version}, {role}){when}"), fact);
}

/// Dates, references, amounts, admission and notes of the claim itself.
pub(super) fn claim_details(
    page: &mut Page<'_>,
    segments: &[Segment<'_>],
    transaction: &Transaction<'_>,
    findings: &mut Vec<Finding>,
) {
    for segment in segments {
        match segment.id() {
            "DTP" => date_line(page, "", segment, transaction, findings),
            "REF" => reference_line(page, segment),
            "AMT" => page.labelled(&capitalized(&codes::AMOUNT.words(segment.get(1))), Some(dollars(segment.get(2)))),
            "CL1" => admission(page, segment),
            "NTE" => {
                let kind = codes::NOTE.meaning(segment.get(1)).unwrap_or("note");
                page.labelled(&format!("Claim note, {kind}"), segment.given(2));
                page.sensitive_code("", "", segment.get(2));
            }
            "PWK" => page.push("An attachment to the claim was announced"),
            _ => {}
        }
    }
}

fn admission(page: &mut Page<'_>, segment: &Segment<'_>) {
    page.labelled("Admission type", codes::ADMISSION_TYPE.given(segment.get(1)));
    page.labelled("Patient's discharge status", codes::DISCHARGE.given(segment.get(3)));
}

/// `DTP`: qualifier, format, date. `prefix` says whose: `Line 1 `.
pub(super) fn date_line(
    page: &mut Page<'_>,
    prefix: &str,
    segment: &Segment<'_>,
    transaction: &Transaction<'_>,
    findings: &mut Vec<Finding>,
) {
    let kind = codes::DATE.words(segment.get(1));
    if let Some(clock) = Some(segment.get(3)).filter(|_| segment.get(2) == "TM").and_then(dates::clock) {
        return page.push(&format!("{prefix}time, {kind}: {clock}"));
    }
    match dates::period(segment.get(3)) {
        Some(period) if prefix.is_empty() => page.push(&format!("Date, {kind}: {}", period.words)),
        Some(period) => page.push(&format!("{prefix}date, {kind}: {}", period.words)),
        None => findings.push(transaction.warning("invalid_date", segment, 3)),
    }
}

/// A reference that says something to people; what numbers patients or persons is left out.
pub(super) fn reference_line(page: &mut Page<'_>, segment: &Segment<'_>) {
    if let Some(kind) = codes::REFERENCE.meaning(segment.get(1)).filter(|_| segment.get(1) != "F8") {
        page.labelled(&capitalized(kind), segment.given(2));
    }
}

pub(super) fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A procedure composite: `HC:99213:25::::office visit`.
#[derive(Clone, Debug, Default)]
pub(super) struct Procedure<'a> {
    pub kind: &'a str,
    pub code: &'a str,
    pub modifiers: Vec<&'a str>,
    pub description: &'a str,
}

impl<'a> Procedure<'a> {
    pub fn of(segment: &Segment<'a>, element: usize) -> Option<Self> {
        let parts: Vec<&str> = segment.components(segment.get(element)).collect();
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        let modifiers = (2..6).map(part).filter(|modifier| !modifier.is_empty()).collect();
        let found = Self { kind: part(0), code: part(1), modifiers, description: part(6) };
        (!found.code.is_empty()).then_some(found)
    }

    pub fn system(&self) -> Option<&'static str> {
        let numeric = self.code.len() == 5 && self.code.starts_with(|c: char| c.is_ascii_digit());
        match self.kind {
            "HC" if numeric => Some(CPT),
            "HC" => Some(HCPCS),
            "AD" => Some("http://www.ada.org/cdt"),
            "N4" => Some("http://hl7.org/fhir/sid/ndc"),
            _ => None,
        }
    }

    /// The sender's own description with the code, else the code alone: code texts are licensed.
    pub fn name(&self) -> String {
        if self.description.is_empty() { self.code.to_owned() } else { format!("{} ({})", self.description, self.code) }
    }

    pub fn words(&self) -> String {
        match self.modifiers.as_slice() {
            [] => self.name(),
            [one] => format!("{} [modifier {one}]", self.name()),
            several => format!("{} [modifiers {}]", self.name(), several.join(", ")),
        }
    }

    pub fn betray(&self, page: &mut Page<'_>) {
        page.sensitive(codes::subject_of_procedure(self.code));
        page.sensitive_code("", "", self.description);
    }
}

/// `5 units`, `60 minutes`
pub(super) fn quantity(count: &str, unit: &str) -> Option<String> {
    let count = Amount::parse(count)?;
    let unit = match unit {
        "" | "UN" => "units",
        other => codes::UNIT.meaning(other).unwrap_or(other),
    };
    let unit = if count.to_string() == "1" { unit.strip_suffix('s').unwrap_or(unit) } else { unit };
    Some(format!("{count} {unit}"))
}

/// What the service segment of one line says, whatever its form.
struct Service<'a> {
    procedure: Option<Procedure<'a>>,
    revenue: &'a str,
    charge: &'a str,
    quantity: Option<String>,
    place: &'a str,
    pointers: &'a str,
    segment: Segment<'a>,
    detail: Option<String>,
}

fn service<'a>(line: &[Segment<'a>]) -> Option<Service<'a>> {
    let segment = *line.iter().find(|segment| matches!(segment.id(), "SV1" | "SV2" | "SV3"))?;
    let get = |element: usize| segment.get(element);
    let service =
        |procedure: usize, charge: usize, place: &'a str, pointers: &'a str, quantity: Option<String>| Service {
            procedure: Procedure::of(&segment, procedure),
            revenue: "",
            charge: get(charge),
            quantity,
            place,
            pointers,
            segment,
            detail: None,
        };
    Some(match segment.id() {
        "SV1" => {
            let detail = (get(9) == "Y").then(|| "emergency".to_owned());
            Service { detail, ..service(1, 2, get(5), get(7), quantity(get(4), get(3))) }
        }
        "SV2" => {
            let detail = Amount::parse(get(7)).map(|amount| format!("{} not covered", amount.dollars()));
            Service { revenue: get(1), detail, ..service(2, 3, "", "", quantity(get(5), get(4))) }
        }
        _ => {
            let teeth: Vec<String> = line.iter().filter(|s| s.is("TOO")).map(tooth).collect();
            let detail = (!teeth.is_empty()).then(|| teeth.join(", "));
            Service { detail, ..service(1, 2, get(3), get(11), quantity(get(6), "UN")) }
        }
    })
}

fn tooth(segment: &Segment<'_>) -> String {
    let surfaces: Vec<&str> = segment.components(segment.get(3)).filter(|part| !part.is_empty()).collect();
    match surfaces.as_slice() {
        [] => format!("tooth {}", segment.get(2)),
        surfaces => format!("tooth {} surface {}", segment.get(2), surfaces.join("")),
    }
}

pub(super) fn charge(line: &[Segment<'_>]) -> Option<Amount> {
    Amount::parse(service(line)?.charge)
}

/// What a line has from its claim.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub form: Form,
    pub place: &'a str,
    /// The claim's number.
    pub claim: &'a str,
}

/// One service line and what belongs to it.
pub(super) fn render(
    page: &mut Page<'_>,
    line: &[Segment<'_>],
    ordinal: usize,
    setting: Setting<'_>,
    diagnoses: &[Diagnosis],
    (transaction, reading): (&Transaction<'_>, &mut Reading),
) {
    let number = line.first().filter(|s| s.is("LX")).and_then(|s| s.given(1));
    let name = format!("Line {}", number.map_or_else(|| ordinal.to_string(), str::to_owned));
    let Some(service) = service(line) else {
        if let Some(first) = line.first() {
            reading.findings.push(transaction.error("service_missing", first, 1));
        }
        return;
    };
    let when = line.iter().find(|s| s.is("DTP") && s.get(1) == "472").and_then(|s| dates::period(s.get(3)));
    statement_of(page, &name, &service, setting, diagnoses, when);
    details(page, &name, line, transaction, reading);
}

fn statement_of(
    page: &mut Page<'_>,
    name: &str,
    service: &Service<'_>,
    Setting { form, place: claim_place, claim }: Setting<'_>,
    diagnoses: &[Diagnosis],
    when: Option<dates::Period>,
) {
    let procedure = service.procedure.as_ref();
    if let Some(procedure) = procedure {
        procedure.betray(page);
    }
    page.sensitive(codes::subject_of_place(service.place));
    page.sensitive(codes::subject_of_revenue(service.revenue).filter(|_| !service.revenue.is_empty()));
    let place = if service.place.is_empty() { claim_place } else { service.place };
    let pointed: Vec<&str> = service
        .segment
        .components(service.pointers)
        .filter_map(|pointer| diagnoses.get(pointer.parse::<usize>().ok()?.checked_sub(1)?))
        .map(|diagnosis| diagnosis.code.as_str())
        .collect();
    let parts = [
        procedure.map(Procedure::words),
        (!service.revenue.is_empty()).then(|| format!("revenue code {}", service.revenue)),
        service.quantity.clone(),
        (!service.charge.is_empty()).then(|| dollars(service.charge)),
        if form == Form::Institutional { None } else { codes::PLACE.meaning(place).map(str::to_owned) },
        when.as_ref().map(|when| when.words.clone()),
        service.detail.clone(),
        (!pointed.is_empty()).then(|| format!("for {}", pointed.join(", "))),
    ];
    let line = format!("{name} of claim {claim}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    let Some(procedure) = procedure else { return page.push(&line) };
    let fact = Statement {
        system: procedure.system().map(str::to_owned),
        code: Some(procedure.code.to_owned()),
        status: Some("claimed".to_owned()),
        effective: when.and_then(|when| when.start),
        ..statement(FactKind::Procedure, procedure.name())
    };
    page.state(&line, fact);
}

fn details(
    page: &mut Page<'_>,
    name: &str,
    line: &[Segment<'_>],
    transaction: &Transaction<'_>,
    reading: &mut Reading,
) {
    let mut other_payer = String::new();
    for (at, segment) in line.iter().enumerate() {
        match segment.id() {
            "DTP" if segment.get(1) == "472" && dates::period(segment.get(3)).is_some() => {}
            "DTP" => date_line(page, &format!("{name} "), segment, transaction, &mut reading.findings),
            "LIN" => drug(page, name, segment, line.get(at + 1)),
            "NTE" => page.labelled(&format!("{name} note"), segment.given(2)),
            "NM1" => {
                let party = Party::of(segment);
                page.labelled(&format!("{name}, {}", party.label().to_lowercase()), party.words());
            }
            "PRV" => page.sensitive(codes::subject_of_taxonomy(segment.get(3))),
            "SVD" => {
                other_payer = segment.get(1).to_owned();
                let paid = dollars(segment.get(2));
                page.push(&format!("{name}: another payer ({other_payer}) paid {paid}"));
            }
            "CAS" => {
                let words = adjustments::list(&adjustments::of(segment));
                page.labelled(&format!("{name}, adjusted by another payer ({other_payer})"), words);
            }
            _ => {}
        }
    }
}

/// `LIN**N4*` with its `CTP`.
fn drug(page: &mut Page<'_>, name: &str, segment: &Segment<'_>, next: Option<&Segment<'_>>) {
    let amount = next.filter(|next| next.is("CTP")).and_then(|ctp| quantity(ctp.get(4), ctp.component(5, 1)));
    let kind = if segment.get(2) == "N4" { "NDC " } else { "" };
    if let Some(code) = segment.given(3) {
        let amount = amount.map(|amount| format!(", {amount}")).unwrap_or_default();
        page.push(&format!("{name}, drug: {kind}{code}{amount}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_get_their_dot_back() {
        for (code, system, dotted_code) in [
            ("J020", ICD_10, "J02.0"),
            ("B20", ICD_10, "B20"),
            ("S52521A", ICD_10, "S52.521A"),
            ("J02.0", ICD_10, "J02.0"),
            ("1739", ICD_9, "173.9"),
            ("E8190", ICD_9, "E819.0"),
        ] {
            assert_eq!(dotted(code, system), dotted_code);
        }
    }

    #[test]
    fn one_unit_is_singular() {
        assert_eq!(quantity("1", "UN").as_deref(), Some("1 unit"));
        assert_eq!(quantity("60", "MJ").as_deref(), Some("60 minutes"));
        assert_eq!(quantity("", "UN"), None);
    }
}
