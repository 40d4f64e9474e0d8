//! What a message says of itself: its type, its trigger, when it was written.

use crate::domain::Timestamp;

use super::message::{Message, Part, Segment};
use super::times::{Moment, Zone};

/// How far the event's own time may lie beyond the message's before it is taken for a slip.
const TOLERANCE_S: i64 = 24 * 60 * 60;

/// Types that manage systems, stock or queries and say nothing of a patient's care.
const CARRY_NOTHING: [&str; 43] = [
    "ACK", "ADR", "BPS", "BTS", "CCF", "CCI", "EAC", "EAN", "EAR", "EHC", "ESR", "ESU", "INR", "INU", "LSR", "LSU",
    "MCF", "MDQ", "MFD", "MFK", "MFN", "MFQ", "MFR", "NMD", "NMQ", "NMR", "OSQ", "PMU", "QBP", "QCK", "QCN", "QRY",
    "QSB", "QSX", "QVR", "SDN", "SDR", "SLN", "SLR", "SQM", "SRR", "SSU", "VXQ",
];

#[derive(Debug)]
pub(super) struct Header {
    /// `ADT`
    pub kind: String,
    /// `A01`, or empty.
    pub trigger: String,
    /// `ADT^A01`, for people.
    pub name: String,
    pub control_id: Option<String>,
    pub zone: Zone,
    /// What orders the versions of all that the message brings.
    pub at: Option<Timestamp>,
    /// MSH-7.
    pub sent: Option<Timestamp>,
    /// When what it tells of happened: EVN-6.
    pub occurred: Option<Moment>,
}

impl Header {
    pub fn read(message: &Message<'_>) -> Option<Self> {
        let header = message.header()?;
        let event = message.segments.iter().find(|segment| segment.is("EVN"));
        let sent_text = header.text(7);
        let zone = Zone::of(sent_text.as_deref());
        let sent = sent_text.as_deref().and_then(|text| Moment::parse(text, &zone)).map(|moment| moment.instant);
        let of_event = |field: usize| {
            let text = event?.text(field)?;
            Moment::parse(&text, &zone)
        };
        let recorded = of_event(2).map(|moment| moment.instant);
        let (kind, trigger) = names(header, event);
        let name = if trigger.is_empty() { kind.clone() } else { format!("{kind}^{trigger}") };
        let occurred = of_event(6);
        let at = trusted(recorded, sent);
        Some(Self { kind, trigger, name, control_id: header.text(10), zone, at, sent, occurred })
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    pub fn is_event(&self, kind: &str, triggers: &[&str]) -> bool {
        self.kind == kind && triggers.contains(&self.trigger.as_str())
    }

    /// Whether messages of its type never say anything of a patient's care.
    pub fn carries_nothing(&self) -> bool {
        CARRY_NOTHING.contains(&self.kind.as_str())
            || self.is_event("SIU", &["S23", "S24"])
            || self.is_event("ADT", &["A19", "A20"])
    }

    pub fn moment(&self, part: Part<'_>) -> Option<Moment> {
        Moment::parse(&part.text()?, &self.zone)
    }

    /// The time of a part of the message, which can't have been written after the message itself.
    pub fn version(&self, own: Option<Timestamp>) -> Option<Timestamp> {
        own.and_then(|own| trusted(Some(own), self.sent)).or(self.at)
    }
}

/// `own`, unless it lies after the message was sent.
fn trusted(own: Option<Timestamp>, sent: Option<Timestamp>) -> Option<Timestamp> {
    match (own, sent) {
        (Some(own), Some(sent)) if own.seconds_since(sent) > TOLERANCE_S => Some(sent),
        (Some(own), _) => Some(own),
        (None, sent) => sent,
    }
}

/// Type and trigger: `ADT^A01^ADT_A01`, `ADT` with EVN-1, `ADT_A01`, `^^ADT_A01`.
fn names(header: &Segment<'_>, event: Option<&Segment<'_>>) -> (String, String) {
    let upper = |text: Option<String>| text.map(|text| text.to_ascii_uppercase());
    let first = upper(header.text_at(9, 1));
    let structure = upper(header.text_at(9, 3));
    let paired = |text: &str| text.split_once(['_', '^']).map(|(kind, trigger)| (kind.to_owned(), trigger.to_owned()));
    let of_first = first.as_deref().and_then(paired);
    let of_structure = structure.as_deref().and_then(paired);
    let kind = of_first.as_ref().map(|(kind, _)| kind.clone()).or(first).or(of_structure.as_ref().map(|s| s.0.clone()));
    let trigger = upper(header.text_at(9, 2))
        .or_else(|| of_first.map(|(_, trigger)| trigger))
        .or_else(|| upper(event.and_then(|event| event.text(1))))
        .or_else(|| of_structure.map(|(_, trigger)| trigger));
    let short = |text: Option<String>| {
        let letters = text.unwrap_or_default();
        letters.chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>()
    };
    let (kind, trigger) = (short(kind), short(trigger));
    // Without a type, an event `A..` is one of admission.
    let is_bare = kind.is_empty() && trigger.starts_with('A') && event.is_some();
    (if is_bare { "ADT".to_owned() } else { kind }, trigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Header {
        Header::read(&Message::parse(text, encoding_rs::UTF_8).unwrap()).unwrap()
    }

    #[test]
    fn type_and_trigger_are_found_in_all_their_places() {
        for text in [
            "MSH|^~\\&|||||20240101||ADT^A01^ADT_A01|1|P|2.5",
            "MSH|^~\\&|||||20240101||ADT^A01|1|P|2.3",
            "MSH|^~\\&|||||20240101||ADT|1|P|2.2\rEVN|A01|20240101",
            "MSH|^~\\&|||||20240101||ADT_A01|1|P|2.3",
            "MSH|^~\\&|||||20240101||^^ADT_A01|1|P|2.3",
            "MSH|^~\\&|||||20240101||adt^a01|1|P|2.3",
        ] {
            let header = header(text);
            assert_eq!((header.kind.as_str(), header.trigger.as_str()), ("ADT", "A01"), "{text}");
        }
    }

    #[test]
    fn the_event_s_time_orders_unless_it_lies_after_the_message() {
        let early = header("MSH|^~\\&|||||20240501100000||ADT^A08|1\rEVN||20240430090000");
        assert_eq!(early.at.unwrap().to_string(), "2024-04-30T09:00:00Z");
        assert_eq!(early.version(None), early.at);
        let late = header("MSH|^~\\&|||||20240501100000||ADT^A08|1\rEVN||20290101");
        assert_eq!(late.at.unwrap().to_string(), "2024-05-01T10:00:00Z");
    }
}
