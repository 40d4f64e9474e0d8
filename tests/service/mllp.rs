//! HL7 messages over connections: nothing is accepted before it is on disk, and whatever the connection does to
//! them, the store ends as the sender's.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Server;
use crate::stored::{free_port, landed, landed_unread, latest_documents};

/// One connection.
pub struct Sender {
    stream: TcpStream,
}

impl Sender {
    pub async fn connect(port: u16) -> io::Result<Self> {
        Ok(Self { stream: TcpStream::connect(("127.0.0.1", port)).await? })
    }

    async fn write(&mut self, message: &str) -> io::Result<()> {
        self.stream.write_all(format!("\u{b}{message}\u{1c}\r").as_bytes()).await
    }

    /// One answer, without its frame.
    async fn answer(&mut self) -> io::Result<String> {
        let mut read = Vec::new();
        while read.last() != Some(&0x1c) {
            read.push(self.stream.read_u8().await?);
        }
        self.stream.read_u8().await?;
        Ok(String::from_utf8_lossy(&read).trim_matches(['\u{b}', '\u{1c}']).to_owned())
    }

    pub async fn ask(&mut self, message: &str) -> String {
        self.write(message).await.unwrap();
        self.answer().await.unwrap()
    }
}

/// MSA-1 and MSA-2.
fn verdict(answer: &str) -> (String, String) {
    let segment = answer.split('\r').find(|segment| segment.starts_with("MSA|")).expect("an answer has an MSA");
    let mut fields = segment.split('|').skip(1).map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap_or_default())
}

fn feed(port: u16) -> toml::Table {
    toml::from_str(&format!("mode = \"mllp\"\nlisten = \"127.0.0.1:{port}\"\nmax_message_bytes = 20000")).unwrap()
}

async fn listening() -> (Server, u16) {
    let port = free_port();
    let server = Server::with(|config| config.sources[0].feed = Some(feed(port))).await;
    server.until("the listener is there", async || Sender::connect(port).await.ok()).await;
    (server, port)
}

struct Message<'a> {
    id: &'a str,
    kind: &'a str,
    /// `20260301120000`
    at: &'a str,
    patient: &'a str,
    rest: &'a str,
}

impl Message<'_> {
    fn text(&self) -> String {
        let Self { id, kind, at, patient, rest } = self;
        let trigger = kind.split('^').nth(1).unwrap();
        let rest = rest.trim().replace('\n', "\r");
        format!(
            "MSH|^~\\&|ADT|NORTH|ANAMNESIS|NORTH|{at}||{kind}|{id}|P|2.5.1\rEVN|{trigger}|{at}\r\
             PID|1||{patient}^^^NORTH^MR||Meadow^{patient}||19610412|F\r{rest}\r"
        )
    }
}

#[tokio::test]
async fn an_accepted_message_is_on_disk_before_the_answer() {
    let (server, port) = listening().await;
    let mut sender = Sender::connect(port).await.unwrap();
    for number in 1..=5 {
        let id = format!("M{number}");
        let message =
            Message { id: &id, kind: "ADT^A01^ADT_A01", at: "20260301120000", patient: "p1", rest: "PV1|1|I" };
        assert_eq!(verdict(&sender.ask(&message.text()).await), ("AA".to_owned(), id));
        assert_eq!(landed(&server).await, number);
    }
}

#[tokio::test]
async fn what_cannot_be_answered_for_is_refused_and_the_connection_goes_on() {
    let (server, port) = listening().await;
    let mut sender = Sender::connect(port).await.unwrap();
    assert_eq!(verdict(&sender.ask("PID|1||p1").await).0, "AE");
    assert_eq!(verdict(&sender.ask("MSH|^~\\&|A|B|C|D|2026||ADT^A01||P|2.5\r").await).0, "AE");
    let test = "MSH|^~\\&|A|B|C|D|20260301||ADT^A01|T1|T|2.5\rPID|1||p1\r";
    assert_eq!(verdict(&sender.ask(test).await), ("AR".to_owned(), "T1".to_owned()));
    let long = format!("MSH|^~\\&|A|B|C|D|20260301||ADT^A01|L1|P|2.5\rNTE|1||{}\r", "x".repeat(30_000));
    assert_eq!(verdict(&sender.ask(&long).await), ("AE".to_owned(), "L1".to_owned()));
    assert_eq!(landed(&server).await, 0);
    let good = "MSH|^~\\&|A|B|C|D|20260301||ADT^A01|G1|P|2.5\rPID|1||p1^^^N^MR||Meadow^Ann\r";
    assert_eq!(verdict(&sender.ask(good).await), ("AA".to_owned(), "G1".to_owned()));
    assert_eq!(landed(&server).await, 1);
}

#[tokio::test]
async fn a_sender_is_answered_as_it_asks_to_be() {
    let (_server, port) = listening().await;
    let mut sender = Sender::connect(port).await.unwrap();
    let message = |id: &str, accept: &str, application: &str| {
        format!(
            "MSH|^~\\&|A|B|C|D|20260301||ADT^A01|{id}|P|2.5|||{accept}|{application}\rPID|1||p1^^^N^MR||Meadow^Ann\r"
        )
    };
    assert_eq!(verdict(&sender.ask(&message("1", "AL", "NE")).await).0, "CA");
    assert_eq!(verdict(&sender.ask(&message("2", "AL", "AL")).await).0, "CA");
    assert_eq!(verdict(&sender.answer().await.unwrap()).0, "AA");
    // Neither is wanted, so the next answer is the next message's.
    sender.write(&message("3", "NE", "NE")).await.unwrap();
    assert_eq!(verdict(&sender.ask(&message("4", "", "")).await), ("AA".to_owned(), "4".to_owned()));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_accepted_and_waits_in_quarantine() {
    let (server, port) = listening().await;
    let mut sender = Sender::connect(port).await.unwrap();
    let unknown = "MSH|^~\\&|A|B|C|D|20260301||ADT^A01|Q1|P|2.5\rPV1|1|I\r";
    assert_eq!(verdict(&sender.ask(unknown).await).0, "AA");
    server.until("it is in quarantine", async || (server.quarantine().await.len() == 1).then_some(())).await;
}

/// A ward's month: admissions, results, notes, appointments, their changes and withdrawals, and a merge.
fn month() -> Vec<String> {
    let mut messages = Vec::new();
    let mut minute = 0;
    let mut add = |kind: &str, patient: &str, rest: &str| {
        minute += 1;
        let at = format!("202603{:02}{:02}{:02}00", 1 + minute / 1_440, (minute / 60) % 24, minute % 60);
        let rest = rest.replace("{at}", &at);
        messages.push(Message { id: &format!("C{minute}"), kind, at: &at, patient, rest: &rest }.text());
    };
    for number in 1..=10 {
        let patient = format!("p{number}");
        let visit = format!("PV1|1|I|WEST^{number}^1||||77^Reed^Tom|||||||||||V{number}");
        add("ADT^A01^ADT_A01", &patient, &visit);
        for (code, value) in [("718-7^Hemoglobin^LN", "9.8"), ("718-7^Hemoglobin^LN", "10.4")] {
            let rest = format!(
                "OBR|1|PL{number}|FI{number}|58410-2^CBC^LN|||{{at}}\nOBX|1|NM|{code}||{value}|g/dL|12-16|L|||F|||{{at}}"
            );
            add("ORU^R01^ORU_R01", &patient, &rest);
        }
        let note =
            format!("TXA|1|PN|TX|{{at}}||||||||N{number}|||||AU\nOBX|1|TX|PN^Note||Slept well on day {number}.||||||F");
        add("MDM^T02^MDM_T02", &patient, &note);
        let booked = format!(
            "SCH|S{number}|S{number}||||ROUTINE^Follow-up|||30|min|^^30^20260401100000^20260401103000|||||||||||||Booked"
        );
        add("SIU^S12^SIU_S12", &patient, &booked);
        if number % 2 == 0 {
            add("SIU^S15^SIU_S12", &patient, &booked.replace("Booked", "Cancelled"));
            let replaced = note.replace("Slept well", "Slept badly");
            add("MDM^T08^MDM_T02", &patient, &replaced);
        }
        add("ADT^A08^ADT_A01", &patient, &format!("{visit}\nAL1|1|DA|7980^Penicillin^RXNORM|SV|Hives"));
        if number % 3 == 0 {
            add("ADT^A03^ADT_A03", &patient, &format!("{visit}|||||||||||||||||||||||||{{at}}|{{at}}"));
        }
    }
    add("ADT^A40^ADT_A39", "p1", "MRG|p2^^^NORTH^MR");
    add("ADT^A11^ADT_A09", "p4", "PV1|1|I|WEST^4^1||||77^Reed^Tom|||||||||||V4");
    messages
}

/// Sends until each message was accepted once, losing, doubling and reordering one in ten on the way.
async fn send_badly(port: u16, messages: Vec<String>) {
    let mut chance = fastrand::Rng::with_seed(20_260_301);
    let mut waiting: std::collections::VecDeque<String> = messages.into();
    let mut sender = Sender::connect(port).await.unwrap();
    while let Some(message) = waiting.pop_front() {
        match chance.u8(0..40) {
            // Late: others overtake it.
            0..4 if waiting.len() > 8 => waiting.insert(chance.usize(1..8), message),
            // Cut off in the middle: not a message yet.
            4..6 => {
                let half = message.get(..message.len() / 2).unwrap();
                sender.stream.write_all(format!("\u{b}{half}").as_bytes()).await.unwrap();
                sender = Sender::connect(port).await.unwrap();
                waiting.push_front(message);
            }
            // The answer is lost: nobody knows whether it was taken, so it is sent again.
            6..8 => {
                sender.write(&message).await.unwrap();
                sender = Sender::connect(port).await.unwrap();
                waiting.push_front(message);
            }
            // Doubled, the second one later.
            8..12 => {
                assert_eq!(verdict(&sender.ask(&message).await).0, "AA");
                waiting.insert(chance.usize(0..=waiting.len().min(8)), message);
            }
            _ => assert_eq!(verdict(&sender.ask(&message).await).0, "AA"),
        }
    }
}

#[tokio::test]
async fn lost_doubled_late_and_reordered_messages_leave_the_store_as_the_senders() {
    let (calm, calm_port) = listening().await;
    let mut sender = Sender::connect(calm_port).await.unwrap();
    for message in month() {
        assert_eq!(verdict(&sender.ask(&message).await).0, "AA");
    }
    let (rough, rough_port) = listening().await;
    send_badly(rough_port, month()).await;
    for server in [&calm, &rough] {
        server.until("all is read", async || (landed_unread(server).await == 0).then_some(())).await;
        assert!(server.quarantine().await.is_empty());
    }
    let (mut expected, mut found) = (latest_documents(&calm).await, latest_documents(&rough).await);
    // How often it changed on the way depends on the way.
    expected.iter_mut().chain(found.iter_mut()).for_each(|document| document.version = 0);
    assert!(expected.len() > 50, "only {} documents", expected.len());
    assert_eq!(found, expected);
    assert!(expected.iter().all(|document| document.patient.as_deref() != Some("p2")), "the merged patient is gone");
}

#[tokio::test]
async fn many_senders_at_once_are_all_answered() {
    let (server, port) = listening().await;
    let talks = (0..32).map(|number| {
        tokio::spawn(async move {
            let mut sender = Sender::connect(port).await.unwrap();
            for turn in 0..10 {
                let id = format!("{number}-{turn}");
                let message =
                    Message { id: &id, kind: "ADT^A08^ADT_A01", at: "20260301120000", patient: "p1", rest: "PV1|1|I" };
                assert_eq!(verdict(&sender.ask(&message.text()).await), ("AA".to_owned(), id));
            }
        })
    });
    for talk in talks.collect::<Vec<_>>() {
        talk.await.unwrap();
    }
    assert_eq!(landed(&server).await, 320);
}
