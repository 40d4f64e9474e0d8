//! Orders and what belongs to each: `ORC`, the segment that says what was ordered or done, and all that follows it.

use super::message::Segment;
use super::subject::Subject;

/// Segments that say what a group is about.
const HEADS: [&str; 9] = ["OBR", "RXO", "RXE", "RXD", "RXG", "RXA", "TXA", "ODS", "RQD"];

/// Segments that end a group: what follows belongs to the visit or to an appointment again.
const ENDS: [&str; 16] =
    ["PID", "PV1", "AL1", "IAM", "DG1", "PR1", "PRB", "IN1", "GT1", "FT1", "RGS", "AIS", "AIG", "AIL", "AIP", "SCH"];

#[derive(Default)]
pub(super) struct Group<'a> {
    pub order: Option<&'a Segment<'a>>,
    pub head: Option<&'a Segment<'a>>,
    /// Further segments, in order.
    pub rest: Vec<&'a Segment<'a>>,
}

impl<'a> Group<'a> {
    pub fn is(&self, name: &str) -> bool {
        self.head.is_some_and(|head| head.is(name))
    }

    pub fn is_medication(&self) -> bool {
        self.head.is_some_and(|head| head.name.starts_with("RX"))
    }

    /// The head or one of the rest.
    pub fn first(&self, name: &str) -> Option<&'a Segment<'a>> {
        self.head.into_iter().chain(self.rest.iter().copied()).find(|segment| segment.is(name))
    }

    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }
}

/// The groups of a patient's part of a message; the first holds what stands before any order.
pub(super) fn groups<'a>(subject: &Subject<'a>) -> Vec<Group<'a>> {
    // Specimen-oriented results have the specimen before and the order behind what was asked for.
    let is_by_specimen = subject.header.is("OUL");
    let mut groups: Vec<Group<'a>> = vec![Group::default()];
    let mut specimen = None;
    for segment in subject.segments.iter().copied() {
        let Some(current) = groups.last_mut() else { break };
        let name = segment.name.as_str();
        if is_by_specimen && name == "SPM" {
            specimen = Some(segment);
            groups.push(Group::default());
        } else if name == "ORC" {
            if is_by_specimen && current.is("OBR") && current.order.is_none() {
                current.order = Some(segment);
            } else {
                groups.push(Group { order: Some(segment), ..Group::default() });
            }
        } else if HEADS.contains(&name) {
            // `RXO` and `RXE` of one order tell of one drug; a second `RXE` of another.
            let joins = current.is_medication() && name.starts_with("RX") && !current.has(name);
            if current.head.is_none() && current.order.is_some() {
                current.head = Some(segment);
            } else if joins {
                current.rest.push(segment);
            } else {
                let order = current.order;
                groups.push(Group { order, head: Some(segment), rest: specimen.into_iter().collect() });
            }
        } else if ENDS.contains(&name) && (current.head.is_some() || current.order.is_some()) {
            let is_within_order =
                matches!(name, "AL1" | "DG1" | "IN1" | "GT1" | "FT1" | "PV1") && current.order.is_some();
            if is_within_order {
                current.rest.push(segment);
            } else {
                groups.push(Group { rest: vec![segment], ..Group::default() });
            }
        } else {
            current.rest.push(segment);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::super::message::Message;
    use super::*;

    fn shapes(text: &str) -> Vec<String> {
        let text = format!("MSH|^~\\&|||||2024||{text}");
        let message = Message::parse(&text, encoding_rs::UTF_8).unwrap();
        let header = Header::read(&message).unwrap();
        let subjects = Subject::all(&message, &header, "main", &mut Vec::new()).unwrap();
        let shown = |group: &Group<'_>| {
            let names = group.order.into_iter().chain(group.head).chain(group.rest.iter().copied());
            names.map(|segment| segment.name.clone()).collect::<Vec<_>>().join(" ")
        };
        groups(&subjects[0]).iter().skip(1).map(shown).collect()
    }

    #[test]
    fn each_request_has_its_own_results() {
        let shapes = shapes("ORU^R01\rPID|||7\rORC|RE\rOBR|1\rOBX|1\rNTE|1\rOBR|2\rOBX|1\rORC|RE\rOBR|3\rSPM|1");
        assert_eq!(shapes, ["ORC OBR OBX NTE", "ORC OBR OBX", "ORC OBR SPM"]);
    }

    #[test]
    fn a_specimen_before_its_requests_belongs_to_each() {
        let shapes = shapes("OUL^R22\rPID|||7\rSPM|1\rOBR|1\rORC|RE\rOBX|1\rOBR|2\rOBX|1");
        assert_eq!(shapes, ["", "ORC OBR SPM OBX", "ORC OBR SPM OBX"]);
    }

    #[test]
    fn a_drug_ordered_and_encoded_is_one() {
        let shapes = shapes("RDE^O11\rPID|||7\rORC|NW\rRXO|a\rRXR|IV\rRXE||a\rORC|NW\rRXE||b\rRXE||c");
        assert_eq!(shapes, ["ORC RXO RXR RXE", "ORC RXE", "ORC RXE"]);
    }
}
