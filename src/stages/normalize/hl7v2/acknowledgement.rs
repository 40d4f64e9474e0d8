//! What is answered to the sender of a message, made from its bytes alone: also one that can't be read gets an answer.
//!
//! Nothing of the message but its header goes into the answer; the header's bytes are echoed as they came, so its
//! character set holds for the answer too.

use crate::domain::Timestamp;

/// Fields of a header that are looked at.
const MAX_HEADER: usize = 8 * 1024;

/// MSA-1 (table 0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Taken over (`AA`).
    ApplicationAccept,
    /// The message is at fault; sending it again can't help (`AE`).
    ApplicationError,
    /// Refused, or our own passing trouble (`AR`).
    ApplicationReject,
    /// The bytes are safe (`CA`).
    CommitAccept,
    CommitError,
    CommitReject,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationAccept => "AA",
            Self::ApplicationError => "AE",
            Self::ApplicationReject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }

    pub fn is_accept(self) -> bool {
        matches!(self, Self::ApplicationAccept | Self::CommitAccept)
    }
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// ERR-3, table 0357: 101 required field missing, 200 type not served, 207 our own trouble.
    pub condition: u16,
    /// `MSH^1^10`; where the fault is, as ERR-2 has it.
    pub location: Option<&'a str>,
    /// In words that hold nothing of the message.
    pub text: &'a str,
}

/// When a sender wants to be answered (table 0155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl Wanted {
    pub fn holds(self, is_accept: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !is_accept,
            Self::OnSuccess => is_accept,
        }
    }

    fn parse(code: &str) -> Option<Self> {
        Some(match code.trim().to_ascii_uppercase().as_str() {
            "AL" => Self::Always,
            "NE" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
            _ => return None,
        })
    }
}

/// MSH-15 and MSH-16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub accept: Option<Wanted>,
    pub application: Option<Wanted>,
}

impl Conditions {
    /// Enhanced mode: a commit answer (`CA`, `CE`, `CR`) now, an application answer later as a message of its own.
    /// In the original mode one application answer (`AA`, `AE`, `AR`) is all.
    pub fn is_enhanced(self) -> bool {
        self.accept.is_some() || self.application.is_some()
    }

    /// What to answer on the connection, if anything.
    pub fn answer(self, code: Code) -> Option<Code> {
        if !self.is_enhanced() {
            return Some(code);
        }
        let wanted = self.accept.unwrap_or(Wanted::Never);
        wanted.holds(code.is_accept()).then_some(match code {
            Code::ApplicationAccept | Code::CommitAccept => Code::CommitAccept,
            Code::ApplicationError | Code::CommitError => Code::CommitError,
            Code::ApplicationReject | Code::CommitReject => Code::CommitReject,
        })
    }
}

/// MSH-10, by which sender and receiver know what is answered.
pub fn control_id(message: &[u8]) -> Option<String> {
    let id = Header::read(message)?.first(10);
    let id = String::from_utf8_lossy(id).trim().to_owned();
    (!id.is_empty() && id != "\"\"").then_some(id)
}

/// Whether MSH-11 says that the message is for training or debugging.
pub fn is_for_testing(message: &[u8]) -> bool {
    let processing = Header::read(message).map(|header| header.first(11).to_ascii_uppercase());
    processing.is_some_and(|id| matches!(id.trim_ascii(), b"T" | b"D"))
}

pub fn conditions(message: &[u8]) -> Conditions {
    let Some(header) = Header::read(message) else { return Conditions::default() };
    let wanted = |field: usize| std::str::from_utf8(header.first(field)).ok().and_then(Wanted::parse);
    Conditions { accept: wanted(15), application: wanted(16) }
}

/// The answer's bytes, without MLLP's frame. `own_id` becomes its MSH-10, `at` its MSH-7.
///
/// A message without a header is answered with the usual separators and no MSA-2.
pub fn acknowledge(message: &[u8], code: Code, reason: Option<&Reason<'_>>, own_id: &str, at: Timestamp) -> Vec<u8> {
    let header = Header::read(message).unwrap_or_default();
    let field = header.field;
    let time = time(at);
    let trigger = header.component(9, 2);
    let mut kind = b"ACK".to_vec();
    if !trigger.is_empty() {
        kind.push(header.component);
        kind.extend_from_slice(trigger);
        kind.push(header.component);
        kind.extend_from_slice(b"ACK");
    }
    let version = header.whole(12);
    let fields: [&[u8]; 18] = [
        b"MSH",
        &header.encoding_characters(),
        header.whole(5),
        header.whole(6),
        header.whole(3),
        header.whole(4),
        time.as_bytes(),
        b"",
        &kind,
        own_id.as_bytes(),
        header.whole(11),
        if version.is_empty() { b"2.5.1" } else { version },
        b"",
        b"",
        b"",
        b"",
        header.whole(17),
        header.whole(18),
    ];
    let mut answer = trimmed(&fields).join(&field);
    answer.push(b'\r');
    let has_old_text = is_before_2_5(version);
    let text = reason.map(|reason| escaped(reason.text, &header)).unwrap_or_default();
    let in_msa: &[u8] = if has_old_text { &text } else { b"" };
    answer.extend(trimmed(&[b"MSA", code.as_str().as_bytes(), header.first(10), in_msa]).join(&field));
    answer.push(b'\r');
    if let Some(reason) = reason {
        let location = location(reason.location.unwrap_or_default(), &header);
        let condition = reason.condition.to_string();
        let error: Vec<&[u8]> = if has_old_text {
            vec![b"ERR", &location]
        } else {
            vec![b"ERR", b"", &location, condition.as_bytes(), b"E", b"", b"", b"", &text]
        };
        if !(has_old_text && location.is_empty()) {
            answer.extend(trimmed(&error).join(&field));
            answer.push(b'\r');
        }
    }
    answer
}

/// `2.5` and later say in ERR what went wrong, earlier ones in MSA-3.
fn is_before_2_5(version: &[u8]) -> bool {
    let version = String::from_utf8_lossy(version);
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    matches!((number(parts.next()), number(parts.next())), (Some(2), Some(minor)) if minor < 5)
}

fn trimmed<'a>(fields: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    let kept = fields.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
    fields.get(..kept).unwrap_or(fields)
}

/// `20240501093015+0000`
fn time(at: Timestamp) -> String {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}+0000")
}

/// Our own words, without anything that could be taken for a separator or another segment.
fn escaped(text: &str, header: &Header<'_>) -> Vec<u8> {
    let separators = [header.field, header.component, header.repetition, header.escape, header.subcomponent];
    text.bytes().map(|b| if separators.contains(&b) || b.is_ascii_control() { b' ' } else { b }).collect()
}

/// `MSH^1^10` in the message's own separators.
fn location(location: &str, header: &Header<'_>) -> Vec<u8> {
    let kept = location.bytes().filter(|b| b.is_ascii_alphanumeric() || *b == b'^');
    kept.map(|b| if b == b'^' { header.component } else { b }).collect()
}

/// The header as bytes: it is read before the character set is known.
struct Header<'a> {
    field: u8,
    component: u8,
    repetition: u8,
    escape: u8,
    subcomponent: u8,
    /// `fields[0]` is `MSH`, `fields[n - 1]` is MSH-n.
    fields: Vec<&'a [u8]>,
}

impl Default for Header<'_> {
    fn default() -> Self {
        Self { field: b'|', component: b'^', repetition: b'~', escape: b'\\', subcomponent: b'&', fields: Vec::new() }
    }
}

impl<'a> Header<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let head = message.get(..message.len().min(MAX_HEADER)).unwrap_or_default();
        let start = head.windows(3).position(|name| name.eq_ignore_ascii_case(b"MSH"))?;
        let line = head.get(start..)?.split(|b| matches!(b, b'\r' | b'\n' | 0x1c)).next()?;
        let field = *line.get(3).filter(|b| b.is_ascii_punctuation())?;
        let fields: Vec<&[u8]> = line.split(|b| *b == field).collect();
        let declared = fields.get(1).copied().unwrap_or_default();
        let sign = |at: usize, usual: u8| declared.get(at).copied().filter(u8::is_ascii_punctuation).unwrap_or(usual);
        Some(Self {
            field,
            component: sign(0, b'^'),
            repetition: sign(1, b'~'),
            escape: sign(2, b'\\'),
            subcomponent: sign(3, b'&'),
            fields,
        })
    }

    fn encoding_characters(&self) -> Vec<u8> {
        vec![self.component, self.repetition, self.escape, self.subcomponent]
    }

    fn whole(&self, field: usize) -> &'a [u8] {
        self.fields.get(field.saturating_sub(1)).copied().unwrap_or_default().trim_ascii()
    }

    /// Without further repetitions and components.
    fn first(&self, field: usize) -> &'a [u8] {
        self.component(field, 1)
    }

    fn component(&self, field: usize, component: usize) -> &'a [u8] {
        let whole = self.whole(field);
        let first = whole.split(|b| *b == self.repetition).next().unwrap_or_default();
        first.split(|b| *b == self.component).nth(component.saturating_sub(1)).unwrap_or_default().trim_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        Timestamp::parse("2024-05-01T09:30:15Z").unwrap()
    }

    fn answer(message: &[u8], code: Code, reason: Option<&Reason<'_>>) -> String {
        String::from_utf8_lossy(&acknowledge(message, code, reason, "A1", at())).replace('\r', "\n")
    }

    const MESSAGE: &[u8] =
        b"MSH|^~\\&|LAB|NORTH|EHR|SOUTH|20240501||ORU^R01^ORU_R01|77|P|2.5.1||||||UNICODE UTF-8\rPID|1||7\r";

    #[test]
    fn an_answer_turns_sender_and_receiver_around() {
        let expected =
            "MSH|^~\\&|EHR|SOUTH|LAB|NORTH|20240501093015+0000||ACK^R01^ACK|A1|P|2.5.1||||||UNICODE UTF-8\nMSA|AA|77\n";
        assert_eq!(answer(MESSAGE, Code::ApplicationAccept, None), expected);
    }

    #[test]
    fn a_fault_stands_where_the_version_has_it() {
        let reason = Reason { condition: 101, location: Some("MSH^1^10"), text: "no control id | here" };
        let new = answer(MESSAGE, Code::ApplicationError, Some(&reason));
        assert!(new.ends_with("MSA|AE|77\nERR||MSH^1^10|101|E||||no control id   here\n"), "{new}");
        let old = answer(b"MSH|^~\\&|A|B|C|D|2024||ADT^A01|9|P|2.3\r", Code::ApplicationReject, Some(&reason));
        assert!(old.ends_with("|A1|P|2.3\nMSA|AR|9|no control id   here\nERR|MSH^1^10\n"), "{old}");
    }

    #[test]
    fn other_separators_and_bytes_are_echoed() {
        let message = b"\x0bMSH#*!?@#L\xe4b#N#E#S#2024##ADT*A01#5#P#2.4\r\x1c\r";
        let answer = acknowledge(message, Code::CommitAccept, None, "A1", at());
        let expected = b"MSH#*!?@#E#S#L\xe4b#N#20240501093015+0000##ACK*A01*ACK#A1#P#2.4\rMSA#CA#5\r";
        assert_eq!(answer, expected);
    }

    #[test]
    fn bytes_that_are_no_message_are_answered() {
        for bytes in [b"".as_slice(), b"PID|1", b"MSH", b"\xff\xfe\x00"] {
            let answer = answer(bytes, Code::ApplicationError, None);
            assert_eq!(answer, "MSH|^~\\&|||||20240501093015+0000||ACK|A1||2.5.1\nMSA|AE\n");
            assert_eq!(control_id(bytes), None);
        }
    }

    #[test]
    fn the_mode_decides_what_is_answered_at_once() {
        let with = |accept: &str, application: &str| {
            conditions(format!("MSH|^~\\&|||||||ADT^A01|1|P|2.5|||{accept}|{application}").as_bytes())
        };
        assert!(!with("", "").is_enhanced());
        assert_eq!(with("", "").answer(Code::ApplicationError), Some(Code::ApplicationError));
        assert_eq!(with("AL", "NE").answer(Code::ApplicationAccept), Some(Code::CommitAccept));
        assert_eq!(with("NE", "NE").answer(Code::ApplicationAccept), None);
        assert_eq!(with("ER", "AL").answer(Code::ApplicationAccept), None);
        assert_eq!(with("ER", "AL").answer(Code::ApplicationReject), Some(Code::CommitReject));
        assert_eq!(with("SU", "").answer(Code::ApplicationAccept), Some(Code::CommitAccept));
    }

    #[test]
    fn the_control_id_is_found() {
        assert_eq!(control_id(MESSAGE).as_deref(), Some("77"));
        assert_eq!(control_id(b"MSH|^~\\&|A|B|C|D|2024||ADT^A01||P"), None);
    }
}
