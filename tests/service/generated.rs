//! Sentences that a language model writes: only what stands in the record reaches the client.

use std::collections::BTreeSet;
use std::sync::Mutex;

use reqwest::Method;
use serde_json::{Value, json};

use crate::builders::{bundle, labelled, note, patient};
use crate::harness::{Reply, Server, text};
use crate::llm::{Llm, Said, evidence};
use crate::tokens::{self, READER};

const NOTES: [&str; 6] = [
    "She does not take warfarin 5 mg any more because of the bleed on 2024-05-10.",
    "Fracture of the left ankle, treated with a boot for 6 weeks by Dr. Hoffman.",
    "Metformin 500 mg was stopped on 2025-03-10 because eGFR fell to 28 mL/min.",
    "Mother had ovarian cancer at 61 and no sister was tested.",
    "Denies chest pain and takes apixaban 5 mg twice daily.",
    "If the potassium is above 5.5 mmol/L, hold lisinopril 10 mg until Monday.",
];

async fn server(llm: &Llm) -> Server {
    let server = Server::with(|config| llm.configure(config)).await;
    let mut records = vec![patient("p1", "Ana", "Ruiz")];
    records.extend(NOTES.iter().enumerate().map(|(number, text)| note(&format!("n{number}"), "p1", text)));
    server.ingest_fhir(&bundle(&records)).await;
    server
}

async fn ask(server: &Server, question: &str) -> Value {
    let body = json!({"question": question, "patient": "p1"});
    server.post(&tokens::mint(READER), "/v1/answer", &body).await.expect(200).json()
}

async fn ask_for_events(server: &Server, question: &str) -> String {
    let body = json!({"question": question, "patient": "p1"});
    let request = server.request(Method::POST, &tokens::mint(READER), "/v1/answer").json(&body);
    Reply::read(request.header("accept", "text/event-stream")).await.expect(200).text()
}

const WHY: &str = "Why were the tablets stopped after the bleed, and what of the ankle?";

#[tokio::test(flavor = "multi_thread")]
async fn a_sentence_that_stands_in_its_evidence_is_said_and_one_that_doesnt_is_not() {
    let llm = Llm::start(|user| {
        let item = &evidence(user)[0];
        Said::Text(format!("{} [1]. She walks ten miles a day [1].", item.trim_end_matches('.')))
    });
    let server = server(&llm).await;
    let answer = ask(&server, WHY).await;
    assert_eq!(
        (&answer["route"], &answer["status"], &answer["reason"]),
        (&json!("generated"), &json!("partial"), &json!("unsupported"))
    );
    let sentences = answer["sentences"].as_array().unwrap();
    assert_eq!((sentences.len(), &sentences[0]["check"]), (1, &json!("supported")));
    assert!(NOTES.contains(&text(&sentences[0]["text"]).as_str()), "{answer}");
    let stream = ask_for_events(&server, WHY).await;
    assert_eq!(stream.matches("event: sentence").count(), 1);
    assert!(!stream.contains("ten miles") && stream.contains("\"route\":\"generated\""));
    let without = json!({"question": WHY, "patient": "p1", "generate": false});
    let quoted = server.post(&tokens::mint(READER), "/v1/answer", &without).await.expect(200).json();
    assert_eq!(quoted["route"], "text");
}

/// Ways of getting each item wrong.
fn lies(items: &[String]) -> Vec<String> {
    let mut lies = Vec::new();
    for (number, item) in (1..).zip(items) {
        let other = &items[number % items.len()];
        for (at, digit) in item.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
            let changed = (digit as u8 - b'0' + 1) % 10;
            lies.push(format!("{}{changed}{} [{number}]", &item[..at], &item[at + 1..]));
        }
        for (from, to) in [
            (" not ", " "),
            ("does not", "does"),
            ("left", "right"),
            ("mg", "mcg"),
            ("stopped", "started"),
            ("Denies", "Reports"),
            ("Mother had", "She had"),
            ("Hoffman", "Hofmann"),
            ("above", "below"),
            ("twice", "once"),
            ("If the", "The"),
            ("Metformin", "Metoprolol"),
            ("ovarian", "breast"),
            (" no ", " one "),
            ("warfarin", "heparin"),
            ("hold", "double"),
            ("weeks", "months"),
            ("fell", "rose"),
            ("mmol/L", "mg/dL"),
            ("was ", "was not "),
            ("takes", "refuses"),
        ] {
            if item.contains(from) {
                lies.push(format!("{} [{number}]", item.replacen(from, to, 1)));
            }
        }
        let words: Vec<&str> = item.split(' ').collect();
        let others: Vec<&str> = other.split(' ').collect();
        lies.push(format!(
            "{} {} [{number}]",
            words[..words.len() / 2].join(" "),
            others[others.len() / 2..].join(" ")
        ));
        // Another's words under this number, a number that isn't there, and none.
        lies.push(format!("{other} [{number}]"));
        lies.push(format!("{item} [99]"));
        lies.push(format!("{item}\n"));
        lies.push(format!("{} and she has diabetes [{number}]", item.trim_end_matches('.')));
        lies.push(format!("Insulin 10 units at night is recommended [{number}]"));
        lies.push(format!("{} [{number}]", words.iter().rev().copied().collect::<Vec<_>>().join(" ")));
    }
    lies
}

/// One chart a patient, beside [`NOTES`].
const CHARTS: [[&str; 6]; 5] = [
    [
        "Hemoglobin was 7.1 g/dL on 2026-09-15 and 9.4 g/dL on 2026-10-02.",
        "The right knee was replaced on 2025-09-16 by Dr. Hoffman without complications.",
        "Prednisone 40 mg was stopped after 5 days because of insomnia.",
        "He has never had a stroke and was not given aspirin 81 mg.",
        "Father had colon cancer at 54 and no brother was tested.",
        "If the INR is above 4.0, hold warfarin 5 mg until 2026-11-02.",
    ],
    [
        "Potassium was 5.9 mmol/L on 2025-03-07, above the limit of 5.5 mmol/L.",
        "Apixaban 5 mg twice daily was stopped on 2024-11-20 for the left hip operation.",
        "She does not smoke and quit on 2019-04-01 after 12 pack years.",
        "The nodule in the right upper lobe was 14 mm and is 11 mm on 2026-01-09.",
        "Levothyroxine was raised from 75 mcg to 100 mcg on 2025-10-02.",
        "Denies chest pain and takes nitroglycerin 0.4 mg no more than 3 times.",
    ],
    [
        "Creatinine rose from 0.9 mg/dL to 2.3 mg/dL after ibuprofen 800 mg.",
        "Lisinopril 10 mg was stopped on 2026-05-14 because of a cough for 6 weeks.",
        "He is not allergic to penicillin and took amoxicillin 500 mg in 2025.",
        "Fracture of the left wrist on 2024-02-03, treated with a cast for 5 weeks.",
        "Mother had diabetes at 47 and died at 63 of a stroke.",
        "If the weight is above 82 kg, double furosemide 40 mg until 2026-12-01.",
    ],
    [
        "LDL was 68 mg/dL on rosuvastatin 10 mg and 121 mg/dL without it.",
        "Insulin glargine 18 units at night was not raised on 2026-08-18.",
        "The left eye was operated on 2023-06-21 by Dr. Lindholm for 2 hours.",
        "Warfarin 2.5 mg was stopped on 2022-12-30 because he fell 3 times.",
        "Denies fever and takes acetaminophen 650 mg no more than 4 times daily.",
        "Sister had breast cancer at 39 and the brother at 71 prostate cancer.",
    ],
    [
        "Blood pressure was 152/88 mmHg in the left arm and 148/84 mmHg in the right arm.",
        "Gabapentin 300 mg was stopped on 2025-07-11 because of morning drowsiness.",
        "She did not have gestational diabetes in 2021 or 2024.",
        "The ejection fraction fell from 55 % to 35 % on 2026-03-19.",
        "Methotrexate 15 mg weekly with folic acid 1 mg daily, not on Mondays.",
        "If the platelets are below 50, hold enoxaparin 40 mg until 2026-10-10.",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn of_500_lies_of_a_model_none_reaches_the_client() {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let llm = Llm::start(|user| {
        let lies = lies(&evidence(user));
        TOLD.lock().unwrap().extend(lies.iter().cloned());
        Said::Text(lies.join("\n"))
    });
    let server = server(&llm).await;
    for (number, chart) in CHARTS.iter().enumerate() {
        let person = format!("c{number}");
        let notes = chart.iter().zip(0..).map(|(text, at)| note(&format!("{person}n{at}"), &person, text));
        server.ingest_fhir(&bundle(&notes.collect::<Vec<_>>())).await;
    }
    let charts = CHARTS.iter().enumerate().map(|(number, chart)| (format!("c{number}"), chart));
    for (person, chart) in charts.chain([("p1".to_owned(), &NOTES)]) {
        for question in [WHY, "Why was it stopped, why was it not, and what of the family?"] {
            let body = json!({"question": question, "patient": person});
            let answer = server.post(&tokens::mint(READER), "/v1/answer", &body).await.expect(200).json();
            assert_eq!(answer["route"], "text", "all of it was refused: quotes instead: {answer}");
            for sentence in answer["sentences"].as_array().unwrap() {
                assert!(chart.contains(&text(&sentence["text"]).as_str()), "{sentence}");
            }
            let request = server.request(Method::POST, &tokens::mint(READER), "/v1/answer").json(&body);
            let stream = Reply::read(request.header("accept", "text/event-stream")).await.expect(200).text();
            assert!(stream.contains("\"route\":\"text\"") && !stream.contains("\"check\":\"supported\""), "{stream}");
        }
    }
    let told = TOLD.lock().unwrap().len();
    assert!(told >= 500, "{told} lies that differ were told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_leave_is_never_sent() {
    let llm = Llm::start(|_| Said::Text("NONE".to_owned()));
    let closed = Server::with(|config| {
        llm.configure(config);
        config.generator.leaving = "none".to_owned();
    })
    .await;
    closed.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", NOTES[0])])).await;
    let answer = ask(&closed, WHY).await;
    assert_eq!((answer["route"].clone(), llm.prompts().len()), (json!("text"), 0));
    let open = Server::with(|config| {
        llm.configure(config);
        config.generator.leaving = "deidentified".to_owned();
    })
    .await;
    let secret = labelled(
        note("n2", "p1", "The tablets were stopped for vexillol use after the bleed."),
        "v3-Confidentiality",
        "R",
    );
    let named = note("n3", "p1", "Ana Ruiz had a bleed on 2024-05-10 and the tablets were stopped, phone 555-0199.");
    open.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), named, secret])).await;
    let mut cleared = tokens::grant("north", READER);
    cleared.sensitivity = vec!["R".to_owned()];
    let body = json!({"question": WHY, "patient": "p1"});
    open.post(&tokens::sign(&cleared), "/v1/answer", &body).await.expect(200);
    let prompts = llm.prompts().concat();
    assert!(prompts.contains("the tablets were stopped"), "{prompts}");
    for gone in ["Ana", "Ruiz", "2024-05-10", "0199", "vexillol"] {
        assert!(!prompts.contains(gone), "{gone} left: {prompts}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_is_left_alone_and_quotes_are_given() {
    let llm = Llm::start(|_| Said::Status(503));
    let server = Server::with(|config| {
        llm.configure(config);
        config.generator.attempts = 2;
        config.generator.failures = 2;
        config.generator.rest_ms = 600_000;
    })
    .await;
    server.ingest_fhir(&bundle(&[patient("p1", "Ana", "Ruiz"), note("n1", "p1", NOTES[0])])).await;
    for _ in 0..4 {
        let answer = ask(&server, WHY).await;
        assert_eq!((&answer["route"], &answer["status"]), (&json!("text"), &json!("answered")));
    }
    assert_eq!(llm.prompts().len(), 4, "two questions with two attempts each, then it rests");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_client_goes_the_model_stops() {
    let llm = Llm::start(|_| Said::Endless);
    let server = server(&llm).await;
    let body = json!({"question": WHY, "patient": "p1"});
    let request = server.request(Method::POST, &tokens::mint(READER), "/v1/answer").json(&body);
    let response = request.header("accept", "text/event-stream").send().await.unwrap();
    server.until("the model is at work", async || (llm.open() == 1).then_some(())).await;
    drop(response);
    server.until("the model has stopped", async || (llm.open() == 0).then_some(())).await;
}
