//! X12 interchanges to their transaction sets, each with the `ISA` and `GS` that it can't be read without.
//!
//! A piece is `ISA`, `GS` and one set from `ST` to `SE`, byte for byte. What belongs to no set is held with a
//! reason. An envelope that isn't in order, or that holds an acknowledgement or no set at all, is one piece
//! more: its `ISA`, `TA1`, `GS`, `ST`, `SE`, `GE` and `IEA` alone. A set that the end of the interchange cut
//! off is held whole, since half of a remittance must not look complete.

use crate::domain::QuarantineReason;
use crate::stages::normalize::x12::{ENVELOPE, Place, Separators, check_interchange, places, trimmed};

use super::Pieces;

/// Longer ones are none: each set has them before it, so they must stay small.
const MAX_ENVELOPE_SEGMENT: usize = 1000;

pub(super) fn sets(bytes: &[u8], pieces: &mut Pieces) {
    let headers = headers(bytes);
    let Some((first, _)) = headers.first() else {
        let known = bytes.windows(3).any(|window| window == b"ISA");
        let detail = if known { "the separators of ISA can't be told" } else { "no ISA" };
        return pieces.unreadable(bytes, QuarantineReason::MalformedX12, detail);
    };
    stray(bytes.get(..*first).unwrap_or_default(), "bytes before the first ISA", pieces);
    let ends = headers.iter().skip(1).map(|(start, _)| *start).chain([bytes.len()]);
    for ((start, separators), end) in headers.iter().zip(ends) {
        Interchange::new(bytes.get(*start..end).unwrap_or_default(), *separators).split(pieces);
    }
}

/// Where interchanges begin: an `ISA` that names its separators and isn't an element's value.
fn headers(bytes: &[u8]) -> Vec<(usize, Separators)> {
    let candidates = bytes.windows(3).enumerate().filter(|(_, window)| *window == b"ISA").map(|(at, _)| at);
    candidates
        .filter_map(|at| {
            let separators = Separators::read(bytes.get(at..).unwrap_or_default())?;
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let alone = before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != separators.element);
            alone.then_some((at, separators))
        })
        .collect()
}

fn stray(bytes: &[u8], detail: &str, pieces: &mut Pieces) {
    if !trimmed(bytes).is_empty() {
        pieces.unreadable(bytes, QuarantineReason::MalformedX12, detail);
    }
}

/// A run of segments under way: from `start` to `end` of the interchange.
#[derive(Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    /// Of its first segment, counted from 1 within the interchange.
    position: usize,
}

struct Interchange<'a> {
    bytes: &'a [u8],
    separators: Separators,
    header: &'a [u8],
    group: &'a [u8],
    set: Option<Run>,
    stray: Option<Run>,
    sets: usize,
    acknowledges: bool,
    /// The envelope's own segments.
    envelope: Vec<Place<'a>>,
}

impl<'a> Interchange<'a> {
    fn new(bytes: &'a [u8], separators: Separators) -> Self {
        Self {
            bytes,
            separators,
            header: &[],
            group: &[],
            set: None,
            stray: None,
            sets: 0,
            acknowledges: false,
            envelope: Vec::new(),
        }
    }

    fn split(mut self, pieces: &mut Pieces) {
        let mut closed = None;
        for (position, place) in (1..).zip(places(self.bytes, self.separators)) {
            self.take(position, place, pieces);
            if place.id(self.separators) == b"IEA" {
                closed = Some(place.end);
                break;
            }
        }
        if let Some(run) = self.set.take() {
            let detail = format!("the set at segment {} is cut off", run.position);
            pieces.unreadable(&self.with_envelope(run), QuarantineReason::MalformedX12, detail);
        }
        self.end_stray(pieces);
        self.put_envelope(pieces);
        let rest = closed.and_then(|end| self.bytes.get(end..)).unwrap_or_default();
        stray(rest, "bytes behind IEA", pieces);
    }

    fn take(&mut self, position: usize, place: Place<'a>, pieces: &mut Pieces) {
        let id = place.id(self.separators);
        let belongs = ENVELOPE.contains(&id) && place.end - place.start <= MAX_ENVELOPE_SEGMENT;
        if !belongs {
            let run = if self.set.is_some() { &mut self.set } else { &mut self.stray };
            run.get_or_insert(Run { start: place.start, end: place.end, position }).end = place.end;
            return;
        }
        if id == b"SE" && self.set.is_none() {
            self.stray.get_or_insert(Run { start: place.start, end: place.end, position }).end = place.end;
            return;
        }
        self.envelope.push(place);
        if id == b"SE" {
            if let Some(run) = self.set.as_mut() {
                run.end = place.end;
            }
            return self.end_set(pieces);
        }
        self.end_set(pieces);
        self.end_stray(pieces);
        let whole = self.bytes.get(place.start..place.end).unwrap_or_default();
        match id {
            b"ISA" => self.header = whole,
            b"GS" => self.group = whole,
            b"GE" => self.group = &[],
            b"TA1" => self.acknowledges = true,
            b"ST" => self.set = Some(Run { start: place.start, end: place.end, position }),
            _ => {}
        }
    }

    fn with_envelope(&self, run: Run) -> Vec<u8> {
        [self.header, self.group, self.bytes.get(run.start..run.end).unwrap_or_default()].concat()
    }

    fn end_set(&mut self, pieces: &mut Pieces) {
        if let Some(run) = self.set.take() {
            self.sets += 1;
            pieces.put(&self.with_envelope(run));
        }
    }

    fn end_stray(&mut self, pieces: &mut Pieces) {
        if let Some(run) = self.stray.take() {
            let detail = format!("segments from number {} belong to no transaction set", run.position);
            stray(self.bytes.get(run.start..run.end).unwrap_or_default(), &detail, pieces);
        }
    }

    fn put_envelope(&self, pieces: &mut Pieces) {
        let texts: Vec<(&[u8], String)> = self
            .envelope
            .iter()
            .map(|place| (place.id(self.separators), String::from_utf8_lossy(place.content).into_owned()))
            .collect();
        let segments: Vec<(&[u8], &str)> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
        let in_order = check_interchange(&segments, self.separators.element).is_empty();
        if in_order && self.sets > 0 && !self.acknowledges {
            return;
        }
        let own = self.envelope.iter().filter_map(|place| self.bytes.get(place.start..place.end));
        pieces.put(&own.collect::<Vec<_>>().concat());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Piece;
    use super::*;

    const ISA: &str =
        "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *261001*1253*^*00501*000000001*0*P*:~";
    const GS: &str = "GS*HC*S*R*20261001*1253*1*X*005010X222A1~";

    fn split(text: &str) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        sets(text.as_bytes(), &mut pieces);
        pieces.pieces
    }

    fn shown(pieces: &[Piece]) -> Vec<String> {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Record(record) => {
                    String::from_utf8_lossy(&record.bytes).replace(ISA, "[ISA]").replace(GS, "[GS]")
                }
                Piece::Unreadable { unreadable, .. } => unreadable.detail.clone(),
            })
            .collect()
    }

    #[test]
    fn each_set_has_its_envelope_with_it() {
        let text =
            format!("{ISA}\r\n{GS}\r\nST*837*1~\nBHT*x~\nSE*3*1~\nST*837*2~SE*2*2~\nGE*2*1~\nIEA*1*000000001~\n");
        assert_eq!(shown(&split(&text)), ["[ISA][GS]ST*837*1~\nBHT*x~\nSE*3*1~", "[ISA][GS]ST*837*2~SE*2*2~"]);
    }

    #[test]
    fn interchanges_with_other_separators_follow_each_other() {
        let second = format!("{ISA}{GS}ST*999*1~SE*2*1~GE*1*1~IEA*1*000000001~").replace('~', "\n").replace('*', "|");
        let text = format!("\u{feff}{ISA}{GS}ST*837*1~SE*2*1~GE*1*1~IEA*1*000000001~\n{second}");
        let pieces = split(&text);
        assert_eq!(pieces.len(), 2);
        assert!(shown(&pieces)[1].ends_with("ST|999|1\nSE|2|1\n"));
    }

    #[test]
    fn a_set_that_the_end_cuts_off_is_held() {
        let pieces = split(&format!("{ISA}{GS}ST*835*1~SE*2*1~ST*835*2~BPR*I*10"));
        assert_eq!(
            shown(&pieces),
            ["[ISA][GS]ST*835*1~SE*2*1~", "the set at segment 5 is cut off", "[ISA][GS]ST*835*1~SE*2*1~ST*835*2~"]
        );
    }

    #[test]
    fn a_missing_trailer_costs_nothing_but_is_told() {
        let pieces = split(&format!("{ISA}{GS}ST*837*1~BHT*x~ST*837*2~SE*2*2~GE*2*1~"));
        assert_eq!(shown(&pieces)[..2], ["[ISA][GS]ST*837*1~BHT*x~", "[ISA][GS]ST*837*2~SE*2*2~"]);
        assert_eq!(pieces.len(), 3);
    }

    #[test]
    fn what_belongs_to_no_set_is_held_with_its_place() {
        let text = format!("From: a@b\n{ISA}{GS}BHT*x~SE*2*9~ST*837*1~SE*2*1~NM1*x~GE*1*1~IEA*1*000000001~junk");
        assert_eq!(
            shown(&split(&text)),
            [
                "bytes before the first ISA",
                "segments from number 3 belong to no transaction set",
                "[ISA][GS]ST*837*1~SE*2*1~",
                "segments from number 7 belong to no transaction set",
                "bytes behind IEA"
            ]
        );
    }

    #[test]
    fn an_acknowledgement_of_the_interchange_is_a_piece() {
        let pieces = split(&format!("{ISA}TA1*000000905*261001*1253*A*000~IEA*0*000000001~"));
        assert_eq!(shown(&pieces), ["[ISA]TA1*000000905*261001*1253*A*000~IEA*0*000000001~"]);
    }

    #[test]
    fn without_an_envelope_the_whole_is_held() {
        assert_eq!(shown(&split("GS*HC~ST*837*1~")), ["no ISA"]);
        assert_eq!(shown(&split("ISA*00*~")), ["the separators of ISA can't be told"]);
        assert_eq!(shown(&split("")), ["no ISA"]);
    }
}
